"""The main job: files in, processed files out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from .bundle import Bundle
from .errors import InputError, PhotopeakError, UsageError
from .failures import Failure, failure_of, raise_failures
from .reading import Series, no_image, scan
from .result import Result
from .session import Progress, Session, load
from .writing import write

__all__ = ["Failure", "Processed", "process", "raise_failures", "stream"]

Inputs = str | Path | Sequence[str | Path]
_FOR_FINDINGS = ("threshold", "pixel_mm", "phase", "regions", "limits")


@dataclass(frozen=True, slots=True, eq=False)
class Processed:
    """One series that is done.

    Parameters
    ----------
    result : Result
        What the session returned, with the time of writing added to its timings.
    paths : tuple of Path
        Files written, in frame order.
    """

    result: Result
    paths: tuple[Path, ...]


def stream(
    inputs: Inputs, out: str | Path, session: Session, progress: Progress | None = None
) -> Iterator[Processed | Failure]:
    """Read, run and write series after series; only the pixels of one are in memory when none is kept.

    Parameters
    ----------
    inputs : path or sequence of paths
        Files and folders; every series found is processed.
    out : path
        Folder for the output.
    session : Session
        From :func:`photopeak.load`.
    progress : callable, optional
        Called with frames done and frames in all of the series at hand.

    Yields
    ------
    Processed or Failure
        One for each series; a failure does not stop the others.

    Raises
    ------
    InputError
        If the inputs cannot be read, or hold no image at all.
    """
    found = scan(inputs)
    if not found.series and not found.damaged:
        raise no_image(inputs, found)
    for error in found.damaged:
        yield failure_of(str(error).partition(":")[0], error)
    for series in found.series:
        try:
            yield _one(series, Path(out), session, progress)
        except PhotopeakError as error:
            yield failure_of(series.paths[0].name, error)
        except MemoryError as error:
            yield failure_of(series.paths[0].name, _too_large(series, error))


def process(inputs: Inputs, out: str | Path, *, model: str | Path | Bundle, **options: Any) -> tuple[Path, ...]:
    """Process files: path in, path out.

    Parameters
    ----------
    inputs : path or sequence of paths
        Files and folders with DICOM, NIfTI or .npy images.
    out : path
        Folder for the output; made when it is not there.
    model : str, Path or Bundle
        Which model; see :func:`photopeak.load`.
    **options
        Device, precision, provider, threads and max_loss_db as in :func:`photopeak.load`; for models that detect or
        classify also the fields of :class:`~photopeak.engine.analysis.pipeline.Options`, such as threshold.

    Returns
    -------
    tuple of Path
        Files written.

    Raises
    ------
    InputError
        If nothing could be read or the only series failed.
    PartialError
        If some series failed; the others are written.

    Examples
    --------
    >>> import numpy as np
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "flood.npy", np.random.default_rng(0).poisson(9, (64, 64)))
    >>> paths = process(folder / "flood.npy", folder / "out", model="scint-denoise", threads=1)
    >>> [path.name for path in paths]
    ['flood_scint-denoise.npy']
    """
    own = {name: options.pop(name) for name in _FOR_FINDINGS if name in options}
    session = load(model, **options)
    if not isinstance(session, Session):
        from .analysis.pipeline import process as analyse

        return analyse(inputs, out, session, **own)
    if own:
        raise UsageError(f"{session.bundle.name} gives images and knows no {min(own)}; leave it out.")
    # A map, unlike a loop, holds no series while the next one is read.
    outcomes = list(map(_without_pixels, stream(inputs, out, session)))
    raise_failures(outcomes)
    return tuple(path for outcome in outcomes if not isinstance(outcome, Failure) for path in outcome)


def _without_pixels(outcome: Processed | Failure) -> tuple[Path, ...] | Failure:
    """Return what there is to remember of a series."""
    return outcome if isinstance(outcome, Failure) else outcome.paths


def _too_large(series: Series, error: MemoryError) -> InputError:
    """Return the error of a series that memory was too small for."""
    reason = f" ({error})" if str(error) else ""
    found = InputError(
        f"{series.paths[0]}: does not fit into memory{reason}; close other programs, or use a machine with more memory."
    )
    found.__cause__ = error
    return found


def _one(series: Series, out: Path, session: Session, progress: Progress | None) -> Processed:
    """Read, run and write one series; only its frames are in memory."""
    start = perf_counter()
    frames = series.load(False)
    read = perf_counter()
    result = session.run(frames, progress)
    ran = perf_counter()
    paths = write(result, out)
    timings = {"read": 1e3 * (read - start), **result.timings_ms, "write": 1e3 * (perf_counter() - ran)}
    return Processed(replace(result, timings_ms=timings), tuple(paths))
