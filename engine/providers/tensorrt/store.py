"""Engines on disk, each with a record that binds its content to what it is for.

An engine is executable code: nothing here reads one that another user could have put there, whose content is not that of
its record, or whose record is for something else.
"""

import hashlib
import os
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from ....kernels import user_cache
from ....kernels.user_cache import read_plain
from ...domain_statistics import Strict
from ...errors import ModelError, UsageError
from ...files import atomic_write
from ...golden import Shape
from ...manifest import Sha256
from .build import Built
from .key import EngineKey, Need
from .layers import Layer

__all__ = [
    "Record",
    "adopt",
    "cache_folder",
    "discard",
    "find",
    "keep",
    "read_blob",
    "read_engine",
    "read_record",
    "unusable",
    "write_blob",
    "write_engine",
]

LARGEST_RECORD = 8 << 20
LARGEST_ENGINE = 2 << 30
LARGEST_BLOB = 256 << 20
LARGEST_CACHE = 4 << 30
_DIGEST_BYTES = 32


class Record(Strict):
    """What lies beside an engine.

    Parameters
    ----------
    key : EngineKey
        What the engine is for.
    sha256 : str
        Digest of the engine.
    size : int
        Of the engine [byte].
    seconds : float
        Wall time of building it [s].
    layers : tuple of Layer
        What it is made of.
    """

    key: EngineKey
    sha256: Sha256
    size: Annotated[int, Field(ge=1, le=LARGEST_ENGINE)]
    seconds: Annotated[float, Field(ge=0)]
    layers: tuple[Layer, ...]


def cache_folder() -> Path:
    """Return the folder of this user's engines, in ``PHOTOPEAK_CACHE_DIR`` or the user's cache; it need not exist."""
    return user_cache.cache_folder("engines")


def write_engine(folder: Path, stem: str, built: Built) -> Record:
    """Write an engine and then its record, so that a record never stands without its engine.

    Returns
    -------
    Record
        In ``<stem>.json``; the engine is in ``<stem>.engine``.
    """
    record = Record(
        key=built.key, sha256=built.sha256, size=len(built.data), seconds=round(built.seconds, 3), layers=built.layers
    )
    with atomic_write(folder / f"{stem}.engine") as file:
        file.write(built.data)
    with atomic_write(folder / f"{stem}.json") as file:
        file.write(record.model_dump_json(indent=1).encode())
    return record


def read_record(path: Path) -> Record:
    """Return the record in a file.

    Raises
    ------
    ModelError
        If it is anything else.
    """
    try:
        return Record.model_validate_json(read_plain(path, LARGEST_RECORD, owned=False))
    except (OSError, ValidationError) as error:
        raise ModelError(f"{path} is no record of an engine; build the engine again.") from error


