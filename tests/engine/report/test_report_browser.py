"""The report as a reader meets it: in headless Chromium, from a file, without a network."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photopeak.engine.frames import Frames, Units
from photopeak.engine.report import write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

RESET = """
for (const e of document.querySelectorAll('input, select')) {
  if (e.type === 'checkbox') e.checked = e.defaultChecked;
  else if (e.options) e.selectedIndex = Math.max(0, [...e.options].findIndex((o) => o.defaultSelected));
  else if (e.dataset.part !== 'line') e.value = e.defaultValue;
  if (e.dataset.part !== 'line') e.dispatchEvent(new Event('input'));
}
document.querySelectorAll('[data-part="fit"]').forEach((e) => e.click());
"""
HOSTILE = "</script><script>document.title='owned'</script>"
# What a canvas shows: the lightest and darkest grey, and how many pixels differ from the first.
LOOK = """
const canvas = arguments[0];
const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
const colours = new Set();
for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
return colours.size;
"""


@dataclass
class Page:
    """A report that is open in the browser."""

    browser: Any

    def part(self, name: str, section: str = "r1") -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, f'#{section} [data-part="{name}"]')

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def clip(self, section: str = "r1") -> str:
        return self.run("return arguments[0].style.clipPath", self.part("after", section))

    def colours(self, name: str, section: str = "r1") -> int:
        return self.run(LOOK, self.part(name, section))

    def choose(self, name: str, value: str) -> None:
        """Set a control as a reader would, and wait for the next picture."""
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.run(script, self.part(name), value)
        self.settle()

    def settle(self) -> None:
        self.browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def picture(self, name: str) -> str:
        return self.run("return arguments[0].toDataURL()", self.part(name))


def _open(browser: Any, path: Path) -> Page:
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    WebDriverWait(browser, 30).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
    return Page(browser)


@pytest.fixture(scope="module")
def opened(browser: Any, results: Any, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return _open(browser, write_report(results, tmp_path_factory.mktemp("page") / "report.html"))


@pytest.fixture
def page(opened: Page) -> Page:
    """Return the open report with every control as it was at first; opening it anew takes seconds."""
    opened.run(RESET)
    opened.settle()
    return opened


def test_page_opens_without_a_word_on_the_console(page):
    assert page.browser.get_log("browser") == []


def test_page_asks_the_network_for_nothing(page):
    log = [json.loads(entry["message"])["message"] for entry in page.browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in log if event["method"] == "Network.requestWillBeSent"]
    assert len([url for url in asked if url.startswith("file:")]) == 1
    assert all(url.startswith(("file:", "data:")) for url in asked)


def test_page_may_not_reach_the_network(page):
    script = "fetch('http://127.0.0.1:9/').then(() => arguments[0]('reached'), (e) => arguments[0](String(e)))"
    assert "TypeError" in page.browser.execute_async_script(script)
    assert "Content Security Policy" in str(page.browser.get_log("browser"))


@pytest.mark.parametrize("section", ["r1", "r2"])
@pytest.mark.parametrize("canvas", ["before", "after", "change"])
def test_pictures_are_not_blank(page, canvas, section):
    assert page.colours(canvas, section) > 20


def test_viewer_decodes_the_very_counts(page, phantom):
    script = """
        const done = arguments[arguments.length - 1];
        plane(JSON.parse(document.getElementById('settings').textContent).results[0].frames[1].before)
          .then((image) => done([image.rows, image.columns, Array.from(image.values)]));
    """
    rows, columns, values = page.browser.execute_async_script(script)
    np.testing.assert_array_equal(np.reshape(values, (rows, columns)), phantom.pixels[1])


def test_difference_of_a_doubled_matrix_is_taken_on_the_input_matrix(page, smooth):
    script = """
        const done = arguments[arguments.length - 1];
        plane(JSON.parse(document.getElementById('settings').textContent).results[1].frames[0].after)
          .then((image) => done(Array.from(rebin(image, 2, true).values)));
    """
    matched = np.reshape(page.browser.execute_async_script(script), smooth[0].shape)
    np.testing.assert_allclose(matched, smooth[0], atol=4 / 128)


def test_keys_move_the_divider(page):
    assert page.clip() == "inset(0px 0px 0px 50%)"
    page.part("split").send_keys(Keys.ARROW_RIGHT * 4)
    assert page.clip() == "inset(0px 0px 0px 52%)"
    page.part("stack").send_keys(Keys.ARROW_LEFT)
    assert page.clip() == "inset(0px 0px 0px 50%)"
    assert page.clip("r2") == "inset(0px 0px 0px 50%)"


def test_dragging_moves_the_divider(page):
    stack = page.part("stack")
    page.run("arguments[0].scrollIntoView({block: 'center'})", stack)
    width = stack.size["width"]
    actions = webdriver.ActionChains(page.browser)
    actions.move_to_element(stack).click_and_hold().move_by_offset(width // 4, 0).release().perform()
    assert float(page.part("split").get_attribute("value")) == pytest.approx(75, abs=1)
    assert page.clip().endswith(f"{page.part('split').get_attribute('value')}%)")


def test_click_puts_the_profile_on_that_row(page):
    stack = page.part("stack")
    page.run("arguments[0].scrollIntoView({block: 'center'})", stack)
    offset = round(stack.size["height"] * 0.25)
    webdriver.ActionChains(page.browser).move_to_element_with_offset(stack, 0, -offset).click().perform()
    page.settle()
    assert int(page.part("line").get_attribute("value")) == pytest.approx(24, abs=1)


def test_profile_is_that_of_the_row(page, phantom):
    page.choose("line", "40")
    page.settle()
    before, after = page.run("return arguments[0].data.map((trace) => Array.from(trace.y))", page.part("profile"))
    np.testing.assert_allclose(before, phantom.pixels[0, 40], rtol=1e-4)
    assert len(after) == 64


def test_profile_of_a_doubled_matrix_is_in_counts_per_input_pixel(page):
    wide = page.browser.find_element(By.CSS_SELECTOR, '#r2 [data-part="profile"]')
    before, after = page.run("return arguments[0].data.map((trace) => Array.from(trace.y))", wide)
    assert len(after) == 2 * len(before)
    assert np.mean(after) == pytest.approx(np.mean(before), rel=0.1)


def test_frame_and_window_and_colours_change_the_picture(page):
    seen = {page.picture("before")}
    for control, value in (("frame", "1"), ("upper", "-0.5"), ("map", "viridis")):
        page.choose(control, value)
        WebDriverWait(page.browser, 5).until(lambda _: page.picture("before") not in seen)
        seen.add(page.picture("before"))
    assert len(seen) == 4


def test_normalised_residual_has_its_own_map_and_unit(page):
    before = page.picture("change")
    page.choose("kind", "residual")
    assert page.picture("change") != before
    assert "standard deviations" in page.part("change-unit").text


def test_zoom_enlarges_and_fits(page):
    fitted = page.picture("after")
    page.part("in").click()
    page.settle()
    assert page.picture("after") != fitted
    page.part("fit").click()
    page.settle()
    assert page.picture("after") == fitted


def test_theme_toggle_changes_the_colours_and_the_charts(page):
    look = "return [getComputedStyle(document.body).backgroundColor, arguments[0].layout.xaxis.color]"
    values = page.part("values")
    first = page.run(look, values)
    page.browser.find_element(By.ID, "theme").click()
    second = page.run(look, values)
    assert first[0] != second[0]
    assert first[1] != second[1]
    page.browser.find_element(By.ID, "theme").click()
    assert page.run(look, values) == first


def test_charts_hold_data(page):
    for name in ("profile", "values", "residual"):
        assert page.run("return arguments[0].querySelectorAll('.trace').length", page.part(name)) >= 1


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_page_never_scrolls_sideways(page, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.settle()
    try:
        assert page.run("return document.documentElement.scrollWidth") <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_control_has_a_name(page):
    nameless = """
        return [...document.querySelectorAll('input, select, button')].filter((e) =>
          !(e.labels && e.labels.length && e.labels[0].textContent.trim()) && !e.ariaLabel && !e.textContent.trim()
        ).map((e) => e.outerHTML);
    """
    assert page.run(nameless) == []


def test_hostile_words_do_not_run(browser, make_result, phantom, tmp_path):
    source = replace(phantom, source=HOSTILE, info=tuple(replace(one, view=HOSTILE) for one in phantom.info))
    result = make_result(source, source.pixels, title=HOSTILE, warnings=(HOSTILE,))
    page = _open(browser, write_report([result], tmp_path / "report.html", title="honest"))
    assert page.browser.title == "honest"
    assert page.browser.get_log("browser") == []
    assert HOSTILE in page.browser.find_element(By.CSS_SELECTOR, ".warnings").text


def test_stack_has_a_slider_over_its_slices(browser, make_result, tmp_path):
    stack = np.random.default_rng(9).random((7, 16, 16), np.float32)
    source = _pet(stack)
    page = _open(browser, write_report([make_result(source, stack)], tmp_path / "report.html"))
    assert page.part("frame-label").text == "4 of 7"
    page.part("frame").send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(page.browser, 5).until(lambda _: page.part("frame-label").text == "5 of 7")


def test_last_frame_asked_for_is_the_one_that_stays(browser, make_result, tmp_path):
    stack = np.random.default_rng(9).random((7, 256, 256), np.float32)
    source = _pet(stack)
    page = _open(browser, write_report([make_result(source, stack)], tmp_path / "report.html"))
    # Frame 4 is unpacked already, frame 7 is not.
    page.run(
        """
        for (const value of ['6', '3']) {
          arguments[0].value = value;
          arguments[0].dispatchEvent(new Event('input'));
        }
        """,
        page.part("frame"),
    )
    page.browser.execute_async_script("Promise.all(planes.values()).then(() => setTimeout(arguments[0], 100))")
    assert page.part("frame-label").text == "4 of 7"


def test_frame_with_few_counts_does_not_show_the_residual_of_another(browser, make_result, phantom, tmp_path):
    pixels = np.stack([phantom.pixels[0], np.zeros_like(phantom.pixels[0])])
    source = phantom.with_pixels(pixels, phantom.pixel_spacing_mm)
    page = _open(browser, write_report([make_result(source, pixels)], tmp_path / "report.html"))
    assert page.part("residual").is_displayed()
    page.choose("frame", "1")
    WebDriverWait(page.browser, 5).until(lambda _: not page.part("residual").is_displayed())
    page.choose("frame", "0")
    WebDriverWait(page.browser, 5).until(lambda _: page.part("residual").is_displayed())


def _pet(stack):
    return Frames.from_array(stack, units=Units.BECQUEREL_PER_ML, modality="PT", pixel_spacing_mm=(2.0, 2.0))
