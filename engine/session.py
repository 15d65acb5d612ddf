"""A bundle prepared to run many times, from any number of threads."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _native, domain, postprocess
from .bundle import Bundle
from .errors import DeviceError, InputError, ModelError, PhotopeakError, UsageError
from .frames import Frames, Units
from .matrix import MatrixSize
from .plan import Plan, Request
from .planner import Planner, TunedPlanner, fixed
from .processors import available_processors
from .providers import Lane, Runnable
from .providers.device_lane import DeviceLane
from .result import Result
from .tiling import Tiling
from .zoo import load_bundle

if TYPE_CHECKING:
    from .analysis.session import AnalysisSession

__all__ = ["Progress", "Session", "load", "load_for_images"]

# Shapes whose plan is at hand; stacks of any length may come.
_SHAPES_KEPT = 64
# Pixels of a batch that pay for staging and finishing it with several threads: those of OpenMP go on waiting in a loop for
# some milliseconds, and take the processors from the library that runs the graph.
_PIXELS_FOR_THREADS = 1 << 23
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
) -> "Session | AnalysisSession":
    """Return a session for a model that ships or for a bundle of your own.

    Parameters
    ----------
    model : str, Path or Bundle
        Name such as ``scint-denoise``, a bundle's folder, or a bundle that is open already.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. Asking for ``cuda`` where it cannot run is an error.
    precision : str
        ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8``.
    provider : str
        ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt``, ``tensorrt``, ``tensorrt-rtx``, ``openvino`` or ``reference``.
    threads : int
        Threads of one run; 0 stands for as many as measured fastest, or all that this process may use.
    max_loss_db : float
        A precision below fp32 is taken only when it loses at most this much PSNR on golden and calibration frames [dB]. Of
        models that detect or classify nothing is asked in decibels: findings must stay, see
        :mod:`photopeak.engine.head_fidelity`.
    digest : str
        The bundle's SHA-256 that you rely on; another bundle, of whatever name, is refused. Empty: any.

    Returns
    -------
    Session or AnalysisSession
        Ready to run. What was measured by :func:`photopeak.engine.tuner.tune` on this machine is used, for each matrix its
        own plan, within what is asked for; ``plan_for`` and each result's ``plan`` say what was chosen and why. Models that
        detect or classify give an :class:`~photopeak.engine.analysis.session.AnalysisSession`.

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
    planner = TunedPlanner(bundle, request)
    plan, runnable = planner.first()
    if bundle.manifest.analysis:
        from .analysis.session import AnalysisSession

        return AnalysisSession(bundle, plan, runnable, planner)
    return Session(bundle, plan, runnable, planner)


def load_for_images(model: str | Path | Bundle, **options: Any) -> "Session":
    """Return a session as :func:`load` does, of a model whose output is an image.

    Raises
    ------
    UsageError
        If the model detects or classifies.
    """
    session = load(model, **options)
    if isinstance(session, Session):
        return session
    raise UsageError(f"{session.bundle.name} gives findings and no images; choose another model ('photopeak models').")


