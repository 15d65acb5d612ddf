"""Engines of a bundle for TensorRT and TensorRT-RTX, built beforehand."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..engine.bundle import Bundle
from ..engine.checked_graph import CheckedGraph
from ..engine.errors import UsageError
from ..engine.files import atomic_write
from ..engine.graph import check_graph
from ..engine.matrix import MatrixSize
from ..engine.precisions import Precision
from ..engine.providers.tensorrt.build import BuildOptions, Built, build
from ..engine.providers.tensorrt.cuda import device
from ..engine.providers.tensorrt.key import EngineKey, Profile, this_platform
from ..engine.providers.tensorrt.library import Library, find_library
from ..engine.providers.tensorrt.provider import driver_version, profile_of
from ..engine.providers.tensorrt.store import Record, write_engine

__all__ = ["CAPABILITIES", "MANIFEST", "MATRICES", "EngineFile", "EngineRequest", "build_engines", "working_matrices"]

# GeForce and workstation GPUs from Ampere on.
CAPABILITIES = ("SM86", "SM89", "SM120")
MATRICES = (MatrixSize(128, 128), MatrixSize(256, 256), MatrixSize(512, 512))
MANIFEST = "engines.json"


@dataclass(frozen=True)
class EngineRequest:
    """What engines to build of a bundle.

    Parameters
    ----------
    library : {"tensorrt-rtx", "tensorrt"}
        TensorRT builds for the GPU that is here, TensorRT-RTX for the `capabilities`, without any GPU.
    matrices : tuple of MatrixSize
        One optimisation profile each.
    precisions : tuple of str
        One engine each.
    capabilities : tuple of str
        Kinds of GPUs, such as ``SM89``; one engine serves all of them. Empty for TensorRT.
    most : int
        Frames of a run at most; 0 stands for as many as fill a GPU, which depends on the matrix. Engines are tuned for one.
    options : BuildOptions
        Memory, and kinds of engines.
    """

    library: str = "tensorrt-rtx"
    matrices: Sequence[MatrixSize] = MATRICES
    precisions: Sequence[Precision] = ("fp32", "fp16")
    capabilities: Sequence[str] = CAPABILITIES
    most: int = 0
    options: BuildOptions = field(default_factory=BuildOptions)


@dataclass(frozen=True, slots=True)
class EngineFile:
    """An engine that was written.

    Parameters
    ----------
    path : Path
        The engine; its record lies beside it, under the same name with ``.json``.
    record : Record
        What it is for, its digest and size, how long it took, and its layers.
    """

    path: Path
    record: Record


def build_engines(
    bundle: Bundle, out: Path, request: EngineRequest | None = None, *, tell: Callable[[str], None] | None = None
) -> tuple[EngineFile, ...]:
    """Build, look through and write engines of a bundle.

    Parameters
    ----------
    bundle : Bundle
        The model.
    out : Path
        Folder; gets an engine and its record for each precision, and ``engines.json`` with the digests of all.
    request : EngineRequest, optional
        What to build.
    tell : callable, optional
        Told in words what is being done.

    Returns
    -------
    tuple of EngineFile
        One for each precision. Every layer computes in the asked type.

    Raises
    ------
    ModelError
        If the library does not take the graph, or built something else than was asked for.
    DeviceError
        If the library is not installed, or needs a GPU that is not here.
    UsageError
        If the library has no such precision, capability or engine.
    """
    request = request or EngineRequest()
    library = find_library(request.library)
    _require_offered(library, request)
    files = []
    for precision in dict.fromkeys(request.precisions):
        if tell:
            tell(f"building the {precision} engine")
        graph = check_graph(bundle, precision)
        key = _key(bundle, graph.data, precision, library, request)
        built = _built(graph, key, library, request)
        stem = _stem(bundle, key)
        files.append(EngineFile(out / f"{stem}.engine", write_engine(out, stem, built)))
    _write_manifest(bundle, out, files)
    return tuple(files)


def working_matrices(bundle: Bundle, matrices: Sequence[MatrixSize]) -> tuple[MatrixSize, ...]:
    """Return what the graph sees of frames of these sizes: padded to its multiple, or the model's own grid.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> working_matrices(zoo.load_bundle("cxr-view"), MATRICES)
    (MatrixSize(rows=64, columns=64),)
    """
    taken = bundle.manifest.input
    if taken.grid and taken.grid.side:
        return (MatrixSize(taken.grid.side, taken.grid.side),)
    return tuple(
        dict.fromkeys(
            MatrixSize(*(-(-size // taken.multiple) * taken.multiple for size in matrix)) for matrix in matrices
        )
    )


def _require_offered(library: Library, request: EngineRequest) -> None:
    if request.most < 0:
        raise UsageError(f"most={request.most} makes no sense; use 1 or more frames, or 0.")
    if not request.matrices or not request.precisions:
        raise UsageError("engines are built for matrix sizes and precisions; name at least one of each.")
    for precision in request.precisions:
        if precision not in library.precisions:
            raise UsageError(f"{library.title} takes no {precision} graphs; use {', '.join(library.precisions)}.")
    if library.is_portable and not request.capabilities:
        raise UsageError(f"name the GPUs to build for; {library.title} has {', '.join(library.capabilities)}.")
    if request.capabilities and not library.is_portable:
        raise UsageError(f"{library.title} builds for the GPU that is here; leave the kinds of GPUs out.")
    for capability in request.capabilities:
        if capability not in library.capabilities:
            raise UsageError(f"{library.title} does not build for {capability}; use {', '.join(library.capabilities)}.")


def _key(bundle: Bundle, graph: bytes, precision: Precision, library: Library, request: EngineRequest) -> EngineKey:
    where: dict[str, Any] = {"capabilities": tuple(request.capabilities)}
    if not library.is_portable:
        library.load()
        here = device(0)
        where = {"capabilities": (here.capability,), "gpu": here.name, "driver": driver_version()}
    return EngineKey(
        bundle=bundle.digest,
        graph=hashlib.sha256(graph).hexdigest(),
        precision=precision,
        profiles=tuple(
            Profile(rows=rows, columns=columns, most=request.most or profile_of((2, 1, rows, columns)).most)
            for rows, columns in working_matrices(bundle, request.matrices)
        ),
        library=library.name,
        version=library.version(),
        **where,
        platform=this_platform(),
        refit=request.options.refit,
        version_compatible=request.options.version_compatible,
    )


def _built(graph: CheckedGraph, key: EngineKey, library: Library, request: EngineRequest) -> Built:
    if library.is_portable:
        return build(graph, key, library, request.options)
    with device(0).active():
        return build(graph, key, library, request.options)


def _stem(bundle: Bundle, key: EngineKey) -> str:
    """Return a name for people; what counts is the key in the record."""
    matrices = "-".join(f"{profile.rows}x{profile.columns}" for profile in key.profiles)
    return "-".join([bundle.name, key.precision, *map(str.lower, key.capabilities), matrices])[:160]


def _write_manifest(bundle: Bundle, out: Path, files: Sequence[EngineFile]) -> None:
    engines = {file.path.name: file.record.sha256 for file in files}
    manifest = {"format": 1, "model": bundle.name, "bundle": bundle.digest, "engines": engines}
    with atomic_write(out / MANIFEST) as file:
        file.write(json.dumps(manifest, indent=1).encode())
