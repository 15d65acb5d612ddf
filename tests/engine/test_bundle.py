import errno
import hashlib
import io
import os
import tomllib
import zipfile

import numpy as np
import pytest
from pydantic import ValidationError

from photopeak.engine.bundle import Golden, Manifest, Scheme, open_bundle
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
    with pytest.raises(ModelError, match="is not a plain file"):
        open_bundle(folder)


def test_pipe_does_not_hang(bundle_factory):
    folder = bundle_factory().folder
    (folder / "card.md").unlink()
    os.mkfifo(folder / "card.md")
    with pytest.raises(ModelError, match="is not a plain file"):
        open_bundle(folder)


def rebind(folder, name, content):
    """Replace a file of a bundle and its digest in the manifest."""
    old = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / name).write_bytes(content)
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace(old, hashlib.sha256(content).hexdigest()))
    return folder


def test_card_that_is_not_text_is_refused(bundle_factory):
    with pytest.raises(ModelError, match="not UTF-8"):
        open_bundle(rebind(bundle_factory().folder, "card.md", b"\xff\xfe"))


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06 garbage",
        zipped(input=b"x", output=b"y", truth=b"z"),
        zipped(input=header((1 << 38,)), output=header((1,)), truth=header((1,))),
        zipped(input=bytes(70 << 20), output=b"", truth=b""),
        zipped(input=header((1,)) + b"1234"),
    ],
    ids=["empty", "garbage", "no arrays", "1 TiB", "zip bomb", "missing"],
)
def test_damaged_golden_tensors_are_a_model_error(bundle_factory, content):
    bundle = open_bundle(rebind(bundle_factory().folder, "golden.npz", content))
    with pytest.raises(ModelError, match="golden"):
        _ = bundle.golden


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("matrices", ("abc",), "not a matrix size"),
        ("modalities", (), "modalities"),
        ("title", "two\nlines", "title"),
        ("mean", (0.0, 0.0), "of 18 features"),
        ("modes", ((0.0, 0.0),), "of 18 features"),
        ("precision", "negative", "positive definite"),
        ("limits", (3.0, 2.0), "before outside"),
        ("conserve", "mean", "can conserve sum or none"),
    ],
)
def test_manifest_that_makes_no_sense_is_refused(bundle_factory, key, value, problem):
    manifest = bundle_factory().manifest.model_dump()
    for table in (manifest, manifest["training"], manifest["domain"], manifest["output"]):
        if key in table:
            table[key] = value if value != "negative" else tuple(tuple(-x for x in row) for row in table[key])
    with pytest.raises(ValidationError, match=problem):
        Manifest.model_validate(manifest)


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "9" * 5000, "\x00"])
def test_manifest_that_toml_chokes_on_is_refused(bundle_factory, text):
    folder = bundle_factory().folder
    (folder / "manifest.toml").write_text(text)
    with pytest.raises(ModelError, match="manifest"):
        open_bundle(folder)


def test_representation_does_not_hold_the_weights(bundle_factory):
    assert len(repr(bundle_factory())) < 4000


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
    bundle = bundle_factory(title='Quotes " and \\ and ü')
    data = tomllib.loads((bundle.folder / "manifest.toml").read_text())
    assert data["title"] == 'Quotes " and \\ and ü'
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
    raise OSError(errno.ENOSPC, "disk full")


def optional_files():
    rng = np.random.default_rng(5)
    frames = rng.poisson(9, (3, 1, 8, 8)).astype(np.float32)
    scheme = Scheme(np.geomspace(0.01, 100, 9, dtype=np.float32), 0.3, 7, frames[0, 0, 0])
    return {"int8": {"conv": scheme}, "calibration": Golden(frames, frames + 1, frames + 2)}


def test_bundle_may_hold_schemes_of_int8_and_calibration_frames(bundle_factory):
    given = optional_files()
    bundle = open_bundle(bundle_factory(**given).folder)
    assert bundle.int8.keys() == {"conv"}
    np.testing.assert_array_equal(bundle.int8["conv"].factors, given["int8"]["conv"].factors)
    np.testing.assert_array_equal(bundle.calibration.output, given["calibration"].output)
    assert set(bundle.manifest.files) == {"model.onnx", "golden.npz", "card.md", "int8.npz", "calibration.npz"}
    plain = bundle_factory(folder="plain")
    assert (plain.int8, plain.calibration) == (None, None)
    assert plain.digest != bundle.digest


@pytest.mark.parametrize("name", ["int8.npz", "calibration.npz"])
def test_optional_file_is_bound_by_its_digest(bundle_factory, name):
    folder = bundle_factory(**optional_files()).folder
    (folder / name).write_bytes(b"something else")
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .* changed or damaged"):
        open_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name} cannot be read"):
        open_bundle(folder)


def test_optional_file_that_the_manifest_does_not_know_is_not_read(bundle_factory):
    folder = bundle_factory().folder
    (folder / "int8.npz").write_bytes(b"stray")
    assert open_bundle(folder).int8 is None


def test_file_that_no_bundle_holds_is_refused(bundle_factory):
    folder = bundle_factory(**optional_files()).folder
    (folder / "int8.npz").rename(folder / "model.int8.onnx")
    manifest = folder / "manifest.toml"
    manifest.write_text(manifest.read_text().replace("int8.npz", "model.int8.onnx"))
    with pytest.raises(ModelError, match=r"exactly model\.onnx, golden\.npz, card\.md, and may of int8\.npz and"):
        open_bundle(folder)


def test_new_bundle_drops_the_optional_files_of_the_one_before(bundle_factory):
    folder = bundle_factory(**optional_files()).folder
    assert bundle_factory("anscombe").folder == folder
    assert sorted(path.name for path in folder.iterdir()) == ["card.md", "golden.npz", "manifest.toml", "model.onnx"]


def test_calibration_frames_that_do_not_fit_are_refused(bundle_factory):
    frames = np.ones((1, 1, 8, 8), np.float32)
    bundle = bundle_factory(calibration=Golden(frames, frames[..., :4], frames))
    with pytest.raises(ModelError, match=r"calibration\.npz: shapes"):
        _ = bundle.calibration
