"""Engines of TensorRT-RTX, really built: no GPU is needed for it."""

import hashlib
import json
from dataclasses import replace

import pytest

from photopeak.engine import zoo
from photopeak.engine.cli import main
from photopeak.engine.errors import DeviceError, ModelError, UsageError
from photopeak.engine.matrix import MatrixSize
from photopeak.engine.providers.tensorrt import TENSORRT, TENSORRT_RTX, adopt, store
from photopeak.engine.providers.tensorrt.key import Need
from photopeak.engine.providers.tensorrt.layers import is_convolution
from photopeak.exporters.evaluation.engine_study import as_markdown, measure
from photopeak.exporters.tensorrt import (
    CAPABILITIES,
    MANIFEST,
    MATRICES,
    EngineRequest,
    build_engines,
    working_matrices,
)

needs_library = pytest.mark.skipif(bool(TENSORRT_RTX.problem()), reason=TENSORRT_RTX.problem())
SMALL = EngineRequest(matrices=(MatrixSize(32, 48), MatrixSize(64, 64)), precisions=("fp16",))


@pytest.fixture(scope="module")
def bundle():
    return zoo.load_bundle("pet-sr-x2-srcnn")


@pytest.fixture
def engines(bundle, tmp_path):
    """Return the engines of a small request, written."""
    return build_engines(bundle, tmp_path / "engines", SMALL)


@pytest.mark.slow
@needs_library
@pytest.mark.parametrize("name", zoo.names())
def test_every_model_has_engines_for_every_kind_of_gpu(name, tmp_path):
    bundle = zoo.load_bundle(name)
    for capabilities in (*((one,) for one in CAPABILITIES), CAPABILITIES):
        request = EngineRequest(precisions=("fp32", "fp16"), capabilities=capabilities)
        for file in build_engines(bundle, tmp_path / "-".join(capabilities), request):
            record = file.record
            matrices = tuple(MatrixSize(profile.rows, profile.columns) for profile in record.key.profiles)
            assert matrices == working_matrices(bundle, MATRICES)
            assert record.key.capabilities == capabilities
            wanted = {"fp32": "Float", "fp16": "Half"}[record.key.precision]
            convolutions = [layer for layer in record.layers if is_convolution(layer)]
            assert len(convolutions) >= len(matrices)
            assert wanted in {kind for layer in convolutions for kind in layer.inputs}
            assert file.path.stat().st_size == record.size
            assert record.seconds > 0


@needs_library
def test_files_are_bound_to_each_other(engines, bundle):
    (file,) = engines
    manifest = json.loads((file.path.parent / MANIFEST).read_text())
    assert manifest["bundle"] == file.record.key.bundle == bundle.digest
    assert manifest["engines"] == {file.path.name: file.record.sha256}
    assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.record.sha256
    assert store.read_record(file.path.with_suffix(".json")) == file.record
    assert sorted(path.name for path in file.path.parent.iterdir()) == sorted(
        [MANIFEST, file.path.name, file.path.with_suffix(".json").name]
    )


@needs_library
def test_profiles_are_those_of_the_matrices(engines):
    profiles = engines[0].record.key.profiles
    assert [(p.rows, p.columns, p.least, p.best, p.most) for p in profiles] == [(32, 48, 1, 1, 64), (64, 64, 1, 1, 64)]


@needs_library
def test_exported_engines_are_adopted_and_found(engines, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    store.unusable.cache_clear()
    (file,) = engines
    adopt(file.path.parent, {file.path.name: file.record.sha256})
    key = file.record.key
    need = Need(**key.model_dump(include=set(Need.model_fields)), capability="SM120")
    record, data = store.find(need, (1, 1, 64, 64))
    assert data == file.path.read_bytes()
    assert record.key == key


@needs_library
def test_engine_of_one_matrix_is_not_used_for_another(engines, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    store.unusable.cache_clear()
    (file,) = engines
    adopt(file.path.parent, {file.path.name: file.record.sha256})
    need = Need(**file.record.key.model_dump(include=set(Need.model_fields)), capability="SM120")
    assert store.find(need, (1, 1, 48, 32)) is None


@needs_library
def test_padding_is_part_of_the_matrix():
    bundle = zoo.load_bundle("scint-denoise")
    multiple = bundle.manifest.input.multiple
    assert working_matrices(
        bundle, (MatrixSize(8 * multiple - 1, 8 * multiple), MatrixSize(8 * multiple, 8 * multiple))
    ) == (MatrixSize(8 * multiple, 8 * multiple),)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"library": "tensorrt-lite"}, "use tensorrt or tensorrt-rtx"),
        ({"precisions": ("int8",)}, "takes no int8 graphs; use fp32, bf16, fp16"),
        ({"precisions": ()}, "name at least one"),
        ({"matrices": ()}, "name at least one"),
        ({"capabilities": ()}, "name the GPUs"),
        ({"capabilities": ("SM90",)}, "does not build for SM90; use SM75, SM80"),
        ({"library": "tensorrt"}, "builds for the GPU that is here"),
        ({"most": -1}, "most=-1 makes no sense"),
    ],
)
def test_requests_that_make_no_sense_write_nothing(bundle, tmp_path, wrong, words):
    with pytest.raises(UsageError, match=words):
        build_engines(bundle, tmp_path / "engines", replace(SMALL, **wrong))
    assert not (tmp_path / "engines").exists()


@pytest.mark.skipif(not TENSORRT.problem(), reason="TensorRT is installed here")
def test_absent_library_writes_nothing(bundle, tmp_path):
    with pytest.raises(DeviceError, match="run pip install tensorrt"):
        build_engines(bundle, tmp_path / "engines", replace(SMALL, library="tensorrt", capabilities=()))
    assert not (tmp_path / "engines").exists()


@needs_library
def test_graph_that_is_not_taken_writes_nothing(tmp_path):
    with pytest.raises(ModelError, match="builds no bf16 engine"):
        build_engines(zoo.load_bundle("bone-classify"), tmp_path / "engines", EngineRequest(precisions=("bf16",)))
    assert not (tmp_path / "engines").exists()


@needs_library
def test_study_tells_sizes_layers_and_what_is_not_built(tmp_path):
    bundles = [zoo.load_bundle(name) for name in ("pet-sr-x2-srcnn", "bone-classify")]
    text = as_markdown(measure(bundles, (MatrixSize(32, 32),), tmp_path))
    assert "| pet-sr-x2-srcnn | fp16 | 6 | 3 | Half |" in text
    assert "| pet-sr-x2-srcnn | 32x32 | 0." in text
    assert "* bone-classify in bf16: TensorRT-RTX builds no bf16 engine" in text


@needs_library
def test_command_writes_engines(tmp_path, capsys):
    folder = tmp_path / "engines"
    words = [
        "export",
        "pet-sr-x2-srcnn",
        "--to",
        "tensorrt-rtx",
        "--matrix",
        "32",
        "--precision",
        "fp16",
        "-o",
        str(folder),
    ]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "1 engine" in capsys.readouterr().out
    assert len(list(folder.glob("*.engine"))) == 1
