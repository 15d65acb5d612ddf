"""Fixtures for every test: the shared data and synthetic DICOM objects of every kind that is read or written.

The objects are written by hand, module by module of PS3.3, so that a reader or writer under test is judged by something
it had no part in. Pixels are seeded Poisson counts of a smooth body with hot spots.
"""

import os
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from photopeak.engine.bundle import Bundle, Domain, Input, Manifest, Output, Training
from photopeak.engine.frames import Frames, Units
from photopeak.engine.plan import Plan
from photopeak.engine.result import Conservation, DomainVerdict, Result

# No deadline: the first call of a kernel may have to compile it, and CI shares its cores.
settings.register_profile("photopeak", deadline=None)
settings.load_profile("photopeak")

SHARED_DATA = Path(os.environ.get("PHOTOPEAK_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))

NM, PET, ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"
CT, XA, CR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data, or skip."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the shared real data is not here: set PHOTOPEAK_SHARED_DATA to its folder")
    return SHARED_DATA


@pytest.fixture
def dicom_factory(tmp_path: Path) -> Callable[..., list[Path]]:
    """Return ``make(kind, **choices) -> list of paths``, which writes synthetic DICOM objects.

    Kinds: ``static whole-body dynamic gated tomo recon-tomo pet enhanced-pet ct xa cr dx``.
    Choices: the fields of :class:`Choices`; any of its defaults may be replaced, and ``tags={"PatientWeight": None}``
    sets or (with None) removes elements of every object. The files are in the order of the series and carry scrambled
    names.
    """

    def make(kind: str, **choices: Any) -> list[Path]:
        chosen = Choices(**choices)
        folder = tmp_path / (chosen.folder or f"{kind}-{len(list(tmp_path.iterdir()))}")
        folder.mkdir(parents=True, exist_ok=True)
        objects = KINDS[kind](chosen)
        return [
            _save(ds, folder / name, chosen) for ds, name in zip(objects, _scrambled_names(len(objects)), strict=True)
        ]

    return make


@pytest.fixture
def make_result() -> Callable[..., Result]:
    """Return ``make(frames, scale=1, conserve=None, **changes) -> Result``: a session's outcome without a model.

    The model is a 3 x 3 mean, after pixel repetition for scale 2; it keeps each frame's sum (for counts) or mean (for
    the rest), as `conserve` says. `changes` replace fields of the result, or ``name``, ``version`` and ``digest`` of
    the bundle.
    """
    return _make_result


def _make_result(frames: Frames, /, scale: int = 1, conserve: str | None = None, **changes: Any) -> Result:
    kind = conserve or ("sum" if frames.units is Units.COUNTS else "mean")
    bundle = _bundle(scale, kind, {key: changes.pop(key) for key in ("name", "version", "digest") if key in changes})
    repeated = frames.pixels.astype(np.float64).repeat(scale, axis=1).repeat(scale, axis=2)
    smoothed = np.mean([np.roll(repeated, shift, axis=(1, 2)) for shift in product((-1, 0, 1), repeat=2)], axis=0)
    output = np.asarray(smoothed / (scale**2 if kind == "sum" else 1), np.float32)
    spacing = frames.pixel_spacing_mm and (frames.pixel_spacing_mm[0] / scale, frames.pixel_spacing_mm[1] / scale)
    totals = frames.pixels.sum(axis=(1, 2), dtype=np.float64)
    fields: dict[str, Any] = {
        "frames": frames.with_pixels(output, spacing),
        "source": frames,
        "bundle": bundle,
        "plan": Plan("onnxruntime", "1.0", "cpu", "fp32", 1, 0.0, "as asked"),
        "conservation": Conservation(kind, totals, totals * 1.01, totals),  # type: ignore[arg-type]
        "judge": lambda: DomainVerdict("inside", np.zeros(len(frames)), (3.0, 5.0)),
    }
    return Result(**{**fields, **changes})


def _bundle(scale: int, conserve: str, identity: dict[str, str]) -> Bundle:
    task = "denoise" if scale == 1 else "super-resolution"
    manifest = Manifest(
        name=identity.get("name", "scint-denoise" if scale == 1 else "scint-sr-x2"),
        version=identity.get("version", "1.0.0"),
        title="Test",
        task=task,  # type: ignore[arg-type]
        licence="Apache-2.0",
        modalities=("NM",),
        input=Input(name="counts", units=Units.BECQUEREL_PER_ML if conserve == "mean" else Units.COUNTS),
        output=Output(name="image", scale=scale, conserve=conserve),  # type: ignore[arg-type]
        training=Training(
            recipe="none",
            date="2026-01-01",
            seconds=1,
            steps=1,
            matrices=("64",),
            counts_per_pixel=(1, 9),
            data=("none",),
        ),
        domain=Domain(features=("mean",), mean=(0.0,), precision=((1.0,),), limits=(3, 5)),
    )
    return Bundle(Path(), manifest, identity.get("digest", "ab" * 32), {})


@dataclass(frozen=True)
class Choices:
    """What a test may choose about a synthetic object."""

    matrix: tuple[int, int] = (64, 64)
    frames: int | None = None  # frames of a multi-frame object or slices of a series; None: the kind's own number
    counts: float = 50_000.0  # expected sum of one frame of stored values
    spacing_mm: tuple[float, float] = (4.8, 4.0)  # between rows, between columns: different, so that a swap shows
    seed: int = 0
    transfer_syntax: str = ExplicitVRLittleEndian
    folder: str = ""
    tags: dict[str, Any] = field(default_factory=dict)


def _scrambled_names(n: int) -> list[str]:
    """Return file names whose alphabetical order is not the order of the series."""
    return [f"IM{(i * 7 + 3) % max(n, 8):03d}_{i}.dcm" if n > 1 else "image.dcm" for i in range(n)]


def _save(ds: Dataset, path: Path, choices: Choices) -> Path:
    for keyword, value in choices.tags.items():
        if value is not None:
            setattr(ds, keyword, value)
        elif keyword in ds:
            delattr(ds, keyword)
    meta = ds.file_meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    if not UID(choices.transfer_syntax).is_little_endian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").byteswap().tobytes()
    if UID(choices.transfer_syntax).is_compressed:
        ds.compress(choices.transfer_syntax, generate_instance_uid=False)
    meta.TransferSyntaxUID = UID(choices.transfer_syntax)
    ds.save_as(path, enforce_file_format=True)
    return path


# ---- pixels --------------------------------------------------------------------------------------


def _expected(matrix: tuple[int, int], phase: float = 0.0) -> NDArray[np.float64]:
    """Return a smooth body with three hot spots, sum 1."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in matrix), indexing="ij")
    image = 0.02 + np.exp(-((rows / 0.8) ** 4) - (columns / 0.6) ** 4)
    for r, c, height, width in ((-0.5, 0.1, 3, 0.08), (0.1, -0.3, 5, 0.05), (0.5, 0.2 + 0.1 * phase, 8, 0.06)):
        image += height * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * width**2))
    return np.asarray(image / image.sum())


def _poisson(choices: Choices, n: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.uint16]:
    """Return n frames of Poisson counts, shape (n, rows, columns)."""
    random = np.random.default_rng(choices.seed)
    scale = choices.counts * (np.ones(n) if weights is None else weights)
    frames = [random.poisson(scale[i] * _expected(choices.matrix, np.sin(i))) for i in range(n)]
    return np.minimum(frames, 32767).astype(np.uint16)


def _set_pixels(ds: Dataset, pixels: NDArray[Any], *, multiframe: bool = False) -> None:
    """Store pixels of shape (n, rows, columns) and the elements that describe them."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if multiframe:
        ds.NumberOfFrames = len(pixels)
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ds["PixelData"].VR = "OW"


# ---- what all objects share ----------------------------------------------------------------------


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    return _item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def _item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _common(sop_class: str, modality: str, choices: Choices, index: int = 0) -> Dataset:
    """Return the patient, study, series, equipment and general image modules; same seed, same series."""
    uid = [str(generate_uid(entropy_srcs=[sop_class, str(choices), part])) for part in ("study", "series")]
    return _item(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=sop_class,
        SOPInstanceUID=generate_uid(entropy_srcs=[sop_class, str(choices), str(index)]),
        PatientName="Phantom^Jürgen",
        PatientID="PHANTOM-1",
        PatientBirthDate="19600101",
        PatientSex="M",
        PatientSize=1.75,
        PatientWeight=70,
        StudyInstanceUID=uid[0],
        StudyDate="20240501",
        StudyTime="100000",
        StudyID="1",
        AccessionNumber="A-17",
        ReferringPhysicianName="",
        SeriesInstanceUID=uid[1],
        Modality=modality,
        SeriesNumber=3,
        SeriesDate="20240501",
        SeriesTime="100500",
        SeriesDescription="Synthetic",
        BodyPartExamined="CHEST",
        Manufacturer="Photopeak tests",
        ManufacturerModelName="Synthetic",
        SoftwareVersions="1",
        DeviceSerialNumber="1",
        InstanceNumber=index + 1,
        ContentDate="20240501",
        ContentTime="100600",
        AcquisitionDate="20240501",
        AcquisitionTime="100500",
        ImageType=["ORIGINAL", "PRIMARY"],
        LossyImageCompression="00",
    )


def _frame_of_reference(choices: Choices) -> dict[str, Any]:
    return {"FrameOfReferenceUID": generate_uid(entropy_srcs=[str(choices), "frame"]), "PositionReferenceIndicator": ""}


def _axial(choices: Choices, index: int, thickness_mm: float = 5.0) -> dict[str, Any]:
    """Return the image plane of axial slice `index`."""
    return {
        **_frame_of_reference(choices),
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-120.0, -140.0, -40.0 + thickness_mm * index],
        "SliceThickness": thickness_mm,
    }


