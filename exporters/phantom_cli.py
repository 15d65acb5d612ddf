"""``photopeak phantom``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..engine.cli.console import JsonOption, answer, plain, print_facts, print_table, progress
from ..engine.errors import InputError, UsageError
from ..engine.files import atomic_write
from ..engine.matrix import MatrixSize

if TYPE_CHECKING:
    from .phantoms.simulation import Phantom, Request, Simulation

_MOST_COUNTS, _MOST_SLICES = 64.0, 1000


def phantom(
    name: Annotated[str | None, typer.Argument(help="Which phantom; --list shows all.", show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .dcm or .npy; a folder for several slices."),
    ] = None,
    matrix: Annotated[str | None, typer.Option(help="256 or 1024x256; by default what is usual.")] = None,
    counts: Annotated[float, typer.Option(help="Counts relative to a clinical acquisition.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides anatomy and noise.")] = 0,
    slices: Annotated[int, typer.Option(min=1, help="PET and CT: so many slices of one plane.")] = 1,
    projections: Annotated[bool, typer.Option("--projections", help="SPECT: write the views.")] = False,
    noise_free: Annotated[bool, typer.Option("--noise-free", help="Write the expectation.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List the phantoms.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Simulate an acquisition of a phantom and write it as DICOM.

    The same command writes the same file, bit for bit. The header says that
    it is simulated.

    Example: photopeak phantom bone-wholebody -o bone.dcm --seed 3

    Example: photopeak phantom spect-heart -o heart.dcm --matrix 64 --counts 0.25

    Example: photopeak phantom --list
    """
    from .phantoms.catalogue import PHANTOMS, find
    from .phantoms.simulation import Request

    with answer(as_json) as found:
        if list_all:
            found["phantoms"] = [{"name": p.name, "title": p.title, "matrices": p.usual} for p in PHANTOMS]
            if not as_json:
                print_table("Phantoms", ("name", "matrices", "what"), [(p.name, p.usual, p.title) for p in PHANTOMS])
            return
        if name is None or output is None:
            raise UsageError("give a phantom and -o FILE, or --list to see what there is.")
        chosen = find(name)
        request = Request(
            tuple(MatrixSize.parse(matrix)) if matrix else None,  # type: ignore[arg-type]
            _counts(counts),
            seed,
            noise_free,
            slices,
            projections,
        )
        _check(chosen, request, output)
        with _telling() as tell:
            simulation = chosen.acquire(request, tell)
        paths = _write(simulation, chosen, request, output)
        found |= plain(_described(simulation, chosen, request, paths))
        if not as_json:
            facts = [(key, str(value)) for key, value in found.items() if key != "files"]
            print_facts(f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}", facts)


def _counts(counts: float) -> float:
    """Return a level of counts that can be simulated."""
    if not 0 < counts <= _MOST_COUNTS:
        raise UsageError(f"--counts is {counts:g}, give more than 0 and at most {_MOST_COUNTS:g}.")
    return counts


def _check(chosen: "Phantom", request: "Request", output: Path) -> None:
    """Refuse what does not fit together before anything is simulated."""
    spect, sliced = chosen.name.startswith("spect-"), chosen.name.startswith(("pet-", "ct-"))
    if request.projections and not spect:
        raise UsageError(f"{chosen.name} has no views to write, leave --projections out.")
    if request.slices > 1 and not sliced:
        raise UsageError(f"{chosen.name} is no PET or CT slice, leave --slices out.")
    if request.slices > _MOST_SLICES:
        raise UsageError(f"--slices is {request.slices}, give at most {_MOST_SLICES}.")
    suffix = output.suffix.lower()
    if suffix not in (".dcm", ".npy", ""):
        raise UsageError(f"{output}: no such format, name a file .dcm or .npy, or a folder.")
    if request.slices > 1 and suffix == ".dcm":
        raise UsageError(f"{output}: {request.slices} slices need a folder or .npy, give one.")


def _write(simulation: "Simulation", chosen: "Phantom", request: "Request", output: Path) -> list[Path]:
    """Write an array, one object, or a folder of objects."""
    contents = [*_contents(simulation, chosen, request, output)]
    paths = [output] if output.suffix else [output / f"{chosen.name}-{k + 1:04d}.dcm" for k in range(len(contents))]
    try:
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, contents, strict=True):
            with atomic_write(path) as file:
                file.write(content)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror}); choose another place.") from error
    return paths


def _contents(simulation: "Simulation", chosen: "Phantom", request: "Request", output: Path) -> Iterator[bytes]:
    """Yield the content of each file."""
    if output.suffix.lower() == ".npy":
        import numpy as np

        buffer = BytesIO()
        np.save(buffer, simulation.pixels, allow_pickle=False)
        yield buffer.getvalue()
        return
    from .phantoms.dicom import files

    yield from files(simulation, chosen, request)


def _described(simulation: "Simulation", chosen: "Phantom", request: "Request", paths: list[Path]) -> dict[str, Any]:
    """Return what was made, for people and programs."""
    frames, rows, columns = simulation.pixels.shape
    facts = {
        "phantom": chosen.name,
        "kind": simulation.kind,
        "frames": frames,
        "matrix": f"{rows}x{columns}",
        "pixel_mm": round(simulation.pixel_mm, 6),
        "seed": request.seed,
        "noise_free": request.noise_free,
        "files": paths,
    }
    if simulation.kind not in ("PET", "CT"):
        facts["counts"] = [float(total) for total in simulation.pixels.sum(axis=(1, 2), dtype="float64")][:2]
        facts["total_counts"] = float(simulation.pixels.sum(dtype="float64"))
    return facts


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show what is being done."""
    with progress("simulating") as bar:
        yield lambda text: bar.update(bar.task_ids[0], description=text)
