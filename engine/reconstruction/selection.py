"""Which frames of which files are the views."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from ..dicom.attributes import integer, tag_name, text
from ..dicom.guard import DEFAULT_LIMITS, Limits
from ..dicom.quiet import input_errors
from ..errors import InputError, UsageError
from ..frames import FrameInfo, Frames
from ..reading import read

__all__ = ["Chosen", "PathLike", "choose", "spelled"]

PathLike = str | os.PathLike[str]

XRAY = ("XA", "RF")
_NUMBERS = re.compile(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*")


@dataclass(frozen=True, eq=False)
class Chosen:
    """One frame that is a view.

    Parameters
    ----------
    path : Path
        Its file.
    frames : Frames
        All frames of the file.
    index : int
        Which one, from 0.
    """

    path: Path
    frames: Frames
    index: int

    @property
    def header(self) -> Dataset | None:
        """The object's header; None for arrays."""
        return self.frames.instances[self.info.instance].header if self.frames.instances else None

    @property
    def info(self) -> FrameInfo:
        """What the frame shows."""
        return self.frames.info[self.index]

    def __str__(self) -> str:
        return f"{self.path.name} frame {self.index + 1}" if len(self.frames) > 1 else self.path.name


def choose(paths: Sequence[PathLike], *, limits: Limits = DEFAULT_LIMITS) -> tuple[Chosen, ...]:
    """Return the frames that paths name, in their order.

    Parameters
    ----------
    paths : sequence of path
        Files of one series each; ``run.dcm@12`` names frame 12, ``spect.dcm@1,16`` and ``spect.dcm@1-16`` several.
    limits : Limits
        What reading may cost.

    Returns
    -------
    tuple of Chosen
        Without a number: all frames of arrays, of static and whole-body scans and of projections for tomography, the
        representative frame of an X-ray run.

    Raises
    ------
    UsageError
        If a number is none of a file's frames, one frame is named twice, or nothing says which frame is meant.
    InputError
        If a file cannot be read.
    """
    if not paths:
        raise UsageError("no view is given; give two files, or one file and its frames.")
    read_files: dict[Path, Frames] = {}
    chosen: list[Chosen] = []
    for raw in paths:
        path, numbers = spelled(raw)
        frames = read_files.get(path)
        if frames is None:
            frames = read_files[path] = read(path, limits=limits)
        with input_errors(path):
            chosen += [Chosen(path, frames, index) for index in _indices(path, frames, numbers)]
    seen: set[tuple[Path, int]] = set()
    for one in chosen:
        if (one.path.resolve(), one.index) in seen:
            raise UsageError(f"{one.path}: frame {one.index + 1} is given twice; a view must be another image.")
        seen.add((one.path.resolve(), one.index))
    return tuple(chosen)


def spelled(raw: PathLike) -> tuple[Path, tuple[int, ...]]:
    """Return a path, and the numbers of frames behind its last @; none where there are none.

    Examples
    --------
    >>> spelled("spect.dcm@1,5-7")[1]
    (1, 5, 6, 7)
    """
    path = Path(raw)
    stem, at, numbers = str(raw).rpartition("@")
    if not at or path.exists() or not _NUMBERS.fullmatch(numbers):
        return path, ()
    found: list[int] = []
    for part in numbers.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    if not found:
        raise UsageError(f"{raw}: {numbers} names no frame; write the smaller number first.")
    return Path(stem), tuple(found)


def _indices(path: Path, frames: Frames, numbers: Sequence[int]) -> Sequence[int]:
    count = len(frames)
    wrong = [number for number in numbers if not 1 <= number <= count]
    if wrong:
        raise UsageError(f"{path}: has no frame {wrong[0]}; give 1 to {count}.")
    if numbers or count == 1 or not frames.instances:
        return [number - 1 for number in numbers] or range(count)
    header = frames.instances[0].header
    if frames.modality in XRAY:
        return [_representative(path, header, count)]
    return _nuclear(path, header, frames)


def _representative(path: Path, header: Dataset, count: int) -> int:
    number = integer(header, "RepresentativeFrameNumber")
    if text(header, "PositionerMotion") == "DYNAMIC" or number is None or not 1 <= number <= count:
        raise UsageError(f"{path}: holds {count} frames; name the one that is meant, such as {path.name}@{count // 2}.")
    return number - 1


def _nuclear(path: Path, header: Dataset, frames: Frames) -> Sequence[int]:
    kind = "".join(text(header, "ImageType").upper().split("\\")[2:3])
    if kind.startswith("RECON"):
        raise InputError("holds reconstructed slices; give the projections that they were made from.")
    if kind not in ("STATIC", "WHOLE BODY", "TOMO"):
        told = f" of kind {kind}" if kind else ""
        raise UsageError(
            f"{path}: holds {len(frames)} frames{told}; name those that are views, such as {path.name}@1,2."
        )
    if len({info.energy_window for info in frames.info}) > 1:
        raise InputError(
            f"{tag_name('EnergyWindowVector')} lists several windows; name the frames of one, such as {path.name}@1,2."
        )
    heads = [info.detector for info in frames.info]
    if kind != "TOMO" and len(set(heads)) < len(heads):
        raise InputError(
            f"holds {len(heads)} frames of {len(set(heads))} detector(s); name one of each, such as {path.name}@1,2."
        )
    return range(len(frames))
