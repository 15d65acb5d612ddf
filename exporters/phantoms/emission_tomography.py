"""SPECT studies: an object, a turning camera, and the reconstruction of what it saw."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from . import anatomy
from .camera import Camera, count
from .simulation import Phantom, Request, Simulation, Tell, Tracer, Turn
from .spect import Orbit, Projections, Settings, Tomograph, coarser, measure, reconstruct
from .volumes import Grid, Volume, jaszczak, nema_body, uniform_cylinder

SIDES = (64, 128)
FINER = 2  # voxels of the object along one of the camera's


@dataclass(frozen=True)
class Protocol:
    """How a SPECT study is acquired.

    Parameters
    ----------
    name, title : str
        Key and description.
    draw : callable
        Draws the object on a grid.
    field_mm, axial_mm : float
        Width of the field of view, and length of it along the patient [mm].
    radius_mm : float
        Radius of rotation [mm].
    counts : float
        Unscattered counts of all views of a clinical acquisition.
    tracer : Tracer
        What was injected.
    body_part : str
        Body Part Examined.
    """

    name: str
    title: str
    draw: Callable[[Grid, np.random.Generator], Volume]
    field_mm: float
    axial_mm: float
    radius_mm: float
    counts: float
    tracer: Tracer
    body_part: str = ""

    def scanner(self, side: int) -> Tomograph:
        """Return the camera: 64 views on a matrix of 64, 128 on 128."""
        pixel = self.field_mm / side
        slices = 2 * round(self.axial_mm / pixel / 2)
        camera = Camera(pixel_mm=pixel, shape=(slices, side), divergence=0.045)
        return Tomograph(camera, Orbit(side, self.radius_mm))


_FILL = Tracer("Tc-99m pertechnetate", 400)
PROTOCOLS = (
    Protocol(
        "spect-cylinder", "Even cylinder", lambda grid, rng: uniform_cylinder(grid), 300.0, 200.0, 150.0, 8e6, _FILL
    ),
    Protocol(
        "spect-jaszczak",
        "Jaszczak phantom: cold rods, cold spheres, even part",
        lambda grid, rng: jaszczak(grid),
        300.0,
        200.0,
        150.0,
        2.5e7,
        _FILL,
    ),
    Protocol(
        "spect-nema",
        "NEMA body phantom with six hot spheres and the lung insert",
        lambda grid, rng: nema_body(grid),
        400.0,
        200.0,
        220.0,
        1.5e7,
        _FILL,
    ),
    Protocol(
        "spect-brain",
        "Brain perfusion",
        anatomy.brain,
        256.0,
        176.0,
        140.0,
        6e6,
        Tracer("Tc-99m exametazime", 740),
        "BRAIN",
    ),
    Protocol(
        "spect-heart",
        "Myocardial perfusion with defects",
        anatomy.heart,
        430.0,
        180.0,
        235.0,
        7e6,
        Tracer("Tc-99m sestamibi", 900),
        "HEART",
    ),
    Protocol(
        "spect-liver",
        "Liver and spleen with lesions",
        anatomy.liver,
        430.0,
        240.0,
        235.0,
        9e6,
        Tracer("Tc-99m sulfur colloid", 185),
        "ABDOMEN",
    ),
)
VIEW_S = 20.0


def acquire(protocol: Protocol, request: Request, tell: Tell) -> Simulation:
    """Return a SPECT study: slices from the feet to the head, or the views.

    Parameters
    ----------
    protocol : Protocol
        Object and clinical habits.
    request : Request
        Matrix, counts, seed, and whether views are wanted.
    tell : callable
        Told what is being done.

    Returns
    -------
    Simulation
        A voxel holds the counts that it would give in the whole acquisition if nothing attenuated.

    Raises
    ------
    UsageError
        If the matrix is impossible.
    """
    scanner = protocol.scanner(request.square(64, SIDES))
    shape = scanner.volume_shape
    tell(f"drawing {protocol.name}")
    fine = Grid((FINER * shape[0], FINER * shape[1], FINER * shape[2]), scanner.camera.pixel_mm / FINER)
    volume = protocol.draw(fine, request.anatomy())
    tell(f"projecting {scanner.orbit.angles} views")
    expected = measure(volume.activity, volume.attenuation, scanner, protocol.counts * request.counts)
    counts = expected.counts if request.noise_free else count(expected.counts, request.noise())
    how = replace(Settings(), subsets=scanner.orbit.angles // 8, iterations=5)
    if request.projections:
        pixels, kind = np.ascontiguousarray(counts[:, ::-1]), "TOMO"
    else:
        step = 0

        def advance() -> None:
            nonlocal step
            step += 1
            tell(f"reconstructed {step} of {how.iterations} iterations")

        tell("reconstructing")
        seen = Projections(counts, expected.background)
        pixels, kind = reconstruct(seen, coarser(volume.attenuation, FINER), scanner, how, advance), "RECON TOMO"
    return Simulation(
        kind,  # type: ignore[arg-type]
        pixels,
        scanner.camera.pixel_mm,
        protocol.body_part,
        _physics(scanner, how if kind == "RECON TOMO" else None),
        VIEW_S * 64 / scanner.orbit.angles * request.counts,
        tracer=protocol.tracer,
        turn=Turn(scanner.orbit.angles, scanner.orbit.radius_mm, VIEW_S * 64 / scanner.orbit.angles * request.counts),
    )


def _physics(scanner: Tomograph, how: Settings | None) -> str:
    """Return what the header says about camera and reconstruction."""
    camera = scanner.camera
    text = (
        f"Turning gamma camera: collimator FWHM {camera.hole_mm:g} mm + {camera.divergence:g} times the distance, attenuation, "
        f"scatter {camera.scatter_fraction:.0%} of the unscattered counts."
    )
    if how is None:
        return text
    return (
        f"{text} OSEM, {how.iterations} iterations of {how.subsets} subsets with attenuation, scatter and resolution modelled, "
        f"Gaussian filter {how.filter_fwhm_mm:g} mm."
    )


PHANTOMS = tuple(
    Phantom(protocol.name, protocol.title, ", ".join(map(str, SIDES)), partial(acquire, protocol))
    for protocol in PROTOCOLS
)
