"""Simulations as DICOM objects: nuclear medicine, PET and CT images that say that they are simulated.

The same request gives the same objects, bit for bit: UIDs are made from what the objects hold, and dates are fixed.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import version
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    CTImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
)

from ...engine.dicom.derived.codes import code, item
from ...engine.dicom.derived.magnify import decimals
from ...engine.dicom.derived.values import (
    Scale,
    Stored,
    ladder_slope,
    peak_slopes,
    round_to_stored,
    set_pixels,
    unit_mapping,
)
from ...engine.dicom.write import encode
from ...engine.frames import Units
from .simulation import Phantom, Request, Simulation

__all__ = ["files"]

DATE, TIME = "20200101", "120000"
_AXIAL = [1, 0, 0, 0, 1, 0]
_RECUMBENT, _SUPINE = ("102538003", "SCT", "recumbent"), ("40199007", "SCT", "supine")
_HEADFIRST = ("102540008", "SCT", "headfirst")
_VIEWS = {
    # Angle from the patient's back, code, direction of rows and columns, and where the first pixel lies, PS3.3 C.8.4.10.
    "anterior": (180, ("255549009", "SCT", "anterior"), [1, 0, 0, 0, 0, -1], (-1, -1)),
    "posterior": (0, ("255551008", "SCT", "posterior"), [-1, 0, 0, 0, 0, -1], (1, 1)),
}
_DEPTH_MM = 200.0  # of a planar detector from the middle of the patient


def files(simulation: Simulation, phantom: Phantom, request: Request) -> Iterator[bytes]:
    """Yield the DICOM files of a simulation: one for nuclear medicine, one per slice for PET and CT.

    Parameters
    ----------
    simulation : Simulation
        Pixels and physics.
    phantom : Phantom
        Names the patient and the series.
    request : Request
        What was asked for; stated in the header.

    References
    ----------
    * PS3.3 A.5 (NM), A.21 (PET), A.3 (CT).
    """
    makers: dict[str, Callable[[Simulation, Dataset], Iterator[Dataset]]] = {"PET": _pet, "CT": _ct}
    header = _header(simulation, phantom, request)
    for ds in makers.get(simulation.kind, _nuclear)(simulation, header):
        yield encode(ds)


def _header(simulation: Simulation, phantom: Phantom, request: Request) -> Dataset:
    """Return patient, study, series, equipment and what says that all of it is simulated."""
    name = phantom.name.removesuffix("-early").removesuffix("-late")
    patient = f"{name}, seed {request.seed}"
    digest = sha256(np.ascontiguousarray(simulation.pixels).tobytes()).hexdigest()
    series = (phantom.name, repr(request), digest, version("photopeak"))
    noise = "expectation without noise" if request.noise_free else "with noise"
    story = (
        f"Simulated image of a phantom, no patient: {phantom.name}, seed {request.seed}, {request.counts:g} times clinical counts, "
        f"{noise}. {simulation.physics}"
    )
    ds = item(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=f"PHANTOM^{name.upper()}",
        PatientID=f"PHANTOM-{request.seed}",
        PatientBirthDate="",
        PatientSex="O",
        PatientSize=1.7,
        PatientWeight=70,
        PatientComments="Simulated phantom",
        QualityControlSubject="YES",
        StudyInstanceUID=_uid("study", patient),
        StudyDate=DATE,
        StudyTime=TIME,
        StudyID=str(request.seed)[:16],
        StudyDescription="Simulation",
        AccessionNumber="",
        ReferringPhysicianName="",
        SeriesInstanceUID=_uid("series", *series),
        SeriesNumber=1,
        SeriesDate=DATE,
        SeriesTime=TIME,
        SeriesDescription=(simulation.series or f"{phantom.name} simulated")[:64],
        FrameOfReferenceUID=_uid("frame of reference", patient),
        PositionReferenceIndicator="",
        Manufacturer="Photopeak",
        ManufacturerModelName="photopeak phantom",
        SoftwareVersions=version("photopeak"),
        ContentDate=DATE,
        ContentTime=TIME,
        AcquisitionDate=DATE,
        AcquisitionTime=TIME,
        DerivationDescription=story[:1024],
        ImageComments=story,
        LossyImageCompression="00",
        InstanceNumber=1,
    )
    ds.PhotometricInterpretation = "MONOCHROME2"
    if simulation.after_injection_min is not None:
        ds.SeriesTime = ds.ContentTime = ds.AcquisitionTime = _clock(simulation.after_injection_min)
        ds.StudyTime, ds.SeriesNumber = _clock(0), 1 + (simulation.after_injection_min >= 60)
    if simulation.body_part:
        ds.BodyPartExamined = simulation.body_part
    else:
        ds.Laterality = ""
    return ds


def _nuclear(simulation: Simulation, ds: Dataset) -> Iterator[Dataset]:
    """Yield the one object of a nuclear medicine study; stored values are counts wherever these are whole."""
    pixels = simulation.pixels
    n = len(pixels)
    slope = ladder_slope(pixels, 65535)
    stored = round_to_stored(np.maximum(pixels, 0), Scale(np.full(n, slope), np.zeros(n)), signed=False)
    ds.SOPClassUID, ds.Modality = NuclearMedicineImageStorage, "NM"
    ds.SOPInstanceUID = _uid("instance", ds.SeriesInstanceUID)
    ds.ImageType = ["DERIVED", "PRIMARY", simulation.kind, "EMISSION"]
    ds.NumberOfFrames = n
    set_pixels(ds, stored)
    if slope != 1:
        ds.RealWorldValueMappingSequence = [unit_mapping(Units.COUNTS, slope, signed=False)]
    ds.PixelSpacing = decimals([simulation.pixel_mm] * 2)
    ds.CountsAccumulated = round(float(pixels.sum(dtype=np.float64)))
    ds.NumberOfEnergyWindows = 1
    window = item(EnergyWindowLowerLimit=126.0, EnergyWindowUpperLimit=154.0)
    ds.EnergyWindowInformationSequence = [item(EnergyWindowName="Tc99m", EnergyWindowRangeSequence=[window])]
    ds.RadiopharmaceuticalInformationSequence = [_technetium(simulation)]
    _lie(ds)
    {"TOMO": _views, "RECON TOMO": _reconstructed}.get(simulation.kind, _planar)(simulation, ds)
    ds.AcquisitionContextSequence = []
    _show(ds, np.array([0.0, float(np.quantile(stored.values, 0.998)) or 1.0]))
    yield ds


def _planar(simulation: Simulation, ds: Dataset) -> None:
    """Describe the frames of static and whole-body studies: one detector for each view."""
    n = len(simulation.pixels)
    ones = [1] * n if n > 1 else 1
    ds.EnergyWindowVector, ds.DetectorVector = ones, [*range(1, n + 1)] if n > 1 else 1
    ds.FrameIncrementPointer = [Tag("EnergyWindowVector"), Tag("DetectorVector")]
    ds.NumberOfDetectors = n
    ds.ActualFrameDuration = max(round(1000 * simulation.duration_s), 1)
    ds.DetectorInformationSequence = [_detector(simulation, name) for name in simulation.views]
    if simulation.kind == "WHOLE BODY":
        length = round(simulation.pixels.shape[1] * simulation.pixel_mm)
        ds.WholeBodyTechnique, ds.ScanLength = "1PS", length
        ds.ScanVelocity = decimals([length / simulation.duration_s])[0]
    else:
        ds.AcquisitionTerminationCondition = "TIME"


def _views(simulation: Simulation, ds: Dataset) -> None:
    """Describe the views of a SPECT acquisition."""
    n = len(simulation.pixels)
    ds.EnergyWindowVector, ds.DetectorVector, ds.RotationVector = [1] * n, [1] * n, [1] * n
    ds.AngularViewVector = [*range(1, n + 1)]
    names = ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector")
    ds.FrameIncrementPointer = [Tag(name) for name in names]
    ds.NumberOfDetectors, ds.NumberOfRotations, ds.TypeOfDetectorMotion = 1, 1, "STEP AND SHOOT"
    ds.DetectorInformationSequence = [_detector(simulation, "anterior")]
    del ds.DetectorInformationSequence[0].ViewCodeSequence
    ds.RotationInformationSequence = [_rotation(simulation)]


def _reconstructed(simulation: Simulation, ds: Dataset) -> None:
    """Describe the slices of a reconstruction, from the feet to the head."""
    n = len(simulation.pixels)
    ds.SliceVector, ds.FrameIncrementPointer = [*range(1, n + 1)], [Tag("SliceVector")]
    ds.NumberOfSlices, ds.NumberOfRotations, ds.NumberOfDetectors = n, 1, 1
    ds.SliceThickness = ds.SpacingBetweenSlices = decimals([simulation.pixel_mm])[0]
    detector = _detector(simulation, "anterior")
    del detector.ViewCodeSequence
    detector.ImageOrientationPatient = _AXIAL
    detector.ImagePositionPatient = _first_voxel(simulation)
    ds.DetectorInformationSequence = [detector]
    ds.RotationInformationSequence = [_rotation(simulation)]


def _rotation(simulation: Simulation) -> Dataset:
    """Return the item that describes the camera's way: from the front over the patient's left, PS3.3 C.8.4.12."""
    turn = simulation.turn
    assert turn is not None, "a SPECT study has a turn"
    rotation = item(
        StartAngle=180,
        AngularStep=decimals([360 / turn.views])[0],
        RotationDirection="CW",
        ScanArc=360,
        ActualFrameDuration=max(round(1000 * turn.view_s), 1),
        NumberOfFramesInRotation=turn.views,
        TableTraverse=0,
        TableHeight=0,
    )
    rotation.RadialPosition = [turn.radius_mm] * (turn.views if simulation.kind == "TOMO" else 1)
    return rotation


def _detector(simulation: Simulation, view: str) -> Dataset:
    """Return the item of a detector."""
    rows, columns = simulation.pixels.shape[1:]
    angle, view_code, orientation, (across, away) = _VIEWS[view]
    half = (columns - 1) / 2 * simulation.pixel_mm, (rows - 1) / 2 * simulation.pixel_mm
    return item(
        CollimatorType="PARA",
        CollimatorGridName="LEHR",
        FieldOfViewShape="RECTANGLE",
        FieldOfViewDimensions=[round(columns * simulation.pixel_mm), round(rows * simulation.pixel_mm)],
        FocalDistance=0,
        ZoomFactor=[1, 1],
        StartAngle=angle,
        ViewCodeSequence=[code(view_code)],
        ImageOrientationPatient=orientation,
        ImagePositionPatient=decimals([across * half[0], away * _DEPTH_MM, half[1]]),
    )


def _pet(simulation: Simulation, header: Dataset) -> Iterator[Dataset]:
    """Yield PET slices in Bq/ml, each with its own rescale slope."""
    pixels = np.maximum(simulation.pixels, 0)
    slopes = peak_slopes(pixels)
    stored = round_to_stored(pixels, Scale(slopes, np.zeros(len(pixels))), signed=True)
    tracer = _fluorine(simulation)
    for index in range(len(pixels)):
        ds = _slice(simulation, header, index, PositronEmissionTomographyImageStorage, "PT")
        _set_slice(ds, stored.values[index])
        ds.ImageType = ["DERIVED", "PRIMARY"]
        ds.RescaleSlope, ds.RescaleIntercept = decimals([slopes[index]])[0], 0
        ds.Units, ds.CountsSource, ds.SeriesType = "BQML", "EMISSION", ["STATIC", "IMAGE"]
        ds.NumberOfSlices, ds.ImageIndex = len(pixels), index + 1
        ds.CorrectedImage = ["NORM", "ATTN", "DECY", "SCAT", "DTIM", "RAN"]
        ds.RandomsCorrectionMethod, ds.AttenuationCorrectionMethod = "DLYD", "SIMULATED"
        ds.ScatterCorrectionMethod, ds.ReconstructionMethod = "SIMULATED", "OSEM"
        ds.CollimatorType, ds.DecayCorrection, ds.DecayFactor = "NONE", "START", 1.0
        ds.FrameReferenceTime = 0
        ds.ActualFrameDuration = max(round(1000 * simulation.duration_s), 1)
        ds.RadiopharmaceuticalInformationSequence = [tracer]
        _lie(ds)
        _show(ds, np.array([0.0, float(pixels.max()) or 1.0]))
        yield ds


def _ct(simulation: Simulation, header: Dataset) -> Iterator[Dataset]:
    """Yield CT slices in whole Hounsfield units."""
    pixels = np.clip(simulation.pixels, -1024, 31743)
    one = Scale(np.ones(len(pixels)), np.full(len(pixels), -1024.0))
    stored = round_to_stored(np.asarray(pixels, np.float32), one, signed=True, keep_sum=False)
    for index in range(len(pixels)):
        ds = _slice(simulation, header, index, CTImageStorage, "CT")
        _set_slice(ds, stored.values[index])
        ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = 1, -1024, "HU"
        ds.PatientPosition, ds.KVP, ds.AcquisitionNumber = "HFS", 120, 1
        _show(ds, np.array([-160.0, 240.0]))
        yield ds


def _slice(simulation: Simulation, header: Dataset, index: int, sop_class: str, modality: str) -> Dataset:
    """Return the header of a transverse slice."""
    ds = Dataset()
    ds.update(header)
    ds.SOPClassUID, ds.Modality = sop_class, modality
    ds.SOPInstanceUID = _uid("instance", header.SeriesInstanceUID, str(index))
    ds.InstanceNumber = index + 1
    ds.PixelSpacing = decimals([simulation.pixel_mm] * 2)
    x, y, z = _first_voxel(simulation)
    ds.ImageOrientationPatient = _AXIAL
    ds.ImagePositionPatient = decimals([float(x), float(y), float(z) + index * simulation.pixel_mm])
    ds.SliceThickness = decimals([simulation.pixel_mm])[0]
    return ds


def _first_voxel(simulation: Simulation) -> list[Any]:
    """Return where the centre of the first voxel lies; the middle of the volume is the origin."""
    n, rows, columns = simulation.pixels.shape
    return decimals([-(size - 1) / 2 * simulation.pixel_mm for size in (columns, rows, n)])


def _set_slice(ds: Dataset, values: NDArray[Any]) -> None:
    """Write the stored values of one slice."""
    set_pixels(ds, Stored(values[np.newaxis], Scale(np.ones(1), np.zeros(1))))


def _lie(ds: Dataset) -> None:
    """Say that the phantom lies on its back, head first."""
    lying = code(_RECUMBENT)
    lying.PatientOrientationModifierCodeSequence = [code(_SUPINE)]
    ds.PatientOrientationCodeSequence = [lying]
    ds.PatientGantryRelationshipCodeSequence = [code(_HEADFIRST)]


def _show(ds: Dataset, limits: NDArray[np.float64]) -> None:
    """Set the window to a range of values."""
    low, high = (float(limit) for limit in limits)
    ds.WindowCenter, ds.WindowWidth = decimals([(low + high) / 2])[0], decimals([max(high - low, 1.0)])[0]


def _technetium(simulation: Simulation) -> Dataset:
    """Return the item of a technetium tracer; the dose is in MBq here, PS3.3 C.8.4.10."""
    tracer = simulation.tracer
    assert tracer is not None, "an emission study has a tracer"
    return item(
        Radiopharmaceutical=tracer.agent,
        RadionuclideCodeSequence=[code(("72454001", "SCT", "^99m^Technetium"))],
        RadiopharmaceuticalStartTime=_clock(0),
        RadionuclideTotalDose=decimals([tracer.activity_mbq])[0],
    )


def _fluorine(simulation: Simulation) -> Dataset:
    """Return the item of a fluorine tracer; the dose is in Bq here, PS3.3 C.8.9.2."""
    tracer = simulation.tracer
    assert tracer is not None, "an emission study has a tracer"
    return item(
        Radiopharmaceutical=tracer.agent,
        RadionuclideCodeSequence=[code(("77004003", "SCT", "^18^Fluorine"))],
        RadiopharmaceuticalCodeSequence=[code(("35321007", "SCT", "Fluorodeoxyglucose F^18^"))],
        RadiopharmaceuticalStartTime="110000",
        RadiopharmaceuticalStartDateTime=f"{DATE}110000",
        RadionuclideTotalDose=decimals([1e6 * tracer.activity_mbq])[0],
        RadionuclideHalfLife=6586.2,
        RadionuclidePositronFraction=0.967,
    )


def _clock(minutes: float) -> str:
    """Return the time of day so long after the injection, which is at ten o'clock."""
    return f"{10 + int(minutes // 60):02d}{int(minutes % 60):02d}{round(60 * (minutes % 1)):02d}"


def _uid(*parts: str) -> str:
    """Return the UID that belongs to these words, PS3.5 B.2."""
    digest = sha256("|".join(["photopeak phantom", *parts]).encode()).digest()
    return f"2.25.{UUID(bytes=digest[:16], version=5).int}"
