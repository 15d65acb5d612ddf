"""A model as a folder: graph, manifest, golden tensors and card, each bound by its digest."""

import hashlib
import io
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import tomli_w
from numpy.typing import NDArray
from pydantic import ValidationError

from .errors import ModelError
from .files import atomic_write
from .golden import Golden, GoldenHeads, problem_of_golden, problem_of_heads, read_arrays
from .manifest import Analysis, Domain, EmbeddingDomain, Grid, Input, Manifest, Output, Training
from .schemes import Scheme, read_schemes, schemes_archive

__all__ = [
    "Analysis",
    "Bundle",
    "Domain",
    "EmbeddingDomain",
    "Golden",
    "GoldenHeads",
    "Grid",
    "Input",
    "Manifest",
    "Output",
    "Scheme",
    "Training",
    "archive",
    "open_bundle",
    "write_bundle",
]

Tensor = NDArray[np.float32]
MANIFEST = "manifest.toml"
MODEL = "model.onnx"
GOLDEN = "golden.npz"
CARD = "card.md"
INT8 = "int8.npz"
CALIBRATION = "calibration.npz"
FILES = (MODEL, GOLDEN, CARD)
OPTIONAL_FILES = (INT8, CALIBRATION)
LARGEST_MODEL = 1 << 30
LARGEST_OTHER_FILE = 64 << 20


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model that was opened and whose digests hold.

    Parameters
    ----------
    folder : Path
        Where it lies.
    manifest : Manifest
        What it is.
    digest : str
        SHA-256 of the manifest, which holds the digests of all other files: the identity of the model.
    contents : mapping of str to bytes
        The files as they were when their digests were checked, so that nothing can be swapped afterwards.
    """

    folder: Path
    manifest: Manifest
    digest: str
    contents: Mapping[str, bytes] = field(repr=False)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def model(self) -> bytes:
        """The ONNX graph, serialised."""
        return self.contents[MODEL]

    @property
    def card(self) -> str:
        """The model card, Markdown."""
        return self.contents[CARD].decode()

    @cached_property
    def int8(self) -> dict[str, Scheme] | None:
        """How layers are quantised, by their names; None where the bundle has no graph of int8.

        Raises
        ------
        ModelError
            If the file is not four float32 arrays for each layer, or their numbers make no sense.
        """
        if INT8 not in self.contents:
            return None
        try:
            return read_schemes(self.contents[INT8])
        except Exception as error:  # zipfile, zlib and NumPy raise what a damaged file provokes
            raise ModelError(f"{self.folder / INT8} holds no schemes ({error}); quantise the bundle again.") from error

    @cached_property
    def golden(self) -> Golden:
        """The golden tensors of a model that gives images.

        Raises
        ------
        ModelError
            If the file is not three float32 arrays of matching shape, or the model gives findings.
        """
        return self._images(GOLDEN)

    @cached_property
    def calibration(self) -> Golden | None:
        """Further frames of a model of images, from few counts to many; None where the bundle has none.

        Raises
        ------
        ModelError
            If the file is not three float32 arrays of matching shape, or the model gives findings.
        """
        return self._images(CALIBRATION) if CALIBRATION in self.contents else None

    @cached_property
    def golden_heads(self) -> GoldenHeads:
        """The golden tensors of a model that gives findings.

        Raises
        ------
        ModelError
            If the file is not the input and one float32 array for each head, as the manifest says.
        """
        arrays = self._arrays(GOLDEN, "input", *self.manifest.heads)
        golden = GoldenHeads(arrays.pop("input"), arrays)
        if problem := problem_of_heads(golden, self.manifest):
            raise ModelError(f"{self.folder / GOLDEN}: {problem}; export the bundle again.")
        return golden

    def _images(self, file: str) -> Golden:
        scale = self.manifest.image_output.scale
        golden = Golden(**self._arrays(file, "input", "output", "truth"))
        if problem := problem_of_golden(golden, scale):
            raise ModelError(f"{self.folder / file}: {problem}; export the bundle again.")
        return golden

    def _arrays(self, file: str, *names: str) -> dict[str, Tensor]:
        try:
            return read_arrays(self.contents[file], names, LARGEST_OTHER_FILE)
        except Exception as error:  # zipfile, zlib and NumPy raise what a damaged file provokes
            raise ModelError(f"{self.folder / file} holds no golden tensors ({error}); export it again.") from error


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle and check its manifest and digests.

    Parameters
    ----------
    folder : Path
        Folder with ``manifest.toml`` and the files that it names.

    Returns
    -------
    Bundle
        Its files are in memory: what was checked is what will run.

    Raises
    ------
    ModelError
        If something is missing, too large, not as the manifest says, or tampered with.

    Examples
    --------
    >>> from photopeak.engine import zoo
    >>> open_bundle(zoo.locate("scint-denoise")).manifest.task
    'denoise'
    """
    raw = _read(folder / MANIFEST, LARGEST_OTHER_FILE)
    try:
        manifest = Manifest.model_validate(tomllib.loads(raw.decode()))
    except ValidationError as error:
        raise ModelError(f"{folder / MANIFEST}: {_first_problem(error)}; export the bundle again.") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST} is not TOML ({error}); export the bundle again.") from error
    if set(manifest.files) - set(OPTIONAL_FILES) != set(FILES):
        raise ModelError(
            f"{folder / MANIFEST} must give digests of exactly {', '.join(FILES)}, and may of {' and '.join(OPTIONAL_FILES)}; "
            "export it again."
        )
    contents = {
        name: _verified(folder / name, expected, LARGEST_MODEL if name == MODEL else LARGEST_OTHER_FILE)
        for name, expected in manifest.files.items()
    }
    try:
        contents[CARD].decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{folder / CARD} is not UTF-8 ({error}); export the bundle again.") from error
    return Bundle(folder, manifest, hashlib.sha256(raw).hexdigest(), contents)


