"""One frame that may be a phase, with all that its header tells about whose it is, when it was taken and what it shows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset

from ..dicom.attributes import first, integers, items, moment, number, text
from ..dicom.quiet import input_errors
from ..errors import InputError
from ..frames import Frames
from .views import of_views, only

__all__ = ["Candidate", "candidates", "described", "told_by_words"]

_WORDS = {
    "early": re.compile(r"\b(early|initial|immediate|thyroid phase|(first|1st) phase|phase (1|i))\b"),
    "late": re.compile(
        r"\b(late|delay|delayed|wash ?out|retarded|parathyroid phase|(second|2nd) phase|phase (2|ii))\b"
    ),
}
_MINUTES = re.compile(r"\b(\d{1,3}) ?(min|mins|minutes?|mn)\b")
_HOURS = re.compile(r"\b(\d(?:[.,]\d)?) ?(h|hr|hrs|hours?)\b")
# Early images are taken 10 to 30 minutes after the injection, late ones after 1.5 to 3 hours.
_LATEST_EARLY_MIN, _EARLIEST_LATE_MIN = 45.0, 60.0
_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "ImageComments", "ImageID")


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A frame that may be a phase.

    Parameters
    ----------
    path : Path
        Its file.
    frames : Frames
        The frame alone.
    several : bool
        Whether its file holds more.
    patient, name, born : str
        Patient ID (0010,0020) with its issuer, Patient's Name (0010,0010), Patient's Birth Date (0010,0030).
    study : str
        Study Instance UID (0020,000D).
    when : datetime or None
        Start of the acquisition.
    phase : str
        ``early`` or ``late`` where words or the time since the injection tell; else empty.
    tracer : str
        Radiopharmaceutical (0018,0031).
    """

    path: Path
    frames: Frames
    several: bool = False
    patient: str = ""
    name: str = ""
    born: str = ""
    study: str = ""
    when: datetime | None = None
    phase: str = ""
    tracer: str = ""

    def __str__(self) -> str:
        return f"{self.path.name}@{self.frames.info[0].number}" if self.several else self.path.name

    @property
    def clock(self) -> str:
        """The time of the acquisition, for sentences."""
        return f"{self.when:%Y-%m-%d %H:%M}" if self.when else "unknown time"

    @property
    def has_header(self) -> bool:
        """Whether it comes from a DICOM object."""
        return bool(self.frames.instances)


def candidates(path: Path, frames: Frames) -> tuple[Candidate, ...]:
    """Return the anterior frames of a series.

    Parameters
    ----------
    path : Path
        Its first file.
    frames : Frames
        What it holds.

    Raises
    ------
    InputError
        If it shows another view, several energy windows, or its header cannot be used.
    """
    chosen = of_views(frames, ("anterior",))
    if len({info.energy_window for info in chosen.info}) > 1:
        raise InputError(
            f"{path}: its frames lie in several energy windows; name those of one, such as {path.name}@1,2."
        )
    several = len(frames) > 1 or _is_one_of_several(frames)
    return tuple(_candidate(path, only(chosen, [index]), several) for index in range(len(chosen)))


def _is_one_of_several(frame: Frames) -> bool:
    """Return whether the only frame that is left of a file is one of more."""
    info = frame.info[0]
    if not frame.instances:
        return info.number > 1
    return (number(frame.instances[info.instance].header, "NumberOfFrames") or 1) > 1


def told_by_words(words: str) -> str:
    """Return the phase that a description tells of; empty where it tells of none or of both.

    Examples
    --------
    >>> told_by_words("Parathyroid_15min"), told_by_words("NECK DELAYED 2h"), told_by_words("early + late")
    ('early', 'late', '')
    """
    spelled = re.sub(r"[\s_.\-^/]+", " ", re.sub(r"(?<=\d)[.,](?=\d)", ",", words.lower()))
    found = {phase for phase, pattern in _WORDS.items() if pattern.search(spelled)}
    minutes = [float(match[0]) for match in _MINUTES.findall(spelled)]
    minutes += [60 * float(match[0].replace(",", ".")) for match in _HOURS.findall(spelled)]
    found |= set(filter(None, map(_told_by_minutes, minutes))) if not found else set()
    return found.pop() if len(found) == 1 else ""


def _told_by_minutes(minutes: float) -> str:
    return "early" if minutes <= _LATEST_EARLY_MIN else "late" if minutes >= _EARLIEST_LATE_MIN else ""


def _candidate(path: Path, frames: Frames, several: bool) -> Candidate:
    info = frames.info[0]
    if not frames.instances:
        return Candidate(path, frames, several, phase=told_by_words(path.name.partition(".")[0]))
    instance = frames.instances[info.instance]
    ds = instance.header
    with input_errors(instance.path):
        when = _when(ds, info.number)
        drug = first(ds, "RadiopharmaceuticalInformationSequence")
        words = " ".join(text(ds, keyword) for keyword in _DESCRIPTIONS)
        return Candidate(
            instance.path,
            frames,
            several,
            patient="\\".join(filter(None, [text(ds, "PatientID"), text(ds, "IssuerOfPatientID")])),
            name=text(ds, "PatientName"),
            born=text(ds, "PatientBirthDate"),
            study=text(ds, "StudyInstanceUID"),
            when=when,
            phase=told_by_words(words) or _told_since_injection(drug, when),
            tracer=text(drug, "Radiopharmaceutical"),
        )


def _when(ds: Dataset, frame: int) -> datetime | None:
    """Return when a frame's acquisition began; of a dynamic study, its phase's."""
    start = moment(ds, "AcquisitionDateTime", zone=text(ds, "TimezoneOffsetFromUTC"))
    start = start or moment(ds, "AcquisitionDate", "AcquisitionTime") or moment(ds, "ContentDate", "ContentTime")
    start = start or moment(ds, "SeriesDate", "SeriesTime")
    phases, vector = items(ds, "PhaseInformationSequence"), integers(ds, "PhaseVector")
    if start is None or not phases or not 0 < frame <= len(vector):
        return start
    before = sum(_lasting_ms(phase) for phase in phases[: vector[frame - 1] - 1])
    delay = number(phases[vector[frame - 1] - 1], "PhaseDelay") or 0.0
    return start + timedelta(milliseconds=before + delay)


def _lasting_ms(phase: Dataset) -> float:
    """Return how long a phase takes, with the pause before it [ms]; PS3.3 C.8.4.14."""
    frames = number(phase, "NumberOfFramesInPhase") or 0.0
    each = (number(phase, "ActualFrameDuration") or 0.0) + (number(phase, "PauseBetweenFrames") or 0.0)
    return (number(phase, "PhaseDelay") or 0.0) + frames * each


def _told_since_injection(drug: Dataset, when: datetime | None) -> str:
    """Return the phase by the time since the injection, where the header gives that."""
    if when is None:
        return ""
    injected = moment(drug, "RadiopharmaceuticalStartDateTime")
    if injected is None and (clock := text(drug, "RadiopharmaceuticalStartTime")):
        drug_day = Dataset()
        drug_day.StudyDate, drug_day.StudyTime = f"{when:%Y%m%d}", clock
        injected = moment(drug_day, "StudyDate", "StudyTime")
    if injected is None:
        return ""
    minutes = (when - injected).total_seconds() / 60
    return _told_by_minutes(minutes) if minutes >= 0 else ""


def described(found: Sequence[Candidate], most: int = 4) -> str:
    """Return candidates for a sentence."""
    listed = ", ".join(f"{one} ({one.clock})" for one in found[:most])
    return f"{listed}, ..." if len(found) > most else listed
