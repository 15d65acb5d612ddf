"""What a number of single times says about a percentile, whatever their distribution.

References
----------
* V. J. Reddi et al., MLPerf Inference Benchmark, ISCA 2020, arXiv:1911.02549; its rules stop early by the same bound.
* W. J. Conover, Practical Nonparametric Statistics, 1999, section 3.2: confidence limits of a quantile by order statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, lgamma, log, log1p

import numpy as np

__all__ = ["PercentileBound", "binomial_cdf", "percentile_bound", "queries_needed", "slower_allowed"]


@dataclass(frozen=True, slots=True)
class PercentileBound:
    """A percentile and the value that it does not exceed with a confidence.

    Parameters
    ----------
    estimate, bound : float
        The percentile of the sample, and the upper limit of that of the distribution; in the unit of the times.
    queries : int
        Number of times.
    slower : int
        Times that were longer than the bound.
    """

    estimate: float
    bound: float
    queries: int
    slower: int


def binomial_cdf(k: int, n: int, probability: float) -> float:
    """Return the probability of at most `k` successes in `n` trials.

    Examples
    --------
    >>> round(binomial_cdf(1, 3, 0.5), 6)
    0.5
    """
    if k >= n:
        return 1.0
    win, lose = log(probability), log1p(-probability)
    terms = (
        lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * win + (n - i) * lose for i in range(max(k, -1) + 1)
    )
    return min(1.0, sum(map(exp, terms)))


@lru_cache(maxsize=1024)
def slower_allowed(queries: int, percentile: float = 0.9, confidence: float = 0.99) -> int:
    """Return how many of the longest times lie above the bound of a percentile; -1 if there are too few times for one.

    If t times or fewer exceeded the percentile by chance with a probability of at most 1 - confidence, the (t + 1)-th longest
    is above it with at least that confidence.

    Examples
    --------
    >>> slower_allowed(43), slower_allowed(44), slower_allowed(64)
    (-1, 0, 1)
    """
    allowed = -1
    while binomial_cdf(allowed + 1, queries, 1 - percentile) <= 1 - confidence:
        allowed += 1
    return allowed


def queries_needed(slower: int, percentile: float = 0.9, confidence: float = 0.99) -> int:
    """Return the least number of times for which so many may be above the bound.

    Examples
    --------
    >>> queries_needed(1), queries_needed(0, percentile=0.99), queries_needed(1, percentile=0.99)
    (64, 459, 662)
    """
    low, high = slower + 1, slower + 2
    while slower_allowed(high, percentile, confidence) < slower:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if slower_allowed(middle, percentile, confidence) >= slower:
            high = middle
        else:
            low = middle + 1
    return high


def percentile_bound(
    times: Sequence[float], percentile: float = 0.9, confidence: float = 0.99
) -> PercentileBound | None:
    """Return the percentile with its upper confidence limit; None if there are too few times.

    Parameters
    ----------
    times : sequence of float
        Independent times.
    percentile, confidence : float
        Between 0 and 1.

    Examples
    --------
    >>> percentile_bound(range(0, 101), 0.5)
    PercentileBound(estimate=50.0, bound=62.0, queries=101, slower=38)
    """
    allowed = slower_allowed(len(times), percentile, confidence)
    if allowed < 0:
        return None
    ordered = np.sort(np.asarray(times, float))
    estimate = float(np.quantile(ordered, percentile))
    return PercentileBound(estimate, float(ordered[-1 - allowed]), len(ordered), allowed)
