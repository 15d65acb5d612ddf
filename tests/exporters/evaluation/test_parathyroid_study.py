"""The parathyroid study: hits, glands that can be seen, classical observers on scenes whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.exporters.evaluation import parathyroid_study as study
from photopeak.exporters.evaluation.detection_statistics import froc
from photopeak.exporters.evaluation.parathyroid_observers import (
    PITCH_MM,
    Marks,
    Region,
    Template,
    Threshold,
    _kept,
    _registered,
    _response,
    candidates,
)
from photopeak.exporters.evaluation.parathyroid_report import as_figure, as_markdown
from photopeak.exporters.phantoms.parathyroid_cohort import PHASES, Acquisition, case_of

EVERYWHERE = Region(-120.0, 120.0, 120.0)


def pair(early, late, glands=((64.0, 64.0),), size=10.0, snr=(9.0, 9.0), pixel_mm=2.4):
    """Return an acquisition with glands at places."""
    boxes = np.array([(*at, size / pixel_mm, size / pixel_mm) for at in glands], np.float32).reshape(-1, 4)
    n = len(boxes)
    return Acquisition(
        np.asarray(early, np.float32),
        np.asarray(late, np.float32),
        pixel_mm,
        dict.fromkeys(PHASES, boxes),
        np.full(n, size, np.float32),
        ("lower",) * n,
        dict.fromkeys(PHASES, np.ones(n, np.float32)),
        {phase: np.full(n, value, np.float32) for phase, value in zip(PHASES, snr, strict=True)},
        np.ones(n, bool),
    )


def blob(at, peak, fwhm_mm=12.0, n=128):
    rows, columns = np.indices((n, n))
    return peak * np.exp(-4 * np.log(2) * ((rows - at[0]) ** 2 + (columns - at[1]) ** 2) * (PITCH_MM / fwhm_mm) ** 2)


EMPTY = np.zeros((128, 128))


def marks(*places):
    """Return an observer that always marks these places."""
    at = np.array([place[:2] for place in places], float).reshape(-1, 2)
    return lambda images, phases: Marks(at, np.array([place[2] for place in places], float))


@given(st.floats(0, 360), st.floats(0, 30), st.floats(4, 30))
@settings(max_examples=60, deadline=None)
def test_a_hit_lies_within_the_radius_or_six_millimetres(degrees, distance, size):
    reach = max(size / 2, 6.0)
    if abs(distance - reach) < 1e-3:
        return
    at = 64 + np.array([np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]) * distance / 2.4
    found = study.read(pair(EMPTY, EMPTY, size=size), PHASES, marks((*at, 1.0)), "a")
    assert (found.image.hits[0] == 0) == (distance < reach)


@pytest.mark.parametrize(
    ("snr", "expected"),
    [((7.0, 3.0), [True, False, True]), ((4.0, 4.0), [False, False, True]), ((3.0, 3.0), [False] * 3)],
)
def test_a_gland_is_seen_if_the_phases_used_tell_enough_together(snr, expected):
    images = pair(EMPTY, EMPTY, snr=snr)
    assert [bool(study.read(images, phases, marks(), "a").seen[0]) for phases in study.WAYS] == expected


def test_marks_on_glands_that_cannot_be_seen_count_neither_way():
    images = pair(EMPTY, EMPTY, glands=((20, 20), (64, 64), (100, 100)))
    images.detectability["late"][:] = (9, 2, 9)
    observer = marks((20, 20, 0.9), (64, 64, 0.8), (100, 100, 0.7), (5, 90, 0.6))
    left = study.read(images, ("late",), observer, "a").of_seen()
    assert left.lesions == 2
    assert left.hits.tolist() == [0, 1, -1]
    assert left.scores.tolist() == [0.9, 0.7, 0.6]


def test_a_gland_outside_of_the_field_is_no_miss():
    images = replace(pair(EMPTY, EMPTY, glands=((64, 64), (300, 64))), in_field=np.array([True, False]))
    found = study.read(images, PHASES, marks((64, 64, 1.0)), "a")
    assert found.image.lesions == len(found.kind) == 1


@pytest.mark.parametrize("width_mm", [8.0, 14.0])
def test_the_response_to_white_noise_has_unit_variance(width_mm):
    noise = np.random.default_rng(0).normal(size=(600, 600))
    assert _response(noise, width_mm)[60:-60, 60:-60].std() == pytest.approx(1, abs=0.03)


def test_an_image_is_registered_onto_its_shifted_self():
    early = 20 + blob((50, 40), 200) + blob((70, 80), 150)
    late = np.roll(early, (4, -6), (0, 1))
    inner = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(_registered(early, late)[inner], late[inner], atol=1e-6)


def test_what_the_thyroid_kept_is_found():
    early = 20 + blob((64, 50), 300, 20.0) + blob((64, 78), 300, 20.0)
    late = 10 + 0.3 * (early - 20)
    assert _kept(early, late, EVERYWHERE.on(early.shape)) == pytest.approx(0.3, abs=0.02)


def test_templates_find_what_stays_beside_a_thyroid_that_washes_out():
    thyroid = blob((60, 50), 200, 20.0) + blob((60, 78), 200, 20.0)
    gland = blob((76, 84), 60)
    rng = np.random.default_rng(1)
    early, late = rng.poisson(30 + thyroid + gland), rng.poisson(25 + 0.35 * thyroid + 0.8 * gland)
    images = pair(early, late, glands=((76, 84),))
    found = Template(EVERYWHERE, (10.0,))(images, PHASES)
    assert study.assign(found.at[:1] * 2.4, [[76 * 2.4, 84 * 2.4]], 6.0).tolist() == [0]
    blind = Threshold(EVERYWHERE, 3.0)(images, ("late",))
    assert np.hypot(*(blind.at[0] - (60, 64))) < 20


@pytest.mark.parametrize("observer", [Threshold(EVERYWHERE, 3.0), Template(EVERYWHERE, (8.0, 14.0))])
@pytest.mark.parametrize("phases", study.WAYS)
def test_a_lone_blob_is_marked_where_it_is_on_any_matrix(observer, phases):
    fine = np.random.default_rng(2).poisson(np.kron(20 + blob((40, 90), 60), np.full((2, 2), 0.25)))
    images = pair(fine if len(phases) == 1 else np.full(fine.shape, 5.0), fine, pixel_mm=1.2)
    found = observer(images, phases)
    assert np.abs(found.at[0] - (80.5, 180.5)).max() < 2.5
    assert (np.diff(found.scores) <= 0).all()
    assert len(found.at) == len(found.scores) <= 12


@pytest.mark.parametrize("phases", study.WAYS)
def test_an_empty_image_is_no_error(phases):
    images = pair(EMPTY, EMPTY)
    for offered in candidates((EVERYWHERE,), phases).values():
        for observer in offered:
            assert np.isfinite(observer(images, phases).scores).all()


def test_a_region_is_measured_from_the_middle():
    region = Region(-24.0, 12.0, 6.0).on((41, 41))
    assert np.argwhere(region).min(axis=0).tolist() == [10, 18]
    assert np.argwhere(region).max(axis=0).tolist() == [25, 22]


def test_noise_depends_on_case_and_setting():
    case = case_of("held-out", 0)
    small = study.Setting("small", side=64)
    one, again = (study.acquired(case, 0, small).late for _ in range(2))
    other = study.acquired(case, 1, small).late
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.fixture(scope="module")
def few():
    """Return the images of twelve cases."""
    return [study.acquired(case_of("tune", k), k, study.Setting("small", side=64)) for k in range(12)]


@pytest.fixture(scope="module")
def report(few):
    """Return a small study with an observer that knows everything in the place of the model."""

    def oracle(images, phases):
        boxes = images.boxes[phases[-1]]
        return Marks(boxes[:, :2].astype(float), np.linspace(0.9, 0.6, len(boxes)))

    readers = {(study.MODEL, PHASES): study.Reader(oracle, 0.5)}
    readers |= {("threshold", ("late",)): study.Reader(Threshold(Region(-70, 45, 35), 3.0), 2.0)}
    reads = {
        key: [study.read(one, key[1], reader.observer, str(k)) for k, one in enumerate(few)]
        for key, reader in readers.items()
    }
    return study._report(readers, reads, {"again": reads[study.MODEL, PHASES][:6]}, 5)


def test_an_observer_that_knows_everything_finds_everything(report):
    for score in (one for one in (*report.scores, *report.robustness) if one.observer == study.MODEL):
        assert score.all_glands.lesions.value == score.all_glands.clear.value == 1
        assert score.all_glands.false_positives.value == 0
        assert all(rate.value == 1 for rate in (*score.rates, *score.seen_rates))
    assert report.cases == 12
    assert 0 < report.seen <= report.glands
    assert 0 < report.normals < 12


def test_strata_add_up(report):
    sizes = report.scores[0].sizes
    assert {*sizes} == {"4 to 8", "8 to 12", "12 to 20", "20 to 30"}


def test_the_tables_hold_every_row_and_the_lecture(report):
    text = as_markdown(report)
    assert "| model | both | 100 %" in text
    assert "| lecture, real images | early | 93 % |" in text
    assert text.count("| again |") == 1
    assert "nan" not in text
    assert len(as_figure(report).data) == len(report.curves) + 1


def test_the_region_holds_the_glands(few):
    wide, narrow = (study.region_of(few, share) for share in (0.0, 0.1))
    assert wide.top < narrow.top < narrow.bottom < wide.bottom
    assert froc([study.read(one, PHASES, marks(), "a").image for one in few]).sensitivity.max() == 0
