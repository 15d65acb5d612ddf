"""Exported pages on a loopback server, and a Chromium that opens them."""

import shutil
import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.zoo import load_bundle
from photopeak.exporters.web import export_web, npm
from web_page import Page, opened

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,1000",
)
WITHOUT_GPU = ("--disable-gpu",)
SOFTWARE_WEBGPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-unsafe-swiftshader",
    "--use-angle=swiftshader",
)
STRICT_POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ISOLATED = "/isolated"


class Handler(SimpleHTTPRequestHandler):
    """A static server with a strict policy; what lies under ISOLATED may use several threads."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", STRICT_POLICY)
        if self.path.startswith(ISOLATED):
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def translate_path(self, path: str) -> str:
        return super().translate_path(path.removeprefix(ISOLATED))

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def packages() -> None:
    """Have the archives of npm in the cache, or skip."""
    try:
        for package in npm.PACKAGES:
            npm.find(package)
    except (InputError, UsageError) as error:
        pytest.skip(f"the packages of npm cannot be had: {error}")


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that is served."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def address_of(packages: None, site_folder: Path) -> Iterator[Callable[..., str]]:
    """Return ``address(model, isolated=False)``; each model is exported once and served."""
    root = site_folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *given: Handler(*given, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    @cache
    def exported(model: str) -> None:
        export_web(load_bundle(model), root / model, webgpu=model == "pet-sr-x2-srcnn")

    def address(model: str, isolated: bool = False) -> str:
        exported(model)
        return f"http://127.0.0.1:{server.server_port}{ISOLATED if isolated else ''}/{model}/"

    yield address
    server.shutdown()
    server.server_close()
    shutil.rmtree(root)


def chromium(profile: Path, flags: tuple[str, ...]) -> Any:
    """Start a Chromium with an empty profile, which also notes every request, or skip."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, *flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_script_timeout(120)
    return browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile"), WITHOUT_GPU) as running:
        yield running


@pytest.fixture
def open_page(browser: Any, address_of: Callable[..., str]) -> Callable[..., Page]:
    """Return ``open(model, isolated=False) -> Page``, ready to process, with empty logs before."""

    def open_it(model: str, isolated: bool = False) -> Page:
        return opened(browser, address_of(model, isolated))

    return open_it


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """Return the page of scint-denoise."""
    return open_page("scint-denoise")


@pytest.fixture
def webgpu_page(address_of: Callable[..., str], tmp_path: Path) -> Iterator[Page]:
    """Return the page of pet-sr-x2-srcnn in a browser whose WebGPU is emulated, or skip."""
    address = address_of("pet-sr-x2-srcnn")
    with chromium(tmp_path / "profile", SOFTWARE_WEBGPU) as running:
        page = opened(running, address)
        if not page.ask("navigator.gpu?.requestAdapter().then((adapter) => done(Boolean(adapter))) ?? done(false)"):
            pytest.skip("this Chromium has no WebGPU, not even an emulated one")
        yield page
