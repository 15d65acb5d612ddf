"""Small dense linear algebra that gives the same bits at any number of threads.

LAPACK's answers depend on how many threads it runs on; these do not, and they release the interpreter's lock.
"""

import numpy as np
from numpy.typing import NDArray

from ...compilation import inlined

__all__ = ["dot", "fold", "orthogonalise"]

Floats = NDArray[np.float64]

_SWEEPS = 60
_ORTHOGONAL = 1e-15
# Squares below this are nothing, and their inverse is none.
_NOTHING = 1e-290


@inlined
def dot(a: Floats, b: Floats) -> float:
    """Return the inner product of two vectors, in eight interleaved sums that a compiler can keep in vectors."""
    size = a.size
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    whole = size - size % 8
    for i in range(0, whole, 8):
        s0 += a[i] * b[i]
        s1 += a[i + 1] * b[i + 1]
        s2 += a[i + 2] * b[i + 2]
        s3 += a[i + 3] * b[i + 3]
        s4 += a[i + 4] * b[i + 4]
        s5 += a[i + 5] * b[i + 5]
        s6 += a[i + 6] * b[i + 6]
        s7 += a[i + 7] * b[i + 7]
    rest = 0.0
    for i in range(whole, size):
        rest += a[i] * b[i]
    return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)) + rest


@inlined
def fold(triangle: Floats, columns: Floats) -> None:
    """Update the triangle R of a QR decomposition with more rows of the matrix, by Householder reflections.

    Parameters
    ----------
    triangle : ndarray, shape (n, n), float64
        R of all rows so far; zeros to begin with. Changed in place.
    columns : ndarray, shape (n, m), float64
        The columns of m more rows. Overwritten.
    """
    n = triangle.shape[0]
    for k in range(n):
        below = dot(columns[k], columns[k])
        if below < _NOTHING:
            continue
        head = triangle[k, k]
        norm = np.sqrt(head * head + below)
        turned = -norm if head > 0.0 else norm
        first = head - turned
        factor = 2.0 / (first * first + below)
        triangle[k, k] = turned
        for j in range(k + 1, n):
            along = factor * (first * triangle[k, j] + dot(columns[k], columns[j]))
            triangle[k, j] -= first * along
            for i in range(columns.shape[1]):
                columns[j, i] -= along * columns[k, i]


@inlined
def orthogonalise(rows: Floats, turned: Floats) -> None:
    """Rotate pairs of rows until all are orthogonal (one-sided Jacobi): their norms are the singular values.

    Parameters
    ----------
    rows : ndarray, shape (n, m), float64
        Changed in place.
    turned : ndarray, shape (n, k), float64
        Rows that undergo the same rotations; the identity becomes the left singular vectors.
    """
    n = rows.shape[0]
    for _ in range(_SWEEPS):
        rotated = False
        for p in range(n - 1):
            for q in range(p + 1, n):
                mixed = dot(rows[p], rows[q])
                norm_p, norm_q = dot(rows[p], rows[p]), dot(rows[q], rows[q])
                if abs(mixed) <= _ORTHOGONAL * np.sqrt(norm_p * norm_q):
                    continue
                rotated = True
                zeta = (norm_q - norm_p) / (2.0 * mixed)
                tangent = (1.0 if zeta >= 0.0 else -1.0) / (abs(zeta) + np.sqrt(1.0 + zeta * zeta))
                cosine = 1.0 / np.sqrt(1.0 + tangent * tangent)
                _turn(rows, p, q, cosine, cosine * tangent)
                _turn(turned, p, q, cosine, cosine * tangent)
        if not rotated:
            break


@inlined
def _turn(rows: Floats, p: int, q: int, cosine: float, sine: float) -> None:
    for i in range(rows.shape[1]):
        a, b = rows[p, i], rows[q, i]
        rows[p, i] = cosine * a - sine * b
        rows[q, i] = sine * a + cosine * b
