"""PIQE against reference scores, against the definition in plain NumPy, and on what every metric must survive."""

import csv
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import correlate1d

from photopeak.kernels import piqe
from photopeak.kernels.errors import InputError, UsageError

# Of images that come with scikit-image, by the rule "canonical"; the same as in the reference files.
KNOWN = {
    "camera": 40.1374018065519,
    "brick": 67.3279493458229,
    "grass": 22.2630284608847,
    "moon": 36.6791684849885,
    "coins": 22.0747359440493,
    "page": 43.5727789165104,
    "clock": 11.3803664443638,
    "microaneurysms": 16.2852316874994,
}


def plain_piqe(image, mirrored=True, peak=None):
    """Return the score, and the number of active blocks, as the publication words it."""
    rows, columns = image.shape
    end = ((0, -rows % 16), (0, -columns % 16))
    image = np.pad(image.astype(float), end, mode="symmetric" if mirrored else "edge")
    image = np.floor(255 * (image / (peak or image.max())) + 0.5)
    steps = np.arange(-3, 4)
    window = np.exp(-(steps**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()

    def smooth(plane):
        return correlate1d(correlate1d(plane, window, axis=0, mode="nearest"), window, axis=1, mode="nearest")

    mean = smooth(image)
    contrast = (image - mean) / (np.sqrt(abs(smooth(image**2) - mean**2)) + 1)
    distortion = active = 0
    for i in range(0, image.shape[0], 16):
        for j in range(0, image.shape[1], 16):
            block = contrast[i : i + 16, j : j + 16]
            variance = block.var(ddof=1)
            if variance > 0.1:
                active += 1
                sides = (block[0], block[-1], block[:, 0], block[:, -1])
                if any(side[k : k + 6].std(ddof=1) < 0.1 for side in sides for k in range(11)):
                    distortion += 1 - variance
                around = np.delete(block, [7, 9], axis=1)
                ratio = block[:, [7, 8]].std(ddof=1) / around.std(ddof=1)
                deviation = np.sqrt(variance)
                if deviation > 2 * abs(deviation - ratio) / max(deviation, ratio):
                    distortion += variance
    return 100 * (distortion + 1) / (active + 1), active


def noise(shape, seed=0, mean=30.0):
    return np.random.default_rng(seed).poisson(mean, shape).astype(np.float64)


def test_reference_scores_are_met_on_every_image(reference_iqa: Path):
    images = np.load(reference_iqa / "inputs.npz")
    with (reference_iqa / "scores.csv").open() as file:
        for row in csv.DictReader(file):
            assert float(piqe(images[row["image"]])) == pytest.approx(float(row["piqe_matlab_rule"]), abs=1e-9), row


@pytest.mark.parametrize("name", KNOWN)
def test_known_scores_are_met_on_images_of_scikit_image(name):
    image = getattr(skimage.data, name)()
    assert image.ndim == 2
    assert float(piqe(image)) == pytest.approx(KNOWN[name], abs=1e-9)


@pytest.mark.parametrize("shape", [(16, 16), (17, 31), (64, 40), (130, 259), (33, 401)])
def test_score_is_that_of_the_plain_definition(shape):
    image = noise(shape)
    image[: shape[0] // 2] = 20 + np.arange(shape[1]) % 50
    for convention, peak in (("canonical", None), ("published", 255)):
        expected, active = plain_piqe(image, convention == "canonical", peak)
        found = piqe(image, window="identity", convention=convention)
        assert float(found) == pytest.approx(expected, abs=1e-9)
        assert found.rule == convention
        blocks = -(-shape[0] // 16) * -(-shape[1] // 16)
        assert found.details["activity_fraction"] == [active / blocks]


@settings(max_examples=25, deadline=None)
@given(arrays(np.uint8, st.tuples(st.integers(16, 50), st.integers(16, 50))))
def test_any_image_scores_as_the_plain_definition(image):
    if image.min() == image.max():
        assert piqe(image).reasons == ("constant",)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = plain_piqe(image)[0]
        assert float(piqe(image)) == pytest.approx(expected, abs=1e-9)


def test_canonical_score_does_not_depend_on_brightness():
    image = np.minimum(noise((64, 64)), 60).astype(np.uint8)
    assert float(piqe(image)) == float(piqe(image * 4)) != float(piqe(image * 4, convention="published"))


def test_maps_say_which_blocks_count():
    image = np.full((50, 70), 100.0)
    image[16:32, 32:48] = noise((16, 16), mean=100)
    scores = piqe(image, window="identity", maps=True)
    active, distorted, noisy = (scores.details[name][0] for name in ("activity_map", "distortion_map", "noise_map"))
    assert active.shape == distorted.shape == noisy.shape == image.shape
    assert active[16:32, 32:48].all()
    assert not active[:, :16].any()
    assert not (distorted & ~active).any()
    assert not (noisy & ~active).any()
    assert scores.details["activity_fraction"][0] == pytest.approx(active[::16, ::16].mean())


def test_without_active_block_the_score_is_100():
    scores = piqe(np.add.outer(np.zeros(64), np.arange(64) // 32), window="identity", convention="published")
    assert float(scores) == 100
    assert scores.reasons == (None,)
    assert scores.details["activity_fraction"] == [0.0]


def test_mask_counts_whole_blocks_only():
    image = noise((64, 64))
    image[:, 32:] = 10
    mask = np.zeros((64, 64), bool)
    mask[:, :40] = True
    masked = piqe(image, mask=mask)
    assert masked.details["activity_fraction"] == [1.0]
    assert piqe(image).details["activity_fraction"][0] < 1
    mask[:] = False
    mask[5:20, 5:20] = True
    assert piqe(image, mask=mask).reasons == ("mask-too-small",)


def test_frames_without_score_say_why():
    stack = np.stack([noise((20, 20)), np.full((20, 20), 7.0), np.where(noise((20, 20)) > 40, np.nan, 1)])
    scores = piqe(stack)
    assert scores.reasons == (None, "constant", "not-finite")
    assert np.isnan(scores.values).tolist() == [False, True, True]
    assert piqe(noise((15, 80))).reasons == ("too-small",)


def test_threads_and_stacks_change_no_bit(small_runs):
    stack = np.stack([noise((70, 90), seed) for seed in range(5)]).astype(np.uint16)
    alone = [float(piqe(frame)) for frame in stack]
    for threads in (1, 2, 4):
        assert np.asarray(piqe(stack, threads=threads)).tolist() == alone


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="no convention 'matlab'"):
        piqe(noise((20, 20)), convention="matlab")
    with pytest.raises(InputError, match="mask"):
        piqe(noise((20, 20)), mask=np.ones((3, 3)))
