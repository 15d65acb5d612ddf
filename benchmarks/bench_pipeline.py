"""What a user waits for: from a DICOM file to a derived DICOM file, and the import of the package.

``file_to_file`` includes reading, checking, inference, and writing with fsync of an anterior and a posterior frame;
loading the model is not included: a node or a batch does it once. ``added`` is the same against the bare calls of the library for
the same two frames, with the same plan and threads, taking turns: the difference is what the pipeline adds to the model. It is
measured in two folders: on the disk of the temporary folder, whose two calls of fsync a file depend on the device, and in memory
where the system has a file system for it, which leaves what Photopeak itself does. ``import`` starts an interpreter, which is
why it is compared with one that imports nothing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pydicom
import pytest

from photopeak.benchmarks import images
from photopeak.engine.graph import check_graph
from photopeak.engine.pipeline import Processed, stream
from photopeak.engine.planner import target_of
from photopeak.engine.providers import find
from photopeak.engine.session import load_for_images
from photopeak.engine.zoo import names

IN_MEMORY = Path("/dev/shm")


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    """A folder for output, on disk or in memory."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access(IN_MEMORY, os.W_OK):
        pytest.skip("this system has no file system in memory at /dev/shm")
    made = Path(tempfile.mkdtemp(dir=IN_MEMORY))
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("model", names("images"))
def bench_file_to_file(measure, nm_file, tmp_path, matrix, model, threads):
    session = load_for_images(model, device="cpu", threads=threads)
    if "NM" not in session.bundle.manifest.modalities:
        pytest.skip(f"{model} takes no scintigraphy")
    numbers = count()
    (outcome,) = measure(lambda: list(stream(nm_file, tmp_path / f"out{next(numbers)}", session)))
    assert isinstance(outcome, Processed)
    scale = session.bundle.manifest.image_output.scale
    written = pydicom.dcmread(outcome.paths[0])
    assert (written.Rows, written.Columns) == (scale * matrix.rows, scale * matrix.columns)
    assert written.NumberOfFrames == 2


def bench_added(compare, folder, matrix, threads):
    """Two views of one file: the pipeline, and the calls of the library alone that it makes."""
    path = folder / "nm.dcm"
    images.write_nm(path, matrix)
    session = load_for_images("scint-denoise", device="cpu", threads=threads)
    numbers = count()
    outcomes = []

    def pipeline():
        outcomes[:] = stream(path, folder / f"out{next(numbers)}", session)

    pipeline()
    plan = outcomes[0].result.plan
    if plan.tile:
        pytest.skip("frames of this size run in tiles, which a bare call does not make")
    provider = find(plan.provider)
    target = target_of(plan)
    runnable = provider.prepare(check_graph(session.bundle, provider.graph(target)), target)
    frames = np.ascontiguousarray(images.counts(matrix, frames=2)[:, np.newaxis], np.float32)
    calls = [
        partial(runnable.lane().run, frames[first : first + plan.batch]) for first in range(0, len(frames), plan.batch)
    ]

    def bare():
        for call in calls:
            call()

    compare({"pipeline": pipeline, "bare": bare}, baseline="bare", settle=True)
    assert pydicom.dcmread(outcomes[0].paths[0]).NumberOfFrames == 2


def bench_import(compare):
    commands = {"photopeak": "import photopeak; print(photopeak.__version__)", "nothing": "print()"}
    python = {name: partial(subprocess.check_output, [sys.executable, "-c", code]) for name, code in commands.items()}
    compare(python, baseline="nothing")
    assert python["photopeak"]().strip()
