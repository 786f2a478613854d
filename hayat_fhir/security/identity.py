"""Whose word an identifier of a patient is.

Records find their patient by (system, value), so whoever could write another one's identifier into a Patient would be
sent that person's history. https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from __future__ import annotations

ID_CARD = "urn:hayat:id-card"
"""The system of national identity numbers that somebody has seen the card of."""

CLAIMED_ID_CARD = "urn:hayat:id-card:claimed"
"""The system of those that people have only told of themselves: by these nothing is linked."""


def links(system: str, value: str) -> bool:
    """Whether it may lead to a patient whom a caller does not see: it names its issuer, and is vouched for."""
    return bool(system and value) and system != CLAIMED_ID_CARD
