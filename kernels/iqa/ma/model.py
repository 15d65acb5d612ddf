"""The trained part of the metric: three forests and how their predictions are combined."""

import hashlib
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from .features import Features
from .forest import Forest

__all__ = ["PUBLISHED", "MaModel", "needed"]

# The git blob of model.mat in github.com/chaoma99/sr-metric (MIT licence).
PUBLISHED = "a852aefb6a49e52703044fee4fa60c3f5b8d5adc"
_SOURCE = "model.mat from https://github.com/chaoma99/sr-metric (MIT licence)"
# How many features each forest sees.
_SIZES = (18, 45, 75)
_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class MaModel:
    """What turns features into a score.

    Parameters
    ----------
    forests : tuple of Forest
        For local frequencies, global frequencies and spatial discontinuity.
    linear : tuple of float
        The score's intercept and the weight of each forest's prediction. The default is what the published file holds,
        found again from published scores and predictions.
    name : str
        What scores call it.
    """

    forests: tuple[Forest, Forest, Forest]
    linear: tuple[float, float, float, float] = (
        -0.30877805977185269,
        0.16557237335858666,
        0.37656372476093397,
        0.52368708955293486,
    )
    name: str = "custom"

    @classmethod
    def read(cls, path: str | PathLike[str], *, digest: str = PUBLISHED) -> "MaModel":
        """Read the forests from a MATLAB file.

        Parameters
        ----------
        path : path
            A file with the structure ``model``: cell ``rf`` of three forests of ``regRF_train``, and ``linear``.
        digest : str
            The git blob that the file has to be, as ``git hash-object`` prints it, so that nothing is read but what was
            meant. The default is the published file; forests that were trained anew need their own.

        Raises
        ------
        ModelError
            If the file cannot be read, is another one or holds something else.

        Notes
        -----
        Needs SciPy, which the extra ``photopeak[ma]`` brings along.
        """
        file = Path(path)
        found = _blob(file)
        if found != digest.lower():
            raise ModelError(
                f"{file} has the git blob {found}, not {digest}; get {_SOURCE}, "
                "or state the digest of forests that were trained anew."
            )
        fields = _structure(file)
        try:
            forests = [Forest.of(part, size) for part, size in zip(fields["rf"], _SIZES, strict=True)]
            intercept, *weights = (float(value) for value in np.ravel(fields["linear"]))
            linear = intercept, *map(float, np.array(weights).reshape(3))
            if not np.isfinite(linear).all():
                raise ValueError("a weight is not finite")
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{file} holds no model of three forests and four weights; get {_SOURCE}.") from error
        name = "published" if found == PUBLISHED else f"custom-{found[:12]}"
        return cls((forests[0], forests[1], forests[2]), (linear[0], linear[1], linear[2], linear[3]), name)

    def predict(self, features: Features) -> tuple[float, float, float]:
        """Return what each forest makes of its features."""
        one, two, three = (forest.predict(part) for forest, part in zip(self.forests, features, strict=True))
        return one, two, three

    def score(self, predictions: tuple[float, float, float]) -> float:
        """Return the score, about 0 (bad) to 10 (good), from the predictions of the forests."""
        intercept, *weights = self.linear
        return intercept + sum(weight * value for weight, value in zip(weights, predictions, strict=True))


def needed(model: MaModel | str | PathLike[str] | None) -> MaModel:
    """Return a model, read from its file if need be.

    Raises
    ------
    ModelError
        If there is none.
    """
    if model is None:
        raise ModelError(
            f"the metric of Ma et al. needs its forests, which do not come with Photopeak: download {_SOURCE} and pass "
            "its path as model= (--ma-model on the command line)."
        )
    return model if isinstance(model, MaModel) else MaModel.read(model)


def _blob(file: Path) -> str:
    """Return the digest that git knows a file's content by."""
    try:
        digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
        with file.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise ModelError(f"{file} cannot be read ({error.strerror}); pass the path of {_SOURCE}.") from error
    return digest.hexdigest()


def _structure(file: Path) -> dict[str, Any]:
    """Return the fields of the variable ``model``, cells as lists and structures as dictionaries."""
    try:
        from scipy.io.matlab import MatReadError, loadmat
    except ModuleNotFoundError as error:
        raise ModelError(f"reading {file} needs SciPy; install photopeak[ma].") from error
    try:
        # Bytes that MATLAB keeps as characters are not decoded into strings: nobody reads them.
        model = loadmat(file, variable_names=["model"], chars_as_strings=False)["model"]
    # SciPy's NotImplementedError: the file is of version 7.3, which is HDF5.
    except (KeyError, MatReadError, NotImplementedError, OSError, TypeError, ValueError, zlib.error) as error:
        raise ModelError(f"{file} is no MATLAB file of version 5 with a variable model; get {_SOURCE}.") from error
    return dict(_plain(model)) if model.dtype.names else {}


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "OV":
        return value
    if value.dtype.names:
        record = value.ravel()[0]
        return {name: _plain(record[name]) for name in value.dtype.names}
    return [_plain(item) for item in value.ravel()]
