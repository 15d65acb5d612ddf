"""What a model makes of CT: transfer function, noise power and detail before and after, simulated and on a real phantom.

Phantoms are scanned many times with noise; a method sees every scan by itself, and the mean of what it gives is measured. What
is faint is so measured with the noise that a method has to cope with, and not without it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...kernels import edge_mtf, noise_power_spectrum, point_mtf
from ...kernels.mtf.curve import Mtf
from ...kernels.noise.power import NoisePowerSpectrum
from ..inference import Runner
from ..phantoms import ct_quality
from ..phantoms.ct import AIR_HU, KERNELS, STANDARD, Kernel, Plane, spectrum, white
from ..phantoms.ct_objects import OBJECTS
from ..phantoms.ct_quality import FIELD_MM, Region
from ..recipes.ct import WIDER, draw, draw_scan, pair, truth
from .ct_real import INPUT, Curve, Insert, RealNoise, real_inserts, real_noise
from .metrics import psnr, ssim
from .study import OURS, Score, speed

Floats = NDArray[np.float32]
Method = Callable[[Floats], Floats]
Tell = Callable[[str], None]
SIDE = 256
SCANS = 12
NOISE_FINER = 2  # noise is drawn on a grid so much finer: what lies beyond is less than a thousandth through any kernel
NOISE_HU = 12.0
NOISIER_HU = (40.0,)  # edges and wires through the standard kernel, once more
NOISES_HU = (5.0, 20.0, 60.0)
CASES_PER_OBJECT = 3
# Background and step: lung and air, bone, contrast medium, soft tissues.
STEPS_HU = ((40.0, -900.0), (40.0, 1000.0), (40.0, 200.0), (40.0, 50.0))
FAINT_HU, MORE_FOR_FAINT = 50.0, 6  # times as many scans, so that noise does not hide the answer
WIRE_WEIGHT = 1500.0
BARS_PER_MM = (0.3, 0.5, 0.7, 0.8)  # up to the Nyquist frequency of the input
DIAMETERS_MM, DISC_STEPS_HU = (2.0, 3.0, 5.0, 8.0), (10.0, 20.0, 40.0)


@dataclass(frozen=True)
class Sharpness:
    """Transfer functions of one object through one kernel.

    Parameters
    ----------
    object, kernel : str
        What was scanned, and how.
    noise_hu : float
        Standard deviation of the noise of each scan [HU].
    per_mm : tuple of float
        Frequencies up to the Nyquist frequency of the output [1/mm]; the input's is half of it.
    modulation : dict of str to tuple of float
        By method, ``input`` among them; NaN where it cannot be measured.
    aim : tuple of float
        What the model was trained to give.
    overshoot : dict of str to float
        By method: how far the edge goes beyond its plateaus, relative to the step; empty for wires.
    """

    object: str
    kernel: str
    noise_hu: float
    per_mm: Curve
    modulation: dict[str, Curve]
    aim: Curve
    overshoot: dict[str, float]


@dataclass(frozen=True)
class Noise:
    """Noise power of water through one kernel.

    Parameters
    ----------
    kernel : str
        Name.
    per_mm, power : dict of str to tuple of float
        By method: frequencies [1/mm] and radial power [HU^2 mm^2].
    deviation_hu : dict of str to float
        By method: standard deviation of a pixel [HU].
    """

    kernel: str
    per_mm: dict[str, Curve]
    power: dict[str, Curve]
    deviation_hu: dict[str, float]


@dataclass(frozen=True)
class Bars:
    """Modulation of bars by method, relative to that of the object."""

    kernel: str
    per_mm: float
    modulation: dict[str, float]


@dataclass(frozen=True)
class Disc:
    """Share of a faint disc's contrast that its mean keeps, by method."""

    diameter_mm: float
    step_hu: float
    recovery: dict[str, float]


@dataclass(frozen=True)
class CtReport:
    """All measurements of a CT model."""

    scores: tuple[Score, ...]
    sharpness: tuple[Sharpness, ...]
    noise: tuple[Noise, ...]
    bars: tuple[Bars, ...]
    discs: tuple[Disc, ...]
    inserts: tuple[Insert, ...]
    real_noise: tuple[RealNoise, ...]
    speed_ms: dict[str, float]


def measure_ct(model: bytes, data: Path | None, tell: Tell = lambda name: None) -> CtReport:
    """Compare a CT model with interpolation.

    Parameters
    ----------
    model : bytes
        The ONNX graph that ships.
    data : Path or None
        Folder with the shared collections, for the real phantom.
    tell : callable
        Told what is being measured.

    Returns
    -------
    CtReport
        Every single figure.
    """
    run = Runner(model)
    methods = methods_of(run)
    return CtReport(
        tuple(_scores(methods, tell)),
        tuple(_sharpness(methods, tell)),
        tuple(_noise(methods, tell)),
        tuple(_bars(methods, tell)),
        tuple(_discs(methods, tell)),
        real_inserts(methods, data, tell),
        real_noise(methods, data, tell),
        speed(run),
    )


