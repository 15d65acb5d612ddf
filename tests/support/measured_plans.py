"""Measured candidates and tables with made-up figures, for tests of what is done with them."""

from typing import Any

from photopeak.engine.tuned import Measured, Table, key_of


def measured(**changes: Any) -> Measured:
    """Return a candidate that was measured; `changes` replace its fields."""
    fields: dict[str, Any] = {
        "provider": "onnxruntime",
        "provider_version": "1",
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "runs": 30,
        "median_ms": 2.0,
        "p99_ms": 3.0,
        "model_ms": 1.0,
    }
    return Measured(**fields | changes)


def table(
    digest: str, *candidates: Measured, matrix: tuple[int, int] = (64, 64), frames: int = 1, threads: int = 0
) -> Table:
    """Return a table of this machine for a bundle with this digest."""
    return Table(key=key_of(digest), matrix=matrix, frames=frames, candidates=candidates, threads=threads)
