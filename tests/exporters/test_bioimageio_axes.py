"""Axes of packages, as numbers that the format defines: output size = input size * input scale / output scale."""

import gc

import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.exporters.bioimageio_axes import (
    _identifiers,
    example_frame,
    input_tensor,
    output_tensor,
    takes_whole_planes,
)

pytest.importorskip("bioimageio.spec", reason="packages need bioimageio.spec: pip install 'photopeak[bioimageio]'")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collected():
    """Collect the files that bioimageio.spec leaves open, before a test that allows no warnings does."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", zoo.names("images"))
def test_images_take_any_size_from_a_small_plane_or_a_tiles_context_on(name, tmp_path):
    bundle = zoo.load_bundle(name)
    taken, scale = bundle.manifest.input, bundle.manifest.image_output.scale
    frame = example_frame(bundle)
    result = np.repeat(np.repeat(frame, scale, 2), scale, 3)
    for file, tensor in (("in.npy", frame), ("out.npy", result)):
        np.save(tmp_path / file, tensor)
    rows = input_tensor(bundle, tmp_path / "in.npy", frame).axes[2]
    assert rows.size.step == taken.multiple
    assert rows.size.min % taken.multiple == 0
    out = output_tensor(bundle, "output", tmp_path / "out.npy", frame, result).axes[3]
    assert rows.scale / out.scale == scale
    if takes_whole_planes(bundle):
        assert not hasattr(out, "halo")
        assert 32 <= rows.size.min < 32 + taken.multiple
    else:
        assert out.halo == scale * taken.overlap
        assert rows.size.min > 2 * taken.overlap


@pytest.mark.parametrize("name", zoo.names("findings"))
def test_findings_take_their_grid_and_heads_follow_it(name, tmp_path):
    bundle = zoo.load_bundle(name)
    frame = example_frame(bundle)
    np.save(tmp_path / "in.npy", frame)
    rows = input_tensor(bundle, tmp_path / "in.npy", frame).axes[2]
    side = bundle.manifest.input.grid.side
    assert rows.size == side if side else rows.size.step == bundle.manifest.input.multiple
    for head, tensor in bundle.golden_heads.heads.items():
        np.save(tmp_path / "out.npy", tensor[:1])
        out = output_tensor(bundle, head, tmp_path / "out.npy", frame, tensor[:1])
        if tensor.shape[2] == 1:
            assert out.axes[2].size == 1
        else:
            assert frame.shape[2] * rows.scale / out.axes[2].scale == tensor.shape[2]
        assert len(out.axes[1].channel_names) == tensor.shape[1]


def test_names_of_channels_become_identifiers_each_once():
    found = _identifiers(("early phase", "late-phase", "2nd", "late phase", "late phase"))
    assert found[:3] == ["early_phase", "late_phase", "c_2nd"]
    assert len(set(found)) == 5
    assert all(name.isidentifier() for name in found)
