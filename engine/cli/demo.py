"""``photopeak demo``."""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from .console import JsonOption, ThreadsOption, print_json, say
from .run import print_outcome, summary

MODELS = ("scint-denoise", "scint-sr-x2")


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the output.")] = Path("photopeak-demo"),
    threads: ThreadsOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Denoise and enlarge a real whole-body bone scan, and write a report.

    The scan comes with pydicom; nothing is downloaded and nothing is opened.

    Example: photopeak demo -o photopeak-demo
    """
    from ..pipeline import Failure, Processed, stream
    from ..report import write_report
    from ..session import load_for_images

    start = perf_counter()
    done: list[Processed] = []
    for model in MODELS:
        for outcome in stream(bone_scan(), out / model, load_for_images(model, threads=threads)):
            if isinstance(outcome, Failure):
                raise outcome.error
            done.append(outcome)
    page = write_report([outcome.result for outcome in done], out / "report.html").resolve()
    seconds = perf_counter() - start
    if as_json:
        print_json({"outcomes": [summary(outcome) for outcome in done], "report": page, "seconds": seconds})
        return
    for outcome in done:
        print_outcome(outcome)
    say(f"Done in {seconds:.1f} s. Report: {page}")


def bone_scan() -> Path:
    """Return the path of the bone scan that pydicom ships: NM, whole body, 1024x256, JPEG 2000."""
    from pydicom.data import get_testdata_file

    from ..errors import InputError

    path = get_testdata_file("JPEG2000.dcm", download=False)
    if path is None:
        raise InputError(
            "pydicom's JPEG2000.dcm is missing; install pydicom again (pip install --force-reinstall pydicom)."
        )
    return Path(str(path))
