"""Views that show no shape."""

import numpy as np
import pytest

from photopeak.kernels import Geometry, Grid, View, project, reconstruct_shape
from photopeak.kernels.errors import InputError, UsageError
from photopeak.kernels.reconstruction.shape_model import box_of

GRID = Grid((16, 16, 16), (4.0, 4.0, 4.0))


def spot(shape, center=None):
    """Return counts of a Gaussian."""
    offset = np.indices(shape) - np.reshape(center or np.divide(shape, 2), (2, 1, 1))
    return np.round(100 * np.exp(-(offset**2).sum(axis=0) / 20))


def test_view_that_misses_the_volume_is_refused():
    views = [View.gamma_camera((16, 16), (4.0, 4.0), angle, isocenter_mm=(0.0, 0.0, 500.0)) for angle in (0, 90)]
    with pytest.raises(UsageError, match="view 1 misses the volume"):
        reconstruct_shape([spot((16, 16))] * 2, Geometry(GRID, tuple(views)))


@pytest.mark.filterwarnings("ignore::photopeak.kernels.reconstruction.checks.TruncatedViewWarning")
def test_body_outside_the_volume_is_refused():
    geometry = Geometry.around(Grid((4, 4, 4), (4.0, 4.0, 4.0)), (0, 90), shape=(48, 48), spacing_mm=(4.0, 4.0))
    with pytest.raises(InputError, match="view 1 shows nothing where the volume is"):
        reconstruct_shape([spot((48, 48), (8, 8))] * 2, geometry)


@pytest.mark.filterwarnings("ignore::photopeak.kernels.reconstruction.checks.TruncatedViewWarning")
def test_background_alone_is_no_shape():
    geometry = Geometry.around(GRID, (0, 90))
    body = np.zeros(GRID.shape, bool)
    body[2:14, 2:14, 2:14] = True
    views = [np.round(3 * view) for view in project(body, geometry)]
    with pytest.raises(InputError, match="view 1 shows nothing but background"):
        reconstruct_shape(views, geometry, background=body)


@pytest.mark.parametrize("shape", [(16, 1, 16), (16, 16, 1)])
def test_disc_in_a_volume_one_voxel_deep_is_found(shape):
    geometry = Geometry.around(Grid(shape, (4.0, 4.0, 4.0)), (0, 90))
    z, y, x = np.meshgrid(*geometry.grid.axes(), indexing="ij")
    disc = 20.0 * (x**2 + y**2 + z**2 < 20.0**2)
    solution = reconstruct_shape(project(disc, geometry), geometry)
    assert solution.volume_ml == pytest.approx(np.count_nonzero(disc) * geometry.grid.voxel_ml, rel=0.02)


def test_one_count_is_no_body():
    geometry = Geometry.around(Grid((17, 17, 17), (4.0, 4.0, 4.0)), (0, 90))
    image = np.zeros((17, 17))
    image[8, 8] = 1
    with pytest.raises(InputError, match="no body of the size of a voxel"):
        reconstruct_shape([image, image], geometry)


def test_box_of_a_body_between_the_coarse_steps_holds_it():
    geometry = Geometry.around(Grid((32, 32, 32), (1.0, 1.0, 1.0)), (0, 90))
    shadows = [np.zeros(view.shape, bool) for view in geometry.views]
    for shadow in shadows:
        shadow[10:12, 15:18] = True
    box = box_of(shadows, geometry)
    # A view's lowest row looks at the lowest slice: slices count towards the head, rows towards the feet.
    assert [(part.start, part.stop) for part in box.slices] == [(18, 24), (13, 20), (13, 20)]


def test_shadows_that_never_meet_are_refused():
    geometry = Geometry.around(GRID, (0, 90))
    shadows = [np.zeros(view.shape, bool) for view in geometry.views]
    shadows[0][2:5, 6:9] = shadows[1][9:12, 6:9] = True
    with pytest.raises(InputError, match="no voxel lies in the shadows of all views"):
        box_of(shadows, geometry)
