"""Statistics of a model's training inputs, against which :mod:`photopeak.engine.domain` measures what comes."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

__all__ = ["Domain", "EmbeddingDomain", "Strict"]


class Strict(BaseModel):
    """A table of the manifest: no key is unknown, no number infinite, and nothing changes afterwards."""

    # Of most classes the checks are part of another one's, or never needed.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


def _numbers(row: Any) -> Any:
    return row.split() if isinstance(row, str) else row


def _words(row: Sequence[float]) -> str:
    return " ".join(map(str, row))


# Thousands of numbers: as a string, each row opens in a third of the time that Python's parser of TOML takes for a list.
Row = Annotated[tuple[float, ...], BeforeValidator(_numbers), PlainSerializer(_words, str, when_used="json")]


class Domain(Strict):
    """Statistics of the training inputs, in the features of :mod:`photopeak.engine.domain`.

    Parameters
    ----------
    features : tuple of str
        Names; must be those of this version of the engine.
    mean : tuple of float
        Mean of each feature.
    modes : tuple of tuple of float
        Means of the kinds of inputs that there are; none stands for a single kind.
    precision : tuple of tuple of float
        Inverse covariance matrix, of each kind about its mean.
    limits : tuple of float
        Mahalanobis distances to the nearest mode where ``border`` and ``outside`` begin.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    modes: tuple[tuple[float, ...], ...] = ()
    precision: tuple[tuple[float, ...], ...]
    limits: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _is_a_metric(self) -> "Domain":
        k = len(self.features)
        if not k or {len(self.mean), *map(len, self.modes)} != {k}:
            raise ValueError(f"mean, modes and precision must be of {k} features")
        _check_metric(self.precision, self.limits, k)
        return self

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Modes and precision as arrays."""
        return np.array(self.modes or (self.mean,)), np.array(self.precision)


class EmbeddingDomain(Strict):
    """Statistics of what the graph's head ``embedding`` gives for the training inputs.

    Parameters
    ----------
    mean : tuple of float
        Mean of each of its values.
    precision : tuple of tuple of float
        Inverse of their covariance matrix; in the file each row is a string of numbers.
    limits : tuple of float
        Mahalanobis distances to the mean where ``border`` and ``outside`` begin.

    References
    ----------
    * Lee, K. et al. (2018). A simple unified framework for detecting out-of-distribution samples and adversarial attacks.
      NeurIPS.
    """

    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=1024)]
    precision: tuple[Row, ...]
    limits: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _is_a_metric(self) -> "EmbeddingDomain":
        _check_metric(self.precision, self.limits, len(self.mean))
        return self

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and precision as arrays."""
        return np.array(self.mean), np.array(self.precision)

    def distances(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the Mahalanobis distance of each frame's embedding to the mean of training.

        Parameters
        ----------
        embedding : ndarray, shape (n, d) or (n, d, 1, 1), float32
            What the graph gave.

        Returns
        -------
        ndarray, shape (n,), float64
            Distances [1]; NaN where the embedding is no number.
        """
        mean, precision = self.arrays
        offset = embedding.reshape(len(embedding), len(mean)).astype(np.float64) - mean
        distances: NDArray[np.float64] = np.sqrt(np.abs(np.vecdot(offset @ precision, offset)))
        return distances


def _check_metric(precision: Sequence[Sequence[float]], limits: tuple[float, float], k: int) -> None:
    """Refuse what measures no distance between k values, as a ValueError."""
    if {len(precision), *map(len, precision)} != {k}:
        raise ValueError(f"mean, modes and precision must be of {k} features")
    matrix = np.array(precision)
    if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0:
        raise ValueError("precision must be symmetric and positive definite")
    if not limits[0] < limits[1]:
        raise ValueError("border must begin before outside")
