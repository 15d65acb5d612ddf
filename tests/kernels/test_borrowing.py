"""Functions that borrow arrays: right results, references as they were, nothing allocated."""

import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photopeak.kernels.compilation import borrowing, inlined


def _total(line):
    total = 0.0
    for at in range(0, line.size, 2):
        for value in line[at : at + 2]:
            total += value
    return total


_borrowed_total = borrowing(_total)


@borrowing
def _add_up(image, sums):
    for row in range(image.shape[0]):
        sums[row] = _borrowed_total(image[row])


@inlined
def _made_on_the_way(rows):
    image, sums = np.ones((rows, 5)), np.empty(rows)
    _add_up(image, sums)
    return image, sums


@settings(deadline=None)
@given(st.integers(0, 9), st.integers(0, 9))
def test_borrowed_views_hold_what_they_show(rows, columns):
    image, sums = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns), np.empty(rows)
    _add_up(image, sums)
    np.testing.assert_array_equal(sums, image.sum(axis=1))


def test_references_are_as_they_were():
    image, sums = np.ones((3, 5)), np.empty(3)
    before = sys.getrefcount(image), sys.getrefcount(sums)
    for _ in range(100):
        _add_up(image, sums)
    assert (sys.getrefcount(image), sys.getrefcount(sums)) == before


def test_arrays_that_a_kernel_made_outlive_the_loan():
    found = [_made_on_the_way(rows) for rows in range(200)]
    assert all((image == 1).all() and (sums == 5).all() for image, sums in found)


def _copy(line):
    return line.copy()


def _view(line):
    return line[1:]


def _scratch(line):
    line[0] = line.copy()[1]


@pytest.mark.parametrize("function", [_copy, _view, _scratch])
def test_function_that_makes_or_returns_an_array_is_refused(function):
    with pytest.raises(numba.core.errors.NumbaError):
        borrowing(function)(np.ones(2))
    inlined(function)(np.ones(2))
