"""What the bundle ``cxr-view`` promises: grey scales do not matter, other images are refused, real ones are read."""

from pathlib import Path

import numpy as np
import pytest

from photopeak.engine.analysis.chest_regions import find_thorax
from photopeak.engine.analysis.session import AnalysisSession
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.session import load
from photopeak.exporters.phantoms.radiographs import draw_anatomy, radiograph


@pytest.fixture(scope="module")
def session() -> AnalysisSession:
    """Return the model that ships."""
    made = load("cxr-view", provider="onnxruntime", threads=1)
    assert isinstance(made, AnalysisSession)
    return made


def test_bits_and_offset_of_a_detector_do_not_matter(session: AnalysisSession) -> None:
    rng = np.random.default_rng(3)
    image = radiograph(draw_anatomy(rng, "PA"), "PA", rng, side=128)
    eight = np.rint(255 * (image - image.min()) / np.ptp(image))
    first, second = session.run(eight), session.run(64 * eight + 800)
    assert first.probabilities is not None
    assert second.probabilities is not None
    assert np.abs(first.probabilities - second.probabilities).max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_lateral_radiographs_are_outside_of_the_domain(session: AnalysisSession, seed: int) -> None:
    rng = np.random.default_rng((99, seed))
    result = session.run(radiograph(draw_anatomy(rng, "lateral"), "lateral", rng, side=96))
    assert result.domains[0].verdict == "outside"
    assert not result.valid


def test_real_radiographs_are_read_and_refused_when_turned(session: AnalysisSession, shared_data: Path) -> None:
    imread = pytest.importorskip("skimage.io").imread
    folder = shared_data / "cxr" / "img"
    right, outside = 0, []
    for number, label in ((0, 1), (1, 0), (8, 1), (9, 0), (72, 0), (75, 1), (76, 1), (82, 1)):
        image = imread(folder / f"cxr_{number:04d}.png").astype(np.float32)
        result = session.run(image)
        right += result.found()[0] == label
        cam = result.cam[0, label]
        thorax = find_thorax(image).mask(MatrixSize(*image.shape))
        outside.append(1 - cam[thorax].sum() / cam.sum())
        assert session.run(np.ascontiguousarray(image[::-1])).domains[0].verdict == "outside"
    assert right >= 7
    assert np.mean(outside) < 0.1