RADIOPHARMACEUTICALS = {
    "NM": _item(
        Radiopharmaceutical="Tc-99m medronate",
        RadionuclideCodeSequence=[_code("72454001", "SCT", "^99m^Technetium")],
        RadiopharmaceuticalStartTime="090000",
        RadionuclideTotalDose=700,  # [MBq]
    ),
    "PT": _item(
        Radiopharmaceutical="FDG",
        RadionuclideCodeSequence=[_code("77004003", "SCT", "^18^Fluorine")],
        RadiopharmaceuticalCodeSequence=[_code("35321007", "SCT", "Fluorodeoxyglucose F^18^")],
        RadiopharmaceuticalStartTime="090000",
        RadiopharmaceuticalStartDateTime="20240501090000",
        RadionuclideTotalDose=370e6,  # [Bq]
        RadionuclideHalfLife=6586.2,
        RadionuclidePositronFraction=0.967,
    ),
}


# ---- nuclear medicine ----------------------------------------------------------------------------


def _nuclear(choices: Choices, kind: str, pixels: NDArray[np.uint16], vectors: dict[str, list[int]]) -> Dataset:
    """Return an NM object whose Frame Increment Pointer names `vectors`."""
    ds = _common(NM, "NM", choices)
    _set_pixels(ds, pixels, multiframe=True)
    ds.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    ds.PixelSpacing = list(choices.spacing_mm)
    ds.FrameIncrementPointer = [BaseTag(Tag(keyword)) for keyword in vectors]
    for keyword, values in vectors.items():
        setattr(ds, keyword, values if len(values) > 1 else values[0])
    ds.NumberOfEnergyWindows, ds.NumberOfDetectors = 1, max(vectors.get("DetectorVector", [1]))
    ds.CountsAccumulated = int(pixels.sum(dtype=np.int64))
    if kind in ("STATIC", "WHOLE BODY"):
        ds.ActualFrameDuration = 600_000
    _with(ds, _frame_of_reference(choices))
    ds.AcquisitionTerminationCondition = "CNTS"
    ds.PatientOrientationCodeSequence = [_code("102538003", "SCT", "recumbent")]
    ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [_code("40199007", "SCT", "supine")]
    ds.PatientGantryRelationshipCodeSequence = [_code("102540008", "SCT", "headfirst")]
    window = _item(EnergyWindowLowerLimit=129.5, EnergyWindowUpperLimit=150.5)
    ds.EnergyWindowInformationSequence = [_item(EnergyWindowName="Tc99m", EnergyWindowRangeSequence=[window])]
    ds.RadiopharmaceuticalInformationSequence = [deepcopy(RADIOPHARMACEUTICALS["NM"])]
    ds.DetectorInformationSequence = [_detector(number) for number in range(1, ds.NumberOfDetectors + 1)]
    return ds


