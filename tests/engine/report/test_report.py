import json
import re
import zlib
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from photopeak.engine.dicom.instance import Instance
from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.engine.report import write_report
from photopeak.engine.report.facts import number, percent, reading
from photopeak.engine.report.images import (
    Window,
    display_step,
    display_window,
    pack,
    picture,
    rebin,
    scale_between,
    unpack,
)
from photopeak.engine.report.sections import chosen_frames
from photopeak.engine.report.statistics import histogram, residual, residual_histogram

# At most 64 characters, the length of a Series Description.
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'


# ---- Windows, areas and packed pixels ---------------------------------------------------------------------------------------------


def test_window_of_a_doubled_matrix_is_a_quarter_in_counts_per_pixel():
    rng = np.random.default_rng(3)
    before = rng.poisson(40, (32, 32)).astype(np.float32)
    after = np.repeat(np.repeat(before, 2, 0), 2, 1) / 4
    window = Window(0, 80)
    shown = [picture(before, window, (64, 64), inverse=True)]
    shown.append(picture(after, window.per_output_pixel(4), (64, 64), inverse=True))
    assert shown[0] == shown[1]


@pytest.mark.parametrize(("inverse", "hot"), [(True, 0), (False, 255)])
def test_picture_is_a_grey_png_with_hot_pixels_as_asked(inverse, hot):
    image = np.array([[0, 10], [20, 1000]], np.float32)
    uri = picture(image, Window(0, 100), (2, 2), inverse=inverse)
    levels = np.asarray(Image.open(BytesIO(b64decode(uri.removeprefix("data:image/png;base64,")))))
    assert levels[1, 1] == hot
    assert levels[0, 0] == 255 - hot


def test_display_window_ignores_the_empty_surroundings():
    image = np.zeros((100, 100), np.float32)
    image[:10, :10] = 50
    assert display_window(image, Units.COUNTS) == Window(0, 50)


@pytest.mark.parametrize("units", Units)
def test_display_window_of_an_empty_image_is_not_empty(units):
    window = display_window(np.zeros((8, 8), np.float32), units)
    assert window.upper > window.lower


@pytest.mark.parametrize("units", Units)
@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_display_window_is_that_of_the_finite_pixels(units, broken):
    image = np.linspace(1, 100, 4096, dtype=np.float32).reshape(64, 64)
    whole = display_window(image, units)
    image[3, 5] = broken
    assert display_window(image, units).upper == pytest.approx(whole.upper, rel=0.01)
    nothing = display_window(np.full((4, 4), broken, np.float32), units)
    assert nothing.lower < nothing.upper


@pytest.mark.parametrize("value", [1e12, -1e12, 3e37])
def test_display_window_of_a_constant_has_ends_apart(value):
    image = np.full((8, 8), value, np.float32)
    assert picture(image, display_window(image, Units.NONE), (8, 8), inverse=False)


@given(arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-1e6, 1e6, width=32)))
def test_packed_image_comes_back_within_half_a_step(image):
    step = display_step(image, Units.BECQUEREL_PER_ML)
    error = np.abs(unpack(pack(image, step)) - image.astype(np.float64))
    # Beside the rounding there is that of float32 itself.
    assert error.max() <= step / 2 + 1e-6 * np.abs(image).max() + 1e-37


@given(arrays(np.int16, array_shapes(min_dims=2, max_dims=2, max_side=12)))
def test_packed_whole_numbers_are_exact(image):
    pixels = image.astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(pixels, display_step(pixels, Units.HOUNSFIELD))), pixels)


def test_counts_are_packed_to_a_sixteenth_on_the_area_of_an_input_pixel():
    image = np.array([[0.3, 7.7]], np.float32)
    assert display_step(image, Units.COUNTS) == 1 / 16
    assert display_step(image, Units.COUNTS, area_ratio=4) == 1 / 64


