"""From an image of any matrix to the grid that an analysis model works on, and back.

Coordinates are those of edges: pixel i reaches from i to i + 1, its centre is i + 0.5. A grid lies parallel to its image,
so that the way between them is a scale and an offset for each axis.

Counts are physics: a pixel's counts are divided among the grid's pixels by area, and none are lost where the grid covers
the image. Where the grid is coarser this is the sum over its pixels' areas. Where it is finer, counts are spread with
a density that is smoothed over what the grid is finer by, half a pixel wide for twice the matrix: it has no steps, and at
equal sizes it is the image itself. Neighbours of such a grid share counts, so that their noise is correlated and
smaller than Poisson's, whatever method is used: 128 x 128 pixels hold no more than they do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dicom.attributes import text
from ..errors import InputError
from ..frames import Frames, Units
from ..manifest import Grid
from ..matrix import MatrixSize
from .resampling import ROUNDING, applied, between, weights

__all__ = [
    "Placement",
    "Working",
    "fit_placement",
    "is_inverted",
    "pitch_placement",
    "place",
    "prepare",
    "resample",
    "spacing_of",
    "thorax_placement",
    "upsample",
]

_LARGEST_GRID = 1 << 24  # pixels: more means that a spacing is wrong by orders of magnitude


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a working grid lies on an image.

    Parameters
    ----------
    grid, source : MatrixSize
        Rows and columns of the grid and of the image.
    step : tuple of float
        Height and width of a pixel of the grid [px of the image].
    origin : tuple of float
        Row and column of the grid's upper left edge [px of the image]; negative where the grid reaches beyond it.

    Examples
    --------
    >>> placement = pitch_placement(MatrixSize(128, 128), (4.8, 4.8), 2.4)
    >>> placement.grid, placement.to_source([[1.0, 0.5]]).tolist()
    (MatrixSize(rows=256, columns=256), [[0.5, 0.25]])
    """

    grid: MatrixSize
    source: MatrixSize
    step: tuple[float, float]
    origin: tuple[float, float]

    def to_source(self, points: Any) -> NDArray[np.float64]:
        """Return rows and columns on the image for those on the grid, shape (..., 2)."""
        return np.asarray(points, np.float64) * self.step + self.origin

    def to_grid(self, points: Any) -> NDArray[np.float64]:
        """Return rows and columns on the grid for those on the image, shape (..., 2)."""
        return (np.asarray(points, np.float64) - self.origin) / self.step


@dataclass(frozen=True, slots=True, eq=False)
class Working:
    """Frames on the working grid.

    Parameters
    ----------
    pixels : ndarray, shape (n, rows, columns), float32
        Counts for each pixel of the grid, or grey values above the frame's lowest; 0 beyond the image.
    placements : tuple of Placement, length n
        Where the grid lies on each frame.
    """

    pixels: NDArray[np.float32]
    placements: tuple[Placement, ...]


def prepare(frames: Frames, grid: Grid, *, multiple: int = 1, cover: Sequence[Frames] = ()) -> Working:
    """Return frames on the grid that a model wants.

    Parameters
    ----------
    frames : Frames
        The images.
    grid : Grid
        From the model's manifest: ``pitch``, ``fit`` or ``thorax``.
    multiple : int
        Rows and columns of a grid of kind ``pitch`` are multiples of this.
    cover : sequence of Frames
        Other phases: a grid of kind ``pitch`` is made large enough for all of them, with their centres in one place.

    Raises
    ------
    InputError
        If the grid needs lengths and the image has no pixel spacing.

    Notes
    -----
    Values of kind ``fit`` are grey: their mean is kept, not their sum, and the frame's blackest value becomes 0, so that
    what is padded is black. A radiograph that is stored as MONOCHROME1 is turned round, so that bone is always bright.

    Examples
    --------
    >>> counts = np.random.default_rng(0).poisson(9, (128, 128))
    >>> frames = Frames.from_array(counts, pixel_spacing_mm=(4.8, 4.8))
    >>> working = prepare(frames, Grid(kind="pitch", pitch_mm=2.4), multiple=16)
    >>> working.pixels.shape, bool(abs(working.pixels.sum() / counts.sum() - 1) < 1e-6)
    ((1, 256, 256), True)
    """
    placements = place(frames, grid, multiple=multiple, cover=cover)
    source = _above_black(frames) if grid.kind == "fit" else frames.pixels
    pixels = np.stack([resample(frame, placement) for frame, placement in zip(source, placements, strict=True)])
    if grid.kind == "fit":
        pixels /= np.float32(placements[0].step[0] * placements[0].step[1])
    return Working(pixels, placements)


