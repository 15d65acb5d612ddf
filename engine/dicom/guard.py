"""Checks made before memory is taken: file, header and code stream sizes.

A header may promise 4 GiB in 300 bytes. Nothing here trusts one number: the declared matrix, the bytes that are there and the
code stream's own header have to agree.
"""

import io
import os
import stat
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000TransferSyntaxes, RLELossless

from ..errors import InputError
from ..matrix import MatrixSize
from .attributes import integer, tag_name, text

HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
# What describing one frame takes in memory, beside its pixels [byte].
FRAME_OVERHEAD = 512
# Most headers fit into it.
_BLOCK = 1 << 16
_SMALLEST_ITEM = 10  # tag, length, and a fragment that is not empty
_START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}


class NotAnImage(InputError):
    """A file without a monochrome image: skipped in folders, an error when named."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading may cost at most.

    Parameters
    ----------
    file_bytes : int
        Largest file, and largest data set after inflating [byte].
    pixel_bytes : int
        Largest series: its stored pixels and their float32 copy together [byte].
    reads : int
        Most reads while parsing one header; bounds time and memory for headers of millions of tiny elements.
    """

    file_bytes: int = 4 << 30
    pixel_bytes: int = 2 << 30
    reads: int = 2_000_000


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of one object are stored, after every check.

    Parameters
    ----------
    frames : int
        Number of Frames (0028,0008).
    matrix : MatrixSize
        Rows (0028,0010) and Columns (0028,0011).
    bits_allocated, bits_stored : int
        Bits of a cell, and those of them that hold the value.
    signed : bool
        Whether Pixel Representation (0028,0103) is 1.
    transfer_syntax : UID
        How the pixels are encoded.
    """

    frames: int
    matrix: MatrixSize
    bits_allocated: int
    bits_stored: int
    signed: bool
    transfer_syntax: UID

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of a stored value in this machine's byte order."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        """Size of one decoded frame [byte]."""
        return self.matrix.pixels * self.bits_allocated // 8

    @property
    def memory_bytes(self) -> int:
        """What reading the object takes: stored pixels, their float32 copy and what describes each frame [byte]."""
        return self.frames * (self.frame_bytes + 4 * self.matrix.pixels + FRAME_OVERHEAD)

    def used_bits(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return stored values without what old files keep in the unused high bits (PS3.5 section 8.1.1)."""
        unused = self.bits_allocated - self.bits_stored
        return (stored << unused) >> unused if unused else stored


class GuardedStream(io.BufferedReader):
    """A file that never returns, or reserves memory for, more bytes than it has, and that can be read only so often."""

    def __init__(self, raw: io.RawIOBase, size: int, reads: int) -> None:
        super().__init__(raw, _BLOCK)
        self.size, self._reads = size, reads

    def spend(self, reads: int) -> None:
        """Count what was taken from a block as if it had been read piece by piece."""
        self._reads -= reads
        if self._reads < 0:
            raise InputError("its header has too many elements; the file is hostile or the limit is too low.")

    def read(self, size: int | None = -1, /) -> bytes:
        """Return at most `size` bytes."""
        self.spend(1)
        if size is not None and size > 4096:  # an element may claim 4 GiB, and the base class would allocate them
            size = min(size, max(self.size - self.tell(), 0))
        return super().read(size)


