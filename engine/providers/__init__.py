"""Libraries that run a graph, behind one small interface."""

from .base import PRECISIONS, Lane, Precision, Provider, Runnable, Target
from .registry import PROVIDERS, find

__all__ = ["PRECISIONS", "PROVIDERS", "Lane", "Precision", "Provider", "Runnable", "Target", "find"]
