"""Results as a session would return them, without a model: the report must not care who made the numbers."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from photopeak.engine.bundle import Bundle, Domain, Input, Manifest, Output, Training
from photopeak.engine.frames import Frames, Units
from photopeak.engine.plan import Plan
from photopeak.engine.quality.images import image_of
from photopeak.engine.quality.measure import Measured, measure
from photopeak.engine.quality.metrics import Settings
from photopeak.engine.quality.noise import layout, measure_nps
from photopeak.engine.quality.sharpness import measure_mtf, measure_pair
from photopeak.engine.report.noise_page import NoiseSubject
from photopeak.engine.report.sharpness_page import Subject
from photopeak.engine.result import Conservation, DomainVerdict, Result, Verdict
from photopeak.kernels.noise.quanta import noise_equivalent_quanta

MakeResult = Callable[..., Result]

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",  # three dimensions on a machine without a GPU
    "--enable-unsafe-swiftshader",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)


def _bundle(name: str, scale: int, units: Units, title: str) -> Bundle:
    manifest = Manifest(
        name=name,
        version="1.0.0",
        title=title,
        task="denoise" if scale == 1 else "super-resolution",
        licence="Apache-2.0",
        modalities=("NM", "PT", "CT"),
        input=Input(name="counts", units=units),
        output=Output.model_validate(
            {
                "name": "image",
                "scale": scale,
                "conserve": {Units.COUNTS: "sum", Units.BECQUEREL_PER_ML: "mean"}.get(units, "none"),
            }
        ),
        training=Training(
            recipe=name,
            date="2026-01-31",
            seconds=3600,
            steps=1000,
            matrices=("256x256",),
            counts_per_pixel=(0.5, 50),
            data=("simulated, Apache-2.0",),
        ),
        domain=Domain(features=("level",), mean=(0.0,), precision=((1.0,),), limits=(3.0, 5.0)),
    )
    return Bundle(Path("zoo") / name, manifest, "0123456789abcdef" * 4, {})


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Return a function that makes a result from an input and the pixels that a model would give."""

    def make(
        source: Frames,
        pixels: NDArray[np.float32],
        *,
        title: str = "A model for tests",
        verdict: Verdict = "inside",
        warnings: tuple[str, ...] = (),
    ) -> Result:
        scale = pixels.shape[1] // source.matrix.rows
        spacing = source.pixel_spacing_mm and tuple(step / scale for step in source.pixel_spacing_mm)
        counts = source.units is Units.COUNTS
        reduce = np.sum if counts else np.mean
        before, after = (np.atleast_1d(reduce(p, axis=(1, 2), dtype=np.float64)) for p in (source.pixels, pixels))
        kept = Conservation("sum" if counts else "mean", before, after * 1.002, after)
        name = "scint-denoise" if scale == 1 else f"scint-sr-x{scale}"
        return Result(
            source.with_pixels(np.ascontiguousarray(pixels, np.float32), spacing),
            source,
            _bundle(name, scale, source.units, title),
            Plan("onnxruntime", "1.31.0", "cpu", "fp32", 2, 0.0, "fastest of the three that run here"),
            kept,
            lambda: DomainVerdict(verdict, np.linspace(1.2, 2.1, len(source)), (3.0, 5.0)),
            {"read": 4.2, "prepare": 0.8, "model": 38.5, "postprocess": 1.1},
            warnings,
        )

    return make


@pytest.fixture(scope="session")
def phantom() -> Frames:
    """Return two views of a blob on a background, with Poisson noise: 96x64 counts at 4.8 mm."""
    y, x = np.mgrid[:96, :64]
    mean = 12 + 80 * np.exp(-((x - 30) ** 2 + (y - 50) ** 2) / 60)
    noisy = np.random.default_rng(7).poisson(np.stack([mean, mean[:, ::-1]]))
    return Frames.from_array(noisy, units=Units.COUNTS, modality="NM", pixel_spacing_mm=(4.8, 4.8), source="blob.npy")


@pytest.fixture(scope="session")
def smooth(phantom: Frames) -> NDArray[np.float32]:
    """Return the phantom's 3x3 mean with wrapped edges, which keeps the sum."""
    shifts = [np.roll(phantom.pixels, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.mean(shifts, 0, dtype=np.float32)


@pytest.fixture(scope="session")
def results(make_result: MakeResult, phantom: Frames, smooth: NDArray[np.float32]) -> list[Result]:
    """Return the phantom smoothed, and spread over four times as many pixels."""
    doubled = np.repeat(np.repeat(smooth, 2, 1), 2, 2) / 4
    return [make_result(phantom, smooth), make_result(phantom, doubled, title="Twice as many rows and columns")]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a Chromium with an empty profile, which also notes every request."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=Service(driver)) as running:
        yield running


@pytest.fixture
def open_page(browser: Any) -> Callable[[Path], Any]:
    """Return ``open(path) -> browser``, which has no older logs and waits until the page is complete."""
    from selenium.webdriver.support.ui import WebDriverWait

    def open_it(path: Path) -> Any:
        for log in ("browser", "performance"):
            browser.get_log(log)
        browser.get(path.as_uri())
        WebDriverWait(browser, 30).until(lambda b: b.execute_script("return document.documentElement.dataset.ready"))
        return browser

    return open_it


@pytest.fixture(scope="session")
def measured_stack() -> Measured:
    """Return three frames of counts with the scores and maps of two metrics."""
    y, x = np.mgrid[:128, :112]
    mean = 4 + 60 * np.exp(-((x - 60) ** 2 + (y - 70) ** 2) / 900) + 20 * (np.hypot(x - 40, y - 30) < 12)
    counts = np.random.default_rng(5).poisson(np.stack([mean, mean / 2, mean * 2]))
    frames = Frames.from_array(counts, units=Units.COUNTS, modality="NM", source="body.npy")
    return measure(image_of(frames), Settings(("niqe", "piqe"), maps=True))


@pytest.fixture(scope="session")
def disk_pair() -> Subject:
    """Return the transfer functions of a disk before and after it was blurred."""
    row, column = np.mgrid[:128, :96]
    images = []
    for width in (0.9, 1.8):
        disk = 5 + 100 / (1 + np.exp((np.hypot(row - 64, column - 47.7) - 24) / width))
        noisy = disk + np.random.default_rng(3).normal(0, 1, disk.shape)
        images.append(image_of(Frames.from_array(noisy, pixel_spacing_mm=(2.0, 2.0), source="disk.npy")))
    before, after = images
    curves = measure_mtf(before, "disk", rois=[((20, 108), (3, 92))], spacing_mm=(2.0, 2.0))
    return Subject(before, 1, curves, after, measure_pair(before, after, curves, spacing_mm=(2.0, 2.0)))


@pytest.fixture(scope="session")
def flood_spectrum(disk_pair: Subject) -> NoiseSubject:
    """Return the noise of four uniform frames, and what it is worth with a transfer function."""
    counts = np.random.default_rng(0).poisson(50, (4, 96, 128))
    image = image_of(Frames.from_array(counts, units=Units.COUNTS, modality="NM", pixel_spacing_mm=(2.4, 2.4)))
    where = layout(image, [((8, 90), (10, 120))], 32)
    spectrum = measure_nps(image, where, spacing_mm=(2.4, 2.4))
    options = {"detrend": "plane", "window": "none", "subtract": "nothing"}
    quanta = noise_equivalent_quanta(disk_pair.curves[0].mtf, spectrum)
    return NoiseSubject(image, None, where, spectrum, quanta, options)
