"""From a bundle to a folder that any static web server can hand out."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as files_of
from importlib.resources import files as resources
from pathlib import Path

from ...engine.bundle import Bundle
from ...engine.errors import UsageError
from ...engine.fidelity import measure_fidelity
from ...engine.files import atomic_write
from ...engine.graph import check_graph
from ...engine.manifest import Manifest
from ...engine.providers import Precision, Target, find
from . import npm
from .settings import TOLERANCE, PageGraph, golden_files, page_settings

__all__ = ["WebExport", "export_web"]

_SETTINGS = "model/settings.json"
# Other kernels round otherwise: what a browser may differ by, in units of what int8 differs from float32 here.
_INT8_SLACK = 2.0
_SOURCES = (".html", ".css", ".js")
# Renamed to .js: servers that do not know .mjs hand it out as something that browsers refuse to run.
_WASM = {
    "dist/ort.wasm.min.mjs": "vendor/ort.wasm.js",
    "dist/ort-wasm-simd-threaded.mjs": "vendor/ort-wasm-simd-threaded.js",
    "dist/ort-wasm-simd-threaded.wasm": "vendor/ort-wasm-simd-threaded.wasm",
}
_WEBGPU = {
    "dist/ort.webgpu.min.mjs": "vendor/ort.webgpu.js",
    "dist/ort-wasm-simd-threaded.asyncify.mjs": "vendor/ort-wasm-simd-threaded.asyncify.js",
    "dist/ort-wasm-simd-threaded.asyncify.wasm": "vendor/ort-wasm-simd-threaded.asyncify.wasm",
}
_DICOM = {"dist/dicomParser.min.js": "vendor/dicomParser.min.js", "LICENSE": "licences/dicom-parser.txt"}
_OPENJPEG = {
    "dist/openjpegwasm_decode.js": "vendor/openjpeg.js",
    "dist/openjpegwasm_decode.wasm": "vendor/openjpeg.wasm",
    "package.json": "licences/codec-openjpeg.json",
}
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
_LICENCES = (
    (_RUNTIMES, "LICENSE", "licences/onnxruntime-web.txt"),
    (_RUNTIMES, "ThirdPartyNotices.txt", "licences/onnxruntime-web-third-parties.txt"),
    (("pylibjpeg-openjpeg",), "LICENSE", "licences/openjpeg.txt"),
)
_README = """{title} ({name} {version}) in the browser, made by Photopeak.

Serve this folder with any static web server and open it in a browser, for example:

    python3 -m http.server --bind 127.0.0.1 --directory . 8000

and then http://127.0.0.1:8000/ . A file:// address cannot work: browsers load neither modules nor WebAssembly from there.
Nothing is sent anywhere: images are opened, processed and shown inside of the browser.

Several threads are used where the server sends the first two of these headers. The page holds itself to the third; its
worker, which runs the model, is held to it only by a server that sends it.

    Cross-Origin-Opener-Policy: same-origin
    Cross-Origin-Embedder-Policy: require-corp
    Content-Security-Policy: {policy}

For research use. Not a medical device; not for diagnosis.
"""


@dataclass(frozen=True, slots=True)
class WebExport:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where it lies; ``index.html`` is the page.
    files : tuple of str
        Paths of all files, relative to it.
    size : int
        Bytes of all files together.
    """

    folder: Path
    files: tuple[str, ...]
    size: int


