import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from analysis_models import make_manifest, write_finder
from photopeak.engine.bundle import open_bundle
from photopeak.engine.errors import ModelError
from photopeak.engine.frames import Units
from photopeak.engine.manifest import EmbeddingDomain, Grid, Input, Manifest

TASKS = ("detection", "classification")
OUTPUT = {"name": "image", "scale": 1, "conserve": "sum"}


def changed(task, path, value):
    """Return a manifest's content with the entry at ``table.table.key`` replaced, or removed for None."""
    manifest = make_manifest(task).model_dump(exclude_none=True)
    *tables, key = path.split(".")
    table = manifest
    for name in tables:
        table = table[name]
    if value is None:
        del table[key]
    else:
        table[key] = value
    return manifest


@pytest.mark.parametrize("task", TASKS)
def test_written_finder_reads_back(tmp_path, task):
    bundle = write_finder(tmp_path / "bundle", task)
    again = open_bundle(bundle.folder)
    assert again.manifest == bundle.manifest
    assert again.manifest.analysis.operating_points == ((0.5, 0.9, 0.3),)
    assert tuple(again.golden_heads.heads) == again.manifest.heads
    assert again.manifest.heads[-2:] == ("cam", "embedding")
    for name, head in bundle.golden_heads.heads.items():
        np.testing.assert_array_equal(again.golden_heads.heads[name], head)


@pytest.mark.parametrize(
    ("task", "path", "value", "problem"),
    [
        ("detection", "analysis", None, "needs the table analysis"),
        ("detection", "output", OUTPUT, "has no output"),
        ("denoise", "task", "denoise", "needs the table output"),
        ("detection", "task", "segmentation", "task"),
        ("detection", "analysis.labels", (), "labels"),
        ("detection", "analysis.labels", ("a", "b"), "2 labels do not suit detection"),
        ("classification", "analysis.labels", ("a",), "1 labels do not suit classification"),
        ("classification", "analysis.labels", ("a", "a"), "each label may be there once"),
        ("classification", "analysis.labels", ("a", "b\n"), "labels"),
        ("classification", "analysis.threshold", 1.5, "threshold"),
        ("classification", "analysis.threshold", 0.0, "threshold"),
        ("classification", "analysis.threshold", float("nan"), "threshold"),
        ("classification", "analysis.temperature", 0.0, "temperature"),
        ("classification", "analysis.temperature", -1.0, "temperature"),
        ("classification", "analysis.operating_points", ((0.5, 1.2, 0.1),), "operating_points"),
        ("classification", "analysis.operating_points", ((0.5, 0.9),), "operating_points"),
        ("classification", "analysis.operating_points", ((0.5, 0.9, -1.0),), "operating_points"),
        ("classification", "analysis.embedding.mean", (), "mean"),
        ("classification", "analysis.embedding.mean", (0.0,), "of 1 features"),
        ("detection", "analysis.embedding.precision", ((-1.0,),), "positive definite"),
        ("detection", "analysis.embedding.precision", ((float("inf"),),), "precision"),
        ("detection", "analysis.embedding.precision", ("inf",), "precision"),
        ("detection", "analysis.embedding.precision", ("one",), "precision"),
        ("detection", "analysis.embedding.precision", ("1.0 0.0",), "of 1 features"),
        ("detection", "analysis.embedding.precision", "1.0", "precision"),
        ("detection", "analysis.embedding.limits", (2.0, 1.0), "before outside"),
        ("detection", "analysis.surprise", 1, "surprise"),
        ("detection", "input.grid", None, r"needs the table input\.grid"),
        ("detection", "input.multiple", 6, "multiples of 4 px, not 6"),
        ("detection", "input.channels", ("early", "early"), "a name of its own"),
        ("detection", "input.channels", ("Early phase", "late"), "channels"),
        ("detection", "input.channels", ("early",), "only where there are several"),
        ("detection", "input.channels", tuple("abcdefghi"), "channels"),
        ("detection", "input.grid.kind", "random", "grid.kind"),
        ("detection", "input.grid.pitch_mm", 0.0, "pitch_mm"),
        ("detection", "input.grid.pitch_mm", None, "needs pitch_mm"),
        ("detection", "input.grid.side", 64, "has no side"),
        ("classification", "input.grid.side", None, "needs side"),
        ("classification", "input.grid.side", 36, "no multiple of 8"),
        ("classification", "input.grid.side", 1 << 20, "side"),
        ("classification", "input.grid.pitch_mm", 2.0, "has no pitch_mm"),
    ],
)
def test_contradiction_is_refused(task, path, value, problem):
    content = changed(task if task in TASKS else "detection", path, value)
    with pytest.raises(ValidationError, match=problem):
        Manifest.model_validate(content)


