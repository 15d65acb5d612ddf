import csv

import numpy as np
import pytest

from photopeak.engine.errors import InputError
from photopeak.engine.failures import Failure
from photopeak.engine.quality.measure import measure
from photopeak.engine.quality.metrics import Settings
from photopeak.engine.quality.table import COLUMNS, cells, described, summary, write_csv


@pytest.fixture(scope="module")
def measured(body, of_array):
    return measure(of_array(body, source="body.npy"), Settings(("niqe", "piqe")))


def test_csv_has_a_row_for_each_frame_and_metric(measured, tmp_path):
    failure = Failure("bad.dcm", InputError("bad.dcm: is damaged, sadly."))
    path = write_csv(tmp_path / "scores.csv", [measured], [failure])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["frame"], row["metric"]) for row in rows[:-1]] == [(f, m) for f in "123" for m in ("niqe", "piqe")]
    scores = [score for frame in measured.frames for score in frame.scores]
    assert [float(row["score"]) for row in rows[:-1]] == [score.found.value for score in scores]
    assert [float(row["high"]) for row in rows[:-1]] == [score.window.high for score in scores]
    assert {row["model"] for row in rows if row["metric"] == "niqe"} == {"live"}
    assert rows[1]["activity_fraction"] != ""
    assert (rows[-1]["file"], rows[-1]["reason"], rows[-1]["score"]) == ("bad.dcm", "bad.dcm: is damaged, sadly.", "")


def test_score_that_is_missing_is_empty_and_has_a_reason(of_array, tmp_path):
    small = measure(of_array(np.eye(16)), Settings(("niqe",)))
    text = write_csv(tmp_path / "a.csv", [small]).read_text()
    assert text.splitlines()[1].startswith("array,1,niqe,,too-small,")
    assert described(small)["frames"][0]["scores"]["niqe"]["reason"] == "too-small"
    assert next(cells(small))[1] == "too-small"
    assert summary(small)[0] == ("NIQE \u2193", "none; 1 of 1 frames have none: too-small")


def test_summary_has_median_and_range(measured):
    niqe = [frame.scores[0].found.value for frame in measured.frames]
    words = dict(summary(measured))
    assert words["NIQE \u2193"] == f"{np.median(niqe):.4f}, from {min(niqe):.4f} to {max(niqe):.4f}"
    assert words["window"] == "counts, by frame"
