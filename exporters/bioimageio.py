"""A bioimage.io package made from a bundle, for Fiji with deepImageJ and everything else that reads model 0.5.

The package holds a complete graph (see :mod:`photopeak.exporters.complete_graph`): physical values in, physical values out. Its
test tensors come from the engine, so that the package's own test holds the graph to it.
"""

import gc
import io
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from ..engine.bundle import Bundle
from ..engine.errors import InputError, ModelError, UsageError
from ..engine.files import atomic_write
from ..engine.session import load_for_images
from .bioimageio_axes import example_frame, input_tensor, output_tensor, takes_whole_planes
from .bioimageio_text import citations, cover, description, documentation, title
from .complete_graph import complete_graph
from .new_folder import new_folder, require_new
from .older_opset import in_older_opset

__all__ = ["AUTHORS", "package", "require_bioimageio", "write_bioimageio"]

Tensor = NDArray[np.float32]
AUTHORS = ("Photopeak developers",)
_GRAPH, _COVER, _TEXT = "model.onnx", "cover.png", "README.md"


def require_bioimageio() -> None:
    """Refuse to begin where the packages of bioimage.io are missing.

    Raises
    ------
    UsageError
        If one is not installed.
    """
    missing = [name for name in ("bioimageio.spec", "bioimageio.core") if not _installed(name)]
    if missing:
        names = " and ".join(missing)
        raise UsageError(f"bioimage.io packages need {names}, not installed here: pip install 'photopeak[bioimageio]'.")


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False


def write_bioimageio(
    bundle: Bundle,
    output: Path,
    *,
    authors: Sequence[str] = AUTHORS,
    tell: Callable[[str], None] = lambda doing: None,
) -> Path:
    """Write a package that ``bioimageio.spec`` finds valid and whose test ``bioimageio.core`` has run.

    Parameters
    ----------
    bundle : Bundle
        The model.
    output : Path
        A file that ends in .zip, or a folder that is not there yet or empty.
    authors : sequence of str
        Names of those who made the model.
    tell : callable
        Told what is being done.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    UsageError
        If ``bioimageio.spec`` or ``bioimageio.core`` is not installed.
    InputError
        If the place is taken or cannot be written to.
    ModelError
        If the package is not valid, or its test fails.

    References
    ----------
    * bioimage.io model description 0.5, github.com/bioimage-io/spec-bioimage-io.
    """
    require_bioimageio()
    if output.suffix.lower() != ".zip":
        with new_folder(output) as folder:
            package(bundle, folder, authors, tell)
        return output
    require_new(output)
    with tempfile.TemporaryDirectory(prefix="photopeak-") as scratch:
        made = Path(scratch) / "package"
        made.mkdir()
        package(bundle, made, authors, tell)
        archive = Path(shutil.make_archive(str(Path(scratch) / "archive"), "zip", made))
        try:
            with atomic_write(output, replace=False) as file:
                file.write(archive.read_bytes())
        except OSError as error:
            raise InputError(f"{output}: cannot be written ({error.strerror}); choose another place.") from error
    return output


def package(
    bundle: Bundle,
    folder: Path,
    authors: Sequence[str] = AUTHORS,
    tell: Callable[[str], None] = lambda doing: None,
) -> Path:
    """Make a package in a folder, validate it and run its test.

    Parameters
    ----------
    bundle : Bundle
        The model.
    folder : Path
        Where it will lie; empty.
    authors : sequence of str
        Names of those who made the model.
    tell : callable
        Told what is being done.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the package is not valid, or its test fails.
    """
    with _quiet(), tempfile.TemporaryDirectory(prefix="photopeak-") as scratch:
        from bioimageio.spec import save_bioimageio_package_as_folder

        tell("describing it")
        described = _describe(bundle, Path(scratch), authors)
        save_bioimageio_package_as_folder(described, output_path=folder)
        tell("running its test")
        _check(bundle, folder)
    return folder


