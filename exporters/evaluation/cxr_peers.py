"""What the projection of chest radiographs can be told from without a network, and from what it should not be told at all."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..recipes.analysis.radiograph_images import Pool

__all__ = [
    "PEERS",
    "detector_shape",
    "fitted_scores",
    "geometry",
    "grey_levels",
    "held_out_scores",
    "oriented_gradients",
]

Features = NDArray[np.float64]
_LEVELS = np.linspace(0.02, 0.98, 15)
_PENALTY = 1e-3  # inverse strength, as scikit-learn's C


def detector_shape(pool: Pool) -> Features:
    """Return height over width of what is not padding: nothing of the patient."""
    found = []
    for image in pool.images:
        rows, columns = (image > 0).any(1).sum(), (image > 0).any(0).sum()
        found.append([rows / columns, rows, columns])
    return np.array(found, np.float64)


def grey_levels(pool: Pool) -> Features:
    """Return quantiles of the grey values, standardised: detector, processing and exposure, and little of the patient."""
    found = []
    for image in pool.images:
        values = image[image > 0].astype(np.float64)
        found.append((np.quantile(values, _LEVELS) - values.mean()) / values.std())
    return np.array(found)


def geometry(pool: Pool) -> Features:
    """Return place, size and angle of the thorax in the image."""
    from ...engine.analysis.chest_regions import find_thorax

    found = [find_thorax(image) for image in pool.images]
    return np.array(
        [[t.row, t.column, t.half_height, t.half_width, t.half_height / t.half_width, t.angle] for t in found]
    )


def oriented_gradients(pool: Pool) -> Features:
    """Return histograms of oriented gradients of the image without its local mean and contrast."""
    import torch
    from skimage.feature import hog

    from ..architectures.analysis.radiograph import inside, standardised

    images = torch.from_numpy(pool.images)[:, None]
    flat = standardised(images, inside(images))[:, 0].numpy()
    return np.array([hog(image, 8, (8, 8), (2, 2)) for image in flat])


PEERS: tuple[tuple[str, Callable[[Pool], Features], float], ...] = (
    ("shape of the detector alone", detector_shape, 1.0),
    ("grey levels alone", grey_levels, 1.0),
    ("place and size of the thorax alone", geometry, 1.0),
    ("oriented gradients, logistic regression", oriented_gradients, _PENALTY),
)
"""Names, features, and the penalty of each: the first two are what a model must not live on."""


def held_out_scores(
    features: Features, classes: NDArray[np.intp], groups: NDArray[np.generic], penalty: float
) -> NDArray[np.float64]:
    """Return the log odds of class 0 for each case by a logistic regression that did not see its group.

    Parameters
    ----------
    features : ndarray, shape (n, k)
        Standardised here, by the cases that are seen.
    classes : ndarray, shape (n,), int
        0 or 1.
    groups : ndarray, shape (n,)
        Folds.
    penalty : float
        Inverse strength of the ridge penalty.
    """
    scores = np.zeros(len(classes))
    for group in np.unique(groups):
        rest = groups == group
        scores[rest] = fitted_scores(features, classes, ~rest, penalty)[rest]
    return scores


def fitted_scores(
    features: Features, classes: NDArray[np.intp], seen: NDArray[np.bool_], penalty: float
) -> NDArray[np.float64]:
    """Return the log odds of class 0 for every case by a logistic regression on those that are seen.

    Parameters
    ----------
    features, classes, penalty
        See :func:`held_out_scores`.
    seen : ndarray, shape (n,), bool
        Cases to fit to.

    Raises
    ------
    ValueError
        If one class is all that is seen.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=3000, class_weight="balanced"))
    return np.asarray(model.fit(features[seen], classes[seen] == 0).decision_function(features))
