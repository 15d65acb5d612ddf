"""CT slices through a soft, a standard or a sharp kernel, from the objects of :mod:`.ct_objects`."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .ct import KERNELS, Kernel, spectrum, white
from .ct_objects import OBJECTS
from .simulation import Phantom, Request, Simulation, Tell

SIDES = (128, 256, 512)
USUAL = 512
DRAWN = 1024  # pixels of the drawing
NOISE_HU = 12.0  # of a clinical dose through the standard kernel
_STANDARD = next(kernel for kernel in KERNELS if kernel.name == "standard")


@dataclass(frozen=True)
class Protocol:
    """A CT slice.

    Parameters
    ----------
    name : str
        Key: ``ct-OBJECT-KERNEL``.
    thing : str
        Key of the object.
    kernel : Kernel
        Transfer function and noise.
    body_part : str
        Body Part Examined.
    """

    name: str
    thing: str
    kernel: Kernel
    body_part: str


PROTOCOLS = tuple(
    Protocol(f"ct-{thing}-{kernel.name}", thing, kernel, thing.upper())
    for thing in ("head", "chest", "abdomen")
    for kernel in KERNELS
)


def scan(protocol: Protocol, request: Request, tell: Tell) -> Simulation:
    """Return CT slices in Hounsfield units.

    Parameters
    ----------
    protocol : Protocol
        Object and kernel.
    request : Request
        Matrix, counts (dose), seed and number of slices.
    tell : callable
        Told what is being done.

    Returns
    -------
    Simulation
        Slices of one plane, each with noise of its own; all kernels see the same quanta.

    Raises
    ------
    UsageError
        If the matrix is impossible.
    """
    side = request.square(USUAL, SIDES)
    tell(f"drawing {protocol.name}")
    plane = OBJECTS[protocol.thing](request.anatomy(), DRAWN)
    tell("scanning")
    image = spectrum(plane).image(protocol.kernel, side)
    noise_hu = NOISE_HU * _relative_noise(protocol.kernel) / np.sqrt(request.counts)
    slices, rng = [], request.noise()
    for number in range(request.slices):
        tell(f"slice {number + 1} of {request.slices}")
        noisy = image
        if not request.noise_free:
            noisy = image + white(DRAWN, plane.field_mm, rng).noise(protocol.kernel, side, noise_hu)
        slices.append(np.maximum(noisy, -1024))
    physics = (
        f"CT, {protocol.kernel.name} kernel: half of the modulation at {protocol.kernel.f50_per_mm:g} /mm, noise "
        f"{0.0 if request.noise_free else noise_hu:.1f} HU with ramp-filtered power."
    )
    return Simulation("CT", np.stack(slices), plane.field_mm / side, protocol.body_part, physics)


def _relative_noise(kernel: Kernel) -> float:
    """Return the noise of the same quanta relative to that through the standard kernel: the root of the spectra's ratio."""
    low = np.array(1e-3)
    return float(np.sqrt(_STANDARD.nps(low) / kernel.nps(low)))


PHANTOMS = tuple(
    Phantom(
        protocol.name,
        f"CT of the {protocol.thing}, {protocol.kernel.name} kernel",
        ", ".join(map(str, sorted(SIDES, key=lambda side: side != USUAL))),
        partial(scan, protocol),
    )
    for protocol in PROTOCOLS
)
