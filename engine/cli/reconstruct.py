"""``photopeak reconstruct``."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .console import JsonOption, ThreadsOption, answer, plain, print_facts, progress, say

if TYPE_CHECKING:
    from rich.progress import Progress

    from ...kernels.reconstruction.progress import Step
    from ..reconstruction.result import Reconstruction


def reconstruct(
    views: Annotated[
        list[str],
        typer.Argument(
            help="Two or more views: DICOM files of a gamma camera or of angiography, .npy or NIfTI; run.dcm@12 is frame 12."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Volume to write, .nii.gz or .nii.")],
    method: Annotated[
        Literal["shape", "volume", "curve"] | None,
        typer.Option(
            help="What is there: a body of uniform activity, any volume, or wires; by default a shape from a gamma camera, a curve from X-rays."
        ),
    ] = None,
    mesh: Annotated[Path | None, typer.Option(help="Write the surface as STL or PLY.")] = None,
    curve: Annotated[Path | None, typer.Option(help="Write the centrelines of wires as JSON or VTK.")] = None,
    dicom: Annotated[
        Path | None, typer.Option(help="Write DICOM objects into a folder; with --mesh, the surface too.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML page with the result and how well it fits.")
    ] = None,
    geometry: Annotated[
        Path | None, typer.Option(help="TOML file that says where the detectors were, in place of the headers.")
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Take out small errors of the geometry: some of table, shift, rotation, magnification, with commas."
        ),
    ] = None,
    landmarks: Annotated[
        Path | None, typer.Option(help="TOML file with what several views show, to find these errors by instead.")
    ] = None,
    voxel: Annotated[float | None, typer.Option(help="Edge of the voxels in mm.")] = None,
    attenuation: Annotated[
        str | None, typer.Option(help="Of the body, in 1/cm, or a NIfTI file of it; 0.15 for 140 keV in water.")
    ] = None,
    body: Annotated[
        str | None,
        typer.Option(help="Width and depth of the body in mm, such as 320x220; an ellipse round the middle."),
    ] = None,
    collimator: Annotated[
        str | None, typer.Option(help="Diameter and length of its holes in mm, such as 1.5x24, to model the blur.")
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="The body round a shape takes up activity too; fit how much.")
    ] = False,
    iterations: Annotated[
        int | None, typer.Option(help="At most so many steps; by default as many as the solver wants.")
    ] = None,
    wire_radius: Annotated[float | None, typer.Option(help="Radius of the wires in mm; a curve needs it.")] = None,
    wires: Annotated[int, typer.Option(help="How many wires there are; 0 for as many as the images need.")] = 1,
    bootstrap: Annotated[
        int,
        typer.Option(
            help="Repeat the fit of a shape so often with new noise, at least twice, for the uncertainty of its volume."
        ),
    ] = 0,
    start: Annotated[
        Path | None, typer.Option(help="Earlier result to start from: .nii.gz, or the .json of a curve.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Reconstruct a body from two or more views, without learning.

    Ctrl-C ends the fit after its present step; what was found until then
    is written, marked as interrupted, and the exit code is 130.

    Example: photopeak reconstruct anterior.dcm lateral.dcm -o liver.nii.gz --mesh liver.stl --report liver.html

    Example: photopeak reconstruct lao.dcm rao.dcm -o coil.nii.gz --curve coil.json --wire-radius 0.25

    Example: photopeak reconstruct views.npy --geometry stand.toml -o body.nii.gz --method volume
    """
    from ..processors import available_processors
    from ..reconstruction.calibrate import calibrated, parsed_faults
    from ..reconstruction.gamma import Physics
    from ..reconstruction.outputs import Targets, write_outputs
    from ..reconstruction.pipeline import reconstruct as run
    from ..reconstruction.result import Settings
    from ..reconstruction.views import read_views

    settings = Settings(
        method=method,
        physics=Physics.parsed(attenuation, body, collimator),
        background=background,
        iterations=iterations,
        threads=threads or available_processors(),
        device=device,
        radius_mm=wire_radius,
        wires=wires or None,
        bootstrap=bootstrap,
        start=start,
    )
    targets = Targets(out, mesh, curve, dicom, report)
    with answer(as_json) as found:
        measured = read_views(views, geometry, voxel_mm=voxel)
        told = [path for path in (geometry, landmarks, settings.physics.attenuation_map) if path]
        targets.check(measured, settings.method_for(measured), told)
        if calibrate is not None or landmarks:
            measured = calibrated(measured, parsed_faults("table" if calibrate is None else calibrate), landmarks)
        with progress("reconstruct", shown=not as_json) as bar, _until_interrupted() as stopped:
            result = run(measured, settings, _shown(bar, stopped))
        paths = write_outputs(result, targets)
        if report:
            from ..report.reconstruction_page import write_reconstruction_report

            paths.append(write_reconstruction_report(result, report))
        found |= {"views": views, **plain(_summary(result)), "outputs": plain(paths)}
        if not as_json:
            _print(result, paths)
        if result.interrupted:
            raise KeyboardInterrupt


def _shown(bar: "Progress", stopped: Callable[[], bool]) -> "Callable[[Step], bool]":
    """Return a watch that shows each step and tells the solver when to stop."""
    task = bar.task_ids[0]

    def watch(step: "Step") -> bool:
        bar.update(task, description=step.stage, completed=step.done, total=step.total)
        return stopped()

    return watch


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask the solver to stop, and the second end the program at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def _summary(result: "Reconstruction") -> dict[str, Any]:
    """Return what JSON says of a reconstruction."""
    from ..reconstruction.summary import described

    return described(result)


def _print(result: "Reconstruction", paths: list[Path]) -> None:
    from ..reconstruction.summary import spelled

    print_facts(f"{result.method} from {len(result.measured.images)} views", spelled(result))
    for path in paths:
        say(f"Written: {path}")
