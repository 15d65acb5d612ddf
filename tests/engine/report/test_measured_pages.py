"""The pages of scores, transfer functions and noise: what they say, and what they must not."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from photopeak.engine.errors import UsageError
from photopeak.engine.failures import Failure
from photopeak.engine.quality.images import image_of, read_image
from photopeak.engine.quality.measure import measure
from photopeak.engine.quality.metrics import Settings
from photopeak.engine.quality.noise import layout, measure_nps
from photopeak.engine.reading import read
from photopeak.engine.report.images import Window
from photopeak.engine.report.noise_page import NoiseSubject, write_nps_report
from photopeak.engine.report.quality_page import write_quality_report
from photopeak.engine.report.rasters import grey_picture, labels_picture, map_picture
from photopeak.engine.report.sharpness_page import Subject, write_mtf_report

SECRETS = ("Zborowska", "Jane", "ID-4711", "19500102", "Elsewhere", "ACC-12")
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'


@pytest.fixture
def patient(dicom_factory, tmp_path):
    """A scan whose header and whose path name a patient."""
    tags = {
        "PatientName": "Zborowska^Jane",
        "PatientID": "ID-4711",
        "PatientBirthDate": "19500102",
        "InstitutionName": "St Elsewhere",
        "AccessionNumber": "ACC-12",
        "SeriesDescription": HOSTILE,
    }
    (path,) = dicom_factory("static", matrix=(128, 128), folder="Zborowska^Jane", tags=tags)
    return image_of(read(path))


@pytest.fixture
def pages(patient, measured_stack, disk_pair, flood_spectrum, tmp_path):
    """Return each page of a patient's scan and of arrays, as text."""
    mtf = Subject(patient, 1, disk_pair.curves)
    paths = [
        write_quality_report([measure(patient, Settings(("niqe", "piqe"), maps=True))], tmp_path / "1.html"),
        write_quality_report([measured_stack], tmp_path / "2.html"),
        write_mtf_report(mtf, tmp_path / "3.html"),
        write_mtf_report(disk_pair, tmp_path / "4.html"),
        write_nps_report(NoiseSubject(patient, 1, *_noise(patient)), tmp_path / "5.html"),
        write_nps_report(flood_spectrum, tmp_path / "6.html"),
    ]
    return [path.read_text("utf-8") for path in paths]


def _noise(image):
    where = layout(image, size=32)
    options = {"detrend": "plane", "window": "none", "subtract": "nothing"}
    return where, measure_nps(image, where, frame=1), None, options


class _Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        loads = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
        self.found += [value or "" for key, value in attrs if key in loads]


def _text(page):
    bare = re.sub(r"<[^>]+>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    return re.sub(r"\s+", " ", bare)


def _settings(page):
    return json.loads(re.search(r'id="settings">(.*?)</script>', page, re.DOTALL).group(1))


def test_pages_link_to_nothing_outside(pages):
    for page in pages:
        links = _Links()
        links.feed(page)
        assert all(link.startswith(("data:", "#")) for link in links.found)
        assert not re.findall(r"url\(|@import|https?://", page)
        assert "default-src &#39;none&#39;" in page


def test_patient_stays_out_of_the_pages(pages):
    for page in pages:
        assert not [secret for secret in SECRETS if secret in page]


def test_hostile_header_is_only_text(pages):
    scores = [page.count("<script") for page in pages]
    assert len(set(scores)) == 1
    assert all("<img src=x" not in page for page in pages)
    assert "{{7*7}}" in pages[0]


def test_scores_are_in_table_and_chart(measured_stack, tmp_path):
    page = write_quality_report([measured_stack], tmp_path / "q.html").read_text("utf-8")
    figures = _settings(page)["results"][0]["figures"]
    for k, metric in enumerate(("niqe", "piqe")):
        values = [frame.scores[k].found.value for frame in measured_stack.frames]
        assert all(f"{value:.4f}" in page for value in values)
        np.testing.assert_allclose(figures[metric]["data"][0]["y"], values, rtol=1e-5)
    assert "lower is better" in _text(page)
    assert "counts 0 to" in _text(page)


def test_blocks_add_up_to_what_is_active(measured_stack, tmp_path):
    page = write_quality_report([measured_stack], tmp_path / "q.html").read_text("utf-8")
    text = _text(page)
    parts = [float(p) for p in re.findall(r"(?:nothing found|distorted|noisy|distorted and noisy) ([\d.]+) %", text)]
    active = [float(p) for p in re.findall(r"image; ([\d.]+) % has enough contrast", text)]
    assert np.reshape(parts, (-1, 4)).sum(1) == pytest.approx(active, abs=0.25)
    fractions = [frame.scores[1].found.details["activity_fraction"] for frame in measured_stack.frames]
    assert active == pytest.approx([100 * fraction for fraction in fractions], abs=0.1)


def test_missing_scores_say_why(tmp_path):
    np.save(tmp_path / "small.npy", np.eye(32))
    measured = measure(read_image(tmp_path / "small.npy"), Settings(("niqe", "piqe"), maps=True))
    failure = Failure("Zborowska.dcm", UsageError("Zborowska.dcm: no."))
    page = write_quality_report([measured], tmp_path / "q.html", failures=[failure]).read_text("utf-8")
    assert "too small for this metric" in page
    assert "1 of 1 frames lack a score" in page
    assert "1 file could not be measured" in page
    assert "Zborowska" not in page


def test_frame_that_is_not_finite_is_shown(tmp_path):
    image = np.random.default_rng(0).random((2, 128, 128))
    image[0, 5, 5] = np.nan
    np.save(tmp_path / "a.npy", image)
    measured = measure(read_image(tmp_path / "a.npy"), Settings(("niqe", "piqe"), maps=True))
    page = write_quality_report([measured], tmp_path / "q.html").read_text("utf-8")
    assert "not-finite" in page


def test_images_without_pixels_are_listed_only(measured_stack, tmp_path):
    page = write_quality_report([measured_stack.without_pixels()], tmp_path / "q.html").read_text("utf-8")
    assert "data:image/png" not in page
    assert "0 of 1 images are shown below" in page
    assert f"{measured_stack.frames[0].scores[0].found.value:.4f}" in page


def test_nothing_measured_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="nothing to report"):
        write_quality_report([], tmp_path / "q.html")