def read_engine(path: Path, record: Record) -> bytes:
    """Return an engine whose content is that of its record.

    Raises
    ------
    ModelError
        If it cannot be read, or was changed.
    """
    try:
        data = read_plain(path, record.size, owned=False)
    except OSError as error:
        raise ModelError(f"{path} is no engine of {record.size} bytes ({error}); build it again.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != record.sha256:
        raise ModelError(
            f"{path} has SHA-256 {found[:12]}..., its record says {record.sha256[:12]}...: the engine was changed or "
            "damaged; build it again."
        )
    return data


def keep(built: Built) -> None:
    """Keep an engine in the user's cache; forget the oldest ones when there are too many."""
    folder = cache_folder()
    if not unusable(folder):
        write_engine(folder, built.key.digest[:32], built)
        _forget_oldest(folder, newest=built.key.digest[:32])


def find(need: Need, shape: Shape) -> tuple[Record, bytes] | None:
    """Return the user's engine for a need and the shape of a tensor; None where there is none.

    For a single frame the one whose batches are smallest, for several the one whose batches are largest. Entries that are
    damaged, or not what their name says, are deleted.
    """
    folder = cache_folder()
    if unusable(folder):
        return None
    fitting = []
    for path in sorted(folder.glob("*.json")):
        record = _whole(path)
        if record and not need.mismatch(record.key, shape):
            most = record.key.profiles[record.key.profile_for(shape)].most
            fitting.append((most if shape[0] == 1 else -most, len(record.key.profiles), path, record))
    for *_, path, record in sorted(fitting, key=lambda one: one[:3]):
        try:
            return record, read_engine(path.with_suffix(".engine"), record)
        except ModelError:
            discard(path)
    return None


def adopt(folder: Path, digests: dict[str, str]) -> tuple[Record, ...]:
    """Copy engines that were built elsewhere into the user's cache, where providers find them.

    Parameters
    ----------
    folder : Path
        Written by ``photopeak export --to tensorrt-rtx``.
    digests : dict of str to str
        SHA-256 of each engine by its file name, from somebody whose engines you are willing to run: they are code. What
        lies in the folder itself proves nothing.

    Returns
    -------
    tuple of Record
        Of the engines taken.

    Raises
    ------
    ModelError
        If one of them is not there, or not what its digest says; nothing is taken then.
    UsageError
        If the user's cache cannot be used.
    """
    taken = []
    for name, digest in digests.items():
        if Path(name).name != name or not name.endswith(".engine"):
            raise ModelError(f"{name!r} is no name of an engine; give names of files in {folder} alone.")
        record = read_record((folder / name).with_suffix(".json"))
        if record.sha256 != digest.lower():
            raise ModelError(f"{folder / name} has another digest than the one that you trust; get it again.")
        taken.append((record, read_engine(folder / name, record)))
    if taken and (problem := unusable(cache_folder())):
        raise UsageError(
            f"engines cannot be kept in {cache_folder()}: {problem}; set PHOTOPEAK_CACHE_DIR to a folder of yours."
        )
    for record, data in taken:
        keep(Built(record.key, data, record.seconds, record.layers))
    return tuple(record for record, _ in taken)


def write_blob(path: Path, data: bytes) -> None:
    """Keep what a library made for this machine, with its digest."""
    with atomic_write(path) as file:
        file.write(hashlib.sha256(data).digest() + data)


def read_blob(path: Path) -> bytes:
    """Return what was kept, or nothing when it is missing or damaged."""
    try:
        content = read_plain(path, LARGEST_BLOB)
    except OSError:
        return b""
    digest, data = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return data if hashlib.sha256(data).digest() == digest else b""


def discard(path: Path) -> None:
    """Delete a record with its engine and what was compiled for it."""
    for part in path.parent.glob(f"{path.stem}.*"):
        with suppress(OSError):
            part.unlink()


@cache
def unusable(folder: Path) -> str:
    """Return why engines cannot be kept in `folder`, once also as a warning; empty if they can."""
    problem = user_cache.problem_of_folder(folder)
    if problem:
        warnings.warn(
            f"Engines cannot be kept in {folder} ({problem}), so that each session builds them again; "
            "set PHOTOPEAK_CACHE_DIR to a folder of your own.",
            RuntimeWarning,
            stacklevel=3,
        )
    return problem


def _whole(path: Path) -> Record | None:
    """Return the record of an entry of the cache; one that is damaged or misnamed is deleted."""
    try:
        record = read_record(path)
    except ModelError:
        record = None
    if record is None or record.key.digest[:32] != path.stem:
        discard(path)
        return None
    return record


def _forget_oldest(folder: Path, newest: str) -> None:
    """Delete the oldest engines until the rest fit the limit; others may be doing the same."""
    found = sorted(_engines(folder), key=lambda one: one[1].st_mtime_ns, reverse=True)
    total = 0
    for path, status in found:
        total += status.st_size
        if total > LARGEST_CACHE and path.stem != newest:
            discard(path)


def _engines(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in folder.glob("*.engine"):
        with suppress(OSError):
            yield path, path.lstat()
