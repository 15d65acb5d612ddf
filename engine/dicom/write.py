"""Derived DICOM objects: one for each source object, in series of their own."""

from collections.abc import Callable, Iterator

from pydicom.charset import default_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    EnhancedPETImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    generate_uid,
)

from ..release import release
from ..result import Result
from .attributes import has, text
from .derived.codes import put
from .derived.derivation import of_result, stamp
from .derived.functional import derive_frames
from .derived.header import copy_header
from .derived.magnify import magnify
from .derived.nuclear import encode_nuclear
from .derived.part import Part, part_of
from .derived.repair import repair
from .derived.slices import encode_enhanced_pet, encode_pet, encode_same_scale
from .encoding import encode_file
from .quiet import input_errors

__all__ = ["derived_files", "encode"]

# Identifies this writer in file meta information, PS3.10 7.1; a UUID of its own.
IMPLEMENTATION_CLASS_UID = UID("2.25.128190263497201763294098123570451123766")

Encoder = Callable[[Dataset, Part], tuple[str, ...]]


def derived_files(result: Result) -> Iterator[tuple[str, bytes]]:
    """Yield the source's file name and the derived object as a DICOM file, in the order of the source.

    Multi-frame objects stay one object; a series stays a series, with a new Series Instance UID.

    Parameters
    ----------
    result : Result
        With DICOM sources.

    Raises
    ------
    InputError
        If a source's UIDs are not UIDs, frames of an object are missing, or its elements contradict each other.

    References
    ----------
    * PS3.3 C.7.6.1 (general image), C.7.5.2 (contributing equipment), C.12.4 (general reference).
    """
    derivation = of_result(result)
    series: dict[str, str] = {}
    for index, instance in enumerate(result.source.instances):
        with input_errors(instance.path):
            part = part_of(result, index, derivation)
            source_series = text(instance.header, "SeriesInstanceUID")
            uid = series.setdefault(source_series, generate_uid(prefix=None))
            content = encode(_derive(part, uid))
        yield instance.path.name, content


def _derive(part: Part, series_uid: str) -> Dataset:
    """Return the derived object of one source object."""
    ds, undecodable = copy_header(part.source)
    magnify(ds, part.derivation.scale)
    remarks = _encoder(ds)(ds, part)
    if undecodable:
        remarks = (*remarks, f"Left out, as they cannot be decoded: {', '.join(undecodable)}.")
    stamp(ds, part.source, part.derivation, series_uid, remarks)
    if has(ds, "PerFrameFunctionalGroupsSequence"):
        derive_frames(ds, part.source, part.derivation)
    repair(ds)
    return ds


def _encoder(ds: Dataset) -> Encoder:
    """Return what writes the pixels of this kind of object."""
    if text(ds, "Modality") == "NM":
        return encode_nuclear
    encoders: dict[str, Encoder] = {
        PositronEmissionTomographyImageStorage: encode_pet,
        EnhancedPETImageStorage: encode_enhanced_pet,
    }
    return encoders.get(text(ds, "SOPClassUID"), encode_same_scale)


def encode(ds: Dataset) -> bytes:
    """Return an object as a DICOM file, Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.set_original_encoding(False, True, default_encoding)
    put(
        meta,
        FileMetaInformationVersion=b"\0\1",
        MediaStorageSOPClassUID=text(ds, "SOPClassUID"),
        MediaStorageSOPInstanceUID=text(ds, "SOPInstanceUID"),
        TransferSyntaxUID=ExplicitVRLittleEndian,
        ImplementationClassUID=IMPLEMENTATION_CLASS_UID,
        ImplementationVersionName=f"PHOTOPEAK{release()}"[:16],
    )
    ds.file_meta = meta
    return encode_file(ds)
