"""A domain of embeddings that knows what lies outside of it."""

import numpy as np
from numpy.typing import NDArray

from ....engine.manifest import EmbeddingDomain
from .common import AT_THE_BORDER, embedding_domain

__all__ = ["discriminating"]

Floats = NDArray[np.float32]


def discriminating(domain: EmbeddingDomain, held_out: Floats, others: Floats) -> EmbeddingDomain:
    """Return a domain whose distance also grows along the direction that separates what is known to lie outside.

    A distance in hundred dimensions is mostly chance: what is eight standard deviations off in one of them hardly shows. The
    square of the distance becomes the sum of the one before, in units of its border, and that along Fisher's linear
    discriminant, in units of the 95 % interval of the held-out ones. Limits are set anew in the same way.

    Parameters
    ----------
    domain : EmbeddingDomain
        Of the training.
    held_out : ndarray, shape (n, d), float32
        Embeddings of other images of the same kind.
    others : ndarray, shape (m, d), float32
        Embeddings of images of other kinds.

    Raises
    ------
    ValueError
        If the others lie where the training does.

    References
    ----------
    * Fisher, R. A. (1936). The use of multiple measurements in taxonomic problems. Annals of Eugenics 7.
    * Hendrycks, D. et al. (2019). Deep anomaly detection with outlier exposure. ICLR.

    Examples
    --------
    >>> plain = EmbeddingDomain(mean=(0.0, 0.0), precision=((1.0, 0.0), (0.0, 1.0)), limits=(2.4, 3.7))
    >>> own = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    >>> found = discriminating(plain, own, own + np.float32([9, 0]))
    >>> across, along = found.distances(np.array([[0, 3], [3, 0]], np.float32)).tolist()
    >>> along > 1.4 * across, found.limits[0] < 2, float((found.distances(own) > found.limits[0]).mean())
    (True, True, 0.05)
    """
    mean, precision = domain.arrays
    offset = mean - others.mean(axis=0)
    direction = precision @ offset
    length = np.sqrt(offset @ direction)
    if not length > 0:
        raise ValueError("the other images have the embedding of the training's mean; nothing separates them.")
    along = (held_out - mean) @ (direction / length)
    reach = np.quantile(np.abs(along), 1 - AT_THE_BORDER)
    whole = precision / domain.limits[0] ** 2 + np.outer(direction, direction) / (length * reach) ** 2
    return embedding_domain(domain.mean, whole, held_out)
