"""Forests against walking their trees by hand, and the file that they come in."""

import builtins
import hashlib
import struct
import zlib

import numpy as np
import pytest

from photopeak.kernels.errors import InputError, ModelError
from photopeak.kernels.iqa.ma.features import Features
from photopeak.kernels.iqa.ma.forest import Forest
from photopeak.kernels.iqa.ma.model import PUBLISHED, MaModel

# Predictions of the three forests and the score of the authors' code, from
# github.com/mxzhuang/parallel-perceptual-index, reference/octave_reference.txt.
PUBLISHED_SCORES = {
    "astronaut_x4bicubic": (3.7172695233583966, 3.375238541666672, 4.352269791666656, 3.4911962500000073),
    "astronaut": (7.239271768335046, 6.330683958333337, 8.54467020833336, 6.267579791666675),
    "chelsea": (7.954634207909631, 6.065883541666654, 8.668972083333356, 7.627931249999986),
    "coffee_x4bicubic": (3.9695657217375255, 3.7659054166666683, 4.553943333333333, 3.704433541666669),
    "coffee": (8.834928877603316, 8.659686458333304, 8.484246458333347, 8.621642083333324),
    "peppers": (3.120139789878798, 4.567799999999994, 3.3416566666666654, 2.7006006249999976),
    "rocket": (8.886189169828242, 8.737772291666683, 8.216450833333328, 8.887399166666688),
}


def walked(fields, vector):
    """Return the mean over the trees, node by node."""
    found = []
    for tree in range(fields["lDau"].shape[1]):
        node = 0
        while fields["lDau"][node, tree]:
            goes_left = vector[fields["mbest"][node, tree] - 1] <= fields["upper"][node, tree]
            node = fields["lDau" if goes_left else "rDau"][node, tree] - 1
        found.append(fields["avnode"][node, tree])
    return np.mean(found)


def test_forest_predicts_what_walking_its_trees_gives(forests):
    rng = np.random.default_rng(2)
    for fields, size in zip(forests, (18, 45, 75), strict=True):
        forest = Forest.of(fields, size)
        for vector in rng.uniform(0, 1, (50, size)):
            assert forest.predict(vector) == pytest.approx(walked(fields, vector), rel=1e-14)


def test_value_at_the_threshold_goes_left():
    node = {"lDau": [[2], [0], [0]], "rDau": [[3], [0], [0]], "mbest": [[1], [0], [0]], "upper": [[0.5], [0], [0]]}
    forest = Forest.of({**node, "avnode": [[9], [1], [2]], "ndtree": [3]}, 1)
    assert [forest.predict(np.array([value])) for value in (0.5, np.nextafter(0.5, 1))] == [1, 2]


@pytest.mark.parametrize("vector", [np.zeros(3), np.zeros((18, 1)), np.full(18, np.nan)])
def test_features_that_are_missing_are_not_read(forests, vector):
    with pytest.raises(InputError, match="18 features cannot judge"):
        Forest.of(forests[0], 18).predict(vector)


def test_correction_of_the_bias_is_applied(forests):
    vector = np.full(18, 0.4)
    plain, corrected = (Forest.of({**forests[0], "coef": coef}, 18) for coef in (np.zeros(2), np.array([0.3, 0.9])))
    assert corrected.predict(vector) == pytest.approx(0.3 + 0.9 * plain.predict(vector), rel=1e-15)


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [("lDau", 0, 1), ("rDau", 0, 10_000), ("lDau", 0, -4), ("mbest", 0, 19), ("mbest", 0, 0), ("upper", 0, np.nan)],
)
def test_forest_that_is_none_is_refused(forests, name, row, value):
    damaged = forests[0][name].copy()
    damaged[row, forests[0]["lDau"][0] > 0] = value
    with pytest.raises(ModelError, match="damaged"):
        Forest.of({**forests[0], name: damaged}, 18)


def test_forest_whose_arrays_do_not_fit_is_refused(forests):
    with pytest.raises(ModelError, match="do not fit together"):
        Forest.of({**forests[0], "upper": forests[0]["upper"][:, 1:]}, 18)
    with pytest.raises(ModelError, match="lacks avnode, upper"):
        Forest.of({name: value for name, value in forests[0].items() if name not in ("upper", "avnode")}, 18)


def test_file_gives_its_forests_and_weights(forests, save_model):
    path, blob = save_model(forests)
    model = MaModel.read(path, digest=blob)
    vectors = Features(*(np.random.default_rng(5).uniform(0, 1, size) for size in (18, 45, 75)))
    expected = [walked(fields, vector) for fields, vector in zip(forests, vectors, strict=True)]
    np.testing.assert_allclose(model.predict(vectors), expected, rtol=1e-14)
    assert model.score((1.0, 2.0, 3.0)) == pytest.approx(0.5 + 0.1 + 0.4 + 0.9)
    assert model.name == f"custom-{blob[:12]}"


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(kind, shape, *parts):
    """Return a nameless array of level 5: flags, size, name, content."""
    flags = element(6, struct.pack("<II", kind, 0))
    return element(14, flags + element(5, struct.pack("<ii", *shape)) + b"".join(parts))


def structure(fields):
    names = b"".join(name.encode().ljust(32, b"\0") for name in fields)
    return matrix(2, (1, 1), element(1, b""), element(5, struct.pack("<i", 32)), element(1, names), *fields.values())


