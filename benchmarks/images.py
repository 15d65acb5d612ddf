"""Images that benchmarks run on: a body with hot spots, as a gamma camera would count it, and test objects."""

from math import erf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, NuclearMedicineImageStorage

from ..engine.matrix import MatrixSize

__all__ = ["FIELD_OF_VIEW_MM", "counts", "edge", "texture", "write_nm"]

FIELD_OF_VIEW_MM = 614.4
UID_ROOT = "2.25.303905214967300821937"
ANTERIOR, POSTERIOR = (
    ("255549009", "Anterior"),
    ("255551008", "Posterior"),
)


def counts(matrix: MatrixSize, frames: int = 1) -> NDArray[np.uint16]:
    """Return Poisson counts of an ellipse with three hot spots, the same on every call.

    Parameters
    ----------
    matrix : MatrixSize
        Rows and columns.
    frames : int
        Number of frames.

    Returns
    -------
    ndarray, shape (frames, rows, columns), uint16
        Counts per pixel [counts]; about 4 in the body, 40 in the spots, 0.1 elsewhere.

    Examples
    --------
    >>> counts(MatrixSize(64, 64), frames=2).shape
    (2, 64, 64)
    """
    y = np.linspace(-1, 1, matrix.rows)[:, np.newaxis]
    x = np.linspace(-1, 1, matrix.columns)
    mean = np.where((x / 0.7) ** 2 + (y / 0.9) ** 2 < 1, 4.0, 0.1)
    for row, column in ((-0.5, 0.0), (0.1, -0.3), (0.4, 0.25)):
        mean += 36.0 * np.exp(-((x - column) ** 2 + (y - row) ** 2) / 0.005)
    generator = np.random.default_rng(matrix.pixels)
    return generator.poisson(mean, (frames, *matrix)).astype(np.uint16)


def texture(matrix: MatrixSize, frames: int = 1) -> NDArray[np.uint8]:
    """Return grey values with the spectrum of natural images, the same on every call.

    Nothing is flat, so that no metric has less to do than on a photograph.

    Parameters
    ----------
    matrix : MatrixSize
        Rows and columns.
    frames : int
        Number of frames.

    Returns
    -------
    ndarray, shape (frames, rows, columns), uint8
        Grey values, about 128 on average.

    Examples
    --------
    >>> texture(MatrixSize(64, 64), frames=2).shape
    (2, 64, 64)
    """
    noise = np.random.default_rng(matrix.pixels).normal(size=(frames, *matrix))
    radius = np.hypot(np.fft.fftfreq(matrix.rows)[:, np.newaxis], np.fft.rfftfreq(matrix.columns))
    amplitude = np.divide(1.0, radius, out=np.zeros_like(radius), where=radius > 0)
    smooth = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, matrix)
    smooth *= 45 / smooth.std(axis=(1, 2), keepdims=True)
    return np.clip(np.rint(128 + smooth + noise), 0, 255).astype(np.uint8)


def edge(matrix: MatrixSize, frames: int = 1, angle_deg: float = 5.0, sigma: float = 1.0) -> NDArray[np.float64]:
    """Return images of an edge through their middle, blurred by a Gaussian, with a little noise.

    Parameters
    ----------
    matrix : MatrixSize
        Rows and columns.
    frames : int
        Number of frames; each has noise of its own.
    angle_deg : float
        Slant of the edge against the columns [degrees].
    sigma : float
        Standard deviation of the blur [pixels]; the MTF is exp(-2 pi^2 sigma^2 f^2).

    Returns
    -------
    ndarray, shape (frames, rows, columns), float64
        Values of 100 and 1100 on either side, with noise of standard deviation 5.

    Examples
    --------
    >>> edge(MatrixSize(64, 64)).shape
    (1, 64, 64)
    """
    y, x = np.mgrid[: matrix.rows, : matrix.columns] - np.array([matrix.rows, matrix.columns])[:, None, None] / 2.0
    angle = np.deg2rad(angle_deg)
    distance = x * np.cos(angle) + y * np.sin(angle)
    profile = np.array([erf(value) for value in (distance / (sigma * np.sqrt(2))).ravel()]).reshape(matrix)
    return 600 + 500 * profile + np.random.default_rng(matrix.pixels).normal(0, 5, (frames, *matrix))


