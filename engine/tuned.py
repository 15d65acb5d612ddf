"""Tables of measured candidates, kept for this user, this machine and these versions.

A table belongs to one model, matrix and number of frames, and has a file of its own, so that writers never meet. Its folder
is named after a digest of everything that a measurement depends on, and the file repeats all of that: what was measured
elsewhere, with another version or for another model is never used. Files that are damaged, too large, links, or anything but
exactly a table are passed over, and so are those of other users. A session compares with float32 again whatever it takes.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field, ValidationError, model_validator

from ..kernels import user_cache
from ..kernels.user_cache import read_plain
from .domain_statistics import Strict
from .files import atomic_write
from .machine import Machine, machine, versions
from .matrix import MatrixSize

__all__ = ["TILES", "Cell", "Key", "Measured", "Table", "cache_folder", "cells", "key_of", "read", "store"]

FORMAT = 1  # of a table, and of what its figures mean
TILES = (256, 512, 1024, 2048)  # edges of the tiles that are tried
LARGEST_TABLE = 4 << 20
LARGEST_CACHE = 64 << 20
_NAME = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})-([1-9][0-9]{0,5})(?:-t([1-9][0-9]{0,3}))?\.json")

Line = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00-\x1f\x7f]*$")]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Amount = Annotated[float, Field(ge=0)]


class _Stored(Strict):
    """Part of a table: types are taken literally, a number in quotes is none."""

    model_config = ConfigDict(strict=True)


class Measured(_Stored):
    """What was found out about one candidate.

    Parameters
    ----------
    provider, provider_version, device, precision, threads, streams, layout, throughout, batch, tile
        As in :class:`~photopeak.engine.plan.Plan`.
    problem : str
        Why it has no figures; empty for one that was measured.
    runs : int
        Calls that were timed; few for one that was dropped because others were clearly faster.
    median_ms, p99_ms : float
        Of a whole call with all frames, staging and finishing included [ms].
    model_ms : float
        Median of the time inside the graph alone [ms].
    loss_db : float
        Loss of PSNR against float32, with what the seams of tiles add [dB]; 0 for models of findings.
    max_error : float
        Largest difference from float32, relative to the peak [1].
    count_bias : float
        Largest relative change of a frame's sum by the bare graph, against float32 [1].
    ssim : float
        Least structural similarity to the output of float32 [1].
    probability_change : float
        Of models of findings: largest change of a calibrated probability [1].
    """

    provider: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    provider_version: Line
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]{1,2})?)$")]
    precision: Literal["fp32", "bf16", "fp16", "int8"]
    threads: Annotated[int, Field(ge=1, le=4096)]
    streams: Annotated[int, Field(ge=1, le=4096)] = 1
    layout: Literal["nchw", "nhwc"] = "nchw"
    throughout: bool = False
    batch: Count = 1
    tile: int = 0
    problem: Line = ""
    runs: Annotated[int, Field(ge=0)] = 0
    median_ms: Amount = 0.0
    p99_ms: Amount = 0.0
    model_ms: Amount = 0.0
    loss_db: Amount = 0.0
    max_error: Amount = 0.0
    count_bias: Amount = 0.0
    ssim: Annotated[float, Field(ge=-1, le=1)] = 1.0
    probability_change: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _can_be_true(self) -> "Measured":
        if self.runs and not self.median_ms:  # others are divided by it
            raise ValueError(f"{self.runs} calls took no time")
        if self.tile not in (0, *TILES):  # too small for a model's overlap, or so many that they fill the memory
            raise ValueError(f"tiles of {self.tile} are never tried")
        return self


class Key(_Stored):
    """Everything that a measurement depends on.

    Parameters
    ----------
    format : int
        Version of the table's format.
    machine : Machine
        Hardware and driver.
    versions : dict of str to str
        Of Photopeak, Python and the providers' libraries.
    digest : str
        The bundle's.
    """

    format: int
    machine: Machine
    versions: dict[str, str]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Cell(NamedTuple):
    """What a table is for: a matrix, the number of frames of one call, and of threads if only one number was tried."""

    matrix: MatrixSize
    frames: int
    threads: int = 0

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads != 1)}" if self.threads else ""
        return f"{self.matrix}, {self.frames} frame{'s' * (self.frames != 1)}{threads}"

    @property
    def file(self) -> str:
        """Name of the table's file."""
        return f"{self.matrix}-{self.frames}{f'-t{self.threads}' if self.threads else ''}.json"


