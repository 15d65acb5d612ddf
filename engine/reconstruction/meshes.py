"""Surfaces: triangles around shapes, volumes and wires, and the files that hold them."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.reconstruction.geometry import Grid
from ...kernels.reconstruction.solution import Curve
from ..errors import InputError, UsageError

__all__ = [
    "MESH_SUFFIXES",
    "Mesh",
    "isosurface",
    "joined",
    "marching_cubes",
    "mesh_file",
    "smoothed",
    "stl_file",
    "tube",
]

MESH_SUFFIXES = (".stl", ".ply")
_STEPS = 10
# Taubin's pass band of 0.1: what shrinks in one step grows in the next.
_SHRINK, _GROW = 0.5, -0.5263
_SIDES = 16

Points = NDArray[np.float64]
Faces = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles whose corners run anticlockwise seen from outside.

    Parameters
    ----------
    vertices_mm : ndarray, shape (n, 3), float64
        x, y and z in the patient's coordinates of DICOM (LPS) [mm].
    faces : ndarray, shape (m, 3), int32
        Numbers of the vertices of each triangle.
    """

    vertices_mm: Points
    faces: Faces

    @property
    def volume_ml(self) -> float:
        """Volume inside, by the divergence theorem [ml]; positive if the triangles face outwards."""
        a, b, c = (self.vertices_mm[self.faces[:, k]] for k in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c))) / 6000

    @property
    def watertight(self) -> bool:
        """Whether each edge is run along as often in one direction as in the other, so that there is no hole."""
        along = np.concatenate([self.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]).astype(np.int64)
        size = len(self.vertices_mm) + 1
        keys, back = along[:, 0] * size + along[:, 1], along[:, 1] * size + along[:, 0]
        return np.array_equal(np.sort(keys), np.sort(back))


def isosurface(
    values: NDArray[np.float32], grid: Grid, level: float, *, inside: str, volume_ml: float | None = None
) -> Mesh:
    """Return the smoothed surface where a volume has a value, closed at the edges of the grid.

    Of a ball of 30 mm in voxels of 2 x 4 x 3 mm, the radii of the vertices vary by less than 0.06 mm (standard deviation) if
    the volume is a signed distance, and by less than 0.45 mm if it is a mask.

    Parameters
    ----------
    values : ndarray, shape (slices, rows, columns), float32
        Volume.
    grid : Grid
        Its voxels.
    level : float
        The value.
    inside : str
        ``above`` or ``below``: which values are inside.
    volume_ml : float, optional
        What the surface shall enclose, if known: flat triangles lie inside of what bulges.

    Raises
    ------
    UsageError
        If scikit-image is not installed.
    InputError
        If nothing is inside.

    References
    ----------
    * Lewiner, Lopes, Vieira, Tavares: Efficient implementation of marching cubes' cases with topological guarantees,
      J. Graphics Tools 8 (2003).

    Examples
    --------
    >>> grid = Grid((40, 40, 40), (1.0, 1.0, 1.0))
    >>> z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    >>> ball = isosurface(np.sqrt(x * x + y * y + z * z) - 12, grid, 0.0, inside="below")
    >>> ball.watertight, round(ball.volume_ml / (4e-3 / 3 * np.pi * 12**3), 2)
    (True, 1.0)
    """
    march = marching_cubes()
    signed = np.subtract(values, level, dtype=np.float32)
    if inside == "below":
        signed = -signed
    if not (signed > 0).any():
        raise InputError(f"no voxel is {inside} {level:g}, so that there is no surface; check the reconstruction.")
    # A border outside closes a surface that the grid cuts off. Values that lie on the level would make flat triangles.
    outside = -max(float(np.abs(signed).max()), 1e-6)
    padded = np.pad(np.where(signed == 0, np.float32(1e-6 * -outside), signed), 1, constant_values=outside)
    found, faces, _, _ = march(padded, 0.0, gradient_direction="ascent", allow_degenerate=False)
    step, first = np.array(grid.spacing_mm[::-1]), np.array(grid.first_mm)
    vertices = first + (found[:, ::-1].astype(np.float64) - 1) * step
    mesh = Mesh(vertices, np.ascontiguousarray(faces, np.int32))
    if mesh.volume_ml < 0:
        mesh = Mesh(vertices, np.ascontiguousarray(mesh.faces[:, ::-1]))
    return smoothed(mesh, mesh.volume_ml if volume_ml is None else volume_ml)


def smoothed(mesh: Mesh, volume_ml: float, steps: int = _STEPS) -> Mesh:
    """Return a closed mesh without the steps of its voxels.

    Parameters
    ----------
    mesh : Mesh
        Triangles.
    volume_ml : float
        What it encloses afterwards [ml].
    steps : int
        Pairs of a shrinking and a growing step.

    References
    ----------
    * Taubin: A signal processing approach to fair surface design, SIGGRAPH (1995).
    """
    edges = np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    # Each edge of a closed surface stands in two triangles, once in each direction.
    ends, others = edges[:, 0], edges[:, 1]
    count = len(mesh.vertices_mm)
    neighbours = np.maximum(np.bincount(ends, minlength=count), 1)[:, None]
    points = mesh.vertices_mm.copy()
    for weight in (_SHRINK, _GROW) * steps:
        sums = np.stack([np.bincount(ends, points[others, axis], count) for axis in range(3)], axis=-1)
        points += weight * (sums / neighbours - points)
    return _of_volume(Mesh(points, mesh.faces), volume_ml)


