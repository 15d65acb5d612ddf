"""Parts of kernels: right wherever they are called from, without code of their own, and optimised with their callers."""

import numba
import numpy as np
import pytest
from llvmlite.binding import Linkage
from numba.core.registry import cpu_target

from photopeak.kernels.parts import Part, WholeCompiler


def _scaled(values, factor):
    if factor == 0.0:
        raise ValueError("nothing is left")
    return values * factor


scaled = Part(_scaled, nogil=True)


@Part
def _total(values, factor):
    total = 0.0
    for value in scaled(values, factor):
        total += value
    return total


@Part
def _descending(values):
    return np.sort(values)[::-1].copy()


def _kernel(values, factor):
    return _total(values, factor) + _descending(values)[0] + len(scaled(values, 2.0))


whole = numba.njit(pipeline_class=WholeCompiler, error_model="numpy")(_kernel)
plain = numba.njit(error_model="numpy")(_kernel)


@pytest.mark.parametrize("kernel", [whole, plain], ids=["whole", "plain"])
def test_kernel_gives_what_python_gives(kernel):
    values = np.array([1.5, -2.0, 4.25])
    assert kernel(values, 3.0) == 3.75 * 3.0 + 4.25 + 3


@pytest.mark.parametrize("kernel", [whole, plain, scaled, _total], ids=["whole", "plain", "part", "part of parts"])
def test_error_in_a_part_reaches_python(kernel):
    with pytest.raises(ValueError, match=r"^nothing is left$"):
        kernel(np.ones(3), 0.0)


def test_part_called_from_python_takes_any_types_and_keywords():
    np.testing.assert_array_equal(scaled(np.arange(3.0), 2.0), [0, 2, 4])
    np.testing.assert_array_equal(scaled(values=np.arange(3), factor=2), [0, 2, 4])
    np.testing.assert_array_equal(_descending(np.array([1, 3, 2], np.uint8)), [3, 2, 1])


def test_part_that_a_kernel_has_taken_in_can_still_be_called_and_the_other_way_round():
    late = Part(_scaled)
    np.testing.assert_array_equal(late(np.ones(2, np.float32), 2.0), [2, 2])
    caller = numba.njit(pipeline_class=WholeCompiler)(lambda values: late(values, 3.0))
    np.testing.assert_array_equal(caller(np.ones(2, np.float32)), [3, 3])
    np.testing.assert_array_equal(late(np.ones(2, np.float32), 4.0), [4, 4])


def test_parts_are_in_the_code_of_their_kernel_and_nowhere_else():
    first = Part(_scaled)
    kernel = numba.njit(pipeline_class=WholeCompiler)(lambda values: first(values, 3.0))
    kernel(np.ones(2))
    (made,) = first.overloads.values()
    engine = cpu_target.target_context.codegen()._engine
    assert not engine.is_symbol_defined(made.fndesc.llvm_func_name)
    (whole,) = kernel.overloads.values()
    assert engine.is_symbol_defined(whole.fndesc.llvm_func_name)
    theirs = [function for function in whole.library.get_defined_functions() if "scaled" in function.name]
    # What has not vanished into its caller can be called by that alone.
    assert all(function.linkage == Linkage.internal for function in theirs)
