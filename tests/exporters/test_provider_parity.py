from dataclasses import replace

import numpy as np
import pytest

from analysis_models import write_finder
from photopeak.engine import zoo
from photopeak.engine.bundle import Golden, write_bundle
from photopeak.engine.providers import PROVIDERS
from photopeak.exporters.provider_parity import compare_providers


@pytest.fixture(scope="module")
def bundle():
    return zoo.load_bundle("pet-sr-x2-srcnn")


@pytest.fixture(scope="module")
def report(bundle):
    return compare_providers(bundle, threads=1)


def test_every_offer_of_every_provider_has_a_row(report):
    offers = [(one.name, *offer) for one in PROVIDERS for offer in one.offers]
    assert [(one.provider, one.device, one.precision) for one in report.comparisons] == offers


def test_what_runs_here_is_within_its_tolerance_and_what_does_not_says_why(report):
    assert {one.provider for one in report.ran} >= {"onnxruntime", "openvino", "reference"}
    assert not report.failed
    for one in report.comparisons:
        assert (one.passed is None) == bool(one.remark)
        assert (one.difference is None) == (one.passed is None)


def test_a_golden_output_that_is_not_the_graphs_own_is_told(bundle, tmp_path):
    golden = bundle.golden
    wrong = np.array(golden.output)
    wrong[0, 0, 5, 5] += 0.5 * wrong.max()
    changed = write_bundle(
        tmp_path / "wrong", bundle.manifest, model=bundle.model, golden=replace(golden, output=wrong), card=bundle.card
    )
    report = compare_providers(changed, threads=1)
    assert report.failed == report.ran
    assert report.failed[0].difference == pytest.approx(0.5, rel=1e-4)
    assert "OUTSIDE" in report.markdown()


def test_frames_for_calibration_are_run_too(bundle, tmp_path):
    golden = bundle.golden
    more = Golden(golden.input[:2], golden.output[:2], golden.truth[:2])
    changed = write_bundle(
        tmp_path / "more", bundle.manifest, model=bundle.model, golden=golden, card=bundle.card, calibration=more
    )
    assert compare_providers(changed, threads=1).frames == len(golden.input) + 2


def test_models_of_findings_are_compared_by_their_heads(tmp_path):
    report = compare_providers(write_finder(tmp_path / "finder", "classification"), threads=1)
    assert report.gives == "findings"
    assert not report.failed
    assert {one.head for one in report.ran} <= {"logits", "cam", "embedding"}
    assert all(one.probability_change < 0.01 for one in report.ran if one.precision == "fp32")
    assert "probabilities change by" in report.table()


def test_tables_are_markdown_and_may_leave_out_what_did_not_run(report):
    rows = [line for line in report.table().splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {10}
    short = [line for line in report.table(ran_only=True).splitlines() if line.startswith("|")]
    assert len(rows) - 2 == len(report.comparisons)
    assert len(short) - 2 == len(report.ran)


def test_progress_names_what_runs(bundle):
    told = []
    compare_providers(bundle, threads=1, tell=told.append)
    assert "comparing openvino fp32" in told
