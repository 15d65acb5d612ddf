"""How long a frame takes in the page for the browser, beside ONNX Runtime outside of it.

``python -m photopeak.benchmarks.browser PAGE --matrix 128,256`` measures a folder that ``photopeak export --to web`` wrote, in
headless Chromium. Both take turns, frame by frame, in float32 with the same number of threads; times are those of a frame
from its values to the finished ones, without reading, the verdict on the domain, and display. Calls that are not timed go
before. Needs Chromium, its driver and selenium.
"""

import argparse
import base64
import json
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.errors import PhotopeakError, UsageError
from ..engine.matrix import MatrixSize
from ..engine.session import load_for_images
from ..engine.zoo import load_bundle

__all__ = ["Timed", "main", "measure"]

_WARM_UP = 3
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
)
_LOAD = """
const done = arguments[arguments.length - 1];
const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0));
import(new URL('app.js', location.href).href).then(({ state }) => {
  window.run = async () => {
    const pixels = new Float32Array(bytes.slice().buffer);
    const { timings } = await state.runner.process(pixels, { rows: arguments[1], columns: arguments[2] });
    return timings.stageMs + timings.inferMs + timings.finishMs;
  };
  done(state.runner.info.threads);
});
"""


@dataclass(frozen=True, slots=True)
class Timed:
    """Times of one matrix size.

    Parameters
    ----------
    matrix : MatrixSize
        Of the frame.
    threads : int
        Of either side.
    page_ms, native_ms : tuple of float
        One time for each round [ms].
    """

    matrix: MatrixSize
    threads: int
    page_ms: tuple[float, ...]
    native_ms: tuple[float, ...]


class _Handler(SimpleHTTPRequestHandler):
    """A static server that lets the page use several threads where that is wanted."""

    isolated = False

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Isolated(_Handler):
    isolated = True


def measure(page: Path, matrices: Sequence[MatrixSize], rounds: int, isolated: bool) -> tuple[float, list[Timed]]:
    """Return the time until the page is ready [s], and times for each matrix size.

    Parameters
    ----------
    page : Path
        Folder of an exported page.
    matrices : sequence of MatrixSize
        Sizes of the frames, which hold Poisson counts about 20.
    rounds : int
        Timed calls of either side.
    isolated : bool
        Whether the page may use several threads; without it both sides use one.

    Raises
    ------
    UsageError
        If the folder holds no page of a model that ships, or Chromium or selenium is missing.
    """
    try:
        settings = json.loads((page / "model" / "settings.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{page} holds no page ({error}); write one with 'photopeak export MODEL --to web'."
        ) from error
    bundle = load_bundle(settings["name"])
    if bundle.digest != settings["digest"]:
        raise UsageError(f"{page} was made of another {bundle.name}; export it again.")
    with _served(page, isolated) as address, _browser() as browser:
        start = perf_counter()
        browser.get(address)
        while not browser.execute_script("return document.documentElement.dataset.ready"):
            if words := browser.execute_script("return document.getElementById('problem').textContent"):
                raise UsageError(f"The page does not start: {words}")
        ready = perf_counter() - start
        return ready, [_timed(browser, bundle, matrix, rounds) for matrix in matrices]


def _timed(browser: Any, bundle: Any, matrix: MatrixSize, rounds: int) -> Timed:
    frame: NDArray[np.float32] = np.random.default_rng(0).poisson(20, matrix).astype(np.float32)
    threads = browser.execute_async_script(_LOAD, base64.b64encode(frame.tobytes()).decode(), *matrix)
    session = load_for_images(
        bundle, device="cpu", provider="onnxruntime", precision="fp32", threads=min(threads, os.cpu_count() or 1)
    )
    page_ms, native_ms = [], []
    for _ in range(_WARM_UP + rounds):
        page_ms.append(browser.execute_async_script("window.run().then(arguments[0])"))
        native_ms.append(sum(session.run(frame).timings_ms.values()))
    return Timed(matrix, threads, tuple(page_ms[_WARM_UP:]), tuple(native_ms[_WARM_UP:]))


@contextmanager
def _served(folder: Path, isolated: bool) -> Iterator[str]:
    handler = partial(_Isolated if isolated else _Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def _browser() -> Iterator[Any]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise UsageError("selenium is not installed; run pip install selenium.") from error
    if not program or not driver:
        raise UsageError("chromium or chromedriver is not installed.")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        with webdriver.Chrome(options=options, service=Service(driver)) as running:
            running.set_script_timeout(300)
            yield running


def _table(timed: Sequence[Timed]) -> str:
    lines = [
        "| matrix | threads | page, median (min) | native, median (min) | ratio of medians |",
        "|---|---|---|---|---|",
    ]
    for one in timed:
        page, native = statistics.median(one.page_ms), statistics.median(one.native_ms)
        cells = [
            f"{middle:.3g} ({min(all_ms):.3g}) ms" for middle, all_ms in ((page, one.page_ms), (native, one.native_ms))
        ]
        lines.append(f"| {one.matrix} | {one.threads} | {' | '.join(cells)} | {page / native:.2f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a page and print a table."""
    parser = argparse.ArgumentParser(prog="python -m photopeak.benchmarks.browser", description=__doc__)
    parser.add_argument("page", type=Path, help="folder that photopeak export --to web wrote")
    parser.add_argument("--matrix", default="128,256", help="matrix sizes, such as 128,1024x256")
    parser.add_argument("--rounds", type=int, default=10, help="timed calls of either side")
    parser.add_argument("--threads", action="store_true", help="let the page use all threads, by isolating it")
    chosen = parser.parse_args(arguments)
    try:
        matrices = [MatrixSize.parse(text) for text in chosen.matrix.split(",")]
        ready, timed = measure(chosen.page, matrices, chosen.rounds, chosen.threads)
    except PhotopeakError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"Ready after {ready:.2f} s, the check against the golden frames included.\n\n{_table(timed)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
