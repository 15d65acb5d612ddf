import pytest
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.errors import UsageError
from photopeak.engine.matrix import SCANNER_MATRICES, MatrixSize


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_text_and_matrix_are_inverse(rows, columns):
    assert MatrixSize.parse(str(MatrixSize(rows, columns))) == (rows, columns)


@pytest.mark.parametrize("text", ["", "x", "256x", "x256", "0", "-1", "1.5", "256x256x2", "²", "a", "256 by 256"])
def test_what_is_no_matrix_is_a_usage_error(text):
    with pytest.raises(UsageError, match="is not a matrix size"):
        MatrixSize.parse(text)


def test_scanner_matrices_are_those_of_the_benchmarks():
    assert [str(matrix) for matrix in SCANNER_MATRICES] == [
        "64x64",
        "128x128",
        "256x256",
        "512x512",
        "1024x1024",
        "1024x256",
    ]
