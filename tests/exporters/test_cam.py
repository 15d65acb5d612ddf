import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

from torch import nn
from torch.nn import functional

from photopeak.engine.errors import ModelError
from photopeak.exporters.cam import with_cam


class Net(nn.Module):
    """A block and a head."""

    def __init__(self, head, *, channels=6):
        super().__init__()
        self.block, self.last = nn.Conv2d(1, channels, 3, 2, 1), head

    def features(self, image):
        return functional.relu(self.block(image))

    def head(self, features):
        return self.last(features)


class Detection(nn.Module):
    """A hidden layer, heat and boxes."""

    def __init__(self, kernel=3, dilation=1, activation=functional.relu):
        super().__init__()
        self.hidden = nn.Conv2d(6, 7, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.heat, self.box, self.activation = nn.Conv2d(7, 1, 1), nn.Conv2d(7, 4, 1), activation

    def forward(self, features):
        hidden = self.activation(self.hidden(features))
        return self.heat(hidden), self.box(hidden)


class Pooled(nn.Module):
    def __init__(self, *, first):
        super().__init__()
        self.linear, self.first = nn.Conv2d(6, 3, 1), first

    def forward(self, features):
        if self.first:
            return self.linear(features.mean((2, 3), keepdim=True))
        return self.linear(features).mean(dim=(-2, -1), keepdim=True)


class Shortcut(nn.Module):
    """A value used twice."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.heat = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 1, 3)

    def forward(self, features):
        hidden = features + torch.relu(self.first(features))
        return (self.heat(hidden + torch.sigmoid(self.second(hidden))),)


class Deep(nn.Sequential):
    """Two classes behind a hidden layer of pooled features."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(6, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.SiLU(),
            nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(8, 5, 1),
            nn.SiLU(),
            nn.Conv2d(5, 2, 1),
        )


HEADS = {
    "pooled linear": lambda: Pooled(first=True),
    "linear pooled": lambda: Pooled(first=False),
    "adaptive": lambda: nn.Sequential(nn.Dropout(), nn.AdaptiveAvgPool2d((1, 1)), nn.Conv2d(6, 4, 1)),
    "deep": Deep,
    "detection": Detection,
    "dilated": lambda: Detection(3, 2),
    "wide": lambda: Detection(5, activation=functional.silu),
    "pointwise": lambda: Detection(1),
    "shortcut": Shortcut,
}


def make(name, seed=0):
    torch.manual_seed(seed)
    net = Net(HEADS[name]()).double().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
    return net


def autograd_cam(net, image):
    """Selvaraju et al. (2017), equations 1 and 2, by automatic differentiation."""
    features = net.features(image).detach().requires_grad_()
    outputs = net.head(features)
    if isinstance(outputs, tuple):
        scores = [torch.logsumexp(outputs[0], (1, 2, 3))]
    else:
        scores = list(outputs.flatten(1).T)
    maps = []
    for score in scores:
        (gradient,) = torch.autograd.grad(score.sum(), features, retain_graph=True)
        maps.append(functional.relu((gradient.mean((2, 3), keepdim=True) * features).sum(1)))
    return torch.stack(maps, 1).detach()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_map_is_grad_cam_by_automatic_differentiation(name, seed):
    net = make(name, seed)
    image = torch.randn(3, 1, 22, 30, dtype=torch.float64)
    *outputs, cam, embedding = with_cam(net)(image)
    expected = autograd_cam(net, image)
    assert expected.max() > 0
    torch.testing.assert_close(cam, expected, rtol=1e-10, atol=1e-12 * float(expected.max()))
    torch.testing.assert_close(embedding, net.features(image).mean((2, 3), keepdim=True))
    plain = net.head(net.features(image))
    for found, wanted in zip(outputs, plain if isinstance(plain, tuple) else (plain,), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", HEADS)
def test_maps_of_single_precision_are_close(name):
    net = make(name).float()
    image = torch.randn(3, 1, 32, 48)
    expected = autograd_cam(net.double(), image.double()).float()
    cam = with_cam(net.float())(image)[-2].detach()
    assert float((cam - expected).abs().max() / expected.max()) < 1e-5


def test_images_of_a_batch_do_not_touch_each_other():
    net = make("detection")
    image = torch.randn(3, 1, 16, 16, dtype=torch.float64)
    together = with_cam(net)(image)[-2]
    alone = torch.cat([with_cam(net)(one[None])[-2] for one in image])
    torch.testing.assert_close(together, alone)


def test_large_heat_does_not_overflow():
    net = make("detection").float()
    with torch.no_grad():
        net.last.heat.bias += 500
    image = torch.randn(1, 1, 16, 16)
    torch.testing.assert_close(with_cam(net)(image)[-2], autograd_cam(net, image))


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (nn.Sequential(nn.Conv2d(6, 2, 1), nn.Hardtanh()), "Hardtanh in the head is not known"),
        (nn.Sequential(nn.Conv2d(6, 2, 3, 2)), "strides of 1"),
        (nn.Sequential(nn.Conv2d(6, 2, 3, padding=1, padding_mode="reflect")), "so many zeros"),
        (nn.Sequential(nn.Conv2d(6, 2, 3, padding="same")), "so many zeros"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "1 x 1"),
    ],
)
def test_heads_whose_gradient_is_not_known_are_refused(head, what):
    with pytest.raises(ModelError, match=what):
        with_cam(Net(head).eval())


def test_a_sum_of_maps_of_different_sizes_is_refused():
    class Spread(nn.Module):
        def __init__(self):
            super().__init__()
            self.heat = nn.Conv2d(6, 1, 1)

        def forward(self, features):
            return (self.heat(features + features.mean((2, 3), keepdim=True)),)

    with pytest.raises(ModelError, match="different sizes"):
        with_cam(Net(Spread()).eval())(torch.zeros(1, 1, 16, 16))
