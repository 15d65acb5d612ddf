"""PET slices: PS3.3 section A.21."""

from copy import deepcopy

import numpy as np
from pydicom.dataset import Dataset

from dicom_objects.elements import Choices, axial, code, common, item, poisson, set_pixels, with_elements

PET = "1.2.840.10008.5.1.4.1.1.128"
RADIOPHARMACEUTICAL = item(
    Radiopharmaceutical="FDG",
    RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
    RadiopharmaceuticalCodeSequence=[code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
    RadiopharmaceuticalStartTime="090000",
    RadiopharmaceuticalStartDateTime="20240501090000",
    RadionuclideTotalDose=370e6,  # [Bq]
    RadionuclideHalfLife=6586.2,
    RadionuclidePositronFraction=0.967,
)


def pet(choices: Choices) -> list[Dataset]:
    """Return axial slices in Bq/ml, each with its own Rescale Slope; body-weight SUV can be computed."""
    n = choices.frames or 5
    slices = []
    for index, pixels in enumerate(poisson(choices, n)):
        ds = common(PET, "PT", choices, index)
        set_pixels(ds, pixels[np.newaxis].astype(np.int16))
        elements = {
            **axial(choices, index),
            "PixelSpacing": list(choices.spacing_mm),
            "RescaleIntercept": 0,
            "RescaleSlope": 40.0 + 3.5 * index,
            "Units": "BQML",
            "CountsSource": "EMISSION",
            "SeriesType": ["STATIC", "IMAGE"],
            "NumberOfSlices": n,
            "CorrectedImage": ["NORM", "ATTN", "DECY", "SCAT", "DTIM", "RAN"],
            "RandomsCorrectionMethod": "DLYD",
            "AttenuationCorrectionMethod": "CT",
            "ScatterCorrectionMethod": "MODEL",
            "ReconstructionMethod": "OSEM",
            "CollimatorType": "NONE",
            "DecayCorrection": "START",
            "DecayFactor": 1.0,
            "FrameReferenceTime": 60_000,
            "ActualFrameDuration": 120_000,
            "ImageIndex": index + 1,
            "RadiopharmaceuticalInformationSequence": [deepcopy(RADIOPHARMACEUTICAL)],
            "PatientOrientationCodeSequence": [code("102538003", "SCT", "recumbent")],
            "PatientGantryRelationshipCodeSequence": [code("102540008", "SCT", "headfirst")],
            "WindowCenter": float(pixels.max()) * 20,
            "WindowWidth": float(pixels.max()) * 40,
        }
        slices.append(with_elements(ds, elements))
    return slices