def write_bundle(
    folder: Path,
    manifest: Manifest,
    *,
    model: bytes,
    golden: Golden | GoldenHeads,
    card: str,
    int8: Mapping[str, Scheme] | None = None,
    calibration: Golden | None = None,
) -> Bundle:
    """Write a bundle, digests included, and open it again.

    Parameters
    ----------
    folder : Path
        Made when it is not there; a bundle that is there is replaced, its manifest last.
    manifest : Manifest
        Its `files` are filled in here.
    model : bytes
        Serialised ONNX graph.
    golden : Golden or GoldenHeads
        Input, float32 output and truth; of a model that gives findings input and heads.
    card : str
        Model card, Markdown.
    int8 : mapping of str to Scheme, optional
        How layers are quantised in the graph of int8, by their names.
    calibration : Golden, optional
        Frames from few counts to many that fidelity is measured on besides the golden ones; of a model that gives images.

    Returns
    -------
    Bundle
        What was written, read back.
    """
    contents = {MODEL: model, GOLDEN: archive(golden), CARD: card.encode()}
    if int8 is not None:
        contents[INT8] = schemes_archive(int8)
    if calibration is not None:
        contents[CALIBRATION] = archive(calibration)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = tomli_w.dumps(
        manifest.model_copy(update={"files": digests}).model_dump(mode="json", exclude_none=True)
    ).encode()
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content)
    for name in set(OPTIONAL_FILES) - set(contents):
        # Of the bundle before; the new manifest does not know it.
        (folder / name).unlink(missing_ok=True)
    return open_bundle(folder)


def archive(golden: Golden | GoldenHeads) -> bytes:
    """Return golden tensors as the file that a bundle holds."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **golden.arrays())
    return buffer.getvalue()


def _read(path: Path, largest: int) -> bytes:
    """Return the content of a plain file; links, pipes and what is larger than it may be are refused."""
    refusal = f"{path} is not a plain file of at most {largest} bytes; a bundle holds nothing else."
    try:
        if path.is_symlink():
            raise ModelError(refusal)
        # Opening a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            content = file.read(largest + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); name a folder with a model bundle.") from error
    if content is None or len(content) > largest:
        raise ModelError(refusal)
    return content


def _verified(path: Path, expected: str, largest: int) -> bytes:
    content = _read(path, largest)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ModelError(
            f"{path} has SHA-256 {found[:12]}..., the manifest says {expected[:12]}...: "
            "the bundle was changed or damaged; get it again from its source."
        )
    return content


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']} (got {problem['input']!r:.60})"