def test_rebin_keeps_the_sum_of_counts_and_the_mean_of_concentrations():
    image = np.random.default_rng(5).random((24, 36), np.float32)
    assert rebin(image, 2, keep_sum=True).sum() == pytest.approx(image.sum(dtype=np.float64))
    assert rebin(image, 3, keep_sum=False).mean() == pytest.approx(image.mean(dtype=np.float64))


@pytest.mark.parametrize("shape", [(63, 64), (96, 64), (32, 32), (128, 64)])
def test_matrix_that_is_no_multiple_is_refused(shape):
    with pytest.raises(InputError, match="whole multiple"):
        scale_between(np.zeros((64, 64), np.float32), np.zeros(shape, np.float32))


# ---- Residual ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [6, 20, 500])
def test_residual_of_exactly_removed_poisson_noise_is_standard(level):
    # Closed form: Var[(mu - n) / sqrt(mu)] = 1 for n ~ Poisson(mu), whatever mu is.
    expected = level * np.linspace(1, 3, 300 * 300).reshape(300, 300)
    found = residual(np.random.default_rng(11).poisson(expected).astype(float), expected)
    assert found.mean == pytest.approx(0, abs=0.015)
    assert found.std == pytest.approx(1, abs=0.015)
    assert found.neighbour == pytest.approx(0, abs=0.015)
    assert "has the size of Poisson noise" in reading(found)


def test_residual_of_a_mean_filter_has_its_closed_form():
    # A pixel keeps 1/9 of its own noise and takes 1/9 of eight others: Var = (8/9)^2 + 8/81 = 72/81.
    noisy = np.random.default_rng(2).poisson(np.full((400, 400), 100.0)).astype(float)
    smooth = np.mean([np.roll(noisy, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1)], 0)
    found = residual(noisy, smooth)
    assert found.std == pytest.approx(np.sqrt(72 / 81), abs=0.01)
    assert "has the size of Poisson noise" in reading(found)


def test_residual_of_a_weak_filter_says_that_noise_is_left():
    # Half of its own noise and an eighth of four others: Var = (1/2)^2 + 4/64 = 5/16.
    noisy = np.random.default_rng(2).poisson(np.full((400, 400), 100.0)).astype(float)
    ring = np.mean([np.roll(noisy, step, axis) for step in (-1, 1) for axis in (0, 1)], 0)
    found = residual(noisy, noisy / 2 + ring / 2)
    assert found.std == pytest.approx(np.sqrt(5 / 16), abs=0.01)
    assert "some is left" in reading(found)


def test_residual_shows_that_structure_was_removed():
    y, x = np.mgrid[:200, :200]
    true = 30 + 200 * np.exp(-((x - 100) ** 2 + (y - 100) ** 2) / 400)
    flat = np.full_like(true, true.mean())
    found = residual(np.random.default_rng(4).poisson(true).astype(float), flat)
    assert found.std > 1.5
    assert found.neighbour > 0.5
    assert "correlate" in reading(found)


def test_residual_that_alternates_is_not_called_noise():
    checks = 100 + np.where(np.add.outer(np.arange(100), np.arange(100)) % 2, 10.0, -10.0)
    found = residual(checks, np.full((100, 100), 100.0))
    assert (found.std, found.neighbour) == pytest.approx((1, -1))
    assert "correlate (\u22121.00)" in reading(found)


def test_residual_of_noise_in_few_pixels_is_not_called_more_or_less():
    # The standard deviation of 121 values varies by 6 %, and so does the correlation.
    rng = np.random.default_rng(0)
    expected = np.full((11, 11), 50.0)
    said = [reading(residual(rng.poisson(expected).astype(float), expected)) for _ in range(200)]
    assert sum("has the size of Poisson noise" in words for words in said) > 190


def test_removed_lesion_is_not_called_noise_alone():
    # 25 pixels of a lesion of 4 standard deviations hardly show in the figures of 40000: the words must not say more.
    true = np.full((200, 200), 100.0)
    true[80:85, 80:85] += 40
    found = residual(np.random.default_rng(3).poisson(true).astype(float), np.full((200, 200), 100.0))
    assert found.std == pytest.approx(1, abs=0.02)
    assert "small lesion" in reading(found)


