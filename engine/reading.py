"""Reading files and folders: what is there, and which series it forms."""

import filecmp
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from stat import S_ISDIR

from .arrays import read_nifti, read_npy, shape_of
from .dicom.attributes import text
from .dicom.guard import DEFAULT_LIMITS, Limits, NotAnImage
from .dicom.parse import ImageFile, parse
from .dicom.quiet import input_errors
from .dicom.read import read_stack
from .dicom.series import group
from .errors import InputError
from .frames import Frames
from .matrix import MatrixSize

__all__ = ["Limits", "Scan", "Series", "no_image", "read", "read_all", "scan"]

PathLike = str | os.PathLike[str]
Inputs = PathLike | Sequence[PathLike]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Files that form one stack of frames; nothing but headers was read yet.

    Parameters
    ----------
    modality : str
        DICOM Modality (0008,0060); OT for files without a header.
    description : str
        Series Description (0008,103E), or the file's name.
    matrix : MatrixSize
        Rows and columns.
    frames : int
        Number of frames in all files.
    paths : tuple of Path
        The files, in frame order.
    load : callable
        ``load(suv)`` reads the pixels.
    """

    modality: str
    description: str
    matrix: MatrixSize
    frames: int
    paths: tuple[Path, ...]
    load: Callable[[bool], Frames]

    def __str__(self) -> str:
        return f"{self.modality} {self.description!r} {self.matrix}, {self.frames} frame(s), {self.paths[0].name}"


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What some paths hold.

    Parameters
    ----------
    series : tuple of Series
        What can be read, DICOM first.
    skipped : tuple of (Path, str)
        Files of folders that are no images, or the same object again, with the reason.
    damaged : tuple of InputError
        Images of folders that cannot be read: never dropped silently, since a series would lose a slice.
    """

    series: tuple[Series, ...]
    skipped: tuple[tuple[Path, str], ...] = ()
    damaged: tuple[InputError, ...] = ()


def read(path: Inputs, *, suv: bool = False, limits: Limits = DEFAULT_LIMITS) -> Frames:
    """Read one series.

    Parameters
    ----------
    path : path or sequence of paths
        A DICOM file, the files or the folder of one series, a ``.npy`` array or a NIfTI volume.
    suv : bool
        Turn PET activity into body-weight SUV [g/ml].
    limits : Limits
        What reading may cost.

    Returns
    -------
    Frames
        Values in physical units (counts, Bq/ml, SUV, HU); see :mod:`photopeak.engine.dicom.units`.

    Raises
    ------
    InputError
        If a file cannot be read, or there is not exactly one series.

    Examples
    --------
    >>> import numpy as np
    >>> path = getfixture("tmp_path") / "flood.npy"
    >>> np.save(path, np.full((64, 64), 7, np.uint16))
    >>> frames = read(path)
    >>> frames.matrix, float(frames.pixels.max())
    (MatrixSize(rows=64, columns=64), 7.0)
    """
    found = _scan_something(path, limits)
    if len(found) != 1:
        listed = "; ".join(str(series) for series in found[:6]) + ("; ..." if len(found) > 6 else "")
        raise InputError(f"{_spell(path)}: {len(found)} series found ({listed}); name one of them, or use read_all.")
    return found[0].load(suv)


def read_all(paths: Inputs, *, suv: bool = False, limits: Limits = DEFAULT_LIMITS) -> tuple[Frames, ...]:
    """Read every series that files and folders hold.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, and folders with all their subfolders. Files of folders that are no images are skipped; :func:`scan` lists
        them. A file that is named is never skipped.
    suv : bool
        Turn the activity of PET series into body-weight SUV [g/ml]; other series are not changed.
    limits : Limits
        What reading may cost; the memory limit holds for each series.

    Returns
    -------
    tuple of Frames
        At least one.

    Raises
    ------
    InputError
        If there is no image, or one cannot be read.
    """
    return tuple(series.load(suv and series.modality == "PT") for series in _scan_something(paths, limits))


