import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from scipy.ndimage import center_of_mass, gaussian_filter

from photopeak.engine.analysis.prepare import pitch_placement, resample
from photopeak.engine.errors import UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.exporters.architectures.analysis.detector import Detector
from photopeak.exporters.recipes.analysis import parathyroid_studies as studies
from photopeak.exporters.recipes.analysis.common import Limits
from photopeak.exporters.recipes.analysis.detection_loss import detection_loss
from photopeak.exporters.recipes.analysis.parathyroid_studies import Study, acquired, batches, build_pool, example
from photopeak.exporters.recipes.analysis.parathyroid_training import DetectorRecipe, calibrate, fit_detector, marked

SMALL = DetectorRecipe(channels=(8, 8), dilations=(1,), pixels=2 * 48 * 48)


def point_study(row=70, column=120, side=192, pixel_mm=2.0):
    """One lesion and nothing else, so that the centre of counts is the truth."""
    expected = np.zeros((2, side, side))
    expected[:, row, column] = 5e4
    expected = np.stack([gaussian_filter(image, 3) for image in expected])
    boxes = np.tile(np.array([[[row + 0.5, column + 0.5, 6.0, 5.0]]], np.float32), (2, 1, 1))
    return Study(expected.astype(np.float16), boxes, pixel_mm)


@pytest.fixture(scope="module")
def pool():
    return build_pool(4)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_stay_on_their_lesions_through_every_augmentation(seed):
    drawn = example(point_study(), np.random.default_rng(seed))
    centre = np.array(center_of_mass(drawn.image.sum(axis=0))) + 0.5
    np.testing.assert_allclose(drawn.boxes[0, :2], centre, atol=0.1)
    assert drawn.boxes[0, 2] / drawn.boxes[0, 3] == pytest.approx(1.2)


def test_phases_counts_and_sides_are_drawn_as_stated():
    drawn = [example(point_study(), np.random.default_rng(seed)) for seed in range(90)]
    there = np.array([made.image.any(axis=(1, 2)) for made in drawn])
    assert there.any(axis=1).all()
    assert (~there).mean(axis=0) == pytest.approx([0.25, 0.25], abs=0.1)
    assert {made.image.shape for made in drawn} == {(2, 160, 160)}
    totals = np.array([made.image.sum(axis=(1, 2)).max() for made in drawn]) / 5e4
    assert 0.2 < totals.min() < 0.35
    assert 1.6 < totals.max() < 2.4


def test_lesions_of_the_phase_that_is_there_are_meant():
    made = point_study()
    early = made.boxes.copy()
    early[0, 0, 0] += 20
    moved = Study(made.expected, early, made.pixel_mm)
    for seed in range(15):
        drawn = example(moved, np.random.default_rng(seed))
        plain = example(made, np.random.default_rng(seed))
        only_early = not drawn.image[1].any()
        assert np.allclose(drawn.boxes, plain.boxes) != only_early


def test_training_sees_the_pixels_that_the_engine_makes():
    made = point_study()
    counts = np.random.default_rng(0).poisson(3, (192, 192)).astype(np.float32)
    placement = pitch_placement(MatrixSize(192, 192), (2.0, 2.0), studies.PITCH_MM, multiple=studies.MULTIPLE)
    assert placement.grid == MatrixSize(made.side, made.side)
    weights = studies._weights(192, made.side, studies.PITCH_MM / made.pixel_mm)
    np.testing.assert_allclose(weights @ counts @ weights.T, resample(counts, placement), atol=1e-4)


def test_an_acquisition_is_whole_and_has_both_phases():
    made = point_study()
    drawn = acquired(made, np.random.default_rng(0))
    totals = drawn.image.sum(axis=(1, 2))
    assert totals == pytest.approx([5e4, 5e4], rel=0.02)
    assert abs(totals - np.round(totals)).max() < 0.1
    assert drawn.boxes[0] == pytest.approx([70.5 / 1.2 + 0, 120.5 / 1.2, 5.0, 5 / 1.2])


def test_batches_depend_on_seed_and_number_alone(pool):
    stream = batches(pool, 3)
    next(stream)
    second = next(stream)
    resumed = next(batches(pool, 3, 1))
    other = next(batches(pool, 4, 1))
    for name in ("image", "heat", "box", "weight"):
        np.testing.assert_array_equal(getattr(second, name), getattr(resumed, name))
    assert second.image.shape != other.image.shape or (second.image != other.image).any()


