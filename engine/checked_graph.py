"""What providers take: a graph that was checked."""

from dataclasses import dataclass, field

from .precisions import Precision

__all__ = ["CheckedGraph"]


@dataclass(frozen=True, slots=True)
class CheckedGraph:
    """A graph that is harmless and as its manifest says; made by :func:`~photopeak.engine.graph.check_graph` alone.

    Parameters
    ----------
    name : str
        The model's name, for messages.
    data : bytes
        The graph, serialised anew from the fields that were checked.
    input : str
        Name of the only input.
    outputs : tuple of str
        Names of the outputs: one image, or the heads of a model of findings in the manifest's order.
    scale : int
        Magnification of rows and columns; 0 for heads, which have sizes of their own.
    operators : tuple of str
        Kinds of operators used, sorted.
    precision : {"fp32", "bf16", "fp16", "int8"}
        Arithmetic that the graph itself fixes; its border is float32 in each of them.
    bundle : str
        Digest of the bundle that it comes from.
    multiple : int
        Rows and columns of what it takes are multiples of this [px].
    """

    name: str
    data: bytes = field(repr=False)
    input: str
    outputs: tuple[str, ...]
    scale: int
    operators: tuple[str, ...]
    precision: Precision = "fp32"
    bundle: str = ""
    multiple: int = 1

    @property
    def output(self) -> str:
        """Name of the first output, the only one of a model that gives images."""
        return self.outputs[0]
