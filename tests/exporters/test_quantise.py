import onnx
import pytest

from photopeak.engine.errors import ModelError, UsageError
from photopeak.engine.graph import check_graph
from photopeak.engine.schemes import schemes_archive
from photopeak.engine.validation import validate
from photopeak.exporters import quantise as module
from photopeak.exporters.calibration_frames import calibration_frames, frames_to_keep
from photopeak.exporters.int8_card import carried_over, with_section
from photopeak.exporters.int8_losses import Loss, loss_of
from photopeak.exporters.quantise import quantise, quantise_bundle
from small_networks import residual_network, small_bundle


@pytest.fixture
def bundle(tmp_path):
    """Return a bundle whose truth is coarse: 8 bits change nothing that counts."""
    return small_bundle(tmp_path / "bundle", residual_network())


@pytest.fixture
def demanding(tmp_path):
    """Return a bundle of a network without a skip and with a truth close to float32."""
    return small_bundle(tmp_path / "demanding", residual_network(skip=False), error=0.02)


def test_all_layers_are_quantised_where_that_loses_little(bundle):
    made = quantise(bundle)
    assert made.report.in_float == ()
    assert made.report.share == pytest.approx(1)
    assert [layer.loss for layer in made.report.layers] == [None, None]
    assert made.report.loss <= 0.09
    assert loss_of(bundle, made.schemes).amount == pytest.approx(made.report.loss, abs=1e-6)
    assert made.schemes.keys() == {"second", "third"}


@pytest.mark.parametrize(
    ("second", "third", "in_float"),
    [
        (0.02, 0.5, ("third",)),
        (0.5, 0.02, ("second",)),
        (0.05, 0.02, ()),
        (0.03, 0.075, ("third",)),
        (0.1, 0.03, ("second",)),
    ],
)
def test_layers_that_cost_most_for_what_they_save_stay_in_float(bundle, monkeypatch, second, third, in_float):
    """The admitted loss is 0.1 dB less a tenth; the third layer has an eighth of the multiplications of the second."""

    def loss_of(bundle, schemes, frames):
        return Loss(second * ("second" in schemes) + third * ("third" in schemes), "")

    monkeypatch.setattr(module, "loss_of", loss_of)
    made = quantise(bundle)
    assert made.report.in_float == in_float
    assert made.report.share == pytest.approx({(): 1, ("third",): 8 / 9, ("second",): 1 / 9}[in_float])
    assert [layer.loss for layer in made.report.layers] == ([second, third] if in_float else [None, None])


def test_graph_that_must_not_ship_is_not_taken(bundle, monkeypatch):
    monkeypatch.setattr(module, "loss_of", lambda bundle, schemes, frames: Loss(0, "a pixel is off"))
    with pytest.raises(ModelError, match="no layer can be quantised"):
        quantise(bundle)


def test_same_bundle_gives_the_same_schemes(bundle):
    assert schemes_archive(quantise(bundle).schemes) == schemes_archive(quantise(bundle).schemes)


def test_loss_that_no_layer_keeps_is_an_error(demanding):
    with pytest.raises(ModelError, match="no layer can be quantised at 1e-07 dB"):
        quantise(demanding, max_loss_db=1e-7)


@pytest.mark.parametrize("loss", [0, -1, float("nan")])
def test_loss_must_be_positive(bundle, loss):
    with pytest.raises(UsageError, match="leaves nothing to give away"):
        quantise(bundle, max_loss_db=loss)


def test_quantised_bundle_is_good(bundle, tmp_path):
    written, report = quantise_bundle(bundle, tmp_path / "out")
    operators = [node.op_type for node in onnx.load_from_string(check_graph(written, "int8").data).graph.node]
    assert (operators.count("QuantizeLinear"), operators.count("DequantizeLinear")) == (2, 4)
    assert written.model == bundle.model
    assert written.card.startswith(bundle.card)
    assert "computes 2 of the 2 convolutions of eight channels or more in 8 bits, 100% of" in written.card
    assert f"{report.by_level[0][1]:.3f} dB" in written.card
    assert report.model == "scint-denoise"
    checks = {check.name: check for check in validate(written.folder)}
    assert checks["graph of int8"].passed
    assert checks["golden output, onnxruntime int8 on cpu"].passed
    assert checks["golden output, openvino int8 on cpu"].passed is not False


def test_nothing_is_written_where_nothing_can_be_quantised(demanding, tmp_path):
    with pytest.raises(ModelError):
        quantise_bundle(demanding, tmp_path / "out", max_loss_db=1e-7)
    assert not (tmp_path / "out").exists()


def test_network_of_the_users_own_is_measured_on_its_golden_frames(bundle):
    assert calibration_frames(bundle) is bundle.golden
    assert frames_to_keep(bundle) is None


def test_frames_reach_from_few_counts_to_many(tmp_path):
    """The whole range of training, in steps of one factor; frames that are kept are not those that steps are fitted on."""
    bundle = small_bundle(tmp_path / "known", residual_network(), recipe="scint-denoise")
    kept = frames_to_keep(bundle)
    assert kept.input.shape == kept.output.shape == kept.truth.shape == (8, 1, 64, 64)
    means = kept.truth.mean(axis=(1, 2, 3))
    assert means[-1] > 10 * means[0]
    assert (kept.input == kept.input.round()).all()
    # Poisson noise: the squared distance to the truth is the truth, on the average.
    assert ((kept.input - kept.truth) ** 2).sum() == pytest.approx(kept.truth.sum(), rel=0.1)
    again = frames_to_keep(bundle)
    assert (again.input == kept.input).all()
    fitted = calibration_frames(bundle)
    assert fitted.input.shape == (24, 1, 32, 32)
    assert not (fitted.input[0, 0] == kept.input[0, 0, :32, :32]).all()


def test_card_has_one_section_on_int8_and_keeps_it(bundle, tmp_path):
    written, report = quantise_bundle(bundle, tmp_path / "out")
    assert with_section(written.card, report) == written.card
    assert carried_over("# new\n", written.card).count("## Int8") == 1
    assert carried_over("# new\n", bundle.card) == "# new\n"
