"""Findings to DICOM files: a report, pictures, and a map of the evidence where images have a place in the patient."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ..dicom.quiet import input_errors
from ..dicom.write import encode
from ..writing import Content, content, safe_name, write_all
from .dicom_header import Origin, Place, origin_of
from .dicom_map import activation_map, has_place
from .dicom_overlay import captioned, colour_capture
from .dicom_report import Regions, findings_report
from .overlay import OverlayStyle, overlay
from .result import NOT_VALID, AnalysisResult

__all__ = ["findings_contents", "why_no_dicom", "write_findings"]

Named = tuple[str, Dataset]


def why_no_dicom(result: AnalysisResult) -> str | None:
    """Return why no DICOM objects can be made of a result, as a sentence; None when they can."""
    lacking = [source.source for source in result.sources if source is not None and not source.instances]
    if not lacking:
        return None
    verb = "has no DICOM header" if len(lacking) == 1 else "have no DICOM headers"
    return f"{' and '.join(lacking)} {verb}: no DICOM objects are written, since nothing says whose findings these are."


def write_findings(result: AnalysisResult, out: str | Path, regions: Regions = ()) -> tuple[Path, ...]:
    """Write what was found as DICOM objects, all of them or none.

    A Comprehensive 3D SR holds all findings. Colour Secondary Capture images show them: of a detector the boxes on each phase and
    the evidence for them, of a classifier the evidence for each class. A Parametric Map holds the evidence as numbers, for images
    that have a place in the patient, which projections have not. Each kind is a series of its own in the study of the images.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    out : path
        Folder; made when it is not there. What is there already is never overwritten.
    regions : sequence of sequence of RegionShare, optional
        For each frame the table of the class that was found; it goes into the report.

    Returns
    -------
    tuple of Path
        ``<source>_<model>_report.dcm``, ``..._overlay.dcm`` or ``..._overlay_1.dcm``, ..., ``..._cam.dcm``, ``..._map.dcm``. Empty
        where images have no DICOM header: see :func:`why_no_dicom`.

    Raises
    ------
    InputError
        If phases are of different patients, a header cannot be used, or the folder cannot be written.
    """
    return tuple(write_all(out, findings_contents(result, regions)))


def findings_contents(result: AnalysisResult, regions: Regions = ()) -> list[Content]:
    """Return the files of :func:`write_findings` before they are written; none where images have no DICOM header."""
    if why_no_dicom(result):
        return []
    stem = f"{safe_name(result.reference.source)}_{result.bundle.manifest.name}"
    with input_errors(result.reference.instances[0].path):
        return [
            content(f"{stem}_{name}", ".dcm", encode(ds)) for name, ds in _objects(result, origin_of(result), regions)
        ]


def _objects(result: AnalysisResult, origin: Origin, regions: Regions) -> Iterator[Named]:
    """Yield the name and the content of each object."""
    yield "report", findings_report(result, origin, regions)
    if result.probabilities is None:
        yield from _numbered("overlay", [*_boxes(result, origin)])
    yield from _numbered("cam", [*_evidence(result, origin)])
    if has_place(origin):
        yield "map", activation_map(result, origin)


def _numbered(name: str, objects: list[Dataset]) -> Iterator[Named]:
    for number, ds in enumerate(objects, start=1):
        ds.InstanceNumber = number
        yield name if len(objects) == 1 else f"{name}_{number}", ds


def _boxes(result: AnalysisResult, origin: Origin) -> Iterator[Dataset]:
    """Yield a picture of each frame of each phase with the boxes on it."""
    series = generate_uid(prefix=None)
    for index, places in enumerate(origin.frames):
        for place in places:
            picture = overlay(result, index, channel=place.rank, style=OverlayStyle(evidence=False))
            count = len(result.detections[index])
            found = f"{result.labels[0]}: {count or 'none'} at or above {result.threshold:.2g}"
            lines = _caption(result, index, place, found)
            yield colour_capture(
                captioned(picture, lines), origin, [place], series_uid=series, remarks=[f"{lines[0]}."]
            )


def _evidence(result: AnalysisResult, origin: Origin) -> Iterator[Dataset]:
    """Yield a picture of the evidence for each class in each frame, the most probable class first."""
    series = generate_uid(prefix=None)
    for index, places in enumerate(origin.frames):
        chances = None if result.probabilities is None else result.probabilities[index].tolist()
        for k in range(len(result.labels)) if chances is None else np.argsort(chances)[::-1].tolist():
            picture = overlay(result, index, label=k, style=OverlayStyle(boxes=False))
            said = "" if chances is None else f": probability {chances[k]:.3f}"
            lines = _caption(result, index, places[0], f"evidence for {result.labels[k]}{said}")
            captured = captioned(picture, lines)
            yield colour_capture(captured, origin, [places[0]], series_uid=series, what="CAM", remarks=[f"{lines[0]}."])


def _caption(result: AnalysisResult, index: int, place: Place, found: str) -> tuple[str, str]:
    """Return what is written below a picture."""
    manifest = result.bundle.manifest
    validity = "" if result.valid_frames[index] else f"{NOT_VALID.upper()}: "
    where = ", ".join(filter(None, [place.channel, result.frame_name(index)]))
    return f"{validity}{where}: {found}", f"{manifest.name} {manifest.version}, AI, not for diagnosis"
