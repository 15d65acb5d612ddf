"""What the command offers, and how long suites of functions measure."""

from dataclasses import dataclass

from ..engine.matrix import MatrixSize

__all__ = ["KINDS", "MODEL_SUITES", "RUN_ONLY_MATRICES", "Limits", "limits"]

FEWEST = 3
MODEL_SUITES = ("plans", "stack", "start")
KINDS = ("onnxruntime", "openvino", "torch", "torch-compile")
RUN_ONLY_MATRICES = (MatrixSize(64, 64), MatrixSize(128, 128))


@dataclass(frozen=True, slots=True)
class Limits:
    """The time for one figure.

    Parameters
    ----------
    warmup_s : float
        Time to run before measuring [s].
    warmup_calls : int
        Calls before measuring, at least.
    measure_s : float
        Time to measure [s].
    min_rounds, max_rounds : int
        Bounds of the number of calls measured.
    patience_s : float
        Where the least number of calls would take longer, fewer are measured [s].
    """

    warmup_s: float
    warmup_calls: int
    measure_s: float
    min_rounds: int
    max_rounds: int
    patience_s: float

    def rounds(self, seconds: float) -> int:
        """Return how many calls of a function that takes `seconds` to measure.

        Examples
        --------
        >>> limits(quick=False).rounds(0.005)
        120
        """
        seconds = max(seconds, 1e-9)
        wanted = max(self.min_rounds, min(self.max_rounds, int(self.measure_s / seconds)))
        return min(wanted, max(FEWEST, int(self.patience_s / seconds)))


def limits(*, quick: bool) -> Limits:
    """Return the limits of a quick look or of a proper measurement; below 100 calls the 99th percentile is about the slowest."""
    if quick:
        return Limits(warmup_s=0.02, warmup_calls=1, measure_s=0.2, min_rounds=5, max_rounds=200, patience_s=5.0)
    return Limits(warmup_s=0.1, warmup_calls=2, measure_s=0.6, min_rounds=15, max_rounds=2000, patience_s=10.0)
