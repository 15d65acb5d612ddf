"""The passes over a volume that the primal-dual solver is made of."""

import numpy as np
import pytest

from photopeak.kernels import _native
from photopeak.kernels.errors import DeviceError, UsageError

WEIGHT = (0.5, 1.0, 0.8)
SHAPES = [(1, 1, 1), (1, 1, 7), (1, 6, 1), (5, 1, 1), (3, 4, 5), (9, 17, 33), (4, 3, 700)]


def settings(**changes):
    chosen = {"weight": WEIGHT, "ascent": 0.3, "descent": 0.2, "radius": 0.4, "upper": 0.8, "relaxation": 1.7}
    return _native.VariationSettings(**(chosen | changes))


def iterates(shape, seed=0):
    """Return value, extrapolation, flow and slope; the flow is 0 where an axis ends."""
    rng = np.random.default_rng(seed)
    value, leading, slope = (rng.normal(0.3, 0.5, shape).astype(np.float32) for _ in range(3))
    flow = rng.normal(0, 0.2, (3, *shape)).astype(np.float32)
    flow[0, -1] = flow[1, :, -1] = flow[2, :, :, -1] = 0
    return value, leading, flow, slope


def differences(volume):
    """Return weighted differences to the next voxels, 0 at the end of each axis."""
    found = np.zeros((3, *volume.shape))
    for axis in range(3):
        inner = tuple(slice(0, -1) if k == axis else slice(None) for k in range(3))
        found[(axis, *inner)] = WEIGHT[axis] * np.diff(volume.astype(float), axis=axis)
    return found


def transposed(flow):
    """Return the transpose of :func:`differences`."""
    found = np.zeros(flow.shape[1:])
    for axis in range(3):
        part = WEIGHT[axis] * flow[axis].astype(float)
        found -= part
        inner = tuple(slice(1, None) if k == axis else slice(None) for k in range(3))
        before = tuple(slice(0, -1) if k == axis else slice(None) for k in range(3))
        found[inner] += part[before]
    return found


def expected_step(value, leading, flow, slope, ascent=0.3, descent=0.2, radius=0.4, upper=0.8, relaxation=1.7):
    """Return what one step leaves, in double precision."""
    ascended = flow + ascent * differences(leading)
    length = np.sqrt((ascended**2).sum(axis=0))
    flow = flow + relaxation * (ascended * np.where(length > radius, radius / np.maximum(length, 1e-30), 1) - flow)
    found = np.clip(value - descent * (slope + transposed(flow)), 0, upper)
    return value + relaxation * (found - value), 2 * found - value, flow


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("moves", [False, True])
def test_step_is_that_of_the_formula(shape, moves):
    value, leading, flow, slope = iterates(shape)
    expected = expected_step(value, leading, flow, slope)
    squares = ((expected[0] - value) ** 2).sum(), ((expected[2] - flow) ** 2).sum()
    found = _native.variation_step(value, leading, flow, slope, settings(), moves=moves, threads=2)
    for made, wanted in zip((value, leading, flow), expected, strict=True):
        np.testing.assert_allclose(made, wanted, atol=2e-6)
    assert found == pytest.approx(squares if moves else (0, 0), rel=1e-4)


def agree(device, shape):
    """Compare one step and its measures on a device with those of the processor's loops: the same bits."""
    here, there = iterates(shape), iterates(shape)
    moves = _native.variation_step(*here, settings(), moves=True, threads=1)
    assert _native.variation_step(*there, settings(), moves=True, threads=1, device=device) == pytest.approx(moves)
    for first, second in zip(here, there, strict=True):
        assert first.tobytes() == second.tobytes()
    value, _, flow, slope = here
    measures = _native.measure_variation(value, flow, slope, weight=WEIGHT, threads=1)
    found = _native.measure_variation(value, flow, slope, weight=WEIGHT, threads=1, device=device)
    assert found == pytest.approx(measures)


