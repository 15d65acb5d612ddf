"""Early and late phase: which file is which, told by their headers and never against them."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..dicom.guard import DEFAULT_LIMITS, Limits
from ..errors import InputError, PhotopeakError, UsageError
from ..failures import Failure, failure_of
from ..frames import Frames
from ..reading import Series, no_image, scan
from ..reconstruction.selection import spelled
from .candidates import Candidate, candidates, described
from .views import at_spacing, is_planar, numbered

__all__ = ["PHASES", "Pair", "find_pairs", "pair"]

PHASES = ("early", "late")
_LEAST_MINUTES, _MOST_HOURS = 20, 8
_MOST_FIELDS = 2.0  # the larger field of view over the smaller one

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The phases of one examination.

    Parameters
    ----------
    early, late : Candidate or None
        One of them may be absent.
    notes : tuple of str
        What is remarkable about them, as sentences.
    """

    early: Candidate | None
    late: Candidate | None
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> dict[str, Frames | None]:
        """The frames by the names of the phases."""
        return {name: one.frames if one else None for name, one in (("early", self.early), ("late", self.late))}

    def __str__(self) -> str:
        return " and ".join(str(one) for one in (self.early, self.late) if one)


def find_pairs(
    inputs: Sequence[PathLike], *, phase: str = "", pixel_mm: float | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[Pair | Failure, ...]:
    """Return the examinations that files and folders hold.

    Parameters
    ----------
    inputs : sequence of path
        Two files (or folders of one image each): the early and the late phase, in this order. Otherwise images are sorted by
        patient and study, and each study's by what their headers say. ``file.dcm@2`` names a frame.
    phase : {"", "early", "late"}
        What the only image of an examination is, where nothing tells.
    pixel_mm : float, optional
        Edge of a pixel, instead of what the header says [mm].
    limits : Limits
        What reading may cost.

    Returns
    -------
    tuple of Pair or Failure
        One for each examination; those of a folder whose phases are not clear fail, the others do not.

    Raises
    ------
    UsageError
        If the phase is none.
    InputError
        If nothing can be read, or two files that were named do not belong together.
    """
    if phase not in ("", *PHASES):
        raise UsageError(f"{phase!r} is no phase; use early or late.")
    found = [_read(path, pixel_mm, limits) for path in inputs]
    if len(inputs) == 2 and [len(part.images) for part in found] == [1, 1] and not any(part.failures for part in found):
        _refuse_phase(phase)
        return (pair(found[0].images[0], found[1].images[0], named=True),)
    failures = [failure for part in found for failure in part.failures]
    studies: dict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for part in found:
        for one in part.images:
            studies[_study(one)].append(one)
    outcomes: list[Pair | Failure] = list(failures)
    for images in studies.values():
        try:
            outcomes.append(_sorted(images, phase))
        except PhotopeakError as error:
            outcomes.append(failure_of(images[0].path.name, error))
    return tuple(outcomes)


def pair(first: Candidate, second: Candidate, *, named: bool = False) -> Pair:
    """Return two images as early and late phase, once nothing speaks against it.

    Parameters
    ----------
    first, second : Candidate
        Early and late, as somebody says.
    named : bool
        Whether the user said so; headers are only asked whether they contradict.

    Raises
    ------
    InputError
        If they are of different patients, tracers or times, or are the other way round.
    """
    _check_patient(first, second)
    both = f"{first} ({first.clock}) and {second} ({second.clock})"
    if first.path.resolve() == second.path.resolve() and first.frames.info[0].number == second.frames.info[0].number:
        raise UsageError(f"{first}: is given for both phases; give another image, or this one alone.")
    if first.when and second.when:
        if first.when == second.when and not (first.several and first.path == second.path):
            raise InputError(f"{both} were taken at the same time; give images of two phases.")
        if first.when > second.when:
            raise InputError(
                f"{both} are not in order: the early phase was taken after the late one; give them the other way round."
            )
    if first.phase and first.phase == second.phase:
        raise InputError(
            f"{both} are both the {first.phase} phase, as their headers tell; give one of each, or one alone."
        )
    if first.phase == "late" or second.phase == "early":
        raise InputError(
            f"{both} are described as {first.phase or '?'} and {second.phase or '?'}; give the early phase first."
        )
    if first.tracer and second.tracer and first.tracer.casefold() != second.tracer.casefold():
        raise InputError(
            f"{both} show different tracers ({first.tracer} and {second.tracer}); both phases are of one injection."
        )
    _check_fields(first, second)
    return Pair(first, second, _remarks(first, second, named))


@dataclass(frozen=True, slots=True)
class _Read:
    images: tuple[Candidate, ...]
    failures: tuple[Failure, ...] = ()


def _read(raw: PathLike, pixel_mm: float | None, limits: Limits) -> _Read:
    """Return the candidates of one input; what a folder holds besides is left out, what is named must be one."""
    path, numbers = spelled(raw)
    found = scan(path, limits=limits)
    if not found.series and not found.damaged:
        raise no_image(path, found)
    named = not path.is_dir()
    images: list[Candidate] = []
    failures = [failure_of(str(error).partition(":")[0], error) for error in found.damaged]
    for series in found.series:
        if not named and series.modality not in ("NM", "OT"):
            continue
        try:
            images += _of_series(series, numbers, pixel_mm, named)
        except InputError as error:
            if named:
                raise
            failures.append(failure_of(series.paths[0].name, error))
    if not images and not failures:
        raise InputError(f"{path}: holds no planar scintigraphy; give the early and the late image.")
    return _Read(tuple(images), tuple(failures))


def _of_series(series: Series, numbers: Sequence[int], pixel_mm: float | None, named: bool) -> tuple[Candidate, ...]:
    frames = at_spacing(numbered(series.load(False), numbers), pixel_mm)
    if not named and not is_planar(frames):
        return ()
    return candidates(series.paths[0], frames)


def _study(one: Candidate) -> tuple[str, ...]:
    """Return what tells examinations apart."""
    if one.has_header:
        return one.patient, one.name.casefold(), one.study
    return "", str(one.path.parent)


def _sorted(images: Sequence[Candidate], phase: str) -> Pair:
    """Return the images of one examination as phases.

    Raises
    ------
    InputError
        If that is not clear.
    """
    if len(images) == 1:
        return _alone(images[0], phase)
    _refuse_phase(phase)
    if len(images) > 2:
        raise InputError(f"{len(images)} images may be the phases: {described(images)}; name two of them: EARLY LATE.")
    one, other = images
    told = {one.phase, other.phase}
    if told == set(PHASES):
        return pair(one, other) if one.phase == "early" else pair(other, one)
    if one.when and other.when and one.when != other.when:
        return pair(one, other) if one.when < other.when else pair(other, one)
    if one.phase != other.phase:
        in_order = one.phase == "early" or other.phase == "late"
        return pair(one, other) if in_order else pair(other, one)
    if one.path == other.path:
        found = pair(one, other)
        return Pair(
            one, other, (*found.notes, f"{one.path.name} does not say its phases; its frames were taken in order.")
        )
    raise InputError(
        f"nothing tells which is early and which late: {described(images)}; name them in this order: EARLY LATE."
    )


def _refuse_phase(phase: str) -> None:
    if phase:
        raise UsageError(f"--phase {phase} is for one image alone; leave it out, or give that image only.")


def _alone(image: Candidate, phase: str) -> Pair:
    told = image.phase
    if phase and told and phase != told:
        raise InputError(f"{image} ({image.clock}) is the {told} phase, as its header tells, not the {phase} one.")
    if not (phase or told):
        raise InputError(f"{image}: nothing tells whether it is early or late; add --phase early or --phase late.")
    return Pair(image, None) if (phase or told) == "early" else Pair(None, image)


def _check_patient(first: Candidate, second: Candidate) -> None:
    """Refuse images of two patients, and such as cannot be told to be of one."""
    if not (first.has_header and second.has_header):
        if first.has_header or second.has_header:
            raise InputError(
                f"{first} and {second}: only one of them names its patient; give both as DICOM, or neither."
            )
        return
    for what, one, other in (
        ("patients", first.patient, second.patient),
        ("patients", first.name.casefold().rstrip("^ "), second.name.casefold().rstrip("^ ")),
        ("dates of birth", first.born, second.born),
    ):
        if one and other and one != other:
            raise InputError(f"{first} and {second} are of different {what}; phases of two patients are never mixed.")
    known = first.patient and second.patient
    if not known and first.study != second.study:
        raise InputError(
            f"{first} and {second} are of two studies and do not both name their patient; give images of one study."
        )


def _check_fields(first: Candidate, second: Candidate) -> None:
    """Refuse fields of view that no resampling brings together."""
    fields = []
    for one in (first, second):
        spacing = one.frames.pixel_spacing_mm
        if spacing is None:
            return  # the session refuses it
        fields.append([size * mm for size, mm in zip(one.frames.matrix, spacing, strict=True)])
    ratio = max(max(a, b) / min(a, b) for a, b in zip(*fields, strict=True))
    if ratio > _MOST_FIELDS:
        sizes = " and ".join(f"{rows:.0f} x {columns:.0f} mm" for rows, columns in fields)
        raise InputError(
            f"{first} and {second} show fields of {sizes}, which cannot be compared; give images of one zoom."
        )


def _remarks(first: Candidate, second: Candidate, named: bool) -> tuple[str, ...]:
    remarks = []
    if first.when and second.when:
        minutes = (second.when - first.when).total_seconds() / 60
        if minutes < _LEAST_MINUTES or minutes > 60 * _MOST_HOURS:
            remarks.append(f"The phases are {minutes:.0f} min apart; 90 to 180 min are usual.")
    elif named:
        remarks.append("The headers do not give the times of both phases; the order of the files was taken.")
    if first.study != second.study:
        remarks.append("The phases are of different studies of one patient.")
    return tuple(remarks)