class Table(_Stored):
    """All candidates for one model, matrix and number of frames on this machine.

    Parameters
    ----------
    key : Key
        What it is valid for.
    matrix : tuple of int
        Rows and columns that go into the graph; of models of findings those of the working grid.
    frames : int
        Frames of the calls that were timed.
    candidates : tuple of Measured
        In the order in which they were tried.
    threads : int
        The only number of threads that was tried; 0 for all that make sense.
    others : float
        Share of the processors that other programs used meanwhile; they lengthen some calls more than others.
    """

    key: Key
    matrix: tuple[Count, Count]
    frames: Count
    candidates: Annotated[tuple[Measured, ...], Field(max_length=4096)]
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    others: Annotated[float, Field(ge=0, le=1)] = 0.0

    @property
    def cell(self) -> Cell:
        """What it is for."""
        return Cell(MatrixSize(*self.matrix), self.frames, self.threads)


def key_of(digest: str) -> Key:
    """Return what a measurement of a bundle with this digest depends on, here and now."""
    return Key(format=FORMAT, machine=machine(), versions=versions(), digest=digest)


def cache_folder() -> Path:
    """Return the folder of all tables, in ``PHOTOPEAK_CACHE_DIR`` or the user's cache; it need not exist."""
    return user_cache.cache_folder("plans")


def store(table: Table) -> Path:
    """Keep a table, in place of an earlier one for the same cell, and forget the oldest when there are too many.

    Returns
    -------
    Path
        The file; readers see the old one or the new one, never a part.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    path = _folder(table.key) / table.cell.file
    with atomic_write(path) as file:
        file.write(table.model_dump_json(indent=1).encode())
    _forget_oldest(keep=path)
    return path


def cells(key: Key) -> tuple[Cell, ...]:
    """Return what was measured under a key, sorted; the tables themselves are not opened."""
    try:
        names = sorted(entry.name for entry in os.scandir(_folder(key)))
    except OSError:
        return ()
    sizes = [map(int, match.groups("0")) for match in map(_NAME.fullmatch, names) if match]
    return tuple(sorted(Cell(MatrixSize(rows, columns), *more) for rows, columns, *more in sizes))


def read(key: Key, cell: Cell) -> Table | None:
    """Return the table of a cell; None where there is none, or it is not exactly what it should be."""
    try:
        table = Table.model_validate_json(read_plain(_folder(key) / cell.file, LARGEST_TABLE))
    except (OSError, ValidationError):
        return None
    return table if (table.key, table.cell) == (key, cell) else None


def _folder(key: Key) -> Path:
    """Return the folder of everything that was measured under a key."""
    words = json.dumps(key.model_dump(), sort_keys=True)
    return cache_folder() / hashlib.sha256(words.encode()).hexdigest()[:32]


def _forget_oldest(keep: Path) -> None:
    """Delete the oldest tables until the rest fit the limit; others may be doing the same."""
    found = sorted(_files(), key=lambda one: one[1].st_mtime_ns, reverse=True)
    total = 0
    for path, status in found:
        total += status.st_size
        if total > LARGEST_CACHE and path != keep:
            path.unlink(missing_ok=True)
            with suppress(OSError):  # others may have put a table there meanwhile
                path.parent.rmdir()


def _files() -> Iterator[tuple[Path, os.stat_result]]:
    for path in cache_folder().glob("*/*.json"):
        with suppress(OSError):
            yield path, path.lstat()
