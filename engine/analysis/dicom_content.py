"""Content items of structured reports: coded names and values, the observer, the images."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from ..dicom.attributes import text
from .dicom_codes import CONCEPTS, MODALITIES, PRIVATE_SCHEME, UNITY, Code
from .dicom_header import Origin, Place
from .result import AnalysisResult

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept, ContentItem, Measurement, QualitativeEvaluation

__all__ = [
    "algorithm",
    "coding_scheme",
    "comment",
    "concept",
    "evaluation",
    "image_library",
    "measured",
    "number",
    "observer",
    "tell_apart",
]

_RELATION = "HAS ACQ CONTEXT"
_SIZES = ((("110910", "DCM", "Pixel Data Rows"), "Rows"), (("110911", "DCM", "Pixel Data Columns"), "Columns"))


def concept(code: Code) -> "CodedConcept":
    """Return a coded concept of highdicom."""
    from highdicom.sr import CodedConcept

    return CodedConcept(*code)


def coding_scheme() -> Dataset:
    """Return the item that names the scheme of our own."""
    ds = Dataset()
    ds.CodingSchemeDesignator = PRIVATE_SCHEME
    ds.CodingSchemeName = "Photopeak"
    ds.CodingSchemeVersion = version("photopeak")
    ds.CodingSchemeResponsibleOrganization = "Photopeak"
    return ds


def observer(origin: Origin) -> Any:
    """Return who observed: the model, as a device."""
    from highdicom.sr import DeviceObserverIdentifyingAttributes, ObservationContext, ObserverContext
    from pydicom.sr.codedict import codes

    derivation = origin.derivation
    device = DeviceObserverIdentifyingAttributes(
        uid=derivation.device_uid,
        name=derivation.model,
        manufacturer_name="Photopeak",
        model_name=f"{derivation.model} {derivation.version}",
        serial_number=derivation.digest[:16],
    )
    return ObservationContext(
        observer_device_context=ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    )


def image_library(origin: Origin) -> "ContentItem":
    """Return the images; highdicom's own library wants what headers of X-rays often lack."""
    from highdicom.sr import ContainerContentItem, ContentSequence, ImageContentItem

    group = ContainerContentItem(name=concept(("126200", "DCM", "Image Library Group")), relationship_type="CONTAINS")
    group.ContentSequence = ContentSequence()
    for place in origin.places:
        image = ImageContentItem(
            name=concept(("260753009", "SCT", "Source")),
            referenced_sop_class_uid=place.instance.sop_class_uid,
            referenced_sop_instance_uid=place.instance.sop_instance_uid,
            relationship_type="CONTAINS",
        )
        image.ContentSequence = ContentSequence(_described(place))
        group.ContentSequence.append(image)
    library = ContainerContentItem(name=concept(("111028", "DCM", "Image Library")), relationship_type="CONTAINS")
    library.ContentSequence = ContentSequence([group])
    return library


def _described(place: Place) -> "list[ContentItem]":
    """Return what the library says about an image."""
    from highdicom.sr import CodeContentItem, NumContentItem, TextContentItem

    header = place.instance.header
    modality = text(header, "Modality")
    if modality not in MODALITIES:
        modality = "OT"
    pixels = concept(("{pixels}", "UCUM", "Pixels"))
    described: list[ContentItem] = [
        CodeContentItem(
            name=concept(("121139", "DCM", "Modality")),
            value=concept((modality, "DCM", MODALITIES[modality])),
            relationship_type=_RELATION,
        )
    ]
    described += [
        NumContentItem(name=concept(code), value=int(header[keyword].value), unit=pixels, relationship_type=_RELATION)
        for code, keyword in _SIZES
    ]
    if place.channel:
        described.append(
            TextContentItem(name=concept(CONCEPTS["time point"]), value=place.channel, relationship_type=_RELATION)
        )
    return described


def tell_apart(item: Dataset) -> None:
    """Let readers show each item of a tree with its name; highdicom's containers are prose, shown as values alone."""
    if item.ValueType == "CONTAINER":
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", ()):
        tell_apart(child)


def comment(sentence: str) -> "ContentItem":
    """Return a sentence about a group."""
    from highdicom.sr import TextContentItem

    return TextContentItem(name=concept(CONCEPTS["comment"]), value=sentence, relationship_type="CONTAINS")


def algorithm(result: AnalysisResult, origin: Origin) -> Any:
    """Return name, version, digest and threshold of the model, by TID 4019."""
    from highdicom.sr import AlgorithmIdentification

    plan = result.plan
    return AlgorithmIdentification(
        name=origin.derivation.model,
        version=origin.derivation.version,
        manufacturer="Photopeak",
        parameters=[
            f"SHA-256 of the model: {origin.derivation.digest}",
            f"threshold: {result.threshold:g}",
            f"photopeak {version('photopeak')}, {plan.arithmetic}",
        ],
    )


def number(key: str, value: float, unit: Code = UNITY) -> "Measurement":
    """Return a measurement by the key of its name in ``CONCEPTS``."""
    return measured(CONCEPTS[key], value, unit)


def measured(name: Code, value: float, unit: Code) -> "Measurement":
    """Return a measurement; six digits are more than any of them has."""
    from highdicom.sr import Measurement

    return Measurement(name=concept(name), value=float(f"{value:.6g}"), unit=concept(unit))


def evaluation(key: str, value: Code) -> "QualitativeEvaluation":
    """Return a coded statement by the key of its name in ``CONCEPTS``."""
    from highdicom.sr import QualitativeEvaluation

    return QualitativeEvaluation(name=concept(CONCEPTS[key]), value=concept(value))
