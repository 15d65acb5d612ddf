"""The conformance tables on a small reference of our own making: agreement, deviation, ill-posed images, missing scores."""

import csv

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from photopeak.benchmarks import cli, conformance
from photopeak.benchmarks.conformance import CONVENTIONS, conformance_tables, deviations, read_reference
from photopeak.engine.errors import InputError, PhotopeakError
from photopeak.kernels import piqe, psnr, ssim

IMAGE, OTHER = np.random.default_rng(0).integers(0, 256, (2, 64, 64)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reference of two images and a pair, for PIQE, PSNR and SSIM; no other library is there."""
    monkeypatch.setattr(conformance, "peers_of", lambda metric: [])
    kept = tuple(c for c in CONVENTIONS if c.metric in ("piqe", "psnr", "ssim"))
    monkeypatch.setattr(conformance, "CONVENTIONS", (*kept, kept[0]._replace(name="posed", posed="wellposed_piqe")))
    np.savez(tmp_path / "inputs.npz", one=IMAGE, two=OTHER)
    np.savez(tmp_path / "fr_pairs.npz", both_ref=IMAGE, both_dist=OTHER)
    np.savez(tmp_path / "ma_features.npz", one__f1=np.zeros(18))
    write(tmp_path, float(piqe(OTHER)) + 0.5)
    row = {"pair": "both", "numpy_ref.psnr": float(psnr(OTHER, IMAGE)), "numpy_ref.ssim": float(ssim(OTHER, IMAGE))}
    table(tmp_path / "fr_scores.csv", [row])
    return tmp_path


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def write(folder, second):
    """Write the scores of the images; the second image is ill-posed."""
    rows = [
        {"image": "one", "piqe_matlab_rule": float(piqe(IMAGE)), "wellposed_piqe": True, "source": "ours"},
        {"image": "two", "piqe_matlab_rule": second, "wellposed_piqe": False, "source": ""},
    ]
    table(folder / "scores.csv", rows)


def test_deviations_are_found_image_by_image(folder):
    found = {(item.convention.name, item.image): item for item in deviations(read_reference(folder))}
    assert found["canonical", "one"].value == 0
    assert found["canonical", "two"].value == pytest.approx(0.5)
    assert found["canonical", "two"].counts
    assert not found["posed", "two"].counts
    assert found["Wang et al.", "both"].value < 1e-12


def test_tables_name_the_worst_image_and_what_misses_its_bar(folder):
    tables, missed = conformance_tables(read_reference(folder))
    assert missed == ["piqe (canonical) is off by 5.0e-01 on two"]
    summary = {row[:2]: row for row in tables[0].rows}
    assert summary["piqe", "canonical"][3:] == ("2", "5.0e-01", "1e-09", "two")
    assert summary["piqe", "posed"][3:] == ("1", "0.0e+00", "1e-09", "one")
    (by_image,) = [found for found in tables if found.title.startswith("piqe")]
    assert by_image.rows[1] == ("two", "5.0e-01", "(5.0e-01)")


def test_missing_scores_are_left_out_and_missing_images_have_a_reason(folder):
    np.savez(folder / "inputs.npz", one=np.full((64, 64), 7, np.uint8), two=OTHER)
    write(folder, "")
    tables, missed = conformance_tables(read_reference(folder))
    (by_image,) = [found for found in tables if found.title.startswith("piqe")]
    assert by_image.rows == (("one", "constant", "constant"),)
    assert not missed


def test_other_libraries_are_compared_and_may_fail(folder, monkeypatch):
    def prepare(image, dtype):
        def score():
            if image is not reference.images["one"]:
                raise ValueError("too odd")
            return float(piqe(image)) + 0.25

        return score

    peer = conformance.Peer("Peer", "numpy", "piqe", prepare, "a note")
    monkeypatch.setattr(conformance, "peers_of", lambda metric: [peer] if metric == "piqe" else [])
    reference = read_reference(folder)
    (row,) = conformance_tables(reference)[0][1].rows
    assert row[0] == "piqe"
    assert row[2:] == ("1", "2.5e-01", "2.5e-01", "one", "a note; fails on 1")


@pytest.mark.parametrize("name", ["inputs.npz", "scores.csv", "fr_scores.csv", "fr_pairs.npz", "ma_features.npz"])
def test_a_missing_file_is_an_input_error(folder, name):
    (folder / name).unlink()
    with pytest.raises(InputError, match="does not hold the reference scores"):
        read_reference(folder)


@pytest.fixture
def app():
    app = typer.Typer()
    app.command()(cli.conformance)
    return app


def test_command_writes_the_tables_and_fails_when_a_bar_is_missed(folder, tmp_path, capsys):
    with pytest.raises(PhotopeakError, match="1 figures miss their bar: piqe"):
        cli.conformance(reference=folder, output=tmp_path / "out.md", quick=True)
    assert "| piqe | canonical | `piqe_matlab_rule` | 2 | 5.0e-01 |" in (tmp_path / "out.md").read_text()
    write(folder, float(piqe(OTHER)))
    cli.conformance(reference=folder, output=tmp_path / "out.md", quick=True)
    assert (tmp_path / "out.md").read_text().startswith("# Conformance\n")
    assert "Greatest deviation" in capsys.readouterr().out


def test_command_help_has_an_example(app):
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "photopeak conformance --reference" in " ".join(result.output.replace("│", " ").split())
