"""Items of a list that failed, and what to raise for them at the end."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import InputError, PartialError, PhotopeakError

__all__ = ["Failure", "failure_of", "raise_failures"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One series or file that could not be processed.

    Parameters
    ----------
    source : str
        Its short name.
    error : PhotopeakError
        Why.
    """

    source: str
    error: PhotopeakError


def failure_of(source: str, error: PhotopeakError) -> Failure:
    """Return the failure, without the pixels that the local variables in its tracebacks hold."""
    cause: BaseException | None = error
    while cause:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__
    return Failure(source, error)


def raise_failures(outcomes: Sequence[object], what: str = "series") -> None:
    """Raise the error of the only item, or a PartialError that counts and quotes.

    Parameters
    ----------
    outcomes : sequence
        One item for each series or file; what is no Failure counts as done.
    what : str
        What the items are called, in the plural.

    Raises
    ------
    InputError
        If all of several items failed; the error of its own if there was only one.
    PartialError
        If some failed.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if not failures:
        return
    if len(outcomes) == 1:
        raise failures[0].error
    kind = InputError if len(failures) == len(outcomes) else PartialError
    raise kind(f"{len(failures)} of {len(outcomes)} {what} failed, first: {failures[0].error}")
