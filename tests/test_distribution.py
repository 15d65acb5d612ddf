"""What is built and shipped: the sdist, the wheel made from it, and the wheel in an empty environment."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from email import message_from_bytes
from importlib.metadata import requires
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOLDERS = ("engine", "kernels", "exporters", "benchmarks")
GENERATED = {"photopeak/__init__.py", "photopeak/py.typed"}
DEMO = ["photopeak", "demo", "--out", "demo"]


def constraints():
    """Return the pinned version of each package."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def tracked():
    """Paths that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {path for path in listed if (ROOT / path).exists()}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with an sdist and a wheel made from it, without CUDA, as ``make build`` makes them."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    environment = os.environ | {"PHOTOPEAK_CUDA": "OFF", "CMAKE_BUILD_PARALLEL_LEVEL": "2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


@pytest.fixture(scope="module")
def sdist_files(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = [member.name.partition("/")[2] for member in archive if not member.isdir()]
    assert len(names) == len(set(names))
    return set(names)


@pytest.fixture(scope="module")
def wheel(built):
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def wheel_files(wheel):
    return set(ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def empty_environment(wheel, tmp_path_factory):
    """A new virtual environment with nothing but the wheel and what it needs at run time."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--constraint", str(ROOT / "constraints.txt"), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    yield folder
    shutil.rmtree(folder)  # it is large


def run_in(environment, command, folder):
    """Run a command of an environment from another folder, as somebody without our checkout would."""
    program = str(environment / "bin" / command[0])
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [program, *command[1:]], cwd=folder, env=clean | {"COLUMNS": "400"}, capture_output=True, text=True, check=False
    )


def is_native_source(path):
    return "native" in PurePosixPath(path).parts


def test_every_requirement_is_pinned_and_the_pin_satisfies_it():
    pins = constraints()
    for text in requires("photopeak") or []:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != "photopeak":
            assert requirement.specifier.contains(pins[name]), text


def test_constraints_hold_for_every_platform():
    pattern = re.compile(r"[a-z0-9-]+==[0-9][0-9a-z.]*")
    assert not [
        f"{name}=={version}" for name, version in constraints().items() if not pattern.fullmatch(f"{name}=={version}")
    ]


def test_torch_is_needed_to_train_and_measure_only():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert not [r for r in PYPROJECT["project"]["dependencies"] if "torch" in r]
    assert [name for name, listed in extras.items() if any("torch" in r or "train" in r for r in listed)] == [
        "train",
        "evaluate",
    ]


@pytest.mark.slow
def test_sdist_is_the_repository_without_its_workshop(sdist_files, tracked):
    excluded = tuple(PYPROJECT["tool"]["scikit-build"]["sdist"]["exclude"])
    assert sdist_files == {path for path in tracked if not path.startswith(excluded)} | {"PKG-INFO"}


@pytest.mark.slow
def test_wheel_holds_the_four_packages_and_nothing_else(wheel_files, tracked):
    ours = {path for path in wheel_files if ".dist-info/" not in path}
    compiled = {path for path in ours if path.endswith(".so")}
    packaged = {f"photopeak/{path}" for path in tracked if path.startswith(tuple(f"{name}/" for name in FOLDERS))}
    assert ours - compiled == {path for path in packaged if not is_native_source(path)} | GENERATED
    assert "photopeak/engine/_native" in {path.partition(".")[0] for path in compiled}
    assert all(PurePosixPath(path).name.startswith("_") for path in compiled)


@pytest.mark.slow
def test_wheel_holds_the_models_and_the_types(wheel_files):
    for model in ("scint-sr-x2", "scint-denoise"):
        for name in ("model.onnx", "manifest.toml", "golden.npz", "card.md"):
            assert f"photopeak/engine/zoo/{model}/{name}" in wheel_files
    assert "photopeak/py.typed" in wheel_files


@pytest.mark.slow
def test_wheel_says_licence_and_version(wheel, wheel_files):
    (metadata,) = [path for path in wheel_files if path.endswith(".dist-info/METADATA")]
    fields = message_from_bytes(ZipFile(wheel).read(metadata))
    assert fields["Version"] == PYPROJECT["project"]["version"]
    assert fields["License-Expression"] == "Apache-2.0"
    assert {path.rpartition("/")[2] for path in wheel_files if ".dist-info/licenses/" in path} == {"LICENSE", "NOTICE"}


@pytest.mark.slow
def test_demo_works_in_an_empty_environment(empty_environment, tmp_path):
    done = run_in(empty_environment, DEMO, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = (tmp_path / "demo").rglob("*.html")
    assert str(report.resolve()) in done.stdout
    assert list((tmp_path / "demo").rglob("*.dcm"))


@pytest.mark.slow
def test_empty_environment_has_no_torch_and_imports_from_the_wheel(empty_environment, tmp_path):
    code = "import importlib.util as u, photopeak; print(u.find_spec('torch')); print(photopeak.__file__)"
    done = run_in(empty_environment, ["python", "-c", code], tmp_path)
    torch, file = done.stdout.split()
    assert torch == "None"
    assert Path(file).is_relative_to(empty_environment.resolve())


@pytest.mark.slow
def test_commands_say_which_extra_they_lack(empty_environment, tmp_path):
    done = run_in(empty_environment, ["photopeak", "bench"], tmp_path)
    assert done.returncode == 2
    assert "photopeak[bench]" in done.stderr
    assert "Traceback" not in done.stderr
