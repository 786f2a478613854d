"""The models of R4B against the tables of R4: where they differ is known, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from fhir.resources.R4B import get_fhir_model_class

from hayat_fhir.definitions import Definitions
from hayat_fhir.fhir.primitives import CHECKS
from hayat_fhir.fhir.validation import DIFFERENT_IN_R4B

LACKING = {
    "ElementDefinition.defaultValueMeta",
    "ElementDefinition.fixedMeta",
    "ElementDefinition.patternMeta",
    "ElementDefinition.example.valueMeta",
    "Extension.valueMeta",
}
"""Names in the data types that models lack; the validator does not ask them about names."""

Children = dict[str, list[tuple[str, str]]]


def test_types_that_differ(loaded: Definitions) -> None:
    """Types that the models lack, or in which they lack or ask for an element, repeat it or not, are set apart."""
    children: Children = {}
    for element, row in loaded.elements.items():
        parent, _, name = element.rpartition(".")
        children.setdefault(parent, []).append((name, row))

    found = {type: set(_differences(children, type, _model(type), set())) for type in loaded.resource_types}

    assert {type for type, paths in found.items() if paths - LACKING} == DIFFERENT_IN_R4B
    assert {path for paths in found.values() for path in paths} >= LACKING


def _model(type: str) -> Any:
    try:
        return get_fhir_model_class(type)
    except ValueError:
        return None


def _differences(children: Children, path: str, model: Any, seen: set[str]) -> Iterator[str]:
    """The places in which a model would refuse or not know what R4 allows."""
    if model is None:
        yield path
        return
    seen.add(path)
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for name, row in children[path]:
        cardinality, _, types = row.partition(" ")
        for type in types.split("|"):
            json_name = name.replace("[x]", type[0].upper() + type[1:])
            field = fields.get(json_name)
            if field is None or ("List[" in str(field.annotation)) == cardinality.endswith("1"):
                yield f"{path}.{json_name}"
                continue
            if cardinality.startswith("0") and (field.is_required() or "element_required" in field.json_schema_extra):
                yield f"{path}.{json_name}"
            if type not in CHECKS and type != "Resource" and not type.startswith("http:"):
                own = type in {"BackboneElement", "Element"}
                below = type[1:] if type.startswith("#") else f"{path}.{name}" if own else type
                if below not in seen:
                    yield from _differences(children, below, _inner(field.annotation), seen)


def _inner(annotation: Any) -> Any:
    """The model class inside an annotation such as ``List[PeriodType] | None``."""
    if hasattr(annotation, "get_model_klass"):
        return annotation.get_model_klass()
    return next((found for part in get_args(annotation) if (found := _inner(part)) is not None), None)
