"""The page of a reconstruction: the shape in three dimensions, what it would look like, and how far that is from the views."""

import re
from math import asin, atan2, degrees
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plotly.colors import unlabel_rgb

from ...kernels.reconstruction.geometry import View
from ...kernels.reconstruction.solution import CurveSolution, ShapeSolution, VolumeSolution
from ..reconstruction.result import Reconstruction
from ..reconstruction.summary import SURE
from . import facts
from .document import COLOUR_MAPS, DIVERGING, write_document
from .images import Window
from .rasters import grey_picture, map_picture
from .reconstruction_figures import figures_of
from .scenes import CERTAINTY
from .shown import Planes

__all__ = ["direction", "write_reconstruction_report"]

TITLES = {"shape": "Shape", "volume": "Volume", "curve": "Wires"}
SIDES = {0: "anterior", 90: "left lateral", 180: "posterior", 270: "right lateral"}
# Residuals are shown up to so many standard deviations.
MOST_SHOWN = 4.0
# A fit whose residuals are larger than noise by more is worth a remark.
USUAL_CHI2 = 1.5
_DIVERGING = ["#" + "".join(f"{int(part):02x}" for part in unlabel_rgb(colour)) for colour in DIVERGING]


def write_reconstruction_report(found: Reconstruction, path: Path, title: str = "") -> Path:
    """Write one HTML file that shows a reconstruction and how well it fits.

    The file needs no network and no other file, and holds no name or number of a patient.

    Parameters
    ----------
    found : Reconstruction
        What to show.
    path : Path
        File to write, or to replace when it is whole.
    title : str
        Heading of the page.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        If the surface needs scikit-image, which is not installed.
    """
    figures = figures_of(found)
    return write_document(
        path,
        "reconstruction.html.j2",
        ("reconstruction.js",),
        title=title or f"{TITLES[found.method]} from {len(found.measured.images)} views",
        planes=Planes(),
        results=[{"start": 0, "figures": figures}],
        lead=_lead(found),
        chips=_chips(found),
        warnings=[_anonymous(sentence, found) for sentence in found.warnings],
        views=[_view(found, index) for index in range(len(found.measured.images))],
        most=f"{MOST_SHOWN:g}",
        greys=", ".join(COLOUR_MAPS["grey"][::-1]),
        certainty=", ".join(CERTAINTY) if found.method == "curve" else "",
        result=_result(found),
        fit=_fit(found),
        geometry=_geometry(found),
        slices=_slices(found),
        parts=set(figures),
    )


def direction(view: View) -> str:
    """Return where a detector was, in words of its kind of device.

    Examples
    --------
    >>> direction(View.gamma_camera((8, 8), (4.0, 4.0), 90))
    'left lateral'
    >>> direction(View.c_arm((8, 8), (1.0, 1.0), -30, 20, source_detector_mm=1100, source_isocenter_mm=750))
    'RAO 30\N{DEGREE SIGN}, CRA 20\N{DEGREE SIGN}'
    """
    x, y, z = (-value for value in view.looking)
    around, up = degrees(atan2(x, -y)), degrees(asin(max(-1.0, min(1.0, z))))
    if view.source_mm is None:
        angle = round(around, 1) % 360
        tilt = f", {up:.1f}\N{DEGREE SIGN} up" if abs(up) > 0.05 else ""
        return (SIDES[int(angle)] if angle in SIDES else f"{angle:g}\N{DEGREE SIGN} around") + tilt
    words = [
        f"{names[value < 0]} {abs(value):.3g}\N{DEGREE SIGN}"
        for value, names in ((around, ("LAO", "RAO")), (up, ("CRA", "CAU")))
        if abs(value) >= 0.05
    ]
    return ", ".join(words) or "AP 0\N{DEGREE SIGN}"


