import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs torch: pip install 'photopeak[train]'")

from photopeak.engine.errors import InputError, ModelError, UsageError
from photopeak.engine.frames import Frames, Units
from photopeak.exporters.own.loading import load_about, load_example, load_network


@pytest.fixture
def write(tmp_path):
    def make(text, name="net.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


def test_what_a_function_returns_is_the_network(write):
    path = write("import torch\n\n\ndef made():\n    return torch.nn.Identity()\n")
    assert isinstance(load_network(f"{path}:made"), torch.nn.Identity)


@pytest.mark.parametrize(
    ("source", "function", "error", "sentence"),
    [
        ("", "made", UsageError, "has no function made"),
        ("made = 3", "made", ModelError, "fails .TypeError"),
        ("def made(): return 3", "made", ModelError, "made of .* returns int and no torch.nn.Module"),
        ("def made(): return {}.weights", "made", ModelError, "fails .AttributeError"),
        ("import nowhere_to_be_found", "made", ModelError, "fails .ModuleNotFoundError"),
        ("def made(:", "made", ModelError, "fails .SyntaxError"),
        ("raise SystemError('no\\nmore')", "made", ModelError, "no more"),
        ("raise SystemExit(0)", "made", ModelError, "fails .SystemExit: 0"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(write, source, function, error, sentence):
    with pytest.raises(error, match=sentence) as found:
        load_network(f"{write(source)}:{function}")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", ["net.py", "net:made", "net.pt:made", "net.py:", "net.py:1", "pet-denoise"])
def test_what_names_no_network_is_refused(text):
    with pytest.raises(UsageError, match=r"write FILE.py:FUNCTION"):
        load_network(text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone.py is no file"):
        load_network(f"{tmp_path / 'gone.py'}:made")


def test_examples_are_arrays_or_what_photopeak_reads(tmp_path, dicom_factory):
    np.save(tmp_path / "a.npy", np.ones((3, 2, 8, 8)))
    assert load_example(tmp_path / "a.npy").shape == (3, 2, 8, 8)
    (path,) = dicom_factory("static")
    frames = load_example(path)
    assert isinstance(frames, Frames)
    assert (frames.units, frames.modality) == (Units.COUNTS, "NM")


def test_pickles_are_never_read(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match=r"a.npy cannot be read as an array"):
        load_example(tmp_path / "a.npy")
    with pytest.raises(InputError):
        load_example(tmp_path / "gone.npy")


def _header(shape):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x93NUMPY", _header((10**6, 10**6, 10**3)), _header((2**40, 2**40)), _header((3, 4)) + bytes(95)],
    ids=["empty", "cut off", "enormous", "overflowing", "short"],
)
def test_damaged_arrays_are_refused_before_memory_is_taken(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(InputError, match=r"a.npy cannot be read as an array"):
        load_example(tmp_path / "a.npy")


def test_facts_come_from_toml(write):
    text = 'units = "BQML"\nlabels = ["a", "b"]\nthreshold = 0.4\n[grid]\nkind = "pitch"\npitch_mm = 4.0\n'
    about = load_about(write(text, "about.toml"))
    assert (about.units, about.labels, about.threshold) == (Units.BECQUEREL_PER_ML, ("a", "b"), 0.4)
    assert about.grid.pitch_mm == 4.0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colour = 3", "tells colour, which means nothing here; use name"),
        ("threshold = 'high'", "threshold: "),
        ("units = 'counts'", "units: "),
        ("a = ", "cannot be read as TOML"),
        ("[grid]\nkind = 'pitch'", "grid: "),
    ],
)
def test_facts_that_are_wrong_are_named(write, text, sentence):
    with pytest.raises(InputError, match=sentence) as found:
        load_about(write(text, "about.toml"))
    assert "\n" not in str(found.value)


def test_a_missing_file_of_facts_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.toml cannot be read"):
        load_about(tmp_path / "gone.toml")
