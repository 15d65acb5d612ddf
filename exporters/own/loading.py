"""Networks, examples and facts from files, for the command line."""

import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ...engine.errors import InputError, ModelError, UsageError
from .about import About

if TYPE_CHECKING:
    from torch import nn

__all__ = ["load_about", "load_example", "load_network"]


def load_network(text: str) -> "nn.Module":
    """Run a Python file of the user's and return what its function makes.

    Nothing but this file is run: weights are read by whatever way it chooses, and nothing is unpickled here.

    Parameters
    ----------
    text : str
        ``FILE.py:FUNCTION``; the function takes nothing and returns the trained network.

    Raises
    ------
    UsageError
        If it is not spelt like that, or there is no such file or function.
    ModelError
        If the file or the function fails, or gives no network.
    """
    from torch import nn

    file, _, function = text.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not function.isidentifier():
        raise UsageError(f"{text!r} names no network; write FILE.py:FUNCTION, of a function that returns it.")
    if not path.is_file():
        raise UsageError(f"{path} is no file; name the Python file with the function {function}.")
    with _beside(path):
        try:
            made = getattr(_module(path), function)()
        except AttributeError as error:
            if f"has no attribute {function!r}" not in str(error):
                raise ModelError(_failed(path, error)) from error
            raise UsageError(f"{path} has no function {function}; name one that returns the network.") from error
        except (Exception, SystemExit) as error:  # a user's file may raise anything
            raise ModelError(_failed(path, error)) from error
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"{function} of {path} returns {type(made).__name__} and no torch.nn.Module; return the network."
        )
    return made


def load_example(path: Path) -> Any:
    """Return examples, truth or labels of a file: an array of .npy, frames of everything else that Photopeak reads.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if path.suffix.lower() == ".npy":
        try:
            with np.errstate(over="ignore"):  # of sizes, which are then refused
                mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # takes no memory that the file does not fill
            return np.array(mapped)
        except (EOFError, OSError, OverflowError, ValueError) as error:
            raise InputError(f"{path} cannot be read as an array ({' '.join(str(error).split())[:200]}).") from error
    from ...engine.reading import read

    return read(path)


def load_about(path: Path) -> About:
    r"""Return what a TOML file tells about a network, by the names of :class:`.about.About`.

    Raises
    ------
    InputError
        If the file cannot be read, or tells something else.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "about.toml"
    >>> _ = path.write_text('title = "Denoiser of our site"\nlicence = "CC0-1.0"\nunits = "CNTS"')
    >>> load_about(path).licence
    'CC0-1.0'
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as TOML ({' '.join(str(error).split())[:200]}).") from error
    known = [field.name for field in fields(About)]
    if foreign := sorted(set(told) - set(known)):
        raise InputError(f"{path} tells {', '.join(foreign)}, which means nothing here; use {', '.join(known)}.")
    try:
        return TypeAdapter(About).validate_python(told)
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(
            f"{path}: {'.'.join(map(str, problem['loc']))}: {problem['msg']} (got {problem['input']!r:.60})."
        ) from error


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be imported; name a Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Let a file import what lies beside it, as it does when Python runs it."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _failed(path: Path, error: BaseException) -> str:
    return (
        f"{path} fails ({type(error).__name__}: {' '.join(str(error).split())[:200]}); run it by itself to see where."
    )
