"""What the page of a reconstruction says, without a browser."""

import base64
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from known_bodies import BALL_ML, ball, coil, reconstruction
from photopeak.engine.report.reconstruction_figures import figures_of
from photopeak.engine.report.reconstruction_page import direction, write_reconstruction_report
from photopeak.kernels.reconstruction.geometry import View


def words_of(found, tmp_path):
    html = write_reconstruction_report(found, tmp_path / "r.html").read_text("utf-8")
    body = re.sub(r"<(script|style).*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_volume_and_its_interval_are_told(tmp_path):
    repeated = np.random.default_rng(0).normal(111, 1.2, 60)
    words = words_of(reconstruction("shape", volumes_ml=repeated), tmp_path)
    low, high = np.percentile(repeated, (2.5, 97.5)) - repeated.mean() + BALL_ML
    assert f"113.1 ml, with counting noise {low:.1f} to {high:.1f} ml (95 %)" in words
    assert f"standard deviation {repeated.std(ddof=1):.3g} ml" in words
    assert f"60, \u2212{100 * (1 - repeated.mean() / BALL_ML):.1f} % from the fit on average" in words


def test_residuals_of_noise_are_called_that(tmp_path):
    words = words_of(reconstruction("shape"), tmp_path)
    assert "Residuals as large as noise" in words
    assert ", mean square 1.0" in words


def test_poor_fit_and_interruption_and_warnings_stand_at_the_top(tmp_path):
    solution = replace(ball(), residuals=tuple(3 * one for one in ball().residuals), interrupted=True)
    words = words_of(reconstruction("shape", solution=solution, warnings=("Depth <is> uncertain.",)), tmp_path)
    top = words[: words.index("Geometry")]
    assert "Interrupted before it was done" in top
    assert "times the variance of noise" in top
    assert "1 warning" in top
    assert "Depth &lt;is&gt; uncertain." in top


def test_names_of_dicom_files_are_not_told(tmp_path):
    found = reconstruction("shape", warnings=("/data/Doe^Jane.dcm: is dark, Doe^Jane.dcm too.", "2: at 2.5 mm."))
    sources = (Path("/data/Doe^Jane.dcm"), Path("2"))
    measured = replace(found.measured, sources=sources, datasets=(Dataset(), Dataset()), frames=(1, 1))
    words = words_of(replace(found, measured=measured), tmp_path)
    assert "Doe" not in words
    assert "View 1: is dark, view 1 too." in words
    assert "View 2: at 2.5 mm." in words


def test_wires_are_counted_and_measured(tmp_path):
    words = words_of(reconstruction("curve"), tmp_path)
    assert "2 wires of 29.9" in words
    assert "radius 0.25 mm, 80 % of it certain" in words
    assert "RAO 30°, CRA 10°" in words


def test_volume_has_slices_in_place(tmp_path):
    words = words_of(reconstruction("volume"), tmp_path)
    assert "transverse, z = \u22125.0 mm" in words
    assert "coronal, y = 7.0 mm" in words
    assert "sagittal, x = 2.5 mm" in words


def test_nothing_found_is_a_page_too(tmp_path):
    empty = replace(coil(), curves=(), history=())
    words = words_of(reconstruction("curve", solution=empty), tmp_path)
    assert "none found" in words
    blank = reconstruction("shape", solution=replace(ball(), occupancy=0 * ball().occupancy, volume_ml=0.0))
    assert "scene" not in figures_of(blank)


def test_convergence_has_a_line_for_each_stage():
    history = tuple(step._replace(stage="refine" if step.done > 4 else "search") for step in ball().history)
    figure = figures_of(reconstruction("shape", solution=replace(ball(), history=history)))["convergence"]
    assert [trace["name"] for trace in figure["data"]] == ["search", "refine"]
    assert figure["data"][1]["x"] == [5.0, 6.0, 7.0, 8.0]
    assert figure["data"][0]["y"][0] == 1050


def test_surface_in_the_page_is_the_mesh():
    found = reconstruction("shape")
    surface = figures_of(found)["scene"]["data"][0]
    x = np.frombuffer(base64.b64decode(surface["x"]["bdata"]), "<f4")
    np.testing.assert_allclose(x, found.mesh.vertices_mm[:, 0], atol=1e-4)
    faces = np.frombuffer(base64.b64decode(surface["k"]["bdata"]), "<i4")
    np.testing.assert_array_equal(faces, found.mesh.faces[:, 2])


def test_lines_point_to_the_detectors():
    _, front, left = figures_of(reconstruction("shape"))["scene"]["data"]
    assert front["y"][1] < front["y"][0]
    assert left["x"][1] > left["x"][0]


def test_certainty_colours_each_part_of_a_wire():
    first, second, *_ = figures_of(reconstruction("curve"))["scene"]["data"]
    values = np.frombuffer(base64.b64decode(first["intensity"]["bdata"]), "<f4")
    np.testing.assert_allclose(np.unique(values), [0.2, 0.95], rtol=1e-6)
    assert (first["showscale"], second["showscale"]) == (True, False)


@pytest.mark.parametrize(
    ("angle", "words"),
    [(0, "anterior"), (90, "left lateral"), (180, "posterior"), (-90, "right lateral"), (30, "30° around")],
)
def test_gamma_camera_is_named_by_its_side(angle, words):
    assert direction(View.gamma_camera((8, 8), (1.0, 1.0), angle)) == words


@pytest.mark.parametrize(
    ("angles", "words"),
    [((0, 0), "AP 0°"), ((-30, 25), "RAO 30°, CRA 25°"), ((45, -20), "LAO 45°, CAU 20°"), ((0, 15), "CRA 15°")],
)
def test_c_arm_is_named_by_its_angles(angles, words):
    view = View.c_arm((8, 8), (1.0, 1.0), *angles, source_detector_mm=1100, source_isocenter_mm=750)
    assert direction(view) == words
