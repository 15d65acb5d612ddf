"""What a user waits for: from a DICOM file to a derived DICOM file, and the import of the package.

``file_to_file`` includes reading, checking, inference, and writing with fsync of an anterior and a posterior frame;
loading the model is not included: a node or a batch does it once. ``import`` starts an interpreter, which is why it is
compared with one that imports nothing.
"""

import subprocess
import sys
from functools import partial

import pydicom
import pytest

from photopeak.engine.pipeline import Processed, stream
from photopeak.engine.session import load_for_images
from photopeak.engine.zoo import names


@pytest.mark.parametrize("model", names("images"))
def bench_file_to_file(measure, nm_file, tmp_path, matrix, model, threads):
    session = load_for_images(model, device="cpu", threads=threads)
    if "NM" not in session.bundle.manifest.modalities:
        pytest.skip(f"{model} takes no scintigraphy")
    (outcome,) = measure(lambda: list(stream(nm_file, tmp_path / "out", session)))
    assert isinstance(outcome, Processed)
    scale = session.bundle.manifest.image_output.scale
    written = pydicom.dcmread(outcome.paths[0])
    assert (written.Rows, written.Columns) == (scale * matrix.rows, scale * matrix.columns)
    assert written.NumberOfFrames == 2


def bench_import(compare):
    commands = {"photopeak": "import photopeak; print(photopeak.__version__)", "nothing": "print()"}
    python = {name: partial(subprocess.check_output, [sys.executable, "-c", code]) for name, code in commands.items()}
    compare(python, baseline="nothing")
    assert python["photopeak"]().strip()
