"""Two plain rivals of ``bone-classify``: hot spots, and how many, how long and how well in line they are."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label, uniform_filter

__all__ = ["BASELINES", "Baseline", "spot_features"]

Values = NDArray[np.float64]
_PITCH_MM = 3.5
_NEAR, _WIDE = 3, 15  # px
# Of several settings those that served these rivals best on the patients of the calibration.
_RISE = 0.35  # over the surroundings, of a hot spot
_MIDLINE_MM, _EDGE_PX = 28.0, 28
_LEAST_PX = 3
_LEAST_SNR = 5.0
_TREES, _LEAF = 300, 5


@dataclass(frozen=True)
class Baseline:
    """A classifier on a few numbers.

    Parameters
    ----------
    name : str
        For tables.
    columns : tuple of int
        Which of the features of :func:`spot_features`.
    kind : {"logistic", "forest"}
        Logistic regression, or a forest of randomised trees.

    References
    ----------
    * Breiman, L. (2001). Random forests. Machine Learning 45.
    """

    name: str
    columns: tuple[int, ...]
    kind: Literal["logistic", "forest"] = "logistic"

    def fit(self, features: Values, labels: NDArray[np.int64]) -> Any:
        """Return a fitted classifier with ``predict_proba``."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if self.kind == "forest":
            model = RandomForestClassifier(_TREES, min_samples_leaf=_LEAF, random_state=0)
        else:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        return model.fit(features[:, self.columns], labels)

    def chances(self, model: Any, features: Values) -> Values:
        """Return the probability of each label, shape (n, 3)."""
        return np.asarray(model.predict_proba(features[:, self.columns]), np.float64)


BASELINES = (
    Baseline("hottest spot and its elongation, logistic regression", (0, 1, 2)),
    Baseline("number, size, elongation and alignment of hot spots, random forest", tuple(range(10)), "forest"),
)


def spot_features(counts: NDArray[np.float32]) -> Values:
    """Return ten numbers about the hot spots of a rib region beside the midline.

    Parameters
    ----------
    counts : ndarray, shape (side, side), float32
        On the working grid.

    Returns
    -------
    ndarray, shape (10,), float64
        Rise of the hottest spot over its surroundings and its excess in units of the noise (logarithms); its elongation; number
        of spots; mean and largest elongation, length [mm] and area; scatter of the spots across the body [mm], and of their uptake.

    Examples
    --------
    >>> counts = np.full((128, 128), 50.0, np.float32)
    >>> counts[60:62, 20:30] = 200
    >>> found = spot_features(counts)
    >>> float(found[3]), bool(found[2] > 2)
    (1.0, True)
    """
    image = counts.astype(np.float64)
    near, wide = uniform_filter(image, _NEAR), uniform_filter(image, _WIDE)
    rise = (near - wide) / (wide + 0.05 * image.mean() + 1e-9)
    noise = np.sqrt(np.maximum(wide, 0.05) / _NEAR**2)
    hot = (rise > _RISE) & ((near - wide) / noise > _LEAST_SNR)
    middle = (np.arange(image.shape[1]) + 0.5 - image.shape[1] / 2) * _PITCH_MM
    hot &= np.abs(middle)[None] > _MIDLINE_MM
    hot[:_EDGE_PX] = hot[-_EDGE_PX:] = False
    parts, number = label(binary_dilation(hot) & (rise > _RISE / 2))
    found = (_spot(parts == k, rise, near - wide, noise) for k in range(1, number + 1))
    spots = sorted((spot for spot in found if spot is not None), reverse=True)
    if not spots:
        return np.zeros(10)
    table = np.array(spots)
    return np.array(
        [
            table[0, 0],
            table[0, 1],
            table[0, 2],
            len(table),
            table[:, 2].mean(),
            table[:, 2].max(),
            table[:, 3].max(),
            table[:, 4].max(),
            table[:, 5].std(),
            table[:, 0].std(),
        ]
    )


def _spot(inside: NDArray[np.bool_], rise: Values, excess: Values, noise: Values) -> tuple[float, ...] | None:
    """Return log rise, log excess in noise, elongation, length, area and position of a spot."""
    rows, columns = np.nonzero(inside)
    if len(rows) < _LEAST_PX:
        return None
    moments = np.cov(np.stack([rows, columns]), bias=True) + np.eye(2) / 12
    small, large = np.linalg.eigvalsh(moments)
    return (
        float(np.log1p(rise[inside].max())),
        float(np.log1p((excess / noise)[inside].max())),
        float(np.sqrt(large / small)),
        float(np.sqrt(12 * large) * _PITCH_MM),
        float(np.sqrt(len(rows))),
        float(columns.mean() * _PITCH_MM),
    )
