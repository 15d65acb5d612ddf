import types
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'photopeak[train]'")
pytest.importorskip("scipy", reason="training needs scipy: pip install 'photopeak[train]'")

from torch import nn
from torch.nn import functional

import photopeak
from photopeak.engine.bundle import open_bundle
from photopeak.engine.errors import ModelError, UsageError
from photopeak.exporters import cli
from photopeak.exporters.analysis_bundling import bundle_analysis, embeddings, export_analysis
from photopeak.exporters.produce_analysis import evaluate_analysis, produce_analysis
from photopeak.exporters.recipes.analysis.catalogue import RECIPES, AnalysisJob, AnalysisRecipe, Trained, find


class Net(nn.Module):
    """A classifier, or with boxes a detector, that sees roots of counts."""

    def __init__(self, recipe):
        super().__init__()
        torch.manual_seed(1)
        self.block = nn.Conv2d(recipe.input.depth, 8, 3, 1, 1)
        self.detects = recipe.task == "detection"
        self.hidden = nn.Conv2d(8, 8, 3, 1, 1)
        self.last = nn.Conv2d(8, 1 if self.detects else len(recipe.labels), 1)
        self.box = nn.Conv2d(8, 4, 1)

    def features(self, image):
        return functional.avg_pool2d(functional.relu(self.block(torch.sqrt(functional.relu(image)))), 4)

    def head(self, features):
        if self.detects:
            hidden = functional.relu(self.hidden(features))
            return self.last(hidden), self.box(hidden)
        return self.last(features.mean((2, 3), keepdim=True))

    def forward(self, image):
        return self.head(self.features(image))


def images(recipe, number, seed):
    rng = np.random.default_rng(seed)
    side = recipe.input.grid.side or 48
    found = rng.poisson(
        rng.uniform(5, 50, (number, recipe.input.depth, 1, 1)), (number, recipe.input.depth, side, side)
    )
    if recipe.input.optional:
        found[: number // 4, 0] = 0
    return found.astype(np.float32)


def trained(recipe, **other):
    made = Trained(
        net=Net(recipe),
        steps=3,
        seconds=0.5,
        data=("noise (CC0-1.0)",),
        temperature=1.5,
        threshold=0.4,
        operating_points=((0.4, 0.9, 0.2),),
        training=[images(recipe, 30, 0)],
        held_out=[images(recipe, 20, 1)],
        golden=images(recipe, 3, 2),
        matrices=("48x48",),
        counts_per_pixel=(5.0, 50.0),
    )
    return replace(made, **other)


@pytest.fixture(params=RECIPES, ids=lambda recipe: recipe.name)
def recipe(request) -> AnalysisRecipe:
    return request.param


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_bundle_holds_what_was_trained_and_runs(recipe, tmp_path):
    bundle = bundle_analysis(tmp_path, recipe, trained(recipe), date="2026-11-23", card="# Card\n")
    again = open_bundle(tmp_path)
    assert again.manifest == bundle.manifest
    analysis = again.manifest.analysis
    assert (analysis.labels, analysis.threshold, analysis.temperature) == (recipe.labels, 0.4, 1.5)
    assert again.manifest.input == recipe.input
    found = embeddings(again.model, [images(recipe, 20, 1)], recipe)
    inside = analysis.embedding.distances(found) <= analysis.embedding.limits[0]
    assert inside.mean() == pytest.approx(0.95, abs=0.051)
    if recipe.input.grid.kind == "thorax":
        return  # noise has no ribs
    frames = list(images(recipe, 1, 5)[0])
    result = photopeak.load(str(tmp_path), device="cpu").run(*frames)
    assert result.cam.shape == (1, len(recipe.labels), *frames[0].shape)
    assert np.isfinite(result.cam).all()


def test_networks_that_no_graph_can_hold_are_refused(recipe):
    class Cubic(Net):
        def head(self, features):
            return torch.tanh(self.last(features.mean((2, 3), keepdim=True)))

    with pytest.raises(ModelError, match="tanh in the head is not known"):
        export_analysis(Cubic(recipe), recipe, images(recipe, 1, 0))


@pytest.fixture
def trainer(monkeypatch):
    """A trainer that takes no time, in place of each recipe's own."""
    asked = []

    def train(job, tell):
        asked.append(job)
        tell("nothing")
        return trained(job.recipe)

    made = types.SimpleNamespace(train=train, card=lambda bundle, job, tell: f"# {bundle.name}\n\n{job.note}\n")
    monkeypatch.setattr(AnalysisRecipe, "trainer", made)
    return asked


def test_producing_and_measuring_write_a_bundle_with_its_card(trainer, tmp_path):
    recipe = find("bone-classify")
    assert recipe is not None
    job = AnalysisJob(recipe, tmp_path / "out", None, tmp_path / "work", threads=1, note="By hand.")
    produce_analysis(job)
    assert "Not measured yet" in open_bundle(job.output).card
    evaluate_analysis(job)
    assert open_bundle(job.output).card == "# bone-classify\n\nBy hand.\n"
    with pytest.raises(UsageError, match="holds bone-classify, not cxr-view"):
        evaluate_analysis(replace(job, recipe=find("cxr-view")))
    with pytest.raises(UsageError, match="is no folder"):
        produce_analysis(replace(job, data=tmp_path / "missing"))


def test_the_command_trains_models_of_findings(trainer, tmp_path, capsys):
    cli.train("bone-classify", tmp_path / "out", work=tmp_path, steps=7, minutes=0.5, seed=3, threads=1)
    assert [(job.steps, job.minutes, job.seed, job.work) for job in trainer] == [(7, 0.5, 3, tmp_path)]
    cli.train("bone-classify", tmp_path / "out", work=tmp_path, evaluate_only=True)
    assert len(trainer) == 1
    assert "photopeak validate" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"self_supervised": True}, {"domain_only": True}, {"start_from": "x"}])
def test_options_that_a_model_of_findings_has_no_use_for_are_refused(options, tmp_path):
    with pytest.raises(UsageError, match="starts from nothing"):
        cli.train("cxr-view", tmp_path, **options)
