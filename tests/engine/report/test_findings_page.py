"""The page of findings: what it says, what it must not say, and how its boxes lie."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import known_findings
from photopeak.engine.analysis.prepare import place
from photopeak.engine.analysis.regions import RegionShare
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.report.findings_page import write_findings_report
from photopeak.engine.result import DomainVerdict


@pytest.fixture
def detected():
    return known_findings.detected()


@pytest.fixture
def classified():
    return known_findings.classified()


def text_of(page):
    """Return what a reader sees, scripts and pictures left out."""
    html = re.sub(r"<(script|style).*?</\1>", "", page.read_text(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def test_findings_are_told_with_their_operating_point(detected, tmp_path):
    page = write_findings_report([detected], tmp_path / "page.html")
    said = text_of(page)
    assert "A finder for tests: 2 findings." in said
    assert "Inside the training domain" in said
    assert "52.0, 65.0 px 125, 156 mm" in said
    assert "8.0 \u00d7 10.0 px" in said
    assert "22 mm" in said
    assert "At a threshold of 0.50: 95 % sensitivity at 0.30 false positives per image." in said
    assert "not valid" not in said.lower()


def test_boxes_lie_on_each_phase_in_its_own_pixels(detected, tmp_path):
    html = write_findings_report([detected], tmp_path / "page.html").read_text()
    views = re.findall(r'viewBox="0 0 (\d+) (\d+)".*?<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', html)
    assert [tuple(map(float, view)) for view in views] == [(64, 64, 30, 24, 5), (128, 128, 60, 48, 10)]


def opacity_of(html, nth):
    """Return how opaque each pixel of the nth map of evidence of a page is."""
    uris = re.findall(r'data-map="\d" src="data:image/png;base64,([^"]*)"', html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uris[nth]))))[..., 3]


def test_evidence_lies_on_each_phase_where_it_lies_in_the_body(detected, tmp_path):
    """The early phase has pixels of twice the size, and its field is wider by half: its middle is the middle of the late."""
    both = known_findings.blob(4.8, 96), detected.sources[1]
    grid = detected.bundle.manifest.input.grid
    wide = replace(detected, sources=both, placements=tuple(place(one, grid, cover=both) for one in both))
    html = write_findings_report([wide], tmp_path / "page.html").read_text()
    shown = [opacity_of(html, nth) for nth in (0, 1)]
    assert [levels.shape for levels in shown] == [(96, 96), (128, 128)]
    rows, columns = np.nonzero(shown[0] > 127)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (36, 46, 46, 56)
    assert not shown[0][:16].any()  # the late phase does not reach there


def test_classes_are_told_for_each_frame(classified, tmp_path):
    said = text_of(write_findings_report([classified], tmp_path / "page.html"))
    assert "normal 90 %, metastasis 70 %" in said
    assert "metastasis 3.0 %" in said
    assert said.count("At a threshold of 0.50: 95 % sensitivity at 30 % false alarms.") == 2


def test_every_class_has_a_map_and_the_likeliest_is_seen_first(classified, tmp_path):
    html = write_findings_report([classified], tmp_path / "page.html").read_text()
    assert re.findall(r'<option value="(\d)" selected>', html) == ["0", "2"]
    assert len(re.findall(r'data-map="\d"', html)) == 6
    assert [int(k) for k in re.findall(r'data-map="(\d)" src="[^"]*" alt="[^"]*" hidden', html)] == [1, 2, 0, 1]


def test_findings_outside_the_domain_are_said_not_to_be_valid(detected, tmp_path):
    outside = DomainVerdict("outside", np.array([11.0]), (3.0, 5.0), ("mean counts is 3000, more than trained",))
    said = text_of(write_findings_report([replace(detected, domains=(outside,))], tmp_path / "page.html"))
    assert "Not valid for this image" in said
    assert "2.2 times as far" in said
    assert "Findings, not valid for this image" in said
    assert "Mean counts is 3000" in said


def test_what_was_measured_at_another_threshold_is_said_to_be(detected, tmp_path):
    said = text_of(write_findings_report([replace(detected, threshold=0.95)], tmp_path / "page.html"))
    assert "At a threshold of 0.80, the nearest to the 0.95 in use that was measured: 80 % sensitivity" in said
    assert "threshold of 0.95: 80 %" not in said


def test_rates_of_both_phases_are_not_claimed_for_one(detected, tmp_path):
    alone = replace(detected, sources=(None, detected.sources[1]), placements=(None, detected.placements[1]))
    said = text_of(write_findings_report([alone], tmp_path / "page.html"))
    assert "false positives per image. With both phases: here the early one is absent." in said
    assert "is absent" not in text_of(write_findings_report([detected], tmp_path / "both.html"))


def test_nothing_found_is_said(detected, tmp_path):
    nothing = replace(detected, detections=((),), cam=np.zeros((1, 1, 128, 128), np.float32))
    said = text_of(write_findings_report([nothing], tmp_path / "page.html"))
    assert "no findings." in said
    assert "No finding reaches the threshold of 0.50." in said


def test_regions_of_the_evidence_are_told(classified, tmp_path):
    rows = (RegionShare(1, "upper right", 0.75, 0.2), RegionShare(0, "elsewhere", 0.25, 0.8))
    unknown = (RegionShare(1, "upper right", float("nan"), 0.2),)
    said = text_of(write_findings_report([classified], tmp_path / "page.html", regions=[(rows, unknown)]))
    assert "upper right 75 % 20 % elsewhere 25 % 80 %" in said
    assert "nan" not in said


def test_a_page_that_cannot_be_written_is_told_of(detected, tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(InputError, match=r"page\.html: cannot be written"):
        write_findings_report([detected], tmp_path / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_no_result_is_no_page(tmp_path):
    with pytest.raises(UsageError, match="nothing to report"):
        write_findings_report([], tmp_path / "page.html")
    assert not list(tmp_path.iterdir())