def is_inverted(frames: Frames, index: int = 0) -> bool:
    """Return whether low values of a radiograph are meant to be white, as the header says.

    References
    ----------
    * PS3.3 C.7.6.3.1.2: MONOCHROME1 shows the lowest value as white. Counts are no grey values: the header of a gamma
      camera's image chooses a display and nothing else.
    """
    if not frames.instances or frames.units is not Units.NONE:
        return False
    header = frames.instances[frames.info[index].instance].header
    return text(header, "PhotometricInterpretation") == "MONOCHROME1"


def place(frames: Frames, grid: Grid, *, multiple: int = 1, cover: Sequence[Frames] = ()) -> tuple[Placement, ...]:
    """Return where the grid lies on each frame; see :func:`prepare`."""
    side, pitch_mm = grid.side or 0, grid.pitch_mm or 0.0  # the manifest has what its kind needs
    if grid.kind == "fit":
        return (fit_placement(frames.matrix, side, frames.pixel_spacing_mm),) * len(frames)
    spacing = spacing_of(frames)
    if grid.kind == "pitch":
        fields = [_field_mm(other.matrix, spacing_of(other)) for other in cover]
        least = (max((field[0] for field in fields), default=0.0), max((field[1] for field in fields), default=0.0))
        placement = pitch_placement(frames.matrix, spacing, pitch_mm, multiple=multiple, least_mm=least)
        return (placement,) * len(frames)
    boxes = [_ribs(frames, index, spacing) for index in range(len(frames))]
    return tuple(thorax_placement(frames.matrix, spacing, box, pitch_mm=pitch_mm, side=side) for box in boxes)


def _ribs(frames: Frames, index: int, spacing: tuple[float, float]) -> tuple[float, float, float, float]:
    from .thorax import find_ribs

    try:
        return find_ribs(frames.pixels[index], spacing)
    except InputError as error:
        raise InputError(f"{frames.source}: frame {index + 1}: {error}") from error


def spacing_of(frames: Frames) -> tuple[float, float]:
    """Return the pixel spacing [mm], which models of sizes cannot do without.

    Raises
    ------
    InputError
        If the image has none.
    """
    spacing = frames.pixel_spacing_mm
    if spacing is None or not all(np.isfinite(spacing)) or min(spacing) <= 0:
        raise InputError(
            f"{frames.source}: has no pixel spacing, without which sizes mean nothing; "
            "give it with --pixel-mm, or as pixel_spacing_mm of Frames."
        )
    return spacing


def pitch_placement(
    matrix: MatrixSize,
    spacing: tuple[float, float],
    pitch_mm: float,
    *,
    multiple: int = 1,
    least_mm: tuple[float, float] = (0.0, 0.0),
) -> Placement:
    """Return a grid of square pixels that covers a whole image, with its centre on the image's.

    Parameters
    ----------
    matrix : MatrixSize
        That of the image.
    spacing : tuple of float
        Its row and column spacing [mm].
    pitch_mm : float
        Edge of the grid's pixels [mm].
    multiple : int
        Rows and columns of the grid are multiples of this.
    least_mm : tuple of float
        Height and width that the grid has at least [mm].

    Raises
    ------
    InputError
        If the grid would be absurdly large.
    """
    field = _field_mm(matrix, spacing)
    sizes = [
        max(ceil(max(mm, least) / pitch_mm / multiple - ROUNDING), 1) * multiple
        for mm, least in zip(field, least_mm, strict=True)
    ]
    grid = MatrixSize(*sizes)
    if grid.pixels > _LARGEST_GRID:
        raise InputError(
            f"a field of {field[0]:.0f} x {field[1]:.0f} mm makes {grid} pixels of {pitch_mm:g} mm; "
            "check the pixel spacing, or give the right one with --pixel-mm."
        )
    return _centred(grid, matrix, (pitch_mm / spacing[0], pitch_mm / spacing[1]), (matrix.rows / 2, matrix.columns / 2))


