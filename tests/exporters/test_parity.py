import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")

from torch import nn

from photopeak.engine.errors import ModelError
from photopeak.exporters.onnx import to_onnx
from photopeak.exporters.parity import check, compare


@pytest.fixture(scope="module")
def net():
    """A network of zero padding, whose border shows what lies beyond it."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)).eval()


@pytest.fixture(scope="module")
def model(net):
    return to_onnx(net, 1)


@pytest.mark.parametrize("shape", [(1, 1, 24, 32), (2, 1, 31, 45), (1, 1, 62, 68)])
def test_graph_and_network_agree_to_the_border_at_any_size(net, model, shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    found = compare(net, model, [image])
    assert {difference.engine for difference in found} == {"onnxruntime", "reference"}
    assert max(difference.relative for difference in found) < 1e-5


def test_another_network_is_refused(net, model):
    check(net, model, 1)
    other = nn.Sequential(nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)).eval()
    with pytest.raises(ModelError, match="the exported graph differs from its network"):
        check(other, model, 1)
