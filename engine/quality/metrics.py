"""The metrics that can be asked for, by name, and how each is computed for one frame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...kernels.iqa.intensity import Window
from ..errors import UsageError

if TYPE_CHECKING:
    from ...kernels.iqa.comparison import Comparison
    from ...kernels.iqa.ma.model import MaModel
    from ...kernels.iqa.score import Scores

__all__ = [
    "DEFAULT",
    "METRICS",
    "WITH_REFERENCE",
    "Found",
    "Metric",
    "Settings",
    "View",
    "chosen_metrics",
    "chosen_models",
    "prepared",
]


@dataclass(frozen=True)
class Settings:
    """What to measure and how.

    Parameters
    ----------
    metrics : tuple of str
        Names from `METRICS`.
    window : str or tuple of float
        How values become grey values; see :func:`photopeak.engine.quality.windows.window_for`.
    models : mapping of str to str
        Model of NIQE or BRISQUE, by name of the metric: a name or a file.
    ma_model : Path or MaModel, optional
        The published forests of Ma et al.: a MATLAB file, or what was read from it.
    data_range : float, optional
        Largest possible difference of two pixels for PSNR, SSIM and MS-SSIM.
    maps : bool
        Whether maps are kept of the frames that a report shows.
    """

    metrics: tuple[str, ...]
    window: Window = "auto"
    models: Mapping[str, str] = field(default_factory=dict)
    ma_model: "Path | MaModel | None" = None
    data_range: float | None = None
    maps: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One frame as metrics look at it.

    Parameters
    ----------
    pixels : ndarray, shape (rows, columns)
        Values as they are.
    grey : ndarray, shape (rows, columns), float64
        Grey values 0 to 255.
    luma : callable
        Returns the plane that Ma's metric takes, 0 to 255.
    reference, mask : ndarray, shape (rows, columns), or None
        What to compare with, and where pixels count.
    settings : Settings
        Models and ranges.
    """

    pixels: NDArray[Any]
    grey: NDArray[np.float64]
    luma: Callable[[], NDArray[np.float64]]
    reference: NDArray[Any] | None
    mask: NDArray[np.bool_] | None
    settings: Settings


@dataclass(frozen=True, slots=True)
class Found:
    """What a metric says of one frame: a value, or NaN and the reason; and what it was computed with."""

    value: float
    reason: str = ""
    model: str = ""
    rule: str = ""
    data_range: float = float("nan")
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Parameters
    ----------
    name, title : str
        As it is asked for, and as people write it.
    better : {"lower", "higher"}
        Which values belong to better images.
    compares : bool
        Whether it needs a reference image.
    takes_mask : bool
        Whether pixels can be left out.
    compute : callable
        From a view to what is found.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    compares: bool
    takes_mask: bool
    compute: Callable[[View], Found]


def chosen_metrics(text: str | None, *, reference: bool) -> tuple[str, ...]:
    """Return the metrics that a list with commas names; by default those that need nothing but the image.

    Raises
    ------
    UsageError
        If there is no such metric, or it needs a reference that is not given.

    Examples
    --------
    >>> chosen_metrics("niqe, PSNR", reference=True)
    ('niqe', 'psnr')
    """
    if text is None:
        return DEFAULT + (WITH_REFERENCE if reference else ())
    names = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UsageError(
            f"there is no metric {', '.join(map(repr, unknown)) or text!r}; choose from {', '.join(METRICS)}."
        )
    lacking = [name for name in names if METRICS[name].compares and not reference]
    if lacking:
        raise UsageError(f"{', '.join(lacking)} compares with another image; name it with --reference.")
    return names


def chosen_models(words: Sequence[str], metrics: Sequence[str]) -> dict[str, str]:
    """Return the model of each metric that ``METRIC=MODEL`` names.

    Raises
    ------
    UsageError
        If a metric has no models, or is not among those that are asked for.

    Examples
    --------
    >>> chosen_models(["niqe=site.npz"], ["niqe", "piqe"])
    {'niqe': 'site.npz'}
    """
    models = {}
    for word in words:
        metric, equals, model = word.partition("=")
        if not equals or not model or metric not in WITH_MODELS or metric not in metrics:
            usable = [name for name in WITH_MODELS if name in metrics]
            choices = " or ".join(f"{name}=NAME" for name in usable) or "no --model with these metrics"
            raise UsageError(f"--model {word} makes no sense here; write {choices}.")
        models[metric] = model
    return models


