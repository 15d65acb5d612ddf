import shutil
from functools import partial

import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.bundle import CALIBRATION, GOLDEN, INT8, open_bundle
from photopeak.engine.errors import UsageError
from photopeak.exporters import planar_bundling
from photopeak.exporters.produce import Job, refit_domain
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.dataset import build_pool, load_or_build_pool


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(planar_bundling, "DOMAIN_FRAMES", 40)
    monkeypatch.setattr(planar_bundling, "held_out_features", partial(planar_bundling.held_out_features, number=1))
    load_or_build_pool(tmp_path / "pool.npz", lambda: build_pool(None, share=0.001))
    shutil.copytree(zoo.locate("scint-denoise"), tmp_path / "bundle")
    return Job(find("scint-denoise"), tmp_path / "bundle", None, tmp_path)


def arrays(golden):
    return golden.input, golden.output, golden.truth


def test_only_the_domain_changes(job):
    before = open_bundle(job.output)
    refit_domain(job)
    after = open_bundle(job.output)
    assert after.manifest.domain != before.manifest.domain
    assert after.manifest.model_copy(update={"domain": before.manifest.domain}).training == before.manifest.training
    # Arrays keep their numbers, but every Python and every zlib packs them otherwise.
    same = set(before.contents) - {GOLDEN, CALIBRATION, INT8}
    assert {name: after.contents[name] for name in same} == {name: before.contents[name] for name in same}
    for one, other in ((after.golden, before.golden), (after.calibration, before.calibration)):
        for array, same_array in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_array_equal(array, same_array)
    assert after.int8.keys() == before.int8.keys()
    for name, scheme in after.int8.items():
        np.testing.assert_equal(vars(scheme), vars(before.int8[name]))


def test_the_domain_of_another_recipe_is_refused(job):
    with pytest.raises(UsageError, match="not scint-sr-x2"):
        refit_domain(Job(find("scint-sr-x2"), job.output, None, job.work))
