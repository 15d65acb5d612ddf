"""Frames of nuclear medicine objects: detectors, energy windows, views and times."""

from collections.abc import Callable, Sequence

from pydicom.dataset import Dataset

from ..errors import InputError
from ..frames import FrameInfo
from .attributes import first_glance, glance, integer, integers, number, tag_name, text
from .geometry import Vector, normal, orientation, position, view_of_orientation, view_of_text
from .parse import ImageFile
from .units import Scaling

_HEADS = "DetectorInformationSequence"
_PLANAR = ("STATIC", "WHOLE BODY", "DYNAMIC", "GATED")


def nuclear_frames(image: ImageFile, scaling: Scaling) -> tuple[FrameInfo, ...]:
    """Return what each frame of an NM object shows; frame order is the file's.

    Parameters
    ----------
    image : ImageFile
        STATIC, WHOLE BODY, DYNAMIC, GATED, TOMO, RECON TOMO (and their GATED forms), by Image Type (0008,0008) value 3.
    scaling : Scaling
        Slope and intercept of all frames.

    Raises
    ------
    InputError
        If a frame vector has another length than Number of Frames, or points outside of its sequence.

    References
    ----------
    * PS3.3 C.8.4.8 (frame increment pointer and vectors), C.8.4.11 (detector), C.8.4.12 (tomography), C.8.4.13
      (multi-gated), C.8.4.14 (phase), C.8.4.15 (reconstruction).
    """
    ds, n = image.header, image.layout.frames
    kind = text(ds, "ImageType").upper().split("\\")[2:3]
    planar = not kind or kind[0] in _PLANAR
    detectors = _vector(ds, "DetectorVector", n, single="NumberOfDetectors")
    windows = _vector(ds, "EnergyWindowVector", n, single="NumberOfEnergyWindows")
    slices = _vector(ds, "SliceVector", n)
    duration_ms = _durations(ds, n)
    found = glance(ds, _HEADS)
    heads = {index: _item(found, _HEADS, index) for index in set(detectors)}
    views = {index: _view(ds, head) if planar else "" for index, head in heads.items()}
    return tuple(
        FrameInfo(
            number=i + 1,
            view=views[detectors[i]],
            detector=detectors[i],
            energy_window=windows[i],
            duration_s=duration_ms(i) / 1000,
            slope=scaling.slope,
            intercept=scaling.intercept,
            position_mm=_position(ds, heads[detectors[i]], slices[i]),
        )
        for i in range(n)
    )


def _vector(ds: Dataset, keyword: str, n: int, single: str = "") -> Sequence[int]:
    """Return one index for each frame, from 1; 0 where the header does not say.

    Many cameras write one value for all frames; any other length leaves open which frame is which.
    """
    found = integers(ds, keyword)
    if not found and single:
        found = (1,) if integer(ds, single) == 1 else ()
    if len(found) not in (0, 1, n):
        raise InputError(f"{tag_name(keyword)} has {len(found)} values for {n} frames; correct the header.")
    return found if len(found) == n else (found or (0,)) * n


def _item(found: Sequence[Dataset], keyword: str, index: int) -> Dataset:
    """Return item `index` (from 1) of a sequence; the only one when there is no index, none when there is none."""
    if not found or (index == 0 and len(found) > 1):
        return Dataset()
    if index > len(found):
        raise InputError(f"{tag_name(keyword)} has {len(found)} item(s) but a frame refers to number {index}.")
    return found[max(index - 1, 0)]


def _view(ds: Dataset, head: Dataset) -> str:
    """Return the view of a planar frame: coded, else from the orientation, else from the image's name."""
    coded = view_of_text(text(first_glance(head, "ViewCodeSequence"), "CodeMeaning"))
    named = "" if integer(ds, "NumberOfDetectors") == 2 else view_of_text(text(ds, "ImageID"))
    return coded or view_of_orientation(head) or view_of_orientation(ds) or named


def _position(ds: Dataset, head: Dataset, slice_number: int) -> Vector | None:
    """Return Image Position of a frame; slices of a reconstruction are stacked along the normal (PS3.3 C.8.4.15)."""
    place, cosines = position(head), orientation(head)
    spacing = number(ds, "SpacingBetweenSlices")
    if place is None or slice_number == 0 or cosines is None or not spacing:
        return place
    x, y, z = (place + normal(cosines) * spacing * (slice_number - 1)).tolist()
    return x, y, z


def _durations(ds: Dataset, n: int) -> Callable[[int], float]:
    """Return a function from frame index to its acquisition time [ms], NaN when the header does not say."""
    for sequence, vector in (
        ("PhaseInformationSequence", "PhaseVector"),
        ("RotationInformationSequence", "RotationVector"),
    ):
        if found := glance(ds, sequence):
            indices = _vector(ds, vector, n)
            return lambda i: _or_nan(number(_item(found, sequence, indices[i]), "ActualFrameDuration"))
    overall = number(ds, "ActualFrameDuration")
    data = first_glance(first_glance(ds, "GatedInformationSequence"), "DataInformationSequence")
    gates = glance(data, "TimeSlotInformationSequence")
    if overall is None and gates:
        slots = _vector(ds, "TimeSlotVector", n)
        return lambda i: _or_nan(number(gates[slots[i] - 1], "TimeSlotTime") if 0 < slots[i] <= len(gates) else None)
    return lambda i: _or_nan(overall)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
