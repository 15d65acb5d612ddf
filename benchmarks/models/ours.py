"""Photopeak as a contestant: the plan that it chooses or that its tuner stored, the graph alone and the whole session."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.analysis.session import AnalysisSession
from ...engine.bundle import Bundle
from ...engine.frames import Frames
from ...engine.matrix import MatrixSize
from ...engine.plan import Plan, Request
from ...engine.planner import TunedPlanner
from ...engine.providers import Runnable
from ...engine.session import Session
from ...engine.zoo import load_bundle

__all__ = ["PhotopeakContestant"]

Tensor = NDArray[np.float32]
Outputs = Mapping[str, Tensor]


class PhotopeakContestant:
    """A session on the CPU.

    Its call ``model`` is the graph alone, as peers run it, from a tensor to a tensor; with a plan that cuts frames into tiles it
    is the session, whose tiles no peer has. ``session`` begins with pixels and ends with a result.

    Parameters
    ----------
    model : str
        Name or folder of the bundle.
    threads : int
        Threads of one run.
    max_loss_db : float
        Loss admitted [dB].
    """

    def __init__(self, model: str, threads: int, max_loss_db: float) -> None:
        bundle = load_bundle(model)
        request = Request(device="cpu", threads=threads, max_loss_db=max_loss_db)
        self._planner = TunedPlanner(bundle, request)
        kind = AnalysisSession if bundle.manifest.analysis else Session
        self._session = kind(bundle, *self._planner.first(), self._planner)

    def calls(self, tensor: Tensor) -> dict[str, Callable[[], Outputs]]:
        """Return the graph alone and the session."""
        session = self._session
        plan, runnable = self._planned(tensor)
        if isinstance(session, AnalysisSession):
            return {"model": lambda: runnable.heads(tensor)}
        whole = self._whole(session, tensor)
        tiled = 0 < plan.tile < max(tensor.shape[2:])
        return {"model": whole if tiled else self._bare(session.bundle, tensor, plan.batch, runnable), "session": whole}

    def sample(self, tensor: Tensor) -> Callable[[], Any]:
        """Return the session on one frame: what it copies for a new one is part of the time."""
        session = self._session
        return self.calls(tensor)["model"] if isinstance(session, AnalysisSession) else self._whole(session, tensor)

    def facts(self, tensor: Tensor) -> dict[str, Any]:
        """Return the plan for these frames."""
        plan, _ = self._planned(tensor)
        return {"plan": {name: value for name, value in asdict(plan).items() if isinstance(value, str | int | float)}}

    def _planned(self, tensor: Tensor) -> tuple[Plan, Runnable]:
        return self._planner(MatrixSize(*tensor.shape[2:]), len(tensor))

    def _bare(self, bundle: Bundle, tensor: Tensor, batch: int, runnable: Runnable) -> Callable[[], Outputs]:
        name, scale = bundle.manifest.image_output.name, bundle.manifest.image_output.scale
        lane = runnable.lane()
        parts = [np.ascontiguousarray(tensor[first : first + batch]) for first in range(0, len(tensor), batch)]
        if len(parts) == 1:
            return lambda: {name: lane.run(parts[0])}
        n, channels, rows, columns = tensor.shape
        output = np.empty((n, channels, scale * rows, scale * columns), np.float32)
        # A lane knows a tensor by its memory: one buffer for all batches is what a session stages into.
        staging = {len(part): np.empty_like(part) for part in parts}

        def run() -> Outputs:
            for index, part in enumerate(parts):
                buffer = staging[len(part)]
                buffer[...] = part
                output[index * batch : index * batch + len(part)] = lane.run(buffer)
            return {name: output}

        return run

    def _whole(self, session: Session, tensor: Tensor) -> Callable[[], Outputs]:
        manifest = session.bundle.manifest
        frames = Frames.from_array(tensor[:, 0], units=manifest.input.units, modality=manifest.modalities[0])
        return lambda: {manifest.image_output.name: session.run(frames).frames.pixels[:, np.newaxis]}
