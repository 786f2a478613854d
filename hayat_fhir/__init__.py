"""Hayat FHIR: a FHIR R4 interoperability server for one hospital site."""

__version__ = "0.1.0"
