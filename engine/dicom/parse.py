"""From a file to a checked header: what pydicom's ``dcmread`` does, with every size bounded."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

from ..errors import InputError
from .attributes import tag_name, text
from .elements import Plain, encodings_of, plain_elements
from .guard import (
    GuardedStream,
    Limits,
    NotAnImage,
    PixelLayout,
    check_fragments,
    check_native_length,
    inflate,
    open_regular,
    pixel_layout,
)
from .instance import Instance
from .quiet import input_errors

_PIXELS, _FLOAT_PIXELS = 0x7FE00010, (0x7FE00008, 0x7FE00009)
_UNDEFINED = 0xFFFFFFFF
_META, _DATA_SET = range(2, 3), range(8, 0x7FE0)


@dataclass(frozen=True, slots=True, eq=False)
class ImageFile:
    """One DICOM image on disk: its header, and where its pixels are.

    Parameters
    ----------
    path : Path
        The file.
    header : Dataset
        All elements before Pixel Data, with ``file_meta``.
    layout : PixelLayout
        How the pixels are stored, checked against what the file holds.
    offset : int
        Where the value of Pixel Data starts in :meth:`open`'s stream [byte].
    words : bool
        Whether Pixel Data is a string of 16-bit words (OW), which big endian turns round even where samples are bytes.
    limits : Limits
        What reading may cost.
    """

    path: Path
    header: Dataset
    layout: PixelLayout
    offset: int
    words: bool
    limits: Limits

    def open(self) -> GuardedStream:
        """Return the data set as a stream positioned at the first byte of the pixels."""
        stream = open_regular(self.path, self.limits)
        if self.layout.transfer_syntax == DeflatedExplicitVRLittleEndian:
            with stream:
                _read_meta(stream, self.path)
                stream = inflate(stream, self.path, self.limits)
        stream.seek(self.offset)
        return stream

    @property
    def instance(self) -> Instance:
        """The object without its pixels."""
        return Instance(self.path, self.header)


def parse(path: Path, limits: Limits) -> ImageFile:
    """Return the header of a DICOM image and where its pixels are.

    Parameters
    ----------
    path : Path
        A Part 10 file, or a bare data set as old systems write it.
    limits : Limits
        What reading may cost.

    Raises
    ------
    NotAnImage
        If it is no DICOM file or holds no monochrome image.
    InputError
        If it cannot be read, is damaged, or promises more than the limits allow.

    References
    ----------
    * PS3.10 section 7.1 (file meta information); PS3.5 section 7 and annex A.
    """
    with input_errors(path), open_regular(path, limits) as file:
        preamble, meta = _read_meta(file, path)
        syntax = UID(text(meta, "TransferSyntaxUID"))
        deflated = syntax == DeflatedExplicitVRLittleEndian
        with inflate(file, path, limits) if deflated else file as stream:
            return _read_image(stream, preamble, meta, path, limits)


def _read_meta(stream: GuardedStream, path: Path) -> tuple[bytes, FileMetaDataset]:
    """Read preamble and File Meta Information; without them, guess the encoding of the bare data set."""
    block = stream.peek(132)
    named = block[128:132] == b"DICM"
    if not named and not _may_start_data_set(block):
        raise NotAnImage(f"{path}: is not a DICOM file.")
    start = 132 if named else 0
    found = plain_elements(block, start, len(block), _META)
    if found.tag >= 0:
        stream.spend(2 * len(found.elements))
        stream.seek(found.end)
        meta = FileMetaDataset(found.elements)
    else:
        stream.seek(start)
        meta = FileMetaDataset(read_dataset(stream, False, True, stop_when=_outside_meta))
    if not text(meta, "TransferSyntaxUID"):
        meta.TransferSyntaxUID = _guess_transfer_syntax(stream.peek(6)[:6])
    return block[:128] if named else b"", meta


def _outside_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _may_start_data_set(head: bytes) -> bool:
    """Return whether bytes look like the first element of a data set: group 2 or 8, and a plausible VR or length."""
    if len(head) < 8 or head[:2] not in (b"\x02\0", b"\x08\0", b"\0\x08"):
        return False
    return head[4:6].decode("latin-1") in VR.__members__ or int.from_bytes(head[4:8], "little") < 1 << 16


def _guess_transfer_syntax(first: bytes) -> UID:
    """Return the transfer syntax of a data set from its first element, as pydicom does."""
    if len(first) < 6 or first[4:6].decode("latin-1") not in VR.__members__:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if struct.unpack_from("<H", first)[0] >= 1024 else ExplicitVRLittleEndian


def _read_image(stream: GuardedStream, preamble: bytes, meta: FileMetaDataset, path: Path, limits: Limits) -> ImageFile:
    syntax = UID(text(meta, "TransferSyntaxUID"))
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    seen: list[tuple[int, str | None, int]] = []
    elements = _read_elements(stream, implicit, little, seen)
    header = FileDataset(str(path), elements, preamble or None, meta, implicit, little)
    header.set_original_encoding(implicit, little, encodings_of(elements))
    if not seen:
        raise _no_pixels(header, path)
    pixels, vr, length = seen[-1]
    if pixels in _FLOAT_PIXELS:
        raise NotAnImage(f"{path}: holds a floating-point map; give an acquired or reconstructed image.")
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        if not text(header, keyword):
            raise InputError(f"{path}: {tag_name(keyword)} is missing, so results could not name their source.")
    if not syntax.is_transfer_syntax:
        raise InputError(f"{path}: transfer syntax {syntax[:64]!r} is unknown; export it again, uncompressed.")
    layout = pixel_layout(header, path, limits)
    offset = stream.tell() + (12 if vr in EXPLICIT_VR_LENGTH_32 else 8)
    if layout.transfer_syntax.is_encapsulated != (length == _UNDEFINED):
        raise InputError(
            f"{path}: Pixel Data is not encoded as transfer syntax {syntax.name} demands; export it again."
        )
    if length == _UNDEFINED:
        check_fragments(layout, stream.size - offset, path)
    else:
        check_native_length(layout, length, stream.size - offset, path)
    return ImageFile(path, header, layout, offset, vr == "OW", limits)


def _read_elements(
    stream: GuardedStream, implicit: bool, little: bool, seen: list[tuple[int, str | None, int]]
) -> dict[BaseTag, DataElement | RawDataElement]:
    """Read the elements before the pixels, and note in `seen` the one that holds these."""
    start = stream.tell()
    found = Plain({}, 0)
    if little and not implicit:
        block = stream.peek()
        found = plain_elements(block, 0, len(block), _DATA_SET, start)
        stream.spend(2 * len(found.elements))
        stream.seek(start + found.end)
        if found.vr and found.tag in (_PIXELS, *_FLOAT_PIXELS):
            seen.append((found.tag, found.vr, found.length))
            return {**found.elements}
        if not _may_go_on(stream.read(8)):
            found = Plain({}, 0)
        stream.seek(start + found.end)
    rest = read_dataset(
        stream, implicit, little, stop_when=_stop_at_pixels(seen), parent_encoding=encodings_of(found.elements)
    )
    # Command sets of network dumps do not belong to the object.
    return {tag: element for tag, element in (found.elements | dict(rest.items())).items() if tag >> 16 >= 8}


def _may_go_on(head: bytes) -> bool:
    """Return whether pydicom may begin here: it takes a first element without a representation for Implicit VR throughout."""
    return len(head) < 6 or (head[4:6].isalpha() and head[4:6].isupper())


def _stop_at_pixels(seen: list[tuple[int, str | None, int]]) -> Callable[[BaseTag, str | None, int], bool]:
    """Return a ``stop_when`` that notes the pixel element it stops at."""

    def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag >> 16 != 0x7FE0 or int(tag) not in (_PIXELS, *_FLOAT_PIXELS):  # comparing tags is slow, shifting is not
            return False
        seen.append((int(tag), vr, length))
        return True

    return stop


def _no_pixels(header: Dataset, path: Path) -> InputError:
    """Return the error for an object without Pixel Data: no image, or one that was cut off."""
    if "Rows" in header:
        return InputError(f"{path}: Pixel Data (7FE0,0010) is missing; the file is cut off, export it again.")
    kind = UID(text(header, "SOPClassUID")).name if "SOPClassUID" in header else "a DICOM object"
    return NotAnImage(f"{path}: holds no image ({kind[:64]}).")
