"""One sentence instead of whatever a library raises, and no lasting change to the warning filters."""

import threading
import warnings

import pytest

from photopeak.engine.cli.app import Terminated
from photopeak.engine.dicom.quiet import input_errors, quiet_libraries
from photopeak.engine.errors import InputError


class PanicException(BaseException):
    """What the Rust codec raises."""


@pytest.mark.parametrize(
    ("raised", "sentence"),
    [
        (ValueError("bad\nvalue"), "x.dcm: is damaged (bad value)"),
        (RecursionError(), "nested too deeply"),
        (MemoryError(), "not enough memory"),
        (PermissionError(13, "Permission denied"), "cannot be read (Permission denied)"),
        (PanicException("index out of bounds"), "is damaged (index out of bounds)"),
        (InputError("Rows is 0."), "x.dcm: Rows is 0."),
        (KeyError("y" * 5000), "is damaged ("),
    ],
)
def test_any_failure_becomes_one_short_sentence(raised, sentence):
    with pytest.raises(InputError) as error, input_errors("x.dcm"):
        raise raised
    assert sentence in str(error.value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, GeneratorExit, Terminated])
def test_what_ends_the_process_passes(raised):
    with pytest.raises(raised), input_errors("x.dcm"):
        raise raised


def test_filters_are_restored_when_blocks_of_several_threads_overlap():
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def reader():
        with quiet_libraries():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=reader)
    with quiet_libraries():
        thread.start()
        inside.wait(5)
    leave.set()
    thread.join()
    assert list(warnings.filters) == before


def test_only_warnings_of_the_libraries_are_ignored():
    with quiet_libraries():
        warnings.warn_explicit("noise", UserWarning, "valuerep.py", 1, module="pydicom.valuerep")
        with pytest.raises(UserWarning, match="ours"):
            warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="photopeak.x")
