"""A reconstructed surface as a DICOM Encapsulated STL."""

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedSTLStorage

from ..dicom.derived.codes import code
from ..dicom.derived.repair import repair
from .dicom_header import Origin, evidence, head
from .meshes import Mesh, stl_file

__all__ = ["encapsulated_stl"]

_MILLIMETRE = ("mm", "UCUM", "mm")
# Of images, which an encapsulated document is not.
_OF_IMAGES = """
    LossyImageCompression LossyImageCompressionRatio LossyImageCompressionMethod AcquisitionDate AcquisitionTime
    DerivationCodeSequence SourceImageSequence ImageComments DerivationDescription BodyPartExamined
"""


def encapsulated_stl(mesh: Mesh, origin: Origin, title: str) -> Dataset:
    """Return an object that holds the surface as STL, in mm and in the coordinates of the reconstruction.

    Parameters
    ----------
    mesh : Mesh
        Triangles.
    origin : Origin
        Where it comes from.
    title : str
        What the surface is.

    References
    ----------
    * PS3.3 A.85.1 (IOD), C.24.2 (encapsulated document), C.35.1 (manufacturing 3D model).
    """
    ds = head(origin, ())
    derivation, sources = origin.derivation, ds.SourceImageSequence
    for keyword in _OF_IMAGES.split():
        ds.pop(keyword, None)
    ds.SOPClassUID, ds.Modality = EncapsulatedSTLStorage, "M3D"
    ds.Manufacturer, ds.ManufacturerModelName = "Photopeak", derivation.model
    ds.SoftwareVersions, ds.DeviceSerialNumber = f"photopeak {derivation.version}", derivation.digest[:16]
    ds.ContentDate, ds.ContentTime = ds.InstanceCreationDate, ds.InstanceCreationTime
    ds.AcquisitionDateTime = None
    ds.BurnedInAnnotation, ds.RecognizableVisualFeatures = "NO", "NO"
    ds.SourceInstanceSequence = sources
    ds.ReferencedSeriesSequence = evidence(origin)
    for reference in sources:
        for keyword in ("SpatialLocationsPreserved", "ReferencedFrameNumber"):
            reference.pop(keyword, None)
    ds.DocumentTitle, ds.ConceptNameCodeSequence = title, []
    ds.MIMETypeOfEncapsulatedDocument = "model/stl"
    content = stl_file(mesh)
    ds.EncapsulatedDocumentLength = len(content)
    ds.add_new("EncapsulatedDocument", "OB", content + b"\0" * (len(content) % 2))
    ds.MeasurementUnitsCodeSequence = [code(_MILLIMETRE)]
    ds.ModelModification, ds.ModelMirroring = "NO", "NO"
    repair(ds)
    ds.pop("Laterality", None)
    return ds
