"""A model of findings prepared to run many times, from any number of threads."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from .. import postprocess
from ..bundle import Bundle
from ..errors import DeviceError, InputError, ModelError, PhotopeakError, UsageError
from ..frames import Frames
from ..golden import head_shapes, problem_of_head
from ..manifest import Analysis, Manifest
from ..matrix import MatrixSize
from ..plan import Plan
from ..planner import Planner, fixed, working_matrix
from ..providers import Runnable
from .admission import Given, admit, by_channel, check_threshold
from .decode import class_probabilities, detections, peaks, probability
from .prepare import Placement, Working, prepare, upsample
from .result import AnalysisResult, Detection
from .verdict import judge

__all__ = ["AnalysisSession", "network_input"]

Tensor = NDArray[np.float32]
Heads = Mapping[str, Tensor]


class AnalysisSession:
    """A detector or classifier with a plan; made by :func:`photopeak.load`.

    Threads may share it: nothing of a call is kept.

    Parameters
    ----------
    bundle : Bundle
        The model.
    plan : Plan
        How it runs where `planner` is not given.
    runnable : Runnable
        The graph prepared for that plan.
    planner : Planner, optional
        Returns the plan and its graph for each working grid and number of frames.
    """

    def __init__(self, bundle: Bundle, plan: Plan, runnable: Runnable, planner: Planner | None = None) -> None:
        if bundle.manifest.analysis is None:
            raise UsageError(f"{bundle.name} gives images and no findings; load it with photopeak.load.")
        self.bundle = bundle
        self.plan = plan
        self.runnable = runnable
        self._planner = planner or fixed(plan, runnable)
        self._analysis = bundle.manifest.analysis

    def run(self, *images: Given, threshold: float | None = None, **phases: Given) -> AnalysisResult:
        """Find or classify.

        Parameters
        ----------
        *images : Frames or ndarray, shape (n, rows, columns) or (rows, columns)
            One image, or one for each channel of the model, such as ``run(early, late)``. An array is taken to be in the
            units that the model wants, with pixels of its grid; a warning says so where lengths matter.
        threshold : float, optional
            Probability from which on something counts as found; that of the model's operating point by default.
        **phases : Frames or ndarray
            Channels by their names, such as ``late=``, where one is absent.

        Returns
        -------
        AnalysisResult
            Detections or probabilities, evidence maps on the matrix of the image, and whether all that is valid for it.

        Raises
        ------
        UsageError
            If it is not clear which image is which phase, or the threshold is no probability.
        InputError
            If values are not finite, not in the model's units, or lengths are needed and unknown.

        Examples
        --------
        >>> from photopeak import load, read
        >>> from photopeak.engine.cli.demo import bone_scan
        >>> result = load("bone-classify", device="cpu", threads=1).run(read(bone_scan()))
        >>> result.labels, result.probabilities.shape, result.cam.shape
        (('normal', 'trauma', 'metastasis'), (1, 3), (1, 3, 1024, 256))
        """
        manifest, start = self.bundle.manifest, perf_counter()
        threshold = self._analysis.threshold if threshold is None else threshold
        check_threshold(threshold)
        sources = by_channel(manifest, images, phases)
        taken = [None if source is None else admit(source, manifest) for source in sources]
        admitted = tuple(None if one is None else one[0] for one in taken)
        working = _prepared(admitted, manifest)
        size, frames = next((MatrixSize(*one.pixels.shape[1:]), len(one.pixels)) for one in working if one is not None)
        plan, runnable = self._planner(size, frames)
        tensor = network_input(working, manifest, plan.threads)
        prepared = perf_counter()
        heads = self._infer(tensor, plan, runnable)
        inferred = perf_counter()
        names = manifest.input.channels or ("",)
        pixels = {name: one.pixels for name, one in zip(names, working, strict=True) if one is not None}
        domains = judge(pixels, heads["embedding"], manifest, self._analysis.embedding, plan.threads)
        placements = tuple(None if one is None else one.placements for one in working)
        found = _decoded(heads, sources, placements, self._analysis, threshold)
        done = perf_counter()
        return AnalysisResult(
            sources=sources,
            bundle=self.bundle,
            plan=plan,
            labels=self._analysis.labels,
            domains=domains,
            threshold=threshold,
            placements=placements,
            cam=found.cam,
            probabilities=found.probabilities,
            detections=found.detections,
            heat=found.heat,
            channels=manifest.input.channels,
            timings_ms={
                "prepare": 1e3 * (prepared - start),
                "infer": 1e3 * (inferred - prepared),
                "decode": 1e3 * (done - inferred),
            },
            warnings=(*(text for one in taken if one is not None for text in one[1]), *_absent(sources, manifest)),
        )

    def plan_for(self, matrix: MatrixSize, frames: int = 1) -> Plan:
        """Return the plan that a call with so many images of a matrix runs with.

        Parameters
        ----------
        matrix : MatrixSize
            Rows and columns of the images. Where the working grid follows the field of view, the whole field of a gamma
            camera is meant.
        frames : int
            How many images of each channel there are.
        """
        return self._planner(working_matrix(self.bundle, matrix), frames)[0]

    def infer(self, tensor: Tensor) -> dict[str, Tensor]:
        """Return the heads for images on the working grid.

        Parameters
        ----------
        tensor : ndarray, shape (n, channels, rows, columns), float32
            What :func:`network_input` returned.
        """
        return self._infer(tensor, *self._planner(MatrixSize(*tensor.shape[2:]), len(tensor)))

    def _infer(self, tensor: Tensor, plan: Plan, runnable: Runnable) -> dict[str, Tensor]:
        """Return the heads for all frames, run in the plan's batches."""
        parts = []
        for first in range(0, len(tensor), plan.batch):
            part = np.ascontiguousarray(tensor[first : first + plan.batch])
            try:
                parts.append(runnable.heads(part))
            except PhotopeakError:
                raise
            except Exception as error:  # each library has errors of its own: out of memory, device lost
                raise DeviceError(
                    f"{self.bundle.name} failed on {plan.device} with {plan.provider} at {part.shape} "
                    f"({' '.join(str(error).split())[:300]}); try another --provider or --device."
                ) from error
        heads = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for name, wanted in head_shapes(self.bundle.manifest, tensor.shape).items():
            head = heads[name]
            # Sizes were inferred for one input only, and a graph may fix them.
            if problem := problem_of_head(name, wanted, head.shape, tensor.shape):
                raise ModelError(f"{self.bundle.name}: {problem} for {tensor.shape}; export it again.")
            if not np.isfinite(head).all():
                raise ModelError(
                    f"{self.bundle.name} gave NaN or infinite values for {name!r}; the image is too unusual."
                )
        return heads


