"""A bundle of a network that was trained elsewhere."""

from .about import About, Examples
from .making import Own, to_bundle

__all__ = ["About", "Examples", "Own", "to_bundle"]
