"""Body-weight SUV from PET headers, by the QIBA vendor-neutral rules."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydicom.dataset import Dataset
from pydicom.uid import EnhancedPETImageStorage

from ..errors import InputError
from ..frames import Units
from .attributes import first, moment, number, tag_name, text

_PHILIPS = (0x7053, "Philips PET Private Group")
_GE = (0x0009, "GEMS_PETD_01")
_SMALLEST_BQ = 1e4


def suv_factor(units: Units, headers: Sequence[Dataset]) -> float:
    """Return body-weight SUV [g/ml] per unit of the rescaled pixel values.

    Parameters
    ----------
    units : Units
        What the rescaled values mean.
    headers : sequence of Dataset
        The objects of one PET series; dose, weight and corrections are the first one's, the scan starts at the earliest.

    Raises
    ------
    InputError
        If SUV cannot be computed; the sentence names the element that is missing or unsuitable.

    References
    ----------
    * QIBA, SUV vendor-neutral pseudo-code, happy path and robust version (2012); PS3.3 C.8.9.1, C.8.9.4, C.8.22.4.
    """
    header = headers[0]
    if units is Units.SUV_BODY_WEIGHT:
        return 1.0
    if text(header, "Modality") != "PT":
        raise InputError(f"SUV is defined for PET, not for {text(header, 'Modality') or 'an unknown modality'}.")
    corrected = text(header, "CorrectedImage")
    if corrected and "ATTN" not in corrected.split("\\"):
        raise _impossible("CorrectedImage", "lacks ATTN")
    if text(header, "AttenuationCorrected") == "NO":
        raise _impossible("AttenuationCorrected", "is 'NO'")
    to_activity = 1.0 if units is Units.BECQUEREL_PER_ML else 0.0
    if units is Units.COUNTS:
        suv = _private(header, *_PHILIPS, 0x00)
        if suv:
            return suv
        to_activity = _private(header, *_PHILIPS, 0x09) or 0.0
    if not to_activity:
        raise _impossible("Units", f"is {text(header, 'Units')!r}, not BQML")
    return to_activity * _positive(header, "PatientWeight") * 1000.0 / _dose_at_reference(headers)


def _positive(ds: Dataset, keyword: str) -> float:
    """Return a number that SUV cannot do without."""
    found = number(ds, keyword)
    if found is None or found <= 0:
        raise _impossible(keyword, "is missing" if found is None else f"is {found:g}")
    return found


def _dose_at_reference(headers: Sequence[Dataset]) -> float:
    """Return the injected activity, decayed to the time that the pixel values are corrected to [Bq]."""
    header = headers[0]
    drug = first(header, "RadiopharmaceuticalInformationSequence")
    dose, half_life = _positive(drug, "RadionuclideTotalDose"), _positive(drug, "RadionuclideHalfLife")
    enhanced = header.get("SOPClassUID") == EnhancedPETImageStorage
    if enhanced and dose < _SMALLEST_BQ:  # the standard's unit is MBq there, though some write Bq (PS3.3 C.8.22.4)
        dose *= 1e6
    if dose < _SMALLEST_BQ:  # a dose in MBq would inflate every SUV a million times
        raise _impossible("RadionuclideTotalDose", f"is {dose:g}, too small for becquerels")
    correction = text(header, "DecayCorrection")
    if correction == "ADMIN":
        return dose
    to_moment = text(header, "DecayCorrected") == "YES"
    if correction != "START" and not to_moment:
        raise _impossible("DecayCorrection", f"is {correction!r}, not START or ADMIN")
    zone = text(header, "TimezoneOffsetFromUTC")
    reference = moment(header, "DecayCorrectionDateTime", zone=zone) if to_moment else _scan_start(headers, half_life)
    if reference is None:
        raise _impossible("DecayCorrectionDateTime" if to_moment else "AcquisitionTime", "is missing")
    elapsed = (reference - _injection(drug, reference, zone)).total_seconds()
    if elapsed < 0:
        raise _impossible("RadiopharmaceuticalStartDateTime", "is later than the scan")
    return float(dose * 2 ** (-elapsed / half_life))


def _injection(drug: Dataset, reference: datetime, zone: str) -> datetime:
    """Return when the tracer was given; a bare time is the last one before the scan, across midnight if need be."""
    exact = moment(drug, "RadiopharmaceuticalStartDateTime", zone=zone)
    if exact is not None:
        return exact
    clock = text(drug, "RadiopharmaceuticalStartTime")
    if not clock:
        raise _impossible("RadiopharmaceuticalStartTime", "is missing")
    stamp = Dataset()
    stamp.StudyDate, stamp.StudyTime = reference.strftime("%Y%m%d"), clock
    found = moment(stamp, "StudyDate", "StudyTime") or reference
    return found if found <= reference else found - timedelta(days=1)


def _scan_start(headers: Sequence[Dataset], half_life: float) -> datetime | None:
    """Return the time that START-corrected values refer to.

    Series time, unless the series was made after the scan (a reconstruction, or a copy); then GE's own element, or the
    acquisition time moved back from the frame's average count time.
    """
    header = headers[0]
    acquisitions = [moment(ds, "AcquisitionDate", "AcquisitionTime") for ds in headers]
    known = [time for time in acquisitions if time is not None]
    series = moment(header, "SeriesDate", "SeriesTime")
    if series is not None and known and series <= min(known):
        return series
    general_electric = _private_text(header, *_GE, 0x0D)
    if general_electric:
        stamp = Dataset()
        stamp.AcquisitionDateTime = general_electric
        return moment(stamp, "AcquisitionDateTime", zone=text(header, "TimezoneOffsetFromUTC"))
    starts = [time - _offset(ds, half_life) for ds, time in zip(headers, acquisitions, strict=True) if time is not None]
    return min(starts, default=None)


def _offset(header: Dataset, half_life: float) -> timedelta:
    """Return how long after the reference time a frame's acquisition began."""
    reference_ms, duration_ms = number(header, "FrameReferenceTime"), number(header, "ActualFrameDuration")
    if reference_ms is None or not duration_ms:
        return timedelta(0)
    decay = math.log(2) / half_life
    during = decay * duration_ms / 1000
    average_s = math.log(during / -math.expm1(-during)) / decay
    return timedelta(seconds=reference_ms / 1000 - average_s)


def _private(header: Dataset, group: int, creator: str, element: int) -> float | None:
    found = _private_text(header, group, creator, element)
    try:
        value = float(found)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _private_text(header: Dataset, group: int, creator: str, element: int) -> str:
    """Return a private element as text, empty when absent."""
    try:
        value = header.private_block(group, creator)[element].value
    except KeyError:
        return ""
    return value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else str(value).strip()


def _impossible(keyword: str, why: str) -> InputError:
    return InputError(f"cannot compute SUV: {tag_name(keyword)} {why}; correct the header or read without SUV.")
