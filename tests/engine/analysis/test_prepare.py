import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.analysis.prepare import (
    Placement,
    fit_placement,
    is_inverted,
    pitch_placement,
    prepare,
    resample,
    spacing_of,
    thorax_placement,
    upsample,
)
from photopeak.engine.errors import InputError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.manifest import Grid
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.reading import read


def poisson(rows, columns, seed=0):
    return np.random.default_rng(seed).poisson(9, (rows, columns)).astype(np.float32)


def centroid(image):
    rows, columns = (np.arange(size) + 0.5 for size in image.shape)
    return (image.sum(axis=1) @ rows) / image.sum(), (image.sum(axis=0) @ columns) / image.sum()


@given(
    rows=st.integers(5, 60),
    columns=st.integers(5, 60),
    down=st.floats(0.4, 9.0),
    across=st.floats(0.4, 9.0),
    pitch=st.floats(1.0, 5.0),
)
def test_counts_are_kept_whatever_the_grid(rows, columns, down, across, pitch):
    image = poisson(rows, columns)
    placement = pitch_placement(MatrixSize(rows, columns), (down, across), pitch, multiple=4)
    found = resample(image, placement)
    assert found.sum(dtype=np.float64) == pytest.approx(image.sum(dtype=np.float64), rel=1e-5)
    assert found.min() >= -1e-5
    assert found.shape[0] % 4 == found.shape[1] % 4 == 0


@given(rows=st.integers(8, 50), spacing=st.floats(1.0, 6.0), pitch=st.floats(1.0, 6.0))
def test_a_flat_image_stays_flat_inside(rows, spacing, pitch):
    placement = pitch_placement(MatrixSize(rows, rows), (spacing, spacing), pitch)
    found = resample(np.ones((rows, rows), np.float32), placement)
    inside = found[1:-1, 1:-1]
    np.testing.assert_allclose(inside, (pitch / spacing) ** 2, rtol=1e-4)


@given(row=st.integers(6, 34), column=st.integers(6, 34), spacing=st.floats(1.2, 5.0), pitch=st.floats(1.2, 5.0))
def test_places_are_where_their_counts_go(row, column, spacing, pitch):
    """The centroid of a smooth spot on the grid, taken back to the image, is the spot's."""
    y, x = np.mgrid[:41, :41] + 0.5
    spot = np.exp(-((y - row - 0.3) ** 2 + (x - column - 0.8) ** 2) / 18).astype(np.float32)
    placement = pitch_placement(MatrixSize(41, 41), (spacing, spacing), pitch, multiple=8)
    back = placement.to_source(centroid(resample(spot, placement)))
    np.testing.assert_allclose(back, centroid(spot), atol=0.02)


def test_equal_pixels_are_not_touched():
    image = poisson(48, 64)
    placement = pitch_placement(MatrixSize(48, 64), (2.4, 2.4), 2.4)
    np.testing.assert_array_equal(resample(image, placement), image)


def test_coarser_grids_hold_sums_of_their_pixels():
    image = poisson(64, 64)
    placement = pitch_placement(MatrixSize(64, 64), (1.2, 1.2), 2.4)
    np.testing.assert_allclose(resample(image, placement), image.reshape(32, 2, 32, 2).sum(axis=(1, 3)))


def test_finer_grids_share_counts_among_neighbours():
    """One pixel of an image twice as coarse: half a pixel of smoothing gives 1/8, 7/8 per half along each axis."""
    image = np.zeros((5, 5), np.float32)
    image[2, 2] = 64
    found = resample(image, pitch_placement(MatrixSize(5, 5), (2.0, 2.0), 1.0))
    share = np.array([1, 7, 7, 1]) / 16
    np.testing.assert_allclose(found[3:7, 3:7], 64 * np.outer(share, share), rtol=1e-6)
    assert np.count_nonzero(found) == 16


def test_anisotropic_pixels_become_square():
    placement = pitch_placement(MatrixSize(100, 50), (2.0, 4.0), 2.0)
    assert placement.grid == (100, 100)
    np.testing.assert_allclose(placement.to_source([10.0, 10.0]), [10.0, 5.0])


@given(
    points=st.lists(st.tuples(st.floats(-50, 300), st.floats(-50, 300)), min_size=1, max_size=5),
    step=st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    origin=st.tuples(st.floats(-99, 99), st.floats(-99, 99)),
)
def test_ways_to_the_grid_and_back_are_inverse(points, step, origin):
    placement = Placement(MatrixSize(64, 64), MatrixSize(128, 128), step, origin)
    np.testing.assert_allclose(placement.to_source(placement.to_grid(points)), points, atol=1e-9)


