"""Files of parameters: what goes in comes out, and nothing else does."""

import pickle
import random
import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from photopeak.kernels import niqe
from photopeak.kernels.errors import ModelError
from photopeak.kernels.iqa import models
from photopeak.kernels.iqa.models import BrisqueModel, NiqeModel, resolve, shipped


def niqe_model(**changes):
    values = {"name": "mine", "mean": np.arange(36.0), "covariance": np.eye(36), "block": 64, "provenance": "a test"}
    return NiqeModel(**values | changes)


def brisque_model(**changes):
    rng = np.random.default_rng(1)
    values = {
        "low": np.zeros(36),
        "high": np.ones(36),
        "vectors": rng.normal(size=(5, 36)),
        "weights": rng.normal(size=5),
    }
    return BrisqueModel(**{"name": "mine", "gamma": 0.1, "intercept": 3.0} | values | changes)


@pytest.mark.parametrize("model", [niqe_model(), brisque_model()], ids=lambda m: m.metric)
def test_a_saved_model_comes_back(model, tmp_path):
    path = tmp_path / "model.npz"
    model.save(path)
    back = type(model).load(path)
    assert back.digest == model.digest
    for name, value in vars(back).items():
        np.testing.assert_array_equal(value, getattr(model, name))
    assert path.stat().st_size < 20_000


def test_numbers_of_numpy_are_numbers(tmp_path):
    """A digest must not depend on which of the two a block or a width came as."""
    assert niqe_model(block=np.int64(64)).digest == niqe_model().digest
    assert brisque_model(gamma=np.float64(0.1)).digest == brisque_model().digest
    model = brisque_model(gamma=np.float64(0.1))
    model.save(tmp_path / "model.npz")
    assert BrisqueModel.load(tmp_path / "model.npz").digest == model.digest


def test_interrupted_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "größe.npz"
    niqe_model().save(path)
    whole = path.read_bytes()

    def interrupted(file, **_):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        niqe_model(name="other").save(path)
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_model_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot be written"):
        niqe_model().save(tmp_path / "file" / "model.npz")


def test_what_models_share_is_no_model():
    with pytest.raises(TypeError, match="abstract"):
        models._Model("mine")


def test_the_same_model_makes_the_same_file(tmp_path):
    for name in ("a", "b"):
        niqe_model().save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_digest_depends_on_everything():
    changes = [{}, {"name": "other"}, {"mean": np.ones(36)}, {"covariance": 2 * np.eye(36)}, {"block": 96}]
    changes.append({"provenance": "elsewhere"})
    assert len({niqe_model(**change).digest for change in changes}) == len(changes)


def test_numbers_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        niqe_model().mean[0] = 1


def test_live_models_ship_with_their_history():
    assert shipped("niqe")[:1] == shipped("brisque") == ["live"]
    for kind in (NiqeModel, BrisqueModel):
        model, label = resolve("live", kind)
        assert label == "live" == model.name
        assert "University of Texas" in model.provenance


def test_a_file_in_the_folder_is_a_model(tmp_path, monkeypatch):
    shutil.copytree(models._DATA, tmp_path / "data")
    monkeypatch.setattr(models, "_DATA", tmp_path / "data")
    live, _ = resolve("live", NiqeModel)
    NiqeModel("site", live.mean, live.covariance).save(tmp_path / "data" / "niqe-site.npz")
    assert shipped("niqe") == ["live", "nm", "site"]
    image = np.random.default_rng(1).integers(0, 255, (96, 96)).astype(np.uint8)
    score = niqe(image, model="site")
    assert score.model == "site"
    assert float(score) == float(niqe(image))


