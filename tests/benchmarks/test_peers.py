"""Other libraries: there or not, and never needed."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

from photopeak.benchmarks import peers
from photopeak.benchmarks.peers import PEERS, Peer, limit_threads, peers_of
from photopeak.benchmarks.versions import versions
from photopeak.kernels import psnr

ROOT = Path(__file__).parents[2]


def test_what_is_not_installed_is_left_out_and_says_so(monkeypatch):
    absent = Peer("Nobody", "photopeak-nobody", "niqe", lambda image, dtype: lambda: 0.0)
    monkeypatch.setattr(peers, "PEERS", (absent,))
    assert absent.check() == "photopeak-nobody is not installed"
    assert peers_of("niqe") == []
    assert peers_of("brisque") == []


def test_what_is_installed_measures():
    if not (found := peers_of("psnr")):
        pytest.skip("scikit-image is not installed")
    pair = tuple(np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8))
    assert found[0].prepare(pair)() == pytest.approx(float(psnr(*pair)), rel=1e-12)
    assert versions()["scikit-image"] == found[0].version


def test_every_peer_is_pinned_or_comes_with_an_extra():
    pinned = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "benchmarks" / "peers.txt").read_text(), re.MULTILINE))
    missing = {peer.distribution for peer in PEERS} - {*pinned, "scikit-image"}
    assert not missing
    for peer in PEERS:
        try:
            assert version(peer.distribution) == pinned.get(peer.distribution, peer.version)
        except PackageNotFoundError:
            continue


def test_threads_of_libraries_can_be_held():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    limit_threads(1)
    assert torch.get_num_threads() == 1
    limit_threads(before)
