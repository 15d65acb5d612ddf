from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

import photopeak
from photopeak.engine.frames import Frames
from photopeak.engine.zoo import load_bundle
from photopeak.exporters.phantoms.parathyroid_cohort import case_of
from photopeak.exporters.recipes.analysis import parathyroid
from photopeak.exporters.recipes.analysis.catalogue import AnalysisJob, find
from photopeak.exporters.recipes.analysis.parathyroid_training import DetectorRecipe, fit_detector

TINY = DetectorRecipe(channels=(8, 8), dilations=(1,), studies=6, tuning=10, steps=2, pixels=120 * 120)


def test_a_job_gives_everything_that_a_bundle_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(parathyroid, "RECIPE", TINY)
    monkeypatch.setattr(parathyroid, "fit_detector", partial(fit_detector, recipe=TINY))
    told = []
    job = AnalysisJob(find("parathyroid-detect"), tmp_path / "out", None, tmp_path, threads=1)
    found = parathyroid.train(job, told.append)
    assert found.steps == 2
    assert 0 < found.threshold < 1
    assert found.operating_points
    assert found.golden.shape[1:] == (2, 120, 120)
    assert len(found.training) == TINY.studies
    assert len(found.held_out) == TINY.tuning
    assert found.counts_per_pixel[0] < found.counts_per_pixel[1]
    assert (tmp_path / "parathyroid-detect.npz").exists()
    assert (tmp_path / "parathyroid-detect-tune.npz").exists()


def test_the_shipped_detector_finds_a_large_adenoma_in_every_way_of_looking():
    session = photopeak.load("parathyroid-detect", device="cpu", precision="fp32", threads=1)
    hits = {"both": 0, "late": 0, "early": 0}
    cases = [case for case in (case_of("held-out", index) for index in range(60)) if large(case)][:4]
    for number, case in enumerate(cases):
        made = case.acquire(np.random.default_rng(number), side=128)
        early, late = (
            Frames.from_array(image, pixel_spacing_mm=(made.pixel_mm,) * 2) for image in (made.early, made.late)
        )
        for way, given in (
            ("both", {"early": early, "late": late}),
            ("late", {"late": late}),
            ("early", {"early": early}),
        ):
            box = made.boxes["early" if way == "early" else "late"][0]
            result = session.run(**given)
            distance = [
                np.hypot(*(np.array(one.centre) - 0.5 - box[:2])) * made.pixel_mm for one in result.detections[0]
            ]
            hits[way] += min(distance, default=99.0) < made.lesion_mm[0] / 2
    assert len(cases) == 4
    assert min(hits.values()) >= 3


def large(case):
    return len(case.patient.glands) == 1 and case.patient.glands[0].lesion_mm > 18


def test_the_shipped_bundle_is_small_and_states_its_operating_point():
    bundle = load_bundle("parathyroid-detect")
    analysis = bundle.manifest.analysis
    assert len(bundle.model) < 4e6
    stated = [point for point in analysis.operating_points if point[0] >= analysis.threshold]
    assert stated[-1][2] <= 0.3
    assert "All data are simulated" in bundle.card
