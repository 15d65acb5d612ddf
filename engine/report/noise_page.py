"""The page of a noise power spectrum: the uniform areas, the spectrum in two dimensions and radial, and the NEQ."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels.noise.power import NoisePowerSpectrum
from ...kernels.noise.quanta import NoiseEquivalentQuanta
from ..frames import Units
from ..quality.images import Image
from ..quality.noise import Layout
from ..quality.sharpness import spelled
from . import facts
from .curves import Line, curve_figure, plane_figure
from .document import write_document
from .images import Window
from .shown import Planes
from .subjects import boxes, facts_of, name_of, shot

__all__ = ["NoiseSubject", "write_nps_report"]

SUBTRACTED = {"nothing": "nothing", "pairs": "the neighbouring frame", "mean": "the mean of all frames"}


@dataclass(frozen=True, slots=True, eq=False)
class NoiseSubject:
    """What was measured.

    Parameters
    ----------
    image : Image
        Something uniform.
    frame : int or None
        Number of the only frame used, from 1.
    where : Layout
        The areas and regions.
    spectrum : NoisePowerSpectrum
        What was found.
    quanta : NoiseEquivalentQuanta or None
        What it is worth with a transfer function.
    options : mapping of str to str
        ``detrend``, ``window`` and ``subtract``.
    """

    image: Image
    frame: int | None
    where: Layout
    spectrum: NoisePowerSpectrum
    quanta: NoiseEquivalentQuanta | None
    options: Mapping[str, Any]


def write_nps_report(subject: NoiseSubject, path: Path, title: str = "Noise power spectrum") -> Path:
    """Write one HTML file that shows a noise power spectrum and where it was measured.

    The file needs no network and no other file, and holds no name or number of a patient.

    Parameters
    ----------
    subject : NoiseSubject
        What was measured.
    path : Path
        File to write, or to replace when it is whole.
    title : str
        Heading of the page.

    Returns
    -------
    Path
        `path`.
    """
    image, spectrum = subject.image, subject.spectrum
    warnings = (subject.quanta or spectrum).warnings
    words = f"{len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else "No warnings"
    unit = _frequency_unit(spectrum)
    return write_document(
        path,
        "noise.html.j2",
        ("measured.js",),
        title=title,
        planes=Planes(),
        results=[{"start": 0, "labels": [], "figures": _figures(subject)}],
        name=name_of(image),
        used=_used(subject),
        facts=facts_of(image),
        chips=[facts.Chip("fair" if warnings else "good", words)],
        warnings=[facts.capitalised(warning.sentence) for warning in warnings],
        shot=_shot(subject),
        unit=unit,
        results_table=_results(subject),
        measurement=_measurement(subject),
        quanta=subject.quanta is not None,
    )


def _shot(subject: NoiseSubject) -> dict[str, Any]:
    spectrum = subject.spectrum
    # Noise shows in a window of a few standard deviations.
    reach = 4 * float(np.sqrt(spectrum.variance)) or 1.0
    found = shot(subject.image, (subject.frame or 1) - 1, Window(spectrum.mean - reach, spectrum.mean + reach))
    whole = ((0, found["rows"]), (0, found["columns"]))
    return found | {"boxes": boxes([area for area in subject.where.areas if area != whole], ["c2"])}


def _figures(subject: NoiseSubject) -> dict[str, Any]:
    spectrum = subject.spectrum
    known = spectrum.pixel_spacing_mm is not None
    side = spectrum.pixel_size_mm if known else 1.0
    unit, power = _frequency_unit(spectrum), _power_unit(subject)
    area = side**2
    line = Line(
        "noise",
        "c1",
        spectrum.frequencies / side,
        spectrum.power * area,
        spectrum.lower * area,
        spectrum.upper * area,
    )
    steps = spectrum.pixel_spacing_mm or (1.0, 1.0)
    down, along = (
        np.fft.fftshift(np.fft.fftfreq(size, step)) for size, step in zip(spectrum.plane.shape, steps, strict=True)
    )
    figures = {
        "radial": curve_figure([line], f"spatial frequency / ({unit})", f"power / ({power})"),
        "plane": plane_figure(spectrum.plane * area, (down, along), unit, power),
    }
    if subject.quanta is not None:
        quanta = subject.quanta
        per = 1 / area
        worth = Line(
            "NEQ", "c3", quanta.frequencies / side, quanta.quanta * per, quanta.lower * per, quanta.upper * per
        )
        words = "quanta / mm\u00b2" if known else "quanta / pixel"
        figures["neq"] = curve_figure([worth], f"spatial frequency / ({unit})", words)
    return figures


def _frequency_unit(spectrum: NoisePowerSpectrum) -> str:
    return "cycles/pixel" if spectrum.pixel_spacing_mm is None else "cycles/mm"


def _power_unit(subject: NoiseSubject) -> str:
    length = "px" if subject.spectrum.pixel_spacing_mm is None else "mm"
    units = subject.image.frames.units
    value = "value" if units is Units.NONE else facts.unit_of(units)
    return f"{value}\u00b2 {length}\u00b2"


def _used(subject: NoiseSubject) -> str:
    if subject.frame is not None:
        return f"frame {subject.frame}"
    count = len(subject.image)
    return f"{count} frames" if count > 1 else ""


def _results(subject: NoiseSubject) -> list[tuple[str, str]]:
    spectrum = subject.spectrum
    deviation = float(np.sqrt(spectrum.variance))
    share = f" ({100 * deviation / abs(spectrum.mean):.3g} % of the mean)" if spectrum.mean else ""
    side = 1.0 if spectrum.pixel_spacing_mm is None else spectrum.pixel_size_mm
    centre = float(np.average(spectrum.frequencies, weights=spectrum.power)) if spectrum.power.any() else 0.0
    peak = float(spectrum.frequencies[int(spectrum.power.argmax())])
    unit = _frequency_unit(spectrum)
    found = [
        ("Mean", facts.measured(spectrum.mean)),
        ("Standard deviation", facts.measured(deviation) + share),
        ("Peak of the radial spectrum", f"{peak / side:.4f} {unit}"),
        ("Mean frequency", f"{centre / side:.4f} {unit}"),
    ]
    if spectrum.mean > 0 and subject.image.frames.units in (Units.COUNTS, Units.NONE):
        found.append(("Variance over mean", f"{facts.measured(spectrum.variance / spectrum.mean)} (Poisson counts: 1)"))
    if subject.quanta is not None:
        low = float(subject.quanta.quanta[0])
        found.append(("NEQ at the lowest frequency", f"{facts.measured(low)} per pixel"))
    return found


def _measurement(subject: NoiseSubject) -> list[tuple[str, str]]:
    spectrum, where, options = subject.spectrum, subject.where, subject.options
    return [
        ("Areas", "; ".join(spelled(area) for area in where.areas)),
        ("Regions", f"{spectrum.regions} of {where.size} \u00d7 {where.size} px, half overlapping"),
        ("Worth", f"{spectrum.independent:.3g} regions without overlap"),
        ("Subtracted from each frame", SUBTRACTED.get(options["subtract"], options["subtract"])),
        ("Subtracted from each region", options["detrend"]),
        ("Taper", options["window"]),
    ]
