"""The DICOMweb door, `/dicomweb`."""
