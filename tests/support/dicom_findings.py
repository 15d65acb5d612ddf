"""Findings on DICOM images, and the judges of what is written of them."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import known_findings
from photopeak import read
from photopeak.engine.result import DomainVerdict

# What this dciodvfy does not know: codes of our own, Device UID in Contributing Equipment, contrast of a parametric map.
HARMLESS = ("<99PHOTOPEAK>", "DeviceUID(0018,1002)", "<QUANTITY>")
OUTSIDE = DomainVerdict("outside", np.array([9.0]), (3.0, 5.0), ("the counts are unusually low",))


def detected(dicom_factory, early=(), late=()):
    """Return two findings on the late of two phases, which are objects of two series; `early`, `late`: tags of each."""
    paths = [
        dicom_factory(
            "static",
            matrix=(rows, rows),
            spacing_mm=(spacing, spacing),
            seed=seed,
            tags={"StudyInstanceUID": "1.2.3", **dict(tags)},
        )
        for seed, (rows, spacing, tags) in enumerate([(64, 4.8, early), (128, 2.4, late)])
    ]
    return replace(known_findings.detected(), sources=tuple(read(one) for one in paths))


def classified(frames, labels=("normal", "trauma", "metastasis"), name="finder"):
    """Return the probabilities of classes for every frame of `frames`."""
    random = np.random.default_rng(len(frames))
    known = known_findings.classified()
    bundle = known_findings.bundle("classification", labels)
    n = len(frames)
    return replace(
        known,
        sources=(frames,),
        bundle=replace(bundle, manifest=bundle.manifest.model_copy(update={"name": name})),
        labels=labels,
        domains=(known.domains[0],) * n,
        placements=(known_findings.placed(frames) if frames.pixel_spacing_mm else None,),
        probabilities=random.dirichlet(np.ones(len(labels)), n),
        detections=((),) * n,
        cam=random.random((n, len(labels), *frames.matrix), np.float32),
    )


def tool(name, *arguments):
    """Run a program of Debian's medical packages, or skip; Python packages bring programs of the same names."""
    system = [folder for folder in os.get_exec_path() if Path(folder) != Path(sys.executable).parent]
    program = shutil.which(name, path=os.pathsep.join(system))
    if program is None:
        pytest.skip(f"{name} is not installed: apt-get install {'dicom3tools' if name == 'dciodvfy' else 'dcmtk'}")
    return subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, errors="replace", check=False
    )


def complaints(path):
    """Return errors and warnings of dciodvfy, without the harmless ones."""
    run = tool("dciodvfy", "-new", path)
    lines = [line for line in (run.stdout + run.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    return [line for line in lines if not any(harmless in line for harmless in HARMLESS)]