def test_residual_needs_counts():
    assert residual(np.zeros((50, 50)), np.full((50, 50), 4.9)) is None


def test_residual_of_no_change_is_zero():
    image = np.full((20, 20), 9.0)
    found = residual(image, image)
    assert (found.mean, found.std, found.neighbour, found.tail) == (0, 0, 0, 0)
    assert "Next to nothing" in reading(found)


def test_residual_histogram_is_a_density_that_agrees_with_the_normal_one():
    expected = np.linspace(300, 900, 500 * 500).reshape(500, 500)
    spread = residual_histogram(residual(np.random.default_rng(6).poisson(expected).astype(float), expected))
    width = spread.centres[1] - spread.centres[0]
    assert spread.fraction.sum() * width == pytest.approx(1)
    normal = np.exp(-(spread.centres**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(spread.fraction, normal, atol=0.015)


@given(arrays(np.float64, st.integers(1, 200), elements=st.floats(0, 10)))
def test_histogram_that_spans_all_values_holds_all_of_them(values):
    assert histogram(values, 0, 10).fraction.sum() == pytest.approx(1)


# ---- Words ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "text"), [(0, "0.000"), (-1e-9, "0.000"), (0.005, "+0.500"), (-0.012345, "\u22121.234")]
)
def test_percent_has_a_sign_only_where_it_means_something(ratio, text):
    assert percent(ratio) == f"{text}\u00a0%"


def test_number_groups_thousands():
    assert number(3596452) == "3\u202f596\u202f452"


@given(st.integers(1, 3000), st.integers(1, 1 << 24))
def test_chosen_frames_are_in_order_and_few(frames, pixels):
    chosen = chosen_frames(frames, pixels)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= 24
    assert 0 <= chosen[0] <= chosen[-1] < frames


# ---- The page ---------------------------------------------------------------------------------------------------------------------


class _Links(HTMLParser):
    """Collects whatever an element could load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        loads = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
        self.found += [value or "" for key, value in attrs if key in loads]


def _parts(page: str) -> dict[str, str]:
    return dict(re.findall(r'<script type="[^"]+" id="([^"]+)"[^>]*>(.*?)</script>', page, re.DOTALL))


def _without_time(page: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", page)


def test_report_is_one_file_that_links_to_nothing_outside(results, tmp_path):
    path = write_report(results, tmp_path / "report.html")
    page = path.read_text("utf-8")
    links = _Links()
    links.feed(page)
    assert links.found
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert not re.findall(r"url\(|@import|https?://", page)
    assert "default-src &#39;none&#39;" in page
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_report_differs_only_in_its_time(results, tmp_path):
    pages = [write_report(results, tmp_path / f"{i}.html").read_text("utf-8") for i in (1, 2)]
    assert _without_time(pages[0]) == _without_time(pages[1])


def test_results_of_one_input_share_its_pixels(results, tmp_path):
    parts = _parts(write_report(results, tmp_path / "report.html").read_text("utf-8"))
    shown = [result["frames"] for result in json.loads(parts["settings"])["results"]]
    assert [f["before"] for f in shown[0]] == [f["before"] for f in shown[1]]
    assert sum(name.startswith("p") and name != "plotly" for name in parts) == 6


def test_library_in_the_report_is_the_whole_of_plotly(results, tmp_path):
    parts = _parts(write_report(results, tmp_path / "report.html").read_text("utf-8"))
    assert b"plotly.js v" in zlib.decompress(b64decode(parts["plotly"]))[:200]


def test_report_says_what_was_done_and_how(results, tmp_path):
    page = write_report(results, tmp_path / "report.html", title="Phantom").read_text("utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)))
    for words in (
        "One nuclear-medicine series of 2 frames was denoised by scint-denoise",
        "super-resolved to 192 \u00d7 128 by scint-sr-x2",
        "Inside the training domain",
        "(2.1, border from 3)",
        "Counts kept within 0.001 %",
        "No warnings",
        "0123456789abcdef0123456789abcdef",
        "onnxruntime 1.31.0",
        "fp32 on cpu, 2 threads",
        "+0.200 %",
        "Not a medical device",
    ):
        assert words in text


def test_counts_table_holds_the_totals(results, phantom, tmp_path):
    page = write_report(results, tmp_path / "report.html").read_text("utf-8")
    for total in phantom.pixels.sum((1, 2)):
        assert f">{number(float(total))}<" in page


def test_worst_verdict_and_warnings_come_first(make_result, phantom, tmp_path):
    good = make_result(phantom, phantom.pixels)
    bad = make_result(phantom, phantom.pixels, verdict="outside", warnings=("Far too few counts.",))
    page = write_report([good, bad, good], tmp_path / "report.html").read_text("utf-8")
    chips = re.search(r'<p class="chips">(.*?)</p>', page, re.DOTALL).group(1)
    assert "Outside the training domain" in chips
    assert "1 warning<" in chips
    assert page.count("<li>scint-denoise: Far too few counts.</li>") == 1


def test_warning_of_one_model_names_it_beside_others(make_result, phantom, tmp_path):
    good = make_result(phantom, phantom.pixels, warnings=("Both say so.",))
    doubled = np.repeat(np.repeat(phantom.pixels, 2, 1), 2, 2) / 4
    other = make_result(phantom, doubled, warnings=("Both say so.", "Matrix too large."))
    page = write_report([good, other], tmp_path / "report.html").read_text("utf-8")
    assert re.findall("<li>(.*?)</li>", page) == ["Both say so.", "scint-sr-x2: Matrix too large."]


def test_file_named_like_a_number_leaves_numbers_alone(make_result, phantom, tmp_path):
    source = _with_header(phantom)
    source = replace(source, instances=(Instance(Path("1"), source.instances[0].header),), source="1")
    result = make_result(source, source.pixels, warnings=("1: Counts down to -12 in frame 1 were taken as 0.",))
    page = write_report([result], tmp_path / "report.html").read_text("utf-8")
    assert "<li>the input: Counts down to -12 in frame 1 were taken as 0.</li>" in page


def test_negative_counts_do_not_hide_between_two_totals(make_result, tmp_path):
    pixels = np.full((1, 32, 32), 10, np.float32)
    pixels[0, :8] = -4
    source = Frames.from_array(pixels, units=Units.COUNTS, modality="NM")
    result = make_result(source, np.maximum(pixels, 0))
    kept = replace(result.conservation, before=result.conservation.after)
    page = write_report([replace(result, conservation=kept)], tmp_path / "report.html").read_text("utf-8")
    assert "6\u202f656; 7\u202f680 with negative pixels taken as 0" in page
    row = re.search(r"<tr><td>1</td>.*?</tr>", page).group()
    assert re.findall(r">([\d.]+)</td>", row).count("7.50") == 2


def test_lost_counts_are_called_out(make_result, phantom, tmp_path):
    page = write_report([make_result(phantom, phantom.pixels * 0.9)], tmp_path / "report.html").read_text("utf-8")
    assert '<span class="chip poor">Counts off by up to 10.00 %</span>' in page


def _with_header(frames: Frames, **elements: str) -> Frames:
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.20", generate_uid()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    name = elements.get("PatientName", "x") + ".dcm"
    return replace(frames, instances=(Instance(Path("in") / name, header),), source=name)


def test_patient_stays_out_of_the_report(make_result, phantom, tmp_path):
    source = _with_header(
        phantom,
        PatientName="Zborowska^Jane",
        PatientID="ID-4711",
        PatientBirthDate="19500102",
        InstitutionName="St Elsewhere",
        AccessionNumber="ACC-12",
        SeriesDescription="WB bone",
    )
    result = make_result(source, source.pixels, warnings=("in/Zborowska^Jane.dcm: Zborowska^Jane.dcm has few counts.",))
    page = write_report([result], tmp_path / "report.html").read_text("utf-8")
    for secret in ("Zborowska", "Jane", "ID-4711", "19500102", "Elsewhere", "ACC-12"):
        assert secret not in page
    assert "WB bone" in page
    assert source.instances[0].sop_instance_uid in page
    assert "the input: the input has few counts." in page


def test_a_header_that_cannot_be_decoded_leaves_the_page_without_a_fact(make_result, phantom, tmp_path):
    source = _with_header(phantom, SpecificCharacterSet="ISO_IR 192", Manufacturer="Camera Works")
    header = source.instances[0].header
    for keyword, representation in (
        ("ManufacturerModelName", "L\xf5"),
        ("SeriesDescription", "LO"),
        ("ImageType", "ZZ"),
    ):
        tag = Tag(keyword)
        header._dict[tag] = RawDataElement(tag, representation, 2, b"\xff\xfe", 0, False, True)
    page = write_report([make_result(source, source.pixels)], tmp_path / "report.html").read_text("utf-8")
    assert "Camera Works" in page


@pytest.mark.parametrize("spacing", [(1e-9, 2.0), (2.0, 1e-9)])
def test_a_spacing_that_is_far_off_makes_no_gigantic_picture(make_result, phantom, tmp_path, spacing):
    source = replace(phantom, pixel_spacing_mm=spacing)
    path = write_report([make_result(source, source.pixels)], tmp_path / "report.html")
    assert path.stat().st_size < 20e6


def test_hostile_header_is_only_text(make_result, phantom, tmp_path):
    source = _with_header(phantom, SeriesDescription=HOSTILE, ManufacturerModelName=HOSTILE)
    info = tuple(replace(one, view=HOSTILE) for one in source.info)
    source = replace(source, info=info)
    result = make_result(source, source.pixels, title=HOSTILE, warnings=(HOSTILE,))
    page = write_report([result], tmp_path / "report.html", title=HOSTILE).read_text("utf-8")
    plain = write_report([make_result(phantom, phantom.pixels)], tmp_path / "plain.html").read_text("utf-8")
    assert page.count("<script") == plain.count("<script")
    assert "<img src=x" not in page
    assert "{{7*7}}" in page
    assert json.loads(_parts(page)["settings"])["results"][0]["frames"][0]["label"].endswith(HOSTILE)


def test_long_series_shows_some_frames_and_says_so(make_result, tmp_path):
    stack = np.random.default_rng(8).random((40, 16, 16), np.float32)
    source = Frames.from_array(stack, units=Units.BECQUEREL_PER_ML, modality="PT", pixel_spacing_mm=(2.0, 2.0))
    page = write_report([make_result(source, stack)], tmp_path / "report.html").read_text("utf-8")
    assert "24 of 40 frames are shown here" in page
    assert page.count("<tr><td>") >= 40
    assert "Mean kept within" in page
    assert "normalised residual" not in page.split("<script")[0]


@pytest.mark.parametrize("modality", ["CT", "OT"])
def test_images_without_counts_or_spacing_have_a_report(make_result, modality, tmp_path):
    hu = np.random.default_rng(1).normal(0, 300, (1, 32, 48)).astype(np.float32)
    source = Frames.from_array(hu, units=Units.HOUNSFIELD, modality=modality, source="slice.npy")
    page = write_report([make_result(source, hu)], tmp_path / "report.html").read_text("utf-8")
    assert "slice.npy" in page
    assert '"length":"px"' in page


def test_empty_image_has_a_report(make_result, tmp_path):
    blank = Frames.from_array(np.zeros((16, 16)), units=Units.COUNTS, modality="NM")
    page = write_report([make_result(blank, np.zeros((1, 32, 32), np.float32))], tmp_path / "report.html").read_text()
    assert "too few for this check" in page
    assert "100.000" not in page


def test_nothing_to_report_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="nothing to report"):
        write_report([], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_pixels_that_are_not_finite_leave_no_file(make_result, phantom, tmp_path):
    broken = phantom.pixels.copy()
    broken[0, 3, 3] = np.nan
    with pytest.raises(InputError, match="finite"):
        write_report([make_result(phantom, broken)], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