def test_precision_is_written_in_rows_and_read_exactly(tmp_path):
    """Shortest decimals of doubles read back as the same doubles."""
    factor = np.random.default_rng(0).normal(size=(3, 3))
    precision = tuple(map(tuple, (factor @ factor.T + np.eye(3)).tolist()))
    analysis = make_manifest("classification").analysis.model_dump()
    analysis["embedding"]["precision"] = precision
    bundle = write_finder(tmp_path / "bundle", "classification", analysis=analysis)
    assert bundle.manifest.analysis.embedding.precision == precision
    written = tomllib.loads((bundle.folder / "manifest.toml").read_text())["analysis"]["embedding"]["precision"]
    assert written == [" ".join(map(str, row)) for row in precision]


@pytest.mark.parametrize(
    "taken", [{"channels": ("early", "late")}, {"grid": {"kind": "fit", "side": 64}}], ids=["channels", "grid"]
)
def test_model_of_images_has_neither_channels_nor_grid(taken):
    content = make_manifest("detection").model_dump() | {"task": "denoise", "analysis": None, "output": OUTPUT}
    content["input"] = {"name": "counts", "units": Units.COUNTS, **taken}
    with pytest.raises(ValidationError, match="are for models of findings"):
        Manifest.model_validate(content)


def test_what_one_kind_of_model_has_the_other_has_not(tmp_path, bundle_factory):
    finder, denoiser = write_finder(tmp_path / "finder", "detection"), bundle_factory()
    with pytest.raises(ModelError, match=r"test-finder gives findings \(detection\) and no image"):
        _ = finder.golden
    with pytest.raises(ModelError, match="holds no golden tensors"):
        _ = denoiser.golden_heads
    assert denoiser.manifest.heads == ("image",)
    assert (finder.manifest.input.depth, denoiser.manifest.input.depth) == (2, 1)


@pytest.mark.parametrize(
    ("golden", "problem"),
    [
        ({"logits": np.zeros((2, 3, 1, 1), np.float32)}, r"the head 'logits' is \(2, 3, 1, 1\) and not \(2, 2, 1, 1\)"),
        ({"logits": np.zeros((2, 2), np.float32)}, "the head 'logits'"),
        ({"embedding": np.zeros((2, 4, 1, 1), np.float32)}, "the head 'embedding'"),
        ({"cam": np.zeros((2, 1, 8, 8), np.float32)}, "the head 'cam'"),
        ({"cam": np.zeros((2, 2, 5, 5), np.float32)}, "no whole fraction of 32x32"),
        ({"cam": np.zeros((2, 2, 64, 64), np.float32)}, "no whole fraction"),
        ({"cam": np.zeros((2, 2, 8, 0), np.float32)}, "the head 'cam'"),
        ({"cam": np.full((2, 2, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"cam": np.zeros((2, 2, 8, 8))}, "holds no golden tensors"),
        ({"surprise": np.zeros(1, np.float32)}, "holds no golden tensors"),
    ],
)
def test_golden_heads_that_do_not_fit_are_refused(tmp_path, golden, problem):
    bundle = write_finder(tmp_path / "bundle", "classification", golden=golden)
    with pytest.raises(ModelError, match=problem):
        _ = bundle.golden_heads


@pytest.mark.parametrize("shape", [(2, 2, 32, 36), (2, 1, 32, 32), (0, 2, 32, 32), (2, 32, 32)])
def test_golden_input_must_suit_the_graph(tmp_path, shape):
    bundle = write_finder(tmp_path / "bundle", "detection", golden={"input": np.ones(shape, np.float32)})
    with pytest.raises(ModelError, match=r"the input is .* and not \(n, 2, rows, columns\) in multiples of 8"):
        _ = bundle.golden_heads


def test_golden_input_must_have_the_side_of_the_grid(tmp_path):
    bundle = write_finder(tmp_path / "bundle", "classification", golden={"input": np.ones((2, 1, 40, 40), np.float32)})
    with pytest.raises(ModelError, match="40x40 and not 32x32"):
        _ = bundle.golden_heads


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(0.1, 9))
def test_distance_of_an_embedding_is_that_of_mahalanobis(offset, scale):
    """Whitened by a known factor, the distance is the Euclidean one."""
    factor = np.array([[1.0, 0.2, 0.0], [0.0, 2.0, -0.3], [0.0, 0.0, 0.5]]) * scale
    domain = EmbeddingDomain(
        mean=(1.0, -2.0, 0.5), precision=tuple(map(tuple, (factor.T @ factor).tolist())), limits=(1.0, 2.0)
    )
    embedding = (np.array(domain.mean) + offset).astype(np.float32)
    expected = np.linalg.norm(factor @ (embedding - np.array(domain.mean)))
    for shape in ((1, 3), (1, 3, 1, 1)):
        np.testing.assert_allclose(domain.distances(embedding.reshape(shape)), [expected], rtol=1e-9, atol=1e-12)


def test_embedding_that_is_no_number_has_no_distance():
    domain = EmbeddingDomain(mean=(0.0,), precision=((1.0,),), limits=(1.0, 2.0))
    assert np.isnan(domain.distances(np.array([[np.nan]], np.float32))).all()


def test_grids_and_inputs_that_ship_are_accepted():
    assert Grid(kind="thorax", pitch_mm=3.0, side=96).side == 96
    assert Input(name="image", units=Units.NONE, scaling="robust", grid=Grid(kind="fit", side=128)).depth == 1
