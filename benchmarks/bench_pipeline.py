"""From a DICOM file to a derived DICOM file.

Included: reading, checking, inference, and writing with fsync of an anterior and a posterior frame. Loading the model
is not: a node or a batch does it once.
"""

import pydicom
import pytest

from photopeak.engine.pipeline import Processed, stream
from photopeak.engine.session import load
from photopeak.engine.zoo import names


@pytest.mark.parametrize("model", names())
def bench_file_to_file(measure, nm_file, tmp_path, matrix, model, threads):
    session = load(model, device="cpu", threads=threads)
    (outcome,) = measure(lambda: list(stream(nm_file, tmp_path / "out", session)))
    assert isinstance(outcome, Processed)
    scale = session.bundle.manifest.output.scale
    written = pydicom.dcmread(outcome.paths[0])
    assert (written.Rows, written.Columns) == (scale * matrix.rows, scale * matrix.columns)
    assert written.NumberOfFrames == 2
