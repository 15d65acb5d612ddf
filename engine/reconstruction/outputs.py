"""Which files a reconstruction becomes, and writing them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile

from pydicom.dataset import Dataset

from ...kernels.reconstruction.solution import CurveSolution, ShapeSolution, VolumeSolution
from ..dicom.quiet import input_errors
from ..dicom.write import encode
from ..errors import InputError, UsageError
from ..files import atomic_write
from .curve_files import CURVE_SUFFIXES, curve_file
from .dicom_angiography import angiographic_volume
from .dicom_header import instances, origin_of
from .dicom_mesh import encapsulated_stl
from .dicom_segmentation import segmentation
from .dicom_volume import nuclear_volume
from .measured import Measured
from .meshes import MESH_SUFFIXES, marching_cubes, mesh_file
from .result import Method, Reconstruction
from .volume_files import VOLUME_SUFFIXES, nifti_file

__all__ = ["Targets", "write_outputs"]

_OBJECTS = ("volume", "segmentation", "surface")
_COUNTS_PER_MM = ("{counts}/mm", "UCUM", "counts/millimeter")


@dataclass(frozen=True, slots=True)
class Targets:
    """Where results go; None for what is not wanted.

    Parameters
    ----------
    volume : Path
        NIfTI file.
    mesh : Path or None
        STL or PLY file.
    curve : Path or None
        JSON or VTK file; of a curve only.
    dicom : Path or None
        Folder.
    report : Path or None
        HTML file.
    """

    volume: Path
    mesh: Path | None = None
    curve: Path | None = None
    dicom: Path | None = None
    report: Path | None = None

    def check(self, measured: Measured, method: Method, inputs: Sequence[Path] = ()) -> None:
        """Refuse, before anything is computed, what could not be written afterwards.

        Parameters
        ----------
        measured : Measured
            The views.
        method : str
            What is made of them.
        inputs : sequence of Path
            Other files that were read and are not to be replaced.

        Raises
        ------
        UsageError
            If a suffix is wrong, a file would be written twice or replace what was read, or a target does not fit the method.
        InputError
            If DICOM is wanted of views that are not, or a place cannot be written.
        """
        for path, suffixes, what in (
            (self.volume, VOLUME_SUFFIXES, "-o"),
            (self.mesh, MESH_SUFFIXES, "--mesh"),
            (self.curve, CURVE_SUFFIXES, "--curve"),
        ):
            if path and not path.name.lower().endswith(suffixes):
                raise UsageError(f"{path}: {what} writes {' or '.join(suffixes)}; change the suffix.")
        if self.curve and method != "curve":
            raise UsageError(f"--curve writes the wires of --method curve, not of a {method}; leave it out.")
        self._check_names(measured.sources, inputs)
        if (self.mesh or self.report) and method != "curve":
            marching_cubes()
        if self.dicom:
            if method == "curve" and not self.mesh:
                raise UsageError("--dicom writes wires as a surface; give --mesh too, or leave it out.")
            instances(measured.sources, measured.datasets, measured.frames)
            if method == "volume" and measured.kind != "nm" and not measured.geometry.cone_beam:
                raise InputError(
                    "--dicom writes volumes of gamma-camera and X-ray views only; leave it out, or take --method shape."
                )

    def _check_names(self, views: Sequence[Path], inputs: Sequence[Path]) -> None:
        """Refuse names that are taken, and places where nothing can be written."""
        named = [path for path in (self.volume, self.mesh, self.curve, self.report) if path]
        if self.dicom:
            if self.dicom.exists() and not self.dicom.is_dir():
                raise UsageError(f"{self.dicom}: --dicom takes a folder; choose another name.")
            named += [self.dicom / f"{name}.dcm" for name in _OBJECTS]
        files = [path.resolve() for path in named]
        if len(set(files)) < len(files) or (self.dicom and self.dicom.resolve() in files):
            raise UsageError("two results would be written to one file; give each a name of its own.")
        for sources, what in ((views, "one of the views"), (inputs, "read for this reconstruction")):
            for source in sources:
                if source.resolve() in files:
                    raise UsageError(f"{source}: this is {what} and is never replaced; choose another name.")
        for path in named:
            _check_place(path)


def write_outputs(found: Reconstruction, targets: Targets) -> list[Path]:
    """Write what was asked for, each file whole or not at all, and return the files.

    Everything is made before the first file is written, so that an error leaves nothing behind.

    Parameters
    ----------
    found : Reconstruction
        What to write.
    targets : Targets
        Where; the report is written elsewhere.

    Raises
    ------
    InputError
        If a file cannot be written.
    """
    contents = [(targets.volume, nifti_file(found.values, found.grid, targets.volume, _described(found)))]
    if targets.mesh:
        contents.append((targets.mesh, mesh_file(found.mesh, targets.mesh)))
    if targets.curve and isinstance(found.solution, CurveSolution):
        interrupted = found.solution.interrupted
        contents.append((targets.curve, curve_file(found.solution.curves, targets.curve, interrupted=interrupted)))
    if targets.dicom:
        # The general modules of the objects are those of the first view.
        with input_errors(found.measured.sources[0]):
            objects = _dicom_objects(found, surface=targets.mesh is not None)
            contents += [(targets.dicom / f"{name}.dcm", encode(ds)) for name, ds in objects]
    # No file takes its name before all of them are whole.
    try:
        with ExitStack() as stack:
            for path, content in contents:
                try:
                    stack.enter_context(atomic_write(path)).write(content)
                except OSError as error:
                    raise _not_written(path, error) from error
    except OSError as error:  # a full disk may show only when a file is closed
        raise _not_written(Path(error.filename or targets.volume), error) from error
    return [path for path, _ in contents]


def _check_place(path: Path) -> None:
    """Refuse a file that cannot be made: its folder, or the one that its folder would be made in, takes none."""
    if path.is_dir():
        raise UsageError(f"{path}: this is a folder; give the name of a file.")
    try:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place.")


def _described(found: Reconstruction) -> str:
    """Return a few words for a header that holds few."""
    what = {"shape": "inside shape", "volume": "reconstructed", "curve": "inside wire"}[found.method]
    cut = ", INTERRUPTED" * found.solution.interrupted
    return f"photopeak {version('photopeak')}: {what}, {len(found.measured.images)} views{cut}"


def _dicom_objects(found: Reconstruction, *, surface: bool) -> Iterator[tuple[str, Dataset]]:
    """Yield the names of DICOM objects and the objects: volume of counts, segmentation of a shape, surface if wanted."""
    measured, solution = found.measured, found.solution
    views = len(measured.images)
    origin = origin_of(
        measured.sources,
        measured.datasets,
        measured.frames,
        method=found.method,
        summary=f"{_SUMMARIES[found.method].format(views=views)}, by photopeak {version('photopeak')}.",
        findings=[*(["INTERRUPTED before the fit was done."] if solution.interrupted else []), *found.warnings],
    )
    if isinstance(solution, VolumeSolution):
        if measured.geometry.cone_beam:
            yield "volume", angiographic_volume(solution.values, found.grid, origin)
        else:
            yield "volume", nuclear_volume(solution.values, found.grid, origin, _COUNTS_PER_MM)
    elif isinstance(solution, ShapeSolution):
        if measured.kind == "nm":
            yield "volume", nuclear_volume(solution.activity * solution.occupancy, found.grid, origin, _COUNTS_PER_MM)
        yield "segmentation", segmentation(solution.occupancy, found.grid, origin, "Shape")
    if surface:
        yield "surface", encapsulated_stl(found.mesh, origin, f"{found.method.capitalize()} from {views} views")


_SUMMARIES = {
    "shape": "Body of uniform activity whose projections fit {views} views",
    "volume": "Volume whose projections fit {views} views",
    "curve": "Wires whose projections fit {views} views",
}
