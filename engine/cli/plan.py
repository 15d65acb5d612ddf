"""``photopeak plan``."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .candidates import described, disturbance, print_candidates, sizes
from .console import (
    DeviceOption,
    JsonOption,
    LossOption,
    PrecisionOption,
    ProviderOption,
    ThreadsOption,
    answer,
    plain,
    print_facts,
)

if TYPE_CHECKING:
    from ..bundle import Bundle
    from ..matrix import MatrixSize
    from ..plan import Plan, Request
    from ..tuned import Table


def plan(
    model: Annotated[str, typer.Argument(help="Name of a model, or the folder of a bundle.")],
    matrix: Annotated[str, typer.Option(help="Matrix sizes, such as 256 or 64,1024x256.")] = "256",
    frames: Annotated[int, typer.Option(help="Frames of a call.")] = 1,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    provider: ProviderOption = "auto",
    threads: ThreadsOption = 0,
    max_loss_db: LossOption = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Explain how a model runs on this machine: what was measured, what was chosen, and why the rest was not.

    Example: photopeak plan scint-denoise --matrix 256 --max-loss-db 0.1
    """
    from ..errors import UsageError
    from ..plan import Request
    from ..planner import TunedPlanner, working_matrix
    from ..zoo import load_bundle

    if frames < 1:
        raise UsageError(f"--frames {frames} makes no sense; use 1 or more.")
    matrices, bundle = sizes(matrix), load_bundle(model)
    request = Request(device, precision, provider, threads, max_loss_db)
    planner = TunedPlanner(bundle, request)
    with answer(as_json) as found:
        found |= {"model": bundle.name, "digest": bundle.digest, "plans": []}
        for size in dict.fromkeys(working_matrix(bundle, one) for one in matrices):
            chosen, _ = planner(size, frames)
            table = planner.table(size, frames)
            found["plans"].append(_described(size, frames, chosen, table, request))
            if not as_json:
                _print(bundle, size, chosen, table, request)


def _described(
    size: "MatrixSize", frames: int, plan: "Plan", table: "Table | None", request: "Request"
) -> dict[str, Any]:
    """Return what JSON says of one matrix."""
    measured = None if table is None else described(table, request)
    return {"matrix": str(size), "frames": frames, "plan": plain(plan), "measured": measured}


def _print(bundle: "Bundle", size: "MatrixSize", plan: "Plan", table: "Table | None", request: "Request") -> None:
    from ..selection import verdicts

    facts = [("plan", plan.reason)]
    if table is not None and (sentence := disturbance([table])):
        facts.append(("warning", sentence))
    print_facts(f"{bundle.name} at {size}", facts)
    if table is not None:
        found = verdicts(table.candidates, request)
        print_candidates(f"Measured at {table.cell}", found, findings=bundle.manifest.analysis is not None)
