"""The page of a reconstruction as a reader meets it: in headless Chromium, from a file, without a network."""

import json

import numpy as np
import pytest

from known_bodies import reconstruction
from photopeak.engine.report.reconstruction_page import write_reconstruction_report

By = pytest.importorskip("selenium.webdriver.common.by", reason="selenium is not installed").By
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait
ActionChains = pytest.importorskip("selenium.webdriver").ActionChains

# The colours that the canvas of the scene shows; its drawing buffer is cleared, so that plotly makes the picture.
PICTURE = """
    const done = arguments[0];
    Plotly.toImage(document.querySelector('[data-part=scene]'), {format: 'png', width: 300, height: 300}).then((uri) => {
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement('canvas');
        canvas.width = canvas.height = 300;
        const context = canvas.getContext('2d');
        context.drawImage(image, 0, 0);
        const data = context.getImageData(0, 0, 300, 300).data;
        const colours = new Set();
        for (let i = 0; i < data.length; i += 4) colours.add(data[i] << 16 | data[i + 1] << 8 | data[i + 2]);
        done(colours.size);
      };
      image.src = uri;
    });
"""


@pytest.fixture(scope="module", params=["shape", "volume", "curve"])
def opened(request, browser, tmp_path_factory):
    """Return the browser with a page that is complete, and what was said and asked meanwhile; opening it takes seconds."""
    repeated = np.random.default_rng(0).normal(113, 1.2, 40) if request.param == "shape" else np.zeros(0)
    found = reconstruction(request.param, volumes_ml=repeated)
    path = write_reconstruction_report(found, tmp_path_factory.mktemp("page") / "r.html")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
    return browser, browser.get_log("browser"), browser.get_log("performance")


@pytest.fixture
def page(opened):
    return opened[0]


def test_page_is_silent_and_asks_for_nothing(opened):
    _, said, asked = opened
    # What draws letters in the scene reads them back, which the browser calls slow; so it does a GPU made of software.
    harmless = ("willReadFrequently", "GPU stall due to ReadPixels")
    assert [entry["message"] for entry in said if not any(words in entry["message"] for words in harmless)] == []
    events = [json.loads(entry["message"])["message"] for entry in asked]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "chrome"}


def test_body_is_drawn(page):
    assert page.execute_async_script(PICTURE) > 60


def test_body_turns_and_stays_so_in_the_other_theme(page):
    script = """
        const scene = document.querySelector('[data-part=scene]');
        return [scene.layout.scene.xaxis.color, scene._fullLayout.scene._scene.getCamera().eye];
    """
    scene = page.find_element(By.CSS_SELECTOR, "[data-part=scene]")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", scene)
    _, before = page.execute_script(script)
    ActionChains(page).move_to_element(scene).click_and_hold().move_by_offset(120, 0).release().perform()
    WebDriverWait(page, 20).until(lambda b: abs(b.execute_script(script)[1]["x"] - before["x"]) > 0.1)
    page.execute_async_script("setTimeout(arguments[0], 500)")  # it moves on a little after the hand
    colour, turned = page.execute_script(script)
    page.find_element(By.ID, "theme").click()
    other, after = page.execute_script(script)
    page.find_element(By.ID, "theme").click()
    assert colour != other
    assert after == pytest.approx(turned, abs=0.05)


def test_charts_hold_data_and_pictures_are_loaded(page):
    charts = page.execute_script(
        "return [...document.querySelectorAll('.plot')].map((e) => e.querySelectorAll('.trace').length)"
    )
    assert len(charts) >= 2
    assert all(count >= 1 for count in charts)
    widths = page.execute_script("return [...document.images].map((image) => image.naturalWidth)")
    assert len(widths) >= 6
    assert all(width > 1 for width in widths)


@pytest.mark.parametrize("width", [360, 1400])
def test_page_never_scrolls_sideways(page, width):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
