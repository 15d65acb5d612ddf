import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis_models import write_finder
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.plan import Plan, Request, choose
from photopeak.engine.trials import Trials, enlarged
from photopeak.engine.tuned import Cell

PLAIN = Request(device="cpu", precision="fp32", provider="onnxruntime", threads=1)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 30), st.integers(0, 30))
def test_images_go_on_as_their_mirror_images(rows, columns, below, right):
    image = np.arange(rows * columns, dtype=np.float32).reshape(1, rows, columns)
    expected = np.pad(image, ((0, 0), (0, below), (0, right)), mode="symmetric")
    np.testing.assert_array_equal(enlarged(image, MatrixSize(rows + below, columns + right)), expected)


def test_images_are_cut_to_a_smaller_matrix():
    image = np.random.default_rng(0).random((2, 1, 7, 5), np.float32)
    np.testing.assert_array_equal(enlarged(image, MatrixSize(3, 4)), image[..., :3, :4])


@pytest.mark.parametrize("frames", [1, 5])
def test_call_runs_every_frame_of_a_matrix(bundle_factory, frames):
    bundle = bundle_factory("quarters")
    plan, runnable = choose(bundle, PLAIN)
    seen = []

    class Watched:
        def lane(self):
            lane = runnable.lane()

            class Lane:
                def run(self, tensor):
                    seen.append(tensor.shape)
                    return lane.run(tensor)

            return Lane()

    inside = Trials(bundle, Cell(MatrixSize(40, 24), frames)).call(plan, Watched())()
    assert seen == [(1, 1, 40, 24)] * frames
    assert inside > 0


def test_call_of_a_finder_runs_on_its_grid(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "classification")
    plan, runnable = choose(bundle, PLAIN)
    shape = bundle.golden_heads.input.shape[2:]
    assert Trials(bundle, Cell(MatrixSize(*shape), 3)).call(plan, runnable)() > 0


def test_seams_of_a_local_model_cost_nothing(bundle_factory):
    bundle = bundle_factory("smooth")
    _, runnable = choose(bundle, PLAIN)
    tiled = Plan("onnxruntime", "1", "cpu", "fp32", 1, 0.0, "", tile=32)
    loss, error = Trials(bundle, Cell(MatrixSize(100, 70), 1)).seams(tiled, runnable)
    assert loss < 1e-3
    assert error < 1e-5


def test_seams_of_a_model_with_too_little_context_are_seen(bundle_factory):
    """Without context each tile sees zeros beyond its edges, which a mean over nine pixels shows."""
    bundle = bundle_factory("smooth", input={"name": "counts", "units": "CNTS", "overlap": 0})
    _, runnable = choose(bundle, PLAIN)
    tiled = Plan("onnxruntime", "1", "cpu", "fp32", 1, 0.0, "", tile=32)
    loss, error = Trials(bundle, Cell(MatrixSize(96, 64), 1)).seams(tiled, runnable)
    assert error > 0.05
    assert loss > 0.05
