"""A model as a folder: graph, manifest, golden tensors and card, each bound by its digest."""

import hashlib
import io
import math
import os
import stat
import tomllib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tomli_w
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .errors import ModelError, UsageError
from .files import atomic_write
from .frames import Units
from .matrix import MatrixSize

__all__ = ["Bundle", "Domain", "Golden", "Input", "Manifest", "Output", "Training", "open_bundle", "write_bundle"]

MANIFEST = "manifest.toml"
MODEL = "model.onnx"
GOLDEN = "golden.npz"
CARD = "card.md"
FILES = (MODEL, GOLDEN, CARD)
LARGEST_MODEL = 1 << 30
LARGEST_OTHER_FILE = 64 << 20

# Totals of counts and means of concentrations are physics; a sum of Hounsfield units is nothing.
_CONSERVABLE = {
    Units.COUNTS: ("sum", "none"),
    Units.BECQUEREL_PER_ML: ("mean", "none"),
    Units.SUV_BODY_WEIGHT: ("mean", "none"),
    Units.HOUNSFIELD: ("none",),
    Units.NONE: ("none",),
}

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Titles end up on terminals and in web pages.
Line = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00-\x1f\x7f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Input(_Strict):
    """What the graph wants: one channel of float32, (n, 1, rows, columns).

    Parameters
    ----------
    name : str
        Name of the graph's input.
    units : Units
        Physical meaning of its values.
    scaling : {"none", "robust"}
        ``none``: values go in as they are; ``robust``: each frame is divided by its 99.5th percentile first and
        multiplied by it afterwards.
    multiple : int
        Rows and columns must be multiples of this; the engine pads by reflection and crops.
    overlap : int
        Pixels of context that a tile needs on each side [px].
    """

    name: str
    units: Units
    scaling: Literal["none", "robust"] = "none"
    multiple: Annotated[int, Field(ge=1, le=64)] = 1
    overlap: Annotated[int, Field(ge=0, le=128)] = 32


class Output(_Strict):
    """What the graph gives: (n, 1, scale * rows, scale * columns) float32.

    Parameters
    ----------
    name : str
        Name of the graph's output.
    scale : int
        Magnification of rows and columns.
    conserve : {"sum", "mean", "none"}
        What the engine keeps exactly for each frame: total counts, mean concentration, or nothing.
    """

    name: str
    scale: Literal[1, 2, 4] = 1
    conserve: Literal["sum", "mean", "none"]


class Training(_Strict):
    """How the weights came about.

    Parameters
    ----------
    recipe : str
        Name that ``photopeak train`` knows.
    date : str
        Day of training, ISO 8601.
    seconds : float
        Wall time of the training [s].
    steps : int
        Optimiser steps.
    matrices : tuple of str
        Matrix sizes of the training images.
    counts_per_pixel : tuple of float, optional
        Lowest and highest mean counts per pixel that were trained; for models of counts.
    coincidences : tuple of float, optional
        Lowest and highest number of true coincidences in a slice that were trained; for models of PET.
    data : tuple of str
        Sources, each with its licence.
    """

    recipe: str
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    seconds: Annotated[float, Field(gt=0)]
    steps: Annotated[int, Field(ge=1)]
    matrices: tuple[str, ...]
    counts_per_pixel: tuple[float, float] | None = None
    coincidences: tuple[float, float] | None = None
    data: tuple[str, ...]

    @field_validator("matrices")
    @classmethod
    def _are_matrices(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(MatrixSize.parse(text)) for text in value)
        except UsageError as error:
            raise ValueError(str(error)) from error


class Domain(_Strict):
    """Statistics of the training inputs, in the features of :mod:`photopeak.engine.domain`.

    Parameters
    ----------
    features : tuple of str
        Names; must be those of this version of the engine.
    mean : tuple of float
        Mean of each feature.
    modes : tuple of tuple of float
        Means of the kinds of inputs that there are; none stands for a single kind.
    precision : tuple of tuple of float
        Inverse covariance matrix, of each kind about its mean.
    limits : tuple of float
        Mahalanobis distances to the nearest mode where ``border`` and ``outside`` begin.
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    modes: tuple[tuple[float, ...], ...] = ()
    precision: tuple[tuple[float, ...], ...]
    limits: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    @model_validator(mode="after")
    def _is_a_metric(self) -> "Domain":
        k = len(self.features)
        if not k or {len(self.mean), len(self.precision), *map(len, (*self.modes, *self.precision))} != {k}:
            raise ValueError(f"mean, modes and precision must be of {k} features")
        matrix = np.array(self.precision)
        if not np.allclose(matrix, matrix.T) or np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError("precision must be symmetric and positive definite")
        if not self.limits[0] < self.limits[1]:
            raise ValueError("border must begin before outside")
        return self

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Modes and precision as arrays."""
        return np.array(self.modes or (self.mean,)), np.array(self.precision)


