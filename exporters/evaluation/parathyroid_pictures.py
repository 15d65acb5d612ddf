"""Held-out cases as a picture: early and late image, glands as circles, what the model marks as squares."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ...engine.analysis.session import AnalysisSession
from ..phantoms.parathyroid_cohort import PHASES, Acquisition, Case, Phase, case_of
from .parathyroid_study import SEEN, USUAL, Detector, Setting, acquired

SIDE = 256
_COLUMNS, _ROWS, _GAP = 3, 3, 4
_GLAND, _FAINT, _MARK = (0, 158, 115), (0, 114, 178), (213, 94, 0)
Picture = NDArray[np.uint8]


def gallery(session: AnalysisSession, first: int = 0) -> bytes:
    """Return the first held-out cases as PNG.

    Parameters
    ----------
    session : AnalysisSession
        Whose marks are drawn where they reach its threshold.
    first : int
        Number of the first case.

    Returns
    -------
    bytes
        Pairs of early and late image, ink for counts. Circles are glands, green where they can be seen; squares are marks.
    """
    width, height = 2 * SIDE + 2 * _GAP, SIDE + _GAP
    sheet = Image.new("RGB", (_COLUMNS * width, _ROWS * height), "white")
    for place in range(_COLUMNS * _ROWS):
        case = case_of("held-out", first + place)
        down, right = divmod(place, _COLUMNS)
        sheet.paste(_pair(session, case, first + place), (right * width, down * height))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _pair(session: AnalysisSession, case: Case, index: int) -> Image.Image:
    """Return both images of a case side by side; marks are those of both phases together, drawn on the late image."""
    images = acquired(case, index, Setting(USUAL.name, SIDE))
    sheet = Image.new("RGB", (2 * SIDE + _GAP, SIDE), "white")
    for column, phase in enumerate(PHASES):
        picture = Image.fromarray(_ink(images.early if phase == "early" else images.late)).convert("RGB")
        draw = ImageDraw.Draw(picture)
        _circle(draw, images, phase)
        if phase == "late":
            _square(draw, session, images)
        sheet.paste(picture, (column * (SIDE + _GAP), 0))
    return sheet


def _ink(image: NDArray[np.float32]) -> Picture:
    """Return counts as dark on light, the brightest thousandth as black."""
    top = float(np.quantile(image, 0.999)) or 1.0
    return np.asarray(255 - 255 * np.clip(image / top, 0, 1), np.uint8)


def _circle(draw: ImageDraw.ImageDraw, images: Acquisition, phase: Phase) -> None:
    for (row, column, height, width), snr in zip(images.boxes[phase], images.detectability[phase], strict=True):
        radius = max(height, width) / 2 + 5
        box = (column - radius, row - radius, column + radius, row + radius)
        draw.ellipse([float(edge) for edge in box], outline=_GLAND if snr >= SEEN else _FAINT)


def _square(draw: ImageDraw.ImageDraw, session: AnalysisSession, images: Acquisition) -> None:
    marks = Detector(session)(images, PHASES)
    analysis = session.bundle.manifest.analysis
    assert analysis is not None, "a session of findings has an analysis"
    for (row, column), score in zip(marks.at, marks.scores, strict=True):
        if score >= analysis.threshold:
            draw.rectangle([column - 10, row - 10, column + 10, row + 10], outline=_MARK)
            draw.text((column + 12, row - 10), f"{score:.2f}", fill=_MARK)
