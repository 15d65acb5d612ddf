import hashlib
import os
import tomllib

import numpy as np
import pytest

from photopeak.engine.bundle import Manifest, open_bundle
from photopeak.engine.errors import ModelError


def test_written_bundle_reads_back(bundle_factory, recipes):
    bundle = bundle_factory("quarters")
    again = open_bundle(bundle.folder)
    assert again.manifest == bundle.manifest
    assert again.digest == bundle.digest == hashlib.sha256((bundle.folder / "manifest.toml").read_bytes()).hexdigest()
    np.testing.assert_array_equal(again.golden.output, recipes["quarters"].truth(again.golden.input))


def test_digest_changes_with_every_file(bundle_factory):
    digests = {bundle_factory(folder="a").digest, bundle_factory("anscombe", folder="b").digest}
    assert len(digests) == 2
    assert bundle_factory(folder="c").digest in digests


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "card.md"])
def test_tampered_file_is_refused(bundle_factory, name):
    folder = bundle_factory().folder
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .* changed or damaged"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["manifest.toml", "model.onnx", "golden.npz", "card.md"])
def test_missing_file_is_named(bundle_factory, name):
    folder = bundle_factory().folder
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} cannot be read \(No such file"):
        open_bundle(folder)


@pytest.mark.parametrize("name", ["manifest.toml", "model.onnx"])
def test_link_is_refused(bundle_factory, tmp_path, name):
    folder = bundle_factory().folder
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="is a link"):
        open_bundle(folder)


def test_swap_after_the_check_changes_nothing(bundle_factory):
    bundle = bundle_factory()
    before = bundle.model
    (bundle.folder / "model.onnx").write_bytes(b"something else")
    assert bundle.model == before


@pytest.mark.parametrize(
    ("line", "replacement", "problem"),
    [
        ("format = 1", "format = 2", "format"),
        ('version = "1.0.0"', 'version = "one"', "version"),
        ('task = "denoise"', 'task = "paint"', "task"),
        ("multiple = 1", "multiple = 0", "input.multiple"),
        ('units = "CNTS"', 'units = "furlongs"', "input.units"),
        ('licence = "Apache-2.0"', 'licence = "Apache-2.0"\nsurprise = 1', "surprise"),
        ("format = 1", "format = = 1", "not TOML"),
        ('name = "test-model"', 'name = "../test-model"', "name"),
        ("limits", "limit", "domain.limits"),
    ],
)
def test_wrong_manifest_names_the_key(bundle_factory, line, replacement, problem):
    path = bundle_factory().folder / "manifest.toml"
    text = path.read_text()
    assert line in text
    path.write_text(text.replace(line, replacement, 1))
    with pytest.raises(ModelError, match=problem):
        open_bundle(path.parent)


def test_manifest_must_bind_every_file(bundle_factory):
    path = bundle_factory().folder / "manifest.toml"
    text = path.read_text().splitlines()
    path.write_text("\n".join(line for line in text if "card.md" not in line))
    with pytest.raises(ModelError, match="digests of exactly"):
        open_bundle(path.parent)


def test_manifest_is_plain_toml(bundle_factory):
    bundle = bundle_factory(title='Quotes " and \\ and\nlines')
    data = tomllib.loads((bundle.folder / "manifest.toml").read_text())
    assert data["title"] == 'Quotes " and \\ and\nlines'
    assert Manifest.model_validate(data) == bundle.manifest


@pytest.mark.parametrize(
    "arrays",
    [
        {"input": np.ones((1, 1, 8, 8), np.float32)},
        {name: np.ones((1, 1, 8, 8), np.float64) for name in ("input", "output", "truth")},
        {
            "input": np.ones((1, 1, 8, 8), np.float32),
            "output": np.ones((1, 1, 8, 9), np.float32),
            "truth": np.ones((1, 1, 8, 8), np.float32),
        },
        {name: np.array([{"a": 1}], dtype=object) for name in ("input", "output", "truth")},
    ],
    ids=["missing", "float64", "shape", "pickle"],
)
def test_bad_golden_tensors_are_refused(bundle_factory, arrays):
    folder = bundle_factory().folder
    old = (folder / "golden.npz").read_bytes()
    np.savez(folder / "golden.npz", **arrays)
    new = (folder / "golden.npz").read_bytes()
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace(hashlib.sha256(old).hexdigest(), hashlib.sha256(new).hexdigest()))
    bundle = open_bundle(folder)
    with pytest.raises(ModelError, match="export"):
        _ = bundle.golden


def test_interrupted_write_leaves_no_part(bundle_factory, monkeypatch):
    bundle = bundle_factory()
    monkeypatch.setattr(os, "fsync", _fail)
    with pytest.raises(OSError, match="disk full"):
        bundle_factory("anscombe")
    monkeypatch.undo()
    assert open_bundle(bundle.folder).digest == bundle.digest
    assert sorted(path.name for path in bundle.folder.iterdir()) == [
        "card.md",
        "golden.npz",
        "manifest.toml",
        "model.onnx",
    ]


def _fail(descriptor):
    raise OSError("disk full")
