"""Simulated radiographs obey projection geometry."""

import numpy as np
import pytest

from photopeak.exporters.phantoms.radiographs import Anatomy, View, draw_anatomy, radiograph


def ball(
    centre: tuple[float, float, float], radius: float, attenuation: float = 0.02, depth_mm: float = 100.0
) -> Anatomy:
    """One ball."""
    return Anatomy(np.array([centre]), np.eye(3)[None] / radius, np.array([attenuation]), depth_mm)


def extent(image: np.ndarray) -> float:
    """Return the width of what attenuates [px]."""
    return float((image.max(0) > 0.25).sum())


def test_the_ray_through_a_ball_sees_its_diameter() -> None:
    rng = np.random.default_rng(0)
    image = radiograph(ball((0, 0, 0), 50), "PA", rng, side=101, field_mm=400, photons=1e9)
    assert image.max() == pytest.approx(0.02 * 100, rel=0.01)


@pytest.mark.parametrize(("view", "front"), [("PA", -80.0), ("AP", 80.0)])
def test_what_is_far_from_the_detector_is_larger(view: View, front: float) -> None:
    near, far = (
        extent(radiograph(ball((0, y, 0), 40), view, np.random.default_rng(1), side=256, field_mm=400, photons=1e9))
        for y in (front, -front)
    )
    assert far > 1.05 * near


def test_the_heart_is_magnified_more_in_ap() -> None:
    sizes = {
        view: extent(
            radiograph(ball((0, -40, 0), 60), view, np.random.default_rng(2), side=256, field_mm=400, photons=1e9)
        )
        for view in ("AP", "PA")
    }
    # Magnification is the source's distance to the detector over its distance to the heart.
    plane, heart = 112.0, 40.0
    expected = {"AP": 1050 / (1050 - plane - heart), "PA": 1800 / (1800 - plane + heart)}
    assert sizes["AP"] / sizes["PA"] == pytest.approx(expected["AP"] / expected["PA"], rel=0.06)


def test_the_patients_left_is_on_the_right_in_both_views() -> None:
    for view in ("AP", "PA"):
        image = radiograph(ball((60, 0, 0), 30), view, np.random.default_rng(3), side=64, field_mm=400, photons=1e9)
        assert image[:, 32:].sum() > 10 * max(image[:, :32].sum(), 1e-3)


def test_scapulae_leave_the_lungs_in_pa() -> None:
    def inner(view: View) -> float:
        anatomy = draw_anatomy(np.random.default_rng(4), view)
        blades = anatomy.centres[-4:]  # added last
        return float(np.abs(blades[:, 0]).min())

    assert inner("PA") > inner("AP")


def test_seeds_decide_everything() -> None:
    first, second = (
        radiograph(draw_anatomy(rng, "AP"), "AP", rng, side=32)
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    assert np.array_equal(first, second)
