"""Connected pixels: where they are and what shape they have."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compilation import compiled

__all__ = ["Component", "box_mean", "components"]

Floats = NDArray[np.float64]

_FEW = 7  # rows that are added faster one by one than by running sums


class Component(NamedTuple):
    """Pixels that touch each other by an edge.

    Parameters
    ----------
    area : float
        Number of pixels.
    row, column : float
        Their mean position.
    rows, columns, mixed : float
        Their variances along rows and columns, and the covariance.
    box : tuple
        Rows and columns that hold them, half-open.
    """

    area: float
    row: float
    column: float
    rows: float
    columns: float
    mixed: float
    box: tuple[tuple[int, int], tuple[int, int]]

    def scaled(self, aspect: tuple[float, float]) -> "Component":
        """Return the area and variances in units of which a row and a column are so many; places stay as they are."""
        rows, columns = aspect
        return self._replace(
            area=self.area * rows * columns,
            rows=self.rows * rows**2,
            columns=self.columns * columns**2,
            mixed=self.mixed * rows * columns,
        )

    @property
    def axes(self) -> tuple[float, float]:
        """Standard deviations along the longest direction and across it."""
        mean, half = 0.5 * (self.rows + self.columns), 0.5 * (self.rows - self.columns)
        root = float(np.hypot(half, self.mixed))
        return float(np.sqrt(max(mean + root, 0.0))), float(np.sqrt(max(mean - root, 0.0)))

    @property
    def filling(self) -> float:
        """Area, relative to the ellipse of the same variances: 1 for a filled ellipse, 0.95 for a rectangle."""
        long, short = self.axes
        return self.area / (4 * np.pi * max(long * short, 1e-9))


def components(mask: NDArray[np.bool_], smallest: int = 1) -> list[Component]:
    """Return the connected parts of a mask that have at least `smallest` pixels, largest first."""
    sums = np.zeros((mask.size // max(smallest, 1) + 1, 10))
    marked = np.array(mask, np.uint8, order="C")
    count = _label(marked, np.empty(mask.size, np.int64), smallest, sums)
    found = []
    for area, row, column, rows, columns, mixed, row0, row1, column0, column1 in sums[:count].tolist():
        y, x = row / area, column / area
        # A pixel is a square, not a point: its own variance counts.
        variances = rows / area - y * y + 1 / 12, columns / area - x * x + 1 / 12, mixed / area - x * y
        box = (int(row0), int(row1) + 1), (int(column0), int(column1) + 1)
        found.append(Component(area, y, x, *variances, box))
    return sorted(found, key=lambda part: -part.area)


def box_mean(image: Floats, half: int) -> Floats:
    """Return the mean over (2 half + 1)^2 pixels; at the border the image is continued by its last pixels."""
    if half == 0:
        return image
    size = 2 * half + 1
    if size <= _FEW:
        mean = np.empty(image.shape)
        _few_mean(np.require(image, np.float64, ("C", "W", "A")), half, mean)
        return mean
    padded = np.pad(image, half, mode="edge")
    rows = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    rows = rows[size:] - rows[:-size]
    columns = np.cumsum(np.pad(rows, ((0, 0), (1, 0))), axis=1)
    return np.asarray((columns[:, size:] - columns[:, :-size]) / size**2)


@compiled("(float64[:, ::1], int64, float64[:, ::1])")
def _few_mean(image: Floats, half: int, mean: Floats) -> None:
    """Fill the mean over a few rows and columns."""
    rows, columns = image.shape
    size = 2 * half + 1
    line = np.empty(columns + 2 * half)
    inner = line[half : half + columns]
    for row in range(rows):
        inner[:] = 0.0
        for step in range(-half, half + 1):
            pixels = image[min(max(row + step, 0), rows - 1)]
            for column in range(columns):
                inner[column] += pixels[column]
        line[:half] = inner[0]
        line[half + columns :] = inner[columns - 1]
        out = mean[row]
        out[:] = 0.0
        for step in range(size):
            part = line[step:]
            for column in range(columns):
                out[column] += part[column]
        for column in range(columns):
            out[column] /= size * size


@compiled("(uint8[:, ::1], int64[::1], int64, float64[:, ::1])")
def _label(mask: NDArray[np.uint8], stack: NDArray[np.int64], smallest: int, sums: Floats) -> int:
    """Fill one row of sums per part with enough pixels, and return how many there are; the mask is used up."""
    rows, columns = mask.shape
    count = 0
    for seed in range(rows * columns):
        if mask[seed // columns, seed % columns] == 0:
            continue
        mask[seed // columns, seed % columns] = 0
        stack[0], depth = seed, 1
        area = s_r = s_c = s_rr = s_cc = s_rc = 0.0
        r0, r1, c0, c1 = rows, 0, columns, 0
        while depth > 0:
            depth -= 1
            r, c = stack[depth] // columns, stack[depth] % columns
            area += 1.0
            s_r += r
            s_c += c
            s_rr += r * r
            s_cc += c * c
            s_rc += r * c
            r0, r1, c0, c1 = min(r0, r), max(r1, r), min(c0, c), max(c1, c)
            for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                if 0 <= r + dr < rows and 0 <= c + dc < columns and mask[r + dr, c + dc] != 0:
                    mask[r + dr, c + dc] = 0
                    stack[depth] = (r + dr) * columns + c + dc
                    depth += 1
        if area >= smallest:
            sums[count, 0], sums[count, 1], sums[count, 2] = area, s_r, s_c
            sums[count, 3], sums[count, 4], sums[count, 5] = s_rr, s_cc, s_rc
            sums[count, 6], sums[count, 7], sums[count, 8], sums[count, 9] = r0, r1, c0, c1
            count += 1
    return count
