"""Pictures of findings as colour Secondary Capture images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from ..dicom.derived.codes import CODES, code
from ..dicom.derived.repair import repair
from ..errors import InputError
from .dicom_header import Origin, Place, head

__all__ = ["captioned", "colour_capture"]

_TEXT, _LINE, _MARGIN = 14, 20, 6  # px


def colour_capture(
    picture: NDArray[np.uint8],
    origin: Origin,
    places: Sequence[Place],
    *,
    series_uid: str,
    number: int = 1,
    what: str = "overlay",
    remarks: Sequence[str] = (),
) -> Dataset:
    """Return a picture with findings burned in, for whoever looks at images and not at reports.

    It belongs to the study of its sources, in a series of its own. Nothing in it can be measured: it has no pixel spacing.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns, 3), uint8
        Red, green, blue.
    origin : Origin
        Of :func:`photopeak.engine.analysis.dicom_header.origin_of`.
    places : sequence of Place
        The frames that it shows.
    series_uid : str
        Of all pictures of one kind.
    number : int
        Instance Number (0020,0013).
    what : str
        ``overlay`` for boxes and scores, ``CAM`` for a class activation map.
    remarks : sequence of str
        Sentences about this picture, such as which class a map is of.

    Raises
    ------
    InputError
        If the picture is not one of red, green and blue.

    References
    ----------
    * PS3.3 A.8.1 (Secondary Capture image), C.8.6 (SC equipment and image), C.7.6.1 (general image).
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise InputError(
            f"a picture is {picture.dtype} of shape {picture.shape}; give rows x columns x 3 of whole numbers up to 255."
        )
    ds = head(origin, places, what, series_uid, remarks)
    ds.SOPClassUID, ds.Modality = SecondaryCaptureImageStorage, "OT"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType = "WSD"
    ds.InstanceNumber = number
    ds.BurnedInAnnotation = "YES"
    ds.PatientOrientation = None
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.InstanceCreationDate, ds.InstanceCreationTime
    if what == "CAM":
        ds.DerivationCodeSequence = [code(CODES["activation"])]
    _set_colours(ds, picture)
    repair(ds)
    return ds


def captioned(picture: NDArray[np.uint8], lines: Sequence[str]) -> NDArray[np.uint8]:
    """Return a picture with lines of text below it; text that is too long for one line goes on in the next.

    Parameters
    ----------
    picture : ndarray, shape (rows, columns, 3), uint8
        Red, green, blue.
    lines : sequence of str
        White on black.
    """
    font = ImageFont.load_default(_TEXT)
    broken = [part for line in lines for part in _broken(line, picture.shape[1] - 2 * _MARGIN, font)]
    strip = Image.new("RGB", (picture.shape[1], _LINE * len(broken) + _MARGIN))
    pen = ImageDraw.Draw(strip)
    for rank, line in enumerate(broken):
        pen.text((_MARGIN, _MARGIN // 2 + _LINE * rank), line, fill=(255, 255, 255), font=font)
    return np.concatenate([picture, np.asarray(strip)])


def _broken(line: str, width: int, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont") -> list[str]:
    """Return a line in parts that are not wider than `width` [px], broken between words."""
    parts = [""]
    for word in line.split():
        longer = f"{parts[-1]} {word}".strip()
        if parts[-1] and font.getlength(longer) > width:
            parts.append(word)
        else:
            parts[-1] = longer
    return parts


def _set_colours(ds: Dataset, picture: NDArray[np.uint8]) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns = picture.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    content = np.ascontiguousarray(picture).tobytes()
    ds.add_new("PixelData", "OB", content + b"\0" * (len(content) % 2))
