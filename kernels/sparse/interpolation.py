"""Twice the rows and columns by bicubic interpolation.

References
----------
* R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. Acoust. 29 (1981) 1153: a = -1/2.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compilation import inlined

__all__ = ["doubled", "mirrored"]

# The kernel at distances 3/4, 1/4, 5/4 and 7/4 of a pixel.
_NEAR, _NEXT, _FAR, _BEYOND = 111 / 128, 29 / 128, -9 / 128, -3 / 128


@inlined
def mirrored(index: int, length: int) -> int:
    """Return the pixel that stands for one outside of the image; the border itself is repeated."""
    folded = index % (2 * length)
    return folded if folded < length else 2 * length - 1 - folded


@inlined
def doubled(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image of twice the rows and columns; beyond its border it is mirrored, and constants stay the same."""
    rows, columns = image.shape
    kind = image.dtype.type
    near, next_, far, beyond = kind(_NEAR), kind(_NEXT), kind(_FAR), kind(_BEYOND)
    tall = np.empty((2 * rows, columns), image.dtype)
    for row in range(rows):
        a, b = image[mirrored(row - 2, rows)], image[mirrored(row - 1, rows)]
        c = image[row]
        d, e = image[mirrored(row + 1, rows)], image[mirrored(row + 2, rows)]
        for at in range(columns):
            tall[2 * row, at] = near * c[at] + next_ * b[at] + far * d[at] + beyond * a[at]
            tall[2 * row + 1, at] = near * c[at] + next_ * d[at] + far * b[at] + beyond * e[at]
    wide = np.empty((2 * rows, 2 * columns), image.dtype)
    for row in range(2 * rows):
        line = tall[row]
        for at in range(columns):
            left, right = line[mirrored(at - 1, columns)], line[mirrored(at + 1, columns)]
            wide[row, 2 * at] = near * line[at] + next_ * left + far * right + beyond * line[mirrored(at - 2, columns)]
            last = line[mirrored(at + 2, columns)]
            wide[row, 2 * at + 1] = near * line[at] + next_ * right + far * left + beyond * last
    return wide