def _anonymous(sentence: str, found: Reconstruction) -> str:
    """Return a sentence without the names of DICOM files, which may be a patient's."""
    measured = found.measured
    if not measured.datasets:
        return sentence
    names = {
        name: f"view {i + 1}" for i, path in reversed([*enumerate(measured.sources)]) for name in (str(path), path.name)
    }
    for name in sorted(names, key=len, reverse=True):
        # A file called "1" must not take the digits out of the numbers of a sentence.
        pattern = re.escape(name) if len(name) > 4 else rf"(?<!\w){re.escape(name)}(?=[:@])"
        sentence = re.sub(pattern, names[name], sentence)
    return facts.capitalised(sentence)


def _lead(found: Reconstruction) -> str:
    solution = found.solution
    if isinstance(solution, CurveSolution):
        count, length = len(solution.curves), sum(curve.length_mm for curve in solution.curves)
        return f"{count} wire{'s' * (count != 1)} of {facts.measured(length)} mm in all"
    return f"{facts.measured(found.volume_ml)} ml{_spread(found)}"


def _spread(found: Reconstruction) -> str:
    if not (interval := found.interval_ml):
        return ""
    low, high = map(facts.measured, interval)
    return f", with counting noise {low} to {high} ml (95 %)"


def _chips(found: Reconstruction) -> list[facts.Chip]:
    chips = [facts.Chip("poor", "Interrupted before it was done") if found.interrupted else facts.Chip("good", "Done")]
    worst = max((value for value in found.chi2_per_pixel if np.isfinite(value)), default=None)
    if worst is not None:
        usual = worst <= USUAL_CHI2
        words = "Residuals as large as noise" if usual else f"Residuals {worst:.3g} times the variance of noise"
        chips.append(facts.Chip("good" if usual else "fair", words))
    count = len(found.warnings)
    words = f"{count} warning{'s' * (count > 1)}" if count else "No warnings"
    return [*chips, facts.Chip("fair" if count else "good", words)]


def _view(found: Reconstruction, index: int) -> dict[str, Any]:
    """Return the pictures of a view: measured and projected in one window, and what is left."""
    seen, projected = found.measured.images[index], found.solution.projections[index]
    view = found.measured.geometry.views[index]
    upper = float(np.percentile(seen[seen > 0], 99.5)) if (seen > 0).any() else 1.0
    window = Window(min(0.0, float(np.percentile(seen, 0.5))), upper)
    rows, columns = view.shape
    chi2 = found.chi2_per_pixel[index]
    return {
        "name": f"View {index + 1}: {direction(view)}",
        "aspect": columns * view.spacing_mm[1] / (rows * view.spacing_mm[0]),
        "measured": grey_picture(seen, window, inverse=True),
        "projected": grey_picture(projected, window, inverse=True),
        "residual": map_picture(
            found.solution.residuals[index].astype(np.float64), -MOST_SHOWN, MOST_SHOWN, _DIVERGING
        ),
        "lower": facts.measured(window.lower),
        "upper": facts.measured(window.upper),
        "unit": "line integral" if found.measured.geometry.cone_beam else "counts per pixel",
        "totals": f"{facts.measured(float(seen.sum()))} measured, {facts.measured(float(projected.sum()))} projected",
        "chi2": f"{chi2:.2f}" if np.isfinite(chi2) else "",
    }


