"""Packages, judged by the packages of bioimage.io: their validation and their test."""

import gc
import shutil
from dataclasses import replace
from zipfile import ZipFile

import numpy as np
import pytest

from analysis_models import write_finder
from photopeak.engine import zoo
from photopeak.engine.bundle import Golden, write_bundle
from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.exporters import bioimageio
from photopeak.exporters.bioimageio import require_bioimageio, write_bioimageio
from photopeak.exporters.bioimageio_axes import example_frame, takes_whole_planes

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def collected():
    """Collect the files that bioimageio.spec leaves open, before a test that allows no warnings does."""
    yield
    gc.collect()


def needs_bioimageio():
    try:
        require_bioimageio()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def spec():
    """Return the module bioimageio.spec, or skip."""
    needs_bioimageio()
    import bioimageio.spec

    return bioimageio.spec


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Return a package of a shipped model, made once."""
    needs_bioimageio()
    return write_bioimageio(zoo.load_bundle("pet-sr-x2-srcnn"), tmp_path_factory.mktemp("packages") / "pet")


@pytest.mark.parametrize("name", zoo.names())
def test_every_model_that_ships_makes_a_package_whose_test_passes(spec, tmp_path, name):
    from bioimageio import core

    bundle = zoo.load_bundle(name)
    told = []
    folder = write_bioimageio(bundle, tmp_path / name, tell=told.append)
    assert told == ["describing it", "running its test"]
    with bioimageio._quiet():
        described = spec.load_description(folder / "rdf.yaml", format_version="latest")
        assert not isinstance(described, spec.InvalidDescr)
        assert described.weights.onnx.opset_version == 17
        assert described.config.photopeak["digest"] == bundle.digest
        given = core.predict(model=described, inputs=np.load(folder / "test_input.npy"))
    for output in described.outputs:
        found = np.asarray(given.members[output.id].data)
        expected = np.load(folder / f"test_{output.id}.npy")
        # Where tiles are allowed, the plane is given a border, which the context of a pixel near its edge has then.
        edge = 0 if takes_whole_planes(bundle) else bundle.manifest.input.overlap * 2
        inner = (..., *(slice(edge, size - edge) for size in expected.shape[2:]))
        assert np.abs(found - expected)[inner].max() < 1e-4 * np.abs(expected).max()


def test_a_package_holds_everything_and_says_where_it_comes_from(package):
    names = {path.name for path in package.iterdir()}
    assert names == {"README.md", "cover.png", "model.onnx", "rdf.yaml", "test_input.npy", "test_output.npy"}
    text = (package / "rdf.yaml").read_text()
    assert "deepimagej" in text
    assert "allow_tiling: false" in text


def test_any_size_in_steps_is_taken(package, spec):
    from bioimageio import core

    with bioimageio._quiet():
        described = spec.load_description(package / "rdf.yaml", format_version="latest")
        (y, x) = described.inputs[0].axes[2:]
        rows, columns = y.size.min + 2 * y.size.step, x.size.min
        frame = np.random.default_rng(0).random((1, 1, rows, columns)).astype(np.float32)
        found = core.predict(model=described, inputs=frame)
    (output,) = described.outputs
    assert found.members[output.id].data.shape == (1, 1, 2 * rows, 2 * columns)


def test_an_archive_holds_the_same_files(spec, tmp_path):
    path = write_bioimageio(zoo.load_bundle("pet-sr-x2-srcnn"), tmp_path / "pet.zip", authors=("Ada L.", "Max P."))
    with ZipFile(path) as archive:
        assert "model.onnx" in archive.namelist()
        assert "Ada L." in archive.read("rdf.yaml").decode()
    assert [path.name for path in tmp_path.iterdir()] == ["pet.zip"]


def test_a_model_of_findings_without_citations_makes_a_package(spec, tmp_path):
    folder = write_bioimageio(write_finder(tmp_path / "finder", "detection"), tmp_path / "out")
    outputs = {f"test_{name}.npy" for name in ("heat", "box", "cam", "embedding")}
    assert outputs < {path.name for path in folder.iterdir()}


def test_a_graph_that_gives_something_else_fails_the_test_and_leaves_nothing(spec, tmp_path, monkeypatch):
    bundle = zoo.load_bundle("pet-sr-x2-srcnn")
    outputs = bioimageio._outputs
    monkeypatch.setattr(bioimageio, "_outputs", lambda *given: {name: 1.5 * t for name, t in outputs(*given).items()})
    with pytest.raises(ModelError, match=r"the test of bioimageio.core fails") as found:
        write_bioimageio(bundle, tmp_path / "out")
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


def test_a_licence_that_is_none_is_refused_and_leaves_nothing(spec, tmp_path):
    bundle = zoo.load_bundle("pet-sr-x2-srcnn")
    changed = replace(bundle, manifest=bundle.manifest.model_copy(update={"licence": "ours"}))
    with pytest.raises(ModelError, match=r"bioimageio.spec refuses it .*correct the manifest") as found:
        write_bioimageio(changed, tmp_path / "out")
    assert "\n" not in str(found.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out", "out.zip"])
def test_a_place_that_is_taken_is_refused(spec, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        write_bioimageio(zoo.load_bundle("pet-sr-x2-srcnn"), tmp_path / name)
    assert (tmp_path / name).read_text() == "mine"


def test_a_small_golden_frame_is_mirrored_to_the_smallest_plane(tmp_path):
    bundle = zoo.load_bundle("scint-denoise")
    small = Golden(*(np.ascontiguousarray(one[..., :24, :40]) for one in bundle.golden.arrays().values()))
    copy = write_bundle(tmp_path / "small", bundle.manifest, model=bundle.model, golden=small, card=bundle.card)
    frame = example_frame(copy)
    assert frame.shape[2:] == (32, 40)
    np.testing.assert_array_equal(frame[..., :24, :40], small.input[:1])
    np.testing.assert_array_equal(frame[..., 24, :40], small.input[:1, :, 22])
    shutil.rmtree(copy.folder)
