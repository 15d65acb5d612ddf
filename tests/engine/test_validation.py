import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.validation import validate


def outcome(folder):
    return {check.name: check for check in validate(folder)}


@pytest.mark.parametrize("model", zoo.names())
def test_models_that_ship_pass_every_check(model):
    checks = outcome(zoo.locate(model))
    assert not [check for check in checks.values() if check.passed is False]
    assert checks["golden output, reference fp32 on cpu"].passed
    assert checks["golden output, onnxruntime fp32 on cpu"].passed


@pytest.mark.parametrize("model", zoo.names())
def test_models_that_ship_are_small(model):
    assert len(zoo.load_bundle(model).model) < 4_000_000


def test_good_bundle_passes(bundle_factory):
    checks = outcome(bundle_factory("quarters").folder)
    assert [check.name for check in checks.values() if check.passed is False] == []
    assert checks["golden output, reference fp32 on cpu"].passed is True


def test_tampered_bundle_fails_at_once(bundle_factory):
    folder = bundle_factory().folder
    (folder / "card.md").write_text("changed")
    checks = list(validate(folder))
    assert [check.passed for check in checks] == [False]
    assert "card.md has SHA-256" in checks[0].detail


def test_harmful_graph_ends_the_checks(bundle_factory, graph_of):
    model = graph_of("smooth")
    model.graph.node[0].domain = "com.example"
    checks = list(validate(bundle_factory(model=model.SerializeToString()).folder))
    assert [(check.name, check.passed) for check in checks][-1] == ("graph", False)


def test_wrong_golden_output_fails(bundle_factory, graph_of):
    """The manifest and the golden tensors are those of another graph."""
    checks = outcome(bundle_factory("smooth", model=graph_of("brightened").SerializeToString()).folder)
    assert checks["golden output, reference fp32 on cpu"].passed is False


def test_card_must_name_model_and_licence(bundle_factory, monkeypatch):
    checks = outcome(bundle_factory(name="smooth", licence="MIT").folder)
    assert checks["card"].passed is False
    assert "MIT" in checks["card"].detail


def test_golden_inputs_outside_their_domain_fail(bundle_factory):
    bundle = bundle_factory()
    domain = bundle.manifest.domain.model_dump()
    domain["precision"] = tuple(map(tuple, (1e6 * np.eye(len(domain["mean"]))).tolist()))
    checks = outcome(bundle_factory(folder="narrow", domain=domain).folder)
    assert checks["training domain"].passed is False
