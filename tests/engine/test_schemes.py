"""The file of schemes: what is written reads back, and nothing else does."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from photopeak.engine.schemes import Scheme, read_schemes, schemes_archive

F32 = np.float32
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)


def floats(least, most):
    lengths = st.integers(1, 12)
    return npst.arrays(F32, lengths, elements=st.floats(F32(least).item(), F32(most).item(), width=32))


SCHEMES = st.builds(
    Scheme,
    floats(1e-5, 1e5),
    st.floats(F32(1e-19).item(), F32(1e19).item(), width=32),
    st.integers(0, 255),
    floats(-1e30, 1e30),
)


@given(st.dictionaries(NAMES, SCHEMES, min_size=1, max_size=4))
def test_schemes_read_back(schemes):
    content = schemes_archive(schemes)
    found = read_schemes(content)
    assert found.keys() == schemes.keys()
    for name, scheme in schemes.items():
        assert (found[name].step, found[name].zero) == (scheme.step, scheme.zero)
        np.testing.assert_array_equal(found[name].factors, scheme.factors)
        np.testing.assert_array_equal(found[name].bias, scheme.bias)
    assert schemes_archive(found) == content


def parts(**changes):
    arrays = {
        "factors": np.ones(8, F32),
        "step": np.full(1, 0.25, F32),
        "zero": np.zeros(1, F32),
        "bias": np.zeros(4, F32),
    }
    return {f"conv.{part}": value for part, value in (arrays | changes).items() if value is not None}


def saved(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


WRONG = {
    "no factors": (parts(factors=None), "'conv.factors' is missing"),
    "no bias": (parts(bias=None), "'conv.bias' is missing"),
    "a strange part": (parts(weights=np.ones(3, F32)), "'conv.weights' is no part of a scheme"),
    "a strange member": (parts() | {"readme": np.ones(1, F32)}, "'.bias' is missing"),
    "float64": (parts(bias=np.zeros(4)), "conv.bias is float64"),
    "whole numbers": (parts(zero=np.zeros(1, np.uint8)), "conv.zero is uint8"),
    "objects": (parts(bias=np.array([{}], object)), "conv.bias is object"),
    "factors of two axes": (parts(factors=np.ones((1, 8), F32)), r"factors of 'conv' has the shape \(1, 8\)"),
    "several steps": (parts(step=np.ones(2, F32)), r"step of 'conv' has the shape \(2,\)"),
    "no step at all": (parts(step=np.ones(0, F32)), r"step of 'conv' has the shape \(0,\)"),
    "step of zero": (parts(step=np.zeros(1, F32)), "step of 'conv' is not within"),
    "negative step": (parts(step=-np.ones(1, F32)), "step of 'conv' is not within"),
    "step whose reciprocal overflows": (parts(step=np.full(1, 1e-40, F32)), "step of 'conv' is not within"),
    "step that is no number": (parts(step=np.full(1, np.nan, F32)), "step of 'conv' is not within"),
    "infinite step": (parts(step=np.full(1, np.inf, F32)), "step of 'conv' is not within"),
    "factor of zero": (parts(factors=np.array([1, 0, 1], F32)), "factors of 'conv' is not within"),
    "factor that is no number": (parts(factors=np.array([1, np.nan], F32)), "factors of 'conv' is not within"),
    "zero below the steps": (parts(zero=np.full(1, -1, F32)), "zero of 'conv' is -1 and not a whole number"),
    "zero beyond the steps": (parts(zero=np.full(1, 256, F32)), "zero of 'conv' is 256 and not a whole number"),
    "zero between steps": (parts(zero=np.full(1, 0.5, F32)), "zero of 'conv' is 0.5 and not a whole number"),
    "zero that is no number": (parts(zero=np.full(1, np.nan, F32)), "zero of 'conv' is nan and not a whole number"),
    "bias that is no number": (parts(bias=np.array([0, np.inf], F32)), "bias of 'conv' is not finite"),
    "nothing": ({}, "holds 0 layers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_makes_no_sense_is_refused(case):
    arrays, match = WRONG[case]
    with pytest.raises(ValueError, match=match):
        read_schemes(saved(arrays))


def test_members_of_one_name_are_refused():
    """Which of them is read is the library's own affair."""
    buffer = io.BytesIO(schemes_archive({"conv": Scheme(np.ones(8, F32), 0.25, 0, np.zeros(4, F32))}))
    with zipfile.ZipFile(buffer) as archive:
        content = archive.read("conv.step.npy")
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("conv.step.npy", content)
    with pytest.raises(ValueError, match="it holds"):
        read_schemes(buffer.getvalue())


@pytest.mark.parametrize("size", [0, 1, 100])
def test_what_is_no_archive_is_refused(size):
    with pytest.raises(zipfile.BadZipFile):
        read_schemes(schemes_archive({"conv": Scheme(np.ones(8, F32), 0.25, 0, np.zeros(4, F32))})[:size])


@pytest.mark.parametrize("value", [bytes(20 << 20), pickle.dumps({})], ids=["bomb", "pickle"])
def test_archives_of_something_else_are_refused(value):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in ("factors", "step", "zero", "bias"):
            archive.writestr(f"conv.{part}.npy", value)
    with pytest.raises(ValueError, match=r"larger than|magic"):
        read_schemes(buffer.getvalue())


def test_more_layers_than_a_graph_has_nodes_are_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5000):
            archive.writestr(f"{number}.step.npy", b"")
    with pytest.raises(ValueError, match="holds 5000 layers"):
        read_schemes(buffer.getvalue())
