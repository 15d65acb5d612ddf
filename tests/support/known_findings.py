"""Findings as an analysis session would return them, without a model."""

from pathlib import Path

import numpy as np

from photopeak.engine.analysis.prepare import pitch_placement
from photopeak.engine.analysis.result import AnalysisResult, Detection
from photopeak.engine.bundle import Bundle
from photopeak.engine.frames import Frames, Units
from photopeak.engine.manifest import Analysis, Domain, EmbeddingDomain, Grid, Input, Manifest, Training
from photopeak.engine.plan import Plan
from photopeak.engine.result import DomainVerdict

POINTS = ((0.2, 0.98, 1.4), (0.5, 0.95, 0.3), (0.8, 0.8, 0.05))


def bundle(task, labels, channels=()):
    manifest = Manifest(
        name="finder",
        version="1.0.0",
        title="A finder for tests",
        task=task,
        licence="Apache-2.0",
        modalities=("NM",),
        input=Input(
            name="image", units=Units.COUNTS, multiple=8, channels=channels, grid=Grid(kind="pitch", pitch_mm=2.4)
        ),
        analysis=Analysis(
            labels=labels,
            threshold=0.5,
            temperature=1.0,
            operating_points=POINTS,
            embedding=EmbeddingDomain(mean=(0.0,), precision=((1.0,),), limits=(3.0, 5.0)),
        ),
        training=Training(
            recipe="finder", date="2026-01-31", seconds=60, steps=10, matrices=("128x128",), data=("simulated",)
        ),
        domain=Domain(features=("level",), mean=(0.0,), precision=((1.0,),), limits=(3.0, 5.0)),
    )
    return Bundle(Path("zoo/finder"), manifest, "ab" * 32, {})


def blob(spacing, rows, seed=0):
    y, x = np.mgrid[:rows, :rows] / rows
    mean = 3 + 40 * np.exp(-((x - 0.5) ** 2 + (y - 0.4) ** 2) / 0.02)
    pixels = np.random.default_rng(seed).poisson(mean * (64 / rows) ** 2)
    return Frames.from_array(
        pixels, units=Units.COUNTS, modality="NM", pixel_spacing_mm=(spacing, spacing), source="neck.npy"
    )


def placed(frames):
    return (pitch_placement(frames.matrix, frames.pixel_spacing_mm, 2.4),) * len(frames)


def detected():
    """Return two findings on two phases, the late one of twice the matrix."""
    early, late = blob(4.8, 64), blob(2.4, 128, 1)
    cam = np.zeros((1, 1, 128, 128), np.float32)
    cam[0, 0, 40:60, 60:80] = 2
    found = (
        Detection("adenoma", 0.91, (48.0, 60.0, 56.0, 70.0), (115.2, 144, 134.4, 168), (124.8, 156.0), 21.5),
        Detection("adenoma", 0.55, (80.0, 20.0, 84.0, 24.0), (192, 48, 201.6, 57.6), (196.8, 52.8), 9.6),
    )
    return AnalysisResult(
        sources=(early, late),
        bundle=bundle("detection", ("adenoma",), ("early", "late")),
        plan=Plan("onnxruntime", "1.31.0", "cpu", "fp32", 2, 0.0, "the first that runs here"),
        labels=("adenoma",),
        domains=(DomainVerdict("inside", np.array([1.2]), (3.0, 5.0)),),
        threshold=0.5,
        placements=(placed(early), placed(late)),
        detections=(found,),
        cam=cam,
        channels=("early", "late"),
        timings_ms={"prepare": 1.0, "infer": 12.0},
    )


def classified():
    """Return the probabilities of three classes for two frames."""
    frames = blob(2.4, 128)
    both = Frames.from_array(
        np.concatenate([frames.pixels, frames.pixels[:, ::-1]]),
        units=Units.COUNTS,
        modality="NM",
        pixel_spacing_mm=(2.4, 2.4),
        source="ribs.npy",
    )
    return AnalysisResult(
        sources=(both,),
        bundle=bundle("classification", ("normal", "trauma", "metastasis")),
        plan=Plan("onnxruntime", "1.31.0", "cpu", "fp32", 2, 0.0, "the first that runs here"),
        labels=("normal", "trauma", "metastasis"),
        domains=(DomainVerdict("inside", np.array([1.2]), (3.0, 5.0)),) * 2,
        threshold=0.5,
        placements=(placed(both),),
        probabilities=np.array([[0.9, 0.07, 0.03], [0.1, 0.2, 0.7]]),
        detections=((), ()),
        cam=np.random.default_rng(0).random((2, 3, 128, 128), np.float32),
    )
