"""Simulated sites that differ from the training of the denoisers, with the truth that a real site lacks."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter1d

from ..phantoms.camera import count
from ..phantoms.plane import Slice
from ..phantoms.slices import OBJECTS
from ..phantoms.tomography import Reconstruction, Scanner, acquire, measure, reconstruct
from ..recipes.site_images import Site, SiteSeries, with_noise
from .domain_inputs import hand

Floats = NDArray[np.float32]
_TRUES = 2e6
_GROWTH = 0.01  # of the object from slice to slice
_AXIAL_PX = 0.85  # standard deviation of the filter along the axis, in slices


@dataclass(frozen=True)
class Case:
    """A site and patients of it whose truth is known.

    Parameters
    ----------
    name, title : str
        Key and description.
    recipe : str
        Which denoiser it is for.
    site : Site
        What the site has: noisy images.
    noisy, truth : ndarray, shape (n, rows, columns), float32
        Images of other patients, and what they should look like.
    """

    name: str
    title: str
    recipe: str
    site: Site
    noisy: Floats
    truth: Floats


@dataclass(frozen=True)
class PetSite:
    """A PET site.

    Parameters
    ----------
    name, title : str
        Key and description.
    scanner : Scanner
        Its field of view is that of each patient.
    how : Reconstruction
        With a side that the site uses.
    share : float
        True coincidences over those of a clinical slice.
    patients, slices : int
        Series to adapt to, and slices of each; one more patient is for the test.
    """

    name: str
    title: str
    scanner: Scanner
    how: Reconstruction
    share: float
    patients: int = 3
    slices: int = 12


PET_SITES = (
    PetSite(
        "pet-fine",
        "PET, detectors of 6 mm, OSEM, 240x240, filter of 13 mm, 1/30 of clinical counts",
        Scanner(angles=80, fwhm_mm=6.0),
        Reconstruction(side=240, filter_fwhm_mm=13.0),
        1 / 30,
    ),
    PetSite(
        "pet-usual",
        "PET, detectors of 5 mm, OSEM with resolution modelling, 144x144, filter of 5 mm, 1/4 of clinical counts",
        Scanner(angles=80, fwhm_mm=5.0),
        Reconstruction(side=144, iterations=6, psf_fwhm_mm=5.0, filter_fwhm_mm=5.0),
        1 / 4,
    ),
)
HANDS = ("scint-hands", "Bone scans of hands, which training never saw, 1/5 of clinical counts")
HANDS_SHARE = 1 / 5
PATIENTS, TEST_PATIENTS = 16, 8


def pet_case(site: PetSite, tell: Callable[[str], None] = lambda name: None) -> Case:
    """Simulate a PET site.

    Parameters
    ----------
    site : PetSite
        Scanner, reconstruction and numbers.
    tell : callable
        Told the name of each patient.

    Returns
    -------
    Case
        The same for the same site.
    """
    made = []
    for patient in range(site.patients + 1):
        tell(f"{site.name} {patient}")
        made.append(_volume(site, patient))
    series = tuple(with_noise(noisy, site.name) for noisy, _ in made[: site.patients])
    files = site.patients * site.slices
    noisy, truth = (np.concatenate([pair[k] for pair in made[site.patients :]]) for k in (0, 1))
    return Case(site.name, site.title, "pet-denoise", Site(series, "PT", files, {}), noisy, truth)


def hands_case(patients: int = PATIENTS, tests: int = TEST_PATIENTS) -> Case:
    """Simulate a site that scans hands only."""
    rng = np.random.default_rng(51)
    expected = [np.asarray(hand(rng) * HANDS_SHARE, np.float32) for _ in range(patients + tests)]
    noisy = [count(image, rng) for image in expected]
    site = Site(tuple(SiteSeries(image[None]) for image in noisy[:patients]), "NM", patients, {})
    return Case(*HANDS, "scint-denoise", site, np.stack(noisy[patients:]), np.stack(expected[patients:]))


def _volume(site: PetSite, patient: int) -> tuple[Floats, Floats]:
    """Return neighbouring slices of a body that changes into another one, filtered along the axis, noisy and without noise."""
    rng = np.random.default_rng([53, patient])
    ends = [OBJECTS["torso"](rng, 2 * site.how.side) for _ in range(2)]
    scanner = Scanner(
        ends[0].field_mm,
        site.scanner.angles,
        site.scanner.fwhm_mm,
        site.scanner.scatter_fraction,
        site.scanner.randoms_fraction,
    )
    noisy, truth = [], []
    for k in range(site.slices):
        expected = measure(*_between(ends[0], ends[1], k, site.slices), scanner, _TRUES)
        truth.append(reconstruct(expected, scanner, site.how))
        noisy.append(reconstruct(acquire(expected, site.share, rng), scanner, site.how))
    filtered = [np.asarray(gaussian_filter1d(np.stack(part), _AXIAL_PX, axis=0), np.float32) for part in (noisy, truth)]
    return filtered[0], np.maximum(filtered[1], 0)


def _between(first: Slice, last: Slice, k: int, number: int) -> tuple[Floats, Floats]:
    """Return activity and attenuation of a plane between two, which also grows along the axis."""
    at = k / (number - 1)
    share, growth = np.float32(at * at * (3 - 2 * at)), 1 + _GROWTH * (k - number / 2)
    middle = (len(first.activity) - 1) / 2
    offset = [middle * (1 - growth)] * 2
    pairs = ((first.activity, last.activity), (first.attenuation, last.attenuation))
    mixed = [affine_transform((1 - share) * a + share * b, [growth, growth], offset, order=1) for a, b in pairs]
    return mixed[0], mixed[1]
