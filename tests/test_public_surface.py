"""What ``import photopeak`` offers, and what it must not cost."""

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

import photopeak

PUBLIC = [
    "AnalysisResult",
    "AnalysisSession",
    "Bundle",
    "DeviceError",
    "Frames",
    "InputError",
    "MatrixSize",
    "ModelError",
    "PartialError",
    "PhotopeakError",
    "Result",
    "Session",
    "Units",
    "UsageError",
    "__version__",
    "load",
    "process",
    "read",
    "read_all",
    "write",
]
HEAVY = [
    "numpy",
    "onnx",
    "onnxruntime",
    "openvino",
    "numba",
    "pydicom",
    "pydantic",
    "plotly",
    "scipy",
    "torch",
    "typer",
]
NEVER_IN_THE_RUNTIME = ["torch", "pytest", "scipy", "skimage", "onnxscript"]
NEEDS_TORCH = "photopeak.exporters."


def modules_of(*packages):
    """Return the dotted names of all modules in these packages, benchmark files excepted."""
    found = []
    for package in packages:
        folder = importlib.import_module(package).__path__
        found += [package, *(info.name for info in pkgutil.walk_packages(folder, f"{package}."))]
    return [name for name in found if not name.rpartition(".")[2].startswith(("bench_", "conftest", "_", "__main__"))]


MODULES = modules_of("photopeak.kernels", "photopeak.engine", "photopeak.benchmarks", "photopeak.exporters")


def loaded_after(code):
    """Return the modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def module(request):
    if request.param.startswith(NEEDS_TORCH) and find_spec("torch") is None:
        pytest.skip("torch is not installed; the train extra has it")
    return importlib.import_module(request.param)


each_module = pytest.mark.parametrize("module", MODULES, indirect=True)


def test_public_names_are_these():
    assert photopeak.__all__ == PUBLIC
    assert dir(photopeak) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_resolve_and_are_documented(name):
    value = getattr(photopeak, name)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_errors_are_those_that_are_raised(tmp_path):
    with pytest.raises(photopeak.InputError, match=r"none\.dcm") as caught:
        photopeak.read(tmp_path / "none.dcm")
    assert isinstance(caught.value, photopeak.PhotopeakError)
    with pytest.raises(photopeak.ModelError, match="scint-dream"):
        photopeak.load("scint-dream")
    assert loaded_after("import photopeak; photopeak.PhotopeakError").isdisjoint(HEAVY)


def test_units_build_frames():
    frames = photopeak.Frames.from_array(np.ones((4, 4)), units=photopeak.Units.COUNTS)
    assert frames.units is photopeak.Units.COUNTS


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = photopeak.nonsense


def test_import_loads_nothing_heavy():
    assert not loaded_after("import photopeak") & set(HEAVY)


def test_importing_the_whole_runtime_needs_neither_torch_nor_test_tools():
    # As if they were not installed: Numba, for one, looks for scipy and does without.
    hidden = f"import sys; sys.modules.update(dict.fromkeys({NEVER_IN_THE_RUNTIME}))"
    names = [name for name in MODULES if name.startswith(("photopeak.kernels", "photopeak.engine"))]
    assert set(names) <= loaded_after("\n".join([hidden, *(f"import {name}" for name in names)]))


@each_module
def test_all_names_what_a_module_defines(module):
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    offered = getattr(module, "__all__", list(defined))
    assert len(offered) == len(set(offered))
    assert defined <= set(offered)
    assert all(hasattr(module, name) for name in offered)


@each_module
def test_every_module_says_what_it_is_for(module):
    assert (module.__doc__ or "").strip()
