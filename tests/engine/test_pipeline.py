import gc
import weakref

import numpy as np
import pydicom
import pytest

import photopeak
from photopeak.engine import pipeline
from photopeak.engine.errors import InputError, PartialError
from photopeak.engine.pipeline import Failure, Processed, process, stream
from photopeak.engine.session import Session

PLAIN = {"device": "cpu", "precision": "fp32", "threads": 1}


@pytest.fixture
def floods(tmp_path):
    """Return ``make(n)``, which writes n arrays into a folder; every third one holds a NaN."""

    def make(n):
        folder = tmp_path / "floods"
        folder.mkdir()
        for i in range(n):
            pixels = np.random.default_rng(i).poisson(9, (2, 16, 24)).astype(np.float32)
            pixels[0, 0, 0] = np.nan if i % 3 == 1 else 5
            np.save(folder / f"flood-{i}.npy", pixels)
        return folder

    return make


def test_path_in_path_out(bundle_factory, dicom_factory, tmp_path):
    sources = dicom_factory("whole-body")
    paths = process(sources, tmp_path / "out", model=bundle_factory("quarters"), **PLAIN)
    assert [path.parent for path in paths] == [tmp_path / "out"]
    before, after = photopeak.read(sources), photopeak.read(paths[0])
    assert after.matrix == (2 * before.matrix.rows, 2 * before.matrix.columns)
    np.testing.assert_allclose(after.pixels.sum(axis=(1, 2)), before.pixels.sum(axis=(1, 2)), rtol=1e-4)
    assert pydicom.dcmread(paths[0]).SOPInstanceUID != pydicom.dcmread(sources[0]).SOPInstanceUID


def test_sources_are_not_touched(bundle_factory, dicom_factory, tmp_path):
    sources = dicom_factory("dynamic")
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in sources]
    process(sources, sources[0].parent, model=bundle_factory(), **PLAIN)
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in sources] == before


def test_folder_with_several_series(bundle_factory, dicom_factory, tmp_path):
    dicom_factory("static", folder="in/a")
    dicom_factory("dynamic", folder="in/b")
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    session = photopeak.load(bundle_factory(), **PLAIN)
    outcomes = list(stream(tmp_path / "in", tmp_path / "out", session))
    assert len(outcomes) == 2
    assert all(isinstance(outcome, Processed) for outcome in outcomes)
    assert {"read", "write"} <= set(outcomes[0].result.timings_ms)


def test_bad_series_does_not_stop_the_good_ones(bundle_factory, dicom_factory, tmp_path):
    dicom_factory("static", folder="in/nm")
    dicom_factory("ct", folder="in/ct")
    damaged = dicom_factory("static", folder="in/damaged")[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    session = photopeak.load(bundle_factory(), **PLAIN)
    outcomes = list(stream(tmp_path / "in", tmp_path / "out", session))
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(outcomes) == 3
    assert sorted("HU" in str(failure.error) for failure in failures) == [False, True]
    with pytest.raises(PartialError, match="2 of 3 series failed"):
        process(tmp_path / "in", tmp_path / "again", model=bundle_factory(), **PLAIN)
    assert len(list((tmp_path / "again").iterdir())) == 1


def test_only_series_fails_with_its_own_error(bundle_factory, dicom_factory, tmp_path):
    with pytest.raises(InputError, match="takes CNTS"):
        process(dicom_factory("ct"), tmp_path / "out", model=bundle_factory(), **PLAIN)
    assert not (tmp_path / "out").exists()


def test_folder_without_images_is_an_error(bundle_factory, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        process(tmp_path / "empty", tmp_path / "out", model=bundle_factory(), **PLAIN)


@pytest.mark.parametrize("kind", ["static", "whole-body", "dynamic", "gated", "tomo", "recon-tomo"])
def test_every_kind_of_nuclear_image_goes_through_the_zoo(dicom_factory, tmp_path, kind):
    for model in ("scint-denoise", "scint-sr-x2"):
        sources = dicom_factory(kind)
        paths = process(sources, tmp_path / model, model=model, **PLAIN)
        assert len(photopeak.read(paths)) == len(photopeak.read(sources))


def test_process_keeps_no_pixels_of_series_that_are_done_or_failed(bundle_factory, floods, tmp_path, monkeypatch):
    known, alive = [], []
    run, save = Session.run, pipeline.write

    def watched_run(self, frames, progress=None):
        gc.collect()
        alive.append(sum(pixels() is not None for pixels in known))
        known.append(weakref.ref(frames.pixels))
        return run(self, frames, progress)

    def watched_write(result, out):
        known.append(weakref.ref(result.frames.pixels))
        return save(result, out)

    monkeypatch.setattr(Session, "run", watched_run)
    monkeypatch.setattr(pipeline, "write", watched_write)
    with pytest.raises(PartialError, match="1 of 4 series failed") as caught:
        process(floods(4), tmp_path / "out", model=bundle_factory(), **PLAIN)
    assert alive == [0, 0, 0, 0]
    assert len(known) == 7
    assert caught.value.exit_code == 7


def test_series_that_does_not_fit_into_memory_fails_alone(bundle_factory, floods, tmp_path, monkeypatch):
    run = Session.run

    def starved(self, frames, progress=None):
        if frames.source == "flood-0.npy":
            raise MemoryError("Unable to allocate 1.00 TiB for an array")
        return run(self, frames, progress)

    monkeypatch.setattr(Session, "run", starved)
    session = photopeak.load(bundle_factory(), **PLAIN)
    first, _, third = stream(floods(3), tmp_path / "out", session)
    assert isinstance(first, Failure)
    assert isinstance(first.error, InputError)
    assert "flood-0.npy: does not fit into memory (Unable to allocate 1.00 TiB for an array)" in str(first.error)
    assert isinstance(third, Processed)
