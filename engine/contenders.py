"""The candidates of a tuning: what there is to try, prepared and checked against float32."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from .bundle import Bundle
from .errors import DeviceError, PhotopeakError
from .graph import CheckedGraph, check_graph
from .plan import Loss, Plan, loss_of, numbers
from .providers import PROVIDERS, Precision, Provider, Runnable, Target
from .racing import Runner
from .tuned import Measured

__all__ = ["Contender", "Family", "Workbench", "families"]


@dataclass(frozen=True, slots=True)
class Family:
    """Candidates whose arithmetic is the same: they differ in threads, streams, batch and tile.

    Parameters
    ----------
    provider : Provider
        The library.
    device : {"cpu", "cuda"}
        Where it runs.
    precision : Precision
        Arithmetic inside the graph.
    layout : {"nchw", "nhwc"}
        Order of a tensor's axes inside the graph.
    throughout : bool
        Whether bfloat16 goes through the whole graph.
    """

    provider: Provider
    device: Literal["cpu", "cuda"]
    precision: Precision
    layout: Literal["nchw", "nhwc"] = "nchw"
    throughout: bool = False

    def target(self, threads: int, streams: int = 1) -> Target:
        """Return where and how the graph runs."""
        return Target(self.device, self.precision, threads, streams, self.layout, throughout=self.throughout)

    def __str__(self) -> str:
        layout = "" if self.layout == "nchw" else f" {self.layout}"
        return f"{self.provider.name} {numbers(self.precision, self.throughout)}{layout} on {self.device}"


def families() -> Iterator[Family]:
    """Yield every provider with each device, precision, layout and reach of bfloat16 that it has on some machine."""
    for provider in PROVIDERS:
        if provider.name == "reference":  # it is there to be compared with, not to be fast
            continue
        for device, precision in provider.offers:
            yield Family(provider, device, precision)
            nhwc = Family(provider, device, precision, "nhwc")
            throughout = Family(provider, device, precision, throughout=True)
            # What runs nowhere, since the provider has one layout only, is no candidate.
            yield from (other for other in (nhwc, throughout) if not provider.check(other.target(1)))


@dataclass(slots=True, eq=False)
class Contender:
    """One candidate for one matrix and number of frames.

    Parameters
    ----------
    family : Family
        Its arithmetic.
    plan : Plan
        How it runs.
    loss : Loss
        How far it is from float32.
    runner : Runner, optional
        Its calls and their times; None for one that could not be timed.
    problem : str
        Why not.
    """

    family: Family
    plan: Plan
    loss: Loss = field(default_factory=Loss)
    runner: Runner | None = None
    problem: str = ""

    def measured(self) -> Measured:
        """Return what was found out."""
        plan, loss, runner = self.plan, self.loss, self.runner
        timed = runner is not None and runner.whole_ms and not self.problem
        return Measured(
            provider=plan.provider,
            provider_version=plan.provider_version,
            device=plan.device,
            precision=plan.precision,
            threads=plan.threads,
            streams=plan.streams,
            layout=plan.layout,
            throughout=plan.throughout,
            batch=plan.batch,
            tile=plan.tile,
            problem=self.problem if timed or self.problem else "not measured",
            runs=len(runner.whole_ms) if runner and timed else 0,
            median_ms=runner.median_ms if runner and timed else 0.0,
            p99_ms=runner.p99_ms if runner and timed else 0.0,
            model_ms=runner.inner_median_ms if runner and timed else 0.0,
            loss_db=loss.decibels,
            max_error=loss.max_error,
            count_bias=loss.count_bias,
            ssim=loss.ssim,
            probability_change=loss.probability,
        )


class Workbench:
    """Prepares graphs of one bundle; how far a family is from float32 is measured once.

    Parameters
    ----------
    bundle : Bundle
        The model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._graphs: dict[Precision, CheckedGraph] = {}
        self._losses: dict[str, Loss] = {}
        self._problems: dict[str, PhotopeakError] = {}

    def prepare(self, family: Family, threads: int, streams: int = 1) -> tuple[Runnable, Loss]:
        """Return the graph prepared for a family, and how far that is from float32.

        Raises
        ------
        PhotopeakError
            If it cannot run here, gives another output than the golden one, or finds something else.
        """
        name = str(family)
        if name in self._problems:
            raise self._problems[name].with_traceback(None)
        target = family.target(threads, streams)
        if reason := family.provider.check(target):
            raise DeviceError(reason)
        runnable = family.provider.prepare(self._graph(family.provider.graph(target)), target)
        if name not in self._losses:
            try:
                self._losses[name] = loss_of(self.bundle, runnable, family.precision, thorough=True)
            except PhotopeakError as error:
                self._problems[name] = error
                raise
        return runnable, self._losses[name]

    def _graph(self, precision: Precision) -> CheckedGraph:
        if precision not in self._graphs:
            self._graphs[precision] = check_graph(self.bundle, precision)
        return self._graphs[precision]
