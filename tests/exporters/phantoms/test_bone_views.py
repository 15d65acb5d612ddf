"""Views of the ribs: what differs between labels, how hot lesions are, and where they are said to be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from photopeak.exporters.phantoms.bone_views import Acquisition, BoneView, draw_acquisition, draw_views
from photopeak.exporters.phantoms.rib_lesions import LABELS


def _acquisition(**changes: Any) -> Acquisition:
    drawn = draw_acquisition(np.random.default_rng(5))
    usual: dict[str, Any] = {
        "kind": "whole-body",
        "view": "posterior",
        "columns": 128,
        "field_mm": 580.0,
        "smoothing_mm": 0.0,
    }
    return replace(drawn, **{**usual, "counts_per_cm2": 800.0, **changes})


@pytest.fixture(scope="module")
def views() -> tuple[BoneView, ...]:
    return draw_views(_acquisition(), LABELS, np.random.default_rng(8))


def test_the_same_seed_gives_the_same_counts(views: tuple[BoneView, ...]) -> None:
    again = draw_views(_acquisition(), LABELS, np.random.default_rng(8))
    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(views, again, strict=True))


def test_only_ribs_differ_between_labels(views: tuple[BoneView, ...]) -> None:
    normal, *others = views
    for other in others:
        legs = slice(normal.counts.shape[0] * 6 // 10, None)
        a, b = normal.counts[legs].sum(), other.counts[legs].sum()
        assert abs(a - b) < 5 * np.sqrt(a + b)  # the same expectation
        near = other.masks[1]
        assert other.counts[near].sum() > normal.counts[near].sum() + 3 * np.sqrt(normal.counts[near].sum())


def test_lesions_can_be_seen(views: tuple[BoneView, ...]) -> None:
    for view in views[1:]:
        assert view.label in LABELS[1:]
        without = views[0].counts[view.masks[1]].mean()
        assert view.counts[view.masks[1]].mean() > 1.15 * without


def test_masks_are_nested_and_empty_without_lesions(views: tuple[BoneView, ...]) -> None:
    assert not views[0].masks.any()
    for view in views[1:]:
        inner, outer = view.masks
        assert inner.any()
        assert not (inner & ~outer).any()


def test_counts_are_those_asked_for() -> None:
    for level in (100.0, 1600.0):
        (view,) = draw_views(_acquisition(counts_per_cm2=level), ("normal",), np.random.default_rng(3))
        row0, column0, row1, column1 = map(round, view.ribs)
        per_cm2 = np.median(view.counts[row0:row1, column0:column1]) / (view.pixel_mm / 10) ** 2
        assert per_cm2 == pytest.approx(level, rel=0.45)  # scatter comes on top
        assert (view.counts == np.rint(view.counts)).all()


@pytest.mark.parametrize(("kind", "columns", "shape"), [("whole-body", 128, (512, 128)), ("spot", 256, (256, 256))])
def test_matrices(kind: str, columns: int, shape: tuple[int, int]) -> None:
    (view,) = draw_views(_acquisition(kind=kind, columns=columns), ("trauma",), np.random.default_rng(1))
    assert view.counts.shape == view.masks.shape[1:] == shape
    assert view.acquisition.matrix_camera.pixel_mm == pytest.approx(view.pixel_mm)


def test_a_filter_of_the_workstation_smooths() -> None:
    (raw,) = draw_views(_acquisition(), ("normal",), np.random.default_rng(2))
    (smooth,) = draw_views(_acquisition(smoothing_mm=12.0), ("normal",), np.random.default_rng(2))
    assert np.abs(np.diff(smooth.counts)).sum() < 0.7 * np.abs(np.diff(raw.counts)).sum()