def test_curves_in_the_page_are_those_measured(disk_pair, tmp_path):
    page = write_mtf_report(disk_pair, tmp_path / "m.html").read_text("utf-8")
    figure = _settings(page)["results"][0]["figures"]["mtf"]
    named = {trace["name"]: trace for trace in figure["data"] if trace.get("name")}
    for name, (curve,) in (("Before", disk_pair.curves), ("After", disk_pair.after)):
        np.testing.assert_allclose(named[name]["y"], curve.mtf.modulation, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(named[name]["x"], curve.mtf.frequencies_per_mm, rtol=1e-3)
        assert f"{curve.mtf.mtf50 / curve.mtf.pixel_spacing_mm:.4f}" in _text(page)
    assert "before and after processing" in _text(page)


def test_regions_are_drawn_where_they_are(disk_pair, tmp_path):
    page = write_mtf_report(disk_pair, tmp_path / "m.html").read_text("utf-8")
    (row0, row1), (column0, column1) = disk_pair.curves[0].roi
    place = f'x="{column0}" y="{row0}" width="{column1 - column0}" height="{row1 - row0}"'
    assert place in page
    assert f"{row0}:{row1},{column0}:{column1}" in _text(page)


def test_spectrum_in_the_page_is_that_measured(flood_spectrum, tmp_path):
    page = write_nps_report(flood_spectrum, tmp_path / "n.html").read_text("utf-8")
    figures = _settings(page)["results"][0]["figures"]
    line = next(trace for trace in figures["radial"]["data"] if trace.get("name") == "noise")
    spectrum = flood_spectrum.spectrum
    np.testing.assert_allclose(line["y"], spectrum.power_mm2, rtol=1e-3)
    np.testing.assert_allclose(figures["plane"]["data"][0]["z"], spectrum.plane_mm2, rtol=1e-3)
    assert figures["plane"]["data"][0]["x"][0] == pytest.approx(-0.5 / 2.4, rel=1e-3)
    assert "Variance over mean" in _text(page)
    assert "neq" in figures


@pytest.mark.parametrize("inverse", [False, True])
def test_grey_picture_is_the_window(inverse):
    uri = grey_picture(np.array([[0.0, 20.0], [100.0, np.nan]]), Window(0, 100), inverse=inverse)
    levels = _decoded(uri)
    expected = np.array([[0, 51], [255, 0]])
    np.testing.assert_array_equal(levels, 255 - expected if inverse else expected)


def test_labels_have_their_colours():
    uri = labels_picture(np.array([[0, 1], [1, 2]], np.uint8), [(0, 0, 0, 0), (10, 20, 30, 90), (1, 2, 3, 255)])
    rgba = np.asarray(Picture.open(BytesIO(b64decode(uri.partition(",")[2]))).convert("RGBA"))
    assert rgba[0, 0, 3] == 0
    assert rgba[0, 1].tolist() == [10, 20, 30, 90]
    assert rgba[1, 1].tolist() == [1, 2, 3, 255]


def test_map_runs_through_its_colours():
    uri = map_picture(np.array([[0.0, 0.5, 1.0, 7.0, np.nan]]), 0, 1, ["#000000", "#ff0000", "#ffffff"])
    assert _decoded(uri)[0].tolist() == [[0, 0, 0], [255, 1, 1], [255, 255, 255], [255, 255, 255], [0, 0, 0]]


def test_large_pictures_are_made_smaller():
    assert _decoded(grey_picture(np.zeros((3000, 300)), Window(0, 1), inverse=False)).shape == (1024, 102)


def _decoded(uri):
    return np.asarray(Picture.open(BytesIO(b64decode(uri.partition(",")[2]))))


def test_page_is_replaced_only_when_it_is_whole(disk_pair, tmp_path, monkeypatch):
    path = tmp_path / "m.html"
    path.write_text("old")
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="space"):
        write_mtf_report(disk_pair, path)
    monkeypatch.undo()
    assert path.read_text() == "old"
