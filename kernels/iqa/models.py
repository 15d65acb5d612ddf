"""Parameters that no-reference metrics were trained to: what ships, and files of one's own.

A file is an ``.npz`` without pickled objects: numbers, a few words, and a digest of both that is checked when it is read.
Shipped models are the files ``<metric>-<name>.npz`` in the folder ``data``; one more file there is one more model.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelError
from ..files import atomic_write

__all__ = ["BrisqueModel", "NiqeModel", "resolve", "shipped"]

FEATURES = 36
_DATA = Path(__file__).parent / "data"
_FORMAT = 1
_LARGEST = 64 << 20
_ROUNDING = 1e-12  # of a covariance's trace, what its least eigenvalue may be below 0


@dataclass(frozen=True, eq=False)
class _Model(ABC):
    """What both kinds of models have: a name, a history, a digest, a file."""

    metric: ClassVar[str] = ""

    name: str
    provenance: str = field(kw_only=True, default="")

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value = np.array(value, np.float64)
                value.flags.writeable = False
            elif isinstance(value, np.generic):
                value = value.item()
            object.__setattr__(self, item.name, value)
        problem = self._problem() if isinstance(self.name, str) and self.name else f"the name is {self.name!r}"
        if problem:
            raise ModelError(f"these are no {self.metric} parameters: {problem}.")

    @abstractmethod
    def _problem(self) -> str:
        """Return what is wrong with the numbers; empty if nothing."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the numbers and words, in hexadecimal."""
        digest = hashlib.sha256(f"{self.metric} {_FORMAT}".encode())
        for item in fields(self):
            value = getattr(self, item.name)
            digest.update(f"\n{item.name} ".encode())
            if isinstance(value, np.ndarray):
                digest.update(repr(value.shape).encode() + value.astype("<f8").tobytes())
            else:
                digest.update(repr(value).encode())
        return digest.hexdigest()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a file that :meth:`load` reads.

        Parameters
        ----------
        path : str or path
            Where to; an existing file is replaced once the new one is complete.

        Raises
        ------
        ModelError
            If the file cannot be written.
        """
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        try:
            with atomic_write(Path(path)) as file:
                np.savez_compressed(file, metric=self.metric, format=_FORMAT, digest=self.digest, **values)
        except OSError as error:
            raise ModelError(f"{path} cannot be written: {error.strerror or error}; choose another place.") from error

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model.

        Parameters
        ----------
        path : str or path
            A file that :meth:`save` wrote.

        Raises
        ------
        ModelError
            If there is no such file, it is of another kind or format, or its contents were changed.
        """
        file = Path(path)
        try:
            with ZipFile(file) as contents:
                if sum(part.file_size for part in contents.infolist()) > _LARGEST:
                    raise ModelError(f"{file} holds more than {_LARGEST >> 20} MB and is thus no {cls.metric} model.")
            with np.load(file, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
        except OSError as error:
            raise ModelError(f"{file} cannot be read: {error.strerror or error}; give a model's file.") from error
        except ModelError:
            raise
        except Exception as error:  # a damaged header can make NumPy's parser raise almost anything
            raise ModelError(f"{file} is no {cls.metric} model: it is damaged or of another kind.") from error
        return cls._from(found, file)

    @classmethod
    def _from(cls, found: dict[str, NDArray[Any]], file: Path) -> Self:
        kind, version = (str(found.get(name, "")) for name in ("metric", "format"))
        if kind != cls.metric:
            raise ModelError(f"{file} is no {cls.metric} model{f' but one of {kind}' if kind else ''}; give another.")
        if version != str(_FORMAT):
            raise ModelError(f"{file} has format {version}; this version of Photopeak reads format {_FORMAT}.")
        try:
            values = {item.name: _plain(found[item.name]) for item in fields(cls)}
            model = cls(**values)
        except (KeyError, ValueError, TypeError, ModelError) as error:
            raise ModelError(f"{file} is damaged: {error}; get it again.") from error
        if model.digest != str(found.get("digest", "")):
            raise ModelError(f"{file} is damaged: its contents do not have the digest that it states; get it again.")
        return model


@dataclass(frozen=True, eq=False)
class NiqeModel(_Model):
    """What NIQE compares an image with: the features of blocks of good images.

    Parameters
    ----------
    name : str
        Such as ``live``.
    mean : ndarray, shape (36,), float64
        Mean of the features.
    covariance : ndarray, shape (36, 36), float64
        Their covariance.
    block : int
        Edge of a block [pixels], even.
    provenance : str
        Where the numbers come from.
    """

    metric: ClassVar[str] = "niqe"

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    block: int = 96

    def _problem(self) -> str:
        if self.mean.shape != (FEATURES,) or self.covariance.shape != (FEATURES, FEATURES):
            return f"mean and covariance have shapes {self.mean.shape} and {self.covariance.shape}"
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            return "some are not finite"
        if not np.allclose(self.covariance, self.covariance.T, rtol=1e-9, atol=0):
            return "the covariance is not symmetric"
        if self.least < -_ROUNDING * np.trace(self.covariance):
            return f"the covariance has the negative eigenvalue {self.least:.3g}"
        if not (isinstance(self.block, int) and 16 <= self.block <= 512 and self.block % 2 == 0):
            return f"block is {self.block}, not an even number from 16 to 512"
        return ""

    @cached_property
    def least(self) -> float:
        """Smallest eigenvalue of the covariance."""
        return float(np.linalg.eigvalsh(self.covariance)[0])


@dataclass(frozen=True, eq=False)
class BrisqueModel(_Model):
    """What BRISQUE turns features into a score with: a support vector regression with a Gaussian kernel.

    Parameters
    ----------
    name : str
        Such as ``live``.
    low, high : ndarray, shape (36,), float64
        Values of the features that are scaled to -1 and 1.
    vectors : ndarray, shape (n, 36), float64
        Support vectors, in scaled features.
    weights : ndarray, shape (n,), float64
        Their coefficients.
    gamma : float
        Inverse squared width of the kernel.
    intercept : float
        What is added to the weighted kernels.
    provenance : str
        Where the numbers come from.
    """

    metric: ClassVar[str] = "brisque"

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]
    gamma: float
    intercept: float

    def _problem(self) -> str:
        if self.low.shape != (FEATURES,) or self.high.shape != (FEATURES,) or not (self.low < self.high).all():
            return "the range of a feature is missing or empty"
        if self.vectors.shape != (self.weights.size, FEATURES) or self.weights.ndim != 1:
            return f"vectors and weights have shapes {self.vectors.shape} and {self.weights.shape}"
        if not all(np.isfinite(value).all() for value in (self.low, self.high, self.vectors, self.weights)):
            return "some are not finite"
        if not (np.isfinite(self.gamma) and self.gamma > 0 and np.isfinite(self.intercept)):
            return f"gamma is {self.gamma} and the intercept {self.intercept}"
        return ""

    @cached_property
    def columns(self) -> NDArray[np.float64]:
        """The vectors side by side, shape (36, n), as the kernel takes them."""
        columns = np.ascontiguousarray(self.vectors.T)
        columns.flags.writeable = False
        return columns


