"""The study of calibration, on one liver and one coil."""

import numpy as np
import pytest

from photopeak.exporters.evaluation.calibration_study import Error, as_markdown, coils_by_landmarks, coils_checked


@pytest.mark.slow
def test_landmarks_of_coils_put_the_detector_back():
    [shift, *_] = coils_by_landmarks(2)
    assert "determined in 2 of 2" in shift.what
    assert shift.left[1] < 6 * shift.told
    assert shift.residual[1] < 0.5 < shift.residual[0]


@pytest.mark.slow
def test_right_pairs_pass_and_others_are_found():
    found = coils_checked(1)
    assert found["right pair"] == 0
    assert found["table moved by 1 mm"] == 1
    assert found["views of two coils"] == 1


def test_table_lists_every_row():
    table = as_markdown([Error("table", 1.0, (0.1, 0.2), 0.15, (30.0, 1.0), "%")], {"right pair": 0.0})
    assert "| table | 1 | 0.1 | 0.2 | 0.15 | 30 to 1 % |" in table
    assert "| right pair | 0% |" in table


@pytest.mark.slow
def test_counts_of_a_liver_find_the_table():
    from photopeak.exporters.evaluation.calibration_study import livers

    rows = list(livers(1))
    assert len(rows) == 6
    assert rows[2].left[1] < 1.0  # ideal, a million counts [mm]
    assert all(np.isfinite(row.told) for row in rows)
