"""Nuclear medicine: PS3.3 section A.5."""

from copy import deepcopy
from itertools import product

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from dicom_objects.elements import (
    Choices,
    axial,
    code,
    common,
    frame_of_reference,
    item,
    poisson,
    set_pixels,
    with_elements,
)

NM = "1.2.840.10008.5.1.4.1.1.20"
RADIOPHARMACEUTICAL = item(
    Radiopharmaceutical="Tc-99m medronate",
    RadionuclideCodeSequence=[code("72454001", "SCT", "^99m^Technetium")],
    RadiopharmaceuticalStartTime="090000",
    RadionuclideTotalDose=700,  # [MBq]
)


def _nuclear(choices: Choices, kind: str, pixels: NDArray[np.uint16], vectors: dict[str, list[int]]) -> Dataset:
    """Return an NM object whose Frame Increment Pointer names `vectors`."""
    ds = common(NM, "NM", choices)
    set_pixels(ds, pixels, multiframe=True)
    ds.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    ds.PixelSpacing = list(choices.spacing_mm)
    ds.FrameIncrementPointer = [BaseTag(Tag(keyword)) for keyword in vectors]
    for keyword, values in vectors.items():
        setattr(ds, keyword, values if len(values) > 1 else values[0])
    ds.NumberOfEnergyWindows, ds.NumberOfDetectors = 1, max(vectors.get("DetectorVector", [1]))
    ds.CountsAccumulated = int(pixels.sum(dtype=np.int64))
    if kind in ("STATIC", "WHOLE BODY"):
        ds.ActualFrameDuration = 600_000
    with_elements(ds, frame_of_reference(choices))
    ds.AcquisitionTerminationCondition = "CNTS"
    ds.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [code("40199007", "SCT", "supine")]
    ds.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    window = item(EnergyWindowLowerLimit=129.5, EnergyWindowUpperLimit=150.5)
    ds.EnergyWindowInformationSequence = [item(EnergyWindowName="Tc99m", EnergyWindowRangeSequence=[window])]
    ds.RadiopharmaceuticalInformationSequence = [deepcopy(RADIOPHARMACEUTICAL)]
    ds.DetectorInformationSequence = [_detector(number) for number in range(1, ds.NumberOfDetectors + 1)]
    return ds


def _detector(number: int) -> Dataset:
    name, angle = (("anterior", 0), ("posterior", 180))[number - 1]
    view = code("255549009" if number == 1 else "255551008", "SCT", name)
    return item(
        CollimatorType="PARA",
        CollimatorGridName="LEHR",
        FieldOfViewShape="RECTANGLE",
        FieldOfViewDimensions=[540, 400],
        FocalDistance=0,
        ZoomFactor=[1, 1],
        StartAngle=angle,
        ViewCodeSequence=[view],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1] if number == 1 else [-1, 0, 0, 0, 0, -1],
        ImagePositionPatient=[-128.0, -200.0, 900.0] if number == 1 else [128.0, 200.0, 900.0],
    )


def static(choices: Choices) -> list[Dataset]:
    n = choices.frames or 1
    ds = _nuclear(choices, "STATIC", poisson(choices, n), {"EnergyWindowVector": [1] * n, "DetectorVector": [1] * n})
    return [ds]


def whole_body(choices: Choices) -> list[Dataset]:
    vectors = {"EnergyWindowVector": [1, 1], "DetectorVector": [1, 2]}
    ds = _nuclear(choices, "WHOLE BODY", poisson(choices, 2, np.array([1.0, 0.8])), vectors)
    ds.WholeBodyTechnique, ds.ScanVelocity, ds.ScanLength = "1PS", 2.0, 1900
    return [ds]


def dynamic(choices: Choices) -> list[Dataset]:
    n = choices.frames or 6
    ones = [1] * n
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": ones,
        "PhaseVector": ones,
        "TimeSliceVector": [*range(1, n + 1)],
    }
    ds = _nuclear(choices, "DYNAMIC", poisson(choices, n, np.linspace(0.2, 1, n)), vectors)
    ds.NumberOfPhases = 1
    ds.PhaseInformationSequence = [
        item(PhaseDelay=0, ActualFrameDuration=10_000, PauseBetweenFrames=0, NumberOfFramesInPhase=n)
    ]
    return [ds]


def gated(choices: Choices) -> list[Dataset]:
    n = choices.frames or 8
    ones = [1] * n
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": ones,
        "RRIntervalVector": ones,
        "TimeSlotVector": [*range(1, n + 1)],
    }
    ds = _nuclear(choices, "GATED", poisson(choices, n), vectors)
    ds.NumberOfRRIntervals, ds.NumberOfTimeSlots = 1, n
    slots = [item(TimeSlotTime=100.0) for _ in range(n)]
    data = item(FrameTime=100, NumberOfTimeSlots=n, LowRRValue=600, HighRRValue=1000, TimeSlotInformationSequence=slots)
    ds.GatedInformationSequence = [item(TriggerTime=0, BeatRejectionFlag="N", DataInformationSequence=[data])]
    return [ds]


def tomo(choices: Choices) -> list[Dataset]:
    views = (choices.frames or 16) // 2
    frames = [*product((1, 2), range(1, views + 1))]
    ones = [1] * len(frames)
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": [detector for detector, _ in frames],
        "RotationVector": ones,
        "AngularViewVector": [view for _, view in frames],
    }
    ds = _nuclear(choices, "TOMO", poisson(choices, len(frames)), vectors)
    ds.NumberOfRotations, ds.TypeOfDetectorMotion = 1, "STEP AND SHOOT"
    rotation = item(
        StartAngle=0,
        AngularStep=180 / views,
        RotationDirection="CW",
        ScanArc=180,
        ActualFrameDuration=20_000,
        RadialPosition=[250.0] * views,
        NumberOfFramesInRotation=views,
        TableTraverse=0,
        TableHeight=0,
    )
    ds.RotationInformationSequence = [rotation]
    return [ds]


def recon_tomo(choices: Choices) -> list[Dataset]:
    n = choices.frames or 8
    ds = _nuclear(choices, "RECON TOMO", poisson(choices, n), {"SliceVector": [*range(1, n + 1)]})
    ds.NumberOfSlices, ds.NumberOfRotations = n, 1
    ds.SliceThickness = ds.SpacingBetweenSlices = choices.spacing_mm[0]
    ds.AcquisitionContextSequence = []
    plane = axial(choices, 0)
    ds.DetectorInformationSequence[0].ImageOrientationPatient = plane["ImageOrientationPatient"]
    ds.DetectorInformationSequence[0].ImagePositionPatient = plane["ImagePositionPatient"]
    rotation = item(StartAngle=0, AngularStep=6, RotationDirection="CW", ScanArc=360, ActualFrameDuration=20_000)
    rotation.NumberOfFramesInRotation, rotation.RadialPosition = 60, 250.0
    ds.RotationInformationSequence = [rotation]
    return [ds]