def tube(curve: Curve, sides: int = _SIDES) -> Mesh:
    """Return the surface of a wire, closed at its ends.

    Parameters
    ----------
    curve : Curve
        The wire, of two points or more.
    sides : int
        Corners of its cross-section; the area of that polygon is the circle's.

    References
    ----------
    * Wang, Jüttler, Zheng, Liu: Computation of rotation minimizing frames, ACM Trans. Graphics 27 (2008).
    """
    points = curve.points_mm[np.r_[True, np.linalg.norm(np.diff(curve.points_mm, axis=0), axis=1) > 0]]
    if len(points) < 2:
        raise InputError("a wire of a single point has no surface; check the reconstruction.")
    across, up = _frames(points)
    angles = 2 * np.pi * np.arange(sides) / sides
    radius = curve.radius_mm / np.sqrt(sides / (2 * np.pi) * np.sin(2 * np.pi / sides))
    ring = np.cos(angles)[None, :, None] * across[:, None] + np.sin(angles)[None, :, None] * up[:, None]
    vertices = np.concatenate([(points[:, None] + radius * ring).reshape(-1, 3), points[[0, -1]]])
    here, following = np.arange(sides), np.roll(np.arange(sides), -1)
    starts = sides * np.arange(len(points) - 1)[:, None]
    one = np.stack([starts + here, starts + following, starts + sides + here], axis=-1)
    two = np.stack([starts + following, starts + sides + following, starts + sides + here], axis=-1)
    last, middle = sides * (len(points) - 1), sides * len(points)
    caps = [
        np.stack([following, here, np.full(sides, middle)], axis=-1),
        np.stack([last + here, last + following, np.full(sides, middle + 1)], axis=-1),
    ]
    faces = np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3), *caps])
    return Mesh(vertices, np.ascontiguousarray(faces, np.int32))


def joined(meshes: tuple[Mesh, ...]) -> Mesh:
    """Return several meshes as one."""
    offsets = np.cumsum([0, *(len(mesh.vertices_mm) for mesh in meshes[:-1])])
    faces = [mesh.faces + np.int32(offset) for mesh, offset in zip(meshes, offsets, strict=True)]
    return Mesh(np.concatenate([mesh.vertices_mm for mesh in meshes]), np.concatenate(faces))


def mesh_file(mesh: Mesh, path: Path) -> bytes:
    """Return a mesh as a binary STL or PLY file in mm, LPS.

    Parameters
    ----------
    mesh : Mesh
        Triangles.
    path : Path
        Its suffix names the format.

    Raises
    ------
    UsageError
        If the suffix is neither.
    """
    writers = {".stl": stl_file, ".ply": _ply}
    suffix = path.suffix.lower()
    if suffix not in writers:
        raise UsageError(f"{path}: a mesh is written as {' or '.join(MESH_SUFFIXES)}; change the suffix.")
    return writers[suffix](mesh)


def stl_file(mesh: Mesh) -> bytes:
    """Return a binary STL file; the word ``SPACE=LPS`` in its header tells 3D Slicer the axes."""
    corners = mesh.vertices_mm[mesh.faces].astype("<f4")
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    records = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
    records["normal"], records["corners"] = normals, corners
    return b"Photopeak, mm, SPACE=LPS".ljust(80) + struct.pack("<I", len(corners)) + records.tobytes()


def _ply(mesh: Mesh) -> bytes:
    faces = np.zeros(len(mesh.faces), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.faces
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment Photopeak, mm, SPACE=LPS\n"
        f"element vertex {len(mesh.vertices_mm)}\nproperty float x\nproperty float y\nproperty float z\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    file = BytesIO()
    file.write(header.encode())
    file.write(mesh.vertices_mm.astype("<f4").tobytes())
    file.write(faces.tobytes())
    return file.getvalue()


def marching_cubes() -> Callable[..., Any]:
    """Return scikit-image's marching cubes.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise UsageError("surfaces need scikit-image: pip install 'photopeak[reconstruction]'.") from None
    found: Callable[..., Any] = marching_cubes
    return found


def _of_volume(mesh: Mesh, volume_ml: float) -> Mesh:
    """Return a mesh moved along its normals until it encloses a volume; the passes of smoothing still err at small radii."""
    points = mesh.vertices_mm
    for _ in range(2):  # the area changes a little with the first move
        a, b, c = (points[mesh.faces[:, k]] for k in range(3))
        doubled = np.cross(b - a, c - a)
        count = len(points)
        normals = np.stack(
            [sum(np.bincount(mesh.faces[:, k], doubled[:, axis], count) for k in range(3)) for axis in range(3)], axis=1
        )
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        # A third of the triangles around a vertex moves with it.
        gain = np.einsum("ij,ij->", doubled, normals[mesh.faces].mean(axis=1)) / 2
        points = points + normals * (1000 * (volume_ml - Mesh(points, mesh.faces).volume_ml) / gain)
    return Mesh(points, mesh.faces)


def _frames(points: Points) -> tuple[Points, Points]:
    """Return two unit vectors across the curve at each point that turn as little as possible, by double reflection."""
    tangents = np.gradient(points, axis=0)
    tangents /= np.maximum(np.linalg.norm(tangents, axis=1, keepdims=True), 1e-12)
    axis = np.eye(3)[np.argmin(np.abs(tangents[0]))]
    across = np.empty_like(points)
    across[0] = np.cross(tangents[0], axis)
    across[0] /= np.linalg.norm(across[0])
    for i in range(len(points) - 1):
        step = points[i + 1] - points[i]
        moved, turned = (v - 2 * (step @ v) / (step @ step) * step for v in (across[i], tangents[i]))
        mirror = tangents[i + 1] - turned
        size = mirror @ mirror
        moved = moved if size < 1e-18 else moved - 2 * (mirror @ moved) / size * mirror
        across[i + 1] = moved / np.linalg.norm(moved)
    return across, np.cross(tangents, across)
