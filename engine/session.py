"""A bundle prepared to run many times, from any number of threads."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import domain, frame_operations, postprocess
from .bundle import Bundle
from .errors import DeviceError, InputError, ModelError, PhotopeakError
from .frames import Frames, Units
from .matrix import MatrixSize
from .plan import Plan, Request, choose
from .processors import available_processors
from .providers import Lane, Runnable
from .result import Result
from .tiling import Tiling
from .zoo import load_bundle

__all__ = ["Progress", "Session", "load"]

Progress = Callable[[int, int], None]
"""Called with the frames done and the frames in all."""


def load(
    model: str | Path | Bundle,
    *,
    device: str = "auto",
    precision: str = "auto",
    provider: str = "auto",
    threads: int = 0,
    max_loss_db: float = 0.05,
    digest: str = "",
) -> "Session":
    """Return a session for a model that ships or for a bundle of your own.

    Parameters
    ----------
    model : str, Path or Bundle
        Name such as ``scint-denoise``, a bundle's folder, or a bundle that is open already.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. Asking for ``cuda`` where it cannot run is an error.
    precision : str
        ``auto``, ``fp32``, ``bf16`` or ``fp16``.
    provider : str
        ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt``, ``openvino`` or ``reference``.
    threads : int
        Threads of one run; 0 stands for all processors that this process may use.
    max_loss_db : float
        A precision below fp32 is taken only when it loses at most this much PSNR on the golden frames [dB].

    digest : str
        The bundle's SHA-256 that you rely on; another bundle, of whatever name, is refused. Empty: any.

    Returns
    -------
    Session
        Ready to run; its ``plan`` says what was chosen and why.

    Raises
    ------
    ModelError
        If the bundle is damaged or no precision keeps the fidelity.
    DeviceError
        If nothing that was asked for runs here; the message gives the reasons.

    Examples
    --------
    >>> session = load("scint-denoise", device="cpu", precision="fp32", threads=1)
    >>> frame = np.random.default_rng(0).poisson(4.0, (64, 64))
    >>> result = session.run(frame)
    >>> result.frames.pixels.shape
    (1, 64, 64)
    >>> bool(abs(result.conservation.bias[0]) < 1e-5)
    True
    """
    request = Request(device, precision, provider, threads, max_loss_db)
    bundle = model if isinstance(model, Bundle) else load_bundle(model)
    if digest and bundle.digest != digest.lower():
        raise ModelError(f"{bundle.folder} has the digest {bundle.digest} and not {digest}; get the right bundle.")
    plan, runnable = choose(bundle, request)
    return Session(bundle, plan, runnable)


@dataclass(eq=False)
class _Workspace:
    """What one call at a time owns: a lane and the staging buffers for the shapes seen last."""

    lane: Lane
    staging: dict[tuple[int, ...], NDArray[np.float32]]

    def tensor(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return the staging buffer of this shape; the same one each time, so that nothing is bound anew."""
        if shape not in self.staging:
            if len(self.staging) >= 4:
                self.staging.clear()
            self.staging[shape] = np.empty(shape, np.float32)
        return self.staging[shape]


