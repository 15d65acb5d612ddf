"""The bundles that ship, on real images."""

import csv

import numpy as np
import pydicom
import pytest

from photopeak.engine.cli.demo import bone_scan
from photopeak.engine.quality.images import read_image
from photopeak.engine.reading import read
from photopeak.engine.session import load

CPU = {"device": "cpu", "precision": "fp32", "threads": 1}


@pytest.fixture(scope="module")
def views():
    return load("cxr-view", **CPU)


@pytest.fixture
def radiograph(shared_data, dicom_factory, tmp_path):
    """Return a function from ``MONOCHROME1`` or ``MONOCHROME2`` to a real radiograph stored in that way."""
    grey = read_image(shared_data / "cxr" / "img" / "cxr_0001.png").pixels[0].astype(np.uint16)

    def make(meaning):
        ds = pydicom.dcmread(dicom_factory("cr", matrix=grey.shape, spacing_mm=(1.0, 1.0), folder=meaning)[0])
        ds.PhotometricInterpretation = meaning
        ds.PixelData = (255 - grey if meaning == "MONOCHROME1" else grey).tobytes()
        ds.save_as(tmp_path / f"{meaning}.dcm")
        return tmp_path / f"{meaning}.dcm"

    return make


def test_the_ribs_of_a_real_bone_scan_are_normal():
    result = load("bone-classify", **CPU).run(read(bone_scan()))
    assert result.labels[result.found()[0]] == "normal"


def test_a_radiograph_reads_the_same_however_it_is_stored(views, radiograph, shared_data):
    picture = views.run(read_image(shared_data / "cxr" / "img" / "cxr_0001.png").frames)
    for meaning in ("MONOCHROME1", "MONOCHROME2"):
        found = views.run(read(radiograph(meaning)))
        np.testing.assert_allclose(found.probabilities, picture.probabilities, atol=1e-4)
        np.testing.assert_allclose(found.cam, picture.cam, atol=1e-3 * picture.cam.max())


def test_views_of_real_radiographs(views, shared_data):
    """Most images were trained on; that the engine hands the network what training did is what this tells."""
    table = (shared_data / "cxr" / "labels.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))[::4]
    results = [views.run(read_image(shared_data / "cxr" / row["file"]).frames) for row in rows]
    right = [result.labels[result.found()[0]] == row["label"] for result, row in zip(results, rows, strict=True)]
    assert np.mean(right) > 0.9
    assert np.mean([result.valid for result in results]) > 0.9


def test_noise_is_no_chest(views):
    noise = np.random.default_rng(0).integers(0, 255, (256, 256)).astype(np.float32)
    assert not views.run(noise).valid


def test_a_bone_scan_is_no_neck():
    """Counts of another organ: what is found there is not valid."""
    result = load("parathyroid-detect", **CPU).run(late=read(bone_scan()))
    assert not result.valid
