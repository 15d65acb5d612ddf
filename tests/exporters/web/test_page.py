"""The page as a user meets it: what it shows, what it saves, and that nothing leaves it."""

import base64
import time

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

COLOURS = """
const canvas = document.querySelector(arguments[0]);
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colours = new Set();
for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
return colours.size;
"""
PICTURE = "return document.querySelector(arguments[0]).toDataURL()"
SET = "const e = document.getElementById(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input'))"


@pytest.fixture
def counts(tmp_path):
    """Return a file with two frames of a blob on a background."""
    y, x = np.mgrid[:64, :48]
    mean = 6 + 90 * np.exp(-((x - 20) ** 2 + (y - 30) ** 2) / 50)
    np.save(tmp_path / "blob.npy", np.random.default_rng(1).poisson(np.stack([mean, mean[:, ::-1]])).astype(np.float32))
    return tmp_path / "blob.npy"


@pytest.fixture
def shown(page, counts):
    page.choose(counts)
    return page


def settle(page):
    page.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def plain(element):
    return element.text.replace("\u00d7", "x")


def put(page, control, value):
    page.run(SET, control, value)
    settle(page)


def test_console_stays_empty_and_only_the_server_is_asked(shown, counts):
    assert shown.console() == []
    asked = [url for url in shown.requested() if not url.startswith(("data:", "blob:"))]
    assert asked
    assert {url.split("/")[2] for url in asked} == {shown.browser.current_url.split("/")[2]}


def test_opening_a_file_asks_for_nothing(page, counts):
    page.requested()
    page.choose(counts)
    assert page.requested() == []


def test_page_may_not_reach_another_server(page):
    script = "fetch('http://127.0.0.1:9/').then(() => arguments[0]('reached'), (e) => arguments[0](String(e)))"
    assert "TypeError" in page.browser.execute_async_script(script)
    assert "Content Security Policy" in str(page.console())


def test_page_says_that_nothing_leaves_and_that_it_is_not_for_diagnosis(page):
    words = page.run("return document.body.innerText")
    assert "Nothing leaves this machine" in words
    assert "not for diagnosis" in words
    assert "NM images in counts" in words


def test_sample_is_processed(page):
    page.part("sample").click()
    page.settle()
    assert page.part("name").text == "sample"
    assert "Total counts" in page.part("kept-title").text


