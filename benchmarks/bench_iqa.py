"""Image-quality metrics against the libraries that have them, on one frame and on batches, taking turns.

Every contestant gets the same 8-bit grey values, with the spectrum of natural images: ours as integers, which it converts
itself; the others in the type that they take, converted beforehand, floats in single precision. Parameters have been read.
One frame is the work of one thread for ours; others may use all threads that are allowed. Batches are what ours shares
among threads: two megapixels of frames, but four for each thread at least and 64 at most.
"""

from functools import partial

import numpy as np
import pytest

from photopeak import kernels
from photopeak.benchmarks import images
from photopeak.benchmarks.peers import peers_of
from photopeak.kernels.iqa.ma.features import features

# How far the scores of others may be from ours on these images; where definitions differ, not at all comparable.
AGREEMENT = {
    ("niqe", "pyiqa"): 1e-3,
    ("brisque", "piq"): 0.2,
    ("piqe", "pypiqe"): 1e-2,
    ("psnr", "scikit-image"): 1e-9,
    ("nrmse", "scikit-image"): 1e-9,
    ("ssim", "scikit-image"): 1e-9,
    ("ssim", "piq"): 1e-3,
    ("ms_ssim", "pytorch_msssim"): 1e-3,
    ("ms_ssim", "piq"): 1e-3,
}
ALONE = {"niqe": {}, "niqe_single": {"precision": "single"}, "brisque": {}, "piqe": {}}
PAIRED = ("psnr", "nrmse", "ssim", "ms_ssim")
# Others are timed up to this many pixels; where a single call takes half a minute, with one thread only.
LARGEST = 1024 * 1024
SLOW = {("ma_features", 1): 512 * 512, ("ma_features", 2): 256 * 256}


def score(metric, image, reference=None, threads=1):
    """Return our scores of an image or a stack."""
    if reference is not None:
        return getattr(kernels, metric)(image, reference, threads=threads)
    return getattr(kernels, metric.removesuffix("_single"))(image, threads=threads, **ALONE[metric])


def rivals(metric, given, pixels, threads):
    """Return what others make of the same image or pair, ready to run."""
    patient = pixels <= SLOW.get((metric, min(threads, 2)), LARGEST)
    peers = peers_of(metric.removesuffix("_single")) if patient else []
    return {peer.name: peer.prepare(given) for peer in peers}


@pytest.mark.parametrize("metric", [*ALONE, *PAIRED])
def bench_iqa(against, matrix, metric, threads):
    image, other = images.texture(matrix, frames=2)
    pair = () if metric in ALONE else (np.maximum(image, other),)
    ours = score(metric, image, *pair)
    if reason := ours.reasons[0]:
        pytest.skip(f"{metric} of {matrix}: {reason}")
    contestants = rivals(metric, (image, *pair) if pair else image, matrix.pixels, threads)
    against({"photopeak": partial(score, metric, image, *pair)} | contestants)
    for name, theirs in contestants.items():
        if (metric, name) in AGREEMENT and matrix.rows % 2 == 0:
            assert theirs() == pytest.approx(float(ours), abs=AGREEMENT[metric, name])


def bench_iqa_ma_features(against, matrix, threads):
    image = images.texture(matrix)[0]
    grey = image.astype(np.float64)
    against({"photopeak": partial(features, grey)} | rivals("ma_features", image, matrix.pixels, threads))
    assert all(np.isfinite(part).all() for part in features(grey))


@pytest.mark.parametrize("metric", [*ALONE, *PAIRED])
def bench_iqa_batch(compare, matrix, metric, threads):
    if threads == 1:
        pytest.skip("one thread shares nothing; use --threads 2")
    frames = images.texture(matrix, frames=max(4 * threads, min(64, (2 << 20) // matrix.pixels)))
    pair = () if metric in ALONE else (frames[::-1].copy(),)
    ours = score(metric, frames, *pair)
    if reason := ours.reasons[0]:
        pytest.skip(f"{metric} of {matrix}: {reason}")
    alone = partial(score, metric, frames, *pair)
    compare({"photopeak": partial(alone, threads=threads), "1 thread": alone}, baseline="photopeak", settle=True)
    np.testing.assert_array_equal(np.asarray(alone(threads=threads)), np.asarray(ours))
