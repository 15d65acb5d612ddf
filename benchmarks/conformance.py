"""How far our scores are from those of the authors' code: every metric, every reference image, every convention.

The reference is a folder with ``inputs.npz`` (images by name), ``scores.csv`` (a row for each image, a column for each
convention), ``ma_features.npz`` (``<image>__f1`` to ``__f3``), ``fr_pairs.npz`` (``<pair>_ref`` and ``_dist``) and
``fr_scores.csv``. Some images are ill-posed: windows of one value leave rounding errors that decide the score of the
original code. They are compared with the canonical rule only, and shown in parentheses elsewhere.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from ..engine.errors import InputError
from ..kernels.iqa.ma.features import features
from .peers import Peer, peers_of
from .tables import Table

__all__ = ["CONVENTIONS", "Convention", "Deviation", "Reference", "conformance_tables", "deviations", "read_reference"]

Image = NDArray[np.uint8]
Values = NDArray[np.float64]


class Convention(NamedTuple):
    """One way to compute a metric, and what it is compared with.

    Parameters
    ----------
    metric : str
        Its name in :mod:`photopeak.kernels`, or ``ma_features``.
    name : str
        What people call the convention.
    column : str
        Where the reference has it.
    bar : float
        Greatest deviation that is allowed.
    options : mapping
        What the function is called with.
    posed : str
        The column that says which images are well-posed; empty if all are.
    """

    metric: str
    name: str
    column: str
    bar: float
    options: Mapping[str, Any] = {}
    posed: str = ""


CONVENTIONS = (
    Convention("niqe", "canonical", "niqe_canonical", 1e-9),
    Convention("niqe", "single precision", "niqe_canonical", 1e-3, {"precision": "single"}),
    Convention("niqe", "authors' code", "niqe_octave_official", 1e-9, posed="wellposed_niqe"),
    Convention("brisque", "canonical", "brisque_canonical", 1e-8),
    Convention("brisque", "authors' code", "brisque_octave_unquant", 1e-8, posed="wellposed_brisque"),
    Convention(
        "brisque",
        "scaled-quantised",
        "brisque_octave_scaledquant",
        1e-8,
        {"convention": "scaled-quantised"},
        "wellposed_brisque",
    ),
    Convention(
        "brisque",
        "live-quantised",
        "brisque_octave_LIVEquant",
        1e-8,
        {"convention": "live-quantised"},
        "wellposed_brisque",
    ),
    Convention("piqe", "canonical", "piqe_matlab_rule", 1e-9),
    Convention("ma_features", "local frequencies", "f1", 1e-9),
    Convention("ma_features", "global frequencies", "f2", 1e-9),
    Convention("ma_features", "discontinuity", "f3", 1e-9),
    Convention("psnr", "Wang et al.", "numpy_ref.psnr", 1e-8),
    Convention("ssim", "Wang et al.", "numpy_ref.ssim", 1e-12),
    Convention("ms_ssim", "Wang et al.", "numpy_ref.msssim", 1e-12),
)


@dataclass(frozen=True)
class Reference:
    """Images and what they score.

    Parameters
    ----------
    images : dict of str to ndarray
        Single images, uint8.
    pairs : dict of str to (ndarray, ndarray)
        Image and its reference, uint8.
    scores : dict of (str, str) to ndarray or float
        By name and column.
    posed : dict of (str, str) to bool
        Whether an image is well-posed, by name and column.
    """

    images: dict[str, Image]
    pairs: dict[str, tuple[Image, Image]]
    scores: dict[tuple[str, str], Any]
    posed: dict[tuple[str, str], bool]


class Deviation(NamedTuple):
    """How far one image is from the reference.

    Parameters
    ----------
    convention : Convention
        How it was computed.
    image : str
        Its name.
    value : float
        Greatest absolute difference; NaN where there is no score on our side.
    reason : str
        Why there is none.
    counts : bool
        Whether the image is well-posed.
    """

    convention: Convention
    image: str
    value: float
    reason: str
    counts: bool


def read_reference(folder: Path) -> Reference:
    """Return the images and scores of a folder.

    Raises
    ------
    InputError
        If a file is missing or something else.
    """
    try:
        images, pairs, parts = (_arrays(folder / f"{name}.npz") for name in ("inputs", "fr_pairs", "ma_features"))
        rows = _rows(folder / "scores.csv") + _rows(folder / "fr_scores.csv")
        scores: dict[tuple[str, str], Any] = {}
        posed: dict[tuple[str, str], bool] = {}
        for row in rows:
            name = row.pop("image", "") or row.pop("pair")
            posed |= {(name, key): row.pop(key) == "True" for key in list(row) if key.startswith("wellposed")}
            scores |= {(name, key): float(text) for key, text in row.items() if text and _is_number(text)}
        scores |= {(key.partition("__")[0], key.partition("__")[2]): values for key, values in parts.items()}
        names = [key.removesuffix("_ref") for key in pairs if key.endswith("_ref")]
        return Reference(images, {name: (pairs[f"{name}_dist"], pairs[f"{name}_ref"]) for name in names}, scores, posed)
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder} does not hold the reference scores ({error}); see photopeak conformance --help."
        ) from error


def deviations(reference: Reference) -> Iterator[Deviation]:
    """Yield how far we are, convention by convention and image by image."""
    for convention in CONVENTIONS:
        for name, arguments in _inputs(reference, convention.metric):
            if (name, convention.column) in reference.scores:
                ours, reason = _ours(convention, arguments)
                theirs = np.atleast_1d(reference.scores[name, convention.column])
                value = float(abs(ours - theirs).max()) if ours.shape == theirs.shape else np.inf
                counts = reference.posed.get((name, convention.posed), True)
                yield Deviation(convention, name, value, reason, counts)


def conformance_tables(reference: Reference) -> tuple[list[Table], list[str]]:
    """Return the tables, and a sentence for every convention that misses its bar."""
    found = list(deviations(reference))
    summary, missed = [], []
    for convention in CONVENTIONS:
        seen = [item for item in found if item.convention is convention and item.counts and not np.isnan(item.value)]
        if not seen:
            continue
        worst = max(seen, key=lambda item: item.value)
        if worst.value > convention.bar:
            missed.append(f"{convention.metric} ({convention.name}) is off by {worst.value:.1e} on {worst.image}")
        cells = (str(len(seen)), f"{worst.value:.1e}", f"{convention.bar:.0e}", worst.image)
        summary.append((convention.metric, convention.name, f"`{convention.column}`", *cells))
    columns = ("metric", "convention", "reference", "images", "greatest deviation", "bar", "on")
    tables = [Table("Greatest deviation from the reference", columns, tuple(summary))]
    if peers := [
        row
        for metric in _metrics()
        for peer in peers_of(metric)
        if peer.comparable
        for row in _against(peer, reference)
    ]:
        columns = ("metric", "library", "images", "median deviation", "greatest", "on", "remarks")
        tables.append(Table("The same for other libraries, in double precision", columns, tuple(peers)))
    return tables + [_by_image(metric, found) for metric in _metrics()], missed


def _by_image(metric: str, found: Iterable[Deviation]) -> Table:
    """Return the deviation of each image, in parentheses where the image is ill-posed."""
    conventions = [convention for convention in CONVENTIONS if convention.metric == metric]
    cells = {(item.image, item.convention.name): item for item in found if item.convention.metric == metric}
    rows = []
    for image in dict.fromkeys(image for image, _ in cells):
        items = [cells.get((image, convention.name)) for convention in conventions]
        rows.append((image, *(_cell(item) for item in items)))
    return Table(f"{metric}: deviation by image", ("image", *(c.name for c in conventions)), tuple(rows))


def _cell(item: Deviation | None) -> str:
    if item is None:
        return ""
    if item.reason:
        return item.reason
    return f"{item.value:.1e}" if item.counts else f"({item.value:.1e})"


def _against(peer: Peer, reference: Reference) -> Iterator[tuple[str, ...]]:
    """Yield the row of a peer, which may fail where it pleases; its definition is that of our first convention."""
    convention = next(convention for convention in CONVENTIONS if convention.metric == peer.metric)
    found, failed = {}, 0
    for name, arguments in _inputs(reference, peer.metric):
        if (theirs := reference.scores.get((name, convention.column))) is None:
            continue
        try:
            value = float(peer.prepare(arguments if len(arguments) > 1 else arguments[0], "float64")())
        except Exception:  # noqa: BLE001 - whatever it raises is its answer to this image
            value = np.nan
        if np.isnan(value):
            failed += 1
        else:
            found[name] = abs(value - theirs)
    if found:
        worst = max(found, key=found.__getitem__)
        remarks = "; ".join(filter(None, (peer.note, f"fails on {failed}" if failed else "")))
        figures = (f"{np.median(list(found.values())):.1e}", f"{found[worst]:.1e}")
        yield peer.metric, f"{peer.name} {peer.version}", str(len(found)), *figures, worst, remarks


def _ours(convention: Convention, arguments: tuple[Image, ...]) -> tuple[Values, str]:
    """Return our score, or features, and why there is none."""
    if convention.metric == "ma_features":
        part = int(convention.column[1]) - 1
        return features(arguments[0].astype(np.float64))[part], ""
    function: Callable[..., Any] = getattr(kernels, convention.metric)
    found = function(*arguments, **convention.options)
    return np.atleast_1d(found.values), found.reasons[0] or ""


def _inputs(reference: Reference, metric: str) -> list[tuple[str, tuple[Image, ...]]]:
    """Return the images of a metric, or the pairs."""
    if metric in ("psnr", "ssim", "ms_ssim"):
        return list(reference.pairs.items())
    return [(name, (image,)) for name, image in reference.images.items()]


def _metrics() -> list[str]:
    return list(dict.fromkeys(convention.metric for convention in CONVENTIONS))


def _arrays(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
