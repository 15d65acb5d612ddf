"""Training of the classifier of ribs, on a few patients."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from photopeak.engine.zoo import load_bundle
from photopeak.exporters.architectures.analysis.classifier import BoneNet
from photopeak.exporters.recipes.analysis import bone_training
from photopeak.exporters.recipes.analysis.bone import lesion_scores
from photopeak.exporters.recipes.analysis.bone_images import CELL, GRID, Pool, pool
from photopeak.exporters.recipes.analysis.bone_training import BoneRecipe, centre, fit_bones, inferred
from photopeak.exporters.recipes.analysis.common import Limits

SMALL = BoneRecipe(widths=(4, 4, 4), features=4, batch=6)


@pytest.fixture(scope="module")
def regions() -> Pool:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 4)
    lesions = np.zeros((12, 32, 32), np.float32)
    counts = rng.poisson(40.0, (12, 64, 64)).astype(np.float32)
    for k, label in enumerate(labels):
        if label:
            row, column, length = rng.integers(8, 20), rng.integers(8, 20), 2 if label == 1 else 6
            lesions[k, row : row + 2, column : column + length] = 1
            counts[k] += 200 * lesions[k].repeat(2, 0).repeat(2, 1)
    return Pool(counts, labels, lesions, np.arange(12), np.full(12, 400.0, np.float32))


def test_the_loss_falls_and_a_run_goes_on_where_it_stopped(regions: Pool, tmp_path: Path) -> None:
    losses: list[float] = []
    recipe = BoneRecipe(widths=(4, 4, 4), features=4, batch=3)
    fit_bones(regions, recipe, Limits(100, None), tmp_path / "a.pt", 0, report=lambda step, loss: losses.append(loss))
    assert losses[-1] < losses[0]
    again = fit_bones(regions, recipe, Limits(100, None), tmp_path / "a.pt", 0)
    assert again.steps == 100


def test_no_evidence_costs_as_much_as_evidence_elsewhere(regions: Pool) -> None:
    torch.manual_seed(0)
    taught = bone_training._Taught(SMALL)
    batch = next(bone_training._batches(regions, 6, 0, 0))
    silent = bone_training._Taught(SMALL)
    silent.load_state_dict(taught.state_dict())
    with torch.no_grad():
        silent.net.linear.weight.zero_()
    only = lambda astray: BoneRecipe(widths=(4, 4, 4), features=4, batch=6, outline=0.0, astray=astray)
    share = lambda net: float(
        (bone_training._loss(net, batch, only(1.0)) - bone_training._loss(net, batch, only(0.0))).detach()
    )
    assert share(silent) == pytest.approx(1.0, abs=1e-3)
    assert 0 < share(taught) <= 1.0


def test_centring_changes_no_probability() -> None:
    torch.manual_seed(1)
    net = BoneNet((4, 4, 4), 4).eval()
    with torch.no_grad():
        net.linear.weight.add_(1.0)
    counts = np.random.default_rng(0).poisson(30.0, (2, 64, 64)).astype(np.float32)
    before = inferred(net, counts)[0]
    centre(net)
    after = inferred(net, counts)[0]
    assert torch.softmax(torch.from_numpy(after), 1).numpy() == pytest.approx(
        torch.softmax(torch.from_numpy(before), 1).numpy(), abs=1e-5
    )
    assert after.sum(axis=1) == pytest.approx(np.zeros((2, 1, 1)), abs=1e-4)


def test_augmentation_moves_regions_and_lesions_together() -> None:
    lesions = np.zeros((40, 32, 32), np.float32)
    lesions[:, 10:14, 5:9] = 1
    counts = 100 + 900 * lesions.repeat(2, 1).repeat(2, 2)
    images, masks = bone_training._changed(counts, lesions, np.random.default_rng(0))
    inside = torch.nn.functional.interpolate(masks, scale_factor=2.0)
    hot = (images * inside).sum((1, 2, 3)) / (inside.sum((1, 2, 3)) + 1e-6)
    cold = (images * (1 - inside)).sum((1, 2, 3)) / ((1 - inside).sum((1, 2, 3)))
    seen = inside.sum((1, 2, 3)) > 20
    assert seen.float().mean() > 0.8
    assert (hot[seen] > 3 * cold[seen]).all()
    assert (images >= 0).all()


def test_batches_hold_every_label_and_are_the_same_for_the_same_step(regions: Pool) -> None:
    first = next(bone_training._batches(regions, 6, 3, 7))
    again = next(bone_training._batches(regions, 6, 3, 7))
    assert sorted(first[1].tolist()) == [0, 0, 1, 1, 2, 2]
    assert torch.equal(first[0], again[0])


def test_a_pool_is_kept_and_found_again(tmp_path: Path) -> None:
    told: list[str] = []
    made = pool("tune", 1, tmp_path, told.append)
    again = pool("tune", 1, tmp_path, told.append)
    assert told == ["patient 1 of 1"]
    side = GRID.side or 0
    assert made.counts.shape[1:] == (side, side)
    assert made.lesions.shape[1:] == (side // CELL, side // CELL)
    assert again.counts == pytest.approx(made.counts, abs=1 / 64)
    for label, lesion in zip(made.labels, made.lesions, strict=True):
        assert lesion.any() == (label > 0)


def test_the_score_of_a_threshold_is_the_one_that_the_engine_compares_with_it() -> None:
    logits = np.log(np.array([[0.2, 0.5, 0.3], [0.9, 0.04, 0.06]], np.float32))
    assert lesion_scores(logits, 1.0) == pytest.approx([0.8, 0.1])


def test_operating_points_of_the_bundle_reach_its_threshold() -> None:
    analysis = load_bundle("bone-classify").manifest.analysis
    assert analysis is not None
    thresholds, sensitivity, false = zip(*analysis.operating_points, strict=True)
    nearest = int(np.argmin(np.abs(np.array(thresholds) - analysis.threshold)))
    assert sensitivity[nearest] - false[nearest] == pytest.approx(max(np.subtract(sensitivity, false)), abs=0.01)
