import numpy as np
import pytest

from photopeak.engine.bundle import Domain, Input
from photopeak.engine.domain import FEATURES, features, fit_domain, judge, judge_pixels
from photopeak.engine.errors import ModelError
from photopeak.engine.frames import Units

NAMES = {name: i for i, name in enumerate(FEATURES)}


def body(rng, counts, n=1, blur=0):
    """Return Poisson frames of a smooth body on an empty background."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    shape = np.clip(1.2 - x**2 - 2 * y**2, 0, None) * (1 + 0.5 * np.cos(5 * x))
    frames = rng.poisson(shape * counts, (n, 96, 96)).astype(np.float32)
    for _ in range(blur):
        frames = (frames + np.roll(frames, 1, 1) + np.roll(frames, 1, 2) + np.roll(frames, (1, 1), (1, 2))) / 4
    return frames.astype(np.float32)


@pytest.fixture(scope="module")
def domain():
    """Return the domain of bodies at 5 to 80 counts."""
    rng = np.random.default_rng(1)
    rows = np.concatenate([features(body(rng, level)) for level in np.geomspace(5, 80, 200)])
    return fit_domain(rows[::2], rows[1::2])


def test_pure_poisson_noise_has_unit_grain():
    frames = np.random.default_rng(0).poisson(40, (4, 256, 256)).astype(np.float32)
    found = features(frames)
    np.testing.assert_allclose(found[:, NAMES["log10 grain"]], 0, atol=0.02)
    np.testing.assert_allclose(found[:, NAMES["log10 smoothness"]], 0, atol=0.02)
    np.testing.assert_allclose(found[:, NAMES["log10 mean counts"]], np.log10(40), atol=0.01)
    np.testing.assert_allclose(found[:, NAMES["active fraction"]], 1)
    np.testing.assert_allclose(found[:, NAMES["fraction of non-integers"]], 0)


def test_features_do_not_depend_on_threads():
    frames = body(np.random.default_rng(2), 20, n=5)
    np.testing.assert_array_equal(features(frames, threads=1), features(frames, threads=3))


def test_like_the_training_data_is_inside(domain):
    rng = np.random.default_rng(9)
    verdicts = [judge(features(body(rng, level)), domain).verdict for level in np.geomspace(6, 70, 50)]
    assert verdicts.count("inside") >= 43
    assert "outside" not in verdicts


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (lambda rng: body(rng, 20) * np.float32(30), "grain"),
        (lambda rng: body(rng, 20, blur=3), "not whole counts"),
        (lambda rng: np.round(body(rng, 20, blur=4)), "neighbouring"),
        (lambda rng: np.repeat(np.repeat(body(rng, 20), 2, axis=1), 2, axis=2), "detail"),
        (lambda rng: rng.uniform(0, 255, (1, 96, 96)).astype(np.float32), ""),
        (lambda rng: np.zeros((1, 96, 96), np.float32), ""),
    ],
    ids=["rescaled", "filtered", "filtered and rounded", "pixels doubled", "uniform noise", "empty"],
)
def test_other_images_are_outside_for_a_stated_reason(domain, change, feature):
    found = judge(features(change(np.random.default_rng(4))), domain)
    assert found.verdict == "outside"
    assert found.reasons
    assert feature in " ".join(found.reasons)


def test_worst_frame_decides(domain):
    rng = np.random.default_rng(6)
    frames = np.concatenate([body(rng, 20), body(rng, 20) * np.float32(30)])
    found = judge(features(frames), domain)
    assert found.verdict == "outside"
    assert found.distances[0] < found.limits[0] < found.limits[1] < found.distances[1]


def test_empty_frames_among_others_are_not_judged(domain):
    frames = np.concatenate([body(np.random.default_rng(8), 20), np.zeros((1, 96, 96), np.float32)])
    found = judge(features(frames), domain)
    assert found.verdict != "outside"
    assert judge(features(frames[1:]), domain).verdict == "outside"
    assert found.distances[1] == 0


def test_distance_is_mahalanobis():
    k = len(FEATURES)
    precision = tuple(tuple(float(4 * (i == j)) for i in range(k)) for j in range(k))
    domain = Domain(features=FEATURES, mean=(1.0,) * k, precision=precision, limits=(3.0, 9.0))
    found = judge(np.full((1, k), 2.0), domain)
    assert found.distances[0] == pytest.approx(2 * np.sqrt(k))
    assert found.verdict == "border"


def test_several_kinds_of_inputs_leave_room_between_them():
    rng = np.random.default_rng(11)
    kinds = 5 * np.eye(4, len(FEATURES))
    rows = np.repeat(kinds, 200, axis=0)
    rows[:, :4] += 0.2 * rng.standard_normal((800, 4))
    trained = fit_domain(rows[::2], rows[1::2])
    assert {judge(kind[None], trained).verdict for kind in kinds} == {"inside"}
    assert judge(kinds[:2].mean(axis=0)[None], trained).verdict == "outside"
    assert fit_domain(rows[::2], rows[1::2]).modes == trained.modes


def test_limits_come_from_the_held_out_inputs():
    rng = np.random.default_rng(12)
    training, held_out = rng.standard_normal((2, 400, len(FEATURES)))
    trained = fit_domain(training, held_out)
    verdicts = [judge(found[None], trained).verdict for found in held_out]
    assert 1 - verdicts.count("inside") / 400 == pytest.approx(0.05, abs=0.01)
    assert trained.limits[1] == pytest.approx(1.5 * trained.limits[0])


def test_domain_of_another_version_is_refused(domain):
    other = domain.model_copy(update={"features": ("something",)})
    with pytest.raises(ModelError, match="another version"):
        judge(np.zeros((1, len(FEATURES))), other)


def hounsfield(rng, noise_hu):
    """Return a slice of soft tissue and bone in air."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    body = np.select([np.hypot(x - 0.2, y) < 0.15, np.hypot(x, y) < 0.8], [900.0, 40.0], -1000.0)
    return np.rint(body + noise_hu * rng.standard_normal((1, 96, 96))).astype(np.float32)


def test_hounsfield_units_are_judged_by_their_distance_from_air():
    rng = np.random.default_rng(5)
    air_and_water = np.full((1, 64, 64), -1000, np.float32)
    air_and_water[:, :, 32:] = 0
    found = features(air_and_water, units=Units.HOUNSFIELD)[0]
    np.testing.assert_allclose(found[NAMES["log10 mean counts"]], np.log10(500), rtol=1e-5)
    np.testing.assert_allclose(found[NAMES["active fraction"]], 0.5)
    rows = np.concatenate(
        [features(hounsfield(rng, noise), units=Units.HOUNSFIELD) for noise in rng.uniform(5, 40, 200)]
    )
    taken, trained = Input(name="counts", units=Units.HOUNSFIELD), fit_domain(rows[::2], rows[1::2])
    assert judge_pixels(hounsfield(rng, 15), taken, trained).verdict == "inside"
    unscaled = judge_pixels(hounsfield(rng, 15) / np.float32(1000), taken, trained)  # attenuation relative to water
    assert unscaled.verdict == "outside"
    assert "above air" in " ".join(unscaled.reasons)
