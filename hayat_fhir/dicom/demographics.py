"""Who an image says its patient is, beside the number: compared to find a number that was given to two people. Pure.

Demographics verify an identity and never make one: equality of names joins nobody.
PS3.3 C.7.1.1, https://dicom.nema.org/medical/dicom/current/output/html/part03.html#sect_C.7.1.1
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hayat_fhir.dicom.matching import normal, normal_values
from hayat_fhir.dicom.tags import tag_of

Demographics = Mapping[str, str]
"""``name`` (folded: without case and accents), ``birth_date`` (``yyyymmdd``) and ``sex`` (M, F or O), where known."""
_SEXES = {"male": "M", "female": "F", "other": "O"}
_DATE = re.compile(r"(?!0000)\d{4}(?!00)\d{2}(?!00)\d{2}", re.ASCII)
_APART = re.compile(r"[\s^.,'-]+")


def of_image(attributes: Mapping[str, Any]) -> dict[str, str]:
    """The demographics in an image's DICOM JSON; what is empty or malformed is left out."""
    name = next(iter(normal_values(attributes.get(tag_of("PatientName"), {}))), "")
    born = next(iter(normal_values(attributes.get(tag_of("PatientBirthDate"), {}))), "")
    sex = next(iter(normal_values(attributes.get(tag_of("PatientSex"), {}))), "").strip().upper()
    found = {"name": name, "birth_date": born if _DATE.fullmatch(born) else "", "sex": sex if sex in "MFO" else ""}
    return {key: value for key, value in found.items() if value}


def of_patient(patient: Mapping[str, Any]) -> dict[str, str]:
    """The demographics of a FHIR Patient."""
    names = [name for name in patient.get("name", ()) if name.get("family") or name.get("given")]
    name = ""
    if names:
        name = "^".join([str(names[0].get("family", "")), " ".join(map(str, names[0].get("given", ())))])
    born = str(patient.get("birthDate", "")).replace("-", "")
    found = {
        "name": next(iter(normal("PN", name)), ""),
        "birth_date": born if _DATE.fullmatch(born) else "",
        "sex": _SEXES.get(str(patient.get("gender")), ""),
    }
    return {key: value for key, value in found.items() if value}


def differing(known: Demographics, said: Demographics) -> tuple[str, ...]:
    """What two statements about one patient disagree in; what only one of them tells is no disagreement.

    A name that leaves parts of the other out, or shortens them, agrees with it.
    """
    both = [key for key in ("name", "birth_date", "sex") if known.get(key) and said.get(key)]
    return tuple(key for key in both if not (_names_agree if key == "name" else str.__eq__)(known[key], said[key]))


def _names_agree(one: str, other: str) -> bool:
    """Whether all parts of the name that has fewer stand in the other one, in full or shortened."""
    if one.isascii() != other.isascii():
        return True  # one group alphabetic, the other ideographic or phonetic: nothing can be said
    fewer, more = sorted(([part for part in _APART.split(name) if part] for name in (one, other)), key=len)
    left = list(more)
    for part in fewer:
        match = next((rest for rest in left if rest.startswith(part) or part.startswith(rest)), None)
        if match is None:
            return False
        left.remove(match)
    return True
