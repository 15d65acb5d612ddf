from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'photopeak[train]'")

from photopeak.engine.errors import UsageError
from photopeak.exporters.architectures import build
from photopeak.exporters.recipes import training
from photopeak.exporters.recipes.catalogue import find
from photopeak.exporters.recipes.dataset import Pool, batches
from photopeak.exporters.recipes.losses import by_variance
from photopeak.exporters.recipes.training import (
    Limits,
    Start,
    fit,
    load_trained,
)

NAMES = ("scint-denoise", "scint-sr-x2")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def quiet(step, value):
    """Report nothing."""


def error_on(unseen, net):
    pairs = [(torch.from_numpy(batch.counts), torch.from_numpy(batch.target)) for batch in unseen]
    with torch.no_grad():
        return sum(float(by_variance(net(counts), target, counts)) for counts, target in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_a_hundred_steps_learn(name, small, pool, tmp_path):
    recipe = small(name)
    unseen = [next(batches(pool, recipe, 99 + k)) for k in range(4)]
    torch.manual_seed(0)
    before = error_on(unseen, build(recipe))
    trained = fit(recipe, pool, Limits(100), Start(tmp_path / "c.pt"), quiet)
    assert trained.steps == 100
    assert error_on(unseen, trained.net) < 0.9 * before


def interrupt_after(steps, monkeypatch):
    """Let the next training save after every step and be interrupted after so many."""

    def some(pool, recipe, seed, first):
        yield from islice(batches(pool, recipe, seed, first), steps)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(Pool, "batches", some)


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(small, pool, tmp_path, monkeypatch):
    recipe, part = small("scint-denoise"), tmp_path / "part.pt"
    whole = fit(recipe, pool, Limits(6), Start(tmp_path / "whole.pt", 3), quiet)
    with monkeypatch.context() as patch:
        interrupt_after(4, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(recipe, pool, Limits(6), Start(part, 3), quiet)
    assert load_trained(recipe, part).steps == 4
    resumed = fit(recipe, pool, Limits(6), Start(part, 3), quiet)
    assert resumed.steps == whole.steps == 6
    for a, b in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


def test_the_loss_after_an_interruption_is_that_of_the_steps_taken(small, pool, tmp_path, monkeypatch):
    path, losses = tmp_path / "c.pt", iter(range(1000))
    monkeypatch.setattr(training, "_step", lambda state, batch, recipe: float(next(losses)))
    with monkeypatch.context() as patch:
        interrupt_after(60, patch)
        with pytest.raises(KeyboardInterrupt):
            fit(small("scint-denoise"), pool, Limits(100), Start(path), quiet)
    assert fit(small("scint-denoise"), pool, Limits(100), Start(path), quiet).losses == [pytest.approx(79.5)]


def test_the_same_seed_gives_the_same_network(small, pool, tmp_path):
    recipe = small("scint-sr-x2")
    nets = [fit(recipe, pool, Limits(4), Start(tmp_path / f"{k}.pt", 5), quiet).net for k in range(2)]
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "scale"), [("scint-denoise", 1), ("scint-sr-x2", 2)])
def test_output_is_never_negative_and_has_the_right_matrix(name, scale, small):
    net = build(small(name)).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        output = net(torch.poisson(torch.full((2, 1, 24, 40), 4.0)))
    assert output.shape == (2, 1, 24 * scale, 40 * scale)
    assert float(output.min()) >= 0


def test_the_denoiser_can_start_as_the_larger_matrix_model_on_binned_counts():
    torch.manual_seed(1)
    child, parent = build(find("scint-denoise")), build(find("scint-sr-x2"))
    torch.nn.init.normal_(parent.head.weight, std=0.05)
    child.start_from(parent)
    with torch.no_grad():
        child.stem.weight.zero_()
        counts = torch.poisson(torch.full((1, 1, 32, 32), 6.0))
        binned = torch.nn.functional.avg_pool2d(counts, 2) * 4
        torch.testing.assert_close(child(counts), parent(binned), rtol=1e-4, atol=1e-4)


def test_the_loss_is_least_at_the_conditional_mean(small):
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(rng.gamma(2.0, 3.0, (64, 1, 16, 16)).astype(np.float32))
    counts = torch.full((64, 1, 16, 16), 6.0)
    mean = truth.mean(dim=0, keepdim=True).expand_as(truth).clone().requires_grad_()
    by_variance(mean, truth, counts).backward()
    assert float(mean.grad.sum(dim=0).abs().max()) < 1e-6


def test_weights_survive_the_checkpoint(small, pool, tmp_path):
    recipe = small("scint-denoise")
    trained = fit(recipe, pool, Limits(3), Start(tmp_path / "c.pt"), quiet)
    again = load_trained(recipe, tmp_path / "c.pt").net
    for a, b in zip(trained.net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_checkpoint_remembers_what_every_run_was_trained_on(small, pool, tmp_path):
    recipe, path = small("scint-denoise"), tmp_path / "c.pt"
    for step, sources in ((1, ("a", "b")), (2, ("c", "a"))):
        trained = fit(recipe, pool, Limits(step), Start(path, sources=sources), quiet)
    assert trained.sources == load_trained(recipe, path).sources == ("a", "b", "c")


def test_checkpoints_of_other_networks_are_refused(small, pool, tmp_path):
    path = tmp_path / "c.pt"
    with pytest.raises(UsageError, match="there is no checkpoint"):
        load_trained(small("scint-denoise"), path)
    fit(small("scint-denoise"), pool, Limits(1), Start(path), quiet)
    with pytest.raises(UsageError, match="is no checkpoint of scint-denoise"):
        load_trained(find("scint-denoise"), path)
    with pytest.raises(UsageError, match="is no checkpoint of scint-sr-x2"):
        fit(small("scint-sr-x2"), pool, Limits(1), Start(path), quiet)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoints_are_refused(content, small, pool, tmp_path):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is no checkpoint of scint-denoise, remove it"):
        fit(small("scint-denoise"), pool, Limits(1), Start(path), quiet)
    assert path.read_bytes() == content
