"""The main job of models of findings: files in, findings out as DICOM, JSON and pictures."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..dicom.guard import DEFAULT_LIMITS, Limits
from ..errors import InputError, PhotopeakError, UsageError
from ..failures import Failure, failure_of, raise_failures
from ..frames import Frames, Units
from ..quality.images import Source, find
from ..writing import content, safe_name, write_all
from .admission import admit, check_threshold
from .findings import findings_json
from .overlay import OverlayStyle, overlay, png
from .phases import PHASES, Pair, PathLike, find_pairs
from .prepare import is_inverted
from .regions import LabelMap, RegionShare, read_labels, shares
from .result import AnalysisResult
from .session import AnalysisSession
from .views import at_spacing, of_views, with_ribs

__all__ = ["Analysed", "Options", "analyse", "process", "write_analysis"]

Inputs = PathLike | Sequence[PathLike]
Regions = tuple[tuple[RegionShare, ...], ...]
MapOf = Callable[[Frames, int], LabelMap]

_CHEST = "chest"


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose about an analysis.

    Parameters
    ----------
    threshold : float, optional
        Probability from which on something counts as found; that of the model's operating point by default.
    pixel_mm : float, optional
        Edge of a pixel instead of what the file says [mm].
    phase : {"", "early", "late"}
        What the only image of an examination is, where its header does not tell.
    regions : path, optional
        Label map whose regions the evidence is divided among; ``chest`` finds six in a frontal chest radiograph.
    limits : Limits
        What reading may cost.
    """

    threshold: float | None = None
    pixel_mm: float | None = None
    phase: str = ""
    regions: PathLike | None = None
    limits: Limits = field(default=DEFAULT_LIMITS)


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """One image, or one pair of phases, that is done.

    Parameters
    ----------
    result : AnalysisResult
        What was found, with the times of reading and writing among its timings.
    paths : tuple of Path
        Files written.
    regions : tuple of tuple of RegionShare
        For each frame how the evidence for the class that was found is divided; empty without a label map.
    """

    result: AnalysisResult
    paths: tuple[Path, ...]
    regions: Regions = ()


def analyse(
    inputs: Inputs, out: PathLike, session: AnalysisSession, options: Options | None = None
) -> Iterator[Analysed | Failure]:
    """Read, run and write image after image, or examination after examination for models of two phases.

    Parameters
    ----------
    inputs : path or sequence of paths
        DICOM, ``.npy``, NIfTI, PNG, JPEG, TIFF and folders of them; for models of two phases see
        :func:`photopeak.engine.analysis.phases.find_pairs`.
    out : path
        Folder for the output.
    session : AnalysisSession
        From :func:`photopeak.load`.
    options : Options, optional
        What the user chooses.

    Yields
    ------
    Analysed or Failure
        One for each; a failure does not stop the others.

    Raises
    ------
    InputError
        If the inputs hold nothing at all, two phases that were named do not belong together, or the label map is none.
    UsageError
        If an option makes no sense, or none for the model.
    """
    options = options or Options()
    named = [inputs] if isinstance(inputs, str) or not isinstance(inputs, Sequence) else list(inputs)
    if not named:
        raise UsageError("no image is given; name files or folders.")
    channels = session.bundle.manifest.input.channels
    if options.phase and channels != PHASES:
        raise UsageError(f"{session.bundle.name} knows no phases; leave --phase out.")
    if options.threshold is not None:
        check_threshold(options.threshold)
    maps = _label_maps(options, session)
    for name, read in _units(named, session, options):
        try:
            yield _one(read(), Path(out), session, options, maps)
        except PhotopeakError as error:
            yield failure_of(name, error)
        except MemoryError:
            yield failure_of(name, InputError(f"{name}: does not fit into memory; use a machine with more memory."))


def process(inputs: Inputs, out: PathLike, session: AnalysisSession, **options: Any) -> tuple[Path, ...]:
    """Analyse files: path in, path out.

    Parameters
    ----------
    inputs, out, session
        As in :func:`analyse`.
    **options
        Fields of :class:`Options`.

    Raises
    ------
    InputError
        If nothing could be read or the only image failed.
    PartialError
        If some images failed; the others are written.
    """
    outcomes = list(map(_without_pixels, analyse(inputs, out, session, Options(**options))))
    raise_failures(outcomes, "images")
    return tuple(path for outcome in outcomes if not isinstance(outcome, Failure) for path in outcome)


