import numpy as np
import pytest

from photopeak.engine.errors import InputError
from photopeak.engine.frames import Frames, Units
from photopeak.exporters.own.about import About, examples_of, stack_of


def test_whole_numbers_are_counts_and_others_have_no_units():
    counts = np.arange(4 * 16).reshape(4, 4, 4)
    assert examples_of(counts, About(), 4).units is Units.COUNTS
    assert examples_of(counts, About(), 4).modalities == ("NM",)
    assert examples_of(counts - 0.5, About(), 4).units is Units.NONE
    assert examples_of(counts - 1, About(), 4).units is Units.NONE


def test_what_the_maker_says_goes_before_what_is_seen():
    found = examples_of(np.ones((4, 8, 8)), About(units=Units.HOUNSFIELD, modalities=("CT", "PT")), 4)
    assert (found.units, found.modalities) == (Units.HOUNSFIELD, ("CT", "PT"))


def test_frames_bring_units_and_modality():
    frames = Frames.from_array(np.ones((4, 8, 12)), units=Units.BECQUEREL_PER_ML, modality="PT")
    found = examples_of(frames, About(), 4)
    assert (found.units, found.modalities, found.matrix) == (Units.BECQUEREL_PER_ML, ("PT",), "8x12")
    assert found.images.shape == (4, 1, 8, 12)


def test_channels_stay():
    assert examples_of(np.ones((4, 2, 8, 8)), About(), 4).images.shape == (4, 2, 8, 8)


def test_too_few_examples_are_refused():
    with pytest.raises(InputError, match=r"3 examples are too few.*give 8 or more"):
        examples_of(np.ones((3, 8, 8)), About(), 8)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (np.ones((8, 8)), r"shape \(8, 8\); give real numbers"),
        (np.ones((2, 0, 8)), r"shape \(2, 0, 8\)"),
        (np.ones((2, 8, 8), complex), "complex128"),
        (np.array([["a"]]), "<U1"),
        (np.full((2, 8, 8), np.nan), "NaN or infinite"),
        (np.full((2, 8, 8), 1e300), "NaN or infinite"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(given, complaint):
    with pytest.raises(InputError, match=f"truth.*{complaint}"):
        stack_of(given, "truth")


def test_tensors_of_torch_are_taken():
    torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
    assert stack_of(torch.ones(2, 8, 8, requires_grad=True), "examples").shape == (2, 1, 8, 8)