def methods_of(run: Runner) -> dict[str, Method]:
    """Return this model and interpolations, each from an image to one of twice the matrix [HU]."""
    return {OURS: lambda image: run(image[None, None])[0, 0]} | {
        name: partial(_resized, how=how)
        for name, how in (
            ("bilinear", Image.Resampling.BILINEAR),
            ("bicubic", Image.Resampling.BICUBIC),
            ("Lanczos", Image.Resampling.LANCZOS),
        )
    }


def _resized(image: Floats, how: Image.Resampling) -> Floats:
    rows, columns = image.shape
    return np.asarray(Image.fromarray(image).resize((2 * columns, 2 * rows), how), np.float32)


def _scores(methods: dict[str, Method], tell: Tell) -> Iterator[Score]:
    """Score every method on held-out slices, against the noise-free aim above air; `level` is the noise [HU]."""
    for position, name in enumerate(OBJECTS):
        for number in range(CASES_PER_OBJECT):
            tell(f"{name}-{number}")
            plane, side = draw(100 * position + number, "held-out", name)
            seen = spectrum(plane)
            for level in NOISES_HU:
                rng = np.random.default_rng([56, position, number, round(level)])
                scan = draw_scan(plane, side, (level, level * 1.0001), rng)
                image, aim = pair(seen, scan, rng).image, truth(seen, scan) - np.float32(AIR_HU)
                for method, process in methods.items():
                    found = process(image) - np.float32(AIR_HU)
                    bias = float(found.mean(dtype=np.float64) + AIR_HU - image.mean(dtype=np.float64))
                    yield Score(f"{name}-{number}", level, method, psnr(found, aim), ssim(found, aim), bias)


@dataclass(frozen=True)
class _How:
    """How a phantom is scanned again and again."""

    kernel: Kernel
    seed: int
    noise_hu: float
    scans: int


def _averaged(plane: Plane, how: _How, methods: dict[str, Method]) -> dict[str, Floats]:
    """Scan a plane many times; return the mean of the scans, and of what each method makes of them."""
    seen, sums = spectrum(plane), {name: np.zeros(1) for name in (INPUT, *methods)}
    still, rng = seen.image(how.kernel, SIDE), np.random.default_rng([57, how.seed])
    for _ in range(how.scans):
        noise = white(NOISE_FINER * SIDE, plane.field_mm, rng).noise(how.kernel, SIDE, how.noise_hu)
        image = np.rint(still + noise)
        for name, total in sums.items():
            sums[name] = total + (image if name == INPUT else methods[name](image))
    return {name: np.asarray(total / how.scans, np.float32) for name, total in sums.items()}


def _sharpness(methods: dict[str, Method], tell: Tell) -> Iterator[Sharpness]:
    """Measure edges and a wire through every kernel, and through the standard one with more noise."""
    chosen = {name: methods[name] for name in (OURS, "bicubic", "Lanczos")}
    for number, (kernel, noise_hu) in enumerate(scans_of_edges()):
        for background, step in STEPS_HU:
            plane = ct_quality.edge(background, step)
            tell(f"{plane.name}, {kernel.name} kernel, {noise_hu:g} HU of noise")
            scans = SCANS * (MORE_FOR_FAINT if abs(step) <= FAINT_HU else 1)
            how = _How(kernel, number, noise_hu, scans)
            images = _averaged(plane, how, chosen)
            yield _curves(plane.name, how, {name: _edge_of(image) for name, image in images.items()})
        tell(f"wire, {kernel.name} kernel, {noise_hu:g} HU of noise")
        how = _How(kernel, 10 + number, noise_hu, SCANS)
        images = _averaged(ct_quality.wire(WIRE_WEIGHT, 0.13, -0.21), how, chosen)
        yield _curves("wire", how, {name: _wire_of(image) for name, image in images.items()})


def scans_of_edges() -> list[tuple[Kernel, float]]:
    """Return the kernels and noises [HU] of which transfer functions are measured."""
    return [*((kernel, NOISE_HU) for kernel in KERNELS), *((STANDARD, noise_hu) for noise_hu in NOISIER_HU)]


def _edge_of(image: Floats) -> Mtf:
    return _one(
        edge_mtf(image, rois=ct_quality.EDGE.pixels(len(image), FIELD_MM), pixel_spacing_mm=FIELD_MM / len(image))
    )


def _wire_of(image: Floats) -> Mtf:
    return _one(
        point_mtf(image, rois=ct_quality.WIRE.pixels(len(image), FIELD_MM), pixel_spacing_mm=FIELD_MM / len(image))
    )


def _one(found: Any) -> Mtf:
    assert isinstance(found, Mtf)
    return found