def _detector(number: int) -> Dataset:
    name, angle = (("anterior", 0), ("posterior", 180))[number - 1]
    code = _code("255549009" if number == 1 else "255551008", "SCT", name)
    return _item(
        CollimatorType="PARA",
        CollimatorGridName="LEHR",
        FieldOfViewShape="RECTANGLE",
        FieldOfViewDimensions=[540, 400],
        FocalDistance=0,
        ZoomFactor=[1, 1],
        StartAngle=angle,
        ViewCodeSequence=[code],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1] if number == 1 else [-1, 0, 0, 0, 0, -1],
        ImagePositionPatient=[-128.0, -200.0, 900.0] if number == 1 else [128.0, 200.0, 900.0],
    )


def _static(choices: Choices) -> list[Dataset]:
    n = choices.frames or 1
    ds = _nuclear(choices, "STATIC", _poisson(choices, n), {"EnergyWindowVector": [1] * n, "DetectorVector": [1] * n})
    return [ds]


def _whole_body(choices: Choices) -> list[Dataset]:
    vectors = {"EnergyWindowVector": [1, 1], "DetectorVector": [1, 2]}
    ds = _nuclear(choices, "WHOLE BODY", _poisson(choices, 2, np.array([1.0, 0.8])), vectors)
    ds.WholeBodyTechnique, ds.ScanVelocity, ds.ScanLength = "1PS", 2.0, 1900
    return [ds]


