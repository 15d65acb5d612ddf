"""The thorax is where a drawn one is, whatever its grey values, and its regions divide it as radiologists do."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from photopeak.engine.analysis.chest_regions import REGIONS, Thorax, chest_regions, find_thorax
from photopeak.engine.errors import InputError
from photopeak.engine.matrix import MatrixSize


def lungs(side: int, centre: tuple[float, float], size: tuple[float, float]) -> NDArray[np.float32]:
    """Draw two dark lungs, round above and flat below, and a heart in a bright body; size is half the height and half the width of both together."""
    down, across = np.mgrid[:side, :side] + 0.5
    down, across = (down - centre[0]) / size[0], (across - centre[1]) / size[1]
    dome = ((np.abs(across) - 0.57) / 0.37) ** 2 + (down / 0.97) ** 2 < 1
    below = (np.abs(np.abs(across) - 0.57) < 0.37) & (down >= 0) & (down < 0.8)
    heart = (across > -0.25) & (across < 0.55) & (down > 0.2)
    lung = (((down < 0) & dome) | below) & ~heart
    return np.where(lung, 0.2, 1.0).astype(np.float32)


@pytest.mark.parametrize("seed", range(24))
def test_lungs_are_found_where_they_are_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row, column, height, width = rng.uniform((54, 56, 34, 34), (74, 72, 46, 46))
    found = find_thorax(lungs(128, (row, column), (height, width)))
    assert abs(found.column - column) < 6
    assert abs(found.row - row) < 10
    assert 0.75 < found.half_height / height < 1.25
    assert 0.85 < found.half_width / width < 1.4
    assert abs(found.angle) < 0.2


def test_gain_and_offset_of_grey_values_change_nothing() -> None:
    image = lungs(96, (46, 50), (30, 32)) + np.random.default_rng(0).normal(0, 0.02, (96, 96)).astype(np.float32)
    first, second = find_thorax(image), find_thorax((4095 * image + 512).astype(np.float32))
    assert first.row == pytest.approx(second.row, abs=0.5)
    assert first.score == pytest.approx(second.score, abs=1e-3)


def test_padding_does_not_move_the_thorax() -> None:
    image = lungs(128, (64, 64), (40, 40))
    padded = np.pad(image, ((0, 0), (40, 40)), constant_values=0)
    assert find_thorax(padded).column - 40 == pytest.approx(find_thorax(image).column, abs=5)


@pytest.mark.parametrize("angle", [-0.2, 0.0, 0.2])
def test_six_regions_divide_the_thorax_in_halves_and_thirds(angle: float) -> None:
    matrix = MatrixSize(200, 200)
    thorax = Thorax(100, 100, 50, 50, angle)
    labels = chest_regions(thorax, matrix)
    areas = np.bincount(labels.ravel(), minlength=7)
    assert len(REGIONS) == 6
    assert areas[1:].sum() == thorax.mask(matrix).sum()
    assert areas[1:4].sum() == pytest.approx(areas[4:].sum(), rel=0.02)
    assert areas[2] == pytest.approx(2 * 50 * 50 * 2 / 3 * 1.2 / 2, rel=0.05)  # a third of the height, half the width


def test_names_follow_the_patient_whose_right_is_on_the_left() -> None:
    labels = chest_regions(Thorax(50, 50, 30, 30, 0.0), MatrixSize(100, 100))
    places = {"right upper": (30, 40), "right lower": (70, 40), "left middle": (50, 60), "left lower": (70, 60)}
    assert {name: REGIONS[labels[place] - 1] for name, place in places.items()} == {name: name for name in places}


@pytest.mark.parametrize("image", [np.ones((64, 64)), np.zeros((4, 64)), np.zeros((2, 8, 8))])
def test_what_shows_no_thorax_is_refused(image: NDArray[np.float64]) -> None:
    with pytest.raises(InputError, match="radiograph"):
        find_thorax(image.astype(np.float32))


def test_real_radiographs_match_better_than_noise(shared_data: Path) -> None:
    imread = pytest.importorskip("skimage.io").imread
    paths = sorted((shared_data / "cxr" / "img").glob("*.png"))[:12]
    scores = [find_thorax(imread(path).astype(np.float32)).score for path in paths]
    noise = find_thorax(np.random.default_rng(0).random((64, 64), np.float32)).score
    assert min(scores) > 0.45 > noise
