"""From files to views with their geometry: what every reconstruction starts from."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ...kernels.reconstruction.geometry import Geometry, View
from ..dicom.attributes import number, tag_name, text
from ..dicom.geometry import pixel_spacing
from ..dicom.guard import DEFAULT_LIMITS, Limits
from ..dicom.quiet import input_errors
from ..errors import InputError, UsageError
from .geometry_file import GeometryFile, read_geometry
from .measured import Kind, Measured
from .nuclear_views import Camera, nuclear_view
from .placement import grid_around, place
from .selection import XRAY, Chosen, PathLike, choose
from .xray_views import line_integrals, upright, xray_view

__all__ = ["read_views"]

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Seen:
    """One view: image, detector, what was assumed."""

    image: Image
    view: View
    notes: tuple[str, ...] = ()
    camera: Camera | None = None


def read_views(
    paths: Sequence[PathLike],
    geometry_file: PathLike | None = None,
    *,
    voxel_mm: float | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Measured:
    r"""Return the views that files hold, and where their detectors were.

    Parameters
    ----------
    paths : sequence of path
        NM or XA objects, or with a geometry file also ``.npy`` and NIfTI; ``run.dcm@12`` names frame 12, see
        :func:`photopeak.engine.reconstruction.selection.choose`.
    geometry_file : path, optional
        TOML with one ``[[view]]`` for each image, in order, which takes the place of the headers; see
        :func:`photopeak.engine.reconstruction.geometry_file.read_geometry`. Arrays must then hold counts (gamma camera) or
        line integrals (cone beams).
    voxel_mm : float, optional
        Edge of the voxels [mm]; otherwise as large as the pixels where the object is, or a multiple that keeps the volume
        under 8 million voxels.
    limits : Limits
        What reading may cost.

    Returns
    -------
    Measured
        Counts, or line integrals of X-rays after mask and logarithm, upright.

    Raises
    ------
    InputError
        If a file cannot be read, or a header lacks what the geometry needs: the message names the tag and the key of the
        geometry file that replaces it.
    UsageError
        If views cannot be combined, or the geometry file is wrong.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> np.save(folder / "views.npy", np.ones((2, 32, 32)))
    >>> view = '[[view]]\nkind = "gamma-camera"\nspacing_mm = [4.0, 4.0]\nangle = '
    >>> _ = (folder / "geometry.toml").write_text(view + "0\n" + view + "90\n")
    >>> measured = read_views([folder / "views.npy"], folder / "geometry.toml")
    >>> measured.geometry.grid.shape, [view.looking for view in measured.geometry.views]
    ((32, 32, 32), [(0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)])
    """
    chosen = choose(paths, limits=limits)
    described = read_geometry(Path(geometry_file)) if geometry_file is not None else None
    seen = [_seen(one) for one in chosen] if described is None else _told(chosen, described, str(geometry_file))
    kinds = {_kind(one) for one in chosen}
    if len(kinds) > 1 and described is None:
        raise UsageError("gamma camera and X-ray views are mixed; give views of one kind.")
    whole = [one.header for one in chosen if one.header is not None]
    _check_patient(chosen)
    cameras = [each.camera for each in seen if each.camera is not None]
    references = {text(header, "FrameOfReferenceUID") for header in whole}
    views, center, notes = place([each.view for each in seen], cameras, one_frame=len(references) == 1)
    told_grid = described.grid if described is not None else None
    grid = told_grid.grid() if told_grid else grid_around(views, center, voxel_mm)
    told = [f"{one}: {note}" for one, each in zip(chosen, seen, strict=True) for note in each.notes]
    return Measured(
        images=tuple(each.image for each in seen),
        geometry=Geometry(grid, tuple(views)),
        kind=kinds.pop() if len(kinds) == 1 else "other",
        sources=tuple(one.path for one in chosen),
        datasets=tuple(whole) if len(whole) == len(chosen) else (),
        warnings=tuple(dict.fromkeys((*told, *notes, *_studies(whole), *_durations(whole), *_reader_notes(chosen)))),
        frames=tuple(one.info.number for one in chosen) if len(whole) == len(chosen) else (),
    )


def _kind(one: Chosen) -> Kind:
    if one.header is None:
        return "other"
    return "nm" if one.frames.modality == "NM" else "xa" if one.frames.modality in XRAY else "other"


def _seen(one: Chosen) -> _Seen:
    """Return a view as its header describes it."""
    ds = one.header
    if ds is None:
        raise UsageError(f"{one.path}: has no header that says where the detector was; give a file for --geometry.")
    with input_errors(one.path):
        pixels = one.frames.pixels[one.index]
        if _kind(one) == "nm":
            camera = nuclear_view(ds, one.info, _shape(pixels))
            image = np.ascontiguousarray(pixels[:, ::-1]) if camera.flipped else pixels
            return _Seen(image, camera.view, camera.notes, camera)
        if _kind(one) == "xa":
            integrals, notes = _integrals(one, ds)
            found = xray_view(ds, one.info.number, _shape(integrals))
            return _Seen(integrals, found.view, (*found.notes, *notes))
        raise InputError(
            f"{one.path}: is a {one.frames.modality} image, whose geometry is not known here; give NM or XA images, or a file "
            "for --geometry."
        )


def _integrals(one: Chosen, ds: Dataset) -> tuple[Image, tuple[str, ...]]:
    """Return the upright line integrals of an X-ray frame."""
    own = [index for index, info in enumerate(one.frames.info) if info.instance == one.info.instance]
    integrals, notes = line_integrals(one.frames.pixels[own], ds, one.info.number)
    return upright(integrals, ds), notes


def _told(chosen: Sequence[Chosen], described: GeometryFile, source: str) -> list[_Seen]:
    """Return the views as a geometry file describes them."""
    if len(described.view) != len(chosen):
        raise UsageError(
            f"{source}: describes {len(described.view)} view(s) but {len(chosen)} image(s) are given; describe each in order."
        )
    seen = []
    for order, (one, detector) in enumerate(zip(chosen, described.view, strict=True), start=1):
        ds, notes = one.header, tuple[str, ...]()
        image: Image = one.frames.pixels[one.index]
        if ds is not None and _kind(one) == "xa":
            with input_errors(one.path):
                image, notes = _integrals(one, ds)
        spacing = detector.spacing_mm or one.frames.pixel_spacing_mm or (pixel_spacing(ds) if ds is not None else None)
        if spacing is None:
            raise UsageError(f"{source}: view {order} lacks spacing_mm, and {one.path.name} does not say it either.")
        seen.append(_Seen(image, detector.view(_shape(image), spacing), notes))
    return seen


def _shape(image: NDArray[np.float32]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _check_patient(chosen: Sequence[Chosen]) -> None:
    """Refuse views of two patients: no body has views of both; the message names neither."""
    owners = {text(one.header, "PatientID"): one.path for one in chosen if one.header is not None}
    if len(owners) > 1:
        first, second = list(owners.values())[:2]
        raise InputError(
            f"{first} and {second}: are of different patients ({tag_name('PatientID')} differs); give views of one."
        )


def _studies(headers: Sequence[Dataset]) -> list[str]:
    """Return a note if views are of different studies; it names none."""
    if len({text(ds, "StudyInstanceUID") for ds in headers}) > 1:
        return [f"The views are of different studies: {tag_name('StudyInstanceUID')} differs between their files."]
    return []


def _durations(headers: Sequence[Dataset]) -> list[str]:
    """Return a note if views were counted for different times: brightness then differs without meaning."""
    times = [number(ds, "ActualFrameDuration") for ds in headers]
    known = [time for time in times if time]
    if any(abs(one - two) > 0.01 * one for one, two in pairwise(known)):
        listed = ", ".join(f"{time / 1000:g}" for time in known)
        return [f"The views were counted for different times ({listed} s), and their counts differ by as much."]
    return []


def _reader_notes(chosen: Sequence[Chosen]) -> list[str]:
    return [f"{one.path.name}: {note}" for one in chosen for note in one.frames.notes]
