"""Coupled dictionaries: what ships, and files of one's own.

A file is an ``.npz`` of numbers and a few words, without pickled objects. Those that ship lie in the folder ``data``: a
dictionary is a parameter of a kernel, as the models of the image metrics are, and no bundle, as no graph belongs to it.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..files import atomic_write
from .coding import FEATURES, PATCH

__all__ = ["Dictionary", "resolve", "shipped"]

_DATA = Path(__file__).parent / "data"
_KIND = "photopeak scsr 1"
_MOST_ATOMS = 4096


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Pairs of atoms: what a patch is recognised by, and what it becomes.

    Parameters
    ----------
    name : str
        Such as ``pet``.
    low : ndarray, shape (100, atoms), float32
        Features of patches of the bicubic image; each column has length 1.
    high : ndarray, shape (atoms, 25), float32
        Patches on the doubled matrix, without the mean of the bicubic image.
    penalty : float
        Weight of the sum of magnitudes of a code, from 0 to 1.
    provenance : str
        What it was learned from.
    """

    name: str
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    penalty: float
    provenance: str = ""

    def __post_init__(self) -> None:
        for field in ("low", "high"):
            object.__setattr__(self, field, np.ascontiguousarray(getattr(self, field), np.float32))
        if problem := self._problem():
            raise ModelError(f"this is no dictionary: {problem}.")

    def _problem(self) -> str:
        """Return what is wrong with the numbers; empty if nothing."""
        atoms = self.low.shape[-1] if self.low.ndim == 2 else 0
        if self.low.shape != (FEATURES, atoms) or self.high.shape != (atoms, PATCH * PATCH):
            return f"low and high have shapes {self.low.shape} and {self.high.shape}"
        if not 1 <= atoms <= _MOST_ATOMS:
            return f"it has {atoms} atoms, not 1 to {_MOST_ATOMS}"
        if not (np.isfinite(self.low).all() and np.isfinite(self.high).all()):
            return "some numbers are not finite"
        if np.abs(np.linalg.norm(self.low.astype(np.float64), axis=0) - 1).max() > 1e-3:
            return "an atom of low does not have length 1"
        return "" if 0 < self.penalty < 1 else f"the penalty is {self.penalty}, not between 0 and 1"

    @cached_property
    def gram(self) -> NDArray[np.float32]:
        """Inner products of the atoms, shape (atoms, atoms), float32."""
        low = self.low.astype(np.float64)
        return np.ascontiguousarray(low.T @ low, np.float32)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file that :meth:`load` reads; an existing one is replaced once the new one is complete."""
        with atomic_write(Path(path)) as file:
            np.savez_compressed(
                file,
                kind=_KIND,
                name=self.name,
                low=self.low,
                high=self.high,
                penalty=self.penalty,
                provenance=self.provenance,
            )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Dictionary":
        """Read a dictionary.

        Raises
        ------
        ModelError
            If there is no such file, or it holds something else.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as found:
                if str(found["kind"]) != _KIND:
                    raise ModelError(f"{path} is no dictionary of this version of Photopeak; give another.")
                words = str(found["name"]), str(found["provenance"])
                return cls(words[0], found["low"], found["high"], float(found["penalty"]), words[1])
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror or error}; give a dictionary's file.") from error
        except ModelError:
            raise
        except Exception as error:  # a damaged header can make NumPy's parser raise almost anything
            raise ModelError(f"{path} is no dictionary: it is damaged or of another kind.") from error


def shipped() -> list[str]:
    """Return the names of the dictionaries that come with Photopeak.

    Examples
    --------
    >>> "pet" in shipped()
    True
    """
    return sorted(file.stem.removeprefix("scsr-") for file in _DATA.glob("scsr-*.npz"))


def resolve(dictionary: Any) -> Dictionary:
    """Return the dictionary that a name, a path or a dictionary means.

    Raises
    ------
    ModelError
        If there is no such dictionary.
    """
    if isinstance(dictionary, Dictionary):
        return dictionary
    if not isinstance(dictionary, str | PathLike):
        raise ModelError(f"a {type(dictionary).__name__} is no dictionary; give a name, a file or a Dictionary.")
    if dictionary in shipped():
        return _kept(str(_DATA / f"scsr-{dictionary}.npz"))
    if not Path(dictionary).exists():
        names = ", ".join(shipped())
        raise ModelError(f"there is no dictionary {str(dictionary)!r}; use {names} or the path of a file.")
    return Dictionary.load(dictionary)


@cache
def _kept(file: str) -> Dictionary:
    return Dictionary.load(file)
