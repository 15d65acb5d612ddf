"""``photopeak study cxr-view`` writes its tables, from a folder of labelled radiographs."""

import json
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("skimage")
pytest.importorskip("sklearn")

from known_radiographs import write_radiographs
from photopeak.exporters.evaluation.score_statistics import bootstrap
from photopeak.exporters.recipes.analysis.radiograph_images import (
    simulated_radiographs,
)
from photopeak.exporters.recipes.analysis.radiograph_training import RadiographRecipe
from photopeak.exporters.studies import app


def test_tables_are_written_for_a_folder_of_radiographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = "photopeak.exporters.recipes.analysis.radiograph_training"
    tiny = partial(RadiographRecipe, widths=(4, 4, 4), folds=2, members=1, epochs=1, batch=8, counterexamples=1)
    monkeypatch.setattr(f"{training}.RadiographRecipe", tiny)
    monkeypatch.setattr(f"{training}._LATERALS", 1)
    monkeypatch.setattr("photopeak.exporters.evaluation.cxr_study.bootstrap", partial(bootstrap, replicates=20))
    monkeypatch.setattr("photopeak.exporters.evaluation.cxr_refusals._SIMULATED", 1)
    monkeypatch.setattr("photopeak.exporters.evaluation.cxr_refusals._SCANS", 1)
    monkeypatch.setattr("photopeak.exporters.evaluation.cxr_refusals._PHOTOGRAPHS", ["coins"])
    write_radiographs(tmp_path / "cxr", simulated_radiographs(12))
    command = ["cxr-view", "--data", str(tmp_path), "--work", str(tmp_path / "work"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--threads", "1"])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "cxr-view.json").read_text())
    assert report["images"] == 12
    assert {row["kind"]: row["outside"] for row in report["refusals"]}["noise"] == 1
    assert "oriented gradients, logistic regression" in (tmp_path / "out" / "cxr-view.md").read_text()
    assert (tmp_path / "work" / "cxr-view.pt").is_file()