class Session:
    """A bundle with a plan; made by :func:`load`.

    Threads may share it: each call borrows a workspace, and as many are made as calls overlap.

    Parameters
    ----------
    bundle : Bundle
        The model.
    plan : Plan
        How it runs.
    runnable : Runnable
        The graph prepared for that plan.
    """

    def __init__(self, bundle: Bundle, plan: Plan, runnable: Runnable) -> None:
        self.bundle = bundle
        self.plan = plan
        self.runnable = runnable
        # A burst of threads must not keep its buffers for ever.
        self._idle: deque[_Workspace] = deque(maxlen=available_processors())
        self._plans: dict[MatrixSize, Plan] = {}

    def run(self, frames: Frames | NDArray[Any], progress: Progress | None = None) -> Result:
        """Process frames.

        Parameters
        ----------
        frames : Frames or ndarray, shape (n, rows, columns) or (rows, columns)
            What to process; an array is taken to be in the units that the model wants. It is not copied: a buffer that is
            filled again changes ``Result.source`` too.
        progress : callable, optional
            Called with the number of frames done and of all frames, after each batch.

        Returns
        -------
        Result
            New frames in memory of their own, with counts, domain verdict, warnings and timings.

        Raises
        ------
        InputError
            If the values are not finite, or not in the model's units.
        """
        start = perf_counter()
        source = frames if isinstance(frames, Frames) else self._as_frames(frames)
        plan = self._plan_for(source.matrix)
        stats = frame_operations.statistics(source.pixels, threads=plan.threads)
        lowest = min(stats["minimum"].tolist())
        warnings = self._admit(source, lowest, stats["non_finite"].tolist())
        judge = partial(domain.judge_statistics, stats, source.matrix.pixels, self.bundle.manifest.domain)
        pixels = source.pixels
        if lowest < 0 and self.bundle.manifest.input.units is Units.COUNTS:
            pixels = np.maximum(pixels, np.float32(0))
            stats = frame_operations.statistics(pixels, threads=plan.threads)
        admitted = perf_counter()
        output, inference_s = self._infer(pixels, plan, progress)
        inferred = perf_counter()
        result, kept = postprocess.finish(source, output, stats, self.bundle.manifest.output, plan.threads)
        done = perf_counter()
        timings = {
            "check": 1e3 * (admitted - start),
            "stage": 1e3 * (inferred - admitted - inference_s),
            "infer": 1e3 * inference_s,
            "finish": 1e3 * (done - inferred),
        }
        return Result(result, source, self.bundle, plan, kept, judge, timings, warnings)

    def _as_frames(self, array: NDArray[Any]) -> Frames:
        """Take an array at its word."""
        manifest = self.bundle.manifest
        return Frames.from_array(np.asarray(array), units=manifest.input.units, modality=manifest.modalities[0])

    def _plan_for(self, matrix: MatrixSize) -> Plan:
        """Return the plan for frames of this size; made once."""
        if matrix not in self._plans:
            self._plans[matrix] = self.plan.for_matrix(matrix)
        return self._plans[matrix]

    def _admit(self, source: Frames, lowest: float, non_finite: list[int]) -> tuple[str, ...]:
        """Refuse what the model cannot take; return warnings about the rest."""
        manifest = self.bundle.manifest
        nameless = source.units is Units.NONE and source.modality in (*manifest.modalities, "OT")
        if source.units != manifest.input.units and not nameless:
            raise InputError(
                f"{source.source}: {source.modality} values in units {source.units}, {self.bundle.name} takes "
                f"{manifest.input.units}; choose a model for them ('photopeak models')."
            )
        if any(non_finite):
            frame = next(i for i, pixels in enumerate(non_finite, 1) if pixels)
            raise InputError(f"{source.source}: frame {frame} holds NaN or infinite values; mend them first.")
        warnings = list(source.notes)
        if nameless:
            warnings.append(f"The file does not say its units; values were taken as {manifest.input.units}.")
        if source.modality not in (*manifest.modalities, "OT"):
            known = ", ".join(manifest.modalities)
            warnings.append(f"The image is {source.modality}; {self.bundle.name} was trained on {known}.")
        if lowest < 0 and manifest.input.units is Units.COUNTS:
            warnings.append(f"Negative counts (down to {lowest:g}) were taken as 0.")
        return tuple(warnings)

    def _infer(
        self, pixels: NDArray[np.float32], plan: Plan, progress: Progress | None
    ) -> tuple[NDArray[np.float32], float]:
        """Run the graph over all frames; return its output at full size and the seconds inside the graph."""
        scaled = postprocess.scale_in(pixels, self.bundle.manifest.input.scaling, plan.threads)
        workspace = self._borrow()
        infer = self._infer_tiled if plan.tile else self._infer_whole
        output, seconds = infer(scaled.pixels, plan, progress, workspace)
        # Only a workspace that ended well goes back: after an error its bindings may be half made.
        self._idle.append(workspace)
        postprocess.scale_out(output, scaled)
        return output, seconds

    def _infer_whole(
        self, pixels: NDArray[np.float32], plan: Plan, progress: Progress | None, workspace: _Workspace
    ) -> tuple[NDArray[np.float32], float]:
        """Run the graph over batches of whole frames."""
        n, rows, columns = pixels.shape
        scale = self.bundle.manifest.output.scale
        output = np.empty((n, scale * rows, scale * columns), np.float32)
        seconds = 0.0
        for first in range(0, n, plan.batch):
            last = min(first + plan.batch, n)
            seconds += self._run_batch(pixels[first:last], output[first:last], plan, workspace)
            if progress:
                progress(last, n)
        return output, seconds

    def _run_batch(
        self, batch: NDArray[np.float32], output: NDArray[np.float32], plan: Plan, workspace: _Workspace
    ) -> float:
        """Stage, run and crop one batch; return the seconds inside the graph."""
        multiple = self.bundle.manifest.input.multiple
        n, rows, columns = batch.shape
        tensor = workspace.tensor((n, 1, -rows % multiple + rows, -columns % multiple + columns))
        frame_operations.pad_reflect(batch, multiple, out=tensor[:, 0], threads=plan.threads)
        start = perf_counter()
        try:
            raw = workspace.lane.run(tensor)
        except PhotopeakError:
            raise
        except Exception as error:  # each library has errors of its own: out of memory, device lost
            raise DeviceError(
                f"{self.bundle.name} failed on {plan.device} with {plan.provider} at {tensor.shape} "
                f"({' '.join(str(error).split())[:300]}); try a smaller image, or another --provider or --device."
            ) from error
        seconds = perf_counter() - start
        scale = self.bundle.manifest.output.scale
        if raw.shape != (n, 1, scale * tensor.shape[2], scale * tensor.shape[3]):
            raise ModelError(f"{self.bundle.name} gave {raw.shape} for {tensor.shape} and not {scale} times the size.")
        frame_operations.crop(raw[:, 0], *output.shape[1:], out=output, threads=plan.threads)
        return seconds

    def _infer_tiled(
        self, pixels: NDArray[np.float32], plan: Plan, progress: Progress | None, workspace: _Workspace
    ) -> tuple[NDArray[np.float32], float]:
        """Run the graph over overlapping tiles and blend them."""
        spec, multiple = self.bundle.manifest.output, self.bundle.manifest.input.multiple
        n, rows, columns = pixels.shape
        whole = frame_operations.pad_reflect(pixels, multiple, threads=plan.threads)
        edge = plan.tile - plan.tile % multiple
        # A tile's outer pixels lack their context; the blend gives no weight to a quarter of each overlap.
        overlap = min(4 * self.bundle.manifest.input.overlap, edge // 2)
        tiling = Tiling(MatrixSize(*whole.shape[1:]), MatrixSize(edge, edge), overlap, spec.scale, multiple)
        output = np.empty((n, spec.scale * rows, spec.scale * columns), np.float32)
        done = np.empty((len(tiling), spec.scale * tiling.tile.rows, spec.scale * tiling.tile.columns), np.float32)
        seconds = 0.0
        for i in range(n):
            tiles = tiling.split(whole[i : i + 1], threads=plan.threads)
            for k in range(len(tiling)):
                seconds += self._run_batch(tiles[k : k + 1], done[k : k + 1], plan, workspace)
            blended = tiling.blend(done, threads=plan.threads)
            frame_operations.crop(blended, *output.shape[1:], out=output[i : i + 1], threads=plan.threads)
            if progress:
                progress(i + 1, n)
        return output, seconds

    def _borrow(self) -> _Workspace:
        """Return an idle workspace, or a new one; deque operations are atomic, so that no lock is needed."""
        try:
            return self._idle.pop()
        except IndexError:
            return _Workspace(self.runnable.lane(), {})
