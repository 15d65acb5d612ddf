"""What all synthetic objects share: choices, pixels, patient, study and plane."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid


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


def expected(matrix: tuple[int, int], phase: float = 0.0) -> NDArray[np.float64]:
    """Return a smooth body with three hot spots, sum 1."""
    rows, columns = np.meshgrid(*(np.linspace(-1, 1, n) for n in matrix), indexing="ij")
    image = 0.02 + np.exp(-((rows / 0.8) ** 4) - (columns / 0.6) ** 4)
    for r, c, height, width in ((-0.5, 0.1, 3, 0.08), (0.1, -0.3, 5, 0.05), (0.5, 0.2 + 0.1 * phase, 8, 0.06)):
        image += height * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * width**2))
    return np.asarray(image / image.sum())


def poisson(choices: Choices, n: int, weights: NDArray[np.float64] | None = None) -> NDArray[np.uint16]:
    """Return n frames of Poisson counts, shape (n, rows, columns)."""
    random = np.random.default_rng(choices.seed)
    scale = choices.counts * (np.ones(n) if weights is None else weights)
    frames = [random.poisson(scale[i] * expected(choices.matrix, np.sin(i))) for i in range(n)]
    return np.minimum(frames, 32767).astype(np.uint16)


def set_pixels(ds: Dataset, pixels: NDArray[Any], *, multiframe: bool = False) -> None:
    """Store pixels of shape (n, rows, columns) and the elements that describe them."""
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape[1:]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    if multiframe:
        ds.NumberOfFrames = len(pixels)
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ds["PixelData"].VR = "OW"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def common(sop_class: str, modality: str, choices: Choices, index: int = 0) -> Dataset:
    """Return the patient, study, series, equipment and general image modules; same seed, same series."""
    uid = [str(generate_uid(entropy_srcs=[sop_class, str(choices), part])) for part in ("study", "series")]
    return item(
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


def frame_of_reference(choices: Choices) -> dict[str, Any]:
    return {"FrameOfReferenceUID": generate_uid(entropy_srcs=[str(choices), "frame"]), "PositionReferenceIndicator": ""}


def axial(choices: Choices, index: int, thickness_mm: float = 5.0) -> dict[str, Any]:
    """Return the image plane of axial slice `index`."""
    return {
        **frame_of_reference(choices),
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-120.0, -140.0, -40.0 + thickness_mm * index],
        "SliceThickness": thickness_mm,
    }


def with_elements(ds: Dataset, elements: dict[str, Any]) -> Dataset:
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds
