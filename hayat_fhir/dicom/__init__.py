"""Pure DICOM: identity, attributes and DICOM JSON out of a header."""
