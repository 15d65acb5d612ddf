"""A site's own images: which series of a folder suit a denoiser, and which of them are held out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...engine import domain
from ...engine.errors import InputError
from ...engine.frames import Frames, Units
from ...engine.reading import Series, no_image, scan
from .adaptation import LEAST_SIDE, Recorrupted, Thinned, Views
from .catalogue import Recipe
from .noise import LEAST_SLICES, Noise, measure

Floats = NDArray[np.float32]
MODALITIES = {"scintigraphy": "NM", "pet": "PT"}
UNITS = {"scintigraphy": Units.COUNTS, "pet": Units.BECQUEREL_PER_ML}
LEAST_IMAGES = {"scintigraphy": 4, "pet": 12}
MOST_IMAGES = 400
_POISSON = 0.2  # of log10 of the variance over the mean; that of large images of counts lies between -0.16 and 0.1
_BLOCK = 16  # pixels along a side, of what the variance is measured in
_FLATTEST = domain.FEATURES.index("log10 dispersion, flattest tenth")
_MANY_SERIES = 4
_HELD_OUT = 4  # one in so many


@dataclass(frozen=True)
class SiteSeries:
    """One series that suits.

    Parameters
    ----------
    images : ndarray, shape (n, rows, columns), float32
        Counts, or concentrations.
    noise : Noise or None
        That of PET; counts need none.
    beside : tuple of ndarray or None
        For PET, see :class:`~.adaptation.Recorrupted`.
    """

    images: Floats
    noise: Noise | None = None
    beside: tuple[Floats | None, ...] = ()


@dataclass(frozen=True)
class Site:
    """What of a folder suits a recipe.

    Parameters
    ----------
    series : tuple of SiteSeries
        In the order in which the folder gave them.
    modality : str
        DICOM Modality (0008,0060) of all.
    files : int
        How many files they came from.
    left_out : dict of str to int
        Reasons for which other series, or images of these, are not used, and of how many.
    """

    series: tuple[SiteSeries, ...]
    modality: str
    files: int
    left_out: dict[str, int]

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(one.images) for one in self.series)

    def split(self) -> tuple[tuple[SiteSeries, ...], tuple[SiteSeries, ...]]:
        """Return what to learn from and what is held out: every fourth series, or of fewer the middle quarter of each.

        Neighbouring slices look alike: those that are held out lie together.
        """
        if len(self.series) >= _MANY_SERIES:
            return tuple(s for k, s in enumerate(self.series) if k % _HELD_OUT != 1), self.series[1::_HELD_OUT]
        learned, judged = [], []
        for one in self.series:
            n = len(one.images)
            middle = slice(
                n // 2 - max(n // _HELD_OUT, 1) // 2, n // 2 - max(n // _HELD_OUT, 1) // 2 + max(n // _HELD_OUT, 1)
            )
            judged.append(SiteSeries(one.images[middle], one.noise, one.beside[middle]))
            if n > 1:
                learned.append(SiteSeries(np.delete(one.images, middle, axis=0), one.noise))
        return tuple(learned), tuple(judged)


def read_site(folder: Path, recipe: Recipe, tell: Callable[[str], None] = lambda name: None) -> Site:
    """Read what of a folder suits a recipe.

    Parameters
    ----------
    folder : Path
        DICOM files, with subfolders.
    recipe : Recipe
        A denoiser of planar scintigraphy or of PET.
    tell : callable
        Told the name of each series.

    Returns
    -------
    Site
        At most `MOST_IMAGES` images, evenly drawn, but always neighbours.

    Raises
    ------
    InputError
        If the folder cannot be read, nothing suits, or too little.
    """
    found = scan(folder)
    if not found.series:
        raise no_image(folder, found)
    left_out: Counter[str] = Counter({"damaged": len(found.damaged)} if found.damaged else {})
    kept: list[SiteSeries] = []
    files = 0
    share = min(
        1.0, MOST_IMAGES / max(sum(s.frames for s in found.series if s.modality == MODALITIES[recipe.family]), 1)
    )
    for series in found.series:
        tell(series.paths[0].name)
        one = _suiting(series, recipe, share, left_out)
        if one is not None:
            kept.append(one)
            files += len(series.paths)
    site = Site(tuple(kept), MODALITIES[recipe.family], files, dict(+left_out))
    if site.images < LEAST_IMAGES[recipe.family]:
        reasons = "; ".join(f"{number} {reason}" for reason, number in site.left_out.items())
        raise InputError(
            f"{folder}: holds {site.images} images that suit {recipe.name}{f' (left out: {reasons})' if reasons else ''}; give at "
            f"least {LEAST_IMAGES[recipe.family]} {WANTED[recipe.family]}."
        )
    return site


WANTED = {
    "scintigraphy": "planar images of whole, unfiltered counts",
    "pet": f"PET slices, in series of at least {LEAST_SLICES}",
}


def views(series: Sequence[SiteSeries]) -> Views:
    """Return series as what an adaptation draws from."""
    images = [image for one in series for image in one.images]
    noises = [one.noise for one in series if one.noise is not None for _ in one.images]
    beside = [other for one in series for other in one.beside]
    return Recorrupted(images, noises, beside) if noises else Thinned(images)


def _suiting(series: Series, recipe: Recipe, share: float, left_out: Counter[str]) -> SiteSeries | None:
    """Return what of a series suits, and count what does not by its reason."""
    if series.modality != MODALITIES[recipe.family]:
        left_out[f"of modality {series.modality}"] += 1
        return None
    if min(series.matrix) < LEAST_SIDE:
        left_out[f"with a matrix below {LEAST_SIDE}"] += 1
        return None
    try:
        frames = series.load(False)
    except InputError:
        left_out["damaged"] += 1
        return None
    return (_slices if recipe.family == "pet" else _counts)(frames, share, left_out)


def _counts(frames: Frames, share: float, left_out: Counter[str]) -> SiteSeries | None:
    """Return the images that are counts, by their values and by their noise."""
    pixels = frames.pixels
    whole = np.array([frames.units is Units.COUNTS and bool(np.all((p >= 0) & (p == np.rint(p)))) for p in pixels])
    left_out["with values that are no whole counts"] += int((~whole).sum())
    seen = pixels[whole & (pixels.max(axis=(1, 2)) > 0)]
    if len(seen) and not _is_poisson(seen):
        left_out["without the noise of counts"] += len(seen)
        return None
    step = round(1 / share)
    return SiteSeries(np.ascontiguousarray(seen[::step])) if len(seen) else None


def _is_poisson(images: Floats) -> bool:
    """Return whether the variance is the mean where images are flattest; the fewer there is to see, the less exactly."""
    blocks = images.size / _BLOCK**2
    return bool(abs(domain.features(images)[:, _FLATTEST].mean()) < _POISSON + 1 / np.sqrt(blocks))


def _slices(frames: Frames, share: float, left_out: Counter[str]) -> SiteSeries | None:
    """Return neighbouring slices with the noise that was measured in them."""
    if frames.units not in (Units.BECQUEREL_PER_ML, Units.NONE) or not np.isfinite(frames.pixels).all():
        left_out["in other units than Bq/ml"] += 1
        return None
    n = len(frames)
    kept = min(n, max(round(share * n), LEAST_SLICES))
    first = (n - kept) // 2
    images = np.ascontiguousarray(frames.pixels[first : first + kept])
    try:
        return with_noise(images, frames.source)
    except InputError:
        left_out["with too few slices or too little activity to measure noise in"] += 1
        return None


def with_noise(slices: Floats, name: str) -> SiteSeries:
    """Return neighbouring slices with their noise, measured in them, and for each the mean of two without its noise."""
    noise = measure(slices, name)
    m, n = noise.apart, len(slices)
    beside = (None if k < m or k + m >= n else (slices[k - m] + slices[k + m]) / np.float32(2) for k in range(n))
    return SiteSeries(slices, noise, tuple(beside))
