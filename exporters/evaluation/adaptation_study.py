"""What adapting a denoiser to a site's own noisy images is worth: simulated sites with their truth, and a real phantom."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...engine import postprocess
from ...engine.bundle import Bundle
from ...engine.errors import ModelError
from ...engine.zoo import load_bundle
from ..architectures import build
from ..markdown import markdown
from ..recipes.adaptation import Settings, adapt
from ..recipes.catalogue import Recipe, find
from ..recipes.site_images import Site, read_site, views
from ..weights import load_weights
from .adaptation_sites import PET_SITES, Case, hands_case, pet_case
from .metrics import bootstrap, psnr
from .nema_scan import FOLDER, RECONSTRUCTIONS, load_scans, recoveries, variability
from .slices import SMALL

Floats = NDArray[np.float32]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class SiteScore:
    """A simulated site.

    Parameters
    ----------
    title : str
        What differs from training.
    images : int
        Noisy images that were adapted to.
    steps : int
        Optimiser steps to the weights that were kept; 0 where none did better on the held-out images.
    seconds : float
        Wall time of the adaptation [s].
    raw, before, after : tuple of float
        PSNR of each test image as it is, and after the model as it ships and as adapted [dB].
    bias : tuple of float
        Mean of the output over that of the input, minus 1, before the engine restores it: as it ships and as adapted.
    """

    title: str
    images: int
    steps: int
    seconds: float
    raw: tuple[float, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    bias: tuple[float, float]


@dataclass(frozen=True)
class ScanScore:
    """One way to treat the real phantom.

    Parameters
    ----------
    method : str
        What was done to the first reconstruction.
    recovery : float
        Contrast of the three small spheres over that without treatment [1].
    variability : float
        Standard deviation of background circles over their mean [1].
    """

    method: str
    recovery: float
    variability: float


@dataclass(frozen=True)
class AdaptationReport:
    """All of the study.

    Parameters
    ----------
    sites : tuple of SiteScore
        Simulated sites.
    scan : tuple of ScanScore
        The real phantom; empty where the shared collection is not there.
    scan_steps : int
        Steps of the adaptation to the phantom; 0 where it was refused.
    """

    sites: tuple[SiteScore, ...]
    scan: tuple[ScanScore, ...]
    scan_steps: int = 0


def study_adaptation(data: Path | None, settings: Settings, tell: Tell = lambda name: None) -> AdaptationReport:
    """Adapt the denoisers that ship to sites unlike their training.

    Parameters
    ----------
    data : Path or None
        Folder with the shared collections.
    settings : Settings
        As for every site.
    tell : callable
        Told what is worked on.

    Returns
    -------
    AdaptationReport
        The same for the same settings, but for rounding.
    """
    cases = (*(pet_case(site, tell) for site in PET_SITES), hands_case())
    sites = tuple(_site(case, settings, tell) for case in cases)
    scan, steps = _scan(data, settings, tell)
    return AdaptationReport(sites, scan, steps)


def as_markdown(report: AdaptationReport) -> str:
    """Return the tables of the study."""
    rows = []
    for site in report.sites:
        gain = bootstrap(np.array(site.after) - np.array(site.before))
        rows.append(
            (
                site.title,
                str(site.images),
                str(site.steps) if site.steps else "refused",
                f"{site.seconds:.0f}",
                *(f"{np.mean(values):.2f}" for values in (site.raw, site.before, site.after)),
                f"{gain.mean:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})",
                *(f"{100 * bias:+.2f}" for bias in site.bias),
            )
        )
    header = (
        "site",
        "images",
        "steps",
        "s",
        "PSNR raw [dB]",
        "shipped",
        "adapted",
        "gain",
        "mean, shipped [%]",
        "adapted",
    )
    text = markdown(header, rows) + "\n"
    if report.scan:
        found = [(one.method, f"{one.recovery:.3f}", f"{100 * one.variability:.2f}") for one in report.scan]
        text += "\n" + markdown(("real NEMA phantom, recon_1", "recovery", "variability [%]"), found) + "\n"
    return text


def _site(case: Case, settings: Settings, tell: Tell) -> SiteScore:
    """Adapt to a simulated site and score other patients of it."""
    tell(f"adapting to {case.name}")
    recipe, bundle = find(case.recipe), load_bundle(case.recipe)
    before = _net(recipe, bundle)
    after, steps, seconds = _adapted(recipe, bundle, case.site, settings)
    raw = tuple(psnr(a, b) for a, b in zip(case.noisy, case.truth, strict=True))
    scores, biases = [], []
    for net in (before, after):
        images, bias = deliver(net, recipe, case.noisy)
        scores.append(tuple(psnr(a, b) for a, b in zip(images, case.truth, strict=True)))
        biases.append(bias)
    return SiteScore(case.title, case.site.images, steps, seconds, raw, scores[0], scores[1], (biases[0], biases[1]))


def _scan(data: Path | None, settings: Settings, tell: Tell) -> tuple[tuple[ScanScore, ...], int]:
    """Adapt to one reconstruction of the real phantom, with the planes around the spheres held out, and measure these."""
    scans = load_scans(data)
    if data is None or not scans:
        return (), 0
    tell("adapting to the real phantom")
    recipe, bundle, scan = find("pet-denoise"), load_bundle("pet-denoise"), scans[RECONSTRUCTIONS[0]]
    site = read_site(data / FOLDER / RECONSTRUCTIONS[0], recipe)
    adapted, steps, _ = _adapted(recipe, bundle, site, settings)
    middle = len(scan.planes) // 2
    reference = recoveries(scan.planes[middle], scan)[:SMALL]

    def scored(method: str, planes: Floats) -> ScanScore:
        recovery = float(np.mean(recoveries(planes[middle], scan)[:SMALL] / reference))
        return ScanScore(method, recovery, variability(planes, scan))

    def treated() -> Iterator[ScanScore]:
        yield scored("none", scan.planes)
        yield scored("pet-denoise as it ships", deliver(_net(recipe, bundle), recipe, scan.planes)[0])
        yield scored("adapted", deliver(adapted, recipe, scan.planes)[0])

    return tuple(treated()), steps


def _adapted(recipe: Recipe, bundle: Bundle, site: Site, settings: Settings) -> tuple[nn.Module, int, float]:
    """Return the adapted network, its steps and seconds; that of the bundle and 0 where no weights did better."""
    learned, judged = map(views, site.split())
    try:
        found = adapt(_net(recipe, bundle), recipe, learned, judged, settings, lambda step, error: None)
    except ModelError:
        return _net(recipe, bundle), 0, 0.0
    return found.net, found.steps, found.seconds


def _net(recipe: Recipe, bundle: Bundle) -> nn.Module:
    net = build(recipe)
    load_weights(net, bundle)
    return net.eval()


@torch.no_grad()
def deliver(net: nn.Module, recipe: Recipe, images: Floats) -> tuple[Floats, float]:
    """Return images as the engine delivers them, with the mean restored, and by how much that was off."""
    scaled = postprocess.scale_in(np.ascontiguousarray(images), "robust" if recipe.family == "pet" else "none", 1)
    rows, columns = images.shape[1:]
    pads = [(0, 0), (0, -rows % recipe.multiple), (0, -columns % recipe.multiple)]
    padded = np.pad(scaled.pixels, pads, mode="reflect")
    output = np.concatenate([net(torch.from_numpy(one[None, None])).numpy()[:, 0] for one in padded])
    output = np.ascontiguousarray(output[:, :rows, :columns])
    postprocess.scale_out(output, scaled)
    means = images.mean(axis=(1, 2), dtype=np.float64)
    off = output.mean(axis=(1, 2), dtype=np.float64) / means
    return np.asarray(output / off[:, None, None], np.float32), float((off - 1).mean())
