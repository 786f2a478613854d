"""Validation of R4 resources: their structure by the standard's own table, then the models of fhir.resources.

fhir.resources has models of R4B, the nearest version; the few types in which R4 differs are checked by the table
alone. Models validate only: they never serialise, for they turn decimals into floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.fhir.structure import Structure

_MOST_ISSUES = 50
_DIFFERENT_IN_R4B = frozenset(
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
_CODES = {"missing": "required", "extra_forbidden": "structure", "value_error": "invalid"}


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
        actual = resource.get("resourceType")
        if type is not None and actual != type:
            raise InvalidRequest("the resource is of another type", code="invalid", expression=["resourceType"])
        issues = list(islice(self._structure.issues(resource), _MOST_ISSUES))
        if not issues and not _differs(resource):
            issues = list(islice(_model_issues(str(actual), resource), _MOST_ISSUES))
        if issues:
            raise InvalidRequest(issues=issues)


def _model_issues(type: str, resource: Mapping[str, Any]) -> Iterator[Issue]:
    """What the models find. They do not know the extension of an extension's own primitive, which R4 allows."""
    try:
        get_fhir_model_class(type).model_validate(resource)
    except ValidationError as error:
        for finding in error.errors(include_url=False, include_context=False, include_input=False):
            if str(finding["loc"][-1:]).startswith("('_"):
                continue
            place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in finding["loc"])
            code = _CODES.get(finding["type"], "value")
            yield Issue(code, "not valid in this place", (f"{type}{place}",))


def _differs(resource: Mapping[str, Any]) -> bool:
    """Whether the resource, or one inside it, is of a type that the models do not know as R4 does."""
    if resource["resourceType"] in _DIFFERENT_IN_R4B:
        return True
    inner = [*resource.get("contained", ())]
    for entry in resource.get("entry", ()) if resource["resourceType"] == "Bundle" else ():
        inner += [entry[name] for name in ("resource",) if name in entry]
    return any(_differs(one) for one in inner)
