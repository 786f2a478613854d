"""The closed set of named transforms that mapping files may use; a mapping file holds no code.

A transform takes the list of values at its source and what the mapping's caller tells (``Context``), and returns
a FHIR element, or None where there is nothing to say. What cannot be understood is left out, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from hayat_fhir.mapping.context import Context, Transform, Values
from hayat_fhir.mapping.moments import birth_time, date_time, fhir_date, moment, time_stamp

_NOT_TEXT = re.compile(r"[\s\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]+")
"""White space, control characters, and what would turn the direction of the text around it."""
_RETIRED = frozenset({"SRT", "SNM3", "99SDM"})
"""Designators of SNOMED's alphanumeric codes, which DICOM has retired (PS3.16 chapter 8)."""
_MOST_DIGITS = 34
_MOST_UNSIGNED = 2**31
_REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_FRAMES = "http://hl7.org/fhir/6.0/StructureDefinition/extension-ImagingStudy.series.instance.numberOfFrames"
_GROUPS = (("Alphabetic", "ABC"), ("Ideographic", "IDE"), ("Phonetic", "SYL"))


def text(values: Values, context: Context) -> str | None:
    """The first value as text."""
    del context
    return _line(values[0]) or None


def uid(values: Values, context: Context) -> str | None:
    """A UID as it stands."""
    del context
    return str(values[0]).rstrip("\0 ") or None


def oid_uri(values: Values, context: Context) -> str | None:
    """A UID as ``urn:oid:..``."""
    plain = uid(values, context)
    return f"urn:oid:{plain}" if plain else None


def unsigned_int(values: Values, context: Context) -> int | None:
    """A number that is not negative; anything else is left out."""
    del context
    try:
        number = float(values[0])
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and 0 <= number < _MOST_UNSIGNED else None


def frames(values: Values, context: Context) -> dict[str, Any] | None:
    """The number of frames as the extension that says in R4 what is an element in R6; one frame needs no saying."""
    number = unsigned_int(values, context)
    return {"url": _FRAMES, "valueUnsignedInt": number} if number is not None and number > 1 else None


def human_names(values: Values, context: Context) -> list[dict[str, Any]] | None:
    """A person name (PN) as HumanName: one for each group, alphabetic, ideographic and phonetic (PS3.5 6.2.1)."""
    del context
    groups = values[0] if isinstance(values[0], Mapping) else {"Alphabetic": str(values[0])}
    several = len(groups) > 1
    names = []
    for group, representation in _GROUPS:
        name = _human_name(str(groups.get(group) or ""))
        if name and several:
            name["extension"] = [{"url": _REPRESENTATION, "valueCode": representation}]
        if name:
            names.append(name)
    return names or None


def telephone(values: Values, context: Context) -> dict[str, str] | None:
    """A telephone number as ContactPoint."""
    number = text(values, context)
    return None if number is None else {"system": "phone", "value": number}