def export_web(
    bundle: Bundle,
    out: str | Path,
    *,
    packages: str | Path | None = None,
    max_loss_db: float = 0.1,
    webgpu: bool = True,
) -> WebExport:
    """Write a static page that runs a model of images in the browser.

    Parameters
    ----------
    bundle : Bundle
        A model whose output is an image.
    out : path
        Folder to write to; made when it is not there. A page that was written there before is replaced; any other folder
        that is not empty is refused.
    packages : path, optional
        Folder with the archives of ``npm.PACKAGES`` as ``npm pack`` writes them, such as ``onnxruntime-web-1.30.0.tgz``.
        Without it they come from the cache, else npm fetches them; their digests are compared in any case.
    max_loss_db : float
        A graph of int8 goes along where the bundle holds one that loses at most this much PSNR against float32 with ONNX
        Runtime [dB]; the page offers it beside that of float32, which stays the first choice.
    webgpu : bool
        Also lay in the runtime for WebGPU, 27 MB more, of which browsers without a GPU load nothing.

    Returns
    -------
    WebExport
        Folder, files and size.

    Raises
    ------
    UsageError
        If the model gives findings, the folder holds something else, or npm is needed and not there.
    InputError
        If an archive is not the pinned one.
    ModelError
        If the bundle is damaged.
    """
    if bundle.manifest.analysis:
        kind = bundle.manifest.input.grid.kind if bundle.manifest.input.grid else "working"
        raise UsageError(
            f"{bundle.name} gives findings on a {kind} grid that only the engine prepares, so the page could not show "
            "what it finds; choose a model that gives images ('photopeak models')."
        )
    folder = Path(out)
    _check_free(folder)
    graphs = _graphs(bundle, max_loss_db)
    contents = _contents(bundle, graphs, Path(packages) if packages else None, webgpu)
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content)
    return WebExport(folder, tuple(contents), sum(map(len, contents.values())))


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier page."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _SETTINGS).is_file():
        raise UsageError(f"{folder} holds other files; name a new folder.")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder.")


def _graphs(bundle: Bundle, max_loss_db: float) -> dict[Precision, PageGraph]:
    """Return the checked graph of float32, and that of int8 where there is one that loses little enough."""
    graphs: dict[Precision, PageGraph] = {"fp32": PageGraph(check_graph(bundle).data, TOLERANCE, 0.0)}
    if bundle.int8 is not None:
        graph = check_graph(bundle, "int8")
        runnable = find("onnxruntime").prepare(graph, Target(precision="int8"))
        lost = measure_fidelity(bundle, runnable, similarity=False)
        if lost.loss_db <= max_loss_db:
            graphs["int8"] = PageGraph(graph.data, TOLERANCE + _INT8_SLACK * lost.max_error, lost.loss_db)
    return graphs


def _contents(
    bundle: Bundle, graphs: dict[Precision, PageGraph], packages: Path | None, webgpu: bool
) -> dict[str, bytes]:
    """Return all files by their paths; the page comes last, so that one that is there is complete."""
    manifest = bundle.manifest
    files = _vendored(npm.find(npm.ONNX_RUNTIME, packages), _WASM | (_WEBGPU if webgpu else {}))
    for package, names in ((npm.DICOM_PARSER, _DICOM), (npm.OPENJPEG, _OPENJPEG)):
        files |= _vendored(npm.find(package, packages), names)
    files |= _licences() | golden_files(bundle) | {f"model/{name}.onnx": graph.data for name, graph in graphs.items()}
    files["model/card.txt"] = bundle.card.encode()
    page = _page()
    files["README.txt"] = _readme(manifest, page["index.html"].decode()).encode()
    files[_SETTINGS] = page_settings(bundle, graphs=graphs, webgpu=webgpu)
    return files | page


def _readme(manifest: Manifest, html: str) -> str:
    """Return how to serve the page, with its own policy as a header."""
    policy = html.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    return _README.format(title=manifest.title, name=manifest.name, version=manifest.version, policy=policy)


def _vendored(archive: bytes, names: dict[str, str]) -> dict[str, bytes]:
    """Return files of a package by the paths that the page has them under."""
    found = npm.members(archive, tuple(names))
    return {new: found[old] for old, new in names.items()}


def _licences() -> dict[str, bytes]:
    """Return licences that packages of npm leave out, from the packages of Python with the same libraries."""
    found: dict[str, bytes] = {}
    for distributions, name, new in _LICENCES:
        text = next(filter(None, (_licence(distribution, name) for distribution in distributions)), None)
        if text is None:
            raise UsageError(
                f"The licence of {distributions[-1]} ({name}) is not here; run pip install {distributions[-1]}."
            )
        found[new] = text.encode()
    return found


def _licence(distribution: str, name: str) -> str | None:
    """Return the text of a file that is installed with a distribution."""
    try:
        listed = files_of(distribution) or []
    except PackageNotFoundError:
        return None
    return next((path.read_text() for path in listed if path.name == name), None)


def _page() -> dict[str, bytes]:
    """Return the sources of the page; index.html comes last."""
    sources = [entry for entry in resources(__package__).joinpath("page").iterdir() if entry.name.endswith(_SOURCES)]
    sources.sort(key=lambda entry: (entry.name == "index.html", entry.name))
    return {entry.name: entry.read_bytes() for entry in sources}
