"""``photopeak study liver`` on one small case; the full table is in the documentation."""

import json

import numpy as np
import pytest

pytest.importorskip("scipy", reason="measuring needs scipy: pip install 'photopeak[train]'")

from typer.testing import CliRunner

from photopeak.exporters.evaluation import liver_study
from photopeak.exporters.evaluation.liver_study import Condition, Row, Score, as_markdown, score_shape
from photopeak.exporters.studies import app
from photopeak.kernels import Grid


def test_study_writes_scores_of_each_condition(monkeypatch, tmp_path):
    conditions = (Condition("ideal", 1e5, camera=False), Condition("shifted", 1e5, camera=False, shift_pixels=(1, 0)))
    monkeypatch.setattr(liver_study, "_GRID", Grid((30, 30, 30), (14.0, 14.0, 14.0)))
    study = liver_study.study_livers
    monkeypatch.setattr(
        liver_study, "study_livers", lambda tell, **options: study(tell, conditions=conditions, **options)
    )
    result = CliRunner().invoke(app, ["liver", "-o", str(tmp_path), "--anatomies", "1", "--threads", "1"])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "liver.json").read_text())
    assert [row["condition"]["name"] for row in rows] == ["ideal", "shifted"]
    assert all(len(row["scores"]) == 1 for row in rows)
    best, shifted = (np.mean([score["dice"] for score in row["scores"]]) for row in rows)
    assert best > 0.9
    assert shifted < best
    assert (tmp_path / "liver.md").read_text().strip() in result.output


def test_score_of_a_shifted_cube_is_known():
    truth, found = np.zeros((2, 12, 12, 12), np.float32)
    truth[3:7, 3:7, 3:7] = 1
    found[3:7, 3:7, 4:8] = 1
    score = score_shape(found, truth, (2.0, 2.0, 2.0))
    assert score.dice == pytest.approx(0.75)
    assert score.volume_percent == 0
    assert score.hd95_mm == 2.0
    assert 0 < score.surface_mm < 2.0


def test_table_shows_means_with_intervals():
    scores = tuple(Score(dice, 4.0, 1.0, volume, 0.5) for dice, volume in ((0.9, -2.0), (0.94, 2.0)))
    table = as_markdown([Row(Condition("case", 2e5), scores)])
    assert "| case | 200k | 0.920 [0.900, 0.940] | 4.0 [4.0, 4.0] |" in table
    assert "+0.0 [-2.0, +2.0] | 2.0 | 0.50 |" in table
