"""What ``photopeak.kernels`` offers."""

import ast
import inspect
from pathlib import Path

import pytest

from photopeak import kernels


def typed_imports():
    """Return name -> module of the imports that only type checkers see."""
    tree = ast.parse(Path(kernels.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {alias.asname: node.module for node in block.body for alias in node.names}


def test_type_checkers_see_the_same_names():
    assert typed_imports() == kernels._HOMES


def test_names_are_listed():
    assert dir(kernels) == sorted(kernels.__all__) == sorted(kernels._HOMES)


@pytest.mark.parametrize("name", kernels.__all__)
def test_every_name_is_there_and_documented(name):
    found = getattr(kernels, name)
    assert found.__name__ == name
    text = inspect.getdoc(found)
    assert text
    if inspect.isfunction(found):
        assert all(section in text for section in ("Parameters\n", "Examples\n"))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'sharpest'"):
        kernels.sharpest  # noqa: B018
