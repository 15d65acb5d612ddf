"""Who takes part: Photopeak at each admitted loss, and the runtimes that a user would take instead."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import UsageError

__all__ = ["PEERS", "Calls", "Contestant", "Loaded", "contestants", "from_text"]

Tensor = NDArray[np.float32]
Calls = Mapping[str, Callable[[], Mapping[str, Tensor]]]
STACK_BATCH = 16


class Loaded(Protocol):
    """A model in a library, in the process that runs it."""

    def calls(self, tensor: Tensor) -> Calls:
        """Return by name the functions to time, each running the whole tensor and returning outputs by name."""
        ...

    def sample(self, tensor: Tensor) -> Callable[[], Any]:
        """Return a function that runs one frame, which may be called in turns with those of other frames."""
        ...

    def facts(self, tensor: Tensor) -> dict[str, Any]:
        """Return what is worth keeping about how it runs, ready for JSON."""
        ...


@dataclass(frozen=True)
class Contestant:
    """A library in one of its modes.

    Parameters
    ----------
    name : str
        For tables.
    imports : tuple of str
        Modules that a user would import, of which the first start is measured.
    kind : str
        ``photopeak``, ``onnxruntime``, ``openvino``, ``torch`` or ``torch-compile``.
    precision : str
        Arithmetic; empty for Photopeak, whose plan says it.
    max_loss_db : float
        Of Photopeak: the loss admitted [dB].
    cold : bool
        Of Photopeak in the suite ``start``: whether each process finds an empty cache.
    """

    name: str
    imports: tuple[str, ...]
    kind: str
    precision: str = ""
    max_loss_db: float = 0.0
    cold: bool = False

    @property
    def ours(self) -> bool:
        """Whether it is Photopeak."""
        return self.kind == "photopeak"

    def check(self) -> str:
        """Return why it cannot take part here; empty if it can."""
        if missing := [name for name in self.imports if find_spec(name.partition(".")[0]) is None]:
            return f"{missing[0]} is not installed"
        if self.kind == "torch-compile":
            from ..peers.torch_models import missing_compiler

            return missing_compiler()
        return ""

    def adapt(self) -> None:
        """Import what of ours surrounds a peer's library, so that none of it is in the time of loading."""
        if not self.ours:
            self._library()

    def load(self, model: str, file: Path, threads: int) -> Loaded:
        """Return the model in this library; called in the process that runs it."""
        if self.ours:
            from .ours import PhotopeakContestant

            return PhotopeakContestant(model, threads, self.max_loss_db)
        return _Peer(self._library()(file, threads, self.precision), self.kind == "openvino")

    def text(self) -> str:
        """Return the contestant as text, for its process."""
        return json.dumps(self.__dict__)

    def _library(self) -> Callable[[Path, int, str], Any]:
        from ..peers.runtimes import OnnxRuntimePeer, OpenVinoPeer
        from ..peers.torch_models import TorchPeer

        libraries: dict[str, Callable[[Path, int, str], Any]] = {
            "onnxruntime": OnnxRuntimePeer,
            "openvino": OpenVinoPeer,
            "torch": TorchPeer,
            "torch-compile": partial(TorchPeer, compiled=True),
        }
        return libraries[self.kind]


PEERS = (
    Contestant("ONNX Runtime fp32", ("onnxruntime",), "onnxruntime", "fp32"),
    Contestant("OpenVINO fp32", ("openvino",), "openvino", "fp32"),
    Contestant("OpenVINO bf16", ("openvino",), "openvino", "bf16"),
    Contestant("PyTorch fp32", ("torch",), "torch", "fp32"),
    Contestant("PyTorch bf16", ("torch",), "torch", "bf16"),
    Contestant("torch.compile fp32", ("torch",), "torch-compile", "fp32"),
    Contestant("torch.compile bf16", ("torch",), "torch-compile", "bf16"),
)


def contestants(losses_db: list[float], kinds: list[str]) -> list[Contestant]:
    """Return Photopeak for each admitted loss, then peers of the kinds asked for, whether they can take part or not.

    Raises
    ------
    UsageError
        If there is no such kind.

    Examples
    --------
    >>> [one.name for one in contestants([0.05], ["openvino"])]
    ['Photopeak 0.05 dB', 'OpenVINO fp32', 'OpenVINO bf16']
    """
    known = dict.fromkeys(peer.kind for peer in PEERS)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise UsageError(f"There is no peer {unknown[0]!r}; choose from {', '.join(known)}.")
    ours = [
        Contestant(f"Photopeak {loss:g} dB", ("photopeak.engine.session",), "photopeak", max_loss_db=loss)
        for loss in losses_db
    ]
    return ours + [peer for peer in PEERS if peer.kind in kinds]


def from_text(text: str) -> Contestant:
    """Return what :meth:`Contestant.text` wrote."""
    fields = json.loads(text)
    return Contestant(**fields | {"imports": tuple(fields["imports"])})


class _Peer:
    """A peer's library: one call for a frame, several ways for a stack."""

    def __init__(self, library: Any, throughput: bool) -> None:
        self._library = library
        self._throughput = throughput

    def calls(self, tensor: Tensor) -> Calls:
        if len(tensor) == 1:
            return {"model": self._library.prepare(tensor, 1)}
        ways = {"frame by frame": 1, f"batches of {STACK_BATCH}": STACK_BATCH}
        if self._throughput:
            ways["throughput"] = 0
        return {name: self._library.prepare(tensor, batch) for name, batch in ways.items()}

    def sample(self, tensor: Tensor) -> Callable[[], Any]:
        prepared: Callable[[], Any] = self._library.prepare(tensor, 1)
        return prepared

    def facts(self, tensor: Tensor) -> dict[str, Any]:
        return {}
