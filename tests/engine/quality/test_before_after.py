import numpy as np
import pytest

from photopeak import kernels
from photopeak.engine.frames import Frames, Units
from photopeak.engine.quality.before_after import changes_of, described_changes, score_rows


@pytest.fixture
def counts(body):
    return Frames.from_array(body, units=Units.COUNTS, modality="NM")


def test_both_are_seen_through_the_window_of_the_input(make_result, counts):
    result = make_result(counts)
    changes = [change for change in changes_of(result) if change.metric == "niqe"]
    assert [change.frame for change in changes] == [0, 1, 2]
    for change, before, after in zip(changes, counts.pixels, result.frames.pixels, strict=True):
        window = (change.window.low, change.window.high)
        assert change.before.value == float(kernels.niqe(before, window=window))
        assert change.after.value == float(kernels.niqe(after, window=window))
        assert window[1] == kernels.niqe(before).intensity.high[0]


def test_window_is_divided_as_the_counts_of_a_pixel_are(make_result, counts):
    result = make_result(counts, scale=2)
    change = next(change for change in changes_of(result) if change.metric == "piqe")
    window = (change.window.low / 4, change.window.high / 4)
    assert change.area_ratio == 4
    assert change.after.value == float(kernels.piqe(result.frames.pixels[0], window=window))


def test_concentrations_keep_their_window(make_result, body):
    activity = Frames.from_array(body, units=Units.BECQUEREL_PER_ML, modality="PT")
    result = make_result(activity, scale=2)
    assert {change.area_ratio for change in changes_of(result, ["piqe"])} == {1.0}


def test_verdict_follows_the_metric(make_result, counts):
    for change in changes_of(make_result(counts)):
        assert change.verdict == ("better" if change.difference < 0 else "worse" if change.difference > 0 else "equal")


def test_small_frames_have_a_reason_and_no_verdict(make_result):
    small = Frames.from_array(np.eye(32, dtype=np.float32), units=Units.COUNTS)
    changes = changes_of(make_result(small), ["niqe"])
    (described,) = described_changes(changes)
    assert (described["before"], described["reason_before"], described["verdict"]) == (None, "too-small", None)
    assert score_rows(changes, 9) == [["NIQE", "1", "too-small", "too-small", "", "counts 0 to 1"]]
    assert score_rows(changes, 0)[0][1] == "0 of 1"


def test_long_series_are_told_by_their_medians(make_result, counts):
    changes = changes_of(make_result(counts))
    rows = score_rows(changes, 2)
    assert [row[0] for row in rows] == ["NIQE", "BRISQUE", "PIQE"]
    niqe = [change.before.value for change in changes if change.metric == "niqe"]
    assert float(rows[0][2]) == pytest.approx(np.median(niqe), abs=1e-4)
    assert rows[0][1] == "median of 3"
