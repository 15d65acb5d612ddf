"""The runtime: from DICOM to DICOM through a compiled model. Never imports torch."""
