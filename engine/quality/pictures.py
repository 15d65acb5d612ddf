"""Ordinary pictures: PNG, JPEG, TIFF and BMP, in grey or in colour.

Colour becomes grey as MATLAB's ``rgb2gray`` does it, since that is what the published scores of NIQE, BRISQUE and PIQE
were computed from. Ma's metric and the perceptual index take another plane, the Y of ``rgb2ycbcr``, 16 to 235.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dicom.guard import DEFAULT_LIMITS, Limits, check_memory, open_regular
from ..dicom.quiet import input_errors
from ..errors import InputError

__all__ = ["is_picture", "read_picture"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
# ITU-R BT.601, with the digits of MATLAB.
RGB_TO_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)
_GREY_MODES = {"1": "uint8", "L": "uint8", "I;16": "uint16", "I;16B": "uint16", "I;16L": "uint16", "I": "int32"}
_GREY_MODES |= {"F": "float32"}
_COLOUR_MODES = ("RGB", "RGBA", "P", "LA", "PA")


def is_picture(path: Path) -> bool:
    """Return whether a file's name is that of an ordinary picture."""
    return path.suffix.lower() in SUFFIXES


def read_picture(path: Path, limits: Limits = DEFAULT_LIMITS) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
    """Return the grey values of a picture, and its red, green and blue where it has colours.

    Parameters
    ----------
    path : Path
        PNG, JPEG, TIFF (all pages, if they have one size) or BMP.
    limits : Limits
        What reading may cost.

    Returns
    -------
    grey : ndarray, shape (n, rows, columns)
        The type that the file stores; uint8 for colour pictures.
    rgb : ndarray, shape (n, rows, columns, 3), uint8, or None
        None for grey pictures.

    Raises
    ------
    InputError
        If it is no picture, is partly transparent, or holds 16 bits for each colour.
    """
    from PIL import Image, ImageSequence

    with input_errors(path):
        open_regular(path, limits).close()
        with Image.open(path, formats=FORMATS) as file:
            pages = getattr(file, "n_frames", 1)
            check_memory(12 * pages * file.width * file.height, f"{path}: a picture of this size", limits)
            planes = [_page(page, path) for page in ImageSequence.Iterator(file)]
    if len({(plane.shape, plane.dtype) for plane in planes}) > 1:
        raise InputError(f"{path}: its pages differ in size or kind; save them as files of their own.")
    stack = np.stack(planes)
    return (stack, None) if stack.ndim == 3 else (_grey(stack), stack)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    # Half a grey value is rounded up, as MATLAB does.
    plane: NDArray[np.uint8] = np.floor(rgb @ np.array(RGB_TO_GREY) + 0.5).astype(np.uint8)
    return plane


def _page(page: Any, path: Path) -> NDArray[Any]:
    """Return one page: (rows, columns) of grey or (rows, columns, 3) of colour."""
    if page.mode in _GREY_MODES:
        plane = np.asarray(page.convert("L") if page.mode == "1" else page)
        return np.ascontiguousarray(plane, _GREY_MODES[page.mode])
    if page.mode not in _COLOUR_MODES:
        raise InputError(f"{path}: has the colours {page.mode}; save it in grey or RGB.")
    # Pillow drops the lower byte of deep colours without a word.
    if "16" in str(page.tile[0].args if page.tile else ""):
        raise InputError(f"{path}: holds 16 bits for each colour, which are not read exactly; save it in grey.")
    rgba = np.asarray(page.convert("RGBA"))
    if rgba[..., 3].min() < 255:
        raise InputError(f"{path}: is partly transparent; save it without transparency.")
    rgb = rgba[..., :3]
    grey_only = page.mode == "LA" or (rgb[..., :1] == rgb).all()
    return np.ascontiguousarray(rgb[..., 0] if grey_only else rgb)
