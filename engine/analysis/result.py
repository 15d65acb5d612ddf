"""What an analysis model gives: detections or scores, the evidence for them, and whether they may be relied on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..frames import Frames
from ..result import DomainVerdict

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..plan import Plan
    from .prepare import Placement

__all__ = ["NOT_VALID", "AnalysisResult", "Box", "Detection"]

Box = tuple[float, float, float, float]
NOT_VALID = "not valid for this image"
"""What every finding outside the training domain is delivered with."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One lesion that was found.

    Parameters
    ----------
    label : str
        What it is.
    score : float
        Calibrated probability [1].
    box : tuple of float
        First row, first column, last row, last column [px]: edges, so that the first pixel of the image reaches from 0 to 1.
    box_mm : tuple of float or None
        The same from the image's upper left edge [mm]; None where the pixel spacing is unknown.
    centre_mm : tuple of float or None
        Row and column of the box's centre, from the same edge [mm].
    diameter_mm : float or None
        Geometric mean of height and width [mm], with what lies beyond the edges of the image.
    """

    label: str
    score: float
    box: Box
    box_mm: Box | None = None
    centre_mm: tuple[float, float] | None = None
    diameter_mm: float | None = None

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the centre [px], of edges like `box`: the first pixel's centre is 0.5."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, eq=False)
class AnalysisResult:
    """The outcome of :meth:`AnalysisSession.run`.

    Boxes and maps are those of `reference`: the last channel that is there, which is the late phase of two.

    Parameters
    ----------
    sources : tuple of Frames or None
        What went in, one for each channel of the model; None for a phase that is absent. All have n frames.
    bundle : Bundle
        The model that ran.
    plan : Plan
        How it ran: provider, precision, threads.
    labels : tuple of str
        The classes; of a detector the one name of what it finds.
    domains : tuple of DomainVerdict, length n
        Whether each frame looks like what the model was trained on.
    threshold : float
        Probability from which on something counts as found [1]; of a classifier, something else than the first class.
    placements : tuple of (tuple of Placement, or None)
        For each channel, where the model's working grid lies on each frame.
    probabilities : ndarray, shape (n, k), float64, or None
        Calibrated probability of each class [1]; None for detectors.
    detections : tuple of tuple of Detection, length n
        What was found in each frame, the most probable first; empty for classifiers.
    cam : ndarray, shape (n, k, rows, columns), float32
        Class activation of each label on the matrix of `reference`, 0 outside of what the model saw.
    heat : ndarray, shape (n, 1, rows, columns), float32, or None
        Probability of a lesion's centre [1], for detectors.
    channels : tuple of str
        Names of `sources`, such as ``early`` and ``late``; empty for models of one image.
    timings_ms : dict of str to float
        Wall time of each stage [ms].
    warnings : tuple of str
        What the user should know.
    """

    sources: tuple[Frames | None, ...]
    bundle: "Bundle"
    plan: "Plan"
    labels: tuple[str, ...]
    domains: tuple[DomainVerdict, ...]
    threshold: float
    placements: "tuple[tuple[Placement, ...] | None, ...]"
    cam: NDArray[np.float32]
    probabilities: NDArray[np.float64] | None = None
    detections: tuple[tuple[Detection, ...], ...] = ()
    heat: NDArray[np.float32] | None = None
    channels: tuple[str, ...] = ()
    timings_ms: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def reference(self) -> Frames:
        """The frames that boxes and maps lie on: those of the last channel that is there."""
        return self.sources[self.reference_channel]  # type: ignore[return-value]  # which the index says

    @property
    def reference_channel(self) -> int:
        """Index of `reference` in `sources`."""
        return max(i for i, source in enumerate(self.sources) if source is not None)

    @property
    def domain(self) -> DomainVerdict:
        """The verdict on the frame that is farthest from the training domain."""
        order = ("inside", "border", "outside")
        return max(self.domains, key=lambda one: (order.index(one.verdict), _finite_or_huge(one)))

    @property
    def valid(self) -> bool:
        """Whether every frame is inside the domain or at its border; otherwise findings are not valid for the image."""
        return all(self.valid_frames)

    @property
    def valid_frames(self) -> tuple[bool, ...]:
        """Whether the findings of each frame are valid for it."""
        return tuple(one.verdict != "outside" for one in self.domains)

    def __len__(self) -> int:
        return len(self.domains)

    def number(self, index: int) -> int:
        """Return the number of a frame in its DICOM object, from 1; of several objects, its place among all frames."""
        info = self.reference.info
        return info[index].number if len({one.instance for one in info}) == 1 else index + 1

    def frame_name(self, index: int) -> str:
        """Return what tells a frame from the others: its number, if there are several, and its view."""
        view = self.reference.info[index].view
        parts = ([f"frame {self.number(index)}"] if len(self) > 1 else []) + ([view] if view else [])
        return ", ".join(parts) or "image"

    def found(self, index: int = 0) -> tuple[int, float]:
        """Return the class of a frame at the threshold, and its probability.

        Parameters
        ----------
        index : int
            Which frame.

        Returns
        -------
        label : int
            The most probable class but the first one where together they reach the threshold, else the first one (0).
        probability : float
            Of that class [1].

        Raises
        ------
        UsageError
            If the model is a detector.
        """
        if self.probabilities is None:
            raise UsageError(f"{self.bundle.name} detects and does not classify; look at its detections.")
        chances = self.probabilities[index]
        k = 1 + int(np.argmax(chances[1:])) if self.score(index) >= self.threshold else 0
        return k, float(chances[k])

    def score(self, index: int = 0) -> float:
        """Return the probability that a frame is of any class but the first one, which the threshold is for.

        Raises
        ------
        UsageError
            If the model is a detector.
        """
        if self.probabilities is None:
            raise UsageError(f"{self.bundle.name} detects and does not classify; look at its detections.")
        return float(self.probabilities[index, 1:].sum())

    def box_on(self, detection: Detection, channel: int, index: int = 0) -> Box:
        """Return a detection's box on the frames of another channel [px].

        Parameters
        ----------
        detection : Detection
            One of the frame's.
        channel : int
            Index into `sources`.
        index : int
            Which frame.

        Raises
        ------
        UsageError
            If that channel is absent.
        """
        here, there = self._places(channel, index)
        row0, column0, row1, column1 = detection.box
        corners = np.array([[row0, column0], [row1, column1]])
        moved = there.to_source(here.to_grid(corners)).ravel().tolist()
        return moved[0], moved[1], moved[2], moved[3]

    def cam_on(self, channel: int, index: int = 0) -> NDArray[np.float32]:
        """Return the class activations of a frame on the matrix of another channel, shape (k, rows, columns).

        Each pixel has the value of that of `reference` which its centre lies in; 0 where `reference` does not reach.

        Parameters
        ----------
        channel : int
            Index into `sources`.
        index : int
            Which frame.

        Raises
        ------
        UsageError
            If that channel is absent.
        """
        here, there = self._places(channel, index)
        longest = np.arange(max(there.source)) + 0.5
        centres = here.to_source(there.to_grid(np.stack([longest, longest], axis=-1)))
        down, across = (np.floor(centres[:size, axis]).astype(np.intp) for axis, size in enumerate(there.source))
        height, width = here.source
        seen = np.logical_and.outer((down >= 0) & (down < height), (across >= 0) & (across < width))
        near = self.cam[index][:, np.clip(down, 0, height - 1)][:, :, np.clip(across, 0, width - 1)]
        return np.where(seen, near, np.float32(0))

    def _places(self, channel: int, index: int) -> "tuple[Placement, Placement]":
        """Return where the grid lies on a frame of `reference` and of another channel."""
        here, there = self.placements[self.reference_channel], self.placements[channel]
        if here is None or there is None:
            raise UsageError(f"the {self.channels[channel]} phase is absent; there is no image to draw on.")
        return here[index], there[index]


def _finite_or_huge(verdict: DomainVerdict) -> float:
    ratio = float(verdict.distances.max() / verdict.limits[1])
    return ratio if np.isfinite(ratio) else np.inf
