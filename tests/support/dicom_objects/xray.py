"""X-ray: angiography, computed and digital radiography; PS3.3 sections A.14, A.2 and A.26."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_objects.elements import Choices, code, common, expected, set_pixels, with_elements

XA, CR = "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def _xray_pixels(choices: Choices, n: int, bits: int) -> NDArray[np.uint16]:
    """Return attenuation-like frames that use `bits` bits."""
    top = 2**bits - 1
    frames = []
    for i in range(n):
        body = expected(choices.matrix, np.sin(i))
        frames.append(np.random.default_rng(choices.seed + i).poisson(0.8 * top * np.exp(-2 * body / body.max())))
    return np.asarray(np.minimum(frames, top), np.uint16)


def xa(choices: Choices) -> list[Dataset]:
    n = choices.frames or 3
    ds = common(XA, "XA", choices)
    set_pixels(ds, _xray_pixels(choices, n, 12), multiframe=True)
    elements = {
        "BitsStored": 12,
        "HighBit": 11,
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "PixelIntensityRelationship": "LIN",
        "RadiationSetting": "GR",
        "KVP": 80,
        "ExposureTime": 10,
        "XRayTubeCurrent": 400,
        "FrameIncrementPointer": Tag("FrameTime"),
        "FrameTime": 66.7,
        "PatientOrientation": ["L", "F"],
        "PositionerMotion": "STATIC",
        "PositionerPrimaryAngle": 30.0,
        "PositionerSecondaryAngle": -15.0,
        "DistanceSourceToDetector": 1000.0,
        "DistanceSourceToPatient": 750.0,
        "ImagerPixelSpacing": list(choices.spacing_mm),
    }
    return [with_elements(ds, elements)]


def cr(choices: Choices) -> list[Dataset]:
    ds = common(CR, "CR", choices)
    set_pixels(ds, _xray_pixels(choices, 1, 12))
    elements = {
        "BitsStored": 12,
        "HighBit": 11,
        "ViewPosition": "PA",
        "KVP": 120,
        "PhotometricInterpretation": "MONOCHROME1",
    }
    elements |= {"ImagerPixelSpacing": list(choices.spacing_mm), "PatientOrientation": ["L", "F"]}
    elements |= {"WindowCenter": 2048, "WindowWidth": 4096}
    return [with_elements(ds, elements)]


def dx(choices: Choices) -> list[Dataset]:
    ds = common(DX, "DX", choices)
    set_pixels(ds, _xray_pixels(choices, 1, 14))
    elements = {
        "BitsStored": 14,
        "HighBit": 13,
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": 1,
        "PresentationLUTShape": "IDENTITY",
        "RescaleIntercept": 0,
        "RescaleSlope": 1,
        "RescaleType": "US",
        "BurnedInAnnotation": "NO",
        "ImageLaterality": "U",
        "PatientOrientation": ["L", "F"],
        "AnatomicRegionSequence": [code("51185008", "SCT", "Chest")],
        "DetectorType": "SCINTILLATOR",
        "DetectorConfiguration": "AREA",
        "DetectorID": "1",
        "ImagerPixelSpacing": list(choices.spacing_mm),
        "PositionerType": "NONE",
        "ViewCodeSequence": [code("399348003", "SCT", "antero-posterior")],
        "AcquisitionContextSequence": [],
        "WindowCenter": 8192,
        "WindowWidth": 16384,
    }
    return [with_elements(ds, elements)]
