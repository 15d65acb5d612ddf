"""Training of the classifier of chest projections: images, folds, changes of images, and that something is learnt."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photopeak.engine.errors import InputError, UsageError

torch = pytest.importorskip("torch")
pytest.importorskip("skimage")

from known_radiographs import write_radiographs
from photopeak.exporters.recipes.analysis.catalogue import AnalysisJob, find
from photopeak.exporters.recipes.analysis.radiograph import sources, train
from photopeak.exporters.recipes.analysis.radiograph_augmentation import augment, counterexamples
from photopeak.exporters.recipes.analysis.radiograph_images import (
    Pool,
    folds,
    make_pool,
    read_radiographs,
    simulated_radiographs,
)
from photopeak.exporters.recipes.analysis.radiograph_training import (
    RadiographRecipe,
    load_or_cross_validate,
    margins,
)

TINY = RadiographRecipe(widths=(4, 6, 4), folds=2, members=1, epochs=24, batch=8, counterexamples=2)


@pytest.fixture(scope="module")
def pool() -> Pool:
    """Return images of stripes, across in one class and down in the other."""
    rng = np.random.default_rng(0)
    classes = np.arange(24) % 2
    waves = [np.sin(rng.uniform(0.5, 0.8) * np.arange(64) + rng.uniform(0, 6)) + 1.5 for _ in classes]
    images = [
        np.tile(wave, (64, 1)) if kind else np.tile(wave[:, None], (1, 64))
        for wave, kind in zip(waves, classes, strict=True)
    ]
    return Pool(
        np.array(images, np.float32),
        np.ones((24, 64, 64), bool),
        classes,
        np.full(24, "drawn"),
        np.arange(24).astype(str),
    )


def silent(text: str) -> None:
    """Say nothing."""


def test_directions_are_learnt_and_networks_kept(pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photopeak.exporters.recipes.analysis.radiograph_training._LATERALS", 2)
    torch.set_num_threads(1)
    path = tmp_path / "work" / "cxr-view.pt"
    found = load_or_cross_validate(path, pool, TINY, 0, silent)
    score = margins(found.logits)
    assert (score[pool.classes == 0][:, None] > score[pool.classes == 1]).mean() > 0.9
    again = load_or_cross_validate(path, pool, TINY, 0, silent)
    assert np.array_equal(again.logits, found.logits)
    image = torch.from_numpy(pool.images[:2])[:, None]
    assert torch.equal(again.ensemble(image), found.ensemble(image))
    with pytest.raises(UsageError, match="another recipe"):
        load_or_cross_validate(path, pool, replace(TINY, epochs=2), 0, silent)


def test_folds_keep_patients_together_and_strata_in_proportion() -> None:
    rng = np.random.default_rng(0)
    number = 200
    patients = rng.integers(0, 120, number).astype(str)
    pool = Pool(
        np.zeros((number, 2, 2), np.float32),
        np.zeros((number, 2, 2), bool),
        rng.integers(0, 2, number),
        rng.choice(["a", "b"], number),
        patients,
    )
    found = folds(pool, 5, seed=3)
    for patient in np.unique(patients):
        assert len(np.unique(found[patients == patient])) == 1
    for stratum in np.unique(pool.strata):
        sizes = np.bincount(found[pool.strata == stratum], minlength=5)
        assert sizes.max() - sizes.min() <= 0.5 * sizes.mean() + 2


def test_radiographs_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = simulated_radiographs(3, side=40)
    write_radiographs(tmp_path / "cxr", written)
    read = read_radiographs(tmp_path)
    assert [(one.label, one.patient, one.licence) for one in read] == [
        (one.label, one.patient, one.licence) for one in written
    ]
    for one, other in zip(read, written, strict=True):
        assert np.corrcoef(one.pixels.ravel(), other.pixels.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("row", "message"), [("a.png,AP,s,p", "cannot be read"), ("a.png,lateral,s,p", "label it AP or PA")]
)
def test_bad_tables_are_refused_with_the_file(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(f"file,label,source,patient\n{row}\n")
    with pytest.raises(InputError, match=message):
        read_radiographs(tmp_path)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="labelled radiographs"):
        read_radiographs(tmp_path)


def test_eight_and_sixteen_bits_make_the_same_pool() -> None:
    (one,) = simulated_radiographs(1, side=96)
    grey = (one.pixels - one.pixels.min()) / np.ptp(one.pixels)
    eight = replace(one, pixels=np.rint(255 * grey).astype(np.float32))
    sixteen = replace(one, pixels=np.rint(16383 * grey + 1000).astype(np.float32))
    first, second = make_pool([eight]).images, make_pool([sixteen]).images
    assert np.abs(first / first.max() - second / second.max()).max() < 0.01


def test_changed_images_and_their_thoraxes_stay_together() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(16, 1, 64, 64)
    images[..., 20:44, 20:44] = 1.0
    changed, thorax = augment(images, (images > 0).float(), generator)
    dark, bright = (changed * (thorax < 0.1)).mean((1, 2, 3)), (changed * thorax).mean((1, 2, 3))
    assert float((bright > 2 * dark).float().mean()) > 0.7  # letters are drawn anywhere
    assert float(thorax.min()) >= 0
    assert float(thorax.max()) <= 1 + 1e-6


def test_cropping_hides_the_shape_of_the_detector() -> None:
    generator = torch.Generator().manual_seed(1)
    changed, _ = augment(torch.ones(64, 1, 64, 64), torch.ones(64, 1, 64, 64), generator)
    rows = (changed.amax(3) > 0.01).sum(2).flatten().double()
    assert float(rows.std()) > 3
    assert torch.unique(rows).numel() > 5


def test_counterexamples_are_of_six_kinds() -> None:
    generator = torch.Generator().manual_seed(2)
    ramp = torch.linspace(0.1, 1, 64)[None, None, :, None].expand(6, 1, 64, 64).contiguous()
    made = counterexamples(ramp, torch.full((2, 1, 64, 64), 7.0), generator)
    on_a_side, lateral, upside_down, negative, cloud, shuffled = made[:, 0]
    assert torch.equal(on_a_side[0], on_a_side[1])
    assert torch.equal(lateral, torch.full((64, 64), 7.0))
    assert torch.equal(upside_down, ramp[0, 0].flip(0))
    assert torch.allclose(negative, 1 - ramp[0, 0])
    assert not torch.allclose(cloud, cloud.mean())
    assert torch.allclose(shuffled.sort().values.sum(), ramp[0, 0].sum(), rtol=1e-5)


def test_a_training_without_real_radiographs_is_refused(tmp_path: Path) -> None:
    recipe = find("cxr-view")
    assert recipe is not None
    job = AnalysisJob(recipe, tmp_path / "bundle", None, tmp_path)
    with pytest.raises(UsageError, match="--data"):
        train(job, silent)
    with pytest.raises(UsageError, match="--steps"):
        train(replace(job, data=tmp_path, minutes=1.0), silent)


def test_sources_are_named_with_their_licences() -> None:
    first, second, third = simulated_radiographs(3)
    found = sources((first, second, replace(third, licence="CC BY-SA 4.0")))
    assert len(found) == 2
    assert found[0].endswith("2 images (Apache-2.0)")
    assert found[1].endswith("1 images (CC BY-SA 4.0)")
