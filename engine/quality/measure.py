"""Measuring images: every metric of every frame, side by side, one file after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.parallel import over
from ..errors import InputError, PhotopeakError, UsageError
from ..failures import Failure, failure_of
from .chosen import chosen_frames
from .images import Image, Source
from .metrics import METRICS, Found, Settings, View, prepared
from .windows import FrameWindow, grey_frame, grey_luma, window_for

__all__ = ["Against", "FrameScores", "Measured", "Score", "measure", "stream"]

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Score:
    """One number with everything needed to repeat it.

    Parameters
    ----------
    metric : str
        Name from :data:`photopeak.engine.quality.metrics.METRICS`.
    found : Found
        Value, reason, model, rule, data range and details.
    window : FrameWindow or None
        What the metric saw; None for those that compare values as they are.
    clipped : float
        Fraction of the pixels outside of the window; NaN without one.
    """

    metric: str
    found: Found
    window: FrameWindow | None
    clipped: float


@dataclass(frozen=True, slots=True)
class FrameScores:
    """The scores of one frame.

    Parameters
    ----------
    file : str
        Where the frame comes from, as it was named.
    number : int
        Its number in that file, from 1.
    scores : tuple of Score
        In the order that was asked for.
    """

    file: str
    number: int
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """An image and the scores of its frames.

    Parameters
    ----------
    source : str
        File of the first frame, as it was named.
    frames : tuple of FrameScores
        The scores.
    modality, matrix, units : str
        What kind of image it is.
    image : Image or None
        The pixels, unless they were let go.
    """

    source: str
    frames: tuple[FrameScores, ...]
    modality: str
    matrix: str
    units: str
    image: Image | None

    def without_pixels(self) -> "Measured":
        """Return the same without pixels and maps, so that thousands fit into memory."""
        return replace(
            self, image=None, frames=tuple(replace(f, scores=tuple(map(_lean, f.scores))) for f in self.frames)
        )


def _lean(score: Score) -> Score:
    """Return a score without its maps."""
    details = {name: value for name, value in score.found.details.items() if np.ndim(value) == 0}
    return replace(score, found=replace(score.found, details=details))


@dataclass(frozen=True, slots=True, eq=False)
class Against:
    """What an image is measured against: a reference, and a mask of the pixels that count; each with one frame or as many."""

    reference: Image | None = None
    mask: Image | None = None


def measure(
    image: Image,
    settings: Settings,
    against: "Against | None" = None,
    *,
    windows: Sequence[FrameWindow] | None = None,
    threads: int = 1,
    advance: Advance | None = None,
) -> Measured:
    """Return the scores of every frame of an image.

    Parameters
    ----------
    image : Image
        What to measure.
    settings : Settings
        Which metrics, with which models.
    against : Against, optional
        Reference and mask.
    windows : sequence of FrameWindow, optional
        One for each frame, in place of those that the settings ask for.
    threads : int
        Frames to work on side by side.
    advance : callable, optional
        Called after each frame, from any thread.

    Raises
    ------
    InputError
        If reference or mask do not fit the image.
    UsageError
        If the window makes no sense, or a metric takes no mask.

    Examples
    --------
    >>> from photopeak.engine.frames import Frames
    >>> from photopeak.engine.quality.images import image_of
    >>> frames = Frames.from_array(np.arange(64 * 64).reshape(64, 64))
    >>> measured = measure(image_of(frames), Settings(("niqe",)))
    >>> measured.frames[0].scores[0].found.reason
    'too-small'
    """
    against = against or Against()
    _check_mask(settings, against)
    settings = prepared(settings)
    _check(image, against)

    # Maps of every frame of a long series would fill the memory.
    shown = set(chosen_frames(len(image), image.frames.matrix.pixels)) if settings.maps else set()

    def one(index: int) -> FrameScores:
        window = windows[index] if windows else window_for(image, index, settings.window)
        scores = _frame(image, index, window, replace(settings, maps=index in shown), against)
        if advance:
            advance()
        return scores

    scores = tuple(over(one, range(len(image)), threads))
    frames = image.frames
    return Measured(image.file_of(0), scores, frames.modality, str(frames.matrix), str(frames.units), image)


def stream(
    sources: Sequence[Source],
    settings: Settings,
    against: "Against | None" = None,
    *,
    threads: int = 1,
    advance: Advance | None = None,
) -> Iterator[Measured | Failure]:
    """Read and measure one image after the other; a failure does not stop the others.

    Several images of one frame are worked on side by side, as the frames of one are. Only those are in memory.

    Yields
    ------
    Measured or Failure
        One for each source.
    """
    _check_mask(settings, against or Against())
    settings = prepared(settings)
    for batch in _batches(sources, threads):
        inner = threads if len(batch) == 1 else 1

        def one(source: Source, inner: int = inner) -> Measured | Failure:
            try:
                image = source.load()
                return measure(image, settings, against, threads=inner, advance=advance)
            except (InputError, MemoryError) as error:
                return failure_of(source.name, _as_input_error(source, error))

        yield from over(one, batch, threads)


def _batches(sources: Sequence[Source], threads: int) -> Iterator[list[Source]]:
    """Yield single stacks, and as many images of one frame as there are threads."""
    batch: list[Source] = []
    for source in sources:
        if source.frames > 1:
            yield [source]
            continue
        batch.append(source)
        if len(batch) == threads:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_input_error(source: Source, error: PhotopeakError | MemoryError) -> PhotopeakError:
    if isinstance(error, PhotopeakError):
        return error
    return InputError(f"{source.name}: does not fit into memory; close other programs, or measure it in parts.")


def _frame(image: Image, index: int, window: FrameWindow, settings: Settings, against: Against) -> FrameScores:
    metrics = [METRICS[name] for name in settings.metrics]
    blind = any(not metric.compares for metric in metrics)
    grey, clipped = grey_frame(image, index, window) if blind else (np.empty((0, 0)), np.nan)
    view = View(
        image.pixels[index],
        grey,
        lambda: grey_luma(image, index, window),
        _matching(against.reference, index),
        None if (mask := _matching(against.mask, index)) is None else mask != 0,
        settings,
    )
    scores = tuple(
        Score(
            metric.name,
            metric.compute(view),
            None if metric.compares else window,
            np.nan if metric.compares else clipped,
        )
        for metric in metrics
    )
    return FrameScores(image.file_of(index), image.frames.info[index].number, scores)


def _matching(other: Image | None, index: int) -> NDArray[Any] | None:
    """Return the frame of another image that belongs to one of this; a single one belongs to all."""
    return None if other is None else other.pixels[index if len(other) > 1 else 0]


def _check(image: Image, against: Against) -> None:
    for name, other in (("reference", against.reference), ("mask", against.mask)):
        if other is None:
            continue
        if other.frames.matrix != image.frames.matrix or len(other) not in (1, len(image)):
            raise InputError(
                f"{image.file_of(0)}: has {len(image)} frame(s) of {image.frames.matrix}, but the {name} "
                f"{other.file_of(0)} has {len(other)} of {other.frames.matrix}; give one of the same size."
            )


def _check_mask(settings: Settings, against: Against) -> None:
    unmasked = [name for name in settings.metrics if not METRICS[name].takes_mask]
    if against.mask is not None and unmasked:
        raise UsageError(f"{', '.join(unmasked)} takes no mask; leave out --mask or these metrics.")
