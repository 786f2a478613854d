"""Pure FHIR search: parameters, query grammar, index entries and conditions."""
