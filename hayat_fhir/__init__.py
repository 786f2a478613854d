"""Hayat FHIR: a FHIR R4 interoperability server for one hospital site."""
