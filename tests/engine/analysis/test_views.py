import numpy as np
import pytest

from photopeak.engine.analysis import views
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.frames import FrameInfo, Frames, Units
from photopeak.engine.reading import read


def stack(*names):
    pixels = np.arange(len(names), dtype=np.float32)[:, None, None] + np.ones((1, 8, 8), np.float32)
    info = tuple(FrameInfo(number=i + 1, view=name) for i, name in enumerate(names))
    return Frames(pixels, Units.COUNTS, "NM", (2.0, 2.0), info, source="scan.dcm")


def test_views_that_are_wanted_stay():
    found = views.of_views(stack("anterior", "posterior", "left lateral"), ("anterior", "posterior"))
    assert [info.number for info in found.info] == [1, 2]
    assert found.pixels[:, 0, 0].tolist() == [1, 2]
    assert found.notes == ("scan.dcm: frames of other views (left lateral) were left out.",)


def test_frames_that_do_not_say_their_view_stay_when_none_does():
    assert len(views.of_views(stack("", ""), ("anterior",))) == 2
    assert len(views.of_views(stack("anterior", ""), ("anterior",))) == 1


def test_other_views_are_refused():
    with pytest.raises(InputError, match="shows the view posterior, the model needs anterior"):
        views.of_views(stack("posterior", "left lateral"), ("anterior",))


def test_numbers_name_frames():
    assert views.numbered(stack("", "", ""), (3, 1)).pixels[:, 0, 0].tolist() == [3, 1]
    assert len(views.numbered(stack("", ""), ())) == 2
    with pytest.raises(UsageError, match="has no frame 4; give 1 to 3"):
        views.numbered(stack("", "", ""), (4,))


@pytest.mark.parametrize(
    ("kind", "planar"),
    [("static", True), ("whole-body", True), ("dynamic", True), ("tomo", False), ("recon-tomo", False)],
)
def test_planar_images_are_known_by_their_type(dicom_factory, kind, planar):
    assert views.is_planar(read(dicom_factory(kind)[0])) is planar


def test_frames_without_ribs_are_left_out(monkeypatch):
    def find(frame, spacing):
        if frame[0, 0] == 2:
            raise InputError("no thorax was found: give another.")
        return 0, 0, 1, 1

    monkeypatch.setattr(views, "find_ribs", find)
    found = views.with_ribs(stack("anterior", "posterior", "anterior"))
    assert [info.number for info in found.info] == [1, 3]
    assert found.notes == ("scan.dcm: no thorax was found in frame 2, which was left out.",)


def test_a_scan_without_ribs_is_refused():
    with pytest.raises(InputError, match=r"scan\.dcm: no thorax was found"):
        views.with_ribs(stack("anterior"))
