"""PET slices as a scanner gives them, from the objects of :mod:`.slices`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from .plane import Slice
from .simulation import Phantom, Request, Simulation, Tell, Tracer
from .slices import OBJECTS, derenzo, nema_iq
from .tomography import Reconstruction, Scanner, acquire, measure, reconstruct

SIDES = (128, 192, 200, 256, 400)
USUAL = 200
TRUES = 2e6  # coincidences of a slice in a clinical acquisition
BQML = 5000.0  # of a concentration of 1
DURATION_S = 180.0
SUBSETS, ANGLES = 10, 160


@dataclass(frozen=True)
class Protocol:
    """A PET study of one plane.

    Parameters
    ----------
    name, title : str
        Key and description.
    draw : callable
        Draws the plane: ``draw(rng, side)``.
    body_part : str
        Body Part Examined.
    """

    name: str
    title: str
    draw: Callable[[np.random.Generator, int], Slice]
    body_part: str = ""


PROTOCOLS = (
    Protocol("pet-brain", "Brain, grey matter four times as active as white", OBJECTS["brain"], "BRAIN"),
    Protocol("pet-torso", "Chest or abdomen with lesions", OBJECTS["torso"], "CHEST"),
    Protocol("pet-nema", "NEMA image quality phantom, hot spheres 4:1", lambda rng, side: nema_iq(side)),
    Protocol("pet-derenzo", "Derenzo phantom, hot rods", lambda rng, side: derenzo(side)),
)


def scan(protocol: Protocol, request: Request, tell: Tell) -> Simulation:
    """Return PET slices in Bq/ml.

    Parameters
    ----------
    protocol : Protocol
        The plane.
    request : Request
        Matrix, counts, seed and number of slices.
    tell : callable
        Told what is being done.

    Returns
    -------
    Simulation
        Slices of one plane, each with noise of its own.

    Raises
    ------
    UsageError
        If the matrix is impossible.
    """
    side = request.square(USUAL, SIDES)
    tell(f"drawing {protocol.name}")
    plane = protocol.draw(request.anatomy(), 4 * side if side < 200 else 2 * side)
    scanner = Scanner(plane.field_mm, ANGLES)
    how = Reconstruction(side=side, subsets=SUBSETS)
    tell("projecting")
    expected = measure(plane.activity, plane.attenuation, scanner, TRUES * request.counts)
    slices, rng = [], request.noise()
    for number in range(request.slices):
        tell(f"reconstructing slice {number + 1} of {request.slices}")
        data = expected if request.noise_free else acquire(expected, 1.0, rng)
        slices.append(reconstruct(data, scanner, how))
    physics = (
        f"PET scanner: FWHM {scanner.fwhm_mm:g} mm, scatter {scanner.scatter_fraction:.0%} and randoms "
        f"{scanner.randoms_fraction:.0%} of the trues; OSEM, {how.iterations} iterations of {how.subsets} subsets, Gaussian "
        f"filter {how.filter_fwhm_mm:g} mm."
    )
    return Simulation(
        "PET",
        np.float32(BQML) * np.stack(slices),
        plane.field_mm / side,
        protocol.body_part,
        physics,
        DURATION_S * request.counts,
        tracer=Tracer("FDG", 250),
    )


PHANTOMS = tuple(
    Phantom(
        protocol.name,
        protocol.title,
        ", ".join(map(str, sorted(SIDES, key=lambda side: side != USUAL))),
        partial(scan, protocol),
    )
    for protocol in PROTOCOLS
)
