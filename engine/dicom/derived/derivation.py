"""Where a derived image comes from and what was done to it: the part that is the same for every modality."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, generate_uid

from ...release import release
from ...result import Result
from ..attributes import has, integer, items, tag_of, text
from ..instance import Instance
from .codes import CODES, code, item, put
from .words import shorten

__all__ = ["Derivation", "of_result", "sop_reference", "source_reference", "stamp", "uid_element"]

# Longest values of the representations LO and ST, PS3.5 table 6.2-1.
_LO, _ST = 64, 1024
# A longer list of frame numbers would not fit the 64 KiB of its representation; all frames are meant without it too.
_MOST_LISTED = 9999
_DONE = {
    "super-resolution": ("AI super-resolution x{scale}", "AI SR x{scale}", "resampling"),
    "denoise": ("AI denoising", "AI denoise", "smoothing"),
}
_KEPT = {
    "sum": "The total counts of each frame are preserved",
    "mean": "The mean value of each frame is preserved",
    "none": "Totals and means are not preserved by construction",
}
_ALWAYS_LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit)


@dataclass(frozen=True, slots=True)
class Derivation:
    """What every object of one result says about its origin.

    Parameters
    ----------
    model, version : str
        Name and version of the bundle.
    digest : str
        SHA-256 of the bundle.
    action, label : str
        What was done, as a phrase and for series descriptions.
    code : str
        Key of the derivation code in ``CODES``.
    scale : int
        Magnification.
    summary : str
        Sentences about model, plan and what is preserved.
    findings : tuple of str
        Domain verdict and warnings.
    moment : datetime
        When the objects are made.
    """

    model: str
    version: str
    digest: str
    action: str
    label: str
    code: str
    scale: int
    summary: str
    findings: tuple[str, ...]
    moment: datetime

    @property
    def device_uid(self) -> str:
        """UID of the processing device: one for each bundle, to the bit."""
        return f"2.25.{UUID(bytes=bytes.fromhex(self.digest)[:16], version=5).int}"


def of_result(result: Result) -> Derivation:
    """Return what the objects of `result` say about their origin."""
    manifest, plan = result.bundle.manifest, result.plan
    phrase, label, derivation_code = _DONE[manifest.task]
    scale = manifest.image_output.scale
    action = phrase.format(scale=scale)
    summary = (
        f"{action} by {manifest.name} {manifest.version} (SHA-256 {result.bundle.digest[:16]}), photopeak "
        f"{release()}, {plan.arithmetic}. {_preserved(result)}."
    )
    return Derivation(
        model=manifest.name,
        version=manifest.version,
        digest=result.bundle.digest,
        action=action,
        label=f"{label.format(scale=scale)} {manifest.name} {manifest.version}",
        code=derivation_code,
        scale=scale,
        summary=summary,
        findings=(_domain(result), *result.warnings),
        moment=datetime.now(UTC),
    )


def stamp(ds: Dataset, source: Instance, derivation: Derivation, series_uid: str, remarks: Sequence[str]) -> None:
    """Write identity and provenance of a derived image into `ds`, which is a copy of its source's header.

    UIDs are new each time: the same input may be processed again with another plan, and two objects that differ must
    never share a UID. Date and time of study, series, acquisition and content stay, since decay correction and the
    order of dynamic series hang on them.

    Parameters
    ----------
    ds : Dataset
        Changed in place.
    source : Instance
        The object it is derived from.
    derivation : Derivation
        What was done.
    series_uid : str
        Series Instance UID of the output.
    remarks : sequence of str
        Sentences about this object, such as what a stored value means.
    """
    source_frames = integer(source.header, "NumberOfFrames") or 1
    moment = _local(derivation.moment, text(ds, "TimezoneOffsetFromUTC"))
    _describe_series(ds, derivation)
    earlier = text(ds, "DerivationDescription")
    findings = " ".join(derivation.findings)
    sentences = [derivation.summary, *remarks, findings, f"Before that: {earlier}" if earlier else ""]
    listed = range(1, source_frames + 1) if 1 < source_frames <= _MOST_LISTED else ()
    comments = [text(ds, "ImageComments"), f"{derivation.action} by {derivation.model} {derivation.version}.", findings]
    put(
        ds,
        SOPInstanceUID=generate_uid(prefix=None),
        SeriesInstanceUID=series_uid,
        InstanceCreationDate=moment.strftime("%Y%m%d"),
        InstanceCreationTime=moment.strftime("%H%M%S"),
        DerivationDescription=shorten(" ".join(filter(None, sentences)), _ST, placeholder=" ..."),
        DerivationCodeSequence=[*items(ds, "DerivationCodeSequence"), code(CODES[derivation.code])],
        SourceImageSequence=[source_reference(source, derivation, listed)],
        ContributingEquipmentSequence=[*items(ds, "ContributingEquipmentSequence"), _equipment(derivation)],
        ImageComments=shorten(" ".join(filter(None, comments)), 10 * _ST, placeholder=" ..."),
    )
    if not has(ds, "LossyImageCompression") and text(source.header.file_meta, "TransferSyntaxUID") in _ALWAYS_LOSSY:
        put(ds, LossyImageCompression="01")


def source_reference(source: Instance, derivation: Derivation, frames: Sequence[int]) -> Dataset:
    """Return an item of Source Image Sequence; no frame numbers stand for the whole object."""
    reference = sop_reference(source)
    put(
        reference,
        PurposeOfReferenceCodeSequence=[code(CODES["source"])],
        SpatialLocationsPreserved="YES" if derivation.scale == 1 else "NO",
    )
    return put(reference, ReferencedFrameNumber=[*frames]) if frames else reference


def sop_reference(source: Instance) -> Dataset:
    """Return a reference to an object."""
    reference = item(ReferencedSOPClassUID=text(source.header, "SOPClassUID"))
    reference.add(uid_element("ReferencedSOPInstanceUID", text(source.header, "SOPInstanceUID")))
    return reference


def uid_element(keyword: str, uid: str) -> DataElement:
    """Return a UID as the source has it: scanners write leading zeros, which pydicom refuses but which must match."""
    return DataElement(tag_of(keyword), "UI", str(uid), validation_mode=IGNORE)


def _describe_series(ds: Dataset, derivation: Derivation) -> None:
    """Give the series a name that says what was done, and a number far from those of the scanner."""
    suffix = f"[{derivation.label}]"[:_LO]
    room = _LO - len(suffix) - 1
    described = text(ds, "SeriesDescription").replace("\\", " ")[: max(room, 0)].strip()
    number = (integer(ds, "SeriesNumber") or 0) % 1_000_000
    put(
        ds,
        SeriesDescription=f"{described} {suffix}".strip(),
        SeriesNumber=1000 * number + 100 + zlib.crc32(derivation.label.encode()) % 900,
    )


def _equipment(derivation: Derivation) -> Dataset:
    """Return the item of Contributing Equipment Sequence that names the model."""
    return item(
        PurposeOfReferenceCodeSequence=[code(CODES["processing"])],
        Manufacturer="Photopeak",
        ManufacturerModelName=derivation.model,
        SoftwareVersions=[f"photopeak {release()}", f"{derivation.model} {derivation.version}"],
        DeviceUID=derivation.device_uid,
        ContributionDateTime=derivation.moment.strftime("%Y%m%d%H%M%S.%f+0000"),
        ContributionDescription=shorten(f"{derivation.summary} Model SHA-256: {derivation.digest}", _ST),
    )


def _preserved(result: Result) -> str:
    """Return the sentence about counts or mean, with the largest deviation."""
    kept = result.conservation
    sentence = _KEPT[kept.kind]
    if kept.kind == "none":
        return sentence
    after, model = (float(np.max(np.abs(bias), initial=0.0)) for bias in (kept.bias, kept.model_bias))
    return f"{sentence} (largest deviation {after:.2%}; the model alone {model:.2%})"


def _domain(result: Result) -> str:
    """Return the verdict on the training domain as one sentence."""
    where = {
        "inside": "inside the training domain",
        "border": "at the border of the training domain: judge with care",
        "outside": "OUTSIDE the training domain: do not rely on the result",
    }[result.domain.verdict]
    found = result.domain
    border, outside = found.limits
    distance = f"distance {found.distances.max():.3g}, border from {border:.3g}, outside from {outside:.3g}"
    return f"Input {where} ({'; '.join([distance, *found.reasons])})."


def _local(moment: datetime, offset: str) -> datetime:
    """Return the moment in the object's time zone, or in this machine's when the object does not name one."""
    if not offset:
        return moment.astimezone()
    try:
        return moment.astimezone(datetime.strptime(offset, "%z").tzinfo)
    except ValueError:
        return moment.astimezone()
