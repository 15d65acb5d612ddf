"""A static page that runs a model in the browser, where the images stay."""

from .export import export_web

__all__ = ["export_web"]
