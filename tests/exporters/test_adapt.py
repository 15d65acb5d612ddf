"""From a folder of DICOM images and the bundle that ships to an adapted bundle."""

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.engine import domain, zoo
from photopeak.engine.bundle import Input, open_bundle
from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.engine.frames import Units
from photopeak.engine.graph import check_graph
from photopeak.exporters import adapt as module
from photopeak.exporters.adapt import adapt_bundle, fit_site_domain
from photopeak.exporters.architectures import build
from photopeak.exporters.cli import train
from photopeak.exporters.produce import Job
from photopeak.exporters.recipes.adaptation import Adapted, Settings, Thinned
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.weights import load_weights

RECIPE = find("scint-denoise")


def test_the_weights_of_a_bundle_are_those_that_run():
    bundle = zoo.load_bundle("scint-denoise")
    net = build(RECIPE)
    load_weights(net, bundle)
    with torch.no_grad():
        output = net(torch.from_numpy(bundle.golden.input)).numpy()
    np.testing.assert_allclose(output, bundle.golden.output, atol=1e-4 * bundle.golden.output.max())


def test_the_weights_of_another_network_are_refused():
    with pytest.raises(ModelError, match=r"does not hold the weight stem\.weight"):
        load_weights(build(RECIPE), zoo.load_bundle("scint-sr-x2"))


@pytest.fixture
def quick(monkeypatch):
    """An adaptation that moves one weight."""

    def adapt(net, recipe, images, held_out, settings, tell):
        tell(1, 0.9)
        with torch.no_grad():
            net.head.bias += 0.01
        return Adapted(net.eval(), 7, 1.5, 0.125, 0.115, 0.001, 0.0004)

    monkeypatch.setattr(module, "adapt", adapt)


@pytest.mark.usefixtures("quick")
def test_the_adapted_bundle_says_what_it_is_and_nothing_about_patients(dicom_factory, tmp_path):
    tags = {"PatientName": "Curie^Marie", "PatientID": "ID-1867", "SeriesDescription": "secret bone"}
    for k in range(2):
        dicom_factory("dynamic", frames=6, matrix=(64, 80), counts=4e4, seed=k, folder=f"hospital/{k}", tags=tags)
    job = Job(RECIPE, tmp_path / "out", tmp_path / "hospital", tmp_path, threads=1, note="On a laptop.")
    outcome = adapt_bundle(job, Settings(steps=1))
    bundle, before = open_bundle(tmp_path / "out"), zoo.load_bundle("scint-denoise")
    assert bundle.digest == outcome.bundle.digest
    check_graph(bundle)
    manifest = bundle.manifest
    assert manifest.name == "scint-denoise-adapted"
    assert manifest.training.recipe == "scint-denoise --self-supervised"
    assert (manifest.training.steps, manifest.training.matrices) == (7, ("64x80",))
    assert manifest.training.data[0] == "12 images of modality NM in 2 files of the site's own"
    assert before.digest[:12] in manifest.training.data[1]
    assert (manifest.input, manifest.output) == (before.manifest.input, before.manifest.output)
    np.testing.assert_array_equal(bundle.golden.input, before.golden.input)
    everything = b"".join(bundle.contents.values()).decode("latin-1") + (tmp_path / "out/manifest.toml").read_text()
    for private in ("Curie", "ID-1867", "secret", "hospital", ".dcm"):
        assert private not in everything
    known = before.manifest.domain
    assert manifest.domain.modes[: len(known.modes)] == known.modes
    assert len(manifest.domain.modes) > len(known.modes)
    golden = domain.judge_pixels(bundle.golden.input[:, 0], manifest.input, manifest.domain)
    assert golden.verdict != "outside"  # as `photopeak validate` asks
    assert "Images: 12 of modality NM in 2 files and" in bundle.card
    assert "fell by 0.01000 with a standard error of 0.00100" in bundle.card
    assert "On a laptop." in bundle.card
    held = build(RECIPE)
    load_weights(held, bundle)
    original = build(RECIPE)
    load_weights(original, before)
    np.testing.assert_allclose((held.head.bias - original.head.bias).detach(), 0.01, atol=1e-6)
    # It can be adapted further, but not as something else.
    with pytest.raises(UsageError, match="holds scint-denoise --self-supervised, not pet-denoise"):
        module._start(Job(find("pet-denoise"), tmp_path, None, tmp_path, start_from=tmp_path / "out"))
    assert module._start(Job(RECIPE, tmp_path, None, tmp_path, start_from=tmp_path / "out")).digest == bundle.digest


def test_the_domain_is_that_of_the_sites_own_images():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    images = [rng.poisson(5 + 40 * np.exp(-9 * ((x - 0.02 * k) ** 2 + y**2))).astype(np.float32) for k in range(16)]
    taken = Input(name="counts", units=Units.COUNTS)
    fitted = fit_site_domain(taken, Thinned(images[:10]), Thinned(images[10:13]))
    verdicts = [domain.judge_pixels(image[None], taken, fitted).verdict for image in images[13:]]
    assert "outside" not in verdicts
    assert domain.judge_pixels(images[13][None] * 20, taken, fitted).verdict == "outside"


@pytest.mark.parametrize("name", ["scint-sr-x2", "pet-sr-x2", "ct-sr-x2"])
def test_recipes_that_cannot_learn_from_noise_are_refused(name, tmp_path):
    with pytest.raises(UsageError, match=f"{name} cannot learn from noisy images alone, choose scint-denoise or pet-"):
        train(name, tmp_path / "out", data=tmp_path, self_supervised=True)


@pytest.mark.parametrize("data", [None, "nowhere"])
def test_a_folder_of_images_is_asked_for(data, tmp_path):
    with pytest.raises(UsageError, match="is no folder, give the folder of the site's own images"):
        train("scint-denoise", tmp_path / "out", data=data and tmp_path / data, self_supervised=True)


def test_adapting_does_not_measure(tmp_path):
    with pytest.raises(UsageError, match="leave --evaluate-only and --domain-only out"):
        train("scint-denoise", tmp_path / "out", data=tmp_path, self_supervised=True, evaluate_only=True)


def test_a_bundle_of_another_recipe_is_no_start(tmp_path, dicom_factory):
    folder = shutil.copytree(zoo.locate("scint-sr-x2"), tmp_path / "copy")
    with pytest.raises(UsageError, match="copy holds scint-sr-x2, not scint-denoise"):
        train("scint-denoise", tmp_path / "out", data=tmp_path, self_supervised=True, start_from=folder)


def test_nothing_is_written_where_the_images_do_not_suffice(tmp_path, dicom_factory):
    dicom_factory("static", folder="few")
    with pytest.raises(InputError, match="give at least 4 planar images"):
        train("scint-denoise", tmp_path / "out", data=tmp_path / "few", self_supervised=True)
    assert not (tmp_path / "out").exists()
