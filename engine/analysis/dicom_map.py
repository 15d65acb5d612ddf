"""Class activation maps as a Parametric Map, for images that have a place in the patient."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from .dicom_codes import CONCEPTS, UNITY
from .dicom_content import concept
from .dicom_geometry import plane_of
from .dicom_header import Origin, adopt, as_evidence, head
from .result import AnalysisResult

__all__ = ["activation_map", "has_place"]

_LONGEST_DESCRIPTION = 64  # of the representation LO, PS3.5 table 6.2-1


def has_place(origin: Origin) -> bool:
    """Return whether all frames are objects of one frame each, of one series, whose header says where they lie."""
    places = [frame[0] for frame in origin.frames]
    series = {str(place.instance.header.SeriesInstanceUID) for place in places}
    return len(series) == 1 and all(
        place.frame_numbers is None and plane_of(place.instance.header) is not None for place in places
    )


def activation_map(result: AnalysisResult, origin: Origin) -> Dataset:
    """Return the class activation of each label, as float32 values on the matrix of the image.

    Parameters
    ----------
    result : AnalysisResult
        What was found.
    origin : Origin
        Of :func:`photopeak.engine.analysis.dicom_header.origin_of`; see :func:`has_place`.

    References
    ----------
    * PS3.3 A.75 (parametric map), C.7.6.16.2.11 (real world value mapping), PS3.16 CID 217 (visual explanation).
    """
    from highdicom import VOILUTTransformation
    from highdicom.pm import ParametricMap, RealWorldValueMapping

    derivation = origin.derivation
    places = [frame[0] for frame in origin.frames]
    general = head(origin, places, "CAM map", generate_uid(prefix=None), ())
    maps = np.ascontiguousarray(np.moveaxis(result.cam, 1, 3), np.float32)
    top = float(maps.max()) or 1.0
    mappings = [
        [
            RealWorldValueMapping(
                lut_label=label[:16],
                lut_explanation=f"Gradient-weighted class activation of {label}"[:_LONGEST_DESCRIPTION],
                unit=concept(UNITY),
                value_range=(0.0, top),
                slope=1.0,
                intercept=0.0,
                quantity_definition=concept(CONCEPTS["activation"]),
            )
        ]
        for label in result.labels
    ]
    found = ParametricMap(
        source_images=[as_evidence(place.instance) for place in places],
        pixel_array=maps,
        series_instance_uid=str(general.SeriesInstanceUID),
        series_number=int(general.SeriesNumber),
        sop_instance_uid=str(general.SOPInstanceUID),
        instance_number=1,
        manufacturer="Photopeak",
        manufacturer_model_name=derivation.model,
        software_versions=f"photopeak {derivation.version}",
        device_serial_number=derivation.digest[:16],
        contains_recognizable_visual_features=False,
        real_world_value_mappings=mappings,
        voi_lut_transformations=[VOILUTTransformation(top / 2, top, voi_lut_function="LINEAR_EXACT")],
        content_label="CAM",
        content_description=f"{derivation.action} {derivation.model} {derivation.version}"[:_LONGEST_DESCRIPTION],
        content_qualification="RESEARCH",
        derivation=concept(CONCEPTS["activation"]),
    )
    adopt(found, general)
    return found
