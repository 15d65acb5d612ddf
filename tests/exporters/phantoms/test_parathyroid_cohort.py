"""The parathyroid cohort: counts, washout, positions, truth and shares against closed forms."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from photopeak.exporters.phantoms.camera import FWHM_PER_SIGMA, WATER_140KEV_PER_MM, Camera
from photopeak.exporters.phantoms.parathyroid_cohort import COLLIMATORS, Case, Pose, case_of, draw_case
from photopeak.exporters.phantoms.parathyroid_patient import (
    KINDS,
    LESION_MM,
    Gland,
    Part,
    Patient,
    draw_patient,
    retained,
)
from photopeak.exporters.phantoms.scene import ellipsoid

SLAB = ellipsoid((0.0, 0.0, 0.0), (2000.0, 2000.0, 50.0))
STRAIGHT = Pose(0.0, (0.0, 0.0))


def gland(at=(0.0, 0.0, 0.0), radius=6.0, density=10.0, half_life=200.0):
    return Gland("lower", Part("parathyroid", ellipsoid(at, (radius,) * 3, density), half_life), 2 * radius)


def made(*glands, half_life=400.0, scatter=0.0, late=STRAIGHT, emission=0.1):
    """Return a case of glands in an even slab of soft tissue."""
    nothing = Part("nothing", ellipsoid((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0.0), 60.0)
    patient = Patient("adenoma", (nothing,), glands, SLAB, half_life)
    camera = Camera(scatter_fraction=scatter, gap_mm=0.0)
    return Case(patient, {"early": 15.0, "late": 135.0}, {"early": STRAIGHT, "late": late}, camera, 300.0, emission)


def test_soft_tissue_has_the_counts_of_a_slab():
    early = made().expected("early", side=64)
    depth = -np.expm1(-100 * WATER_140KEV_PER_MM) / WATER_140KEV_PER_MM
    assert early[20:44, 20:44] == pytest.approx(0.1 * depth * (300 / 64) ** 2, rel=0.01)


@pytest.mark.parametrize("half_life", [50.0, 400.0])
def test_the_washout_is_that_of_its_half_life_and_of_technetium(half_life):
    case = made(half_life=half_life)
    ratio = case.expected("late", side=32).sum() / case.expected("early", side=32).sum()
    assert ratio == pytest.approx(2 ** -(120 / half_life + 120 / 360.4), rel=1e-3)


def test_a_gland_adds_what_it_emits():
    case = made(gland())
    with_gland = case.expected("early", side=128).sum(dtype=float)
    without = made().expected("early", side=128).sum(dtype=float)
    emitted = 0.1 * 10 * 4 / 3 * np.pi * 6**3 * np.exp(-50 * WATER_140KEV_PER_MM)
    assert with_gland - without == pytest.approx(emitted, rel=0.01)


def test_contrast_and_detectability_are_those_of_a_gaussian_on_a_level():
    case, depth = made(gland((0.0, 0.0, 6.0), radius=2.0, density=8.0)), 56.0
    pixel = 300 / 201
    found = case.acquire(np.random.default_rng(0), side=201)
    level = float(made().expected("early", side=201)[100, 100])
    total = 0.1 * 8 * 4 / 3 * np.pi * 2**3 * np.exp(-depth * WATER_140KEV_PER_MM)
    lehr = COLLIMATORS["LEHR"]
    width = replace(case.camera, hole_mm=lehr.hole_mm, divergence=lehr.divergence).fwhm_mm(depth) / FWHM_PER_SIGMA
    variance = width**2 + 2**2 / 5 + pixel**2 / 12  # of the camera, a ball's shadow and a pixel
    peak = total * pixel**2 / (2 * np.pi * variance)
    ideal = total * pixel / np.sqrt(4 * np.pi * variance * level)
    assert found.contrast["early"][0] == pytest.approx(peak / level, rel=0.03)
    assert found.detectability["early"][0] == pytest.approx(ideal, rel=0.03)
    double = case.acquire(np.random.default_rng(0), side=201, counts_scale=4.0)
    assert double.detectability["early"][0] == pytest.approx(2 * found.detectability["early"][0], rel=1e-5)


def test_boxes_follow_the_patient():
    late = Pose(90.0, (12.0, -6.0))
    case = made(gland((30.0, 0.0, 0.0)), late=late)
    pair = case.acquire(np.random.default_rng(0), side=100)
    np.testing.assert_allclose(pair.boxes["early"][0], (49.5, 59.5, 4, 4), atol=1e-4)
    np.testing.assert_allclose(pair.boxes["late"][0], (49.5 + 10 - 2, 49.5 + 4, 4, 4), atol=1e-4)
    assert np.array_equal(pair.lesions, pair.boxes["late"])


def test_the_box_lies_on_the_gland():
    case = made(gland((40.0, -25.0, 0.0), density=30.0), late=Pose(8.0, (5.0, 9.0)))
    for phase in ("early", "late"):
        excess = case.expected(phase, side=128) - made(late=Pose(8.0, (5.0, 9.0))).expected(phase, side=128)
        box = case.acquire(np.random.default_rng(0), side=128).boxes[phase][0]
        excess = np.where(excess > 0.02 * excess.max(), excess, 0)
        centre = [(axis * excess).sum() / excess.sum() for axis in np.indices(excess.shape)]
        np.testing.assert_allclose(centre, box[:2], atol=0.15)


def test_a_gland_outside_the_field_is_told():
    pair = made(gland((400.0, 0.0, 0.0)), gland()).acquire(np.random.default_rng(0), side=64)
    assert pair.in_field.tolist() == [False, True]


@pytest.mark.parametrize("scale", [0.25, 2.0])
def test_counts_are_poisson_about_the_scaled_expectation(scale):
    case = made(gland())
    drawn = case.acquire(np.random.default_rng(5), side=128, counts_scale=scale).late
    ideal = scale * case.expected("late", side=128)
    assert np.array_equal(drawn, np.rint(drawn))
    assert ((drawn - ideal) ** 2 / ideal).mean() == pytest.approx(1, abs=0.05)


def test_expectations_are_kept_and_noise_is_new():
    case = case_of("tune", 1)
    first, second = (case.acquire(np.random.default_rng(seed), side=64) for seed in (0, 1))
    assert case.expected("late", side=64) is case.expected("late", side=64)
    assert not np.array_equal(first.late, second.late)


def test_an_absent_phase_is_zero():
    pair = case_of("tune", 2).acquire(np.random.default_rng(0), side=64, phases=("early",))
    assert not pair.late.any()
    assert pair.early.any()
    assert [*pair.boxes] == ["early"]


def test_matrices_show_the_same_counts():
    case = case_of("tune", 0)
    fine, coarse = (case.expected("early", side=side) for side in (256, 128))
    binned = fine.reshape(128, 2, 128, 2).sum(axis=(1, 3))
    assert binned.sum() == pytest.approx(coarse.sum(), rel=0.01)
    assert np.abs(binned - coarse).max() < 0.06 * coarse.max()


def test_collimators_differ_in_counts_and_sharpness():
    case = made(gland(density=60.0, radius=3.0))
    level = {name: case.expected("early", side=128, collimator=name)[5, 64] for name in COLLIMATORS}
    assert level["LEUHR"] / level["LEHR"] == pytest.approx(0.5, rel=1e-3)
    pairs = {name: case.acquire(np.random.default_rng(0), side=128, collimator=name) for name in COLLIMATORS}
    contrasts = [float(pairs[name].contrast["early"][0]) for name in ("LEUHR", "LEHR", "LEGP")]
    assert contrasts == sorted(contrasts, reverse=True)
    with pytest.raises(KeyError, match="pinhole"):
        case.acquire(np.random.default_rng(0), side=32, collimator="pinhole")


def test_a_wide_field_ends_where_the_crystal_does():
    image = replace(made(), field_mm=540.0).expected("early", side=54)
    assert not image[:7].any()
    assert not image[-7:].any()
    assert image[8:-8].all()


@pytest.mark.parametrize("split", ["train", "tune", "held-out"])
def test_the_same_case_again_and_no_other(split):
    one, again, other = case_of(split, 0), case_of(split, 0), case_of(split, 1)
    assert np.array_equal(one.expected("late", side=32), again.expected("late", side=32))
    assert not np.array_equal(one.expected("late", side=32), other.expected("late", side=32))


def test_the_cohort_has_the_shares_it_claims():
    patients = [draw_patient(np.random.default_rng([7, k])) for k in range(240)]
    glands = [one for patient in patients for one in patient.glands]
    status = Counter(str(patient.status) for patient in patients)
    assert status["normal"] / 240 == pytest.approx(0.28, abs=0.09)
    assert status["hyperplasia"] / 240 == pytest.approx(0.12, abs=0.07)
    sizes = np.array([one.lesion_mm for one in glands])
    assert LESION_MM[0] <= sizes.min() <= sizes.max() <= LESION_MM[1]
    kinds = Counter(str(one.kind) for one in glands)
    assert {*kinds} <= {*KINDS}
    ectopic = [p for p in patients if p.status == "adenoma" and p.glands[0].kind not in ("upper", "lower")]
    assert len(ectopic) / status["adenoma"] == pytest.approx(0.16, abs=0.1)
    volumes = np.array([one.part.shape.volume_mm3()[0] for one in glands])
    np.testing.assert_allclose(volumes, np.pi / 6 * sizes**3, rtol=1e-6)


def test_most_adenomas_wash_out_slower_than_their_thyroid_and_some_do_not():
    slower = []
    for k in range(100):
        patient = draw_patient(np.random.default_rng([8, k]))
        lobes = [part.half_life_min for part in patient.parts if part.name == "lobe"]
        slower += [one.part.half_life_min > 1.5 * max(lobes) for one in patient.glands]
    assert 0.6 < np.mean(slower) < 0.95


@pytest.mark.parametrize("minutes", [0.0, 45.0, 1000.0])
def test_what_is_retained_only_falls(minutes):
    assert retained(60.0, minutes) <= retained(120.0, minutes) <= 1
    assert retained(60.0, minutes) * retained(60.0, 30.0) == pytest.approx(retained(60.0, minutes + 30.0))


@pytest.mark.parametrize("seed", range(6))
def test_any_case_gives_finite_images_that_are_not_negative(seed):
    case = draw_case(np.random.default_rng([11, seed]))
    pair = case.acquire(np.random.default_rng(0), side=64)
    for image in (pair.early, pair.late):
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0
    assert len(pair.lesions) == len(pair.kind) == len(pair.lesion_mm) == len(pair.in_field)
