"""Surfaces against balls, tubes and readers that had no part in writing them."""

import builtins
import struct
from pathlib import Path

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.reconstruction.meshes import Mesh, isosurface, joined, mesh_file, smoothed, tube
from photopeak.kernels.reconstruction.geometry import Grid
from photopeak.kernels.reconstruction.solution import Curve

BALL_ML = 4e-3 / 3 * np.pi * 30**3


def radii(mesh):
    return np.linalg.norm(mesh.vertices_mm - np.array([3.0, 7.0, -5.0]), axis=1)


def test_ball_has_its_place_radius_and_volume(ball):
    mesh = isosurface(ball.distance_mm, ball.grid, 0.0, inside="below", volume_ml=ball.volume_ml)
    assert mesh.watertight
    assert mesh.volume_ml == pytest.approx(BALL_ML, rel=1e-4)
    assert radii(mesh).mean() == pytest.approx(30, abs=0.15)
    assert radii(mesh).std() < 0.06


def test_volume_of_flat_triangles_is_a_little_less(ball):
    mesh = isosurface(ball.distance_mm, ball.grid, 0.0, inside="below")
    assert 0.99 * BALL_ML < mesh.volume_ml < BALL_ML


def test_smoothing_takes_the_steps_of_voxels_away(ball):
    mask = (ball.distance_mm < 0).astype(np.float32)
    mesh = isosurface(mask, ball.grid, 0.5, inside="above")
    assert mesh.volume_ml == pytest.approx(BALL_ML, rel=0.005)
    assert radii(mesh).std() < 0.45
    smoother = smoothed(mesh, BALL_ML, steps=40)
    assert radii(smoother).std() < 0.9 * radii(mesh).std()
    assert smoother.volume_ml == pytest.approx(BALL_ML, rel=1e-4)


def test_box_of_voxels_keeps_its_volume(ball):
    box = isosurface(np.ones_like(ball.occupancy), ball.grid, 0.5, inside="above")
    box_ml = np.prod(np.multiply(ball.grid.shape, ball.grid.spacing_mm)) / 1000
    assert box.watertight
    assert box.volume_ml == pytest.approx(box_ml, rel=0.01)


def test_shape_that_the_grid_cuts_off_is_closed():
    grid = Grid((12, 12, 12), (2.0, 2.0, 2.0))
    z, _, _ = np.meshgrid(*grid.axes(), indexing="ij")
    half = isosurface(z.astype(np.float32), grid, 0.0, inside="below")
    assert half.watertight
    assert half.volume_ml > 0


def test_values_on_the_level_make_no_flat_triangles():
    grid = Grid((9, 9, 9), (1.0, 1.0, 1.0))
    z, y, x = np.meshgrid(*grid.axes(), indexing="ij")
    mesh = isosurface(
        (np.maximum(np.maximum(abs(x), abs(y)), abs(z)) - 2).astype(np.float32), grid, 0.0, inside="below"
    )
    assert mesh.watertight


@pytest.mark.parametrize("kind", ["noise", "steps", "mask"])
def test_surface_of_anything_has_no_hole(kind):
    grid = Grid((16, 16, 16), (2.0, 3.0, 4.0))
    for seed in range(4):
        noise = np.random.default_rng(seed).random(grid.shape, np.float32)
        values = {"noise": noise, "steps": np.rint(noise * 4) / 4, "mask": (noise > 0.7).astype(np.float32)}[kind]
        mesh = isosurface(values, grid, 0.5, inside="above")
        assert mesh.watertight
        assert np.isfinite(mesh.vertices_mm).all()


def test_nothing_inside_is_an_error(ball):
    with pytest.raises(InputError, match="no voxel is above 3"):
        isosurface(ball.occupancy, ball.grid, 3.0, inside="above")


def test_without_scikit_image_the_extra_is_named(ball, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.startswith("skimage"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UsageError, match=r"photopeak\[reconstruction\]"):
        isosurface(ball.occupancy, ball.grid, 0.5, inside="above")


def test_tube_has_the_volume_of_the_wire(helix):
    mesh = tube(helix[0])
    assert mesh.watertight
    length = np.hypot(2 * np.pi * 2, 1.2) * 2
    assert mesh.volume_ml == pytest.approx(np.pi * 0.25**2 * length / 1000, rel=2e-3)


def test_straight_tube_that_turns_back_on_an_axis_is_sound():
    points = np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 2]])
    mesh = tube(Curve(points, 0.5, np.ones(4, np.float32)), sides=64)
    assert mesh.watertight
    assert mesh.volume_ml * 1000 == pytest.approx(np.pi * 0.25 * 2, rel=1e-9)


def test_wire_of_one_point_is_an_error():
    with pytest.raises(InputError, match="single point"):
        tube(Curve(np.zeros((3, 3)), 0.5, np.ones(3, np.float32)))


def test_joined_wires_are_both_there(helix):
    meshes = tuple(map(tube, helix))
    both = joined(meshes)
    assert both.watertight
    assert both.volume_ml == pytest.approx(sum(mesh.volume_ml for mesh in meshes))


def test_mesh_with_a_hole_is_not_watertight(helix):
    mesh = tube(helix[0])
    assert not Mesh(mesh.vertices_mm, mesh.faces[1:]).watertight


def test_stl_holds_the_triangles(helix):
    mesh = tube(helix[0])
    content = mesh_file(mesh, Path("a.STL"))
    assert not content.startswith(b"solid")
    assert struct.unpack_from("<I", content, 80) == (len(mesh.faces),)
    assert len(content) == 84 + 50 * len(mesh.faces)
    values = np.frombuffer(content, "<f4,<f4,<f4,(3,3)<f4,<u2", offset=84)
    np.testing.assert_allclose(values["f3"], mesh.vertices_mm[mesh.faces], atol=1e-5)
    a, b, c = np.moveaxis(values["f3"].astype(float), 1, 0)
    normals = np.stack([values["f0"], values["f1"], values["f2"]], 1)
    assert (np.einsum("ij,ij->i", normals, np.cross(b - a, c - a)) >= 0).all()


def test_ply_holds_the_triangles(helix):
    mesh = tube(helix[0])
    header, _, body = mesh_file(mesh, Path("a.ply")).partition(b"end_header\n")
    assert f"element vertex {len(mesh.vertices_mm)}\n".encode() in header
    vertices = np.frombuffer(body, "<f4", 3 * len(mesh.vertices_mm)).reshape(-1, 3)
    np.testing.assert_allclose(vertices, mesh.vertices_mm, atol=1e-5)
    faces = np.frombuffer(body, np.dtype([("n", "u1"), ("v", "<i4", 3)]), offset=vertices.nbytes)
    assert (faces["n"] == 3).all()
    np.testing.assert_array_equal(faces["v"], mesh.faces)


def test_other_formats_are_refused(helix):
    with pytest.raises(UsageError, match=r"a\.obj.*\.stl or \.ply"):
        mesh_file(tube(helix[0]), Path("a.obj"))