def _result(found: Reconstruction) -> list[tuple[str, str]]:
    solution = found.solution
    if isinstance(solution, CurveSolution):
        rows = []
        for i, curve in enumerate(solution.curves):
            sure = float(np.mean(curve.certainty >= SURE))
            rows.append(
                (
                    f"Wire {i + 1}",
                    f"{curve.length_mm:.1f} mm long, radius {curve.radius_mm:.3g} mm, {100 * sure:.0f} % of it certain",
                )
            )
        return rows or [("Wires", "none found")]
    rows = [("Volume", f"{facts.measured(found.volume_ml)} ml")]
    interval = found.interval_ml
    if interval and found.shift_ml is not None:
        spread = float(found.volumes_ml.std(ddof=1)) if found.volumes_ml.size > 1 else 0.0
        low, high = map(facts.measured, interval)
        shift = facts.number(100 * found.shift_ml / found.volume_ml, 1)
        rows += [
            ("Counting noise", f"standard deviation {spread:.3g} ml; {low} to {high} ml with 95 %"),
            ("Repetitions", f"{found.volumes_ml.size}, {shift} % from the fit on average: an error of the method"),
        ]
    unit = "1/mm" if found.measured.geometry.cone_beam else "counts per mm of path"
    if isinstance(solution, ShapeSolution):
        rows += [
            ("Activity inside", f"{solution.activity:.4g} {unit}"),
            ("Background", f"{solution.background:.3g} {unit}"),
        ]
    else:
        rows += [
            ("Peak", f"{float(solution.values.max()):.4g} {unit}"),
            ("Surface", "at half of the peak, and the volume within"),
        ]
    return rows


def _fit(found: Reconstruction) -> list[tuple[str, str]]:
    solution, settings = found.solution, found.settings
    rows = [
        ("Method", found.method),
        ("Steps", f"{found.steps}{', interrupted' * found.interrupted}"),
        ("Time", f"{found.seconds:.1f} s, {settings.threads} thread{'s' * (settings.threads != 1)}"),
    ]
    if isinstance(solution, VolumeSolution):
        rows.append(("Regularisation", f"{solution.regularisation:.4g}"))
    rows += settings.physics.spelled()
    if isinstance(solution, ShapeSolution) and solution.attenuation != 1:
        rows.append(("Attenuation found", f"{solution.attenuation:.3g} times as much"))
    if settings.start:
        rows.append(("Started from", "an earlier result"))
    return rows


def _geometry(found: Reconstruction) -> list[tuple[str, str]]:
    geometry, grid = found.measured.geometry, found.grid
    z, y, x = grid.spacing_mm
    rows = [
        (
            f"View {i + 1}",
            f"{direction(view)}; {view.shape[0]} \u00d7 {view.shape[1]} px of {view.spacing_mm[0]:.4g} \u00d7 {view.spacing_mm[1]:.4g} mm"
            + (f"; magnification {view.magnification:.3g}" if view.source_mm else ""),
        )
        for i, view in enumerate(geometry.views)
    ]
    rows.append(
        (
            "Voxels",
            f"{grid.shape[0]} \u00d7 {grid.shape[1]} \u00d7 {grid.shape[2]} of {z:.4g} \u00d7 {y:.4g} \u00d7 {x:.4g} mm",
        )
    )
    return [*rows, *found.measured.facts]


def _slices(found: Reconstruction) -> list[dict[str, Any]]:
    """Return three slices of a volume through its centre of mass."""
    if not isinstance(found.solution, VolumeSolution) or found.level <= 0:
        return []
    values, grid = np.maximum(found.values, 0), found.grid
    window = Window(0.0, max(float(np.percentile(values[values > 0], 99.8)), 1e-9))
    places = _centre_of_mass(values)
    cuts = (
        ("transverse", values[places[0]], (1, 2)),
        ("coronal", values[::-1, places[1]], (0, 2)),
        ("sagittal", values[::-1, :, places[2]], (0, 1)),
    )
    return [
        {
            "name": f"{name}, {'zyx'[axis]} = {facts.number(float(grid.axes()[axis][places[axis]]), 1)} mm",
            "aspect": cut.shape[1] * grid.spacing_mm[across] / (cut.shape[0] * grid.spacing_mm[down]),
            "uri": grey_picture(cut, window, inverse=True),
        }
        for axis, (name, cut, (down, across)) in enumerate(cuts)
    ]


def _centre_of_mass(values: NDArray[np.float32]) -> list[int]:
    """Return the voxel that is nearest to it, along each axis."""
    others = ((1, 2), (0, 2), (0, 1))
    profiles = (values.sum(axis=axes, dtype=np.float64) for axes in others)
    return [round(float(profile @ np.arange(len(profile)) / profile.sum())) for profile in profiles]
