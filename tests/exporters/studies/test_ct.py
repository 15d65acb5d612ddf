"""``photopeak study ct`` writes what was measured; the measurement itself is tested where it is made."""

import json
from dataclasses import dataclass

import plotly.graph_objects as go
import pytest

pytest.importorskip("bm3d", reason="measuring needs bm3d: pip install 'photopeak[evaluate]'")

from typer.testing import CliRunner

from photopeak.engine import zoo
from photopeak.engine.errors import ModelError
from photopeak.exporters.evaluation import ct_report, ct_study
from photopeak.exporters.studies import app


@dataclass(frozen=True)
class Measured:
    """What a study may return."""

    model_bytes: int
    data: str | None


@pytest.fixture
def measured(monkeypatch):
    """Studies that take no time."""

    def measure(model, data, tell):
        tell("head-0")
        return Measured(len(model), data and str(data))

    monkeypatch.setattr(ct_study, "measure_ct", measure)
    monkeypatch.setattr(ct_report, "as_markdown", lambda report: f"| {report.model_bytes} bytes |\n")
    monkeypatch.setattr(ct_report, "as_figure", lambda report: go.Figure(go.Scatter(y=[1.0])))


@pytest.mark.usefixtures("measured")
def test_the_model_is_measured_and_tables_figures_and_a_page_are_written(tmp_path):
    words = ["ct", "scint-sr-x2", "-o", str(tmp_path / "out"), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    size = len(zoo.load_bundle("scint-sr-x2").model)
    assert (tmp_path / "out" / "ct.md").read_text() == f"| {size} bytes |\n"
    assert f"| {size} bytes |" in result.stdout
    assert "head-0" not in result.stdout  # progress goes to standard error
    assert json.loads((tmp_path / "out" / "ct.json").read_text()) == {"model_bytes": size, "data": str(tmp_path)}
    assert "plotly" in (tmp_path / "out" / "ct.html").read_text().lower()


def test_a_bundle_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match="knee"):
        CliRunner().invoke(app, ["ct", "knee", "-o", str(tmp_path / "out")], catch_exceptions=False)
    assert not (tmp_path / "out").exists()
