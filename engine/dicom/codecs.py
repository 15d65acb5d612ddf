"""Which transfer syntaxes can be read here."""

from dataclasses import dataclass

from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder

from .pixels import DECODERS, JPEG_LOSSLESS

__all__ = ["TRANSFER_SYNTAXES", "Codec", "survey"]

TRANSFER_SYNTAXES = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2K,
)


@dataclass(frozen=True, slots=True)
class Codec:
    """A transfer syntax and what decodes it.

    Parameters
    ----------
    name : str
        Keyword in PS3.6.
    readable : bool
        Whether it can be decoded.
    detail : str
        What decodes it, or what is missing.
    """

    name: str
    readable: bool
    detail: str


def survey() -> tuple[Codec, ...]:
    """Return what can be read here.

    References
    ----------
    * PS3.5, section 10 and annex A.

    Examples
    --------
    >>> next(codec.detail for codec in survey() if codec.name == "ExplicitVRLittleEndian")
    'pydicom'
    """
    return tuple(_codec(syntax) for syntax in TRANSFER_SYNTAXES)


def _codec(syntax: uid.UID) -> Codec:
    if not syntax.is_encapsulated:
        return Codec(syntax.keyword, True, "pydicom")
    if syntax in JPEG_LOSSLESS:
        return Codec(syntax.keyword, True, "photopeak")
    decoder, plugin = get_decoder(syntax), DECODERS[syntax]
    if plugin not in decoder.available_plugins:
        return Codec(syntax.keyword, False, "; ".join(decoder.missing_dependencies))
    # Every decoder that we ship stops at eight bits here; the other one is GPL and not used.
    limit = " (8 bits per sample only)" if syntax == uid.JPEGExtended12Bit else ""
    return Codec(syntax.keyword, True, plugin + limit)
