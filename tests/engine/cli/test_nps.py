import csv
import json

import numpy as np
import pytest

from photopeak import kernels


@pytest.fixture
def flood(tmp_path):
    path = tmp_path / "flood.npy"
    np.save(path, np.random.default_rng(0).poisson(50, (4, 128, 128)).astype(np.uint16))
    return path


def test_json_is_that_of_the_kernel(photopeak_json, flood):
    found = photopeak_json("nps", flood, "--spacing", 2.4)
    expected = kernels.noise_power_spectrum(np.load(flood), pixel_spacing_mm=2.4)
    assert (found["areas"], found["roi_size"], found["neq"]) == (["0:128,0:128"], 64, None)
    np.testing.assert_allclose(found["power"], expected.power)
    np.testing.assert_allclose(found["plane"], expected.plane)
    assert found["variance"] == pytest.approx(expected.variance)
    # Poisson counts: white noise of variance 50.
    assert np.mean(found["power"]) == pytest.approx(50, rel=0.02)


def test_words_for_people(photopeak, flood, tmp_path):
    code, out, err = photopeak("nps", flood, "--spacing", 2, "--roi", "0:64,0:128", "--csv", tmp_path / "nps.csv")
    assert (code, err) == (0, "")
    assert "standard deviation 7.0" in out
    assert "cycles/mm" in out
    with (tmp_path / "nps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["cycles_per_mm"]) == pytest.approx(float(rows[0]["cycles_per_pixel"]) / 2)
    assert float(rows[0]["power_mm2"]) == pytest.approx(4 * float(rows[0]["power_pixel2"]))


def test_quanta_follow_from_a_transfer_function(photopeak, photopeak_json, flood, tmp_path):
    row, column = np.mgrid[:96, :96]
    np.save(tmp_path / "disk.npy", 100 / (1 + np.exp((np.hypot(row - 48, column - 47.7) - 24) / 0.7)))
    _, out, _ = photopeak("mtf", tmp_path / "disk.npy", "--method", "disk", "--json")
    (tmp_path / "mtf.json").write_text(out)
    found = photopeak_json("nps", flood, "--mtf", tmp_path / "mtf.json")
    quanta = np.array(found["neq"]["quanta"])
    # Unblurred Poisson counts are worth their number; here the MTF takes its square of that.
    modulation = np.interp(
        found["neq"]["frequencies"], *(json.loads(out)["curves"][0][k] for k in ("frequencies", "modulation"))
    )
    np.testing.assert_allclose(quanta[:10], 50 * modulation[:10] ** 2, rtol=0.25)


def test_structure_that_frames_share_is_subtracted(photopeak_json, tmp_path):
    y, x = np.mgrid[:128, :128]
    wave = 50 + 20 * np.sin(x / 3) * np.cos(y / 4)
    np.save(tmp_path / "wave.npy", np.random.default_rng(0).poisson(np.stack([wave] * 6)))
    plain = photopeak_json("nps", tmp_path / "wave.npy")["variance"]
    pairs = photopeak_json("nps", tmp_path / "wave.npy", "--subtract", "pairs")["variance"]
    assert plain > 120
    assert pairs == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize(
    ("words", "expected", "named"),
    [
        (("--roi", "0:20,0:999"), 3, "0:20,0:999"),
        (("--roi-size", "200"), 3, "--roi-size"),
        (("--frame", "9"), 2, "frame 9"),
        (("--detrend", "cubic"), 2, "cubic"),
        (("--window", "round"), 2, "round"),
        (("--subtract", "all"), 2, "all"),
        (("--mtf", "gone.json"), 3, "gone.json"),
    ],
)
def test_wrong_options_are_one_sentence(photopeak, flood, words, expected, named):
    code, out, _ = photopeak("nps", flood, *words, "--json")
    found = json.loads(out)
    assert code == found["exit_code"] == expected
    assert named in found["error"]


def test_report_is_written(photopeak, flood, tmp_path):
    code, out, err = photopeak("nps", flood, "--report", tmp_path / "nps.html")
    assert (code, err) == (0, "")
    assert "flood.npy" in (tmp_path / "nps.html").read_text("utf-8")
    assert "nps.html" in out.replace("\n", "")
