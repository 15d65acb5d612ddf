"""Two views of a volume, and back, against the library that does it and against NumPy, taking turns.

Volumes and detectors of 64, 128 and 256 elements a side. Images are made beforehand in the form that a library takes, and
so are its tables of rays. `giga_updates` is how many voxels a view passes in all, over the time of one call; `copied` is the
time for a copy of the volume, which bounds what memory allows.
"""

from functools import partial

import numpy as np
import pytest

from photopeak.benchmarks.peers import peers_of
from photopeak.kernels import GammaCamera, Geometry, Grid, Projector, View

SIDES = (64, 128, 256)
BEAMS = ("parallel", "cone", "tilted")
FIELD_MM = 512.0


def geometry_of(beam, side):
    """Return two views at right angles that fill their detectors."""
    voxel = FIELD_MM / side
    grid = Grid((side,) * 3, (voxel,) * 3)
    if beam == "parallel":
        return Geometry.around(grid, (20, 110))
    if beam == "orthogonal":
        return Geometry.around(grid, (0, 90))
    arm = partial(View.c_arm, (side, side), (1.5 * voxel,) * 2, source_detector_mm=1500, source_isocenter_mm=1000)
    tilt = 25 if beam == "tilted" else 0
    return Geometry(grid, (arm(20, tilt), arm(110, tilt)))


def blob(side):
    """Return a body with a soft border, well inside the volume, and some noise."""
    square = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    body = np.exp(-8 * (square[:, None, None] + square[:, None] + square))
    return body * np.random.default_rng(0).uniform(0.5, 1.5, body.shape).astype(np.float32)


def note_updates(benchmark, side, views=2):
    """Write down what a call does, and its rate."""
    comparison = benchmark.extra_info.get("comparison")
    if comparison:
        ours = float(np.median(comparison["times_ms"]["photopeak"]))
        benchmark.extra_info["giga_updates"] = views * side**3 / ours / 1e6


# RTK's circular geometry has no detector that is tilted out of its orbit by an angle of its own.
def rivals(metric, beam):
    return () if beam == "tilted" else peers_of(metric)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("beam", BEAMS)
def bench_projection(compare, benchmark, threads, beam, side):
    geometry, volume = geometry_of(beam, side), blob(side)
    projector = Projector(geometry, threads=threads)
    contestants = {"photopeak": partial(projector.forward, volume), "copied": volume.copy}
    theirs = {peer.name: peer.prepare(volume, geometry, threads) for peer in rivals("projection", beam)}
    compare(contestants | theirs, baseline="photopeak", settle=True)
    note_updates(benchmark, side)
    total = sum(image.sum(dtype=float) for image in projector.forward(volume))
    for call in theirs.values():
        assert call().sum(dtype=float) == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("beam", BEAMS)
def bench_backprojection(compare, benchmark, threads, beam, side):
    geometry, volume = geometry_of(beam, side), blob(side)
    projector = Projector(geometry, threads=threads)
    images = projector.forward(volume)
    contestants = {"photopeak": partial(projector.adjoint, images), "copied": volume.copy}
    peers = rivals("backprojection", beam)
    theirs = {peer.name: peer.prepare(np.stack(images), geometry, threads) for peer in peers}
    compare(contestants | theirs, baseline="photopeak", settle=True)
    note_updates(benchmark, side)
    middle = (slice(side // 4, -(side // 4)),) * 3
    total = projector.adjoint(images)[middle].sum(dtype=float)
    for call in theirs.values():
        assert call()[middle].sum(dtype=float) == pytest.approx(total, rel=1e-2)


@pytest.mark.parametrize("side", SIDES)
def bench_orthogonal_projection(compare, benchmark, threads, side):
    volume, projector = blob(side), Projector(geometry_of("orthogonal", side), threads=threads)
    contestants = {
        "photopeak": partial(projector.forward, volume),
        "numpy": lambda: (volume.sum(axis=1), volume.sum(axis=2)),
        "copied": volume.copy,
    }
    compare(contestants, baseline="photopeak", settle=True)
    note_updates(benchmark, side)
    np.testing.assert_allclose(projector.forward(volume)[0], FIELD_MM / side * volume.sum(axis=1)[::-1], rtol=1e-4)


@pytest.mark.parametrize("side", SIDES)
def bench_orthogonal_backprojection(compare, benchmark, threads, side):
    projector = Projector(geometry_of("orthogonal", side), threads=threads)
    anterior, lateral = projector.forward(blob(side))
    contestants = {
        "photopeak": partial(projector.adjoint, (anterior, lateral)),
        "numpy": lambda: anterior[::-1, None, :] + lateral[::-1, :, None],
        "copied": blob(side).copy,
    }
    compare(contestants, baseline="photopeak", settle=True)
    note_updates(benchmark, side)
    expected = FIELD_MM / side * contestants["numpy"]()
    np.testing.assert_allclose(projector.adjoint((anterior, lateral)), expected, rtol=1e-4)


@pytest.mark.parametrize("side", SIDES[:2])
@pytest.mark.parametrize("angles", [(0, 90), (20, 110)], ids=["0 and 90", "20 and 110"])
def bench_camera(measure, threads, angles, side):
    geometry, volume = geometry_of("orthogonal", side), blob(side)
    camera = GammaCamera.with_holes(1.5, 24.0, intrinsic_mm=3.8, mu_per_cm=0.15, body=volume > 0.01)
    projector = Projector(Geometry.around(geometry.grid, angles), camera=camera, threads=threads)
    assert measure(lambda: projector.adjoint(projector.forward(volume))).shape == volume.shape
