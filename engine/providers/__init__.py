"""Libraries that run a graph, behind one small interface."""

from .base import PRECISIONS, Lane, Offer, Precision, Provider, Runnable, Target
from .registry import PROVIDERS, find

__all__ = ["PRECISIONS", "PROVIDERS", "Lane", "Offer", "Precision", "Provider", "Runnable", "Target", "find"]
