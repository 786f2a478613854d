"""The mapping files, checked against R4 and compiled: at every start, and by ``hayat check``."""

from __future__ import annotations

from dataclasses import dataclass

from hayat_fhir.definitions import Definitions
from hayat_fhir.errors import ConfigurationError
from hayat_fhir.fhir.plans import Plans
from hayat_fhir.mapping.codes import check_codes
from hayat_fhir.mapping.document import DocumentMapping
from hayat_fhir.mapping.document_file import compiled_document
from hayat_fhir.mapping.engine import Mapper, compiled
from hayat_fhir.search.parameters import SearchParameters


@dataclass(frozen=True, slots=True)
class Mappings:
    """The mapping files: tables out of DICOM by file and table, legacy documents by name."""

    tables: dict[str, dict[str, Mapper]]
    documents: dict[str, DocumentMapping]


def compiled_mappings(loaded: Definitions) -> Mappings:
    """The mapping files, compiled.

    Raises:
        ConfigurationError: One is wrong; the message names file, table and row.
    """
    codes = {name.removeprefix("codes/"): content for name, content in loaded.mappings.items() if "codes/" in name}
    parameters = SearchParameters(loaded.search_parameters, loaded.resource_types)
    for name, content in codes.items():
        check_codes(f"codes/{name}", content)
    plans = Plans(loaded.elements, loaded.bindings, loaded.resource_types)
    tables: dict[str, dict[str, Mapper]] = {}
    documents: dict[str, DocumentMapping] = {}
    for name, content in loaded.mappings.items():
        if name.startswith("api-v1/"):
            mapping = compiled_document(name, content, codes)
            _check_elements(name, mapping, plans)
            _check_searches(name, mapping, parameters)
            documents[name.removeprefix("api-v1/")] = mapping
        elif not name.startswith("codes/"):
            tables[name] = compiled(name, content, codes)
    return Mappings(tables, documents)


def _check_elements(name: str, mapping: DocumentMapping, plans: Plans) -> None:
    """Raise ConfigurationError where a part is of no resource type, or a field stands where R4 has no element."""
    for key, part in mapping.parts.items():
        if part.type not in plans.resource_types:
            raise ConfigurationError(f"mappings/{name}.toml: parts.{key}.type: no such resource type")
    for field in mapping.fields.values():
        if field.part is None:
            continue
        for place, path in (("path", field.path), *(("fallback", path) for path, _ in field.fallback)):
            if not plans.has(mapping.parts[field.part].type, [(step.name, step.repeats) for step in path]):
                raise ConfigurationError(f"mappings/{name}.toml: field {field.name}: {place}: no such element in R4")


def _check_searches(name: str, mapping: DocumentMapping, parameters: SearchParameters) -> None:
    """Raise ConfigurationError where a field is searched by what is not indexed."""
    for field in mapping.fields.values():
        if field.search is None:
            continue
        found = parameters.get(mapping.parts[field.search.part].type, field.search.parameter)
        if found is None or not found.searchable:
            raise ConfigurationError(f"mappings/{name}.toml: field {field.name}: search: no such search parameter")
