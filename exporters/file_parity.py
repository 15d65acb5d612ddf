"""What a graph that was written computes in its own types, by the rules of ONNX and nobody's optimiser."""

from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from onnx.version_converter import convert_version

from ..engine.bundle import Bundle
from ..engine.head_fidelity import HEAD_TOLERANCES
from ..engine.plan import TOLERANCES
from ..engine.providers import Precision
from ..engine.session import load_for_images
from .markdown import markdown

__all__ = ["FileParity", "compare_file", "files_table"]

Tensor = NDArray[np.float32]
_QUANTISED_OPSET = 19


@dataclass(frozen=True, slots=True)
class FileParity:
    """How far a file is from the golden output of its bundle.

    Parameters
    ----------
    name : str
        The file.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic inside of it.
    difference : float
        Largest difference for the first golden frame, relative to the peak [1]; infinite where a value is no number.
    tolerance : float
        Largest difference that the precision explains [1].
    output : str
        Which output that is.
    """

    name: str
    precision: str
    difference: float
    tolerance: float
    output: str

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.difference <= self.tolerance


def compare_file(bundle: Bundle, name: str, data: bytes, precision: Precision, *, complete: bool = False) -> FileParity:
    """Run the first golden frame through a graph in the reference evaluator of ONNX, which keeps to the graph's types.

    Parameters
    ----------
    bundle : Bundle
        The model.
    name : str
        Of the file.
    data : bytes
        Serialised ONNX.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic inside of it.
    complete : bool
        Whether scaling and conservation are in the graph; it is then compared with what the engine gives.

    References
    ----------
    * ONNX, "Reference Implementation": each operator as its specification says.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> bundle = zoo.load_bundle("pet-sr-x2-srcnn")
    >>> compare_file(bundle, "model.onnx", bundle.model, "fp32").passed
    True
    """
    findings = bundle.manifest.analysis is not None
    frame = (bundle.golden_heads if findings else bundle.golden).input[:1]
    expected = _expected(bundle, frame, complete)
    evaluator = ReferenceEvaluator(_evaluable(onnx.load_model_from_string(data)))
    with np.errstate(all="ignore"):  # what overflows in few bits is seen in the difference
        found = evaluator.run(list(expected), {bundle.manifest.input.name: frame})
    differences = [
        (_difference(np.asarray(output), expected[head]), head) for head, output in zip(expected, found, strict=True)
    ]
    difference, output = max(differences)
    tolerance = (HEAD_TOLERANCES if findings else TOLERANCES)[precision]
    return FileParity(name, precision, difference, tolerance, output)


def files_table(files: tuple[FileParity, ...]) -> str:
    """Return the comparisons as a table, with a sentence on what they are."""
    rows = (
        (one.name, one.precision, f"{one.difference:.1e} ({one.output})", f"{one.tolerance:.0e}", _VERDICTS[one.passed])
        for one in files
    )
    text = "The files for the first golden frame, in the reference evaluator of ONNX, which keeps to the types of the graph.\n\n"
    return text + markdown(("file", "precision", "difference", "tolerance", ""), rows) + "\n"


_VERDICTS = {True: "within", False: "OUTSIDE"}


def _expected(bundle: Bundle, frame: Tensor, complete: bool) -> dict[str, Tensor]:
    """Return what the graph should give for a frame, by the names of its outputs."""
    manifest = bundle.manifest
    if manifest.analysis:
        return {head: tensor[:1] for head, tensor in bundle.golden_heads.heads.items()}
    if not complete:
        return {manifest.image_output.name: bundle.golden.output[:1]}
    session = load_for_images(bundle, device="cpu", precision="fp32", provider="onnxruntime")
    return {manifest.image_output.name: session.run(frame[:, 0]).frames.pixels[:, np.newaxis]}


def _evaluable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a graph whose operators of 8 bits the evaluator has: it knows them from opset 19 on, where they compute the same."""
    quantised = any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node)
    opset = next(entry.version for entry in model.opset_import if not entry.domain)
    return convert_version(model, _QUANTISED_OPSET) if quantised and opset < _QUANTISED_OPSET else model


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny)))