def scan(paths: Inputs, *, limits: Limits = DEFAULT_LIMITS) -> Scan:
    """Return the series that files and folders hold, without reading pixels.

    Objects are grouped and ordered by their headers, never by file name. The same object twice is taken once when the files
    are bit-identical, and is an error when they differ, because one of them is not what it says.

    Parameters
    ----------
    paths : path or sequence of paths
        Files, and folders with all their subfolders; symbolic links to folders are not followed.
    limits : Limits
        What reading may cost.

    Returns
    -------
    Scan
        Series, skipped files and damaged images.

    Raises
    ------
    InputError
        If a path does not exist, or a named file is damaged or no image.
    """
    skipped: list[tuple[Path, str]] = []
    damaged: list[InputError] = []
    images: dict[str, ImageFile] = {}
    arrays: list[Series] = []
    for path, named in _files(paths, skipped):
        try:
            if _is_array(path):
                arrays.append(_array_series(path, limits))
            else:
                image = parse(path, limits)
                first = images.setdefault(text(image.header, "SOPInstanceUID"), image)
                if first is not image:
                    skipped.append((path, _repeated(first.path, path)))
        except NotAnImage as error:
            if named:
                raise
            skipped.append((path, str(error).removeprefix(f"{path}: ")))
        except InputError as error:
            if named:
                raise
            damaged.append(error)
    stacks = group(images.values())
    return Scan((*map(_dicom_series, stacks), *arrays), tuple(skipped), tuple(damaged))


def _scan_something(paths: Inputs, limits: Limits) -> tuple[Series, ...]:
    """Return the series of `paths`: at least one, and nothing that cannot be read."""
    found = scan(paths, limits=limits)
    if found.damaged:
        raise found.damaged[0]
    if not found.series:
        raise no_image(paths, found)
    return found.series


def no_image(paths: Inputs, found: Scan) -> InputError:
    """Return the error that says that there is no image, with an example of what there is."""
    example = f", for example {found.skipped[0][0].name} {found.skipped[0][1]}" if found.skipped else ""
    return InputError(f"{_spell(paths)}: holds no image{example.rstrip('.')}; give DICOM, NIfTI or .npy files.")


def _as_paths(paths: Inputs) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(path) for path in paths]


def _spell(paths: Inputs) -> str:
    """Return paths for a message."""
    listed = _as_paths(paths)
    return f"{listed[0]}{f' and {len(listed) - 1} more' if len(listed) > 1 else ''}" if listed else "No path given"


def _files(paths: Inputs, skipped: list[tuple[Path, str]]) -> Iterator[tuple[Path, bool]]:
    """Yield each file and whether it was named; note what is skipped."""
    for path in _as_paths(paths):
        try:
            folder = S_ISDIR(path.stat().st_mode)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(f"{path}: cannot be read ({reason}); check the path.") from error
        if folder:
            yield from ((file, False) for file in _walk(path, skipped))
        else:
            yield path, True


def _walk(folder: Path, skipped: list[tuple[Path, str]]) -> Iterator[Path]:
    """Yield the files of a folder and its subfolders; links to folders are noted, not followed, so that none can loop."""

    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror}); check its permissions.") from error

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        linked = [Path(parent, name) for name in folders if os.path.islink(Path(parent, name))]  # noqa: PTH114 - raises nothing
        skipped += [(link, "is a symbolic link to a folder.") for link in linked]
        for path in (Path(parent, name) for name in sorted(names)):
            if _may_be_file(path):
                yield path
            else:
                skipped.append((path, "is a broken link or no regular file."))


def _may_be_file(path: Path) -> bool:
    """Return whether a path leads to a regular file, or cannot be followed; reading it then tells why."""
    try:
        return path.is_file()
    except OSError:
        return True


def _is_array(path: Path) -> bool:
    return path.name.lower().endswith((".npy", ".nii", ".nii.gz"))


def _array_series(path: Path, limits: Limits) -> Series:
    n, rows, columns = shape_of(path, limits)
    reader = read_npy if path.suffix.lower() == ".npy" else read_nifti
    return Series("OT", path.name, MatrixSize(rows, columns), n, (path,), partial(_load_array, reader, path, limits))


def _load_array(reader: Callable[[Path, Limits], Frames], path: Path, limits: Limits, suv: bool) -> Frames:
    if suv:
        raise InputError(f"{path}: has no header to compute SUV from; read it without SUV.")
    return reader(path, limits)


def _dicom_series(stack: Sequence[ImageFile]) -> Series:
    header = stack[0].header
    with input_errors(stack[0].path):
        modality, description = text(header, "Modality") or "OT", text(header, "SeriesDescription")
    return Series(
        modality,
        description,
        stack[0].layout.matrix,
        sum(image.layout.frames for image in stack),
        tuple(image.path for image in stack),
        partial(_load_stack, stack),
    )


def _load_stack(stack: Sequence[ImageFile], suv: bool) -> Frames:
    return read_stack(stack, suv=suv)


def _repeated(known: Path, path: Path) -> str:
    """Return why an object that was seen before is skipped, or refuse it when its content differs."""
    if not filecmp.cmp(known, path, shallow=False):
        raise InputError(f"{path}: has the SOP Instance UID of {known} but other content; remove one of them.")
    return f"is the same object as {known}."