def _dynamic(choices: Choices) -> list[Dataset]:
    n = choices.frames or 6
    ones = [1] * n
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": ones,
        "PhaseVector": ones,
        "TimeSliceVector": [*range(1, n + 1)],
    }
    ds = _nuclear(choices, "DYNAMIC", _poisson(choices, n, np.linspace(0.2, 1, n)), vectors)
    ds.NumberOfPhases = 1
    ds.PhaseInformationSequence = [
        _item(PhaseDelay=0, ActualFrameDuration=10_000, PauseBetweenFrames=0, NumberOfFramesInPhase=n)
    ]
    return [ds]


def _gated(choices: Choices) -> list[Dataset]:
    n = choices.frames or 8
    ones = [1] * n
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": ones,
        "RRIntervalVector": ones,
        "TimeSlotVector": [*range(1, n + 1)],
    }
    ds = _nuclear(choices, "GATED", _poisson(choices, n), vectors)
    ds.NumberOfRRIntervals, ds.NumberOfTimeSlots = 1, n
    slots = [_item(TimeSlotTime=100.0) for _ in range(n)]
    data = _item(
        FrameTime=100, NumberOfTimeSlots=n, LowRRValue=600, HighRRValue=1000, TimeSlotInformationSequence=slots
    )
    ds.GatedInformationSequence = [_item(TriggerTime=0, BeatRejectionFlag="N", DataInformationSequence=[data])]
    return [ds]