def network_input(working: tuple[Working | None, ...], manifest: Manifest, threads: int = 1) -> Tensor:
    """Return what the graph takes for frames on the working grid.

    Parameters
    ----------
    working : tuple of Working or None
        One for each channel.
    manifest : Manifest
        The model's.
    threads : int
        Threads to use.

    Returns
    -------
    ndarray, shape (n, channels, rows, columns), float32
        Scaled as the manifest says; a channel that is absent is all zeros.
    """
    there = next(one.pixels for one in working if one is not None)
    tensor = np.zeros((len(there), len(working), *there.shape[1:]), np.float32)
    for channel, one in enumerate(working):
        if one is not None:
            tensor[:, channel] = postprocess.scale_in(one.pixels, manifest.input.scaling, threads).pixels
    return tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Decoded:
    """What the heads say, on the matrix of the image."""

    cam: Tensor
    probabilities: NDArray[np.float64] | None = None
    detections: tuple[tuple[Detection, ...], ...] = ()
    heat: Tensor | None = None


def _prepared(sources: tuple[Frames | None, ...], manifest: Manifest) -> tuple[Working | None, ...]:
    """Bring every channel to one grid."""
    grid = manifest.input.grid
    if grid is None:
        raise ModelError(f"{manifest.name} has no working grid; export it again.")
    there = [source for source in sources if source is not None]
    working = tuple(
        None if source is None else prepare(source, grid, multiple=manifest.input.multiple, cover=there)
        for source in sources
    )
    shapes = {one.pixels.shape[1:] for one in working if one is not None}
    if len(shapes) > 1:
        raise InputError(f"the phases do not fit one grid ({', '.join(map(str, sorted(shapes)))}); give images alike.")
    return working


def _decoded(
    heads: Heads,
    sources: tuple[Frames | None, ...],
    placements: tuple[tuple[Placement, ...] | None, ...],
    analysis: Analysis,
    threshold: float,
) -> _Decoded:
    """Read the heads."""
    places, frames = [(place, one) for place, one in zip(placements, sources, strict=True) if place and one][-1]
    cam = _on_image(np.maximum(heads["cam"], 0), places)
    if "logits" in heads:
        return _Decoded(cam, probabilities=class_probabilities(heads["logits"], analysis.temperature))
    chances = probability(heads["heat"], analysis.temperature).astype(np.float32)
    spacing = frames.pixel_spacing_mm
    found = tuple(
        detections(
            peaks(heat, box, temperature=analysis.temperature, threshold=threshold), place, analysis.labels[0], spacing
        )
        for heat, box, place in zip(heads["heat"], heads["box"], places, strict=True)
    )
    return _Decoded(cam, detections=found, heat=_on_image(chances, places))


def _on_image(maps: Tensor, placements: tuple[Placement, ...]) -> Tensor:
    return np.stack([upsample(one, placement) for one, placement in zip(maps, placements, strict=True)])


def _absent(sources: tuple[Frames | None, ...], manifest: Manifest) -> tuple[str, ...]:
    """Return a warning where only some of the channels are there."""
    channels = manifest.input.channels
    missing = [name for name, source in zip(channels or ("",), sources, strict=True) if source is None]
    if not missing:
        return ()
    there = [name for name in channels if name not in missing]
    given, absent = " and ".join(there), " and ".join(missing)
    return (f"Only the {given} phase was given: {manifest.name} compares it with the {absent} phase and is less sure.",)