Model = TypeVar("Model", NiqeModel, BrisqueModel)


def shipped(metric: str) -> list[str]:
    """Return the names of the models of a metric that come with Photopeak.

    Examples
    --------
    >>> "live" in shipped("niqe")
    True
    """
    return sorted(file.stem.removeprefix(f"{metric}-") for file in _DATA.glob(f"{metric}-*.npz"))


def resolve(model: str | PathLike[str] | Model, kind: type[Model]) -> tuple[Model, str]:
    """Return a model, and what to call it beside a score.

    Parameters
    ----------
    model : str, path or model
        The name of a shipped model, the path of a file, or a model.
    kind : type
        Which kind of model.

    Returns
    -------
    model : NiqeModel or BrisqueModel
        The parameters.
    label : str
        The name; with the first digits of the digest unless it is a shipped model asked for by name.

    Raises
    ------
    ModelError
        If there is no such model, or it is of another kind.
    """
    if isinstance(model, kind):
        return model, f"{model.name}@{model.digest[:12]}"
    if not isinstance(model, str | PathLike):
        raise ModelError(
            f"a {type(model).__name__} is no {kind.metric} model; give a name, a file or a {kind.__name__}."
        )
    if isinstance(model, str) and (kept := _kept().get((kind.metric, model))):
        return cast(Model, kept), model
    names = shipped(kind.metric)
    if isinstance(model, str) and model in names:
        return _load(kind, model), model
    if not Path(model).exists():
        raise ModelError(
            f"there is no {kind.metric} model {str(model)!r}; use {', '.join(names)} or the path of a file."
        )
    return resolve(kind.load(model), kind)


def _load(kind: type[Model], name: str) -> Model:
    """Read a shipped model, and keep it for the next call."""
    model = kind.load(_DATA / f"{kind.metric}-{name}.npz")
    _kept()[kind.metric, name] = model
    return model


@cache
def _kept() -> dict[tuple[str, str], _Model]:
    return {}


def _plain(value: NDArray[Any]) -> Any:
    """Return arrays as they are, and what was a number or a word as that again."""
    return value.item() if value.ndim == 0 else value