def prepared(settings: Settings) -> Settings:
    """Return settings whose forests are read, if they are needed: reading them for each frame would take seconds.

    Raises
    ------
    ModelError
        If they are needed and not there.
    """
    if not {"ma", "pi"} & set(settings.metrics):
        return settings
    from ...kernels.iqa.ma.model import needed

    return replace(settings, ma_model=needed(settings.ma_model))


def _niqe(view: View) -> Found:
    from ...kernels.iqa.niqe import niqe

    return _scored(niqe(view.grey, model=view.settings.models.get("niqe", "live"), **_grey_options(view)))


def _brisque(view: View) -> Found:
    from ...kernels.iqa.brisque import brisque

    model = view.settings.models.get("brisque", "live")
    return _scored(brisque(view.grey, model=model, **_grey_options(view)))


def _piqe(view: View) -> Found:
    from ...kernels.iqa.piqe import piqe

    return _scored(piqe(view.grey, maps=view.settings.maps, **_grey_options(view)))


def _ma(view: View) -> Found:
    from ...kernels.iqa.perceptual import ma

    return _scored(ma(view.luma(), model=view.settings.ma_model, window="identity"))


def _perceptual_index(view: View) -> Found:
    from ...kernels.iqa.perceptual import perceptual_index

    return _scored(perceptual_index(view.luma(), ma_model=view.settings.ma_model, window="identity"))


def _grey_options(view: View) -> dict[str, Any]:
    return {"window": "identity", "mask": view.mask}


def _scored(scores: "Scores") -> Found:
    details = {name: values[0] for name, values in scores.details.items() if values[0] is not None}
    return Found(float(scores), scores.reasons[0] or "", scores.model, scores.rule, details=details)


def _psnr(view: View) -> Found:
    from ...kernels.iqa.differences import psnr

    return _compared(psnr(view.pixels, _other(view), **_range_options(view)))


def _ssim(view: View) -> Found:
    from ...kernels.iqa.ssim import ssim

    return _compared(ssim(view.pixels, _other(view), maps=view.settings.maps, **_range_options(view)))


def _ms_ssim(view: View) -> Found:
    from ...kernels.iqa.ssim import ms_ssim

    return _compared(ms_ssim(view.pixels, _other(view), **_range_options(view)))


def _nrmse(view: View) -> Found:
    from ...kernels.iqa.differences import nrmse

    return _compared(nrmse(view.pixels, _other(view), mask=view.mask))


def _other(view: View) -> NDArray[Any]:
    if view.reference is None:
        raise UsageError("there is no image to compare with; give a reference.")
    return view.reference


def _range_options(view: View) -> dict[str, Any]:
    return {"data_range": view.settings.data_range, "mask": view.mask}


def _compared(found: "Comparison") -> Found:
    maps = found.maps[0] if found.maps else None
    details = {} if maps is None else {"map": maps}
    return Found(float(found), found.reasons[0] or "", "", found.rule, found.data_range[0], details)


_ALL = (
    Metric("niqe", "NIQE", "lower", False, True, _niqe),
    Metric("brisque", "BRISQUE", "lower", False, True, _brisque),
    Metric("piqe", "PIQE", "lower", False, True, _piqe),
    Metric("ma", "Ma", "higher", False, False, _ma),
    Metric("pi", "PI", "lower", False, False, _perceptual_index),
    Metric("psnr", "PSNR [dB]", "higher", True, True, _psnr),
    Metric("ssim", "SSIM", "higher", True, True, _ssim),
    Metric("ms-ssim", "MS-SSIM", "higher", True, True, _ms_ssim),
    Metric("nrmse", "NRMSE", "lower", True, True, _nrmse),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
DEFAULT = ("niqe", "brisque", "piqe")
WITH_REFERENCE = ("psnr", "ssim")
WITH_MODELS = ("niqe", "brisque")