def _tomo(choices: Choices) -> list[Dataset]:
    views = (choices.frames or 16) // 2
    frames = [*product((1, 2), range(1, views + 1))]
    ones = [1] * len(frames)
    vectors = {
        "EnergyWindowVector": ones,
        "DetectorVector": [detector for detector, _ in frames],
        "RotationVector": ones,
        "AngularViewVector": [view for _, view in frames],
    }
    ds = _nuclear(choices, "TOMO", _poisson(choices, len(frames)), vectors)
    ds.NumberOfRotations, ds.TypeOfDetectorMotion = 1, "STEP AND SHOOT"
    rotation = _item(
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


def _recon_tomo(choices: Choices) -> list[Dataset]:
    n = choices.frames or 8
    ds = _nuclear(choices, "RECON TOMO", _poisson(choices, n), {"SliceVector": [*range(1, n + 1)]})
    ds.NumberOfSlices, ds.NumberOfRotations = n, 1
    ds.SliceThickness = ds.SpacingBetweenSlices = choices.spacing_mm[0]
    ds.AcquisitionContextSequence = []
    plane = _axial(choices, 0)
    ds.DetectorInformationSequence[0].ImageOrientationPatient = plane["ImageOrientationPatient"]
    ds.DetectorInformationSequence[0].ImagePositionPatient = plane["ImagePositionPatient"]
    rotation = _item(StartAngle=0, AngularStep=6, RotationDirection="CW", ScanArc=360, ActualFrameDuration=20_000)
    rotation.NumberOfFramesInRotation, rotation.RadialPosition = 60, 250.0
    ds.RotationInformationSequence = [rotation]
    return [ds]


# ---- PET and CT ----------------------------------------------------------------------------------


def _pet(choices: Choices) -> list[Dataset]:
    """Return axial slices in Bq/ml, each with its own Rescale Slope; body-weight SUV can be computed."""
    n = choices.frames or 5
    slices = []
    for index, pixels in enumerate(_poisson(choices, n)):
        ds = _common(PET, "PT", choices, index)
        _set_pixels(ds, pixels[np.newaxis].astype(np.int16))
        elements = {
            **_axial(choices, index),
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
            "RadiopharmaceuticalInformationSequence": [deepcopy(RADIOPHARMACEUTICALS["PT"])],
            "PatientOrientationCodeSequence": [_code("102538003", "SCT", "recumbent")],
            "PatientGantryRelationshipCodeSequence": [_code("102540008", "SCT", "headfirst")],
            "WindowCenter": float(pixels.max()) * 20,
            "WindowWidth": float(pixels.max()) * 40,
        }
        slices.append(_with(ds, elements))
    return slices


def _with(ds: Dataset, elements: dict[str, Any]) -> Dataset:
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def _ct(choices: Choices) -> list[Dataset]:
    """Return axial slices in HU: signed stored values, Rescale Intercept -1024."""
    slices = []
    for index in range(choices.frames or 4):
        noise = np.random.default_rng(choices.seed + index).normal(0, 20, choices.matrix)
        body = _expected(choices.matrix, index)
        pixels = np.rint(24 + 1100 * body / body.max() + noise).astype(np.int16)
        ds = _common(CT, "CT", choices, index)
        _set_pixels(ds, pixels[np.newaxis])
        elements = {
            **_axial(choices, index),
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
        slices.append(_with(ds, elements))
    return slices


def _enhanced_pet(choices: Choices) -> list[Dataset]:
    """Return one multi-frame object with functional groups, a slope per frame."""
    n = choices.frames or 4
    ds = _common(ENHANCED_PET, "PT", choices)
    _set_pixels(ds, _poisson(choices, n), multiframe=True)
    _with(ds, _ENHANCED_PET)
    del ds.AcquisitionDate, ds.AcquisitionTime
    ds.RadiopharmaceuticalInformationSequence = [deepcopy(RADIOPHARMACEUTICALS["PT"])]
    _with(ds, _frame_of_reference(choices))
    agent = ds.RadiopharmaceuticalInformationSequence[0]
    del agent.Radiopharmaceutical, agent.RadiopharmaceuticalStartTime
    agent.RadiopharmaceuticalAgentNumber, agent.RadiopharmaceuticalStopDateTime = 1, ""
    agent.RadiopharmaceuticalVolume, agent.RadiopharmaceuticalSpecificActivity = "", ""
    agent.AdministrationRouteCodeSequence = [_code("47625008", "SCT", "Intravenous route")]
    ds.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=generate_uid(entropy_srcs=["dimension"]))]
    pointer = _item(DimensionOrganizationUID=ds.DimensionOrganizationSequence[0].DimensionOrganizationUID)
    pointer.DimensionIndexPointer, pointer.FunctionalGroupPointer = (
        Tag("InStackPositionNumber"),
        Tag("FrameContentSequence"),
    )
    ds.DimensionIndexSequence = [pointer]
    measures = _item(PixelSpacing=list(choices.spacing_mm), SliceThickness=5.0, SpacingBetweenSlices=5.0)
    frame_type = _item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME")
    frame_type.VolumetricProperties, frame_type.VolumeBasedCalculationTechnique = "VOLUME", "NONE"
    anatomy = _item(AnatomicRegionSequence=[_code("51185008", "SCT", "Chest")], FrameLaterality="U")
    ds.SharedFunctionalGroupsSequence = [
        _item(
            PixelMeasuresSequence=[measures],
            PlaneOrientationSequence=[_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PETFrameTypeSequence=[frame_type],
            FrameAnatomySequence=[anatomy],
            RadiopharmaceuticalUsageSequence=[_item(RadiopharmaceuticalAgentNumber=1)],
            PETFrameCorrectionFactorsSequence=[_item(**_PET_CORRECTIONS)],
            PETFrameAcquisitionSequence=[
                _item(TableHeight=800.0, GantryDetectorTilt=0.0, GantryDetectorSlew=0.0, DataCollectionDiameter=700.0)
            ],
            PETDetectorMotionDetailsSequence=[_item(RotationDirection="CW", RevolutionTime=1.0)],
            PETPositionSequence=[_item(**_PET_POSITION)],
            PETReconstructionSequence=[_item(**_PET_RECONSTRUCTION)],
            FrameVOILUTSequence=[_item(WindowCenter=5000, WindowWidth=10000)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [_pet_frame(choices, i) for i in range(n)]
    return [ds]


def _pet_frame(choices: Choices, index: int) -> Dataset:
    content = _item(
        FrameReferenceDateTime="20240501100500",
        FrameAcquisitionDateTime="20240501100500",
        FrameAcquisitionDuration=120_000.0,
        FrameAcquisitionNumber=1,
        DimensionIndexValues=[index + 1],
        StackID="1",
        TemporalPositionIndex=1,
        InStackPositionNumber=index + 1,
    )
    return _item(
        FrameContentSequence=[content],
        PlanePositionSequence=[_item(ImagePositionPatient=_axial(choices, index)["ImagePositionPatient"])],
        PixelValueTransformationSequence=[_item(RescaleIntercept=0, RescaleSlope=40.0 + 3.5 * index, RescaleType="US")],
        RealWorldValueMappingSequence=[_activity_mapping(40.0 + 3.5 * index)],
    )


def _activity_mapping(slope: float) -> Dataset:
    return _item(
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=65535,
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope,
        LUTExplanation="activity",
        LUTLabel="BQML",
        MeasurementUnitsCodeSequence=[_code("Bq/ml", "UCUM", "Becquerels/milliliter")],
    )


_ENHANCED_PET: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "PresentationLUTShape": "IDENTITY",
    "ContentQualification": "RESEARCH",
    "BurnedInAnnotation": "NO",
    "AcquisitionDateTime": "20240501100500",
    "AcquisitionDuration": 120.0,
    "AcquisitionNumber": 1,
    "AcquisitionContextSequence": [],
    "AcquisitionStartCondition": "MANU",
    "AcquisitionTerminationCondition": "TIME",
    "TerminationTimeThreshold": 120.0,
    "CollimatorType": "NONE",
    "TypeOfDetectorMotion": "STATIONARY",
    "DetectorGeometry": "CYLINDRICAL_RING",
    "TransverseDetectorSeparation": 4.0,
    "AxialDetectorDimension": 4.0,
    "CoincidenceWindowWidth": 4.5,
    "EnergyWindowRangeSequence": [_item(EnergyWindowLowerLimit=435, EnergyWindowUpperLimit=650)],
    "TableMotion": "STATIC",
    "TimeOfFlightInformationUsed": "FALSE",
    "ViewCodeSequence": [_code("62824007", "SCT", "Transverse")],
    "DecayCorrected": "YES",
    "DecayCorrectionDateTime": "20240501100500",
    "AttenuationCorrected": "YES",
    "AttenuationCorrectionSource": "CT",
    "AttenuationCorrectionTemporalRelationship": "SIMULTANEOUS",
    "ScatterCorrected": "YES",
    "ScatterCorrectionMethod": "MODEL",
    "DeadTimeCorrected": "YES",
    "GantryMotionCorrected": "NO",
    "PatientMotionCorrected": "NO",
    "CountLossNormalizationCorrected": "YES",
    "RandomsCorrected": "YES",
    "RandomsCorrectionMethod": "DLYD",
    "NonUniformRadialSamplingCorrected": "NO",
    "SensitivityCalibrated": "YES",
    "DetectorNormalizationCorrection": "YES",
    "CountsSource": "EMISSION",
}

_PET_CORRECTIONS = {
    "PrimaryPromptsCountsAccumulated": 10**6,
    "SliceSensitivityFactor": 1.0,
    "DecayFactor": 1.0,
    "ScatterFractionFactor": 0.3,
    "DeadTimeFactor": 1.0,
}
_PET_POSITION = {
    "TablePosition": 0.0,
    "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
    "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
}
_PET_RECONSTRUCTION = {
    "ReconstructionAlgorithm": "REPROJECTION",
    "ReconstructionType": "3D",
    "IterativeReconstructionMethod": "YES",
    "NumberOfIterations": 3,
    "NumberOfSubsets": 21,
    "ReconstructionDiameter": 256.0,
}

# ---- X-ray ---------------------------------------------------------------------------------------


def _xray_pixels(choices: Choices, n: int, bits: int) -> NDArray[np.uint16]:
    """Return attenuation-like frames that use `bits` bits."""
    top = 2**bits - 1
    frames = []
    for i in range(n):
        body = _expected(choices.matrix, np.sin(i))
        frames.append(np.random.default_rng(choices.seed + i).poisson(0.8 * top * np.exp(-2 * body / body.max())))
    return np.asarray(np.minimum(frames, top), np.uint16)


def _xa(choices: Choices) -> list[Dataset]:
    n = choices.frames or 3
    ds = _common(XA, "XA", choices)
    _set_pixels(ds, _xray_pixels(choices, n, 12), multiframe=True)
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
    return [_with(ds, elements)]


def _cr(choices: Choices) -> list[Dataset]:
    ds = _common(CR, "CR", choices)
    _set_pixels(ds, _xray_pixels(choices, 1, 12))
    elements = {
        "BitsStored": 12,
        "HighBit": 11,
        "ViewPosition": "PA",
        "KVP": 120,
        "PhotometricInterpretation": "MONOCHROME1",
    }
    elements |= {"ImagerPixelSpacing": list(choices.spacing_mm), "PatientOrientation": ["L", "F"]}
    elements |= {"WindowCenter": 2048, "WindowWidth": 4096}
    return [_with(ds, elements)]


def _dx(choices: Choices) -> list[Dataset]:
    ds = _common(DX, "DX", choices)
    _set_pixels(ds, _xray_pixels(choices, 1, 14))
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
        "AnatomicRegionSequence": [_code("51185008", "SCT", "Chest")],
        "DetectorType": "SCINTILLATOR",
        "DetectorConfiguration": "AREA",
        "DetectorID": "1",
        "ImagerPixelSpacing": list(choices.spacing_mm),
        "PositionerType": "NONE",
        "ViewCodeSequence": [_code("399348003", "SCT", "antero-posterior")],
        "AcquisitionContextSequence": [],
        "WindowCenter": 8192,
        "WindowWidth": 16384,
    }
    return [_with(ds, elements)]


KINDS: dict[str, Callable[[Choices], list[Dataset]]] = {
    "static": _static,
    "whole-body": _whole_body,
    "dynamic": _dynamic,
    "gated": _gated,
    "tomo": _tomo,
    "recon-tomo": _recon_tomo,
    "pet": _pet,
    "enhanced-pet": _enhanced_pet,
    "ct": _ct,
    "xa": _xa,
    "cr": _cr,
    "dx": _dx,
}
