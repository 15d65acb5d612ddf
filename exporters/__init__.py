"""Training and export: the only home of torch, which is imported when something is really trained or exported.

``to_bundle`` makes a bundle of a network of your own, see :mod:`photopeak.exporters.own`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .own import About, to_bundle

__all__ = ["About", "to_bundle"]


# Resolved on first use: every command of the command line imports this package.
def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'photopeak.exporters' has no attribute {name!r}")
    return getattr(import_module("photopeak.exporters.own"), name)
