"""A network of concentrations that was not trained interpolates; one of counts repeats pixels and keeps their sum."""

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.exporters.architectures.count_net import CountNet

GAIN = 60.0
WIDTHS, BLOCKS = (16, 16, 16), (0, 1, 1, 1)


@pytest.fixture
def image():
    return torch.rand(1, 1, 24, 32, generator=torch.Generator().manual_seed(3)) * 2


def untrained(bicubic, gain):
    net = CountNet(WIDTHS, BLOCKS, 2, gain, bicubic=bicubic)
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)
    return net.eval().requires_grad_(False)


def test_it_begins_as_bicubic_interpolation_of_square_roots(image):
    output = untrained(True, GAIN)(image)[0, 0].numpy()
    root = Image.fromarray(torch.sqrt(GAIN * image + 0.375)[0, 0].numpy())
    expected = np.asarray(root.resize((64, 48), Image.Resampling.BICUBIC)) ** 2 / GAIN
    inside = np.s_[4:-4, 4:-4]  # the library weighs the taps inside of the image, the network sees zeros outside
    np.testing.assert_allclose(output[inside], expected[inside], rtol=1e-5)


def test_nothing_outside_of_the_image_stays_nothing(image):
    output = untrained(True, GAIN)(torch.zeros_like(image))
    torch.testing.assert_close(output, torch.full_like(output, 0.375 / GAIN))


def test_counts_are_spread_over_the_new_pixels(image):
    output = untrained(False, 1.0)(100 * image)
    binned = torch.nn.functional.avg_pool2d(output, 2) * 4
    torch.testing.assert_close(binned, 100 * image + 0.375)


def test_the_kernels_are_no_weights():
    """Checkpoints of networks without interpolation stay readable."""
    assert untrained(True, GAIN).state_dict().keys() == untrained(False, 1.0).state_dict().keys()
