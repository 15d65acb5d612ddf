"""How large engines of TensorRT-RTX are, how long their building takes, and what they are made of."""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...engine.bundle import Bundle
from ...engine.errors import ModelError
from ...engine.matrix import MatrixSize
from ...engine.precisions import Precision
from ...engine.processors import available_processors
from ...engine.providers.tensorrt import TENSORRT_RTX
from ...engine.providers.tensorrt.layers import Layer, is_convolution
from ...engine.providers.tensorrt.store import Record
from ..markdown import markdown
from ..tensorrt import CAPABILITIES, EngineRequest, build_engines, working_matrices

__all__ = ["PRECISIONS", "Measured", "as_markdown", "measure"]

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
_HEAD = """# Engines of TensorRT-RTX

Written by `photopeak study engines -o exporters`; a test of the suite builds the same engines wherever the library is installed.
TensorRT-RTX {version}, {system}, no GPU: engines are compiled ahead of time here and finished on
the GPU that runs them. How fast they run was not measured.

Each engine is for one matrix size, takes up to a million pixels (at most 64 frames) at once and is tuned for one frame. A cell gives
the engine's size and the wall time of one build. The last column is a single engine for all kinds of GPUs. Models of findings
that work on a grid of their own have one row."""
# Every kind of GPU alone, and one engine for all of them.
_COLUMNS = (*((capability,) for capability in CAPABILITIES), CAPABILITIES)


@dataclass(frozen=True, slots=True)
class Measured:
    """One engine, or why there is none.

    Parameters
    ----------
    model : str
        Name of the bundle.
    precision : str
        Arithmetic of its graph.
    matrix : MatrixSize
        What the graph sees.
    capabilities : tuple of str
        Kinds of GPUs that the engine is for.
    record : Record or None
        Size, build time and layers.
    problem : str
        Why the library built nothing; else empty.
    """

    model: str
    precision: Precision
    matrix: MatrixSize
    capabilities: tuple[str, ...]
    record: Record | None
    problem: str = ""


def measure(
    bundles: Iterable[Bundle],
    matrices: Sequence[MatrixSize],
    folder: Path,
    tell: Callable[[str], None] | None = None,
) -> list[Measured]:
    """Build every engine of the tables.

    Parameters
    ----------
    bundles : iterable of Bundle
        Models.
    matrices : sequence of MatrixSize
        Sizes of frames.
    folder : Path
        Where engines are written.
    tell : callable, optional
        Told what was built.

    Returns
    -------
    list of Measured
        For each bundle, precision, matrix and column.
    """
    found = []
    for bundle in bundles:
        for matrix in working_matrices(bundle, matrices):
            for precision in PRECISIONS:
                for capabilities in _COLUMNS:
                    found.append(_measured(bundle, precision, matrix, capabilities, folder))
                if tell:
                    tell(f"{bundle.name} {matrix} {precision}")
    return found


def as_markdown(found: Sequence[Measured]) -> str:
    """Return the document."""
    lines = [_HEAD.format(version=TENSORRT_RTX.version(), system=_system())]
    for precision in PRECISIONS:
        rows = _rows([one for one in found if one.precision == precision])
        lines += ["", f"## {precision}", "", markdown(("model", "matrix", *(" + ".join(c) for c in _COLUMNS)), rows)]
    lines += ["", "## Layers", "", *_words_on_layers(), "", markdown(_LAYER_HEAD, _layer_rows(found))]
    refused = {(one.model, one.precision): one.problem for one in found if one.problem}
    if refused:
        lines += ["", "## What the library does not build", ""]
        lines += [f"* {model} in {precision}: {problem}" for (model, precision), problem in refused.items()]
    return "\n".join(lines) + "\n"


_LAYER_HEAD = ("model", "precision", "layers", "convolutions", "they compute in", "other layers")


def _words_on_layers() -> list[str]:
    return [
        "As the builder reports them, of the engine for all kinds of GPUs at the first matrix size. Every convolution computes in the type",
        "that the graph gives it (in bf16 those of few channels stay float32), no layer is a plug-in, and no operator is left to",
        "anything but the engine: an engine that is otherwise is an error.",
    ]


def _system() -> str:
    return f"{platform.system()} {platform.machine()}, {available_processors()} processors"


def _measured(
    bundle: Bundle, precision: Precision, matrix: MatrixSize, capabilities: tuple[str, ...], folder: Path
) -> Measured:
    request = EngineRequest(matrices=(matrix,), precisions=(precision,), capabilities=capabilities)
    try:
        (file,) = build_engines(bundle, folder, request)
    except ModelError as error:
        return Measured(bundle.name, precision, matrix, capabilities, None, _short(str(error)))
    return Measured(bundle.name, precision, matrix, capabilities, file.record)


def _rows(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    cells = {(one.model, one.matrix, one.capabilities): _cell(one.record) for one in found}
    keys = dict.fromkeys((one.model, one.matrix) for one in found)
    return [(model, str(matrix), *(cells[model, matrix, column] for column in _COLUMNS)) for model, matrix in keys]


def _cell(record: Record | None) -> str:
    return f"{record.size / 1e6:.2f} MB, {record.seconds:.2f} s" if record else "none"


def _layer_rows(found: Sequence[Measured]) -> list[tuple[str, ...]]:
    first: dict[tuple[str, str], Measured] = {}
    for one in found:
        if one.capabilities == CAPABILITIES:
            first.setdefault((one.model, one.precision), one)
    return [(model, precision, *_counted(one.record)) for (model, precision), one in first.items()]


def _counted(record: Record | None) -> tuple[str, ...]:
    if record is None:
        return ("none", "", "", "")
    convolutions = [layer for layer in record.layers if is_convolution(layer)]
    types = sorted({kind for layer in convolutions for kind in layer.inputs})
    return str(len(record.layers)), str(len(convolutions)), ", ".join(types), _kinds(record.layers)


def _kinds(layers: Sequence[Layer]) -> str:
    counts = Counter(layer.kind for layer in layers if not is_convolution(layer))
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _short(problem: str) -> str:
    """Return what the library says, without the expression that it quotes at length."""
    return problem.partition(": ")[2].split(" | ")[0].split("-(")[0].rstrip("-") + (" ..." if " | " in problem else "")
