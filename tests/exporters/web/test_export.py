"""What is written for the browser, without a browser; runtimes are stood for by files of the same names."""

import io
import json
import re
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError
from photopeak.engine.zoo import load_bundle
from photopeak.exporters.web import export, export_web, npm

PAGE = Path(export.__file__).parent / "page"
SOURCES = sorted(PAGE.iterdir())


def archive(members, change=None):
    """Return an archive as npm packs it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as packed:
        for name, content in members.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            if change:
                change(member)
            packed.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def integrity(content):
    import base64
    import hashlib

    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Return a folder with small archives, which the pins are changed to."""
    folder = tmp_path / "packages"
    folder.mkdir()
    held = {
        "ONNX_RUNTIME": (*export._WASM, *export._WEBGPU),
        "DICOM_PARSER": tuple(export._DICOM),
        "OPENJPEG": tuple(export._OPENJPEG),
    }
    for name, files in held.items():
        content = archive({file: file.encode() for file in files})
        package = replace(getattr(npm, name), integrity=integrity(content))
        monkeypatch.setattr(npm, name, package)
        (folder / package.archive).write_bytes(content)
    return folder


def test_folder_holds_page_runtime_model_and_licences(packages, tmp_path):
    made = export_web(load_bundle("scint-denoise"), tmp_path / "page", packages=packages)
    found = {
        path.relative_to(tmp_path / "page").as_posix() for path in (tmp_path / "page").rglob("*") if path.is_file()
    }
    assert found == set(made.files)
    assert made.size == sum((tmp_path / "page" / name).stat().st_size for name in made.files)
    assert {source.name for source in SOURCES if source.suffix != ".py"} <= found
    assert {"vendor/ort.wasm.js", "vendor/ort.webgpu.js", "model/fp32.onnx", "model/settings.json"} <= found
    assert b"Microsoft" in (tmp_path / "page" / "licences" / "onnxruntime-web.txt").read_bytes()
    assert b"Louvain" in (tmp_path / "page" / "licences" / "openjpeg.txt").read_bytes()
    assert made.files[-1] == "index.html"


def test_runtime_for_webgpu_can_be_left_out(packages, tmp_path):
    made = export_web(load_bundle("scint-denoise"), tmp_path / "page", packages=packages, webgpu=False)
    assert not [name for name in made.files if "webgpu" in name or "asyncify" in name]
    assert json.loads((tmp_path / "page" / "model" / "settings.json").read_text())["webgpu"] is False


def test_settings_say_what_the_manifest_says(packages, tmp_path):
    bundle = load_bundle("pet-sr-x2")
    export_web(bundle, tmp_path / "page", packages=packages)
    settings = json.loads((tmp_path / "page" / "model" / "settings.json").read_text())
    manifest = bundle.manifest
    assert settings["digest"] == bundle.digest
    assert settings["input"]["units"] == "BQML"
    assert settings["input"]["scaling"] == "robust"
    assert settings["output"] == {"name": "image", "scale": 2, "conserve": "mean"}
    assert len(settings["domain"]["words"]) == len(manifest.domain.features)
    np.testing.assert_array_equal(settings["domain"]["precision"], manifest.domain.precision)
    golden = np.load(tmp_path / "page" / "model" / "golden-output.npy")
    np.testing.assert_array_equal(golden, bundle.golden.output[: len(golden), 0])


def test_page_that_is_there_is_replaced(packages, tmp_path):
    for model in ("scint-denoise", "pet-sr-x2"):
        export_web(load_bundle(model), tmp_path / "page", packages=packages)
    assert json.loads((tmp_path / "page" / "model" / "settings.json").read_text())["name"] == "pet-sr-x2"