def test_phases_of_other_zoom_share_their_centre():
    grid = Grid(kind="pitch", pitch_mm=2.0)
    wide = Frames.from_array(poisson(128, 128), pixel_spacing_mm=(4.0, 4.0))
    narrow = Frames.from_array(poisson(128, 128, 1), pixel_spacing_mm=(3.0, 3.0))
    found = [prepare(one, grid, multiple=8, cover=(wide, narrow)) for one in (wide, narrow)]
    assert found[0].pixels.shape == found[1].pixels.shape
    for one in found:
        np.testing.assert_allclose(one.placements[0].to_grid([64.0, 64.0]), [128.0, 128.0])
    assert found[1].pixels.sum() == pytest.approx(narrow.pixels.sum(), rel=1e-6)


def test_a_radiograph_fits_with_black_around_it():
    image = 500 + np.random.default_rng(0).integers(0, 3000, (300, 200)).astype(np.float32)
    found = prepare(Frames.from_array(image), Grid(kind="fit", side=64)).pixels[0]
    assert found.shape == (64, 64)
    assert (found[:, :10] == 0).all()
    assert (found[:, -10:] == 0).all()
    assert found[:, 12:-12].mean() == pytest.approx((image - image.min()).mean(), rel=0.01)


def test_a_radiograph_that_shows_low_values_white_is_turned_round(dicom_factory):
    plain = read(dicom_factory("cr", tags={"PhotometricInterpretation": "MONOCHROME2"})[0])
    turned = read(dicom_factory("cr", tags={"PhotometricInterpretation": "MONOCHROME1"})[0])
    grid = Grid(kind="fit", side=32)
    assert (is_inverted(plain), is_inverted(turned)) == (False, True)
    first, second = prepare(plain, grid), prepare(turned, grid)
    whole = float(np.ptp(plain.pixels))
    inner = (slice(None), slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(first.pixels[inner] + second.pixels[inner], whole, rtol=1e-4)


def test_counts_are_never_turned_round(dicom_factory):
    counts = read(dicom_factory("static", tags={"PhotometricInterpretation": "MONOCHROME1"})[0])
    assert counts.units is Units.COUNTS
    assert not is_inverted(counts)


def test_a_thorax_lies_in_the_middle_of_its_grid():
    placement = thorax_placement(MatrixSize(1024, 256), (2.0, 2.0), (200, 60, 400, 180), pitch_mm=3.2, side=128)
    np.testing.assert_allclose(placement.to_source([64.0, 64.0]), [300.0, 120.0])
    assert placement.step == (1.6, 1.6)


@pytest.mark.parametrize("spacing", [None, (0.0, 2.0), (2.0, -1.0), (float("nan"), 2.0)])
def test_lengths_are_asked_for_where_they_are_unknown(spacing):
    frames = Frames.from_array(poisson(16, 16), pixel_spacing_mm=spacing, source="neck.npy")
    with pytest.raises(InputError, match=r"neck\.npy: has no pixel spacing.*--pixel-mm"):
        spacing_of(frames)


def test_absurd_spacing_makes_no_gigantic_grid():
    with pytest.raises(InputError, match="check the pixel spacing"):
        pitch_placement(MatrixSize(512, 512), (4800.0, 4800.0), 2.4)


def test_absurdly_small_pixels_still_make_a_grid():
    assert pitch_placement(MatrixSize(64, 48), (1e-9, 1e-9), 2.4, multiple=8).grid == MatrixSize(8, 8)


def test_no_thorax_is_told_with_its_file():
    frames = Frames.from_array(np.ones((256, 256)), pixel_spacing_mm=(2.2, 2.2), source="flood.npy")
    with pytest.raises(InputError, match=r"flood\.npy: frame 1: no thorax was found"):
        prepare(frames, Grid(kind="thorax", pitch_mm=3.2, side=128))


@given(rows=st.integers(4, 90), columns=st.integers(4, 90))
def test_maps_that_change_linearly_are_enlarged_exactly(rows, columns):
    """Bilinear interpolation between centres reproduces a plane, except beyond the outer centres, where it is constant."""
    placement = fit_placement(MatrixSize(rows, columns), 64)
    centres = (np.arange(16) + 0.5) * 4
    cells = (3 * centres[:, None] + 5 * centres[None]).astype(np.float32)
    found = upsample(cells, placement)
    assert found.shape == (rows, columns)
    at = placement.to_grid(np.stack(np.mgrid[:rows, :columns], axis=-1) + 0.5)
    within = ((at >= 2) & (at <= 62)).all(axis=-1)
    np.testing.assert_allclose(found[within], (at @ [3, 5])[within], rtol=1e-4, atol=1e-3)


def test_maps_are_nothing_beyond_what_was_seen():
    placement = thorax_placement(MatrixSize(100, 100), (1.0, 1.0), (40, 40, 60, 60), pitch_mm=1.0, side=32)
    found = upsample(np.ones((2, 4, 4), np.float32), placement)
    assert found.shape == (2, 100, 100)
    assert found.sum() == 2 * 32 * 32


def test_a_map_of_one_cell_is_constant():
    found = upsample(np.full((1, 1), 7, np.float32), fit_placement(MatrixSize(9, 9), 16))
    np.testing.assert_array_equal(found, 7)
