"""Forests and the files they come in, made up for tests."""

import subprocess

import numpy as np
import pytest
from scipy.io import savemat

SIZES = (18, 45, 75)


def grow(rng, features, trees, depth):
    """Return the arrays of a forest as regRF_train lays them out: a row per node, a column per tree, counted from 1."""
    grown = [_tree(rng, features, depth) for _ in range(trees)]
    counts = [len(tree) for tree in grown]
    fields = {name: np.zeros((max(counts) + 3, trees), kind) for name, kind in _KINDS.items()}
    for column, tree in enumerate(grown):
        for row, node in enumerate(tree):
            for name, value in node.items():
                fields[name][row, column] = value
    return {**fields, "ndtree": np.array(counts, np.int32)[:, None], "ntree": float(trees), "coef": np.zeros((2, 1))}


_KINDS = {"lDau": np.int32, "rDau": np.int32, "mbest": np.int32, "upper": np.float64, "avnode": np.float64}


def _tree(rng, features, depth):
    nodes = [{"avnode": rng.uniform(0, 10)}]
    level = [0]
    for _ in range(depth):
        below = []
        for node in level:
            if rng.random() < 0.8:
                nodes[node] |= {"lDau": len(nodes) + 1, "rDau": len(nodes) + 2}
                nodes[node] |= {"mbest": rng.integers(1, features + 1), "upper": rng.uniform(0, 1)}
                below += [len(nodes), len(nodes) + 1]
                nodes += [{"avnode": rng.uniform(0, 10)}, {"avnode": rng.uniform(0, 10)}]
        level = below
    return nodes


@pytest.fixture(scope="session")
def forests():
    """Return the fields of three forests."""
    rng = np.random.default_rng(11)
    return [grow(rng, size, trees=20, depth=6) for size in SIZES]


@pytest.fixture(scope="session")
def save_model(tmp_path_factory):
    """Return a function that writes a MATLAB file of forests and gives its path and git blob."""

    def save(forests, linear=(0.5, 0.1, 0.2, 0.3), **more):
        path = tmp_path_factory.mktemp("ma") / "model.mat"
        cell = np.empty((len(forests), 1), object)
        # MATLAB's file has the bytes of nodestatus as characters.
        cell[:, 0] = [{**fields, "nodestatus": "\ufdfd\uff03"} for fields in forests]
        model = {"rf": cell, "linear": np.array(linear)[:, None], **more}
        savemat(path, {"model": model}, do_compression=True)
        blob = subprocess.run(["git", "hash-object", path], capture_output=True, text=True, check=True)
        return path, blob.stdout.strip()

    return save