@dataclass(slots=True, eq=False)
class _Workspace:
    """What one call at a time owns: a lane and the staging buffers for the shapes seen last."""

    lane: Lane
    staging: dict[tuple[int, ...], tuple[NDArray[np.float32], NDArray[np.float32]]]

    def tensor(self, n: int, tile: MatrixSize) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the staging buffer for so many tiles, and its view without channels.

        They are the same each time, so that nothing is bound anew.
        """
        known = self.staging.get((n, *tile))
        if known is None:
            if len(self.staging) >= 4:
                self.staging.clear()
            tensor = np.empty((n, 1, *tile), np.float32)
            known = self.staging[n, *tile] = tensor, tensor[:, 0]
        return known


class _Pool:
    """The workspaces of one prepared graph; deque operations are atomic, so that no lock is needed."""

    def __init__(self, runnable: Runnable) -> None:
        self.runnable = runnable
        # A burst of threads must not keep its buffers for ever.
        self.idle: deque[_Workspace] = deque(maxlen=available_processors())

    def borrow(self) -> _Workspace:
        """Return an idle workspace, or a new one."""
        try:
            return self.idle.pop()
        except IndexError:
            return _Workspace(self.runnable.lane(), {})


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """How frames of one shape are run, and with how many threads they are staged and finished."""

    plan: Plan
    tiling: Tiling
    pool: _Pool
    threads: int


@dataclass(slots=True, eq=False)  # not frozen: that costs microseconds a call, which count at 64 x 64
class _Job:
    """What one call works on: admitted pixels, how they are run, and where the result goes."""

    pixels: NDArray[np.float32]
    way: _Way
    finisher: postprocess.Finisher


class Session:
    """A bundle with its plans; made by :func:`load`.

    Threads may share it: each call borrows a workspace, and as many are made as calls overlap.

    Parameters
    ----------
    bundle : Bundle
        The model.
    plan : Plan
        How it runs where `planner` is not given.
    runnable : Runnable
        The graph prepared for that plan.
    planner : Planner, optional
        Returns the plan and its graph for each matrix and number of frames; asked when such frames first come.
    """

    def __init__(self, bundle: Bundle, plan: Plan, runnable: Runnable, planner: Planner | None = None) -> None:
        self.bundle = bundle
        self.plan = plan
        self.runnable = runnable
        self._planner = planner or fixed(plan, runnable)
        self._ways: dict[tuple[int, ...], _Way] = {}
        self._pools: dict[int, _Pool] = {}
        manifest = bundle.manifest
        self._taken, self._kept, self._domain = manifest.input, manifest.image_output, manifest.domain
        self._modalities = (*manifest.modalities, "OT")

    def run(self, frames: Frames | NDArray[Any], progress: Progress | None = None) -> Result:
        """Process frames.

        Parameters
        ----------
        frames : Frames or ndarray, shape (n, rows, columns) or (rows, columns)
            What to process; an array is taken to be in the units that the model wants. It is not copied: a buffer that is
            filled again changes ``Result.source`` too, and what ``Result.domain`` judges when it is first read.
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
        pixels, taken, kept = source.pixels, self._taken, self._kept
        way = self._ways.get(pixels.shape) or self._way_for(source.matrix, len(pixels))
        plan, threads = way.plan, way.threads
        sums, lowest, misfit = _native.admit(pixels, threads)
        warnings = self._admit(source, lowest, misfit)
        if lowest < 0 and taken.units is Units.COUNTS:
            pixels = np.maximum(pixels, np.float32(0))
            sums, _, _ = _native.admit(pixels, threads)
        before = sums if kept.conserve == "sum" else sums / source.matrix.pixels
        judge = partial(domain.judge_pixels, source.pixels, taken, self._domain, plan.threads)
        admitted = perf_counter()
        peaks = postprocess.peaks(pixels, threads) if taken.scaling == "robust" else None
        finisher = postprocess.Finisher(source, before, peaks, kept, threads)
        stages = self._infer(_Job(pixels, way, finisher), progress)
        stages["stage"] += perf_counter() - admitted - sum(stages.values())
        timings = {"check": 1e3 * (admitted - start)} | {name: 1e3 * seconds for name, seconds in stages.items()}
        conservation = finisher.conservation()
        return Result(finisher.frames(), source, self.bundle, plan, conservation, judge, timings, warnings)

    def plan_for(self, matrix: MatrixSize, frames: int = 1) -> Plan:
        """Return the plan that a call with so many frames of a matrix runs with.

        Parameters
        ----------
        matrix : MatrixSize
            Rows and columns of the frames.
        frames : int
            How many there are.

        Raises
        ------
        PhotopeakError
            If its graph cannot be prepared and nothing else runs as asked.

        Examples
        --------
        >>> session = load("scint-denoise", device="cpu", precision="fp32", threads=1)
        >>> session.plan_for(MatrixSize(128, 128)).precision
        'fp32'
        """
        known = self._ways.get((frames, *matrix))
        return known.plan if known else self._planner(matrix, frames)[0]

    def _as_frames(self, array: NDArray[Any]) -> Frames:
        """Take an array at its word."""
        manifest = self.bundle.manifest
        return Frames.from_array(np.asarray(array), units=manifest.input.units, modality=manifest.modalities[0])

    def _way_for(self, matrix: MatrixSize, frames: int) -> _Way:
        """Return the plan for frames of a shape, where their tiles lie, and the workspaces; made once."""
        plan, runnable = self._planner(matrix, frames)
        manifest = self.bundle.manifest
        multiple, scale = manifest.input.multiple, manifest.image_output.scale
        edge = plan.tile - plan.tile % multiple
        # A tile's outer pixels lack their context; the blend gives no weight to a quarter of each overlap.
        overlap = min(4 * manifest.input.overlap, edge // 2)
        tiling = Tiling(matrix, MatrixSize(edge, edge), overlap, scale, multiple)
        # Two threads may come here at once: both may go on, but with the same workspaces.
        pool = self._pools.setdefault(id(runnable), _Pool(runnable))
        pixels = min(frames, plan.batch) * scale**2 * matrix.pixels
        threads = plan.threads if pixels >= _PIXELS_FOR_THREADS else 1
        way = _Way(plan, tiling, pool, threads)
        if len(self._ways) >= _SHAPES_KEPT:
            self._ways.clear()
        return self._ways.setdefault((frames, *matrix), way)

    def _admit(self, source: Frames, lowest: float, misfit: int) -> tuple[str, ...]:
        """Refuse what the model cannot take; return warnings about the rest."""
        units, modalities = self._taken.units, self._modalities
        if source.units is units and source.modality in modalities and lowest >= 0 > misfit:
            return source.notes
        nameless = source.units is Units.NONE and source.modality in modalities
        if source.units != units and not nameless:
            raise InputError(
                f"{source.source}: {source.modality} values in units {source.units}, {self.bundle.name} takes "
                f"{units}; choose a model for them ('photopeak models')."
            )
        if misfit >= 0:
            raise InputError(f"{source.source}: frame {misfit + 1} holds NaN or infinite values; mend them first.")
        warnings = list(source.notes)
        if nameless:
            warnings.append(f"The file does not say its units; values were taken as {units}.")
        if source.modality not in modalities:
            known = ", ".join(self.bundle.manifest.modalities)
            warnings.append(f"The image is {source.modality}; {self.bundle.name} was trained on {known}.")
        if lowest < 0 and units is Units.COUNTS:
            warnings.append(f"Negative counts (down to {lowest:g}) were taken as 0.")
        return tuple(warnings)

    def _infer(self, job: _Job, progress: Progress | None) -> dict[str, float]:
        """Stage, run and finish batch after batch; return the seconds inside the graph and those of finishing."""
        way, workspace = job.way, job.way.pool.borrow()
        n, seconds = len(job.pixels), {"stage": 0.0, "infer": 0.0, "finish": 0.0}
        for first in range(0, n, way.plan.batch):
            batch = slice(first, min(first + way.plan.batch, n))
            start = perf_counter()
            if isinstance(workspace.lane, DeviceLane):
                # Staging and finishing are work of the device too, in one queue with the graph.
                job.finisher.finish_on(workspace.lane, batch, job.pixels[batch], way.tiling)
                inside, ran = perf_counter() - start, perf_counter()
            else:
                tiles, inside = self._run_batch(job, batch, workspace)
                ran = perf_counter()
                job.finisher.finish(batch, tiles, way.tiling)
            seconds["stage"] += ran - start - inside
            seconds["infer"] += inside
            seconds["finish"] += perf_counter() - ran
            if progress:
                progress(batch.stop, n)
        # Only a workspace that ended well goes back: after an error its bindings may be half made.
        way.pool.idle.append(workspace)
        return seconds

    def _run_batch(self, job: _Job, batch: slice, workspace: _Workspace) -> tuple[NDArray[np.float32], float]:
        """Return the graph's output for all tiles of a batch, and the seconds inside the graph."""
        tiling = job.way.tiling
        if len(tiling) == 1:
            return self._run_tile(job, batch, 0, workspace)
        n, (rows, columns), scale = batch.stop - batch.start, tiling.tile, tiling.scale
        tiles, seconds = np.empty((n, len(tiling), scale * rows, scale * columns), np.float32), 0.0
        for tile in range(len(tiling)):
            # What a lane gives lasts until its next run only.
            tiles[:, tile], inside = self._run_tile(job, batch, tile, workspace)
            seconds += inside
        return tiles.reshape(-1, *tiles.shape[2:]), seconds

    def _run_tile(self, job: _Job, batch: slice, tile: int, workspace: _Workspace) -> tuple[NDArray[np.float32], float]:
        """Stage one tile of each frame of a batch where the graph reads it, and run the graph."""
        n, plan, tiling, peaks = batch.stop - batch.start, job.way.plan, job.way.tiling, job.finisher.peaks
        tensor, tiles = workspace.tensor(n, tiling.tile)
        high = 1.0 if peaks is None else peaks[batch]
        tiling.stage(job.pixels[batch], high=high, tile=tile, out=tiles, threads=job.way.threads)
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
        if raw.shape != (n, 1, tiling.scale * tensor.shape[2], tiling.scale * tensor.shape[3]):
            raise ModelError(
                f"{self.bundle.name} gave {raw.shape} for {tensor.shape}, not {tiling.scale} times the size."
            )
        return raw[:, 0], seconds