def _check(bundle: Bundle, folder: Path) -> None:
    """Read a package back and run its test."""
    from bioimageio.core import test_model
    from bioimageio.spec import InvalidDescr, load_description

    found = load_description(folder / "rdf.yaml", format_version="latest")
    if isinstance(found, InvalidDescr):
        problems = _problems(found.validation_summary)
        raise ModelError(f"{bundle.name}: bioimageio.spec refuses the package ({problems}); export the bundle again.")
    summary = test_model(found, weight_format="onnx", devices=["CPUExecutionProvider"])  # type: ignore[arg-type]
    if summary.status != "passed":  # "valid-format" is that of a valid package whose test fails
        raise ModelError(
            f"{bundle.name}: the test of bioimageio.core fails ({_problems(summary)}); 'photopeak validate' checks the bundle."
        )


def _describe(bundle: Bundle, folder: Path, authors: Sequence[str]) -> Any:
    """Return the description of a package whose files are written to a folder here."""
    from bioimageio.spec.model import v0_5 as spec

    manifest, graph = bundle.manifest, in_older_opset(complete_graph(bundle), bundle.name)
    frame = example_frame(bundle)
    tensors = _outputs(bundle, frame)
    _write(folder, bundle, graph, {"input": frame, **tensors})
    opset = next(entry.version for entry in onnx.load_model_from_string(graph).opset_import if entry.domain == "")
    try:
        return spec.ModelDescr(
            name=title(bundle),
            description=description(bundle),
            authors=[spec.Author(name=author) for author in authors],
            cite=[spec.CiteEntry(text=text, doi=spec.Doi(doi)) for text, doi in citations(bundle)],
            license=manifest.licence,  # type: ignore[arg-type]
            covers=[spec.FileDescr(source=folder / _COVER)],
            documentation=spec.FileDescr(source=folder / _TEXT),
            tags=["nuclear-medicine", manifest.task, *manifest.modalities, "2d", "deepimagej", "fiji", "onnx"],
            version=spec.Version(manifest.version),
            timestamp=f"{manifest.training.date}T00:00:00+00:00",  # type: ignore[arg-type]
            inputs=[input_tensor(bundle, folder / "test_input.npy", frame)],
            outputs=[output_tensor(bundle, name, folder / f"test_{name}.npy", frame, t) for name, t in tensors.items()],
            weights=spec.WeightsDescr(
                onnx=spec.OnnxWeightsDescr(source=folder / _GRAPH, opset_version=opset),
            ),
            config=spec.Config.model_validate(_config(bundle)),
        )
    except ValueError as error:  # pydantic's, with some lines for each problem
        raise ModelError(
            f"{bundle.name}: bioimageio.spec refuses it ({' '.join(str(error).split())[:400]}); correct the manifest."
        ) from error


def _config(bundle: Bundle) -> dict[str, Any]:
    """Return what deepImageJ reads besides, and where the package comes from."""
    return {
        "deepimagej": {"allow_tiling": not takes_whole_planes(bundle), "pyramidal_model": False, "prediction": {}},
        "photopeak": {"bundle": bundle.name, "digest": bundle.digest},
    }


def _outputs(bundle: Bundle, frame: Tensor) -> dict[str, Tensor]:
    """Return what the package must give for the test frame: the golden heads, or what the engine makes of it as ``output``."""
    if bundle.manifest.analysis:
        return {name: tensor[:1] for name, tensor in bundle.golden_heads.heads.items()}
    session = load_for_images(bundle, device="cpu", precision="fp32", provider="onnxruntime")
    return {"output": session.run(frame[:, 0]).frames.pixels[:, np.newaxis]}


def _write(folder: Path, bundle: Bundle, graph: bytes, tensors: Mapping[str, Tensor]) -> None:
    contents = {_GRAPH: graph, _COVER: cover(tensors), _TEXT: documentation(bundle).encode()}
    for name, tensor in tensors.items():
        buffer = io.BytesIO()
        np.save(buffer, tensor, allow_pickle=False)
        contents[f"test_{name}.npy"] = buffer.getvalue()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def _problems(summary: Any) -> str:
    """Return the errors of a validation, in one line."""
    found = [error.msg for detail in summary.details for error in detail.errors]
    return " ".join("; ".join(found).split())[:600] or str(summary.status)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the packages' own log and warnings off standard error while the block runs; failures are raised as errors."""
    from loguru import logger

    names = ("bioimageio.spec", "bioimageio.core")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            logger.disable(name)
        try:
            yield
        finally:
            # They leave files open, which would be warned of whenever Python comes to collect them.
            gc.collect()
            for name in names:
                logger.enable(name)
