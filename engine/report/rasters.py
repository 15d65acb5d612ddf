"""Pictures of measurements: images as they are, maps in colours, and blocks that lie over an image."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .images import Window

__all__ = ["evidence_picture", "grey_picture", "labels_picture", "map_picture"]

MOST_ROWS = 1024


def grey_picture(image: NDArray[Any], window: Window, *, inverse: bool) -> str:
    """Return an image as the data URI of an 8-bit PNG, each pixel one pixel unless it is very large.

    Parameters
    ----------
    image : ndarray, shape (rows, columns)
        Values in the units of `window`; what is not finite is black.
    window : Window
        What is shown as black and white.
    inverse : bool
        Whether high values are dark.
    """
    grey = np.nan_to_num(np.clip((image - window.lower) / (window.upper - window.lower), 0, 1)) * 255
    levels = np.rint(255 - grey if inverse else grey).astype(np.uint8)
    return _uri(_fitted(Image.fromarray(levels), Image.Resampling.BOX))


def map_picture(values: NDArray[np.float64], lower: float, upper: float, anchors: Sequence[str]) -> str:
    """Return a map as the data URI of a PNG in colours that run evenly through hexadecimal anchors.

    Parameters
    ----------
    values : ndarray, shape (rows, columns), float64
        What is not finite has the first colour.
    lower, upper : float
        Values of the first and the last colour.
    anchors : sequence of str
        Such as ``#ffffff``.
    """
    levels = np.clip(np.nan_to_num((values - lower) / (upper - lower), nan=0.0), 0, 1) * 255
    picture = Image.fromarray(_table(anchors)[np.rint(levels).astype(np.uint8)])
    return _uri(_fitted(picture, Image.Resampling.BOX))


def evidence_picture(values: NDArray[np.float32], anchors: Sequence[str]) -> str:
    """Return a map of evidence as the data URI of a PNG to lay over an image: the weaker, the more transparent.

    Parameters
    ----------
    values : ndarray, shape (rows, columns), float32
        From 0 on; the largest has the last colour.
    anchors : sequence of str
        Such as ``#ffffff``.
    """
    peak = float(values.max())
    levels = np.rint(255 * np.clip(values / peak, 0, 1) if peak > 0 else np.zeros(values.shape)).astype(np.uint8)
    # Half of the strongest is opaque already: what it is laid over shows only where there is little evidence.
    opacity = np.minimum(2 * levels.astype(np.uint16), 255).astype(np.uint8)
    picture = Image.fromarray(np.concatenate([_table(anchors)[levels], opacity[..., np.newaxis]], axis=-1))
    return _uri(_fitted(picture, Image.Resampling.BOX))


def _table(anchors: Sequence[str]) -> NDArray[np.uint8]:
    """Return 256 colours that run evenly through hexadecimal anchors."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in anchors], np.float64)
    place = np.linspace(0, len(anchors) - 1, 256)
    table = np.stack([np.interp(place, np.arange(len(anchors)), channel) for channel in stops.T], axis=1)
    return np.asarray(np.rint(table), np.uint8)


def labels_picture(labels: NDArray[np.uint8], colours: Sequence[tuple[int, int, int, int]]) -> str:
    """Return labels as the data URI of a PNG in which each has a colour and an opacity.

    Parameters
    ----------
    labels : ndarray, shape (rows, columns), uint8
        Indices into `colours`.
    colours : sequence of tuple of int
        Red, green, blue and opacity, 0 to 255.
    """
    picture = Image.fromarray(labels, "P")
    picture.putpalette([part for colour in colours for part in colour[:3]])
    file = io.BytesIO()
    _fitted(picture, Image.Resampling.NEAREST).save(
        file, "PNG", optimize=True, transparency=bytes(colour[3] for colour in colours)
    )
    return _encoded(file)


def _fitted(picture: Image.Image, how: Image.Resampling) -> Image.Image:
    """Return a picture of at most so many rows."""
    if picture.height <= MOST_ROWS:
        return picture
    return picture.resize((max(1, round(picture.width * MOST_ROWS / picture.height)), MOST_ROWS), how)


def _uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return _encoded(file)


def _encoded(file: io.BytesIO) -> str:
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