def write_analysis(result: AnalysisResult, out: PathLike, regions: Regions = ()) -> tuple[Path, ...]:
    """Write what was found: DICOM objects where the images are DICOM, JSON, and a picture of each frame.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    out : path
        Folder; made when it is not there. What is there already is never overwritten.
    regions : tuple of tuple of RegionShare
        For each frame how the evidence is divided.

    Returns
    -------
    tuple of Path
        ``<source>_<model>.json``, ``<source>_<model>.png`` (``..._1.png``, ... for several), and the DICOM objects of
        :func:`photopeak.engine.analysis.dicom_files.write_findings`.

    Raises
    ------
    InputError
        If the folder cannot be written; nothing is left behind.
    """
    from .dicom_files import findings_contents

    stem = f"{safe_name(result.reference.source)}_{result.bundle.manifest.name}"
    pictures = [
        (f"_{result.number(index)}" if len(result) > 1 else "", _picture(result, index)) for index in range(len(result))
    ]
    contents = [
        content(stem, ".json", findings_json(result, regions)),
        *(content(f"{stem}{name}", ".png", data) for name, data in pictures),
        *findings_contents(result, regions),
    ]
    return tuple(write_all(Path(out), contents))


def _without_pixels(outcome: Analysed | Failure) -> tuple[Path, ...] | Failure:
    return outcome if isinstance(outcome, Failure) else outcome.paths


def _units(
    named: Sequence[PathLike], session: AnalysisSession, options: Options
) -> Iterator[tuple[str, Callable[[], "_Unit"]]]:
    """Yield name and reader of everything that gives one result."""
    if session.bundle.manifest.input.channels == PHASES:
        for outcome in find_pairs(named, phase=options.phase, pixel_mm=options.pixel_mm, limits=options.limits):
            yield _name_of(outcome), partial(_pair, outcome)
        return
    found = find([Path(path) for path in named], options.limits)
    for failure in found.failures:
        yield failure.source, partial(_raise, failure.error)
    for source in found.sources:
        yield Path(source.name).name, partial(_image, source, session, options)


@dataclass(frozen=True, slots=True, eq=False)
class _Unit:
    """What one run takes."""

    images: tuple[Frames | None, ...]
    notes: tuple[str, ...]


def _name_of(outcome: Pair | Failure) -> str:
    return outcome.source if isinstance(outcome, Failure) else str(outcome)


def _pair(outcome: Pair | Failure) -> _Unit:
    if isinstance(outcome, Failure):
        raise outcome.error
    return _Unit(tuple(outcome.images[name] for name in PHASES), outcome.notes)


def _raise(error: PhotopeakError) -> _Unit:
    raise error


def _image(source: Source, session: AnalysisSession, options: Options) -> _Unit:
    frames = at_spacing(source.load().frames, options.pixel_mm)
    grid = session.bundle.manifest.input.grid
    if grid is not None and grid.kind == "thorax":
        admit(frames, session.bundle.manifest)  # else what is no bone scan at all would be told to lack ribs
        frames = with_ribs(of_views(frames, ("anterior", "posterior")))
    return _Unit((frames,), ())


def _label_maps(options: Options, session: AnalysisSession) -> MapOf | None:
    """Return what gives the label map of a frame, read once; None where nobody wants one."""
    if options.regions is None:
        return None
    if str(options.regions) == _CHEST and not Path(options.regions).exists():
        manifest = session.bundle.manifest
        if manifest.input.units is not Units.NONE:
            raise UsageError(
                f"--regions {_CHEST} means nothing to {manifest.name}, which is for no radiographs; give a label map."
            )
        return _chest
    labels = read_labels(Path(options.regions), options.limits)
    return lambda frames, index: labels


def _chest(frames: Frames, index: int) -> LabelMap:
    """Return the six regions of a frontal chest radiograph."""
    from .chest_regions import REGIONS, chest_regions, find_thorax

    frame = -frames.pixels[index] if is_inverted(frames, index) else frames.pixels[index]
    labels = chest_regions(find_thorax(frame), frames.matrix)
    return LabelMap(labels.astype(np.intp), dict(enumerate(REGIONS, start=1)), frames.source)


def _one(unit: _Unit, out: Path, session: AnalysisSession, options: Options, maps: MapOf | None) -> Analysed:
    """Run and write one unit."""
    channels = session.bundle.manifest.input.channels
    if channels:
        named = dict(zip(channels, unit.images, strict=True))
        result = session.run(threshold=options.threshold, **named)
    else:
        result = session.run(*unit.images, threshold=options.threshold)
    result = replace(result, warnings=(*result.warnings, *unit.notes))
    regions = () if maps is None else tuple(_regions(result, index, maps) for index in range(len(result)))
    ran = perf_counter()
    paths = write_analysis(result, out, regions)
    timings = result.timings_ms | {"write": 1e3 * (perf_counter() - ran)}
    return Analysed(replace(result, timings_ms=timings), paths, regions)


def _regions(result: AnalysisResult, index: int, maps: MapOf) -> tuple[RegionShare, ...]:
    label = 0 if result.probabilities is None else result.found(index)[0]
    return shares(result.cam[index, label], maps(result.reference, index))


def _picture(result: AnalysisResult, index: int) -> bytes:
    """Return the picture of a frame; those of two phases stand side by side."""
    shown = [
        overlay(result, index, channel=channel, style=OverlayStyle())
        for channel, source in enumerate(result.sources)
        if source is not None
    ]
    height = max(picture.shape[0] for picture in shown)
    padded = [np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0))) for picture in shown]
    return png(np.concatenate(padded, axis=1))
