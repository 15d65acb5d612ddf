"""Export a PyTorch network to an ONNX graph that every provider runs."""

import warnings
from collections import Counter
from typing import Any

import onnx
import torch

OPSET = 18
IR_VERSION = 10
SIDE = 64


def to_onnx(net: torch.nn.Module, multiple: int) -> bytes:
    """Export a network that maps counts to an image.

    Parameters
    ----------
    net : torch.nn.Module
        In evaluation mode; input (n, 1, h, w) float32, output (n, 1, s * h, s * w).
    multiple : int
        Sides that the network accepts are multiples of this.

    Returns
    -------
    bytes
        A checked ONNX model: opset 18, input ``counts``, output ``image``, dynamic n, h and w, weights inside,
        no metadata of the exporting machine.

    Raises
    ------
    ValueError
        If the graph needs operators outside the standard domain or keeps data outside the file.
    """
    dim = torch.export.Dim
    shapes = (
        {
            0: dim("n", min=1, max=4096),
            2: multiple * dim("h", min=2, max=8192),
            3: multiple * dim("w", min=2, max=8192),
        },
    )
    example = torch.ones(2, 1, SIDE, SIDE + 2 * multiple)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own future
        program = torch.onnx.export(
            net,
            (example,),
            opset_version=OPSET,
            input_names=["counts"],
            output_names=["image"],
            dynamic_shapes=shapes,
            dynamo=True,
            optimize=True,
            verbose=False,
        )
    if program is None:
        raise ValueError("torch.onnx returned no program, check the torch and onnxscript versions")
    model = _clean(program.model_proto)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def operators(model: bytes) -> Counter[str]:
    """Count the operators of a graph.

    Parameters
    ----------
    model : bytes
        A serialised ONNX model.

    Returns
    -------
    Counter
        Number of nodes by operator.
    """
    return Counter(node.op_type for node in onnx.load_from_string(model).graph.node)


def _clean(model: Any) -> Any:
    """Keep the graph and drop what only describes the export; refuse what other runtimes lack."""
    foreign = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if foreign or model.functions:
        raise ValueError(
            f"the graph uses operators of the domains {sorted(foreign)}, express the network in standard ones"
        )
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
        raise ValueError("the graph keeps weights outside the file, export it with embedded weights")
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "photopeak", "", ""
    del model.metadata_props[:]
    for part in (
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ):
        part.doc_string = ""
        del part.metadata_props[:]
    del model.graph.value_info[:]
    kept = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for value, names in ((model.graph.input[0], ("n", "h", "w")), (model.graph.output[0], ("n", "out_h", "out_w"))):
        for axis, name in zip((0, 2, 3), names, strict=True):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    return model
