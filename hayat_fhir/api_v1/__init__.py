"""The door `/api/v1`: the legacy routes of the React frontend, adapters over the FHIR resources."""
