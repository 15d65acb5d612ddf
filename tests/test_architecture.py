"""Which folder may import which, and who may import the libraries that only one place needs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "kernels": {"kernels"},
    "engine": {"engine", "kernels"},
    "exporters": {"exporters", "engine", "kernels"},
    "benchmarks": {"benchmarks", "engine", "kernels"},
}
BANNED = {
    "kernels": {"pydicom", "pynetdicom", "torch"},
    "engine": {"torch"},
    "exporters": {"pynetdicom"},
    "benchmarks": {"pynetdicom", "torch"},
}
NETWORK = ("engine/dicom/network.py", "engine/node/")
# Where other people's libraries are measured beside ours; PyTorch needs our graphs as its own operators.
PEERS = "benchmarks/peers/"
# Whoever imports ONNX Runtime elsewhere lets it report what runs.
TELEMETRY_OFF = "engine/providers/onnxruntime_module.py"
MODULES = sorted(p.relative_to(ROOT) for folder in ALLOWED for p in (ROOT / folder).rglob("*.py"))
each_module = pytest.mark.parametrize("module", MODULES, ids=str)


def imported(source: str, package: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the parts of every name that a module of `package` imports, also inside functions and by import_module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            stem = package[: len(package) + 1 - node.level] if node.level else ()
            parent = [*stem, *(node.module or "").split(".")] if node.module else list(stem)
            yield from ([*parent, alias.name] for alias in node.names)
        elif isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            target = node.args[0]
            if name in ("import_module", "__import__", "importorskip") and isinstance(target, ast.Constant):
                yield str(target.value).split(".")


def violations(source: str, module: Path) -> set[str]:
    """Return what a module imports against the rules."""
    folder, *_ = module.parts
    names = list(imported(source, ("photopeak", *module.parts[:-1])))
    inside = {name[1] for name in names if name[0] == "photopeak" and len(name) > 1} - {"__version__"}
    banned = BANNED[folder] | (set() if module.as_posix().startswith(NETWORK) else {"pynetdicom"})
    banned |= set() if module.as_posix() == TELEMETRY_OFF else {"onnxruntime"}
    peers = module.as_posix().startswith(PEERS)
    banned -= {"torch"} if peers else set()
    return (inside - ALLOWED[folder] - ({"exporters"} if peers else set())) | ({name[0] for name in names} & banned)


@each_module
def test_imports_point_downwards(module):
    assert not violations((ROOT / module).read_text(encoding="utf-8"), module)


@pytest.mark.parametrize(
    ("folder", "line", "culprit"),
    [
        ("kernels", "from photopeak.engine import frames", "engine"),
        ("kernels", "import photopeak.engine.frames", "engine"),
        ("engine", "def f():\n    import onnxruntime", "onnxruntime"),
        ("kernels", "from ..engine import frames", "engine"),
        ("kernels", "from .. import engine", "engine"),
        ("kernels", "def f():\n    from ..engine.frames import Frames", "engine"),
        ("kernels", "import_module('photopeak.engine')", "engine"),
        ("engine", "import torch.nn", "torch"),
        ("engine", "from ..exporters import recipes", "exporters"),
        ("engine", "from pynetdicom import AE", "pynetdicom"),
        ("benchmarks", "from ..exporters import recipes", "exporters"),
    ],
)
def test_upward_imports_are_seen(folder, line, culprit):
    assert violations(line, Path(folder, "x.py")) == {culprit}


@pytest.mark.parametrize("line", ["from .. import __version__", "from ..kernels import errors", "import numpy"])
def test_downward_imports_are_fine(line):
    assert not violations(line, Path("engine", "x.py"))


def test_network_is_allowed_where_the_node_lives():
    assert not violations("import pynetdicom", Path("engine/node/receiver.py"))


def test_torch_is_allowed_where_peers_are_measured():
    assert not violations("import torch", Path("benchmarks/peers/images.py"))
    assert not violations("from ...exporters import torch_graph", Path("benchmarks/peers/images.py"))


def test_every_package_folder_is_a_package():
    folders = {module.parent for module in MODULES}
    assert not [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()]


def test_repository_root_is_not_a_package():
    assert not (ROOT / "__init__.py").exists()


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_tests_use_the_installed_name(path):
    names = imported(path.read_text(encoding="utf-8"), ("tests",))
    assert not {name[0] for name in names} & {*ALLOWED, "tests"}
