"""One DICOM object, without its pixels."""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """The header of a DICOM object that frames came from.

    Parameters
    ----------
    path : Path
        The file.
    header : Dataset
        All elements but Pixel Data; ``header.file_meta`` is present. Never modified: writers copy it.
    """

    path: Path
    header: Dataset

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""
        return str(self.header.SOPClassUID)

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return str(self.header.SOPInstanceUID)
