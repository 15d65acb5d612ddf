import json

import numpy as np
import pytest

from photopeak import kernels
from photopeak.engine.cli.console import plain
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.quality.curve_table import described_curve
from photopeak.engine.quality.sharpness import (
    exact,
    measure_mtf,
    measure_pair,
    parse_roi,
    read_mtf,
    rescaled,
    spacing_for,
)


def disk(size=96, width=1.2):
    row, column = np.mgrid[:size, :size]
    return 5 + 100 / (1 + np.exp((np.hypot(row - size / 2, column - size / 2 + 0.3) - size / 4) / width))


@pytest.mark.parametrize("text", ["", "1:2", "1:2,3", "a:b,c:d", "5:5,0:9", "9:3,0:9", "-1:4,0:9", "1:2,3:4,5:6"])
def test_other_words_are_no_region(text):
    with pytest.raises(UsageError, match="R0:R1,C0:C1"):
        parse_roi(text)


def test_spacing_given_takes_the_place_of_the_header(of_array):
    image = of_array(np.ones((8, 8)), pixel_spacing_mm=(2.0, 3.0))
    assert spacing_for(image) == (2.0, 3.0)
    assert spacing_for(image, 1.5) == (1.5, 1.5)
    for nonsense in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(UsageError, match="spacing"):
            spacing_for(image, nonsense)


def test_whole_numbers_reach_the_kernels_as_integers():
    assert exact(np.float32([[1, 2]])).dtype.kind == "i"
    assert exact(np.float32([[1, 2.5]])).dtype.kind == "f"
    assert exact(np.float32([[1, np.nan]])).dtype.kind == "f"
    assert exact(np.float64([[1e300]])).dtype.kind == "f"


def test_curve_is_that_of_the_kernel(of_array):
    stack = np.stack([disk(), disk(width=2.0)])
    roi = ((4, 92), (4, 92))
    (curve,) = measure_mtf(of_array(stack), "disk", frame=2, rois=[roi], spacing_mm=(2.0, 2.0))
    expected = kernels.disk_mtf(stack[1], rois=roi, pixel_spacing_mm=2.0)
    np.testing.assert_array_equal(curve.mtf.modulation, expected.modulation)
    np.testing.assert_allclose(curve.frequencies, expected.frequencies_per_mm)
    assert curve.unit == "cycles/mm"


def test_region_is_found(of_array):
    image = np.full((160, 160), 5.0)
    image[20:116, 30:126] = disk()
    (curve,) = measure_mtf(of_array(image + np.random.default_rng(0).normal(0, 0.5, image.shape)), "disk", auto=True)
    (row0, row1), (column0, column1) = curve.roi
    assert row0 <= 44
    assert row1 >= 92
    assert column0 <= 54
    assert column1 >= 102


def test_nothing_found_says_what_to_do(of_array):
    noise = np.random.default_rng(0).normal(100, 1, (64, 64))
    with pytest.raises(InputError, match="no point was found; name a region"):
        measure_mtf(of_array(noise), "point", auto=True)


def test_frame_and_method_must_exist(of_array):
    with pytest.raises(UsageError, match="no frame 3"):
        measure_mtf(of_array(np.ones((2, 64, 64))), "disk", frame=3)
    with pytest.raises(UsageError, match="choose from edge"):
        measure_mtf(of_array(np.ones((64, 64))), "square")
    with pytest.raises(UsageError, match="--roi names regions and --auto looks for them"):
        measure_mtf(of_array(np.ones((64, 64))), "disk", rois=[((0, 32), (0, 32))], auto=True)


def test_pair_on_a_doubled_matrix_shares_the_frequencies_of_the_first(of_array):
    before = disk()
    after = np.repeat(np.repeat(before, 2, 0), 2, 1) / 4
    first, second = of_array(before), of_array(after)
    for spacing in ((2.0, 2.0), None):
        curves = measure_mtf(first, "disk", spacing_mm=spacing)
        (changed,) = measure_pair(first, second, curves, spacing_mm=spacing)
        assert changed.roi == ((0, 192), (0, 192))
        end = curves[0].frequencies[-1]
        assert changed.frequencies[-1] == pytest.approx(2 * end)
        # Repeated pixels multiply the curve by that of a pixel, cos(pi f / 2), at f in cycles per coarse pixel.
        f = np.linspace(0.02, 0.15, 8)
        ratio = np.interp(f, changed.mtf.frequencies * 2, changed.mtf.modulation) / curves[0].mtf.at(f)
        np.testing.assert_allclose(ratio, np.cos(np.pi * f / 2), atol=0.02)


@pytest.mark.parametrize("shape", [(48, 48), (96, 192), (100, 100)])
def test_matrix_that_is_no_multiple_is_refused(of_array, shape):
    with pytest.raises(InputError, match="whole multiple"):
        rescaled([], of_array(disk()), of_array(np.ones(shape)))


def test_curve_comes_back_from_json(of_array, tmp_path):
    (curve,) = measure_mtf(of_array(disk()), "disk", spacing_mm=(2.0, 2.0))
    path = tmp_path / "mtf.json"
    path.write_text(json.dumps({"curves": [plain(described_curve(curve))]}))
    again = read_mtf(path)
    np.testing.assert_array_equal(again.modulation, curve.mtf.modulation)
    assert (again.method, again.pixel_spacing_mm) == ("disk", curve.mtf.pixel_spacing_mm)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"curves": []}', '{"curves": [{"frequencies": [1, 2]}]}', "[" * 9999]
)
def test_file_without_a_curve_says_how_to_make_one(tmp_path, text):
    (tmp_path / "mtf.json").write_text(text)
    with pytest.raises(InputError, match="photopeak mtf FILE --json"):
        read_mtf(tmp_path / "mtf.json")
    with pytest.raises(InputError, match="check the path"):
        read_mtf(tmp_path / "gone.json")
