"""Random forests for regression, as the toolbox randomforest-matlab grows and keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...compilation import compiled
from ...errors import InputError, ModelError

__all__ = ["Forest"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose nodes lie one after another, each before its children.

    Parameters
    ----------
    roots : ndarray, shape (trees,), int32
        Where each tree begins.
    left, right : ndarray, shape (nodes,), int32
        The children of a node; -1 if it is a leaf.
    feature : ndarray, shape (nodes,), int32
        What a node looks at; 0 in a leaf.
    value : ndarray, shape (nodes,), float64
        Features up to this go left; in a leaf, the prediction.
    intercept, slope : float
        Correct the bias of the mean over all trees.
    """

    roots: Integers
    left: Integers
    right: Integers
    feature: Integers
    value: Floats
    intercept: float = 0.0
    slope: float = 1.0

    @cached_property
    def _looks_at(self) -> int:
        """How many features there have to be."""
        return int(self.feature.max()) + 1

    @classmethod
    def of(cls, fields: Mapping[str, Any], features: int) -> "Forest":
        """Return the forest that ``regRF_train`` left in a MATLAB structure.

        Parameters
        ----------
        fields : mapping of str to ndarray
            ``lDau``, ``rDau``, ``mbest``, ``upper`` and ``avnode``, a row for each node and a column for each tree;
            ``ndtree``, how many nodes the trees have; perhaps ``coef``, the correction of the bias, zero if there is none.
            What ``nodestatus`` says is known already: a leaf has no children.
        features : int
            How many features there are.

        Raises
        ------
        ModelError
            If something is missing or contradicts itself.
        """
        missing = {"lDau", "rDau", "mbest", "upper", "avnode", "ndtree"} - set(fields)
        if missing:
            raise ModelError(
                f"a forest lacks {', '.join(sorted(missing))}; use the structure that regRF_train returns."
            )
        counts = np.asarray(fields["ndtree"], np.int64).ravel()
        names = ("lDau", "rDau", "mbest", "upper", "avnode")
        planes = [np.asarray(fields[name]).reshape(np.shape(fields[name])[0], -1) for name in names]
        rows = planes[0].shape[0]
        if (
            not counts.size
            or counts.min() < 1
            or counts.max() > rows
            or {p.shape for p in planes} != {(rows, counts.size)}
        ):
            raise ModelError(f"the arrays of a forest of {counts.size} trees do not fit together; the file is damaged.")
        kept = np.arange(rows) < counts[:, None]
        left, right, feature, upper, mean = (plane.T[kept] for plane in planes)
        return cls._joined(counts, (left, right, feature), (upper, mean), features, np.ravel(fields.get("coef", ())))

    @classmethod
    def _joined(
        cls,
        counts: NDArray[np.int64],
        links: tuple[NDArray[Any], ...],
        values: tuple[NDArray[Any], ...],
        features: int,
        correction: Floats,
    ) -> "Forest":
        """Return a forest from nodes that count from 1 within each tree."""
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        first = np.repeat(starts, counts)
        last = np.repeat(starts + counts, counts)
        leaf = links[0] == 0
        left, right = (np.where(leaf, -1, first + link - 1) for link in links[:2])
        feature = np.where(leaf, 0, links[2].astype(np.int64) - 1)
        value = np.where(leaf, values[1], values[0]).astype(np.float64)
        node = np.arange(leaf.size)
        descending = (left > node) & (left < last) & (right > node) & (right < last)
        if (
            not np.all(leaf | descending)
            or feature.min() < 0
            or feature.max() >= features
            or not np.isfinite(value).all()
        ):
            raise ModelError("the nodes of a forest do not make trees over its features; the file is damaged.")
        line = correction if np.any(correction != 0.0) else np.array([0.0, 1.0])
        if line.size != 2 or not np.isfinite(line).all():
            raise ModelError(f"the correction of a forest is {line.tolist()}, not two numbers; the file is damaged.")
        starts, left, right, feature = (part.astype(np.int32) for part in (starts, left, right, feature))
        return cls(starts, left, right, feature, value, *map(float, line))

    def predict(self, features: Floats) -> float:
        """Return the mean prediction of the trees for one vector of features.

        Raises
        ------
        InputError
            If there are fewer features than the trees look at, or some are not finite.
        """
        vector = np.require(features, np.float64, ("C", "W"))
        if vector.ndim != 1 or vector.size < self._looks_at or not np.isfinite(vector).all():
            raise InputError(
                f"a forest over {self._looks_at} features cannot judge an array of shape {vector.shape}, or one that is "
                "not finite; give the features of an image of at least 128 x 128 pixels."
            )
        mean = float(_mean(vector, self.roots, self.left, self.right, self.feature, self.value))
        return self.intercept + self.slope * mean


@compiled("(float64[::1], int32[::1], int32[::1], int32[::1], int32[::1], float64[::1])")
def _mean(
    features: Floats, roots: Integers, left: Integers, right: Integers, feature: Integers, value: Floats
) -> float:
    total = 0.0
    for root in roots:
        node = root
        while left[node] >= 0:
            node = left[node] if features[feature[node]] <= value[node] else right[node]
        total += value[node]
    return total / roots.size
