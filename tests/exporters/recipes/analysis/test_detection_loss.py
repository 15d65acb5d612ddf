import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.engine.analysis.decode import peaks
from photopeak.exporters.recipes.analysis.detection_loss import box_loss, detection_loss, focal_loss, targets

LESIONS = np.array([[13.0, 22.5, 6.0, 3.0], [50.2, 9.9, 12.0, 8.0], [40.0, 52.0, 2.0, 2.0]])


def logits(heat):
    return torch.logit(torch.as_tensor(heat), eps=1e-6)


def test_perfect_heads_decode_to_the_truth():
    wanted = targets(LESIONS, (64, 64))
    found = peaks(logits(wanted.heat).numpy(), wanted.box, threshold=0.995)
    order = sorted(found, key=lambda peak: peak.row)
    got = np.array([[peak.row, peak.column, peak.height, peak.width] for peak in order])
    np.testing.assert_allclose(got, LESIONS[np.argsort(LESIONS[:, 0])], atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 63.8), st.floats(0.1, 47.8), st.floats(1.0, 15.0), st.floats(1.0, 15.0))
def test_any_lesion_comes_back_from_its_targets(row, column, height, width):
    wanted = targets(np.array([[row, column, height, width]]), (64, 48))
    (found,) = peaks(logits(wanted.heat).numpy(), wanted.box, threshold=0.995)
    assert [found.row, found.column, found.height, found.width] == pytest.approx([row, column, height, width], rel=1e-4)


def test_neighbouring_cells_point_at_the_same_lesion():
    wanted = targets(np.array([[15.9, 16.1, 6.0, 6.0]]), (32, 32))
    for y, x in zip(*np.nonzero(wanted.weight[0]), strict=True):
        assert (y + 0.5 + wanted.box[0, y, x]) * 4 == pytest.approx(15.9, abs=1e-4)
        assert (x + 0.5 + wanted.box[1, y, x]) * 4 == pytest.approx(16.1, abs=1e-4)
    assert np.count_nonzero(wanted.weight) == 4


def test_lesions_outside_of_the_image_are_left_out():
    outside = np.array([[-1.0, 5.0, 4.0, 4.0], [5.0, 32.0, 4.0, 4.0]])
    wanted = targets(outside, (32, 32))
    assert not wanted.heat.any()
    assert not wanted.weight.any()
    assert not targets(np.zeros((0, 4)), (32, 32)).heat.any()


def test_only_cells_with_centres_are_certain():
    heat = targets(LESIONS, (64, 64)).heat
    assert np.count_nonzero(heat == 1) == len(LESIONS)
    assert np.sort(heat.ravel())[-len(LESIONS) - 1] <= 0.99


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_focal_loss_of_one_cell_has_its_closed_form(chance):
    heat = logits(np.full((1, 1, 1, 1), chance))
    assert float(focal_loss(heat, torch.ones_like(heat))) == pytest.approx(-((1 - chance) ** 2) * np.log(chance))
    near = torch.full_like(heat, 0.5)
    assert float(focal_loss(heat, near)) == pytest.approx(-(0.5**4) * chance**2 * np.log(1 - chance))


def test_focal_loss_is_counted_for_each_centre():
    heat = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    target = torch.zeros_like(heat)
    target[0, 0, 2, 3] = 1
    assert float(focal_loss(heat, target)) == pytest.approx(
        float(focal_loss(torch.cat([heat, heat]), torch.cat([target, target])))
    )


def test_focal_loss_is_lowest_at_the_truth_and_finite_far_from_it():
    wanted = torch.from_numpy(targets(LESIONS, (64, 64)).heat)[None]
    right = focal_loss(torch.where(wanted == 1, 12.0, -12.0), wanted)
    wrong = focal_loss(torch.where(wanted == 1, -90.0, 90.0), wanted)
    assert float(right) < 1e-6
    assert 100 < float(wrong) < float("inf")


def test_box_loss_counts_weighted_cells_alone():
    target = torch.zeros(1, 4, 3, 3)
    weight = torch.zeros(1, 1, 3, 3)
    box = torch.full_like(target, 7.0)
    assert float(box_loss(box, target, weight)) == 0
    weight[0, 0, 1, 1], weight[0, 0, 0, 2] = 2.0, 1.0
    box[0, :, 1, 1] = torch.tensor([0.5, -0.5, 0.25, 0.0])
    box[0, :, 0, 2] = 0.0
    assert float(box_loss(box, target, weight)) == pytest.approx(2.0 * 1.25 / 3)


def test_the_loss_leads_to_both_heads():
    heat = torch.zeros(1, 1, 16, 16, requires_grad=True)
    box = torch.zeros(1, 4, 16, 16, requires_grad=True)
    wanted = targets(LESIONS, (64, 64))
    detection_loss(
        heat, box, tuple(torch.from_numpy(part)[None] for part in (wanted.heat, wanted.box, wanted.weight))
    ).backward()
    y, x = (int(value) for value in LESIONS[0, :2] // 4)
    assert heat.grad[0, 0, y, x] < 0 < heat.grad[0, 0, 0, 0]
    assert torch.equal(box.grad[0].abs().sum(0) > 0, torch.from_numpy(wanted.weight[0] > 0))
