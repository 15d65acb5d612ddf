"""Ma's features against the authors' own, and against slow readings of their definition."""

from itertools import combinations

import numpy as np
import pytest
import skimage.data
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import correlate, correlate1d
from scipy.special import gamma

from photopeak.kernels.iqa.ma.features import features
from photopeak.kernels.iqa.ma.steerable import steerable_pyramid

# Sums over each of the three vectors, from the authors' MATLAB code run in GNU Octave on the images of scikit-image.
SUMS = {
    "camera": (19.7209888671183, 46.1560437134682, 785.460702257629),
    "brick": (20.509986117052, 45.578138158215, 588.711820250978),
    "grass": (14.3214020691897, 39.634165572614, 878.239605177369),
    "gravel": (14.6622884693999, 42.4152837913038, 842.097394616316),
    "coins": (17.5412497746809, 41.5895857688225, 469.987724565934),
    "moon": (18.0090270662773, 56.566402410456, 491.982043124843),
    "page": (19.3151916087306, 40.2711176503298, 576.763096506426),
}
SHAPES = 0.03 + 0.001 * np.arange(9971)
RATIOS = gamma(1 / SHAPES) * gamma(3 / SHAPES) / gamma(2 / SHAPES) ** 2


def shape(samples):
    deviation = np.abs(samples - samples.mean()).mean()
    return SHAPES[np.abs(samples.var(ddof=1) / (deviation**2 + 1e-7) - RATIOS).argmin()]


def variation(samples, floor):
    return samples.std(ddof=1) / (samples.mean() + floor)


def half(plane):
    distance = np.arange(-1, 2)
    kernel = np.exp(-2.0 * (distance[:, None] ** 2 + distance**2))
    return correlate(plane, kernel / kernel.sum(), mode="constant")[1::2, 1::2]


def slow_dct(plane):
    """Block by block, with the angle of a coefficient deciding on its group."""
    order = np.arange(7)
    basis = np.sqrt(2 / 7) * np.cos(np.pi * (2 * order + 1) * order[:, None] / 14)
    basis[0] = np.sqrt(1 / 7)
    down, along = np.mgrid[:7, :7]
    angle = np.degrees(np.arctan2(down, along))
    groups = [(angle < 32) & (along > 0), (angle >= 32) & (angle <= 58) & (along > 0), angle > 58]
    assert [group.sum() for group in groups] == [16, 16, 16]
    padded = np.pad(plane, ((2, 6), (2, 6)))
    found = []
    for top in range(0, plane.shape[0], 3):
        for left in range(0, plane.shape[1], 3):
            block = basis @ padded[top : top + 7, left : left + 7] @ basis.T
            values = block.ravel()[1:]
            oriented = [variation(np.abs(block[group]), 1e-8) for group in groups]
            found.append((shape(values), variation(np.abs(values), 1e-7), np.var(oriented, ddof=1)))
    shapes, variations, orientations = np.sort(np.array(found).T)
    low, high = int(np.ceil(0.1 * len(found))), int(0.9 * len(found)) - 1
    tails = shapes[:low], shapes, variations[high:], variations, orientations[high:], orientations
    return [part.mean() for part in tails]


