"""The gallery of held-out cases: one pair per case, glands and marks where they are."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from photopeak.exporters.evaluation import parathyroid_pictures as pictures
from photopeak.exporters.evaluation.parathyroid_study import USUAL, Setting, acquired
from photopeak.exporters.phantoms.parathyroid_cohort import PHASES, case_of


class Marking:
    """A session that marks one place with a score."""

    def __init__(self, centre, score):
        self.bundle = SimpleNamespace(manifest=SimpleNamespace(analysis=SimpleNamespace(threshold=0.5)))
        self._found = SimpleNamespace(detections=((SimpleNamespace(centre=centre, score=score),),))

    def run(self, **images):
        assert {*images} == {*PHASES, "threshold"}
        return self._found


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Draw two cases on a small matrix."""
    monkeypatch.setattr(pictures, "_COLUMNS", 1)
    monkeypatch.setattr(pictures, "_ROWS", 2)
    monkeypatch.setattr(pictures, "SIDE", 96)


def drawn(session):
    return np.asarray(Image.open(io.BytesIO(pictures.gallery(session))).convert("RGB")).astype(int)


def coloured(sheet, colour):
    return np.argwhere(np.abs(sheet - colour).sum(axis=2) == 0)


def test_a_mark_is_drawn_on_the_late_image_where_it_is():
    sheet = drawn(Marking((40.5, 50.5), 0.9))
    assert sheet.shape == (2 * 100, 2 * 96 + 8, 3)
    found = coloured(sheet[:100], pictures._MARK)
    assert (30, 40 + 100) in {tuple(at) for at in found.tolist()}
    assert (found[:, 1] >= 100).all()


def test_a_mark_below_the_threshold_is_not_drawn():
    assert len(coloured(drawn(Marking((40.5, 50.5), 0.1)), pictures._MARK)) == 0


def test_glands_are_circled():
    sheet = drawn(Marking((40.5, 50.5), 0.1))
    truth = acquired(case_of("held-out", 0), 0, Setting(USUAL.name, 96))
    circles = [coloured(sheet[:96, :96], colour) for colour in (pictures._GLAND, pictures._FAINT)]
    centre = np.concatenate(circles).mean(axis=0)
    np.testing.assert_allclose(centre, truth.boxes["early"][:, :2].mean(axis=0), atol=3)
