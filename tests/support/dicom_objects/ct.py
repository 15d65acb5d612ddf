"""CT slices: PS3.3 section A.3."""

import numpy as np
from pydicom.dataset import Dataset

from dicom_objects.elements import Choices, axial, common, expected, set_pixels, with_elements

CT = "1.2.840.10008.5.1.4.1.1.2"


def ct(choices: Choices) -> list[Dataset]:
    """Return axial slices in HU: signed stored values, Rescale Intercept -1024."""
    slices = []
    for index in range(choices.frames or 4):
        noise = np.random.default_rng(choices.seed + index).normal(0, 20, choices.matrix)
        body = expected(choices.matrix, index)
        pixels = np.rint(24 + 1100 * body / body.max() + noise).astype(np.int16)
        ds = common(CT, "CT", choices, index)
        set_pixels(ds, pixels[np.newaxis])
        elements = {
            **axial(choices, index),
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "PixelSpacing": list(choices.spacing_mm),
            "RescaleIntercept": -1024,
            "RescaleSlope": 1,
            "RescaleType": "HU",
            "PatientPosition": "HFS",
            "KVP": 120,
            "AcquisitionNumber": 1,
            "WindowCenter": 40,
            "WindowWidth": 400,
        }
        slices.append(with_elements(ds, elements))
    return slices
