"""Findings as a Comprehensive 3D SR document, by the template for measurement reports (TID 1500)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .dicom_codes import CONCEPTS, PERCENT, PROCEDURES, UNITY, Code, is_view, label_code, private_code, site_code
from .dicom_content import (
    algorithm,
    coding_scheme,
    comment,
    concept,
    evaluation,
    image_library,
    measured,
    number,
    observer,
    tell_apart,
)
from .dicom_geometry import in_patient, plane_of
from .dicom_header import Origin, Place, adopt, as_evidence, head, verdict_sentence
from .regions import RegionShare
from .result import NOT_VALID, AnalysisResult, Detection

if TYPE_CHECKING:
    from highdicom.sr import Measurement, QualitativeEvaluation

__all__ = ["Regions", "findings_report"]

Regions = Sequence[Sequence[RegionShare]]
"""For each frame how the activation of the class that was found is divided among regions."""


def findings_report(result: AnalysisResult, origin: Origin, regions: Regions = ()) -> Dataset:
    """Return what was found as a structured report, not verified by anybody and preliminary.

    Each frame has a group that says whether findings are valid, how many there are or how probable each class is. Each
    lesion has a group of its own: its outline on the frame (in the patient's coordinates where the image has a place there),
    probability, centre and diameter. All images are in the library, each with its phase.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    origin : Origin
        Of :func:`photopeak.engine.analysis.dicom_header.origin_of`.
    regions : sequence of sequence of RegionShare, optional
        For each frame the table of the class that was found.

    References
    ----------
    * PS3.16 TID 1500 (measurement report), TID 1410 (planar regions), TID 1501 (measurement group), TID 1600 (image library),
      TID 4019 (algorithm identification); PS3.3 A.35.13 (Comprehensive 3D SR).
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport

    general = head(origin, origin.places, "report", generate_uid(prefix=None), ())
    modality = result.reference.modality
    content = MeasurementReport(
        observation_context=observer(origin),
        procedure_reported=concept(PROCEDURES.get(modality, PROCEDURES["OT"])),
        imaging_measurements=_groups(result, origin, regions),
    )
    children = content[0].ContentSequence
    children.insert(len(children) - 1, image_library(origin))  # before Imaging Measurements, as the template orders
    tell_apart(content[0])
    found = Comprehensive3DSR(
        evidence=[as_evidence(place.instance) for place in origin.places],
        content=content,
        series_instance_uid=str(general.SeriesInstanceUID),
        series_number=int(general.SeriesNumber),
        sop_instance_uid=str(general.SOPInstanceUID),
        instance_number=1,
        manufacturer="Photopeak",
        manufacturer_model_name=origin.derivation.model,
        device_serial_number=origin.derivation.digest[:16],
        is_complete=True,
        is_final=False,
        is_verified=False,
    )
    adopt(found, general)
    found.CodingSchemeIdentificationSequence = [coding_scheme()]
    for keyword in ("BodyPartExamined", "Laterality"):  # of images
        found.pop(keyword, None)
    return found


def _groups(result: AnalysisResult, origin: Origin, regions: Regions) -> list[Any]:
    """Return the measurement groups: of each frame, then of its lesions."""
    groups: list[Any] = []
    for index in range(len(result)):
        group = _frame_group(result, origin, index, regions[index] if regions else ())
        if result.domains[index].verdict != "inside":
            group[0].ContentSequence.append(comment(verdict_sentence(result.domains[index])))
        groups.append(group)
        for rank, lesion in enumerate(result.detections[index] if result.detections else (), start=1):
            name = f"{lesion.label} {rank}, {result.frame_name(index)}"
            groups.append(_lesion_group(result, origin, index, lesion, name))
    for sentence in result.warnings:
        groups[0][0].ContentSequence.append(comment(sentence))
    return groups


def _frame_group(result: AnalysisResult, origin: Origin, index: int, regions: Sequence[RegionShare]) -> Any:
    """Return the group of a frame: verdict, and number of lesions or probabilities."""
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, SourceImageForMeasurementGroup

    detects = result.probabilities is None
    evaluations = _verdict(result, index)
    finding: Code | None
    if detects:
        finding = None if result.detections[index] else CONCEPTS["no finding"]
    else:
        finding = _class_code(result, index)
        if is_view(finding):
            evaluations.append(evaluation("image view", finding))
            finding = None
    numbers = [number("threshold", result.threshold), *_of_domain(result, index)]
    numbers += [number("count", len(result.detections[index]))] if detects else _probabilities(result, index)
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(result, index, result.frame_name(index)),
        finding_type=finding and concept(finding),
        finding_sites=_sites(result),
        algorithm_id=algorithm(result, origin),
        measurements=[*numbers, *_activation(regions)],
        qualitative_evaluations=evaluations,
        source_images=[
            SourceImageForMeasurementGroup(
                referenced_sop_class_uid=place.instance.sop_class_uid,
                referenced_sop_instance_uid=place.instance.sop_instance_uid,
                referenced_frame_numbers=place.frame_numbers,
            )
            for place in origin.frames[index]
        ],
    )


