"""Transfer functions and noise spectra as rows of a CSV file and for JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...kernels.noise.power import NoisePowerSpectrum
from ...kernels.noise.quanta import NoiseEquivalentQuanta
from .noise import Layout
from .sharpness import Curve, spelled
from .table import write_rows

__all__ = ["described_curve", "described_spectrum", "write_curves", "write_spectrum"]


def write_curves(path: Path, curves: Mapping[str, Sequence[Curve]]) -> Path:
    """Write one row for each frequency of each transfer function.

    Parameters
    ----------
    path : Path
        File to write, or to replace when it is whole.
    curves : mapping of str to sequence of Curve
        By the name of the image, such as ``before``.

    Returns
    -------
    Path
        `path`.
    """
    columns = ("image", "region", "cycles_per_pixel", "cycles_per_mm", "modulation", "lower", "upper")
    lines = [
        (name, spelled(curve.roi), frequency, "" if spacing is None else frequency / spacing, *values)
        for name, several in curves.items()
        for curve in several
        for spacing in (curve.mtf.pixel_spacing_mm,)
        for frequency, *values in zip(
            *(getattr(curve.mtf, part).tolist() for part in ("frequencies", "modulation", "lower", "upper")),
            strict=True,
        )
    ]
    return write_rows(path, columns, lines)


def described_curve(curve: Curve) -> dict[str, Any]:
    """Return what JSON says of a curve."""
    found = curve.mtf
    spacing = found.pixel_spacing_mm
    summary = {
        "roi": spelled(curve.roi),
        "method": found.method,
        "mtf50_per_pixel": found.mtf50,
        "mtf10_per_pixel": found.mtf10,
        "mtf50_per_mm": spacing and found.mtf50 / spacing,
        "mtf10_per_mm": spacing and found.mtf10 / spacing,
        "pixel_spacing_mm": spacing,
        "warnings": [{"code": warning.code, "sentence": warning.sentence} for warning in found.warnings],
        "details": dict(found.details),
    }
    return summary | {name: getattr(found, name) for name in ("frequencies", "modulation", "lower", "upper")}


def write_spectrum(path: Path, spectrum: NoisePowerSpectrum, quanta: NoiseEquivalentQuanta | None = None) -> Path:
    """Write one row for each frequency of a radial spectrum.

    Parameters
    ----------
    path : Path
        File to write, or to replace when it is whole.
    spectrum : NoisePowerSpectrum
        What was measured.
    quanta : NoiseEquivalentQuanta, optional
        What it is worth with a transfer function; frequencies beyond that stay empty.

    Returns
    -------
    Path
        `path`.
    """
    known = {} if quanta is None else dict(zip(quanta.frequencies.tolist(), quanta.quanta.tolist(), strict=True))
    in_mm = spectrum.pixel_spacing_mm is not None
    columns = ("cycles_per_pixel", "cycles_per_mm", "power_pixel2", "lower_pixel2", "upper_pixel2", "power_mm2")
    side = spectrum.pixel_size_mm if in_mm else float("nan")
    lines = [
        (f, f / side if in_mm else "", power, low, high, power * side**2 if in_mm else "", known.get(f, ""))
        for f, power, low, high in zip(*_radial(spectrum), strict=True)
    ]
    return write_rows(path, (*columns, "neq_per_pixel"), lines)


def described_spectrum(
    spectrum: NoisePowerSpectrum, where: Layout, quanta: NoiseEquivalentQuanta | None = None
) -> dict[str, Any]:
    """Return what JSON says of a noise power spectrum: frequencies in cycles/pixel, powers in value^2 pixel^2."""
    frequencies, power, lower, upper = _radial(spectrum)
    found: dict[str, Any] = {
        "areas": [spelled(area) for area in where.areas],
        "roi_size": where.size,
        "regions": spectrum.regions,
        "independent_regions": spectrum.independent,
        "mean": spectrum.mean,
        "variance": spectrum.variance,
        "pixel_spacing_mm": spectrum.pixel_spacing_mm,
        "frequencies": frequencies,
        "power": power,
        "lower": lower,
        "upper": upper,
        "plane": spectrum.plane,
        "warnings": [warning._asdict() for warning in (quanta or spectrum).warnings],
    }
    if quanta is None:
        return found | {"neq": None}
    names = ("frequencies", "quanta", "lower", "upper", "signal")
    return found | {"neq": {name: getattr(quanta, name) for name in names}}


def _radial(spectrum: NoisePowerSpectrum) -> tuple[list[float], ...]:
    return tuple(part.tolist() for part in (spectrum.frequencies, spectrum.power, spectrum.lower, spectrum.upper))
