"""What reading costs: header, decoding and conversion to float32, against plain pydicom taking turns.

Included on both sides: opening the files, parsing, decoding, float32. Only ours checks sizes, describes every frame and orders
the series by geometry. Files are in the page cache: the disk is in neither figure.
"""

import numpy as np
import pydicom
import pytest
from pydicom import uid

from photopeak.benchmarks import images
from photopeak.engine.reading import read

SYNTAXES = {
    "native": uid.ExplicitVRLittleEndian,
    "rle": uid.RLELossless,
    "jpegls": uid.JPEGLSLossless,
    "jpeg2000": uid.JPEG2000Lossless,
}
SLICES = 61


def plain(path):
    """Return the pixels as a user of pydicom would."""
    return pydicom.dcmread(path).pixel_array.astype(np.float32)


@pytest.mark.parametrize("syntax", SYNTAXES)
def bench_reading_nm(compare, nm_file, matrix, syntax):
    if SYNTAXES[syntax].is_compressed:
        ds = pydicom.dcmread(nm_file)
        ds.compress(SYNTAXES[syntax], generate_instance_uid=False)
        ds.save_as(nm_file)
    compare({"photopeak": lambda: read(nm_file), "pydicom": lambda: plain(nm_file)}, baseline="pydicom")
    np.testing.assert_array_equal(read(nm_file).pixels, images.counts(matrix, frames=2))


def bench_reading_series(compare, pet_folder):
    files = sorted(pet_folder.iterdir())
    compare(
        {"photopeak": lambda: read(pet_folder), "pydicom": lambda: np.stack([plain(file) for file in files])},
        baseline="pydicom",
    )
    heights = [info.position_mm[2] for info in read(pet_folder).info]
    assert heights == sorted(heights)
    assert len(heights) == SLICES


@pytest.fixture
def pet_folder(matrix, tmp_path):
    """A PET series whose file names are in no order."""
    folder = tmp_path / "series"
    folder.mkdir()
    pixels = images.counts(matrix)[0].astype("<i2")
    for index in range(SLICES):
        ds = _slice(pixels, index)
        ds.save_as(folder / f"{index * 37 % SLICES:03d}.dcm", enforce_file_format=True)
    return folder


def _slice(pixels, index):
    ds = pydicom.Dataset()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = uid.PositronEmissionTomographyImageStorage, f"2.25.7.{index}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.Modality, ds.InstanceNumber = "2.25.5", "2.25.6", "PT", index + 1
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelSpacing, ds.ImageOrientationPatient = [2.0, 2.0], [1, 0, 0, 0, 1, 0]
    ds.ImagePositionPatient = [0, 0, 2.78 * index]
    ds.RescaleSlope, ds.RescaleIntercept, ds.Units = 0.5 + index, 0, "BQML"
    ds.PixelData = pixels.tobytes()
    return ds
