"""Pure FHIR R4: the JSON codec, validation, references, dates, bundles and outcomes."""
