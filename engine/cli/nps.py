"""``photopeak nps``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import JsonOption, ThreadsOption, answer, plain, print_facts, say
from .mtf import SpacingOption

if TYPE_CHECKING:
    from ...kernels.noise.power import NoisePowerSpectrum
    from ...kernels.noise.quanta import NoiseEquivalentQuanta
    from ..quality.noise import Layout


def nps(
    file: Annotated[Path, typer.Argument(help="DICOM file or folder, .npy, NIfTI, PNG, JPEG or TIFF.")],
    roi: Annotated[
        list[str] | None, typer.Option(help="Uniform area R0:R1,C0:C1; the whole frame otherwise; may be repeated.")
    ] = None,
    roi_size: Annotated[int | None, typer.Option(help="Rows and columns of the regions that the areas hold.")] = None,
    frame: Annotated[int | None, typer.Option(help="Number of the only frame to use, from 1.")] = None,
    subtract: Annotated[
        str, typer.Option(help="From each frame: nothing, pairs (its neighbour) or mean (that of all frames).")
    ] = "nothing",
    detrend: Annotated[str, typer.Option(help="From each region: constant, plane or quadratic.")] = "plane",
    window: Annotated[str, typer.Option(help="Taper of each region: none or hann.")] = "none",
    mtf: Annotated[
        Path | None, typer.Option(help="What photopeak mtf --json printed, for noise-equivalent quanta.")
    ] = None,
    spacing: SpacingOption = None,
    threads: ThreadsOption = 1,
    csv: Annotated[Path | None, typer.Option(help="Write the radial spectrum to a CSV file.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write an HTML page with the spectrum.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the noise of something uniform: its power spectrum.

    The frames of a stack count as repetitions. Half-overlapping regions are
    laid over each uniform area, and their spectra averaged. With a transfer
    function, the noise-equivalent quanta follow.

    Example: photopeak nps flood.dcm --report nps.html

    Example: photopeak nps water.dcm --roi 40:168,40:168 --roi-size 64

    Example: photopeak nps flood.dcm --mtf mtf.json --json
    """
    from ..processors import available_processors
    from ..quality.curve_table import described_spectrum, write_spectrum
    from ..quality.images import read_image
    from ..quality.noise import layout, measure_nps
    from ..quality.sharpness import parse_roi, read_mtf, spacing_for

    areas = [parse_roi(text) for text in roi or ()]
    curve = read_mtf(mtf) if mtf else None
    with answer(as_json) as found:
        image = read_image(file)
        where = layout(image, areas, roi_size)
        options: dict[str, Any] = {
            "detrend": detrend,
            "window": window,
            "subtract": subtract,
            "threads": threads or available_processors(),
        }
        spectrum = measure_nps(image, where, frame=frame, spacing_mm=spacing_for(image, spacing), **options)
        quanta = None
        if curve:
            from ...kernels.noise.quanta import noise_equivalent_quanta

            quanta = noise_equivalent_quanta(curve, spectrum)
        found |= {"file": file, "frame": frame, "csv": csv, "report": report}
        found |= plain(described_spectrum(spectrum, where, quanta))
        if csv:
            write_spectrum(csv, spectrum, quanta)
        if report:
            from ..report.noise_page import NoiseSubject, write_nps_report

            write_nps_report(NoiseSubject(image, frame, where, spectrum, quanta, options), report)
        if not as_json:
            _print(file, spectrum, where, quanta)
            for name, path in (("Spectrum", csv), ("Report", report)):
                if path:
                    say(f"{name}: {path}")


def _print(file: Path, spectrum: "NoisePowerSpectrum", where: "Layout", quanta: "NoiseEquivalentQuanta | None") -> None:
    """Print what the spectrum comes to, and what is wrong with it."""
    deviation = spectrum.variance**0.5
    peak = int(spectrum.power.argmax())
    facts = {
        "areas": f"{len(where.areas)}, {spectrum.regions} regions of {where.size} x {where.size} pixels, worth "
        f"{spectrum.independent:.1f} without overlap",
        "mean": f"{spectrum.mean:.6g}",
        "noise": f"standard deviation {deviation:.6g}" + _relative(deviation, spectrum.mean),
        "peak": f"at {_frequency(spectrum, float(spectrum.frequencies[peak]))}",
    }
    if quanta is not None:
        facts["NEQ"] = f"{quanta.quanta[0]:.6g} per pixel at {_frequency(spectrum, float(quanta.frequencies[0]))}"
    warnings = (quanta or spectrum).warnings
    print_facts(f"{file}: noise power spectrum", [*facts.items(), *(("warning", w.sentence) for w in warnings)])


def _relative(deviation: float, mean: float) -> str:
    return f", {100 * deviation / abs(mean):.3g} % of the mean" if mean else ""


def _frequency(spectrum: "NoisePowerSpectrum", cycles_per_pixel: float) -> str:
    if spectrum.pixel_spacing_mm is None:
        return f"{cycles_per_pixel:.4f} cycles/pixel"
    return f"{cycles_per_pixel / spectrum.pixel_size_mm:.4f} cycles/mm"
