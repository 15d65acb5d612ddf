"""Fixtures for the kernels: reference scores, where they are at hand."""

import os
from pathlib import Path

import pytest

from photopeak.kernels.iqa import comparison, frames

SHARED_REFERENCE = Path(
    os.environ.get("PHOTOPEAK_SHARED_REFERENCE", Path(__file__).parents[3] / "shared" / "reference")
)


@pytest.fixture(scope="session")
def reference_iqa() -> Path:
    """Return the folder of reference images and scores, or skip."""
    folder = SHARED_REFERENCE / "iqa"
    if not folder.is_dir():
        pytest.skip("the reference scores are not here: set PHOTOPEAK_SHARED_REFERENCE to their folder")
    return folder


@pytest.fixture
def small_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every thread frames of its own, however small; otherwise all frames of a test would be the work of one."""
    whole = frames.runs
    for module in (frames, comparison):
        monkeypatch.setattr(module, "runs", lambda shape, threads, least=1: whole(shape, threads, 1))
