"""Libraries that project volumes."""

from collections.abc import Callable
from importlib import import_module
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Geometry, View
from .base import Peer

__all__ = ["PROJECTOR_PEERS", "rtk_back", "rtk_forward"]

Array = NDArray[np.float32]
Call = Callable[[], Any]


def rtk_forward(volume: Array, geometry: Geometry, threads: int) -> Call:
    """Project a volume as RTK does, by Joseph's method."""
    itk = _itk()
    view = geometry.views[0]
    blank = np.zeros((len(geometry.views), *view.shape), np.float32)
    chosen = itk.RTK.JosephForwardProjectionImageFilter
    return _updated(chosen, _views(blank, view), _volume(volume, geometry), geometry, threads)


def rtk_back(images: Array, geometry: Geometry, threads: int) -> Call:
    """Backproject views as RTK does, by the transpose of Joseph's method."""
    itk = _itk()
    blank = _volume(np.zeros(geometry.grid.shape, np.float32), geometry)
    chosen = itk.RTK.JosephBackProjectionImageFilter
    return _updated(chosen, blank, _views(images, geometry.views[0]), geometry, threads)


def _updated(kind: Any, target: Any, source: Any, geometry: Geometry, threads: int) -> Call:
    itk = _itk()
    image = itk.Image[itk.F, 3]
    made = kind[image, image].New()
    made.InPlaceOff()
    made.SetInput(0, target)
    made.SetInput(1, source)
    made.SetGeometry(_circle(geometry))
    made.SetNumberOfWorkUnits(threads)
    made.GetMultiThreader().SetMaximumNumberOfThreads(threads)

    def update() -> Array:
        made.Modified()
        made.UpdateLargestPossibleRegion()
        return np.asarray(itk.array_view_from_image(made.GetOutput()))

    return update


def _itk() -> Any:
    """Return ITK with its RTK; the modules crash as they load if what they warn of is made an error."""
    with catch_warnings():
        simplefilter("ignore")
        itk = import_module("itk")
        _ = itk.RTK.JosephForwardProjectionImageFilter, itk.RTK.JosephBackProjectionImageFilter
    return itk


def _circle(geometry: Geometry) -> Any:
    """Return views of equal distances around the axis; a detector at infinity is RTK's word for parallel rays."""
    itk = _itk()
    circle = itk.RTK.ThreeDCircularProjectionGeometry.New()
    for view in geometry.views:
        along, across = view.looking[:2]
        angle = float(np.degrees(np.arctan2(along, across)))
        if view.source_mm is None:
            circle.AddProjection(1000.0, 0.0, angle)
        else:
            circle.AddProjection(float(np.linalg.norm(view.source_mm)), view.distance_to(view.source_mm), angle)
    return circle


def _volume(values: Array, geometry: Geometry) -> Any:
    """Return an image whose second axis is the one that RTK turns about, ours z."""
    slices, rows, columns = geometry.grid.spacing_mm
    return _image(np.swapaxes(values, 0, 1), (columns, slices, rows))


def _views(values: Array, view: View) -> Any:
    return _image(values, (view.spacing_mm[1], view.spacing_mm[0], 1.0))


def _image(values: Array, spacing: tuple[float, float, float]) -> Any:
    itk = _itk()
    image = itk.image_from_array(np.ascontiguousarray(values))
    image.SetSpacing(spacing)
    image.SetOrigin([-step * (count - 1) / 2 for step, count in zip(spacing, values.shape[::-1], strict=True)])
    return image


PROJECTOR_PEERS: tuple[Peer, ...] = (
    Peer("ITK-RTK", "itk-rtk", "projection", rtk_forward, "Joseph's method"),
    Peer("ITK-RTK", "itk-rtk", "backprojection", rtk_back, "Joseph's method"),
)
