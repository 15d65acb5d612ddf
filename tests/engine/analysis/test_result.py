from dataclasses import replace

import numpy as np
import pytest

from known_findings import classified, detected
from photopeak.engine.analysis.findings import described
from photopeak.engine.errors import UsageError
from photopeak.engine.result import DomainVerdict


@pytest.mark.parametrize(
    ("chances", "threshold", "label"),
    [
        ((0.6, 0.3, 0.1), 0.5, 0),
        ((0.6, 0.3, 0.1), 0.4, 1),
        ((0.4, 0.25, 0.35), 0.5, 2),
        ((0.4, 0.25, 0.35), 0.61, 0),
        ((0.0, 0.5, 0.5), 0.5, 1),
    ],
)
def test_the_threshold_is_for_all_but_the_usual_class(chances, threshold, label):
    result = replace(classified(), probabilities=np.array([chances, chances]), threshold=threshold)
    assert result.found(1) == (label, chances[label])
    assert result.score(1) == pytest.approx(sum(chances[1:]))


def test_the_worst_frame_decides_on_the_whole():
    verdicts = [
        DomainVerdict(verdict, np.array([distance]), (3.0, 5.0))
        for verdict, distance in (("inside", 1.0), ("outside", np.nan), ("border", 4.0))
    ]
    for order in ((0, 1, 2), (2, 0, 1)):
        result = replace(classified(), domains=tuple(verdicts[k] for k in order))
        assert result.domain.verdict == "outside"
        assert not result.valid
        assert result.valid_frames == tuple(k != 1 for k in order)


def test_frames_are_called_by_their_numbers_in_the_object():
    """A frame that was left out shifts no number; objects of one frame each are counted."""
    result = classified()
    frames, (one, other) = result.sources[0], result.sources[0].info
    kept = (replace(one, number=1, view="anterior"), replace(other, number=3))
    left_out = replace(result, sources=(replace(frames, info=kept),))
    assert [left_out.number(index) for index in range(2)] == [1, 3]
    assert [left_out.frame_name(index) for index in range(2)] == ["frame 1, anterior", "frame 3"]
    assert [frame["frame"] for frame in described(left_out)["frames"]] == [1, 3]
    apart = (replace(one, number=1, instance=0), replace(other, number=1, instance=1))
    objects = replace(result, sources=(replace(frames, info=apart),))
    assert [frame["frame"] for frame in described(objects)["frames"]] == [1, 2]


def test_boxes_lie_on_other_phases_by_their_grids():
    result = detected()
    lesion = result.detections[0][0]
    assert result.box_on(lesion, 1) == pytest.approx(lesion.box)
    assert result.box_on(lesion, 0) == pytest.approx([edge / 2 for edge in lesion.box])
    absent = replace(result, sources=(None, result.sources[1]), placements=(None, result.placements[1]))
    with pytest.raises(UsageError, match="early phase is absent"):
        absent.box_on(lesion, 0)