def fit_placement(matrix: MatrixSize, side: int, spacing: tuple[float, float] | None = None) -> Placement:
    """Return a square grid that a whole image just fits into, with its centre on the image's.

    Parameters
    ----------
    matrix : MatrixSize
        That of the image.
    side : int
        Rows and columns of the grid.
    spacing : tuple of float, optional
        Row and column spacing, whose ratio keeps shapes; pixels are taken as square without it.
    """
    across, down = (spacing[1], spacing[0]) if spacing else (1.0, 1.0)
    longest = max(matrix.rows * down, matrix.columns * across)
    step = longest / side
    return _centred(MatrixSize(side, side), matrix, (step / down, step / across), (matrix.rows / 2, matrix.columns / 2))


def thorax_placement(
    matrix: MatrixSize,
    spacing: tuple[float, float],
    box: tuple[float, float, float, float],
    *,
    pitch_mm: float,
    side: int,
) -> Placement:
    """Return a square grid about the middle of a box, such as that of the ribs (row, column, row, column) [px]."""
    centre = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return _centred(MatrixSize(side, side), matrix, (pitch_mm / spacing[0], pitch_mm / spacing[1]), centre)


def resample(image: NDArray[Any], placement: Placement) -> NDArray[np.float32]:
    """Return an image on a grid, counts divided by area.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Counts per pixel [counts].
    placement : Placement
        Where the grid lies.

    Returns
    -------
    ndarray, shape (grid.rows, grid.columns), float32
        Counts per pixel of the grid; 0 where it reaches beyond the image.

    Examples
    --------
    >>> placement = pitch_placement(MatrixSize(4, 4), (1.0, 1.0), 2.0)
    >>> resample(np.arange(16.0).reshape(4, 4), placement).tolist()
    [[10.0, 18.0], [42.0, 50.0]]
    """
    down = weights(image.shape[0], placement.grid.rows, placement.step[0], placement.origin[0])
    across = weights(image.shape[1], placement.grid.columns, placement.step[1], placement.origin[1])
    rows = applied(down, np.asarray(image, np.float32))
    return np.ascontiguousarray(applied(across, np.ascontiguousarray(rows.T)).T)


def upsample(cells: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Return a coarse map over the grid, such as a class activation, on the image: bilinear between the cells' centres.

    Parameters
    ----------
    cells : ndarray, shape (..., rows, columns), float32
        Cells of equal size that divide the grid.
    placement : Placement
        Where the grid lies.

    Returns
    -------
    ndarray, shape (..., source.rows, source.columns), float32
        Constant beyond the outer cells' centres; 0 where the image reaches beyond the grid.
    """
    down, across = (
        between(size, count, (step, origin), of)
        for size, count, step, origin, of in zip(
            placement.source, cells.shape[-2:], placement.step, placement.origin, placement.grid, strict=True
        )
    )
    rows = cells[..., down.below, :] * down.near[:, None] + cells[..., down.above, :] * down.far[:, None]
    return np.asarray(rows[..., across.below] * across.near + rows[..., across.above] * across.far, np.float32)


def _above_black(frames: Frames) -> NDArray[np.float32]:
    """Return grey values above each frame's blackest."""
    return np.stack(
        [
            frame.max() - frame if is_inverted(frames, index) else frame - frame.min()
            for index, frame in enumerate(frames.pixels)
        ]
    )


def _field_mm(matrix: MatrixSize, spacing: tuple[float, float]) -> tuple[float, float]:
    return matrix.rows * spacing[0], matrix.columns * spacing[1]


def _centred(grid: MatrixSize, source: MatrixSize, step: tuple[float, float], centre: tuple[float, float]) -> Placement:
    origin = float(centre[0] - grid.rows * step[0] / 2), float(centre[1] - grid.columns * step[1] / 2)
    return Placement(grid, source, step, origin)