def test_own_models_are_named_with_their_digest(tmp_path):
    live, _ = resolve("live", NiqeModel)
    model = NiqeModel("live", live.mean, live.covariance, provenance="a copy")
    model.save(tmp_path / "copy.npz")
    for given in (model, tmp_path / "copy.npz", str(tmp_path / "copy.npz")):
        assert resolve(given, NiqeModel)[1] == f"live@{model.digest[:12]}"


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(35)},
        {"covariance": np.zeros((36, 35))},
        {"covariance": np.triu(np.ones((36, 36)))},
        {"mean": np.full(36, np.nan)},
        {"covariance": np.diag([-1e-3, *np.ones(35)])},
        {"block": 97},
        {"block": 8},
        {"block": 2048},
    ],
)
def test_niqe_parameters_that_make_no_sense_are_refused(change):
    with pytest.raises(ModelError, match="no niqe parameters"):
        niqe_model(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"low": np.ones(36)},
        {"high": np.ones(35)},
        {"vectors": np.ones((4, 36))},
        {"weights": np.full(5, np.inf)},
        {"gamma": 0.0},
        {"intercept": np.nan},
    ],
)
def test_brisque_parameters_that_make_no_sense_are_refused(change):
    with pytest.raises(ModelError, match="no brisque parameters"):
        brisque_model(**change)


def rewritten(path, **changes):
    with np.load(path) as archive:
        values = dict(archive)
    np.savez(path.with_name("changed.npz"), **values | changes)
    return path.with_name("changed.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "brisque"}, "is no niqe model but one of brisque"),
        ({"format": 2}, "has format 2; this version of Photopeak reads format 1"),
        ({"mean": np.ones(36)}, "does not? have the digest|do not have the digest"),
        ({"name": "else"}, "do not have the digest"),
        ({"mean": np.ones(3)}, "is damaged"),
        ({"mean": np.array(["x"] * 36)}, "is damaged"),
        ({"block": "64"}, "is damaged"),
        ({"provenance": np.zeros(0)}, "is damaged|digest"),
        ({"digest": ""}, "do not have the digest"),
    ],
)
def test_changed_files_are_refused(changes, message, tmp_path):
    niqe_model().save(tmp_path / "model.npz")
    with pytest.raises(ModelError, match=message):
        NiqeModel.load(rewritten(tmp_path / "model.npz", **changes))


def test_files_with_damage_anywhere_are_refused(tmp_path):
    niqe_model().save(tmp_path / "model.npz")
    whole, rng = (tmp_path / "model.npz").read_bytes(), random.Random(1)
    path, messages = tmp_path / "damaged.npz", []
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged if rng.random() < 0.7 else damaged[: rng.randrange(len(whole))])
        try:
            model = NiqeModel.load(path)
        except ModelError as error:
            messages.append(str(error))
        else:
            # The damage was in a date or another field that nobody reads.
            assert model.digest == niqe_model().digest
    assert len(messages) > 200
    assert all(message.startswith(str(path)) and message.endswith(".") for message in messages)


def test_files_of_other_kinds_are_refused(tmp_path):
    path = tmp_path / "file"
    np.save(tmp_path / "array.npy", np.zeros(3))
    with (tmp_path / "objects.npz").open("wb") as file:
        np.savez(file, metric=np.array(["niqe", None], object))
    contents = [b"", b"text", pickle.dumps({"metric": "niqe"}), (tmp_path / "array.npy").read_bytes()]
    for content in [*contents, (tmp_path / "objects.npz").read_bytes()]:
        path.write_bytes(content)
        with pytest.raises(ModelError, match="is no niqe model"):
            NiqeModel.load(path)
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            NiqeModel.load(missing)
    with pytest.raises(ModelError, match="there is no niqe model"):
        resolve(str(tmp_path / "missing"), NiqeModel)
    with pytest.raises(ModelError, match="a BrisqueModel is no niqe model"):
        resolve(brisque_model(), NiqeModel)


def test_files_that_unpack_to_gigabytes_are_refused_unread(tmp_path):
    path = Path(tmp_path, "large.npz")
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", bytes(65 << 20))
    with pytest.raises(ModelError, match="holds more than 64 MB"):
        NiqeModel.load(path)
