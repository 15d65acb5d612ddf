"""An exported page that is open in a browser: what a user does there, and what its modules know."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What Chromium itself remarks when a page asks for a GPU that is not there.
ABOUT_WEBGPU = ("WebGPU is experimental", "No available adapters", "Failed to create WebGPU Context Provider")
# Modules of the page are asked by their address, so that they are the ones that run already.
MODULE = (
    "const done = arguments[arguments.length - 1]; const load = (name) => import(new URL(name, location.href).href);"
)
BYTES = """
const encoded = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};
"""
RESULT = """
load('app.js').then(({ state }) => {
  const { pixels, rows, columns, ...facts } = state.results.get(arguments[0]);
  done({ ...facts, shape: [rows, columns], pixels: encoded(pixels) });
});
"""
READ = """
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const files = Object.entries(arguments[0]).map(([name, text]) => new File([bytes(text)], name));
load('open-file.js')
  .then(({ openFiles }) => openFiles(files))
  .then((image) => done({ ...image, frames: image.frames.map(encoded) }))
  .catch((error) => load('refusal.js').then(({ Refusal }) =>
    done(error instanceof Refusal ? { refused: error.message } : { broken: String(error.stack) })));
"""


@dataclass
class Page:
    """A page that is open in the browser."""

    browser: Any

    def part(self, name: str) -> Any:
        return self.browser.find_element("id", name)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def ask(self, script: str, *arguments: Any) -> Any:
        """Run a script that may ask modules of the page and calls done."""
        return self.browser.execute_async_script(MODULE + BYTES + script, *arguments)

    def wait(self, script: str, seconds: float = 120) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.browser, seconds, poll_frequency=0.05).until(lambda b: b.execute_script(f"return {script}"))

    def choose(self, path: Path) -> None:
        """Open a file as a user would; wait until all its frames are processed or something is said."""
        self.part("file").send_keys(str(path))
        self.settle()

    def settle(self) -> None:
        self.ask(
            """
            const look = ({ state }) => {
              const over = state.image && state.results.size === state.image.frames.length;
              if (over || !document.getElementById('problem').hidden) done(true); else setTimeout(look, 20, { state });
            };
            setTimeout(() => load('app.js').then(look), 50);
            """
        )

    @property
    def problem(self) -> str:
        return str(self.part("problem").text)

    def result(self, frame: int = 0) -> dict[str, Any]:
        """Return what the page holds of a frame, the pixels as an array."""
        found = self.ask(RESULT, frame)
        return {**found, "pixels": decoded(found["pixels"]).reshape(found["shape"])}

    def read(self, *paths: Path) -> dict[str, Any]:
        """Return what the page's readers make of files, without a model; only a refusal may stop them."""
        contents = {path.name: base64.b64encode(path.read_bytes()).decode() for path in paths}
        found: dict[str, Any] = self.ask(READ, contents)
        assert "broken" not in found, found["broken"]
        if "frames" in found:
            shape = (len(found["frames"]), found["rows"], found["columns"])
            found["frames"] = np.stack([decoded(frame) for frame in found["frames"]]).reshape(shape)
        return found

    def console(self) -> list[str]:
        """Return what was said on the console since the last call."""
        messages = [entry["message"] for entry in self.browser.get_log("browser")]
        return [message for message in messages if not any(remark in message for remark in ABOUT_WEBGPU)]

    def requested(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        log = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        return [event["params"]["request"]["url"] for event in log if event["method"] == "Network.requestWillBeSent"]


def decoded(text: str) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text), np.float32)


def opened(browser: Any, address: str) -> Page:
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(address)
    page = Page(browser)
    page.wait("document.documentElement.dataset.ready || !document.getElementById('problem').hidden")
    assert not page.problem
    return page
