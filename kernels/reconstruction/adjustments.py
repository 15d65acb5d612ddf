"""Small errors of a geometry: what may be wrong with a view, and how it moves what the view sees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .geometry import Vector, View

__all__ = ["PARAMETERS", "Fault", "Parameter", "adjusted", "parameters", "predicted"]

Array = NDArray[np.float64]
Fault = Literal["table", "rotation", "shift", "magnification"]


@dataclass(frozen=True)
class Parameter:
    """One number that may be wrong about a view.

    Parameters
    ----------
    fault : str
        What kind of error it belongs to.
    name : str
        What it is, with its direction.
    unit : str
        Of its value.
    index : int
        Its place among the nine of a view.
    usual : float
        How large errors are expected to be, in its unit: what data determine worse than that is not adjusted.
    """

    fault: Fault
    name: str
    unit: str
    index: int
    usual: float


PARAMETERS = (
    Parameter("table", "table to the left", "mm", 0, 100.0),
    Parameter("table", "table to the back", "mm", 1, 100.0),
    Parameter("table", "table to the head", "mm", 2, 100.0),
    Parameter("rotation", "rotation about x", "degrees", 3, 5.0),
    Parameter("rotation", "rotation about y", "degrees", 4, 5.0),
    Parameter("rotation", "rotation about z", "degrees", 5, 5.0),
    Parameter("shift", "detector along its rows", "mm", 6, 20.0),
    Parameter("shift", "detector along its columns", "mm", 7, 20.0),
    Parameter("magnification", "magnification", "%", 8, 5.0),
)


def parameters(faults: Sequence[Fault]) -> tuple[Parameter, ...]:
    """Return the numbers that belong to some kinds of error, in a fixed order.

    Raises
    ------
    UsageError
        If there is none, or one is unknown.

    Examples
    --------
    >>> [one.name for one in parameters(["magnification", "shift"])]
    ['detector along its rows', 'detector along its columns', 'magnification']
    """
    known = {one.fault for one in PARAMETERS}
    unknown = [fault for fault in faults if fault not in known]
    if unknown or not faults:
        raise UsageError(
            f"{unknown[0]!r} cannot be adjusted; give some of {', '.join(sorted(known))}."
            if unknown
            else f"nothing is to be adjusted; give some of {', '.join(sorted(known))}."
        )
    return tuple(one for one in PARAMETERS if one.fault in faults)


def adjusted(view: View, pivot: Vector, values: Array) -> View:
    """Return a view with its errors taken out.

    Parameters
    ----------
    view : View
        As it was thought to be.
    pivot : tuple of float
        What rotations turn about, usually the middle of the volume [mm].
    values : ndarray, shape (9,), float64
        In the order and units of :data:`PARAMETERS`: how far the table moved since the first view, by how much the
        patient turned against the view, where the detector lies beside where it was thought, and by how much images are
        larger.

    Returns
    -------
    View
        A detector of the same pixels; of parallel rays, magnification changes their size.

    Examples
    --------
    >>> view = View.gamma_camera((64, 64), (4.0, 4.0), 0)
    >>> adjusted(view, (0.0, 0.0, 0.0), np.array([0.0, 0, 8, 0, 0, 0, 0, 0, 0])).center_mm
    (0.0, -250.0, -8.0)
    """
    table, turn, beside, growth = _split(values)
    back = _rotation(turn).T
    right, down = (_vector(back @ np.array(direction)) for direction in (view.right, view.down))

    def moved(point: Array) -> Array:
        return np.asarray(back @ (point - pivot) + pivot - table)

    center = moved(np.array(view.center_mm))
    across = beside[0] * np.array(right) + beside[1] * np.array(down)
    if view.source_mm is None:
        rows, columns = (spacing / growth for spacing in view.spacing_mm)
        place = _vector(center + across / growth)
        return replace(view, spacing_mm=(rows, columns), center_mm=place, right=right, down=down)
    source = moved(np.array(view.source_mm))
    place = _vector(source + growth * (center - source) + across)
    return replace(view, center_mm=place, right=right, down=down, source_mm=_vector(source))


def predicted(view: View, pivot: Vector, values: Array, points_mm: Array) -> tuple[Array, Array, Array]:
    """Return where an adjusted view sees points, with derivatives in closed form.

    Parameters
    ----------
    view, pivot, values
        See :func:`adjusted`.
    points_mm : ndarray, shape (n, 3), float64
        x, y and z [mm].

    Returns
    -------
    tuple of ndarray, float64
        Row and column [pixels], shape (n, 2); derivatives by x, y and z, shape (n, 2, 3); by the nine values, shape
        (n, 2, 9).
    """
    table, turn, beside, growth = _split(values)
    rotation = _rotation(turn)
    offset = points_mm + table - np.array(pivot)
    turned = offset @ rotation.T
    seen, by_turned = _seen(view, turned + np.array(pivot))
    middle = (np.array(view.shape) - 1) / 2
    spacing = np.array(view.spacing_mm)
    pixels = middle + growth * (seen - middle) - beside[::-1] / spacing
    by_point = growth * by_turned @ rotation
    by_values = np.zeros((len(points_mm), 2, 9))
    by_values[:, :, 0:3] = by_point
    # exp(w) x changes by -[exp(w) x] J(w) dw, with the left Jacobian J of the rotation group.
    by_turn = -_crossed(turned) @ _left_jacobian(turn)
    by_values[:, :, 3:6] = growth * by_turned @ by_turn * np.pi / 180
    by_values[:, 1, 6] = -1 / spacing[1]
    by_values[:, 0, 7] = -1 / spacing[0]
    by_values[:, :, 8] = (seen - middle) / 100
    return pixels, by_point, by_values


def _vector(values: Array) -> Vector:
    """Return three numbers, exact where they differ from a round one by rounding only."""
    x, y, z = (float(value) for value in np.round(values, 12) + 0.0)
    return x, y, z


def _split(values: Array) -> tuple[Array, Array, Array, float]:
    """Return table [mm], rotation [radians], detector [mm] and factor."""
    return values[0:3], np.radians(values[3:6]), values[6:8], 1 + float(values[8]) / 100


def _seen(view: View, points_mm: Array) -> tuple[Array, Array]:
    """Return where a view sees points, and the derivative by the points."""
    axes = np.array([view.down, view.right]) / np.array(view.spacing_mm)[:, None]
    pixels = view.project(points_mm)
    if view.source_mm is None:
        return pixels, np.broadcast_to(axes, (len(points_mm), 2, 3))
    looking = np.array(view.looking)
    whole = view.distance_to(view.source_mm)
    left = (np.array(view.source_mm) - points_mm) @ looking
    relative = (points_mm - np.array(view.source_mm)) @ axes.T
    by_point = (axes + relative[:, :, None] * looking / left[:, None, None]) * (whole / left)[:, None, None]
    return pixels, by_point


def _crossed(vectors: Array) -> Array:
    """Return the matrices that multiply as the cross product does, shape (..., 3, 3)."""
    x, y, z = np.moveaxis(np.asarray(vectors, np.float64), -1, 0)
    zero = np.zeros_like(x)
    rows = [[zero, -z, y], [z, zero, -x], [-y, x, zero]]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _rotation(turn: Array) -> Array:
    """Return the rotation about a vector by its length [radians] (Rodrigues)."""
    angle = float(np.linalg.norm(turn))
    crossed = _crossed(turn)
    if angle < 1e-9:
        return np.asarray(np.eye(3) + crossed)
    return np.asarray(np.eye(3) + np.sin(angle) / angle * crossed + (1 - np.cos(angle)) / angle**2 * crossed @ crossed)


def _left_jacobian(turn: Array) -> Array:
    """Return how a rotation changes with its vector, seen from outside."""
    angle = float(np.linalg.norm(turn))
    crossed = _crossed(turn)
    if angle < 1e-6:
        return np.asarray(np.eye(3) + crossed / 2)
    sine, cosine = np.sin(angle), np.cos(angle)
    return np.asarray(np.eye(3) + (1 - cosine) / angle**2 * crossed + (angle - sine) / angle**3 * crossed @ crossed)
