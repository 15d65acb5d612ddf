"""What is to be measured: every series and picture that files and folders hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import npy_pixels
from ..dicom.guard import DEFAULT_LIMITS, Limits
from ..errors import InputError
from ..failures import Failure, failure_of
from ..frames import Frames
from ..reading import Scan, Series, scan
from .pictures import is_picture, read_picture

__all__ = ["Found", "Image", "Source", "find", "image_of", "read_image"]


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A stack to be measured.

    Parameters
    ----------
    frames : Frames
        Values with header, spacing and units.
    pixels : ndarray, shape (n, rows, columns)
        The same values in the type that a file without header stores, which tells grey values from counts.
    files : tuple of Path, length n
        Where each frame comes from; empty for images from memory.
    rgb : ndarray, shape (n, rows, columns, 3), uint8, or None
        Colours, if it has any.
    """

    frames: Frames
    pixels: NDArray[Any]
    files: tuple[Path, ...] = ()
    rgb: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def luma(self, index: int) -> NDArray[Any]:
        """Return the Y plane of a frame; of a grey image that is the frame itself."""
        from ...kernels.iqa.perceptual import luma

        return self.pixels[index] if self.rgb is None else luma(self.rgb[index])

    def file_of(self, index: int) -> str:
        """Return the file that a frame comes from, as it was named."""
        return str(self.files[index]) if self.files else self.frames.source


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An image that was not read yet.

    Parameters
    ----------
    name : str
        For messages.
    frames : int
        How many frames it has; pictures of several pages count as one.
    load : callable
        Reads it.
    """

    name: str
    frames: int
    load: Callable[[], Image]


@dataclass(frozen=True, slots=True)
class Found:
    """What some paths hold: images, and what could not be used, with the reason."""

    sources: tuple[Source, ...]
    failures: tuple[Failure, ...] = ()


def image_of(frames: Frames) -> Image:
    """Return frames from memory, or from DICOM, as an image."""
    files = tuple(frames.instances[info.instance].path for info in frames.info) if frames.instances else ()
    return Image(frames, frames.pixels, files)


def read_image(path: Path, limits: Limits = DEFAULT_LIMITS) -> Image:
    """Read the only image of a file or folder.

    Raises
    ------
    InputError
        If it cannot be read, or there is not exactly one.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "flat.npy"
    >>> np.save(path, np.full((64, 64), 7, np.uint8))
    >>> read_image(path).pixels.dtype
    dtype('uint8')
    """
    found = find([path], limits)
    if found.failures:
        raise found.failures[0].error
    if len(found.sources) != 1:
        raise InputError(f"{path}: {len(found.sources)} images found; name one of them.")
    return found.sources[0].load()


def find(paths: Sequence[Path], limits: Limits = DEFAULT_LIMITS) -> Found:
    """Return the images that files and folders hold, with nothing but headers read.

    A file that cannot be used is told of and does not stop the others.

    Parameters
    ----------
    paths : sequence of Path
        DICOM, ``.npy``, NIfTI, PNG, JPEG, TIFF and BMP files, and folders of them.
    limits : Limits
        What reading may cost.
    """
    pictures = [path for path in paths if is_picture(path) and not path.is_dir()]
    failures = [
        failure_of(str(path), InputError(f"{path}: cannot be read (no such file); check the path."))
        for path in pictures
        if not path.exists()
    ]
    scanned, refused = _scan([path for path in paths if path not in pictures], limits)
    failures += refused
    failures += [failure_of(str(error).partition(":")[0], error) for error in scanned.damaged]
    pictures += [path for path, _ in scanned.skipped if is_picture(path) and path.is_file()]
    sources = [_of_series(series, limits) for series in scanned.series]
    sources += [Source(str(path), 1, partial(_picture, path, limits)) for path in pictures if path.exists()]
    if not sources and not failures:
        failures = [_nothing(path) for path in paths]
    return Found(tuple(sources), tuple(failures))


def _scan(paths: Sequence[Path], limits: Limits) -> tuple[Scan, list[Failure]]:
    """Return what there is, and the named files that cannot be used."""
    try:
        return scan(paths, limits=limits), []
    except InputError:
        return _scan_each(paths, limits)


def _scan_each(paths: Sequence[Path], limits: Limits) -> tuple[Scan, list[Failure]]:
    good, failures = [], []
    for path in paths:
        try:
            scan(path, limits=limits)
            good.append(path)
        except InputError as error:
            failures.append(failure_of(str(path), error))
    return scan(good, limits=limits), failures


def _of_series(series: Series, limits: Limits) -> Source:
    return Source(str(series.paths[0]), series.frames, partial(_series, series, limits))


def _series(series: Series, limits: Limits) -> Image:
    path = series.paths[0]
    if path.suffix.lower() == ".npy":
        pixels = npy_pixels(path, limits)
        return _without_header(pixels, path)
    frames = series.load(False)
    image = image_of(frames)
    return image if image.files else Image(frames, frames.pixels, (path,) * len(frames))


def _picture(path: Path, limits: Limits) -> Image:
    grey, rgb = read_picture(path, limits)
    return _without_header(grey, path, rgb)


def _without_header(pixels: NDArray[Any], path: Path, rgb: NDArray[np.uint8] | None = None) -> Image:
    frames = Frames.from_array(pixels, source=path.name)
    return Image(frames, pixels.reshape(frames.pixels.shape), (path,) * len(frames), rgb)


def _nothing(path: Path) -> Failure:
    error = InputError(f"{path}: holds no image; give DICOM, NIfTI, .npy, PNG, JPEG or TIFF files.")
    return Failure(str(path), error)
