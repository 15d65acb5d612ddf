"""From stored to physical values: slope, intercept and units of one object or frame."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from ..errors import InputError
from ..frames import Units
from .attributes import first_glance, glance, number, tag_name, text

# UCUM codes of Measurement Units Code Sequence (0040,08EA).
_UCUM = {
    "Bq/ml": Units.BECQUEREL_PER_ML,
    "Bq/mL": Units.BECQUEREL_PER_ML,
    "{counts}": Units.COUNTS,
    "{count}": Units.COUNTS,
    "g/ml{SUVbw}": Units.SUV_BODY_WEIGHT,
    "{SUVbw}g/ml": Units.SUV_BODY_WEIGHT,
    "[hnsf'U]": Units.HOUNSFIELD,
}
_PET_UNITS = {"CNTS": Units.COUNTS, "BQML": Units.BECQUEREL_PER_ML}


@dataclass(frozen=True, slots=True)
class Scaling:
    """What turns stored values into physical ones.

    Parameters
    ----------
    slope, intercept : float
        Physical value = stored value * slope + intercept.
    units : Units
        Units of the physical value.
    """

    slope: float = 1.0
    intercept: float = 0.0
    units: Units = Units.NONE


def scaling(header: Dataset) -> Scaling:
    """Return the scaling of a classic (not enhanced) object.

    Parameters
    ----------
    header : Dataset
        The object's elements.

    Returns
    -------
    Scaling
        NM: stored values are counts unless a Real World Value Mapping (0040,9096) says otherwise. PT: Rescale Slope
        (0028,1053) and Units (0054,1001). CT: Hounsfield units. Others: rescaled, without units.

    Raises
    ------
    InputError
        If the slope is zero or not a number.

    References
    ----------
    * PS3.3 C.8.4.8 (NM image), C.8.9.4 (PET image), C.8.2.1 (CT image), C.7.6.16.2.11 (real world value mapping).
    """
    modality = text(header, "Modality")
    rescale = _rescale(header)
    if modality == "NM":
        return _mapping(header) or (Scaling(units=Units.COUNTS) if rescale in (None, Scaling()) else rescale)
    if rescale is None:
        return Scaling()
    if modality == "PT":
        return Scaling(rescale.slope, rescale.intercept, pet_units(header))
    if modality == "CT" and text(header, "RescaleType") in ("", "HU"):
        return Scaling(rescale.slope, rescale.intercept, Units.HOUNSFIELD)
    return rescale


def frame_scaling(header: Dataset, shared: Dataset, frame: Dataset) -> Scaling:
    """Return the scaling of one frame of an enhanced object from its functional groups.

    A Real World Value Mapping in known units wins over Pixel Value Transformation: both apply to stored values, and only the
    first always carries units.

    References
    ----------
    * PS3.3 C.7.6.16.2.9 (pixel value transformation), C.7.6.16.2.11 (real world value mapping).
    """
    mapping = _mapping(frame) or _mapping(shared)
    if mapping and mapping.units is not Units.NONE:
        return mapping
    transformation = first_glance(frame, "PixelValueTransformationSequence") or first_glance(
        shared, "PixelValueTransformationSequence"
    )
    rescale = _rescale(transformation)
    if rescale is None:
        return mapping or Scaling()
    kind = text(transformation, "RescaleType")
    units = Units.HOUNSFIELD if kind == "HU" else _PET_UNITS.get(kind, pet_units(header))
    return Scaling(rescale.slope, rescale.intercept, units)


def pet_units(header: Dataset) -> Units:
    """Return what Units (0054,1001) means; NONE for those without a name here, such as PROPCPS."""
    units = text(header, "Units")
    if units == "GML" and text(header, "SUVType") in ("", "BW"):
        return Units.SUV_BODY_WEIGHT
    return _PET_UNITS.get(units, Units.NONE)


def _rescale(ds: Dataset) -> Scaling | None:
    """Return Rescale Slope and Intercept; None when there is no slope."""
    slope = number(ds, "RescaleSlope")
    if slope is None:
        return None
    if slope == 0:
        raise InputError(f"{tag_name('RescaleSlope')} is 0, which erases the image; correct the header.")
    return Scaling(slope, number(ds, "RescaleIntercept") or 0.0)


def _mapping(ds: Dataset) -> Scaling | None:
    """Return the first linear Real World Value Mapping in known units, else the first that says anything.

    Look-up tables are left alone: stored values stay valid.
    """
    found = []
    for item in glance(ds, "RealWorldValueMappingSequence"):
        slope = number(item, "RealWorldValueSlope")
        if slope:
            units = _UCUM.get(text(first_glance(item, "MeasurementUnitsCodeSequence"), "CodeValue"), Units.NONE)
            found.append(Scaling(slope, number(item, "RealWorldValueIntercept") or 0.0, units))
    found = [mapping for mapping in found if mapping != Scaling()]  # identity without units says nothing
    return next((mapping for mapping in found if mapping.units is not Units.NONE), next(iter(found), None))