def _curves(name: str, how: _How, found: dict[str, Mtf]) -> Sharpness:
    """Put transfer functions on common frequencies."""
    per_mm = np.arange(1, 65) / 64 * SIDE / FIELD_MM
    return Sharpness(
        name,
        how.kernel.name,
        how.noise_hu,
        tuple(per_mm.tolist()),
        {method: modulation_at(mtf, per_mm) for method, mtf in found.items()},
        tuple(how.kernel.wider(WIDER).mtf(per_mm).tolist()),
        {method: overshoot(mtf) for method, mtf in found.items() if mtf.method == "edge"},
    )


def modulation_at(mtf: Mtf, per_mm: NDArray[np.float64]) -> Curve:
    """Return the modulation at frequencies [1/mm]; NaN beyond what was measured."""
    return tuple(mtf.at(per_mm * (mtf.pixel_spacing_mm or 1.0)).tolist())


def overshoot(mtf: Mtf) -> float:
    """Return how far the profile of an edge goes beyond its plateaus on either side, relative to the step."""
    profile = np.asarray(mtf.details["edge_spread"], np.float64)
    return float(max(profile.max() - 1, -profile.min()))


def _noise(methods: dict[str, Method], tell: Tell) -> Iterator[Noise]:
    """Measure the noise power of water through every kernel."""
    plane = ct_quality.water()
    seen = spectrum(plane)
    for number, kernel in enumerate(KERNELS):
        tell(f"noise, {kernel.name} kernel")
        rng, still = np.random.default_rng([58, number]), seen.image(kernel, SIDE)
        scans = [
            np.rint(still + white(NOISE_FINER * SIDE, FIELD_MM, rng).noise(kernel, SIDE, NOISE_HU))
            for _ in range(SCANS)
        ]
        found = {INPUT: _power(scans)} | {
            name: _power([methods[name](scan) for scan in scans]) for name in (OURS, "bicubic")
        }
        yield Noise(
            kernel.name,
            {name: tuple(nps.frequencies_per_mm.tolist()) for name, nps in found.items()},
            {name: tuple(nps.power_mm2.tolist()) for name, nps in found.items()},
            {name: float(np.sqrt(nps.variance)) for name, nps in found.items()},
        )


def _power(images: list[Floats]) -> NoisePowerSpectrum:
    side = len(images[0])
    (top, bottom), (left, right) = ct_quality.MIDDLE.pixels(side, FIELD_MM)
    middle = np.stack(images)[:, top:bottom, left:right]
    spacing, roi = FIELD_MM / side, 64 * side // SIDE
    return noise_power_spectrum(middle, pixel_spacing_mm=spacing, roi_size=roi, window="hann", subtract="mean")


def _bars(methods: dict[str, Method], tell: Tell) -> Iterator[Bars]:
    """Measure how much of bars is left."""
    chosen = {name: methods[name] for name in (OURS, "bicubic")}
    for kernel in KERNELS:
        for number, per_mm in enumerate(BARS_PER_MM):
            tell(f"bars, {kernel.name} kernel")
            images = _averaged(ct_quality.bars(per_mm, 400.0), _How(kernel, 20 + number, NOISE_HU, SCANS), chosen)
            found = {name: _amplitude(image, per_mm) / (400 * 2 / np.pi) for name, image in images.items()}
            yield Bars(kernel.name, per_mm, found)


def _amplitude(image: Floats, per_mm: float) -> float:
    """Return the amplitude of upright bars at their frequency [HU], by least squares over whole periods."""
    periods = int(20 * per_mm)
    region = Region(0.0, 0.0, periods / per_mm, 12.0)
    (top, bottom), (left, right) = region.pixels(len(image), FIELD_MM)
    at = (np.arange(left, right) + 0.5) * FIELD_MM / len(image) - FIELD_MM / 2
    waves = np.stack([np.ones_like(at), np.cos(2 * np.pi * per_mm * at), np.sin(2 * np.pi * per_mm * at)], 1)
    solution = np.linalg.lstsq(waves, image[top:bottom, left:right].mean(axis=0), rcond=None)[0]
    return float(np.hypot(*solution[1:]))


def _discs(methods: dict[str, Method], tell: Tell) -> Iterator[Disc]:
    """Measure what is left of faint discs."""
    tell("contrast-detail")
    plane, regions = ct_quality.contrast_detail(DIAMETERS_MM, DISC_STEPS_HU)
    how = _How(STANDARD, 30, NOISE_HU, SCANS)
    images = _averaged(plane, how, {name: methods[name] for name in (OURS, "bicubic")})
    for diameter, row in zip(DIAMETERS_MM, regions, strict=True):
        for step, region in zip(DISC_STEPS_HU, row, strict=True):
            yield Disc(diameter, step, {name: _mean(image, region) / step for name, image in images.items()})


def _mean(image: Floats, region: Region) -> float:
    """Return the mean inside a region of water, where water is 0 HU."""
    (top, bottom), (left, right) = region.pixels(len(image), FIELD_MM)
    return float(image[top : max(bottom, top + 1), left : max(right, left + 1)].mean(dtype=np.float64))