def slow_pca(plane):
    rows, columns = (-(-size // 5) for size in plane.shape)
    padded = np.pad(plane, ((0, 5 * rows - plane.shape[0]), (0, 5 * columns - plane.shape[1])))
    patches = sliding_window_view(padded, (5, 5))[::5, ::5].reshape(-1, 25)
    return np.linalg.svd(patches, compute_uv=False)


def enlarged(plane, size, scale):
    for axis, (wanted, factor) in enumerate(zip(size, scale, strict=True)):
        at = (np.arange(wanted) + 0.5) / factor - 0.5
        near = np.floor(at).astype(int)[:, None] + np.arange(-1, 3)
        t = np.abs(at[:, None] - near)
        weights = np.where(t <= 1, 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2)
        mirror = np.pad(np.arange(plane.shape[axis]), 2, mode="symmetric")[near + 2]
        plane = np.moveaxis(np.einsum("nk,nk...->n...", weights, np.moveaxis(plane, axis, 0)[mirror]), 0, axis)
    return plane


def slow_subbands(pyramid):
    """Whole columns of neighbours, an eigendecomposition, a pseudo-inverse."""
    found = []
    for bands, guard in ((pyramid.fine, 16), (pyramid.coarse, 8)):
        for band in range(6):
            columns = list(sliding_window_view(bands[band], (3, 3)).reshape(-1, 9).T)
            if guard == 16 and band < 5:
                parent = enlarged(pyramid.coarse[band], 2 * np.array(pyramid.coarse[band].shape), (2, 2))
                columns.append(parent[: bands.shape[1], : bands.shape[2]][1:-1, 1:-1].ravel())
            divisor = len(columns)
            columns += [bands[other, 1:-1, 1:-1].ravel() for other in range(6) if other != band]
            values = np.array(columns).T
            inverse = np.linalg.pinv(values.T @ values / len(values))
            scale = np.sqrt(np.einsum("ni,ij,nj->n", values, inverse, values) / divisor)
            middle = bands[band, 1:-1, 1:-1]
            inner = ((middle - middle.mean()) / scale.reshape(middle.shape))[guard:-guard, guard:-guard]
            found.append(inner - inner.mean())
    return found


def structure(one, other):
    weights = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    weights /= weights.sum()

    def blurred(plane):
        return correlate1d(correlate1d(plane, weights, 0), weights, 1)[5:-5, 5:-5]

    means = blurred(one), blurred(other)
    covariance = blurred(one * other) - means[0] * means[1]
    variances = blurred(one * one) - means[0] ** 2 + blurred(other * other) - means[1] ** 2
    stable = (0.03 * 255) ** 2
    return ((2 * covariance + stable) / (variances + stable)).mean()


def slow_gsm(grey):
    pyramid = steerable_pyramid(grey)
    subbands = slow_subbands(pyramid)
    found = [shape(band.ravel()) for band in subbands]
    found += [shape(np.concatenate([a.ravel(), b.ravel()])) for a, b in zip(subbands, subbands[6:], strict=False)]
    for band in (*pyramid.fine, *pyramid.coarse):
        scale = [new / old for new, old in zip(grey.shape, band.shape, strict=True)]
        found.append(structure(enlarged(band, grey.shape, scale), pyramid.residual))
    return found + [structure(one, other) for one, other in combinations(subbands[:6], 2)]


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (45, 83), (90, 61)])
def test_features_follow_their_definition(rows, columns):
    grey = skimage.data.camera()[100 : 100 + rows, 150 : 150 + columns].astype(np.float64)
    sizes = [grey / 255, half(grey / 255), half(half(grey / 255))]
    found = features(grey)
    np.testing.assert_allclose(found.dct, np.concatenate([slow_dct(plane) for plane in sizes]), rtol=1e-12)
    np.testing.assert_allclose(found.pca, np.concatenate([slow_pca(plane) for plane in sizes]), rtol=1e-11)
    np.testing.assert_allclose(found.gsm, slow_gsm(grey), rtol=0, atol=1e-11)


@pytest.mark.parametrize("image", SUMS)
def test_features_add_up_to_what_the_authors_code_gives(image):
    found = features(getattr(skimage.data, image)().astype(np.float64))
    np.testing.assert_allclose([part.sum() for part in found], SUMS[image], rtol=0, atol=1e-9)


def test_features_are_those_of_the_authors_code(reference_iqa):
    images, published = np.load(reference_iqa / "inputs.npz"), np.load(reference_iqa / "ma_features.npz")
    assert len(images.files) > 20
    for image in images.files:
        for part, found in enumerate(features(images[image].astype(np.float64)), 1):
            np.testing.assert_allclose(found, published[f"{image}__f{part}"], rtol=0, atol=1e-9, err_msg=image)
