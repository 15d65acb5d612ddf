from itertools import count

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")
pytest.importorskip("scipy", reason="training needs scipy: pip install 'photopeak[train]'")

from torch import nn
from torch.nn import functional

from photopeak.engine import domain
from photopeak.engine.errors import UsageError
from photopeak.engine.frames import Units
from photopeak.engine.manifest import Input
from photopeak.exporters.evaluation.score_statistics import roc
from photopeak.exporters.recipes.analysis.common import (
    Limits,
    Optimiser,
    fit,
    fit_embedding_domain,
    fit_pixel_domain,
    fit_temperature,
    network_input,
    operating_points,
    youden,
)

COUNTS = Input(name="image", units=Units.COUNTS, channels=("early", "late"), optional=True)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def batches(first):
    for number in count(first):
        x = torch.randn(16, 3, generator=torch.Generator().manual_seed(number))
        yield x, x.sum(1, keepdim=True)


def loss(net, batch):
    return functional.mse_loss(net(batch[0]), batch[1])


def test_a_training_learns_and_repeats(tmp_path):
    said = []
    trained = [
        fit(
            small(),
            batches,
            loss,
            Limits(100),
            checkpoint=tmp_path / f"{k}.pt",
            optimiser=Optimiser(learning_rate=2e-2),
            report=lambda *now: said.append(now),
        )
        for k in range(2)
    ]
    assert trained[0].losses[-1] < 0.7 * trained[0].losses[0]
    assert trained[0].losses == trained[1].losses == [value for _, value in said[:2]]
    assert trained[0].steps == 100
    assert not trained[0].net.training
    for one, other in zip(trained[0].net.state_dict().values(), trained[1].net.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_finished_training_resumes_without_another_step(tmp_path):
    first = fit(small(), batches, loss, Limits(60), checkpoint=tmp_path / "net.pt")
    again = fit(small(), batches, loss, Limits(60), checkpoint=tmp_path / "net.pt")
    assert again.steps == 60
    x = torch.ones(2, 3)
    assert torch.equal(first.net(x), again.net(x))


def test_a_resumed_training_takes_the_batches_that_follow(tmp_path):
    asked = []

    def watched(first):
        asked.append(first)
        return batches(first)

    fit(small(), watched, loss, Limits(30), checkpoint=tmp_path / "net.pt")
    fit(small(), watched, loss, Limits(50), checkpoint=tmp_path / "net.pt")
    assert asked == [0, 30]


def test_a_training_ends_with_its_minutes(tmp_path):
    assert fit(small(), batches, loss, Limits(10**7, 0.01), checkpoint=tmp_path / "net.pt").steps < 10**6


def test_checkpoints_of_other_networks_are_refused(tmp_path):
    fit(small(), batches, loss, Limits(2), checkpoint=tmp_path / "net.pt")
    with pytest.raises(UsageError, match="no checkpoint of this network"):
        fit(nn.Linear(3, 1), batches, loss, Limits(4), checkpoint=tmp_path / "net.pt")


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    with pytest.raises(ValueError, match="nan at step 0"):
        fit(
            small(),
            batches,
            lambda net, batch: net(batch[0]).sum() * float("nan"),
            Limits(3),
            checkpoint=tmp_path / "a",
        )
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_of_softened_logits_is_found(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (20_000, 3))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (rng.random((20_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(temperature * logits, truth) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_of_one_event_is_that_of_two_classes():
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, 500)
    truth = rng.random(500) < 1 / (1 + np.exp(-logits / 2))
    pair = np.stack([-logits / 2, logits / 2], axis=1)
    assert fit_temperature(logits, truth) == pytest.approx(fit_temperature(pair, truth.astype(int)), rel=1e-4)


def test_separable_logits_stop_at_the_limit():
    assert fit_temperature([-1.0, 1.0], [False, True]) == pytest.approx(1 / 20, rel=1e-3)


def test_youden_s_threshold_is_the_best_of_all():
    rng = np.random.default_rng(2)
    scores, truth = np.round(rng.random(200) + 0.3 * (np.arange(200) < 80), 2), np.arange(200) < 80
    index = lambda t: np.mean(scores[truth] >= t) - np.mean(scores[~truth] >= t)
    assert index(youden(roc(scores, truth))) == pytest.approx(max(map(index, scores)))


def test_operating_points_are_points_of_the_curve():
    rng = np.random.default_rng(3)
    curve = roc(rng.random(500), rng.random(500) < 0.4)
    points = operating_points(curve, 20)
    assert 10 <= len(points) <= 20
    for threshold, sensitivity, false in points:
        k = np.argmin(abs(curve.thresholds - threshold))
        assert (sensitivity, false) == pytest.approx((curve.sensitivity[k], curve.false_positives[k]), abs=1e-5)


def test_the_embedding_s_covariance_is_ledoit_and_wolf_s():
    covariance = pytest.importorskip("sklearn.covariance")
    rng = np.random.default_rng(4)
    rows = (rng.normal(size=(60, 12)) @ rng.normal(size=(12, 12))).astype(np.float32)
    found = fit_embedding_domain(rows[..., None, None], rows)
    expected = covariance.LedoitWolf().fit(rows.astype(np.float64)).covariance_
    np.testing.assert_allclose(np.linalg.inv(found.arrays[1]), expected, rtol=1e-5, atol=1e-6)


def test_the_limits_hold_95_per_cent_and_half_as_much_again():
    rng = np.random.default_rng(5)
    held_out = rng.normal(size=(2000, 6)).astype(np.float32)
    found = fit_embedding_domain(rng.normal(size=(900, 6)).astype(np.float32), held_out)
    assert np.mean(found.distances(held_out) <= found.limits[0]) == pytest.approx(0.95, abs=0.001)
    assert found.limits[1] == pytest.approx(1.5 * found.limits[0])


def test_embeddings_with_dead_values_have_a_domain():
    rows = np.random.default_rng(6).normal(size=(100, 4)).astype(np.float32) * [1, 1, 1, 0]
    found = fit_embedding_domain(rows, rows)
    assert np.isfinite(found.distances(rows)).all()
    assert found.distances(rows[:1] + np.array([0, 0, 0, 50]))[0] > found.limits[1]


def test_absent_channels_do_not_count_in_the_domain_of_pixels():
    rng = np.random.default_rng(7)
    image = rng.poisson(20, (60, 2, 24, 24)).astype(np.float32)
    one = image.copy()
    one[:30, 0] = 0
    found = fit_pixel_domain([one[:20], one[20:40, :, :16]], [one[40:]], COUNTS)
    assert 10 ** found.mean[0] == pytest.approx(20, rel=0.02)  # of the mean counts, without zeros
    assert domain.judge_pixels(image[:4, 1].copy(), COUNTS, found).verdict == "inside"
    assert domain.judge_pixels(200 * image[:4, 1], COUNTS, found).verdict == "outside"


def test_the_graph_takes_what_the_engine_gives_it():
    rng = np.random.default_rng(8)
    working = rng.gamma(2, 50, (3, 2, 16, 16)).astype(np.float32)
    working[0, 1] = 0
    assert np.array_equal(network_input(working, "none"), working)
    scaled = network_input(working, "robust")
    for frame, found in zip(working.reshape(-1, 16, 16), scaled.reshape(-1, 16, 16), strict=True):
        bright = np.percentile(frame, 99.5)
        np.testing.assert_allclose(found, frame / bright if bright else frame, rtol=1e-4)
