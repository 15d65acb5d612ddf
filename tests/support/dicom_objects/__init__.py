"""Synthetic DICOM objects of every kind that is read or written.

They are written by hand, module by module of PS3.3, so that a reader or writer under test is judged by something it had no
part in. Pixels are seeded Poisson counts of a smooth body with hot spots.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_objects import ct, enhanced_pet, nuclear, pet, xray
from dicom_objects.elements import Choices

__all__ = ["KINDS", "NUCLEAR", "Choices", "save", "scrambled_names"]

KINDS: dict[str, Callable[[Choices], list[Dataset]]] = {
    "static": nuclear.static,
    "whole-body": nuclear.whole_body,
    "dynamic": nuclear.dynamic,
    "gated": nuclear.gated,
    "tomo": nuclear.tomo,
    "recon-tomo": nuclear.recon_tomo,
    "pet": pet.pet,
    "enhanced-pet": enhanced_pet.enhanced_pet,
    "ct": ct.ct,
    "xa": xray.xa,
    "cr": xray.cr,
    "dx": xray.dx,
}
NUCLEAR = ("static", "whole-body", "dynamic", "gated", "tomo", "recon-tomo")


def scrambled_names(n: int) -> list[str]:
    """Return file names whose alphabetical order is not the order of the series."""
    return [f"IM{(i * 7 + 3) % max(n, 8):03d}_{i}.dcm" if n > 1 else "image.dcm" for i in range(n)]


def save(ds: Dataset, path: Path, choices: Choices) -> Path:
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
