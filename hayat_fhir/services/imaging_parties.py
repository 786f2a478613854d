"""Who and what took part in a study, as logical references: people, devices, orders and specimens. Pure.

A reference by identifier joins what is on record under that identifier; a name alone joins nobody.
https://hl7.org/fhir/R4/references.html#logical
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hayat_fhir.dicom.header import universal_system
from hayat_fhir.mapping.context import Context
from hayat_fhir.mapping.engine import Mapper

_IDENTIFIER_TYPE = "http://terminology.hl7.org/CodeSystem/v2-0203"
_REQUESTS = ("RequestAttributesSequence", "ReferencedRequestSequence")
_ISSUER = "IssuerOfAccessionNumberSequence"
Fragment = dict[str, Any]


class ImagingParties:
    """Builds the references by the tables of ``mappings/dicom/imaging_study.toml``.

    ``base`` is the root of the identifier systems of whoever sent the images.
    """

    def __init__(self, tables: Mapping[str, Mapper], context: Context) -> None:
        self._tables = tables
        self._context = context

    def people(self, told: Mapping[str, Any], names: str, identifications: str) -> list[Fragment]:
        """People by name and, where one is told, identifier."""
        items = told.get(identifications, [])
        people = [
            {"PersonName": [name], **(items[number] if number < len(items) and isinstance(items[number], dict) else {})}
            for number, name in enumerate(told.get(names, []))
            if name
        ]
        return [person for one in people if (person := self.person(one))]

    def person(self, said: Mapping[str, Any]) -> Fragment:
        """One person, of whom ``PersonName`` and an identification item are told; empty where nothing is."""
        found = self._tables["person"].apply(said, self._context)
        return {"type": "Practitioner", **found} if "identifier" in found else found

    def device(self, told: Mapping[str, Any]) -> Fragment | None:
        """The device that made the images."""
        said = self._tables["device"].apply(told, self._context)
        shown = " ".join(str(said[part]) for part in ("manufacturer", "model") if part in said)
        if "station" in said:
            shown = f"{shown} ({said['station']})".strip()
        found: Fragment = {"type": "Device"}
        if "uid" in said:
            found["identifier"] = {"system": "urn:ietf:rfc:3986", "value": said["uid"]}
        elif "serial" in said:
            kind = {"coding": [{"system": _IDENTIFIER_TYPE, "code": "SNO"}]}
            found["identifier"] = {"type": kind, "value": said["serial"]}
        if shown:
            found["display"] = shown
        return found if len(found) > 1 else None

    def specimens(self, told: Mapping[str, Any], base: str) -> list[Fragment]:
        """The specimens on which the images were made."""
        found = []
        for item in _items(told, "SpecimenDescriptionSequence"):
            value = str((item.get("SpecimenIdentifier") or [""])[0]).strip()
            system = _issuer(item, "IssuerOfTheSpecimenIdentifierSequence", f"{base}/specimen")
            if value:
                found.append({"type": "Specimen", "identifier": {"system": system, "value": value}})
        return found

    def accession(self, told: Mapping[str, Any], base: str) -> Fragment | None:
        """The accession number within the system of whoever gave it."""
        value = str((told.get("AccessionNumber") or [""])[0]).strip()
        return _numbered("ACSN", accession_system(told, base), value) if value else None

    def orders(self, told: Mapping[str, Any], base: str) -> list[Fragment]:
        """The orders that were carried out, each by its first number."""
        items = [item for name in _REQUESTS for item in _items(told, name)]
        if told.get("AccessionNumber") and not any(item.get("AccessionNumber") for item in items):
            items.append({key: told[key] for key in ("AccessionNumber", _ISSUER) if key in told})
        orders: list[Fragment] = []
        for item in items:
            said = self._tables["request"].apply(item, self._context)
            numbers = (
                ("PLAC", said.get("placer"), f"{base}/placer"),
                ("FILL", said.get("filler"), f"{base}/filler"),
                ("ACSN", said.get("accession"), accession_system(item, base)),
                (None, said.get("procedure"), f"{base}/requested-procedure"),
            )
            number = next((one for one in numbers if one[1]), None)
            if number is not None:
                shown = {"display": said["display"]} if "display" in said else {}
                identifier = _numbered(number[0], number[2], str(number[1]))
                order = {"type": "ServiceRequest", "identifier": identifier, **shown}
                if order not in orders:
                    orders.append(order)
        return orders


def accession_system(source: Mapping[str, Any], base: str) -> str:
    """The identifier system of an accession number: of its issuer where that is universal, else the sender's."""
    return _issuer(source, _ISSUER, f"{base}/accession")


def _issuer(source: Mapping[str, Any], sequence: str, default: str) -> str:
    """The system of a number (PS3.3 table 10-17); a local name alone names an issuer within the sender's system."""
    for item in _items(source, sequence):
        universal = universal_system(item)
        if universal is not None:
            return universal
        local = str((item.get("LocalNamespaceEntityID") or [""])[0]).strip()
        if local:
            return f"{default}/{quote(local)}"
    return default


def _numbered(kind: str | None, system: str, value: str) -> Fragment:
    typed = {"type": {"coding": [{"system": _IDENTIFIER_TYPE, "code": kind}]}} if kind else {}
    return {**typed, "system": system, "value": value}


def _items(source: Mapping[str, Any], sequence: str) -> list[dict[str, Any]]:
    return [item for item in source.get(sequence, []) if isinstance(item, dict)]