@pytest.mark.parametrize("shape", SHAPES)
def test_code_of_the_gpu_gives_the_bits_of_the_loops(shape):
    agree("host", shape)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_gpu_gives_the_bits_of_the_loops(shape):
    try:
        agree("cuda", shape)
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_step_has_the_same_bits_for_any_number_of_threads(threads):
    one, many = iterates((7, 9, 40)), iterates((7, 9, 40))
    for _ in range(5):
        moves = _native.variation_step(*one, settings(), moves=True, threads=1)
        assert _native.variation_step(*many, settings(), moves=True, threads=threads) == moves
    for first, second in zip(one, many, strict=True):
        assert first.tobytes() == second.tobytes()


def test_differences_and_their_transpose_are_adjoint():
    rng = np.random.default_rng(1)
    volume, (_, _, flow, _) = rng.normal(size=(4, 5, 6)), iterates((4, 5, 6))
    assert (differences(volume) * flow).sum() == pytest.approx((volume * transposed(flow)).sum())


def test_no_regularisation_leaves_no_flow():
    value, leading, flow, slope = iterates((3, 4, 5))
    _native.variation_step(value, leading, flow, slope, settings(radius=0.0, relaxation=1.0), moves=False, threads=1)
    assert not flow.any()


@pytest.mark.parametrize("shape", SHAPES)
def test_measures_are_those_of_the_formula(shape):
    value, _, flow, slope = iterates(shape)
    variation = np.sqrt((differences(value) ** 2).sum(axis=0)).sum()
    above = np.maximum(-slope - transposed(flow), 0).sum()
    for threads in (1, 2):
        found = _native.measure_variation(value, flow, slope, weight=WEIGHT, threads=threads)
        assert found == pytest.approx((variation, above), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "mean", "dual"), [(0, 3, 0.2), (5, 3, -2), (5, 0, 0), (1e4, 1e4, 0.01), (3, 1e6, 0.5)]
)
def test_poisson_step_is_the_proximal_map(counts, mean, dual):
    """There, ``q + sigma counts / (1 - q)``, where `sigma` is the step, is where the step began."""
    sigma = 0.7 * 0.5
    q = np.full(1, dual, np.float32)
    given = [np.full(1, x, np.float32) for x in (mean, counts, 0.5)]
    _native.poisson_step(q, *given, step=0.7, relaxation=1.0, threads=1)
    begin = dual + sigma * mean
    roots = np.roots([1, -1 - begin, begin - sigma * counts])  # q^2 - (1 + begin) q + begin - sigma counts
    assert q[0] == pytest.approx(roots.min(), rel=1e-5, abs=1e-6)


def test_gaussian_step_is_the_proximal_map():
    step, inverse, dual, mean, measured, variance = 0.7, 0.5, 0.3, 4.0, 2.5, 1.5
    q = np.full(1, dual, np.float32)
    given = [np.full(1, x, np.float32) for x in (mean, measured, variance, inverse)]
    _native.gaussian_step(q, *given, step=step, relaxation=1.0, threads=1)
    sigma = step * inverse
    assert q[0] + sigma * (measured + variance * q[0]) == pytest.approx(dual + sigma * mean, rel=1e-6)


def test_products_stop_at_the_box_and_leave_what_nobody_sees():
    value, ratio = np.array([1, 1, 1], np.float32), np.array([2, 9, 9], np.float32)
    _native.multiply_by(value, ratio, np.array([1, 1, 0], np.float32), upper=3.0, threads=1)
    assert value.tolist() == [2, 3, 1]


@pytest.mark.parametrize("place", range(4))
def test_arrays_of_another_size_or_type_are_refused(place):
    arrays = list(iterates((2, 3, 4)))
    arrays[place] = arrays[place].astype(np.float64)
    with pytest.raises(UsageError, match="no C-contiguous float32 array"):
        _native.variation_step(*arrays, settings(), moves=False, threads=1)
    arrays = list(iterates((2, 3, 4)))
    arrays[place] = np.zeros((2, 3, 5), np.float32)
    with pytest.raises(UsageError, match="float32 array of"):
        _native.variation_step(*arrays, settings(), moves=False, threads=1)
