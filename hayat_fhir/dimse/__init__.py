"""The DICOM door, its own process, and the sending (SCU) side."""
