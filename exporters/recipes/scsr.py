"""Coupled dictionaries for sparse coding, learned from the slices that networks are trained on.

The joint dictionary is learned from features and patches side by side (Yang et al. 2010). Its upper half is then fitted once
more, to the codes that the lower half alone gives: those are what is at hand when a dictionary is used (Zeyde et al. 2010).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ...kernels.sparse.coding import FEATURES, PATCH, codes, features
from ...kernels.sparse.dictionary import Dictionary
from ...kernels.sparse.interpolation import doubled
from .slices import Pair

Floats = NDArray[np.float32]
_EMPTY = 1e-4  # length of the features of a patch without content, in units of the robust maximum
_RIDGE = 1e-3
_SHIFT = 6


@dataclass(frozen=True)
class Settings:
    """How a dictionary is learned.

    Parameters
    ----------
    atoms : int
        Pairs of atoms.
    penalty : float
        Weight of the sum of magnitudes of a code.
    patches : int
        Patches from each slice, for the fit of the upper half.
    joint : int
        Patches of all slices, for the joint dictionary.
    passes : int
        How often the joint dictionary sees each patch.
    seed : int
        Decides what is drawn.
    """

    atoms: int = 512
    penalty: float = 0.2
    patches: int = 120
    joint: int = 8000
    passes: int = 2
    seed: int = 0


def learn(pairs: Sequence[Pair], settings: Settings | None = None, name: str = "pet") -> Dictionary:
    """Return a dictionary for twice the matrix.

    Parameters
    ----------
    pairs : sequence of Pair
        Training slices of scale 2.
    settings : Settings, optional
        How.
    name : str
        Name of the dictionary.

    Returns
    -------
    Dictionary
        The same for the same arguments.

    References
    ----------
    * J. Yang, J. Wright, T. S. Huang, Y. Ma, Image super-resolution via sparse representation, IEEE Trans. Image Process. 19
      (2010) 2861.
    * R. Zeyde, M. Elad, M. Protter, On single image scale-up using sparse-representations, Curves and Surfaces (2010) 711.
    """
    how = settings or Settings()
    rng = np.random.default_rng([51, how.seed])
    drawn = [_sample(made, how.patches, rng) for made in pairs]
    vectors, patches = (np.concatenate([part[k] for part in drawn]) for k in range(2))
    lengths = np.linalg.norm(vectors, axis=1)
    kept = lengths > _EMPTY
    vectors, patches, lengths = np.ascontiguousarray(vectors[kept]), patches[kept], lengths[kept]
    low = _joint_low(vectors / lengths[:, None], patches, how, rng)
    found = codes(vectors, low, np.ascontiguousarray(low.T @ low), how.penalty) * lengths[:, None]
    return Dictionary(
        name, low, _fitted(found, patches), how.penalty, f"{len(pairs)} simulated slices, seed {how.seed}"
    )


def _sample(made: Pair, number: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw features and patches of one acquisition of a slice, where there is something to see."""
    which = int(rng.integers(len(made.noisy)))
    noisy, target = np.ascontiguousarray(made.noisy[which]), made.target[which]
    large = doubled(noisy)
    at = np.argwhere(noisy > 0.05)
    if not len(at):
        at = np.argwhere(noisy == noisy.max())
    shifted = 2 * at[rng.integers(len(at), size=number)] + rng.integers(-_SHIFT, _SHIFT - 3, size=(number, 2))
    corners = np.ascontiguousarray(np.clip(shifted, 0, np.array(target.shape) - PATCH))
    mean, patch = (
        sliding_window_view(image, (PATCH, PATCH))[corners[:, 0], corners[:, 1]].reshape(number, -1)
        for image in (large, target)
    )
    return features(large, corners), patch - mean.mean(axis=1, keepdims=True)


def _joint_low(unit: Floats, patches: Floats, how: Settings, rng: np.random.Generator) -> Floats:
    """Learn both halves together and return the lower one, its atoms of length 1, shape (100, atoms)."""
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    chosen = rng.choice(len(unit), min(how.joint, len(unit)), replace=False)
    upper = patches[chosen] / np.maximum(np.linalg.norm(patches[chosen], axis=1, keepdims=True), _EMPTY)
    learner = MiniBatchDictionaryLearning(
        how.atoms,
        alpha=how.penalty,
        max_iter=how.passes,
        fit_algorithm="cd",
        batch_size=256,
        tol=0.0,
        max_no_improvement=None,
        random_state=how.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a code in the middle of learning need not be exact
        learner.fit(np.concatenate([unit[chosen], upper], axis=1).astype(np.float64))
    low = learner.components_[:, :FEATURES].T
    lengths = np.linalg.norm(low, axis=0)
    used = lengths > 1e-6 * lengths.max()
    return np.ascontiguousarray(low[:, used] / lengths[used], np.float32)


def _fitted(found: Floats, patches: Floats) -> Floats:
    """Return the upper half of least squared error, slightly regularised, shape (atoms, 25)."""
    wide = found.astype(np.float64)
    gram = wide.T @ wide
    ridge = _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    return np.ascontiguousarray(np.linalg.solve(gram + ridge, wide.T @ patches), np.float32)
