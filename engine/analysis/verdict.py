"""Whether findings may be relied on: the domain verdict of an image, and of what the network makes of it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .. import domain
from ..manifest import EmbeddingDomain, Manifest
from ..result import DomainVerdict

__all__ = ["judge", "worst"]


def judge(
    channels: Mapping[str, NDArray[np.float32]],
    embedding: NDArray[np.float32],
    manifest: Manifest,
    trained: EmbeddingDomain,
    threads: int = 1,
) -> tuple[DomainVerdict, ...]:
    """Return the verdict on each frame.

    Parameters
    ----------
    channels : mapping of str to ndarray, shape (n, rows, columns), float32
        Pixels on the working grid of the channels that are there, by name.
    embedding : ndarray, shape (n, d, 1, 1), float32
        What the graph gave.
    manifest : Manifest
        With the statistics of pixels.
    trained : EmbeddingDomain
        The statistics of embeddings, from the same manifest.
    threads : int
        Threads to use.

    Returns
    -------
    tuple of DomainVerdict, length n
        The worst of the channels' and the embedding's; reasons of all that are not inside.
    """
    distances = trained.distances(embedding)
    found = []
    for index, distance in enumerate(distances.tolist()):
        verdicts = [
            _named(domain.judge_pixels(pixels[index : index + 1], manifest.input, manifest.domain, threads), name)
            for name, pixels in channels.items()
        ]
        found.append(worst([*verdicts, _of_embedding(distance, trained)]))
    return tuple(found)


def worst(verdicts: Sequence[DomainVerdict]) -> DomainVerdict:
    """Return the worst of several verdicts on one frame, with the reasons of all.

    Examples
    --------
    >>> near = DomainVerdict("inside", np.array([1.0]), (3.0, 5.0))
    >>> far = DomainVerdict("outside", np.array([9.0]), (3.0, 5.0), ("it is dark",))
    >>> worst([near, far]).verdict, worst([near, far]).reasons
    ('outside', ('it is dark',))
    """
    chosen = max(verdicts, key=_rank)
    reasons = tuple(dict.fromkeys(reason for verdict in verdicts for reason in verdict.reasons))
    return DomainVerdict(chosen.verdict, chosen.distances, chosen.limits, reasons)


def _rank(verdict: DomainVerdict) -> tuple[int, float]:
    """Return what orders verdicts: a distance that is not a number is the largest."""
    ratio = float(verdict.distances.max() / verdict.limits[1])
    return domain.VERDICTS.index(verdict.verdict), ratio if np.isfinite(ratio) else np.inf


def _named(verdict: DomainVerdict, name: str) -> DomainVerdict:
    """Return a verdict whose reasons say which channel they are about."""
    if not name:
        return verdict
    reasons = tuple(f"{name}: {reason}" for reason in verdict.reasons)
    return DomainVerdict(verdict.verdict, verdict.distances, verdict.limits, reasons)


def _of_embedding(distance: float, trained: EmbeddingDomain) -> DomainVerdict:
    # A distance that is not a number is not inside.
    verdict = domain.VERDICTS[sum(not distance <= limit for limit in trained.limits)]
    reason = (
        f"what the network sees in it lies {distance:.1f} from the images that it was trained on "
        f"(those lie within {trained.limits[0]:.1f})"
    )
    return DomainVerdict(verdict, np.array([distance]), trained.limits, () if verdict == "inside" else (reason,))