def _lesion_group(result: AnalysisResult, origin: Origin, index: int, lesion: Detection, name: str) -> Any:
    """Return the group of a lesion, by the template for planar regions."""
    from highdicom.sr import PlanarROIMeasurementsAndQualitativeEvaluations, TimePointContext

    place = origin.frames[index][0]
    numbers = [number("probability", lesion.score)]
    if lesion.diameter_mm is not None:
        numbers.append(number("diameter", lesion.diameter_mm, CONCEPTS["mm"]))
    if lesion.centre_mm is not None:
        numbers.append(number("centre row", lesion.centre_mm[0], CONCEPTS["mm"]))
        numbers.append(number("centre column", lesion.centre_mm[1], CONCEPTS["mm"]))
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(result, index, name),
        referenced_region=_region(place, lesion),
        time_point_context=TimePointContext(time_point=place.channel) if place.channel else None,
        finding_type=concept(label_code(lesion.label)),
        finding_sites=_sites(result),
        algorithm_id=algorithm(result, origin),
        measurements=numbers,
        qualitative_evaluations=_verdict(result, index),
        geometric_purpose=concept(CONCEPTS["outline"]),
    )


def _region(place: Place, lesion: Detection) -> Any:
    """Return the outline of a lesion, a closed line, in the patient if the image has a place there."""
    from highdicom.sr import ImageRegion, ImageRegion3D, SourceImageForRegion

    row0, column0, row1, column1 = lesion.box
    corners = np.array([(column0, row0), (column1, row0), (column1, row1), (column0, row1), (column0, row0)])
    plane = None if place.frame_numbers else plane_of(place.instance.header)
    if plane:
        return ImageRegion3D("POLYGON", in_patient(plane, corners), plane.frame_of_reference_uid)
    header = place.instance.header
    inside = np.clip(corners, 0, (int(header.Columns), int(header.Rows)))
    image = SourceImageForRegion(
        referenced_sop_class_uid=place.instance.sop_class_uid,
        referenced_sop_instance_uid=place.instance.sop_instance_uid,
        referenced_frame_numbers=place.frame_numbers,
    )
    return ImageRegion("POLYLINE", inside, image)


def _tracking(result: AnalysisResult, index: int, name: str) -> Any:
    """Return a name, in front of which stands whether it is valid, and a UID."""
    from highdicom.sr import TrackingIdentifier

    valid = result.valid_frames[index]
    return TrackingIdentifier(
        uid=generate_uid(prefix=None), identifier=name if valid else f"{NOT_VALID.upper()}: {name}"
    )


def _sites(result: AnalysisResult) -> Any:
    from highdicom.sr import FindingSite

    site = site_code(result.bundle.manifest.name)
    return [FindingSite(anatomic_location=concept(site))] if site else None


def _verdict(result: AnalysisResult, index: int) -> "list[QualitativeEvaluation]":
    """Return whether findings are valid for the frame, and where it lies in the training domain."""
    valid = "valid" if result.valid_frames[index] else "not valid"
    return [
        evaluation("validity", CONCEPTS[valid]),
        evaluation("domain", CONCEPTS[result.domains[index].verdict]),
    ]


def _of_domain(result: AnalysisResult, index: int) -> "list[Measurement]":
    """Return how far the frame is from the training domain, in units of the distance at which outside begins."""
    verdict = result.domains[index]
    ratio = float(verdict.distances.max()) / verdict.limits[1]
    return [number("distance", ratio)] if np.isfinite(ratio) else []


def _activation(regions: Sequence[RegionShare]) -> "list[Measurement]":
    """Return the share of the class activation in each region; none where there is no activation at all."""
    return [
        measured(private_code(f"Share of activation in {region.name}"), 100 * region.energy, PERCENT)
        for region in regions
        if np.isfinite(region.energy)
    ]


def _class_code(result: AnalysisResult, index: int) -> Code:
    """Return the class that was found, as JSON and pages say it too."""
    return label_code(result.labels[result.found(index)[0]])


def _probabilities(result: AnalysisResult, index: int) -> "list[Measurement]":
    """Return the probability of what was found, and of each class by name."""
    assert result.probabilities is not None
    _, highest = result.found(index)
    named = zip(result.labels, result.probabilities[index], strict=True)
    each = [measured(private_code(f"Probability of {label}"), float(p), UNITY) for label, p in named]
    return [number("probability", highest), *each]