def numbers(array):
    kind, stored = (12, 5) if array.dtype == np.int32 else (6, 9)
    return matrix(kind, array.shape, element(1, b""), element(stored, array.tobytes(order="F")))


@pytest.mark.parametrize("stored", [4, 17], ids=["uint16", "utf-16"])
def test_file_is_read_as_matlab_writes_it(forests, tmp_path, stored):
    """Byte for byte: a row of cells, the status of nodes as characters that are none, everything compressed."""
    cells = []
    for fields in forests:
        arrays = {name: numbers(np.asarray(value)) for name, value in fields.items() if name != "ntree"}
        status = np.where(fields["lDau"] == 0, -1, -3).astype(np.int8).tobytes(order="F")
        status += bytes(len(status) % 2)
        arrays["nodestatus"] = matrix(4, (len(status) // 2, 1), element(1, b""), element(stored, status))
        cells.append(structure({**arrays, "coef": numbers(np.zeros((0, 0)))}))
    model = {
        "rf": matrix(1, (1, 3), element(1, b""), *cells),
        "linear": numbers(np.array([[0.5], [0.1], [0.2], [0.3]])),
    }
    unnamed = structure(model)
    named = unnamed.replace(element(1, b""), element(1, b"model"), 1)
    variable = struct.pack("<II", 14, len(named) - 8) + named[8:]
    packed = zlib.compress(variable)
    header = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    content = header + struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "model.mat").write_bytes(content)
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    found = MaModel.read(tmp_path / "model.mat", digest=blob)
    vectors = Features(*(np.random.default_rng(6).uniform(0, 1, size) for size in (18, 45, 75)))
    expected = [walked(fields, vector) for fields, vector in zip(forests, vectors, strict=True)]
    np.testing.assert_allclose(found.predict(vectors), expected, rtol=1e-14)
    assert found.linear == (0.5, 0.1, 0.2, 0.3)


@pytest.mark.parametrize("image", PUBLISHED_SCORES)
def test_published_weights_make_published_scores(forests, image):
    one, two, three = (Forest.of(fields, size) for fields, size in zip(forests, (18, 45, 75), strict=True))
    score, *predictions = PUBLISHED_SCORES[image]
    assert MaModel((one, two, three)).score(tuple(predictions)) == pytest.approx(score, abs=1e-12)


def test_published_scores_and_weights_are_those_at_hand(reference_iqa):
    lines = (reference_iqa / "ma_published_scores.txt").read_text().splitlines()[1:]
    stored = {name: tuple(map(float, values)) for name, *values in (line.split(",") for line in lines)}
    assert stored == PUBLISHED_SCORES
    weights = np.loadtxt(reference_iqa / "models" / "ma_linear_weights_recovered.txt")
    assert tuple(weights) == MaModel.__dataclass_fields__["linear"].default


def test_other_file_is_refused_before_it_is_read(forests, save_model):
    path, blob = save_model(forests)
    with pytest.raises(ModelError, match=f"has the git blob {blob}, not {PUBLISHED}; get model.mat from"):
        MaModel.read(path)


def test_missing_file_names_its_source(tmp_path):
    with pytest.raises(ModelError, match=r"No such file.*chaoma99/sr-metric"):
        MaModel.read(tmp_path / "model.mat")


def test_digest_is_that_of_git(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ModelError, match="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"):
        MaModel.read(tmp_path / "empty")


def test_file_without_a_model_is_refused(forests, save_model, tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ModelError, match="no MATLAB file of version 5"):
        MaModel.read(tmp_path / "empty", digest="e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
    path, blob = save_model(forests[:2])
    with pytest.raises(ModelError, match="no model of three forests"):
        MaModel.read(path, digest=blob)
    path, blob = save_model(forests, linear=(1.0, 2.0, 3.0))
    with pytest.raises(ModelError, match="four weights"):
        MaModel.read(path, digest=blob)
    path, blob = save_model([forests[0], forests[1], {**forests[2], "ndtree": np.array([1e6])}])
    with pytest.raises(ModelError, match=r"model\.mat: the arrays of a forest"):
        MaModel.read(path, digest=blob)


@pytest.mark.parametrize("coef", [[[0.3]], [[0.3], [np.nan]], [[0.1], [0.2], [0.3]]])
def test_correction_that_is_no_line_is_refused(forests, save_model, coef):
    path, blob = save_model([{**forests[0], "coef": np.array(coef)}, *forests[1:]])
    with pytest.raises(ModelError, match=r"model\.mat: the correction of a forest"):
        MaModel.read(path, digest=blob)


def test_weights_that_are_no_numbers_are_refused(forests, save_model):
    path, blob = save_model(forests, linear=(0.5, np.nan, 0.2, 0.3))
    with pytest.raises(ModelError, match="four weights"):
        MaModel.read(path, digest=blob)


def test_missing_scipy_is_said(forests, save_model, monkeypatch):
    path, blob = save_model(forests)
    load = builtins.__import__

    def refuse(name, *arguments):
        if name.startswith("scipy"):
            raise ModuleNotFoundError(name)
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModelError, match=r"install photopeak\[ma\]"):
        MaModel.read(path, digest=blob)
