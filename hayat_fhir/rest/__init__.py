"""The FHIR REST door, `/fhir`, and the token endpoint beside it."""
