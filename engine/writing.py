"""Results to files: derived DICOM for DICOM sources, arrays and NIfTI for the others."""

import gzip
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from . import _native
from .errors import InputError
from .files import atomic_write
from .result import Result

if TYPE_CHECKING:
    from .analysis.result import AnalysisResult

__all__ = ["Content", "content", "safe_name", "write", "write_all"]

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SUFFIXES = re.compile(r"(\.(dcm|ima|npy|nii|gz|png|jpe?g|tiff?|bmp))+$", re.IGNORECASE)

Save = Callable[[IO[bytes]], object]
Content = tuple[str, str, Save]
"""Name without suffix, suffix and writer of a file."""


def write(result: "Result | AnalysisResult", out_dir: str | Path) -> list[Path]:
    """Write processed frames in the form of their source, or what was found in them.

    DICOM sources give one derived object for each source object, in a new series; NIfTI gives ``.nii.gz``, with the
    affine adjusted so that the edges of the voxels align; everything else gives ``.npy`` of shape (n, rows, columns).
    Files are named ``<source>_<model>``. What is there already is never overwritten: a new file gets ``-2``, ``-3``,
    ... after its name. For findings see :func:`photopeak.engine.analysis.pipeline.write_analysis`.

    Parameters
    ----------
    result : Result or AnalysisResult
        What a session's ``run`` returned.
    out_dir : path
        Folder; made when it is not there.

    Returns
    -------
    list of Path
        The files, in the order of the source.

    Raises
    ------
    InputError
        If the folder cannot be written, values are not finite, or a source's header cannot be used. Nothing is left
        behind.

    Examples
    --------
    >>> import photopeak
    >>> frames = photopeak.Frames.from_array(np.full((64, 64), 9.0), source="flood.npy", units="CNTS")
    >>> result = photopeak.load("scint-denoise", device="cpu", threads=1).run(frames)
    >>> [path.name for path in write(result, getfixture("tmp_path"))]
    ['flood_scint-denoise.npy']
    """
    if not isinstance(result, Result):
        from .analysis.pipeline import write_analysis

        return list(write_analysis(result, out_dir))
    _require_finite(result)
    return write_all(out_dir, _contents(result))


def write_all(out_dir: str | Path, contents: Iterable[Content]) -> list[Path]:
    """Write files, or none of them; what is there already is never overwritten.

    Parameters
    ----------
    out_dir : path
        Folder; made when it is not there and there is something to write.
    contents : iterable of tuple
        Name, suffix and writer of each file; a name that is taken gets ``-2``, ``-3``, ...

    Returns
    -------
    list of Path
        The files, in the same order.

    Raises
    ------
    InputError
        If the folder cannot be written.

    Examples
    --------
    >>> [path.name for path in write_all(getfixture("tmp_path"), [content("note", ".txt", b"seen")])]
    ['note.txt']
    """
    folder = Path(out_dir)
    written: list[Path] = []
    try:
        for stem, suffix, save in contents:
            folder.mkdir(parents=True, exist_ok=True)  # a file of its name is an error, not a name that is taken
            written.append(_write_new(folder, stem, suffix, save))
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InputError(f"{folder}: cannot be written ({error.strerror}); choose another folder.") from error
        raise
    return written


def content(stem: str, suffix: str, data: bytes) -> Content:
    """Return a file whose bytes are known."""
    return stem, suffix, partial(_save_bytes, data)


def _contents(result: Result) -> Iterator[Content]:
    """Yield name, suffix and writer of each file."""
    source = result.source
    if source.instances:
        from .dicom.write import derived_files  # pydicom takes 0.1 s to import, and arrays do without

        for name, data in derived_files(result):
            yield content(_stem(name, result), ".dcm", data)
    elif source.affine is not None:
        yield _stem(source.source, result), ".nii.gz", partial(_save_nifti, result)
    else:
        yield _stem(source.source, result), ".npy", partial(_save_array, result)


def _save_bytes(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def _save_array(result: Result, file: IO[bytes]) -> None:
    np.save(file, result.frames.pixels, allow_pickle=False)


def _save_nifti(result: Result, file: IO[bytes]) -> None:
    """Write float32 voxels data[i, j, k] = pixels[k, j, i], without a time stamp: equal results give equal files."""
    import nibabel

    scale = result.bundle.manifest.image_output.scale
    to_old_voxels = np.diag([1 / scale, 1 / scale, 1, 1])
    to_old_voxels[:2, 3] = (1 / scale - 1) / 2
    image: Any = nibabel.Nifti1Image(result.frames.pixels.transpose(2, 1, 0), result.source.affine @ to_old_voxels)
    image.header.set_xyzt_units("mm")
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(image.to_bytes())


def _stem(name: str, result: Result) -> str:
    """Return a file name without suffix."""
    return f"{safe_name(name)}_{result.bundle.manifest.name}"


def safe_name(name: str) -> str:
    """Return one path component of harmless characters: names on disk and in headers may hold anything."""
    return _UNSAFE.sub("_", _SUFFIXES.sub("", name)).strip("._-")[:80] or "image"


def _write_new(folder: Path, stem: str, suffix: str, save: Save) -> Path:
    """Write a file that was not there, under the first free name."""
    for number in count(1):
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}"
        if path.exists():
            continue
        try:
            with atomic_write(path, replace=False) as file:
                save(file)
        except FileExistsError:  # another process was faster
            continue
        return path
    raise AssertionError("unreachable")


def _require_finite(result: Result) -> None:
    """Refuse NaN and infinity, which no stored value stands for."""
    _, _, misfit = _native.admit(np.ascontiguousarray(result.frames.pixels), 1)
    if misfit >= 0:
        where = f"{result.source.source}: output frame {misfit + 1}"
        raise InputError(f"{where} holds NaN or infinite values; process it again in fp32.")
