"""What views see of a volume, and the transpose of that, by Joseph's method."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _native
from ..errors import InputError, UsageError
from .camera import GammaCamera
from .geometry import Geometry, Grid, View

__all__ = ["Projector", "backproject", "project"]

Image = NDArray[np.float32]


class Projector:
    """The rays of some views through a volume, ready to be used many times.

    A pixel is the sum of activity x path along the ray through its centre: from plane to plane of voxels, along the axis
    on which the ray makes the largest steps, with bilinear interpolation inside the plane (Joseph). Parallel rays see the
    whole volume, in front of the detector and behind it; those of a cone beam end at the focal spot and at the detector.
    Instances may be shared between threads.

    Parameters
    ----------
    geometry : Geometry
        The voxels and the views.
    camera : GammaCamera, optional
        Attenuation and blur; the image is then counts. Without it, every ray is a sum of its own.
    threads : int, default 1
        Processor threads; results do not depend on how many.
    device : str, default "cpu"
        "cpu" or "cuda".

    Raises
    ------
    UsageError
        If `threads` is below 1, there is no such device, or the camera cannot see the views.
    InputError
        If the camera's body or map does not fit the grid.
    DeviceError
        If there is no GPU that runs.

    References
    ----------
    * P. M. Joseph, An improved algorithm for reprojecting rays through pixel images, IEEE Trans. Med. Imaging 1 (1982)
      192-196.

    Examples
    --------
    >>> import numpy as np
    >>> from photopeak.kernels.reconstruction.geometry import Geometry, Grid
    >>> projector = Projector(Geometry.around(Grid((8, 8, 8), (4.0, 4.0, 4.0)), (0, 90)))
    >>> anterior, lateral = projector.forward(np.ones((8, 8, 8), np.float32))
    >>> float(anterior[3, 3])  # 8 voxels of 4 mm
    32.0
    """

    def __init__(
        self, geometry: Geometry, *, camera: GammaCamera | None = None, threads: int = 1, device: str = "cpu"
    ) -> None:
        if not isinstance(threads, Integral) or threads < 1:
            raise UsageError(f"threads is {threads}; use 1 or more.")
        if device not in ("cpu", "cuda"):
            raise UsageError(f"{device!r} is no device for projectors; use cpu or cuda.")
        self.geometry: Geometry = geometry
        self.camera: GammaCamera | None = camera
        self.threads: int = int(threads)
        self.device: str = device
        grid, detectors = _native_grid(geometry.grid), [_native_detector(view) for view in geometry.views]
        self._native: _native.Projector
        if camera is None:
            self._native = _native.Projector(grid, detectors, device)
            return
        camera.check(geometry)
        attenuation = camera.attenuation_per_mm(geometry.grid.shape)
        self._native = _native.Projector(grid, detectors, device, camera.native(), attenuation)

    def forward(self, volume: ArrayLike) -> tuple[Image, ...]:
        """Return what the views see.

        Parameters
        ----------
        volume : ndarray, shape (slices, rows, columns), float32
            Activity, or attenuation, per mm.

        Returns
        -------
        tuple of ndarray, shape (rows, columns), float32
            One image for each view: sums of value x mm.

        Raises
        ------
        InputError
            If the volume does not fit the grid, or a voxel that is seen is not finite.
        """
        values = _checked(volume, self.geometry.grid.shape, "the volume", "the grid")
        images: tuple[Image, ...] = self._native.forward(values, self.threads)
        if not all(np.isfinite(image).all() for image in images):
            _refuse_non_finite(values, "the volume")
        return images

    def adjoint(self, views: Sequence[ArrayLike]) -> Image:
        """Return the transpose of :meth:`forward` applied to images.

        Parameters
        ----------
        views : sequence of ndarray, shape (rows, columns), float32
            One image for each view.

        Returns
        -------
        ndarray, shape (slices, rows, columns), float32
            Sums over pixels of value x mm of the pixel's ray that the voxel stands for.

        Raises
        ------
        InputError
            If the images do not fit the views, or a pixel is not finite.
        """
        if len(views) != len(self.geometry.views):
            raise InputError(f"{len(views)} images came for {len(self.geometry.views)} views; give one for each.")
        images = [
            _checked(image, view.shape, f"image {number}", "its view")
            for number, (image, view) in enumerate(zip(views, self.geometry.views, strict=True))
        ]
        for number, image in enumerate(images):
            _refuse_non_finite(image, f"image {number}")
        return self._native.adjoint(images, self.threads)


def project(
    volume: ArrayLike,
    geometry: Geometry,
    *,
    camera: GammaCamera | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> tuple[Image, ...]:
    """Return what views see of a volume, see :class:`Projector`.

    Parameters
    ----------
    volume : ndarray, shape (slices, rows, columns), float32
        Activity, or attenuation, per mm.
    geometry : Geometry
        The voxels and the views.
    camera, threads, device
        See :class:`Projector`.

    Returns
    -------
    tuple of ndarray, shape (rows, columns), float32
        One image for each view: sums of value x mm.

    Examples
    --------
    >>> import numpy as np
    >>> from photopeak.kernels.reconstruction.geometry import Geometry, Grid
    >>> views = project(np.ones((4, 4, 4)), Geometry.around(Grid((4, 4, 4), (2.0, 2.0, 2.0)), (0, 90)))
    >>> [float(view.max()) for view in views]
    [8.0, 8.0]
    """
    return Projector(geometry, camera=camera, threads=threads, device=device).forward(volume)


def backproject(
    views: Sequence[ArrayLike],
    geometry: Geometry,
    *,
    camera: GammaCamera | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> Image:
    """Return the transpose of :func:`project` applied to images.

    Parameters
    ----------
    views : sequence of ndarray, shape (rows, columns), float32
        One image for each view.
    geometry : Geometry
        The voxels and the views.
    camera, threads, device
        See :class:`Projector`.

    Returns
    -------
    ndarray, shape (slices, rows, columns), float32

    Examples
    --------
    >>> import numpy as np
    >>> from photopeak.kernels.reconstruction.geometry import Geometry, Grid
    >>> geometry = Geometry.around(Grid((4, 4, 4), (2.0, 2.0, 2.0)), (0, 90))
    >>> float(backproject([np.ones((4, 4))] * 2, geometry).max())  # 2 mm in each view
    4.0
    """
    return Projector(geometry, camera=camera, threads=threads, device=device).adjoint(views)


def _checked(values: ArrayLike, shape: tuple[int, ...], name: str, fits: str) -> Image:
    array: NDArray[Any] = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise InputError(f"{name} holds {array.dtype}; give real numbers.")
    if array.shape != shape:
        raise InputError(f"{name} has shape {array.shape}, and {fits} {shape}; give one that fits.")
    return np.ascontiguousarray(array, np.float32)


def _refuse_non_finite(array: Image, name: str) -> None:
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} has the value {array[where]} at {where}; give finite numbers.")


def _native_grid(grid: Grid) -> _native.VolumeGrid:
    return _native.VolumeGrid(grid.shape[::-1], grid.spacing_mm[::-1], grid.first_mm)


def _native_detector(view: View) -> _native.Detector:
    right = np.multiply(view.right, view.spacing_mm[1])
    down = np.multiply(view.down, view.spacing_mm[0])
    rows, columns = view.shape
    first = np.array(view.center_mm) - right * (columns - 1) / 2 - down * (rows - 1) / 2
    pixels = tuple(tuple(vector.tolist()) for vector in (first, right, down))
    origin = view.looking if view.source_mm is None else view.source_mm
    return _native.Detector(rows, columns, pixels, view.source_mm is not None, origin)
