"""``photopeak phantom parathyroid-early`` and ``parathyroid-late``: one patient of the cohort, acquired twice."""

from dataclasses import replace
from functools import partial

from .parathyroid_cohort import Phase, draw_case
from .simulation import Phantom, Request, Simulation, Tell, Tracer

SIDES = (64, 128, 256, 512, 1024)
_MINUTES: dict[Phase, float] = {"early": 15.0, "late": 135.0}
_USUAL = 256


def acquire(phase: Phase, request: Request, tell: Tell) -> Simulation:
    """Simulate one phase; the same seed shows the same patient in both, with independent noise.

    Parameters
    ----------
    phase : {"early", "late"}
        15 minutes, or two hours and 15 minutes, after injection.
    request : Request
        Matrix, counts and seed.
    tell : callable
        Told what is being done.

    Returns
    -------
    Simulation
        One frame with a field as large as the case's.

    Raises
    ------
    UsageError
        If the matrix is impossible.
    """
    side = request.square(_USUAL, SIDES)
    tell(f"projecting, {phase}")
    case = replace(draw_case(request.anatomy()), minutes=_MINUTES, collimator="LEHR")
    if request.noise_free:
        pixels = case.expected(phase, side=side) * request.counts
    else:
        pair = case.acquire(request.noise(), side=side, counts_scale=request.counts)
        pixels = pair.early if phase == "early" else pair.late
    glands = ", ".join(f"{gland.kind} {gland.lesion_mm:.0f} mm" for gland in case.patient.glands) or "none"
    camera = case.camera
    return Simulation(
        "STATIC",
        pixels[None].astype("float32"),
        case.field_mm / side,
        "NECKCHEST",
        f"Gamma camera with a LEHR collimator, intrinsic FWHM {camera.intrinsic_fwhm_mm:.1f} mm, scatter "
        f"{camera.scatter_fraction:.0%} of the unscattered counts. Abnormal parathyroid glands: {glands}.",
        600.0 * request.counts,
        ("anterior",),
        Tracer("Tc-99m sestamibi", 740),
        series=f"MIBI {phase}",
        after_injection_min=_MINUTES[phase],
    )


_PHASES: tuple[tuple[Phase, str, str], ...] = (
    ("early", "15 minutes after injection", "late"),
    ("late", "two hours later: an adenoma keeps what the thyroid loses", "early"),
)
PHANTOMS = tuple(
    Phantom(
        f"parathyroid-{phase}",
        f"Sestamibi scan of the parathyroid cohort, {what}; the same seed as parathyroid-{other} shows the same patient",
        ", ".join(map(str, sorted(SIDES, key=lambda side: side != _USUAL))),
        partial(acquire, phase),
    )
    for phase, what, other in _PHASES
)
