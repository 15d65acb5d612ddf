"""Fixtures for every test: the shared data, synthetic DICOM objects, and results of a model that does little."""

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from dicom_objects import KINDS, Choices, save, scrambled_names
from photopeak.engine import tuned
from photopeak.engine.bundle import Bundle, Domain, Input, Manifest, Output, Training
from photopeak.engine.frames import Frames, Units
from photopeak.engine.plan import Plan
from photopeak.engine.providers import openvino_models
from photopeak.engine.result import Conservation, DomainVerdict, Result

# No deadline: the first call of a kernel may have to compile it, and CI shares its cores.
settings.register_profile("photopeak", deadline=None)
settings.load_profile("photopeak")

SHARED_DATA = Path(os.environ.get("PHOTOPEAK_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def plans_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep tables of measured plans in a folder of the test's own: those of this user must not decide what a test sees."""
    folder = tmp_path_factory.mktemp("plans")
    monkeypatch.setattr(tuned, "cache_folder", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def _compiled_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(autouse=True)
def compiled_folder(_compiled_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep compiled models in a folder of the run's own: those of tests are of no use to this user."""
    monkeypatch.setattr(openvino_models, "cache_folder", lambda: _compiled_models)
    return _compiled_models


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared real data is not here: set PHOTOPEAK_SHARED_DATA to its folder")
    return SHARED_DATA


@pytest.fixture
def dicom_factory(tmp_path: Path) -> Callable[..., list[Path]]:
    """Return ``make(kind, **choices) -> list of paths``, which writes synthetic DICOM objects.

    Kinds: ``static whole-body dynamic gated tomo recon-tomo pet enhanced-pet ct xa cr dx``.
    Choices: the fields of :class:`Choices`; any of its defaults may be replaced, and ``tags={"PatientWeight": None}``
    sets or (with None) removes elements of every object. The files are in the order of the series and carry scrambled
    names.
    """

    def make(kind: str, **choices: Any) -> list[Path]:
        chosen = Choices(**choices)
        folder = tmp_path / (chosen.folder or f"{kind}-{len(list(tmp_path.iterdir()))}")
        folder.mkdir(parents=True, exist_ok=True)
        objects = KINDS[kind](chosen)
        return [
            save(ds, folder / name, chosen) for ds, name in zip(objects, scrambled_names(len(objects)), strict=True)
        ]

    return make


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Return ``make(frames, scale=1, conserve=None, **changes) -> Result``: a session's outcome without a model.

    The model is a 3 x 3 mean, after pixel repetition for scale 2; it keeps each frame's sum (for counts) or mean (for
    the rest), as `conserve` says. `changes` replace fields of the result, or ``name``, ``version`` and ``digest`` of
    the bundle.
    """
    return _make_result


def _make_result(frames: Frames, /, scale: int = 1, conserve: str | None = None, **changes: Any) -> Result:
    kind = conserve or ("sum" if frames.units is Units.COUNTS else "mean")
    bundle = _bundle(scale, kind, {key: changes.pop(key) for key in ("name", "version", "digest") if key in changes})
    repeated = frames.pixels.astype(np.float64).repeat(scale, axis=1).repeat(scale, axis=2)
    smoothed = np.mean([np.roll(repeated, shift, axis=(1, 2)) for shift in product((-1, 0, 1), repeat=2)], axis=0)
    output = np.asarray(smoothed / (scale**2 if kind == "sum" else 1), np.float32)
    spacing = frames.pixel_spacing_mm and (frames.pixel_spacing_mm[0] / scale, frames.pixel_spacing_mm[1] / scale)
    totals = frames.pixels.sum(axis=(1, 2), dtype=np.float64)
    fields: dict[str, Any] = {
        "frames": frames.with_pixels(output, spacing),
        "source": frames,
        "bundle": bundle,
        "plan": Plan("onnxruntime", "1.0", "cpu", "fp32", 1, 0.0, "as asked"),
        "conservation": Conservation(kind, totals, totals * 1.01, totals),  # type: ignore[arg-type]
        "judge": lambda: DomainVerdict("inside", np.zeros(len(frames)), (3.0, 5.0)),
    }
    return Result(**{**fields, **changes})


def _bundle(scale: int, conserve: str, identity: dict[str, str]) -> Bundle:
    task = "denoise" if scale == 1 else "super-resolution"
    manifest = Manifest(
        name=identity.get("name", "scint-denoise" if scale == 1 else "scint-sr-x2"),
        version=identity.get("version", "1.0.0"),
        title="Test",
        task=task,  # type: ignore[arg-type]
        licence="Apache-2.0",
        modalities=("NM",),
        input=Input(name="counts", units=Units.BECQUEREL_PER_ML if conserve == "mean" else Units.COUNTS),
        output=Output(name="image", scale=scale, conserve=conserve),  # type: ignore[arg-type]
        training=Training(
            recipe="none",
            date="2026-01-01",
            seconds=1,
            steps=1,
            matrices=("64",),
            counts_per_pixel=(1, 9),
            data=("none",),
        ),
        domain=Domain(features=("mean",), mean=(0.0,), precision=((1.0,),), limits=(3, 5)),
    )
    return Bundle(Path(), manifest, identity.get("digest", "ab" * 32), {})
