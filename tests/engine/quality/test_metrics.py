import pytest

from photopeak.engine.errors import ModelError, UsageError
from photopeak.engine.quality.metrics import DEFAULT, METRICS, Settings, chosen_metrics, chosen_models, prepared


def test_metrics_are_those_that_need_nothing_unless_a_reference_is_given():
    assert chosen_metrics(None, reference=False) == DEFAULT
    assert chosen_metrics(None, reference=True) == (*DEFAULT, "psnr", "ssim")


def test_metrics_are_taken_once_in_the_order_asked_for():
    assert chosen_metrics("piqe,NIQE, piqe", reference=False) == ("piqe", "niqe")


@pytest.mark.parametrize("text", ["", ",", "niqee", "niqe,quality"])
def test_unknown_metrics_are_told_with_those_there_are(text):
    with pytest.raises(UsageError, match=r"ms-ssim"):
        chosen_metrics(text, reference=True)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.compares])
def test_comparison_needs_a_reference(name):
    with pytest.raises(UsageError, match=f"{name} compares.*--reference"):
        chosen_metrics(name, reference=False)


@pytest.mark.parametrize("word", ["live", "niqe", "niqe=", "piqe=x", "brisque=x", "=x"])
def test_model_must_belong_to_a_metric_that_is_asked_for(word):
    with pytest.raises(UsageError, match="niqe=NAME"):
        chosen_models([word], ["niqe", "piqe"])


def test_forests_are_asked_for_only_where_they_are_needed():
    settings = Settings(("niqe",))
    assert prepared(settings) is settings
    with pytest.raises(ModelError, match="forests"):
        prepared(Settings(("niqe", "pi")))