DROP = """
const transfer = new DataTransfer();
transfer.items.add(new File([Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0))], 'dropped.npy'));
document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""


def test_dropped_file_is_processed(page, counts):
    page.run(DROP, base64.b64encode(counts.read_bytes()).decode())
    page.settle()
    assert page.part("name").text == "dropped.npy"
    assert "2 of 2 frames" in page.part("run-facts").text


def test_image_that_is_opened_while_another_is_processed_takes_its_place(page, counts, tmp_path):
    np.save(tmp_path / "long.npy", np.random.default_rng(2).poisson(5, (30, 128, 128)).astype(np.float32))
    page.part("file").send_keys(str(tmp_path / "long.npy"))
    page.wait("document.getElementById('run-facts').textContent.includes(' of 30')")
    page.choose(counts)
    assert page.part("name").text == "blob.npy"
    assert page.result()["shape"] == [64, 48]
    assert "2 of 2 frames" in page.part("run-facts").text


def test_file_that_is_chosen_before_the_model_is_there_waits_for_it(browser, page, counts):
    address = browser.current_url
    browser.get("about:blank")
    browser.get(address)
    page.choose(counts)
    assert page.result(1)["shape"] == [64, 48]


def test_frame_that_is_shown_goes_first_and_a_stack_begins_in_its_middle(page, tmp_path):
    np.save(tmp_path / "stack.npy", np.random.default_rng(2).poisson(5, (5, 24, 24)).astype(np.float32))
    page.choose(tmp_path / "stack.npy")
    assert page.part("frame-label").text == "Frame 3 of 5"
    order = page.ask("load('app.js').then(({ state }) => done([...state.results.keys()]))")
    assert order == [2, 0, 1, 3, 4]


def test_page_is_used_without_a_mouse(page):
    def press(key):
        ActionChains(page.browser).send_keys(key).perform()
        return page.run("return document.activeElement.id")

    assert press(Keys.TAB) == "file"
    assert press(Keys.TAB) == "sample"
    press(Keys.ENTER)
    page.settle()
    assert press(Keys.ARROW_LEFT) == "stage"
    assert page.part("split").get_attribute("value") == "48"


@pytest.mark.parametrize("pane", ["#before canvas", "#after canvas"])
def test_pictures_are_not_blank(shown, pane):
    assert shown.run(COLOURS, pane) > 20


def test_difference_is_shown_with_colours_of_its_own(shown):
    shown.run("document.querySelector('input[value=change]').click()")
    settle(shown)
    assert shown.run(COLOURS, "#change canvas") > 20
    assert not shown.part("before").is_displayed()
    assert "+" in shown.part("bar").get_attribute("data-upper")


def test_side_by_side_shows_both(shown):
    shown.run("document.querySelector('input[value=pair]').click()")
    settle(shown)
    before, after = (shown.part(name).rect for name in ("before", "after"))
    assert after["x"] >= before["x"] + before["width"]
    assert after["width"] == pytest.approx(before["width"], abs=1)
    assert not shown.part("split").is_displayed()


def test_facts_name_counts_matrix_and_backend(shown):
    assert "64 x 48" in plain(shown.part("image-facts"))
    assert "2 of 2 frames" in shown.part("run-facts").text
    assert "WebAssembly" in shown.part("run-facts").text
    total = shown.result()["before"]
    assert f"{total:,.0f}".replace(",", "\u202f") in shown.part("kept").text


def test_doubled_matrix_and_spacing_are_told(open_page, dicom_factory):
    page = open_page("scint-sr-x2")
    page.choose(dicom_factory("static", matrix=(40, 32))[0])
    assert "40 x 32 → 80 x 64" in plain(page.part("image-facts"))
    assert "4.8 x 4 → 2.4 x 2 mm" in plain(page.part("image-facts"))
    assert page.run("return document.querySelector('#after canvas').width") == 64


def test_keys_move_the_divider(shown):
    stage = shown.part("stage")
    stage.send_keys(Keys.ARROW_RIGHT * 2)
    assert shown.part("split").get_attribute("value") == "54"
    assert shown.run("return document.getElementById('after').style.clipPath").endswith(" 54%)")


def test_dragging_moves_the_divider(shown):
    after = shown.part("after")
    shown.run("arguments[0].scrollIntoView({block: 'center'})", after)
    width = after.rect["width"]
    actions = ActionChains(shown.browser)
    actions.move_to_element(after).click_and_hold().move_by_offset(int(width / 4), 0).release().perform()
    assert float(shown.part("split").get_attribute("value")) == pytest.approx(75, abs=1.5)


def test_click_puts_the_profile_on_that_row(shown):
    after = shown.part("after")
    shown.run("arguments[0].scrollIntoView({block: 'center'})", after)
    offset = round(after.rect["height"] / 4)
    ActionChains(shown.browser).move_to_element_with_offset(after, 0, -offset).click().perform()
    assert int(shown.part("line").get_attribute("value")) == pytest.approx(16, abs=1)
    assert "row 17" in shown.part("readout").text or "row 16" in shown.part("readout").text


def test_frame_window_colours_and_zoom_change_the_picture(shown):
    seen = {shown.run(PICTURE, "#before canvas")}
    for control, value in (("frame", "1"), ("upper", "300"), ("lower", "50"), ("map", "viridis")):
        put(shown, control, value)
        seen.add(shown.run(PICTURE, "#before canvas"))
    assert len(seen) == 5
    shown.part("zoom-in").click()
    assert "scale(2)" in shown.run("return document.querySelector('#after canvas').style.transform")
    shown.part("zoom-fit").click()
    assert "scale(1)" in shown.run("return document.querySelector('#after canvas').style.transform")


def test_window_never_closes(shown):
    put(shown, "upper", "0")
    assert float(shown.part("upper").get_attribute("value")) > float(shown.part("lower").get_attribute("value"))


def test_profile_has_both_lines(shown):
    for name in ("before", "after"):
        assert shown.run("return document.querySelector(arguments[0]).getTotalLength()", f"#profile path.{name}") > 100
    put(shown, "along", "column")
    assert "column" in shown.part("line-label").text


def downloaded(page, button, folder):
    """Click a button and return the file that the browser saves."""
    behaviour = {"behavior": "allow", "downloadPath": str(folder)}
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    page.part(button).click()
    for _ in range(200):
        found = [path for path in folder.iterdir() if path.suffix in (".npy", ".png")]
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError("nothing was saved")


def test_saved_values_are_those_of_all_frames(shown, tmp_path):
    (tmp_path / "saved").mkdir()
    path = downloaded(shown, "save-npy", tmp_path / "saved")
    assert path.name == "blob_scint-denoise.npy"
    values = np.load(path)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, [shown.result(frame)["pixels"] for frame in range(2)])


def test_saved_picture_has_the_size_of_the_result(shown, tmp_path):
    (tmp_path / "saved").mkdir()
    path = downloaded(shown, "save-png", tmp_path / "saved")
    with Image.open(path) as image:
        assert image.size == (48, 64)
        assert len(set(image.convert("L").tobytes())) > 20


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_page_never_scrolls_sideways(shown, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    shown.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    settle(shown)
    try:
        assert shown.run("return document.documentElement.scrollWidth") <= width
    finally:
        shown.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_control_has_a_name(shown):
    nameless = """
        return [...document.querySelectorAll('input, select, button')].filter((e) =>
          !(e.labels && e.labels.length && e.labels[0].textContent.trim()) && !e.ariaLabel && !e.textContent.trim()
        ).map((e) => e.outerHTML);
    """
    assert shown.run(nameless) == []


def test_hostile_name_is_only_words(page, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>.npy"
    np.save(path, np.ones((16, 16), np.float32))
    page.choose(path)
    assert page.part("name").text == path.name
    assert page.console() == []


def test_page_that_is_opened_as_a_file_says_why_it_cannot_start(browser, address_of, site_folder):
    address_of("scint-denoise")
    browser.get((site_folder / "scint-denoise" / "index.html").as_uri())
    time.sleep(2.5)
    assert "file://" in browser.find_element("id", "not-started").text
    browser.get_log("browser")


def test_missing_model_is_told(browser, address_of, site_folder):
    address = address_of("pet-sr-x2")
    (site_folder / "pet-sr-x2" / "model" / "fp32.onnx").rename(site_folder / "hidden.onnx")
    try:
        browser.get(address)
        for _ in range(200):
            if words := browser.find_element("id", "problem").text:
                break
            time.sleep(0.05)
        assert "fp32.onnx is missing" in words
    finally:
        (site_folder / "hidden.onnx").rename(site_folder / "pet-sr-x2" / "model" / "fp32.onnx")
        browser.get_log("browser")
