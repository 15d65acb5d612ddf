"""A real phantom before and after: slices of the QUART phantom from a cone-beam scanner (0.55 mm, 512 x 512).

Inserts are measured as they are, each slice by itself: there is no other scan to average with.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from ...kernels import disk_mtf, noise_power_spectrum
from ...kernels.mtf.curve import Mtf
from ...kernels.noise.power import NoisePowerSpectrum
from .study import OURS

Floats = NDArray[np.float32]
Curve = tuple[float, ...]
Methods = Mapping[str, Callable[[Floats], Floats]]
FOLDER = "linaqa/ct_quart_halcyon"
PIXEL_MM = 0.55
INPUT = "input"
# File, what it shows, and the rows and columns around it.
INSERTS = (
    ("004.dcm", "air, upper", ((137, 184), (233, 280))),
    ("004.dcm", "air, lower", ((328, 375), (233, 280))),
    ("004.dcm", "bone-like", ((225, 287), (130, 192))),
    ("004.dcm", "plastic below water", ((227, 284), (323, 381))),
    ("000.dcm", "outline", ((87, 423), (89, 425))),
    ("002.dcm", "outline", ((88, 423), (90, 424))),
    ("006.dcm", "outline", ((88, 423), (89, 424))),
    ("008.dcm", "outline", ((88, 423), (89, 424))),
)
UNIFORM = ("000.dcm", "006.dcm", "008.dcm")
_MIDDLE = ((160, 352), (160, 352))


@dataclass(frozen=True)
class Insert:
    """The edge of a disc of the real phantom.

    Parameters
    ----------
    file, name : str
        Where and what.
    contrast_hu : float
        Height of the disc over its surroundings [HU].
    per_mm : tuple of float
        Frequencies up to the Nyquist frequency of the output [1/mm].
    modulation, upper, lower : dict of str to tuple of float
        By method; NaN beyond the Nyquist frequency of what was measured. The bounds are those of 95 %.
    overshoot : dict of str to float
        How far the profile goes beyond its plateaus, relative to the contrast.
    """

    file: str
    name: str
    contrast_hu: float
    per_mm: Curve
    modulation: dict[str, Curve]
    lower: dict[str, Curve]
    upper: dict[str, Curve]
    overshoot: dict[str, float]


@dataclass(frozen=True)
class RealNoise:
    """Noise power of a uniform slice, by method; see :class:`~.ct_study.Noise`."""

    file: str
    per_mm: dict[str, Curve]
    power: dict[str, Curve]
    deviation_hu: dict[str, float]


def real_inserts(methods: Methods, data: Path | None, tell: Callable[[str], None]) -> tuple[Insert, ...]:
    """Measure the inserts and the outline of the phantom; empty where it is missing."""
    chosen = {name: methods[name] for name in (OURS, "bicubic")}
    found = []
    for file, name, roi in INSERTS if _present(data) else ():
        tell(f"real phantom, {name}")
        image = _read(data, file)
        images = {INPUT: image} | {method: process(image) for method, process in chosen.items()}
        found.append(_insert(file, name, roi, images))
    return tuple(found)


def real_noise(methods: Methods, data: Path | None, tell: Callable[[str], None]) -> tuple[RealNoise, ...]:
    """Measure the noise power in uniform slices of the phantom; empty where it is missing."""
    chosen = {name: methods[name] for name in (OURS, "bicubic")}
    found = []
    for file in UNIFORM if _present(data) else ():
        tell(f"real phantom, noise of {file}")
        image = _read(data, file)
        images = {INPUT: image} | {method: process(image) for method, process in chosen.items()}
        powers = {method: _power(pixels, len(pixels) // len(image)) for method, pixels in images.items()}
        found.append(
            RealNoise(
                file,
                {method: tuple(nps.frequencies_per_mm.tolist()) for method, nps in powers.items()},
                {method: tuple(nps.power_mm2.tolist()) for method, nps in powers.items()},
                {method: float(np.sqrt(nps.variance)) for method, nps in powers.items()},
            )
        )
    return tuple(found)


def _insert(file: str, name: str, roi: tuple[tuple[int, int], tuple[int, int]], images: Mapping[str, Floats]) -> Insert:
    """Measure the edge of one disc in every image of it."""
    side = len(images[INPUT])
    curves = {method: _disk(pixels, roi, len(pixels) // side) for method, pixels in images.items()}
    per_mm = np.arange(1, 65) / 64 / PIXEL_MM

    def sampled(values: str) -> dict[str, Curve]:
        return {
            method: tuple(np.interp(per_mm, mtf.frequencies_per_mm, getattr(mtf, values), right=np.nan).tolist())
            for method, mtf in curves.items()
        }

    return Insert(
        file,
        name,
        float(curves[INPUT].details["contrast"]),
        tuple(per_mm.tolist()),
        sampled("modulation"),
        sampled("lower"),
        sampled("upper"),
        {method: _overshoot(mtf) for method, mtf in curves.items()},
    )


def _disk(pixels: Floats, roi: tuple[tuple[int, int], tuple[int, int]], scale: int) -> Mtf:
    (top, bottom), (left, right) = roi
    wanted = ((scale * top, scale * bottom), (scale * left, scale * right))
    found = disk_mtf(pixels, rois=wanted, pixel_spacing_mm=PIXEL_MM / scale)
    assert isinstance(found, Mtf)
    return found


def _overshoot(mtf: Mtf) -> float:
    """Return how far the profile of a disc goes beyond its plateaus, relative to its contrast."""
    contrast, low = float(mtf.details["contrast"]), float(mtf.details["background"])
    profile = (np.asarray(mtf.details["edge_spread"], np.float64) - low) / contrast
    return float(max(profile.max() - 1, -profile.min()))


def _power(pixels: Floats, scale: int) -> NoisePowerSpectrum:
    (top, bottom), (left, right) = _MIDDLE
    middle = pixels[scale * top : scale * bottom, scale * left : scale * right]
    return noise_power_spectrum(middle, pixel_spacing_mm=PIXEL_MM / scale, roi_size=64 * scale, window="hann")


def _present(data: Path | None) -> bool:
    return data is not None and (data / FOLDER).is_dir()


def _read(data: Path | None, file: str) -> Floats:
    assert data is not None
    ds = pydicom.dcmread(data / FOLDER / file)
    return np.asarray(ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept), np.float32)