def write_nm(path: Path, matrix: MatrixSize) -> None:
    """Write a two-detector planar NM object, whole body when it is taller than wide, uncompressed."""
    pixels = counts(matrix, frames=2)
    dataset = _header(matrix)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.NumberOfFrames = len(pixels)
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _header(matrix: MatrixSize) -> Dataset:
    """Return everything but the pixels."""
    kind = "WHOLE BODY" if matrix.rows > matrix.columns else "STATIC"
    spacing = FIELD_OF_VIEW_MM / matrix.columns
    uid = f"{UID_ROOT}.{matrix.rows}.{matrix.columns}"
    values: dict[str, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", kind, "EMISSION"],
        "SOPClassUID": NuclearMedicineImageStorage,
        "SOPInstanceUID": UID(f"{uid}.3"),
        "StudyInstanceUID": UID(f"{uid}.1"),
        "SeriesInstanceUID": UID(f"{uid}.2"),
        "StudyDate": "20200101",
        "StudyTime": "120000",
        "ContentDate": "20200101",
        "ContentTime": "120000",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "StudyID": "1",
        "SeriesNumber": 1,
        "InstanceNumber": 1,
        "Modality": "NM",
        "BodyPartExamined": "WHOLEBODY",
        "Manufacturer": "Photopeak",
        "PatientName": "Benchmark^Phantom",
        "PatientID": "BENCHMARK",
        "PatientBirthDate": "",
        "PatientSex": "O",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": matrix.rows,
        "Columns": matrix.columns,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelSpacing": [f"{spacing:.6g}", f"{spacing:.6g}"],
        "FrameIncrementPointer": [0x00540010, 0x00540020],
        "NumberOfEnergyWindows": 1,
        "EnergyWindowVector": [1, 1],
        "NumberOfDetectors": 2,
        "DetectorVector": [1, 2],
        "ActualFrameDuration": 600_000,
        "CountsAccumulated": int(counts(matrix, frames=2).sum()),
        "EnergyWindowInformationSequence": [_energy_window()],
        "RadiopharmaceuticalInformationSequence": [_radiopharmaceutical()],
        "DetectorInformationSequence": [_detector(*ANTERIOR), _detector(*POSTERIOR)],
        "PatientOrientationCodeSequence": [_code("102538003", "recumbent")],
        "PatientGantryRelationshipCodeSequence": [_code("102540008", "headfirst")],
    }
    if kind == "WHOLE BODY":
        values |= {"WholeBodyTechnique": "1PS", "ScanVelocity": "2", "ScanLength": 2000}
    return _dataset(values)


def _energy_window() -> Dataset:
    """Return the 20 % window around 140.5 keV."""
    limits = _dataset({"EnergyWindowLowerLimit": "126.5", "EnergyWindowUpperLimit": "154.5"})
    return _dataset({"EnergyWindowName": "Tc99m", "EnergyWindowRangeSequence": [limits]})


def _radiopharmaceutical() -> Dataset:
    """Return a bone tracer."""
    radionuclide = [_code("72454001", "^99m^Technetium")]
    return _dataset({"RadionuclideCodeSequence": radionuclide, "Radiopharmaceutical": "MDP"})


def _detector(value: str, meaning: str) -> Dataset:
    """Return a detector that looks from one side."""
    orientation = {
        "ImageOrientationPatient": None,
        "ImagePositionPatient": None,
        "ViewCodeSequence": [_code(value, meaning)],
    }
    return _dataset({"CollimatorType": "PARA", "FieldOfViewShape": "RECTANGLE"} | orientation)


def _code(value: str, meaning: str) -> Dataset:
    """Return a SNOMED CT code."""
    return _dataset({"CodeValue": value, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning})


def _dataset(values: dict[str, Any]) -> Dataset:
    """Return a dataset with elements given by keyword."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
