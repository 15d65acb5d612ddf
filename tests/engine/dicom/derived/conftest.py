"""Deriving an object and reading it back."""

import pydicom
import pytest

import photopeak


@pytest.fixture
def derive(dicom_factory, make_result, tmp_path):
    """Return ``derive(kind, scale, ...) -> (result, list of derived data sets)``."""

    def run(kind, scale=1, *, suv=False, out="out", changes=None, **choices):
        frames = photopeak.read(dicom_factory(kind, **{"matrix": (48, 32), **choices}), suv=suv)
        result = make_result(frames, scale, **(changes or {}))
        return result, [pydicom.dcmread(path) for path in photopeak.write(result, tmp_path / out)]

    return run
