"""From a checked DICOM file to its stored values."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from ..errors import InputError
from ._decoders import decode_jpeg_lossless
from .attributes import text
from .guard import HTJ2K, check_codestream
from .parse import ImageFile
from .quiet import input_errors

# One decoder for each transfer syntax, never "whatever is installed": CharLS, OpenJPEG and the Rust RLE decoder check their
# input best. Lossless JPEG is decoded here: GDCM ends the whole process on some damaged streams, and fills others with grey.
DECODERS: dict[str, str] = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    **dict.fromkeys(HTJ2K, "pylibjpeg"),
    uid.RLELossless: "pylibjpeg",
}
JPEG_LOSSLESS = (uid.JPEGLossless, uid.JPEGLosslessSV1)


def stored_values(image: ImageFile) -> NDArray[Any]:
    """Return the stored values of all frames, decoded.

    Parameters
    ----------
    image : ImageFile
        A file whose header was checked.

    Returns
    -------
    ndarray, shape (n, rows, columns), int or uint of 8, 16 or 32 bits
        Values as Bits Stored and Pixel Representation say; no rescale, no inversion for MONOCHROME1.

    Raises
    ------
    InputError
        If the transfer syntax cannot be decoded or the pixels contradict the header.
    """
    with input_errors(image.path):
        native = not image.layout.transfer_syntax.is_encapsulated
        values = _read_native(image) if native else _decode(image)
        return image.layout.used_bits(values)


def _read_native(image: ImageFile) -> NDArray[Any]:
    layout = image.layout
    big_endian = layout.transfer_syntax == uid.ExplicitVRBigEndian
    words = big_endian and image.words and layout.bits_allocated == 8  # two samples in each
    size = layout.frames * layout.frame_bytes
    content = np.empty(size + size % 2 if words else size, np.uint8)
    with image.open() as stream:
        if stream.readinto(content.data) != content.nbytes:
            raise InputError(f"{image.path}: changed while it was read; try again.")
    if words:
        content = content.view(np.uint16).byteswap(inplace=True).view(np.uint8)[:size]
    stored = content.view(layout.dtype).reshape(layout.frames, *layout.matrix)
    return stored.byteswap(inplace=True) if big_endian else stored


def _decode(image: ImageFile) -> NDArray[Any]:
    layout = image.layout
    if layout.transfer_syntax not in DECODERS and layout.transfer_syntax not in JPEG_LOSSLESS:
        raise _not_decodable(image, layout.transfer_syntax.name)
    with image.open() as stream:
        for frame in _frames(image, stream):
            _check_frame(image, frame)
        stream.seek(image.offset)
        lossless = layout.transfer_syntax in JPEG_LOSSLESS
        return _decode_lossless(image, stream) if lossless else _decode_by_library(image, stream)


def _decode_lossless(image: ImageFile, stream: Any) -> NDArray[Any]:
    layout = image.layout
    samples = np.empty((layout.frames, *layout.matrix), np.uint16)
    for frame, out in zip(_frames(image, stream), samples, strict=True):
        if problem := decode_jpeg_lossless(frame, out):
            raise InputError(f"{image.path}: a compressed frame is damaged ({problem}); export it again.")
    wide = layout.bits_allocated == 16
    return samples.view(layout.dtype) if wide else samples.astype(layout.dtype)


def _decode_by_library(image: ImageFile, stream: Any) -> NDArray[Any]:
    layout = image.layout
    options: dict[str, Any] = {
        "rows": layout.matrix.rows,
        "columns": layout.matrix.columns,
        "number_of_frames": layout.frames,
        "samples_per_pixel": 1,
        "photometric_interpretation": text(image.header, "PhotometricInterpretation"),
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
        "pixel_keyword": "PixelData",
    }
    decoder, plugin = get_decoder(layout.transfer_syntax), DECODERS[layout.transfer_syntax]
    stored = np.empty((layout.frames, *layout.matrix), layout.dtype)
    for index, (frame, _) in enumerate(decoder.iter_array(stream, raw=True, decoding_plugin=plugin, **options)):
        stored[index] = frame
    return stored


def _frames(image: ImageFile, stream: Any) -> Iterator[bytes]:
    """Yield the compressed frames, as many as the header says."""
    wanted, found = image.layout.frames, 0
    for found, data in enumerate(generate_frames(stream, number_of_frames=wanted), start=1):
        if found > wanted:
            break
        yield data
    if found != wanted:
        held = "more" if found > wanted else f"only {found}"
        raise InputError(
            f"{image.path}: Number of Frames is {wanted} but Pixel Data holds {held}; the file is damaged."
        )


def _check_frame(image: ImageFile, data: bytes) -> None:
    """Check a compressed frame before any is decoded."""
    syntax = image.layout.transfer_syntax
    precision = check_codestream(data, image.layout, image.path)
    if syntax == uid.JPEGExtended12Bit and precision > 8:
        raise _not_decodable(image, f"{syntax.name} with {precision} bits")


def _not_decodable(image: ImageFile, syntax: str) -> InputError:
    how = ", for example with DCMTK's dcmdjpeg" if "JPEG" in syntax else ""
    return InputError(f"{image.path}: transfer syntax {syntax} cannot be decoded; re-export it uncompressed{how}.")