def test_a_pool_is_the_beginning_of_a_larger_one_and_survives_its_file(pool, tmp_path):
    again = studies.load_or_build_pool(tmp_path / "pool.npz", lambda: build_pool(2))
    kept = studies.load_or_build_pool(tmp_path / "pool.npz", lambda: pytest.fail("built again"))
    for one, two, three in zip(pool[:2], again, kept, strict=True):
        np.testing.assert_array_equal(one.expected, two.expected)
        np.testing.assert_array_equal(two.expected, three.expected)
        np.testing.assert_array_equal(one.boxes, three.boxes)
        assert one.pixel_mm == three.pixel_mm


def test_a_training_lowers_its_loss_and_comes_out_the_same_again(tmp_path):
    few = [point_study(20, 30, 48, 2.4), point_study(30, 17, 48, 2.4)]
    one = fit_detector(few, Limits(30), tmp_path / "one.pt", recipe=SMALL)
    assert one.steps == 30
    assert mean_loss(one.net, few) < 0.5 * mean_loss(Detector(SMALL.channels, SMALL.dilations), few)
    two, three = (fit_detector(few, Limits(3), tmp_path / f"{k}.pt", recipe=SMALL).net.state_dict() for k in range(2))
    for name, value in two.items():
        torch.testing.assert_close(value, three[name], rtol=0, atol=0)


@torch.no_grad()
def mean_loss(net, pool):
    """Loss of four batches of another seed."""
    found = []
    for _, batch in zip(range(4), batches(pool, 9, pixels=SMALL.pixels), strict=False):
        heat, box = net(torch.from_numpy(batch.image))
        wanted = tuple(torch.from_numpy(part) for part in (batch.heat, batch.box, batch.weight))
        found.append(float(detection_loss(heat, box, wanted)))
    return np.mean(found)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    (tmp_path / "other.pt").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="no checkpoint"):
        fit_detector([], Limits(1), tmp_path / "other.pt", recipe=SMALL)


class Oracle(Detector):
    """Sees bright cells: heat is a multiple of the root of their counts."""

    def forward(self, image):
        bright = torch.nn.functional.avg_pool2d(image.sum(1, keepdim=True), 4)
        heat = 0.5 * torch.sqrt(bright) - 4 + self.heat.bias.view(1, 1, 1, 1)
        return heat, torch.zeros(len(image), 4, *heat.shape[2:])


@pytest.fixture
def oracle():
    net = Oracle((8, 8), (1,))
    with torch.no_grad():
        net.heat.bias.zero_()
    return net


def lesions_and_noise(number=60):
    """Images with one bright lesion each in two of three, and one paler spot that is none in every second."""
    rng = np.random.default_rng(5)
    found = []
    for k in range(number):
        image = rng.poisson(0.05, (2, 64, 64)).astype(np.float32)
        boxes = np.zeros((0, 4))
        if k % 3:
            image[:, 20:24, 28:32] += 25
            boxes = np.array([[22.0, 30.0, 4.0, 4.0]])
        if k % 2:
            image[:, 44:48, 8:12] += rng.uniform(4, 24)
        found.append(studies.Example(image, boxes))
    return found


def test_calibration_makes_scores_probabilities_and_keeps_the_false_positives(oracle):
    examples = lesions_and_noise()
    found = calibrate(oracle, examples)
    assert found.error < found.error_before
    assert found.error < 0.05
    assert found.point.lesions.value == 1
    assert found.point.false_positives.value <= 0.3
    again = marked(oracle, examples, found.temperature)
    assert np.mean([np.sum(image.false_positives >= found.threshold) for image in again]) <= 0.3
    thresholds = [point[0] for point in found.operating_points]
    assert thresholds == sorted(thresholds, reverse=True)


def test_marks_beyond_reach_are_false(oracle):
    made = lesions_and_noise(2)[1]
    (image,) = marked(oracle, [made])
    assert image.lesions == 1
    assert np.count_nonzero(image.hits == 0) == 1
    far = studies.Example(made.image, made.boxes + np.array([0, 20, 0, 0]))
    (image,) = marked(oracle, [far])
    assert (image.hits == -1).all()


def test_a_detector_that_marks_no_gland_is_refused(oracle):
    nothing = [studies.Example(made.image, np.zeros((0, 4))) for made in lesions_and_noise(4)]
    with pytest.raises(UsageError, match="more steps"):
        calibrate(oracle, nothing)