def open_regular(path: Path, limits: Limits) -> GuardedStream:
    """Open a regular file of acceptable size.

    Raises
    ------
    InputError
        If `path` is a pipe, a device or a socket (reading it might never end), empty, or larger than the limit.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: is not a regular file; give an image file.")
    if status.st_size > limits.file_bytes:
        raise InputError(f"{path}: is {status.st_size} bytes, over the limit of {limits.file_bytes}; raise the limit.")
    return GuardedStream(io.FileIO(os.fspath(path)), status.st_size, limits.reads)


def inflate(stream: io.BufferedReader, path: Path, limits: Limits) -> GuardedStream:
    """Return the inflated rest of a deflated data set, at most ``limits.file_bytes`` of it (PS3.5 A.5).

    pydicom inflates without a bound: one megabyte may become a gigabyte.
    """
    ceiling = min(limits.file_bytes, limits.pixel_bytes)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(stream.read(), ceiling)
    if inflater.unconsumed_tail or (not inflater.eof and len(data) == ceiling):
        raise InputError(f"{path}: inflates to more than {ceiling} bytes; raise the limit if that is right.")
    return GuardedStream(io.BytesIO(data), len(data), limits.reads)  # type: ignore[arg-type]


def pixel_layout(ds: Dataset, path: Path, limits: Limits) -> PixelLayout:
    """Return how the pixels are stored, or refuse them.

    Raises
    ------
    NotAnImage
        If they are in colour, a one-bit mask, or a segmentation.
    InputError
        If an element is missing, has the wrong type, contradicts another, or promises more than the limit.
    """
    _refuse_other_images(ds, path)
    rows, columns = (_in_range(ds, path, keyword, 1, 65535) for keyword in ("Rows", "Columns"))
    frames = 1 if text(ds, "NumberOfFrames") == "" else _in_range(ds, path, "NumberOfFrames", 1, 2**31 - 1)
    allocated = _in_range(ds, path, "BitsAllocated", 8, 32)
    stored = _in_range(ds, path, "BitsStored", 1, allocated)
    signed = _in_range(ds, path, "PixelRepresentation", 0, 1)
    if allocated not in (8, 16, 32) or integer(ds, "HighBit") not in (None, stored - 1):
        raise InputError(
            f"{path}: Bits Allocated {allocated}, Bits Stored {stored} and High Bit {text(ds, 'HighBit')} do not go "
            "together; export it with 8, 16 or 32 bits allocated."
        )
    syntax = UID(text(ds.file_meta, "TransferSyntaxUID"))
    layout = PixelLayout(frames, MatrixSize(rows, columns), allocated, stored, bool(signed), syntax)
    check_memory(layout.memory_bytes, f"{path}: {frames} frame(s) of {layout.matrix}", limits)
    return layout


def check_memory(needed: int, what: str, limits: Limits) -> None:
    """Refuse what would take more memory than allowed."""
    if needed > limits.pixel_bytes:
        raise InputError(f"{what} would take {needed} bytes, over the limit of {limits.pixel_bytes}; raise the limit.")


def check_native_length(layout: PixelLayout, length: int, available: int, path: Path) -> None:
    """Compare the length of uncompressed Pixel Data (7FE0,0010) with the declared size.

    Trailing padding shorter than a frame is tolerated, real files have it; a whole extra frame means that Number of Frames
    is wrong and images would be lost.
    """
    needed = layout.frames * layout.frame_bytes
    if min(length, available) < needed:
        raise InputError(
            f"{path}: Pixel Data holds {min(length, available)} of the {needed} bytes that {layout.frames} frame(s) of "
            f"{layout.matrix} need; the file is cut off or its header is wrong."
        )
    if length - needed >= max(layout.frame_bytes, 2):
        raise InputError(
            f"{path}: Pixel Data holds {length} bytes where {layout.frames} frame(s) of {layout.matrix} need {needed}; "
            "correct Rows, Columns or Number of Frames."
        )


def check_fragments(layout: PixelLayout, available: int, path: Path) -> None:
    """Refuse compressed Pixel Data too short for the declared frames, before these are described one by one."""
    if available < layout.frames * _SMALLEST_ITEM:
        raise InputError(
            f"{path}: {available} bytes of Pixel Data cannot hold {layout.frames} frames; the file is cut off or its "
            "header is wrong."
        )


def check_codestream(data: bytes, layout: PixelLayout, path: Path) -> int:
    """Compare a compressed frame's own header with Rows, Columns and bits; return its precision in bits.

    Decoders take memory for what the code stream says, not for what the DICOM header says.

    References
    ----------
    * ISO/IEC 10918-1 B.2.2 (frame header), 14495-1 C.2.2, 15444-1 A.5.1 (SIZ); PS3.5 annex G (RLE header).
    """
    if layout.transfer_syntax == RLELossless:
        segments = struct.unpack_from("<L", data)[0] if len(data) >= 64 else 0
        found: tuple[int, ...] = (*layout.matrix, segments * 8 // max(layout.bits_allocated // 8, 1), 1)
    elif layout.transfer_syntax in (*JPEG2000TransferSyntaxes, *HTJ2K):
        found = _jpeg2000_size(data)
    else:
        found = _jpeg_size(data)
        if b"\xff\xd9" not in data[-16:]:  # GDCM fills the rest of a cut-off image with grey and says nothing
            raise InputError(f"{path}: a compressed frame lacks its end marker; the file is cut off.")
    rows, columns, precision, components = found
    if precision == 0:
        raise InputError(f"{path}: a compressed frame has no valid header; the file is damaged.")
    if (rows, columns) != layout.matrix or components != 1 or precision > layout.bits_allocated:
        raise InputError(
            f"{path}: the compressed frame is {rows}x{columns}, {precision} bits, {components} component(s), but the "
            f"header says {layout.matrix}, {layout.bits_allocated} bits; the file is damaged."
        )
    return precision


def _jpeg_size(data: bytes) -> tuple[int, int, int, int]:
    """Return rows, columns, precision and components of a JPEG or JPEG-LS stream; zeros when there are none."""
    position = 2 if data[:2] == b"\xff\xd8" else len(data)
    while position + 10 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _START_OF_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", data, position + 4)
            return rows, columns, precision, components
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0, 0, 0, 0


def _jpeg2000_size(data: bytes) -> tuple[int, int, int, int]:
    """Return rows, columns, precision and components of a JPEG 2000 code stream; zeros when there are none."""
    start = 0 if data[:2] == b"\xff\x4f" else data.find(b"\xff\x4f\xff\x51", 0, 4096)  # a JP2 wrapper comes first
    if start < 0 or len(data) < start + 45:
        return 0, 0, 0, 0
    x, y, x0, y0, tile_x, tile_y = struct.unpack_from(">6L", data, start + 8)
    components, precision, step_x, step_y = struct.unpack_from(">HBBB", data, start + 40)
    tiles = 65536 if 0 in (tile_x, tile_y) else -(-x // tile_x) * -(-y // tile_y)
    if tiles > 65535 or (step_x, step_y) != (1, 1):
        return 0, 0, 0, 0
    return y - y0, x - x0, (precision & 0x7F) + 1, components


def _in_range(ds: Dataset, path: Path, keyword: str, low: int, high: int) -> int:
    found = integer(ds, keyword)
    if found is None:
        raise InputError(f"{path}: {tag_name(keyword)} is missing; export the image again.")
    if keyword == "BitsAllocated" and found == 1:
        raise NotAnImage(f"{path}: is a one-bit mask, not an image.")
    if not low <= found <= high:
        raise InputError(f"{path}: {tag_name(keyword)} is {found}, outside {low} to {high}; correct the header.")
    return found


def _refuse_other_images(ds: Dataset, path: Path) -> None:
    """Refuse what has pixels but is no monochrome image."""
    colours, meaning = integer(ds, "SamplesPerPixel"), text(ds, "PhotometricInterpretation")
    if text(ds, "Modality") in ("SEG", "RTDOSE"):
        raise NotAnImage(f"{path}: is a {text(ds, 'Modality')} object; give an acquired or reconstructed image.")
    if colours not in (1, None) or meaning not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise NotAnImage(f"{path}: is a colour image ({meaning[:20]}); give a monochrome one.")
    if not meaning:
        raise InputError(f"{path}: {tag_name('PhotometricInterpretation')} is missing; export the image again.")