def test_folder_with_something_else_is_refused(packages, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        export_web(load_bundle("scint-denoise"), tmp_path, packages=packages)
    with pytest.raises(UsageError, match="is a file"):
        export_web(load_bundle("scint-denoise"), tmp_path / "notes.txt", packages=packages)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", "packages"}


@pytest.mark.parametrize("model", ["bone-classify", "parathyroid-detect", "cxr-view"])
def test_models_of_findings_are_refused_with_the_reason(packages, tmp_path, model):
    with pytest.raises(UsageError, match="grid that only the engine prepares"):
        export_web(load_bundle(model), tmp_path / "page", packages=packages)
    assert not (tmp_path / "page").exists()


def test_other_archive_than_the_pinned_is_refused_and_nothing_written(packages, tmp_path):
    (packages / npm.DICOM_PARSER.archive).write_bytes(archive({"LICENSE": b"changed"}))
    with pytest.raises(InputError, match="not that of dicom-parser"):
        export_web(load_bundle("scint-denoise"), tmp_path / "page", packages=packages)
    assert not (tmp_path / "page").exists()


def test_missing_archive_is_named(tmp_path):
    with pytest.raises(InputError, match="npm pack onnxruntime-web@"):
        npm.find(npm.ONNX_RUNTIME, tmp_path)


def test_cached_archive_is_taken_and_a_damaged_one_is_fetched_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path))
    content = archive({"a.js": b"1"})
    package = npm.Package("some-package", "1.0.0", integrity(content))
    monkeypatch.setattr(npm, "_fetched", lambda wanted: content)
    assert npm.find(package) == content
    kept = npm.cache_folder() / "some-package-1.0.0.tgz"
    monkeypatch.setattr(npm, "_fetched", lambda wanted: pytest.fail("it is in the cache"))
    assert npm.find(package) == content
    kept.write_bytes(b"damaged")
    monkeypatch.setattr(npm, "_fetched", lambda wanted: content)
    assert npm.find(package) == content
    assert kept.read_bytes() == content


def test_machine_without_npm_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"npm is not installed; install Node\.js, or"):
        npm.find(npm.DICOM_PARSER)


def test_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(npm, "_fetched", lambda wanted: b"archive")
    with pytest.raises(UsageError, match=r"file/npm cannot be written .*PHOTOPEAK_CACHE_DIR"):
        npm.find(npm.DICOM_PARSER)


def test_npm_that_fails_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOPEAK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "npm").write_text("#!/bin/sh\necho 'no such registry' >&2\nexit 1\n")
    (tmp_path / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UsageError, match="no such registry"):
        npm.find(npm.DICOM_PARSER)


def as_link(member):
    member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0


def test_members_are_plain_files_of_a_bounded_size(monkeypatch):
    content = archive({"dist/a.js": b"1", "dist/b.js": b"22"})
    assert npm.members(content, ("dist/b.js", "dist/a.js")) == {"dist/b.js": b"22", "dist/a.js": b"1"}
    with pytest.raises(InputError, match=r"no plain file dist/c\.js"):
        npm.members(content, ("dist/c.js",))
    with pytest.raises(InputError, match="no plain file"):
        npm.members(archive({"dist/a.js": b""}, as_link), ("dist/a.js",))
    monkeypatch.setattr(npm, "_LARGEST_FILE", 1)
    with pytest.raises(InputError, match=r"no plain file dist/b\.js"):
        npm.members(content, ("dist/a.js", "dist/b.js"))


def test_policy_of_the_page_is_strict():
    html = (PAGE / "index.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert "http" not in policy
    assert not re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=", html)


def test_readme_gives_the_policy_of_the_page_as_a_header(packages, tmp_path):
    export_web(load_bundle("scint-denoise"), tmp_path / "page", packages=packages)
    (policy,) = re.findall(r"Content-Security-Policy: (.*)", (tmp_path / "page" / "README.txt").read_text())
    assert f'content="{policy}"' in (PAGE / "index.html").read_text()
    assert policy.startswith("default-src 'none'; script-src 'self'")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_page_names_no_other_server(source):
    found = set(re.findall(r"https?://[\w.]+", source.read_text()))
    assert found <= {"http://127.0.0.1", "http://www.w3.org"}


@pytest.mark.parametrize("source", [path for path in SOURCES if path.suffix == ".js"], ids=lambda path: path.name)
def test_modules_import_what_is_there(source):
    text = source.read_text()
    for name in re.findall(r'(?:from|import) "\./([^"]+)"', text):
        assert (PAGE / name).is_file()
    for names, module in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', text):
        exported = set(re.findall(r"export (?:async )?(?:function|class|const) (\w+)", (PAGE / module).read_text()))
        assert {name.strip() for name in names.split(",")} <= exported
        assert all(
            re.search(rf"\b{name.strip()}\b", text.partition(f'from "./{module}"')[2]) for name in names.split(",")
        )


@pytest.mark.parametrize(("max_loss_db", "precisions"), [(0.5, ["fp32", "int8"]), (-1.0, ["fp32"])])
def test_graph_of_int8_goes_along_where_it_loses_little_enough(packages, tmp_path, max_loss_db, precisions):
    bundle = load_bundle("pet-sr-x2-srgan")
    export_web(bundle, tmp_path / "page", packages=packages, max_loss_db=max_loss_db)
    settings = json.loads((tmp_path / "page" / "model" / "settings.json").read_text())
    assert list(settings["graphs"]) == precisions
    assert all((tmp_path / "page" / graph["file"]).is_file() for graph in settings["graphs"].values())
    assert all(graph["tolerance"] > 0 for graph in settings["graphs"].values())
