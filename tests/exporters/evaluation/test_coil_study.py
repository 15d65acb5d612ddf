"""The scores of wires, and their table."""

import math

import numpy as np
import pytest

from photopeak.exporters.evaluation.coil_study import as_markdown, compare, measure_coils
from photopeak.exporters.phantoms.coils import Coil

LINE = Coil(np.linspace([0.0, 0, 0], [0.0, 0, 10], 201), 0.25, (3.0, 3.0, 3.0))


def test_a_shifted_wire_is_as_far_as_its_shift():
    sure = np.ones(201, np.float32)
    chamfer, precision, recall, f1, _, certain, right = compare(LINE.points_mm + np.array([0.1, 0, 0]), sure, LINE, 1.0)
    assert chamfer == pytest.approx(0.1, abs=0.002)  # points are 0.05 mm apart
    assert (precision, recall, f1, certain, right) == pytest.approx((1, 1, 1, 1, 1))


def test_half_a_wire_has_half_the_recall():
    half = LINE.points_mm[:101]
    _, precision, recall, f1, *_ = compare(half, np.ones(101, np.float32), LINE, 1.0)
    assert precision == 1
    assert recall == pytest.approx(0.525, abs=0.01)  # 5 mm and the tolerance beyond
    assert f1 == pytest.approx(2 * recall / (1 + recall))


def test_only_what_is_marked_counts_as_certain():
    off = LINE.points_mm.copy()
    off[100:, 0] = 1.0  # wrong from here on
    sure = (np.arange(201) < 95).astype(np.float32)
    *_, certain, right = compare(off, sure, LINE, 1.0)
    assert right == 1
    assert 0.3 < certain < 0.6
    assert math.isnan(compare(off, np.zeros(201, np.float32), LINE, 1.0)[-1])


def test_one_loop_is_found_and_tabulated():
    scores = measure_coils([1], [0])
    assert scores[0].chamfer_mm < 0.05
    assert scores[0].f1 > 0.95
    assert as_markdown(scores).splitlines()[-1].startswith("| 1 | 1 | 12 |")
