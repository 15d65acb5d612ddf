"""A bundle's graph as ONNX files that say what they are, with a report on their parity."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from ..engine.bundle import Bundle
from ..engine.cli.console import plain
from ..engine.errors import ModelError, UsageError
from ..engine.graph import check_graph
from ..engine.providers import Precision
from .complete_graph import complete_graph
from .file_parity import FileParity, compare_file, files_table
from .new_folder import new_folder
from .provider_parity import Parity, compare_providers

__all__ = ["Exported", "export_onnx", "facts", "graph_file"]


@dataclass(frozen=True)
class Exported:
    """What :func:`export_onnx` wrote.

    Parameters
    ----------
    folder : Path
        Where it lies.
    graphs : dict of str to Path
        The graph of each precision.
    files : tuple of FileParity
        What each of them computes in its own types.
    parity : Parity
        What every provider of this machine makes of the bundle.
    """

    folder: Path
    graphs: dict[str, Path]
    files: tuple[FileParity, ...]
    parity: Parity

    def found(self) -> dict[str, Any]:
        """Return everything for programs."""
        files = [asdict(one) | {"passed": one.passed} for one in self.files]
        return {"graphs": self.graphs, "digest": self.parity.digest, "files": files, "parity": asdict(self.parity)}

    def summary(self) -> str:
        """Return one sentence for people."""
        compared = len(self.files) + len(self.parity.ran)
        # Of precisions that were not written: the others were an error.
        failed = len(self.parity.failed)
        verdict = "all within their tolerance" if not failed else f"{failed} OUTSIDE of their tolerance"
        return f"{compared} files, providers and precisions compared with the golden output, {verdict}; see parity.md."


def facts(bundle: Bundle) -> dict[str, str]:
    """Return what another runtime must know about a graph, by name.

    Parameters
    ----------
    bundle : Bundle
        The model.

    Returns
    -------
    dict of str to str
        Identity, units, what happens before and after the graph, and of models that give findings how heads are read.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> found = facts(zoo.load_bundle("pet-denoise"))
    >>> found["photopeak.scaling"], found["photopeak.conserve"]
    ('robust', 'mean')
    """
    manifest = bundle.manifest
    taken, kept, analysis = manifest.input, manifest.output, manifest.analysis
    found: dict[str, object] = {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title,
        "task": manifest.task,
        "licence": manifest.licence,
        "digest": bundle.digest,
        "modalities": ", ".join(manifest.modalities),
        "units": taken.units,
        "scaling": taken.scaling,
        "multiple": taken.multiple,
        "overlap": taken.overlap,
    }
    if kept:
        found |= {"scale": kept.scale, "conserve": kept.conserve}
    if analysis:
        found |= {"labels": ", ".join(analysis.labels), "threshold": analysis.threshold}
        found |= {"temperature": analysis.temperature, "channels": ", ".join(taken.channels)}
    if taken.grid:
        found |= {f"grid.{key}": value for key, value in taken.grid.model_dump(exclude_none=True).items()}
    return {f"photopeak.{key}": str(value) for key, value in found.items()}


def graph_file(bundle: Bundle, precision: Precision = "fp32", *, complete: bool = False) -> bytes:
    """Return the graph of a precision with the manifest's facts as metadata.

    Parameters
    ----------
    bundle : Bundle
        The model.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic inside of the graph; input and outputs are float32 in any case.
    complete : bool
        Put scaling before the network and conservation after it into the graph, see :func:`.complete_graph.complete_graph`.

    Returns
    -------
    bytes
        Serialised ONNX. Padding to multiples stays outside in any case.

    Raises
    ------
    ModelError
        If the graph is not as the manifest says, or the bundle has none of this precision.
    UsageError
        If a complete graph is asked for in another precision than fp32.
    """
    if complete and precision != "fp32":
        raise UsageError(f"the complete graph is one of fp32, not of {precision}: sums and percentiles need it.")
    data = complete_graph(bundle) if complete else check_graph(bundle, precision).data
    model = onnx.load_model_from_string(data)
    model.doc_string = f"{bundle.manifest.title}. For research; not for diagnosis."
    added = {"photopeak.complete": str(complete).lower(), "photopeak.precision": precision}
    helper.set_model_props(model, facts(bundle) | added)
    return bytes(model.SerializeToString(deterministic=True))


def export_onnx(
    bundle: Bundle,
    output: Path,
    *,
    precisions: Sequence[Precision] = ("fp32",),
    complete: bool = False,
    tell: Callable[[str], None] = lambda doing: None,
) -> Exported:
    """Write graphs, and a report on what every provider and precision of this machine makes of the golden input.

    Parameters
    ----------
    bundle : Bundle
        The model.
    output : Path
        A folder that is not there yet, or empty: ``model.onnx``, ``model.PRECISION.onnx`` for each precision but fp32,
        ``parity.json``, ``parity.md`` and the model card ``card.md``.
    precisions : sequence of {"fp32", "bf16", "fp16", "int8"}
        Graphs to write.
    complete : bool
        See :func:`graph_file`.
    tell : callable
        Told what is being done.

    Returns
    -------
    Exported
        The files and the report.

    Raises
    ------
    InputError
        If the place is taken or cannot be written to.
    ModelError
        If the graph is not as the manifest says, the bundle has none of a precision, or a graph that was written, or what a
        provider makes of the bundle in its precision, is farther from the golden output than the precision explains.
    UsageError
        As in :func:`graph_file`.
    """
    with new_folder(output) as folder:
        graphs, files = {}, []
        for precision in precisions:
            tell(f"writing the graph in {precision}, and running it")
            name = "model.onnx" if precision == "fp32" else f"model.{precision}.onnx"
            data = graph_file(bundle, precision, complete=complete)
            (folder / name).write_bytes(data)
            graphs[str(precision)] = output / name
            files.append(compare_file(bundle, name, data, precision, complete=complete))
        made = Exported(output, graphs, tuple(files), compare_providers(bundle, tell=tell))
        _require_parity(made)
        stored = {name: made.found()[name] for name in ("digest", "files", "parity")}
        (folder / "parity.json").write_text(json.dumps(plain(stored), indent=2) + "\n", encoding="utf-8")
        text = f"{made.parity.markdown()}\n{files_table(made.files)}"
        (folder / "parity.md").write_text(text, encoding="utf-8")
        (folder / "card.md").write_text(bundle.card, encoding="utf-8")
    return made


def _require_parity(made: Exported) -> None:
    """Refuse graphs whose output is not that of the bundle; what a provider makes of other precisions is for the report."""
    outside = [(one.name, one.difference, one.tolerance) for one in made.files if not one.passed]
    for one in made.parity.failed:
        if one.precision in made.graphs and one.difference is not None:
            outside.append((f"{one.provider} {one.precision} on {one.device}", one.difference, one.tolerance))
    if outside:
        words = "; ".join(f"{name} by {far:.1e} of the peak, {near:.0e} are admitted" for name, far, near in outside)
        raise ModelError(
            f"{made.parity.model}: what was exported differs from the golden output ({words}), so nothing was written; "
            f"'photopeak validate' tells whether the bundle is whole, else leave out that precision."
        )
