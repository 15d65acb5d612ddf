"""The kinds of arithmetic that a graph may run in."""

from typing import Literal

__all__ = ["PRECISIONS", "Precision"]

Precision = Literal["fp32", "bf16", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")
