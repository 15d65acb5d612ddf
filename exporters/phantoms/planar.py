"""Planar scintigraphy as a clinic acquires it: patient, camera, views and counts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import UsageError
from . import organs, patterns, textures
from .camera import Camera, count, detect
from .library import view
from .scene import Scene
from .simulation import Kind, Phantom, Request, Simulation, Tell, Tracer
from .skeleton import whole_body_bone
from .volumes import Volume

Floats = NDArray[np.float32]
SIDES = (64, 128, 256, 512, 1024)
WHOLE_BODY_COLUMNS = (64, 128, 256, 512)
_TURN = {"anterior": 0.0, "posterior": 180.0}
_SHEETS = (*patterns.PATTERNS, patterns.sheet, textures.textured)
_SHEET_MM = 100.0  # of a quality-control source from the collimator


@dataclass(frozen=True)
class Protocol:
    """How a planar study is acquired.

    Parameters
    ----------
    name, title : str
        Key and description.
    subject : callable
        Draws the patient, or the sheet of a quality-control source at positions x, y.
    field_mm : float
        Width of the image [mm].
    counts : float
        Of a clinical acquisition, in the first view.
    tracer : Tracer
        What was injected.
    duration_s : float
        Of a clinical acquisition [s].
    body_part : str
        Body Part Examined.
    views : tuple of str
        The detectors.
    usual : int
        Usual number of columns.
    gap_mm : float
        Air between collimator and patient [mm].
    """

    name: str
    title: str
    subject: Callable[..., Scene | Volume | NDArray[np.float64]]
    field_mm: float
    counts: float
    tracer: Tracer
    duration_s: float
    body_part: str = ""
    views: tuple[str, ...] = ("anterior",)
    usual: int = 256
    gap_mm: float = 20.0

    @property
    def kind(self) -> Kind:
        """Image Type, value 3."""
        return "WHOLE BODY" if self.name.endswith("wholebody") else "STATIC"


_FLOOD = Tracer("Tc-99m pertechnetate", 100)
PROTOCOLS = (
    Protocol(
        "bone-wholebody",
        "Bone scan of the whole body, anterior and posterior",
        whole_body_bone,
        579.0,
        3.2e6,
        Tracer("Tc-99m medronate", 700),
        1200.0,
        "WHOLEBODY",
        ("anterior", "posterior"),
        gap_mm=30.0,
    ),
    Protocol(
        "thyroid",
        "Thyroid with nodules and salivary glands",
        organs.thyroid,
        300.0,
        2.0e5,
        Tracer("Tc-99m pertechnetate", 74),
        300.0,
        "NECK",
    ),
    Protocol(
        "liver",
        "Liver and spleen with lesions, anterior and posterior",
        organs.liver_spleen,
        430.0,
        1.0e6,
        Tracer("Tc-99m sulfur colloid", 185),
        400.0,
        "ABDOMEN",
        ("anterior", "posterior"),
    ),
    Protocol(
        "kidneys",
        "Cortical renal scan with scars, posterior and anterior",
        organs.kidneys,
        430.0,
        6.0e5,
        Tracer("Tc-99m succimer", 110),
        600.0,
        "ABDOMEN",
        ("posterior", "anterior"),
    ),
    Protocol(
        "lungs",
        "Lung perfusion with segmental defects, anterior and posterior",
        organs.lungs,
        430.0,
        6.0e5,
        Tracer("Tc-99m macrosalb", 150),
        240.0,
        "CHEST",
        ("anterior", "posterior"),
    ),
    Protocol("flood", "Even sheet over the whole field", patterns.sheet, 533.0, 1.5e7, _FLOOD, 900.0),
    Protocol("bars", "Four-quadrant bar pattern", patterns.bars, 533.0, 6.0e6, _FLOOD, 600.0, usual=512),
    Protocol("rods", "Six sectors of rods, hot or cold", patterns.rods, 300.0, 2.0e6, _FLOOD, 600.0),
    Protocol("discs", "Discs of many sizes and contrasts", patterns.discs, 533.0, 3.0e6, _FLOOD, 600.0),
    Protocol(
        "texture",
        "Formula-driven texture: fractal, Perlin, Fourier or iterated",
        textures.textured,
        533.0,
        4.0e6,
        _FLOOD,
        600.0,
    ),
)


def acquire(protocol: Protocol, request: Request, tell: Tell) -> Simulation:
    """Return a planar study.

    Parameters
    ----------
    protocol : Protocol
        Patient and clinical habits.
    request : Request
        Matrix, counts and seed.
    tell : callable
        Told what is being done.

    Returns
    -------
    Simulation
        One frame per view. The first has the clinical counts times ``request.counts`` in expectation, on any matrix; the others
        are of the same duration.

    Raises
    ------
    UsageError
        If the matrix is impossible.
    """
    shape = _shape(protocol, request)
    camera = Camera(protocol.field_mm / shape[1], shape, gap_mm=protocol.gap_mm)
    tell(f"drawing {protocol.name}")
    if protocol.subject in _SHEETS:
        frames = [_sheet(protocol, camera, request.anatomy())]
    else:
        subject = protocol.subject(request.anatomy())
        frames = []
        for name in protocol.views:
            tell(f"projecting, {name}")
            frames.append(view(subject, camera, _TURN[name]))  # type: ignore[arg-type]
    expected = np.stack(frames)
    expected *= np.float32(protocol.counts * request.counts / expected[0].sum(dtype=np.float64))
    pixels = expected if request.noise_free else count(expected, request.noise())
    physics = (
        f"Gamma camera: intrinsic FWHM {camera.intrinsic_fwhm_mm:g} mm, collimator FWHM {camera.hole_mm:g} mm + "
        f"{camera.divergence:g} times the distance, scatter {camera.scatter_fraction:.0%} of the unscattered counts."
    )
    return Simulation(
        protocol.kind,
        pixels,
        camera.pixel_mm,
        protocol.body_part,
        physics,
        protocol.duration_s * request.counts,
        protocol.views,
        protocol.tracer,
    )


def _shape(protocol: Protocol, request: Request) -> tuple[int, int]:
    """Return rows and columns."""
    if protocol.kind == "STATIC":
        side = request.square(protocol.usual, SIDES)
        return side, side
    rows, columns = request.matrix or (4 * protocol.usual, protocol.usual)
    if rows != 4 * columns or columns not in WHOLE_BODY_COLUMNS:
        sizes = ", ".join(f"{4 * n}x{n}" for n in WHOLE_BODY_COLUMNS)
        raise UsageError(f"a whole body has no matrix {rows}x{columns}, give one of {sizes}.")
    return rows, columns


def _sheet(protocol: Protocol, camera: Camera, rng: np.random.Generator) -> Floats:
    """Return the expected image of a flat source, drawn on a finer grid than the camera's."""
    rows, columns = camera.shape
    finer = 4 if columns < 512 else 2
    at = [(np.arange(finer * n) - (finer * n - 1) / 2) * camera.pixel_mm / finer for n in (rows, columns)]
    drawn = np.asarray(protocol.subject(at[1][None], at[0][:, None], rng), np.float32)
    pixels = drawn.reshape(rows, finer, columns, finer).mean(axis=(1, 3))
    return detect(pixels[None], np.array([_SHEET_MM]), camera)


def _usual(protocol: Protocol) -> str:
    if protocol.kind == "STATIC":
        return ", ".join(map(str, sorted(SIDES, key=lambda side: side != protocol.usual)))
    return ", ".join(f"{4 * n}x{n}" for n in sorted(WHOLE_BODY_COLUMNS, key=lambda n: n != protocol.usual))


PHANTOMS = tuple(
    Phantom(protocol.name, protocol.title, _usual(protocol), partial(acquire, protocol)) for protocol in PROTOCOLS
)
