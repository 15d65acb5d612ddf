"""Small least-squares problems, and what the noise that they leave is like."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["noise_correlation", "solve_normal", "solve_symmetric", "straight_line"]

Floats = NDArray[np.float64]

_BLOCK = 5  # rows and columns of the blocks that tell whether noise is shared
_ROUNDING = 1e-5  # noise, relative to the signal, that is not looked at


def straight_line(x: Floats, y: Floats, weight: Floats | float = 1.0) -> tuple[float, float]:
    """Return height at 0 and slope of the straight line through points."""
    weight = np.broadcast_to(np.asarray(weight, np.float64), x.shape)
    total = weight.sum()
    middle, height = (weight * x).sum() / total, (weight * y).sum() / total
    spread = (weight * (x - middle) ** 2).sum()
    slope = float((weight * (x - middle) * (y - height)).sum() / spread) if spread > 0 else 0.0
    return float(height - slope * middle), slope


def noise_correlation(residual: Floats, noise: float) -> float:
    """Return how many pixels share their noise: the variance of sums over blocks, relative to that of as many pixels.

    Parameters
    ----------
    residual : ndarray, shape (rows, columns), float64
        What a fit leaves, in units of each pixel's noise; 0 where nothing was fitted.
    noise : float
        Noise, relative to the signal; where it is rounding error alone there is nothing to be shared.

    Returns
    -------
    float
        From 1, for independent pixels.
    """
    rows, columns = (size // _BLOCK * _BLOCK for size in residual.shape)
    blocks = residual[:rows, :columns].reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    power = float((blocks**2).sum())
    if noise < _ROUNDING or power == 0:
        return 1.0
    sums = blocks.sum(axis=(1, 3))
    share = float((sums**2).sum()) / power
    # The estimate itself is uncertain; pixels are independent unless it is clear that they are not.
    return share if share > 1 + 3 * np.sqrt(2 / max(int(np.count_nonzero(sums)), 1)) else 1.0


def solve_normal(columns: Floats, values: Floats) -> Floats:
    """Return the least-squares factors of a few columns, shape (k, n), of values; no library threads are woken."""
    matrix = np.einsum("in,jn->ij", columns, columns)
    right = np.einsum("in,n->i", columns, values)
    return solve_symmetric(matrix, right)


def solve_symmetric(matrix: Floats, right: Floats) -> Floats:
    """Return the solution of a few equations, or the shortest one if some say the same."""
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        # A column that says nothing new keeps its factor at the least.
        return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])
