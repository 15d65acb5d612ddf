import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from photopeak.engine.errors import ModelError
from photopeak.exporters.own.parts import level_split, require_operators, require_parity, spread
from photopeak.exporters.parity import Difference


@given(means=st.lists(st.floats(0, 100), min_size=8, max_size=60))
def test_parts_share_nothing_and_span_the_same_levels(means):
    images = np.array(means, np.float32).reshape(-1, 1, 1, 1)
    training, held = level_split(images)
    assert sorted([*training, *held]) == list(range(len(means)))
    assert len(held) == (len(means) + 2) // 4
    assert (np.diff(images[held].ravel()) >= 0).all()
    assert images[training].min() <= images[held].min()


@given(number=st.integers(1, 40), most=st.integers(1, 12))
def test_spread_keeps_first_and_last_and_repeats_nothing(number, most):
    found = spread(np.arange(number), most)
    assert len(found) == min(number, most)
    assert found[0] == 0
    assert most == 1 or found[-1] == number - 1
    assert (np.diff(found) > 0).all()


def test_foreign_operators_are_named():
    nodes = [helper.make_node("Einsum", ["x"], [f"y{k}"], equation="nchw->nchw") for k in range(3)]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 1, "h", "w"]) for name in ("x", "y0")]
    model = helper.make_model(helper.make_graph(nodes, "test", value[:1], value[1:]))
    with pytest.raises(ModelError, match=r"does not run: Einsum;"):
        require_operators(model.SerializeToString())


@pytest.mark.parametrize("relative", [1.1e-4, float("nan"), float("inf")])
def test_a_graph_that_differs_is_refused(relative):
    require_parity((Difference("reference", (1, 1, 8, 8), 1e-6, 1e-6),))
    with pytest.raises(ModelError, match=r"the head 'cam' of the exported graph differs .* in onnxruntime"):
        require_parity((Difference("onnxruntime", (1, 1, 8, 8), 1.0, relative, "cam"),))