def display_name(values: Values, context: Context) -> str | None:
    """A person name (PN) as one line for people."""
    names = human_names(values, context)
    if not names:
        return None
    name = names[0]
    return " ".join([*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")]).strip() or None


def code(values: Values, context: Context) -> dict[str, Any] | None:
    """A value looked up in the mapping's table of codes; a value that is not in it is shown as it stands."""
    key = _line(values[0])
    found = context.codes.get(key.upper())
    return dict(found) if found else ({"display": key} if key else None)


def known_code(values: Values, context: Context) -> dict[str, Any] | None:
    """A value looked up in the mapping's table of codes; left out where it is not in it."""
    found = context.codes.get(str(values[0]).strip().upper())
    return dict(found) if found else None


def plain_code(values: Values, context: Context) -> str | None:
    """The ``code`` of a value in the mapping's table of codes."""
    found = context.codes.get(str(values[0]).strip().upper())
    return str(found["code"]) if found else None


def concept(values: Values, context: Context) -> dict[str, Any] | None:
    """An item of a code sequence (PS3.3 8) as CodeableConcept; the scheme by the mapping's table of codes.

    The table may also know ``SCHEME:CODE``: what has replaced a retired code, or says the same in another system.
    """
    item = values[0]
    if not isinstance(item, Mapping):
        return None
    values_of = (_first(item, name) for name in ("CodeValue", "LongCodeValue", "URNCodeValue"))
    value = next(filter(None, values_of), None)
    meaning = _first(item, "CodeMeaning")
    designator = _first(item, "CodingSchemeDesignator").upper()
    scheme = context.codes.get(designator)
    if value is None:
        return {"text": meaning} if meaning else None
    coding: dict[str, Any] = {"code": value}
    if scheme:
        coding["system"] = scheme["system"]
    if meaning:
        coding["display"] = meaning
    is_retired = designator in _RETIRED
    other = context.codes.get(f"{'SRT' if is_retired else designator}:{value}")
    if other is None:
        return {"coding": [coding]}
    return {"coding": [{**coding, **other}] if is_retired else [coding, dict(other)]}


def text_concept(values: Values, context: Context) -> dict[str, Any] | None:
    """Text as CodeableConcept."""
    found = text(values, context)
    return None if found is None else {"text": found}


def coding(values: Values, context: Context) -> dict[str, Any] | None:
    """An item of a code sequence as Coding."""
    found = concept(values, context)
    return None if found is None or "coding" not in found else dict(found["coding"][0])


def identifier(values: Values, context: Context) -> dict[str, Any] | None:
    """An item of a code sequence that identifies somebody, as Identifier; the scheme by the mapping's codes."""
    found = coding(values, context)
    if found is None:
        return None
    return {key: found[name] for key, name in (("system", "system"), ("value", "code")) if name in found}


def meaning(values: Values, context: Context) -> str | None:
    """The meaning of an item of a code sequence, as text."""
    del context
    return _first(values[0], "CodeMeaning") or None if isinstance(values[0], Mapping) else None


def unit(values: Values, context: Context) -> dict[str, Any] | None:
    """An item of a code sequence as the unit of a Quantity."""
    found = coding(values, context)
    if found is None:
        return None
    shown = {"unit": found.get("display", found["code"]), "system": found.get("system"), "code": found["code"]}
    return {key: value for key, value in shown.items() if value is not None}


def decimal(values: Values, context: Context) -> Decimal | None:
    """A decimal string (DS), with the digits that it has."""
    del context
    try:
        found = Decimal(str(values[0]).strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() and len(found.as_tuple().digits) <= _MOST_DIGITS else None


TRANSFORMS: dict[str, Transform] = {
    "text": text,
    "uid": uid,
    "oid_uri": oid_uri,
    "unsigned_int": unsigned_int,
    "date": fhir_date,
    "date_time": date_time,
    "time_stamp": time_stamp,
    "instant": moment,
    "birth_time": birth_time,
    "frames": frames,
    "human_names": human_names,
    "telephone": telephone,
    "display_name": display_name,
    "code": code,
    "known_code": known_code,
    "plain_code": plain_code,
    "concept": concept,
    "text_concept": text_concept,
    "coding": coding,
    "identifier": identifier,
    "meaning": meaning,
    "unit": unit,
    "decimal": decimal,
}


def _first(item: Mapping[str, Any], name: str) -> str:
    """The first value of an item's attribute as one line; empty where there is none."""
    values = item.get(name)
    return _line(values[0]) if isinstance(values, list) and values and values[0] is not None else ""


def _line(value: object) -> str:
    """A value as one line, without control characters."""
    return _NOT_TEXT.sub(" ", str(value)).strip()


def _human_name(group: str) -> dict[str, Any]:
    """``family^given^middle^prefix^suffix`` as HumanName."""
    parts = [_line(part) for part in group.split("^")]
    family, given, middle, prefix, suffix = (*parts, "", "", "", "", "")[:5]
    name: dict[str, Any] = {}
    if family:
        name["family"] = family
    if given or middle:
        name["given"] = f"{given} {middle}".split()
    if prefix:
        name["prefix"] = [prefix]
    if suffix:
        name["suffix"] = [suffix]
    return name
