"""Whose word an identifier of a patient is.

Records find their patient by (system, value), so whoever could write another one's identifier into a Patient would be
sent that person's history. https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

ID_CARD = "urn:hayat:id-card"
"""The system of national identity numbers that somebody has seen the card of."""

CLAIMED_ID_CARD = "urn:hayat:id-card:claimed"
"""The system of those that people have only told of themselves, until the staff confirm them: by these nothing links.

A number that was stored before there was this difference stays in the system above, whoever told it: nobody can say
any more who that was. Staff turn one into a claim over ``/fhir``.
"""


def links(system: str, value: str) -> bool:
    """Whether this identifier may lead to a patient out of the caller's sight: it has an issuer, and is no claim."""
    return bool(system and value) and system != CLAIMED_ID_CARD


def contributed(patient: dict[str, Any], old: dict[str, Any] | None, foreign: Collection[str]) -> dict[str, Any]:
    """A partner's Patient without the new identifiers that it cannot speak for; what ``old`` has already may stay.

    A number of the site or of another hospital, in a system of ``foreign``, would draw that hospital's next records of
    somebody else to this Patient. So would a second national number; the first is how hospitals find one another's
    patients. Such numbers are dropped and not refused: a hospital's own record holds what it knows of others.
    """
    known = {_name(one) for one in _identifiers(old or {})}
    has_card = any(_name(one) in known and one.get("system") == ID_CARD for one in _identifiers(patient))
    kept = []
    for one in _identifiers(patient):
        is_card = one.get("system") == ID_CARD
        if _name(one) in known or (one.get("system") not in foreign and not (is_card and has_card)):
            has_card = has_card or is_card
            kept.append(one)
    if kept:
        return {**patient, "identifier": kept}
    return {name: value for name, value in patient.items() if name != "identifier"}


def linked(own: dict[str, Any], incoming: dict[str, Any], foreign: Collection[str]) -> dict[str, Any]:
    """The site's own Patient with the identifiers that a partner brings added, as far as it can speak for them.

    Nothing is replaced. Only what links is added: a value without a system belongs to nobody, a claim proves nothing.
    """
    known = {_name(one) for one in _identifiers(own)}
    told = {_name(one): one for one in _identifiers(incoming) if links(one.get("system", ""), one.get("value", ""))}
    new = [one for name, one in told.items() if name not in known]
    return contributed({**own, "identifier": [*_identifiers(own), *new]}, own, foreign) if new else own


def claimed(patient: dict[str, Any]) -> dict[str, Any]:
    """The Patient as somebody says of themselves: a national number is a claim."""
    told = [
        {**one, "system": CLAIMED_ID_CARD} if one.get("system") == ID_CARD else one for one in _identifiers(patient)
    ]
    return {**patient, "identifier": told} if told else patient


def confirmed(patient: dict[str, Any]) -> dict[str, Any]:
    """The Patient once the staff vouch for the national number; where they have set it right, no claim is left."""
    numbers = [one for one in _identifiers(patient) if one.get("system") == ID_CARD]
    kept = [one for one in _identifiers(patient) if not (numbers and one.get("system") == CLAIMED_ID_CARD)]
    told = [{**one, "system": ID_CARD} if one.get("system") == CLAIMED_ID_CARD else one for one in kept]
    return {**patient, "identifier": told} if told else patient


def id_cards(patient: dict[str, Any]) -> list[str]:
    """The national numbers of a Patient that somebody vouches for."""
    return [one["value"] for one in _identifiers(patient) if one.get("system") == ID_CARD and one.get("value")]


def _name(identifier: dict[str, Any]) -> tuple[Any, Any]:
    return identifier.get("system"), identifier.get("value")


def _identifiers(patient: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = patient.get("identifier", [])
    return found
