"""Validation of R4 resources: their structure by the standard's own table, then the models of fhir.resources.

fhir.resources has models of R4B, the nearest version; the few types in which R4 differs are checked by the table
alone. Models validate only: they never serialise, for they turn decimals into floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.fhir.structure import Structure

_MOST_ISSUES = 50
DIFFERENT_IN_R4B = frozenset(
    [
        "EffectEvidenceSynthesis",
        "Evidence",
        "EvidenceVariable",
        "MedicinalProduct",
        "MedicinalProductAuthorization",
        "MedicinalProductContraindication",
        "MedicinalProductIndication",
        "MedicinalProductIngredient",
        "MedicinalProductInteraction",
        "MedicinalProductManufactured",
        "MedicinalProductPackaged",
        "MedicinalProductPharmaceutical",
        "MedicinalProductUndesirableEffect",
        "RiskEvidenceSynthesis",
        "SubstanceNucleicAcid",
        "SubstancePolymer",
        "SubstanceProtein",
        "SubstanceReferenceInformation",
        "SubstanceSourceMaterial",
        "SubstanceSpecification",
    ]
)
"""The types that fhir.resources' models of R4B lack, or in which an element differs from R4; a test compares them."""

_HOLDERS = frozenset({"Bundle", "Parameters"})
_CODES = {"missing": "required", "value_error": "invalid"}
_UNKNOWN = "extra_forbidden"
"""A name that a model lacks, such as ``valueMeta`` of an extension: which names there are, the table says."""


class Validator:
    """Validates resources of every R4 type."""

    def __init__(
        self, elements: Mapping[str, str], bindings: Mapping[str, frozenset[str]], resource_types: frozenset[str]
    ) -> None:
        self._structure = Structure(elements, bindings, resource_types)

    def validate(self, resource: Mapping[str, Any], *, type: str | None = None) -> None:
        """Return if this is a valid resource, of ``type`` where that is given.

        Raises:
            InvalidRequest: It is not; at most 50 issues, each with its FHIRPath and code, none with a value.
        """
        self.check_structure(resource, type=type)
        issues = model_issues(resource)
        if issues:
            raise InvalidRequest(issues=issues)

    def check_structure(self, resource: Mapping[str, Any], *, type: str | None = None) -> None:
        """Return if the resource is right by the table alone; ``model_issues`` is the other half.

        Raises:
            InvalidRequest: It is not, as in ``validate``.
        """
        if type is not None and resource.get("resourceType") != type:
            raise InvalidRequest("the resource is of another type", code="invalid", expression=["resourceType"])
        if not self._structure.fits(resource):
            issues = list(islice(self._structure.issues(resource), _MOST_ISSUES))
            if issues:
                raise InvalidRequest(issues=issues)


def model_issues(resource: Mapping[str, Any]) -> list[Issue]:
    """What the models find in a resource whose structure is right: at most 50 issues."""
    return [] if _differs(resource) else list(islice(_findings(resource), _MOST_ISSUES))


def _findings(resource: Mapping[str, Any]) -> Iterator[Issue]:
    type = resource["resourceType"]
    try:
        get_fhir_model_class(type).model_validate(resource)
    except ValidationError as error:
        for finding in error.errors(include_url=False, include_context=False, include_input=False):
            if finding["type"] != _UNKNOWN and not _is_fault_of_models(resource, finding["loc"]):
                place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in finding["loc"])
                code = _CODES.get(finding["type"], "value")
                yield Issue(code, "not valid in this place", (f"{type}{place}",))


def _is_fault_of_models(resource: Mapping[str, Any], place: Sequence[int | str]) -> bool:
    """Whether the models refuse what R4 allows.

    They do not know the extension of an extension's own primitive, and take more characters for white space (a
    no-break space in a code) than XML Schema, in which the patterns of R4 are written.
    """
    if place and str(place[-1]).startswith("_"):
        return True
    value: Any = resource
    for step in place:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return False
    return isinstance(value, str) and not value.isascii()


def _differs(resource: Mapping[str, Any]) -> bool:
    """Whether the resource, or one inside it, is of a type that the models do not know as R4 does."""
    type = resource["resourceType"]
    if type in DIFFERENT_IN_R4B:
        return True
    if type in _HOLDERS:
        return any(inner.get("resourceType") in DIFFERENT_IN_R4B for inner in _objects(resource))
    return "contained" in resource and any(_differs(inner) for inner in resource["contained"])


def _objects(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every object in a resource."""
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield node
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
