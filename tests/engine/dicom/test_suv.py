"""Body-weight SUV, against the formula with the factory's numbers: 370 MBq at 09:00, scan at 10:05, 70 kg, F-18."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from photopeak.engine.errors import InputError
from photopeak.engine.frames import Units
from photopeak.engine.reading import read

HALF_LIFE_S, DOSE_BQ, WEIGHT_G = 6586.2, 370e6, 70_000


def factor(elapsed_s):
    return WEIGHT_G / (DOSE_BQ * 2 ** (-elapsed_s / HALF_LIFE_S))


def drug(**elements):
    item = Dataset()
    defaults = {
        "RadionuclideTotalDose": DOSE_BQ,
        "RadionuclideHalfLife": HALF_LIFE_S,
        "RadiopharmaceuticalStartTime": "090000",
    }
    for keyword, value in (defaults | elements).items():
        if value is not None:
            setattr(item, keyword, value)
    return [item]


@pytest.mark.parametrize(
    ("tags", "elapsed_s"),
    [
        ({}, 3900),
        ({"DecayCorrection": "ADMIN"}, 0),
        ({"RadiopharmaceuticalInformationSequence": drug()}, 3900),
        ({"RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartTime="233000")}, 10.5 * 3600 + 300),
        (
            {"RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartDateTime="20240501093000+0200")},
            2100,
        ),
        (
            {
                "TimezoneOffsetFromUTC": "+0200",
                "RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartDateTime="20240501070000+0000"),
            },
            3900,
        ),
        # Series made after the scan: back from the average count time of the first frame.
        ({"SeriesTime": "150000", "FrameReferenceTime": 0, "ActualFrameDuration": 1}, 3900),
        ({"SeriesTime": "150000", "AcquisitionTime": "100600", "FrameReferenceTime": 90_000}, 3900 + 60 - 90 + 59.937),
    ],
)
def test_suv_follows_the_qiba_rules(dicom_factory, tags, elapsed_s):
    paths = dicom_factory("pet", tags=tags, frames=3)
    activity, suv = read(paths), read(paths, suv=True)
    assert suv.units is Units.SUV_BODY_WEIGHT
    np.testing.assert_allclose(suv.pixels, activity.pixels * factor(elapsed_s), rtol=2e-5)
    slopes = [i.slope for i in activity.info]
    np.testing.assert_allclose([i.slope for i in suv.info], np.array(slopes) * factor(elapsed_s), rtol=2e-5)


def test_enhanced_pet_uses_its_decay_correction_time(dicom_factory):
    paths = dicom_factory("enhanced-pet")
    np.testing.assert_allclose(read(paths, suv=True).pixels, read(paths).pixels * factor(3900), rtol=1e-5)


@pytest.mark.parametrize("dose", [DOSE_BQ, DOSE_BQ / 1e6])
def test_enhanced_pet_gives_the_dose_in_megabecquerels(dicom_factory, dose):
    paths = dicom_factory("enhanced-pet")
    ds = pydicom.dcmread(paths[0])
    ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose = dose
    ds.save_as(paths[0])
    np.testing.assert_allclose(read(paths, suv=True).pixels, read(paths).pixels * factor(3900), rtol=1e-5)


def test_enhanced_pet_must_be_corrected_for_attenuation(dicom_factory):
    paths = dicom_factory("enhanced-pet", tags={"AttenuationCorrected": "NO"})
    with pytest.raises(InputError, match=r"Attenuation Corrected \(0018,9759\) is 'NO'"):
        read(paths, suv=True)


def test_philips_counts_use_the_private_factor(dicom_factory):
    paths = dicom_factory("pet", frames=1, tags={"Units": "CNTS"})
    ds = pydicom.dcmread(paths[0])
    ds.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.0005")
    ds.save_as(paths[0])
    np.testing.assert_allclose(read(paths, suv=True).pixels, read(paths).pixels * 0.0005, rtol=1e-6)


def test_suv_in_the_file_stays(dicom_factory):
    paths = dicom_factory("pet", tags={"Units": "GML"})
    np.testing.assert_array_equal(read(paths, suv=True).pixels, read(paths).pixels)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"PatientWeight": None}, r"Patient's Weight \(0010,1030\) is missing"),
        ({"PatientWeight": 0}, r"Patient's Weight \(0010,1030\) is 0"),
        ({"Units": "PROPCPS"}, r"Units \(0054,1001\) is 'PROPCPS'"),
        ({"Units": "CNTS"}, r"Units \(0054,1001\) is 'CNTS'"),
        ({"DecayCorrection": "NONE"}, r"Decay Correction \(0054,1102\) is 'NONE'"),
        ({"CorrectedImage": ["DECY"]}, "lacks ATTN"),
        ({"RadiopharmaceuticalInformationSequence": None}, r"\(0018,1074\) is missing"),
        ({"RadiopharmaceuticalInformationSequence": drug(RadionuclideHalfLife=None)}, r"\(0018,1075\) is missing"),
        ({"RadiopharmaceuticalInformationSequence": drug(RadionuclideTotalDose=370)}, "too small for becquerels"),
        (
            {"RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartTime=None)},
            r"\(0018,1072\) is missing",
        ),
        (
            {"RadiopharmaceuticalInformationSequence": drug(RadiopharmaceuticalStartDateTime="20240502090000")},
            "later than the scan",
        ),
        ({"AcquisitionDate": None, "SeriesDate": None}, r"\(0008,0032\) is missing"),
    ],
)
def test_what_is_missing_is_named(dicom_factory, tags, reason):
    paths = dicom_factory("pet", frames=2, tags=tags)
    read(paths)
    with pytest.raises(InputError, match=reason):
        read(paths, suv=True)


def test_only_pet_has_suv(dicom_factory):
    with pytest.raises(InputError, match="not for NM"):
        read(dicom_factory("static"), suv=True)
