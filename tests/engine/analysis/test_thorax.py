"""Where the ribs are: simulated patients whose ribs are known, and the real scans."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pydicom
import pytest
from hypothesis import example, given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydicom.data import get_testdata_file

from photopeak.engine.analysis.prepare import prepare
from photopeak.engine.analysis.thorax import find_ribs
from photopeak.engine.errors import InputError
from photopeak.engine.frames import Frames
from photopeak.engine.manifest import Grid
from photopeak.exporters.phantoms.bone_views import BoneView, Kind, View, draw_acquisition, draw_views

SPACING = (2.26, 2.26)


def _view(seed: int, kind: Kind, view: View, counts: float = 900.0, columns: int = 128) -> BoneView:
    rng = np.random.default_rng([seed, 77])
    drawn = draw_acquisition(rng)
    made = replace(
        drawn,
        kind=kind,
        view=view,
        columns=columns,
        counts_per_cm2=counts,
        field_mm=580.0 if kind == "whole-body" else 480.0,
        smoothing_mm=0.0,
    )
    return draw_views(made, ("normal",), rng)[0]


def _error_mm(view: BoneView) -> tuple[float, float]:
    found = np.array(find_ribs(view.counts, (view.pixel_mm, view.pixel_mm)))
    middle = (found[:2] + found[2:]) / 2 - (np.array(view.ribs[:2]) + view.ribs[2:]) / 2
    return tuple(np.abs(middle) * view.pixel_mm)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 999),
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    spacing=st.tuples(st.floats(0.05, 150), st.floats(0.05, 150)),
)
@example(seed=0, shape=(300, 1), spacing=(2.4, 150.0))
@example(seed=0, shape=(1, 300), spacing=(150.0, 2.4))
@example(seed=0, shape=(3, 60), spacing=(120.0, 4.0))
def test_fields_of_any_form_are_answered(seed: int, shape: tuple[int, int], spacing: tuple[float, float]) -> None:
    counts = np.random.default_rng(seed).poisson(20 * np.hanning(shape[1] + 2)[1:-1] ** 2, shape)
    try:
        box = find_ribs(counts, spacing)
    except InputError:
        return
    assert np.isfinite(box).all()


@pytest.mark.parametrize("view", ["anterior", "posterior"])
def test_ribs_of_whole_bodies_are_found(view: View) -> None:
    errors = np.array([_error_mm(_view(seed, "whole-body", view)) for seed in range(3)])
    assert errors.mean(axis=0) == pytest.approx([0, 0], abs=30)
    assert errors.max() < 60


def test_ribs_are_found_in_most_views_of_the_thorax() -> None:
    errors = []
    for seed in range(4):
        try:
            errors.append(_error_mm(_view(seed, "spot", "posterior", counts=1500.0)))
        except InputError:
            continue
    assert len(errors) >= 3
    assert np.max(errors) < 80


def test_the_box_does_not_depend_on_the_scale_of_the_counts() -> None:
    view = _view(3, "whole-body", "anterior")
    spacing = (view.pixel_mm, view.pixel_mm)
    assert find_ribs(view.counts, spacing) == find_ribs(4 * view.counts, spacing)


def test_the_box_lies_on_the_same_place_of_a_finer_matrix() -> None:
    view = _view(4, "whole-body", "posterior", columns=256)
    fine, p = view.counts, view.pixel_mm
    coarse = fine.reshape(fine.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3))
    assert np.array(find_ribs(coarse, (2 * p, 2 * p))) * 2 == pytest.approx(np.array(find_ribs(fine, (p, p))), abs=8)


def test_the_crop_of_the_engine_holds_the_ribs() -> None:
    view = _view(5, "whole-body", "anterior")
    frames = Frames.from_array(view.counts, pixel_spacing_mm=(view.pixel_mm, view.pixel_mm))
    (placement,) = prepare(frames, Grid(kind="thorax", pitch_mm=3.5, side=128)).placements
    corners = placement.to_grid([view.ribs[:2], view.ribs[2:]])
    assert corners.min() > 0
    assert corners.max() < 128


@pytest.mark.parametrize("part", ["legs", "head", "nothing", "flood", "column"])
def test_images_without_a_thorax_are_refused(part: str) -> None:
    view = _view(2, "whole-body", "anterior", columns=256)
    rows = view.counts.shape[0]
    images: dict[str, NDArray[Any]] = {
        "legs": view.counts[rows * 6 // 10 : rows * 6 // 10 + 220],
        "head": view.counts[: int(view.ribs[0]) + 20],
        "nothing": np.zeros((256, 256)),
        "flood": np.random.default_rng(0).poisson(20.0, (256, 256)),
        "column": np.ones((256, 4)),
    }
    with pytest.raises(InputError, match="no thorax was found"):
        find_ribs(images[part], (view.pixel_mm, view.pixel_mm))


def test_values_that_are_no_counts_do_no_harm() -> None:
    view = _view(1, "whole-body", "anterior")
    spacing = (view.pixel_mm, view.pixel_mm)
    broken = view.counts.copy()
    broken[0, 0], broken[1, 1], broken[2, 2] = np.nan, -50, np.inf
    assert find_ribs(broken, spacing) == pytest.approx(find_ribs(view.counts, spacing), abs=1)


def test_ribs_of_the_real_scan_lie_between_clavicles_and_costal_arch(shared_data: Path) -> None:
    counts = pydicom.dcmread(shared_data / "nema_wg04" / "NM1_UNC.dcm").pixel_array
    _check_real(find_ribs(counts, SPACING))


def test_ribs_are_found_in_the_scan_that_was_compressed_with_loss() -> None:
    _check_real(find_ribs(pydicom.dcmread(str(get_testdata_file("JPEG2000.dcm"))).pixel_array, SPACING))


def _check_real(box: tuple[float, float, float, float]) -> None:
    # Read off the image: first rib below row 200, arch about row 340; sternum at column 135.
    assert box[0] == pytest.approx(205, abs=15)
    assert box[2] == pytest.approx(340, abs=15)
    assert (box[1] + box[3]) / 2 == pytest.approx(135, abs=8)


@given(
    frame=arrays(
        np.float64, st.tuples(st.integers(1, 60), st.integers(1, 60)), elements=st.sampled_from([0.0, 1.0, 7.0, 1e12])
    ),
    spacing=st.tuples(st.floats(0.2, 40), st.floats(0.2, 40)),
)
@example(frame=np.eye(60), spacing=(9.0, 9.0))
@settings(max_examples=60)
def test_any_image_gives_a_finite_box_or_is_refused(frame: NDArray[np.float64], spacing: tuple[float, float]) -> None:
    try:
        box = np.array(find_ribs(frame, spacing))
    except InputError:
        return
    assert np.isfinite(box).all()
    assert (box[:2] < box[2:]).all()


def test_a_series_is_no_frame() -> None:
    with pytest.raises(InputError, match="no thorax"):
        find_ribs(np.ones((2, 64, 64)), SPACING)


def test_counts_too_small_for_an_outline_are_refused_without_a_warning() -> None:
    counts = np.random.default_rng(1).poisson(20, (64, 64)) * 1e-40
    with pytest.raises(InputError, match="no thorax"):
        find_ribs(counts.astype(np.float32), (8.0, 8.0))
