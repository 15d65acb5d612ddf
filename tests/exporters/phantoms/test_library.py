import numpy as np
import pytest

from photopeak.exporters.phantoms.library import ANATOMIES, is_held_out, simulate, simulate_voxels
from photopeak.exporters.phantoms.voxels import load_voxel_phantoms

NAMES = [anatomy.name for anatomy in ANATOMIES]


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_reproducible_and_its_split_its_own(name):
    first, again = simulate(name, 2, "train"), simulate(name, 2, "train")
    held_out = simulate(name, 2, "held-out")
    assert np.array_equal(first.image, again.image)
    assert first.pixel_mm != held_out.pixel_mm


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_a_clinical_image(name):
    study = simulate(name, 0, "held-out")
    rows, columns = study.image.shape
    assert study.image.dtype == np.float32
    assert columns in (128, 256, 512)
    assert rows == (4 * columns if name.startswith("whole") else columns)
    assert np.isfinite(study.image).all()
    assert study.image.min() >= 0
    bright = np.percentile(study.image[study.image > 0.01 * study.image.max()], 99)
    assert 29 < bright / (study.pixel_mm / 2.26) ** 2 < 201


def test_a_whole_body_scan_holds_clinical_counts():
    totals = [simulate("whole-body-bone", k, "held-out").image.sum() for k in range(3)]
    assert all(3e5 < total < 1.2e7 for total in totals)


def test_unknown_studies_are_refused():
    with pytest.raises(KeyError, match="no anatomy 'heart', choose one of"):
        simulate("heart", 0, "train")


def test_shared_voxel_phantoms_project(shared_data):
    phantoms = load_voxel_phantoms(shared_data)
    assert len(phantoms) >= 10
    assert 0 < sum(map(is_held_out, phantoms)) < len(phantoms)
    smallest = min(phantoms, key=lambda phantom: phantom.activity.size)
    study = simulate_voxels(smallest, 0)
    assert study.image.sum() > 1000
    assert np.array_equal(study.image, simulate_voxels(smallest, 0).image)