class Manifest(_Strict):
    """Everything the engine must know about a model; ``manifest.toml`` in the bundle.

    Parameters
    ----------
    format : int
        Version of the bundle format.
    name, version, title : str
        Identity; `title` is for people.
    task : {"super-resolution", "denoise"}
        What the model does.
    licence : str
        SPDX identifier of the weights' licence.
    modalities : tuple of str
        DICOM modalities that the model is for.
    input, output, training, domain
        See the classes of these names.
    files : dict of str to str
        SHA-256 of each other file of the bundle.
    """

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    title: Line
    task: Literal["super-resolution", "denoise"]
    licence: Line
    modalities: Annotated[tuple[Line, ...], Field(min_length=1)]
    input: Input
    output: Output
    training: Training
    domain: Domain
    files: dict[str, Sha256] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _keeps_what_can_be_kept(self) -> "Manifest":
        if self.output.conserve not in _CONSERVABLE[self.input.units]:
            known = " or ".join(_CONSERVABLE[self.input.units])
            raise ValueError(
                f"of {self.input.units} values the output can conserve {known}, not {self.output.conserve}"
            )
        return self


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Tensors that pin what the model computes.

    Parameters
    ----------
    input : ndarray, shape (n, 1, rows, columns), float32
        Frames of the training domain, held out from training.
    output : ndarray, shape (n, 1, scale * rows, scale * columns), float32
        What the graph gives for them in float32.
    truth : ndarray, same shape as `output`, float32
        What it should ideally give; the loss of a lower precision is measured against it.
    """

    input: NDArray[np.float32]
    output: NDArray[np.float32]
    truth: NDArray[np.float32]


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
    def golden(self) -> Golden:
        """The golden tensors.

        Raises
        ------
        ModelError
            If the file is not three float32 arrays of matching shape.
        """
        try:
            golden = _load_golden(self.contents[GOLDEN])
        except Exception as error:  # zipfile, zlib and NumPy raise what a damaged file provokes
            raise ModelError(f"{self.folder / GOLDEN} holds no golden tensors ({error}); export it again.") from error
        _check_golden(self, golden)
        return golden


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
    if set(manifest.files) != set(FILES):
        raise ModelError(f"{folder / MANIFEST} must give digests of exactly {', '.join(FILES)}; export it again.")
    contents = {
        name: _verified(folder / name, expected, LARGEST_MODEL if name == MODEL else LARGEST_OTHER_FILE)
        for name, expected in manifest.files.items()
    }
    try:
        contents[CARD].decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{folder / CARD} is not UTF-8 ({error}); export the bundle again.") from error
    return Bundle(folder, manifest, hashlib.sha256(raw).hexdigest(), contents)


def write_bundle(folder: Path, manifest: Manifest, *, model: bytes, golden: Golden, card: str) -> Bundle:
    """Write a bundle, digests included, and open it again.

    Parameters
    ----------
    folder : Path
        Made when it is not there; a bundle that is there is replaced, its manifest last.
    manifest : Manifest
        Its `files` are filled in here.
    model : bytes
        Serialised ONNX graph.
    golden : Golden
        Input, float32 output and truth.
    card : str
        Model card, Markdown.

    Returns
    -------
    Bundle
        What was written, read back.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, input=golden.input, output=golden.output, truth=golden.truth)
    contents = {MODEL: model, GOLDEN: buffer.getvalue(), CARD: card.encode()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    contents[MANIFEST] = tomli_w.dumps(
        manifest.model_copy(update={"files": digests}).model_dump(mode="json", exclude_none=True)
    ).encode()
    for name, content in contents.items():
        with atomic_write(folder / name) as file:
            file.write(content)
    return open_bundle(folder)


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


def _load_golden(content: bytes) -> Golden:
    """Read three arrays; sizes are compared with the archive's before memory is taken.

    Raises
    ------
    ValueError
        If it is not exactly that.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {Path(member.filename).stem: member for member in archive.infolist()}
        if sorted(members) != ["input", "output", "truth"] or len(archive.infolist()) != len(members):
            raise ValueError(f"it holds {sorted(members)}")
        if sum(member.file_size for member in members.values()) > LARGEST_OTHER_FILE:
            raise ValueError(f"it is larger than {LARGEST_OTHER_FILE} bytes")
        arrays = {}
        for name, member in members.items():
            with archive.open(member) as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            if dtype != np.float32 or math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"{name} is {dtype} of shape {shape}")
            with archive.open(member) as file:
                arrays[name] = np.ascontiguousarray(np.lib.format.read_array(file, allow_pickle=False))
    return Golden(**arrays)


def _check_golden(bundle: Bundle, golden: Golden) -> None:
    """Refuse tensors that do not fit each other or the manifest."""
    scale = bundle.manifest.output.scale
    n, channels, rows, columns = golden.input.shape if golden.input.ndim == 4 else (0, 0, 0, 0)
    wanted = (n, 1, scale * rows, scale * columns)
    arrays = (golden.input, golden.output, golden.truth)
    fits = n > 0 and channels == 1 and golden.output.shape == wanted == golden.truth.shape
    if not fits or any(array.dtype != np.float32 for array in arrays):
        raise ModelError(
            f"{bundle.folder / GOLDEN}: shapes {[array.shape for array in arrays]} are not (n, 1, rows, columns) "
            f"float32 at scale {scale}; export the bundle again."
        )


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']} (got {problem['input']!r:.60})"
