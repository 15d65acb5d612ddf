"""From a checked DICOM file to its stored values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder

from ..errors import InputError
from .attributes import text
from .guard import HTJ2K, check_codestream
from .parse import ImageFile
from .quiet import input_errors

# One decoder for each transfer syntax, never "whatever is installed": CharLS, OpenJPEG and the Rust RLE decoder check their
# input best; GDCM is used only for JPEG Lossless, which no other permissively licensed package decodes.
DECODERS: dict[str, str] = {
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
    **dict.fromkeys(HTJ2K, "pylibjpeg"),
    uid.RLELossless: "pylibjpeg",
}


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
    stored = np.empty((layout.frames, *layout.matrix), layout.dtype)
    with image.open() as stream:
        if stream.readinto(stored.reshape(-1).view(np.uint8).data) != stored.nbytes:
            raise InputError(f"{image.path}: changed while it was read; try again.")
    big_endian = layout.transfer_syntax == uid.ExplicitVRBigEndian
    return stored.byteswap(inplace=True) if big_endian else stored


def _decode(image: ImageFile) -> NDArray[Any]:
    layout = image.layout
    plugin = DECODERS.get(layout.transfer_syntax)
    if plugin is None:
        raise _not_decodable(image, layout.transfer_syntax.name)
    stored = np.empty((layout.frames, *layout.matrix), layout.dtype)
    with image.open() as stream:
        _check_frames(image, stream)
        stream.seek(image.offset)
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
        decoder = get_decoder(layout.transfer_syntax)
        for index, (frame, _) in enumerate(decoder.iter_array(stream, raw=True, decoding_plugin=plugin, **options)):
            stored[index] = frame
    return stored


def _check_frames(image: ImageFile, stream: Any) -> None:
    """Check number and size of the compressed frames before any is decoded."""
    layout = image.layout
    found = 0
    for found, data in enumerate(generate_frames(stream, number_of_frames=layout.frames), start=1):
        if found > layout.frames:
            break
        precision = check_codestream(data, layout, image.path)
        if layout.transfer_syntax == uid.JPEGExtended12Bit and precision > 8:
            raise _not_decodable(image, f"{layout.transfer_syntax.name} with {precision} bits")
    if found != layout.frames:
        held = "more" if found > layout.frames else f"only {found}"
        raise InputError(
            f"{image.path}: Number of Frames is {layout.frames} but Pixel Data holds {held}; the file is damaged."
        )


def _not_decodable(image: ImageFile, syntax: str) -> InputError:
    how = ", for example with DCMTK's dcmdjpeg" if "JPEG" in syntax else ""
    return InputError(f"{image.path}: transfer syntax {syntax} cannot be decoded; re-export it uncompressed{how}.")
