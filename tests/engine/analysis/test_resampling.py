import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from photopeak.engine.analysis.resampling import applied, between, weights


def matrix(count, size, step, origin):
    return applied(weights(count, size, step, origin), np.eye(count, dtype=np.float32))


@given(count=st.integers(1, 40), size=st.integers(1, 90), slack=st.floats(0, 3))
def test_every_pixel_is_divided_without_rest(count, size, slack):
    """The grid covers the image with some slack on both sides."""
    step = (count + 2 * slack) / size
    found = matrix(count, size, step, -slack)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-5)
    assert found.min() >= -1e-6


@given(count=st.integers(2, 40), step=st.floats(0.1, 1.0))
def test_a_finer_grid_has_no_steps_and_mirrors(count, step):
    size = int(count / step)
    origin = (count - step * size) / 2
    found = matrix(count, size, step, origin)
    np.testing.assert_allclose(found, found[::-1, ::-1], atol=1e-5)
    flat = found.sum(axis=1)
    np.testing.assert_allclose(flat[1:-1], step, atol=1e-5)


def test_what_lies_beyond_the_image_takes_nothing():
    found = matrix(4, 8, 1.0, -2.0)
    np.testing.assert_array_equal(found, np.pad(np.eye(4), ((2, 2), (0, 0))))


@given(size=st.integers(1, 50), count=st.integers(1, 20), of=st.integers(1, 64))
def test_shares_between_cells_sum_to_one_on_the_grid(size, count, of):
    found = between(size, count, (size / of, 0.0), of)
    np.testing.assert_allclose(found.near + found.far, 1, atol=1e-6)
    assert 0 <= found.below.min() <= found.above.max() < count
