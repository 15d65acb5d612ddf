"""Half the size by antialiased bicubic interpolation, as the natural-scene metrics have been defined with.

References
----------
* R. G. Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. Acoust. 29 (1981) 1153: the
  kernel with a = -1/2, stretched by 2 so that it is also the low-pass filter.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compilation import borrowing, inlined

__all__ = ["halved"]

# The kernel at distances 1/2, 3/2, 5/2 and 7/2 pixels. They are dyadic: integers up to 255 are resized without rounding.
_W0, _W1, _W2, _W3 = 111 / 256, 29 / 256, -9 / 256, -3 / 256
_PAD = 4


@inlined
def halved(image: NDArray[Any], height: int, width: int, spare: NDArray[Any]) -> NDArray[Any]:
    """Return the first rows and columns at half the size, rounded up, in memory that is given (flat, it may be longer).

    Beyond its border the image is mirrored.
    """
    rows, columns = (height + 1) // 2, (width + 1) // 2
    small = spare[: rows * columns].reshape(rows, columns)
    _fill(image, height, width, small, np.empty(width + 2 * _PAD + 1, image.dtype))
    return small


@borrowing
def _fill(image: NDArray[Any], height: int, width: int, small: NDArray[Any], line: NDArray[Any]) -> None:
    """Fill the small image, row by row."""
    kind = image.dtype.type
    w0, w1, w2, w3 = kind(_W0), kind(_W1), kind(_W2), kind(_W3)
    for row in range(small.shape[0]):
        top = 2 * row
        a, b = image[_mirrored(top, height), :width], image[_mirrored(top + 1, height), :width]
        c, d = image[_mirrored(top - 1, height), :width], image[_mirrored(top + 2, height), :width]
        e, f = image[_mirrored(top - 2, height), :width], image[_mirrored(top + 3, height), :width]
        g, h = image[_mirrored(top - 3, height), :width], image[_mirrored(top + 4, height), :width]
        for at in range(width):
            line[at + _PAD] = w0 * (a[at] + b[at]) + w1 * (c[at] + d[at]) + w2 * (e[at] + f[at]) + w3 * (g[at] + h[at])
        for at in range(_PAD):
            line[at] = line[_mirrored(at - _PAD, width) + _PAD]
        for at in range(width, width + _PAD + 1):
            line[at + _PAD] = line[_mirrored(at, width) + _PAD]
        for column in range(small.shape[1]):
            at = 2 * column + _PAD
            inner = w0 * (line[at] + line[at + 1]) + w1 * (line[at - 1] + line[at + 2])
            small[row, column] = inner + w2 * (line[at - 2] + line[at + 3]) + w3 * (line[at - 3] + line[at + 4])


@borrowing
def _mirrored(index: int, length: int) -> int:
    """Return the pixel that stands for one outside of the image; the border itself is repeated."""
    folded = index % (2 * length)
    return folded if folded < length else 2 * length - 1 - folded
