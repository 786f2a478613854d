"""Who is calling: every service call takes a Caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address, ip_network

from hayat_fhir.security.consent import Terms

_IPV6_PREFIX = 64


class Role(StrEnum):
    """The five kinds of caller."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    STAFF = "staff"
    PARTNER = "partner"
    SITE = "site"
    """The site's own worker and command line: never granted to a token that arrives over a network."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller.

    ``subject`` is the account id, the partner id or, for the site itself, its name. ``reference`` is the FHIR
    resource that stands for the caller (``Patient/..``, ``Practitioner/..``, ``Organization/..``). ``scopes``
    are the granted SMART v2 scopes. ``patients``: for a patient, their own Patient id; for a partner, the ids
    of the patients shared with it. ``rights``: what the site allows this person beyond their role
    (``records:amend``). ``source`` marks what a partner contributes (its partner id), else None. ``limits``: of which
    patients a partner sees some resource types only, or none, by the patients' own consent. ``emergency``: the patients
    (ids) for whom this doctor has broken the glass, and until when (seconds since 1970). ``session`` and ``expires``:
    the token (its ``jti``) of the session and when it ends, which is ``token`` unless that is of an emergency.
    ``epoch``: that of the account for which the token was issued.
    ``foreign``: for a partner, the systems of patient numbers that others give: the site and the other partners.
    """

    role: Role
    subject: str
    reference: str | None = None
    name: str | None = None
    scopes: frozenset[str] = field(default_factory=frozenset)
    patients: frozenset[str] = field(default_factory=frozenset)
    source: str | None = None
    token: str | None = None
    address: str | None = None
    rights: frozenset[str] = field(default_factory=frozenset)
    limits: frozenset[tuple[str, Terms]] = field(default_factory=frozenset)
    emergency: frozenset[tuple[str, float]] = field(default_factory=frozenset)
    session: str | None = None
    expires: float = 0.0
    epoch: int = 0
    foreign: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Restriction:
    """What of a resource type a caller may see, as a part of every query; never a filter afterwards.

    Without limits (``everything``) all documents are visible but restricted ones. Otherwise a document is
    visible when one of its compartments is in ``compartments``, or its source is in ``sources``, or the
    type is ``everything``. ``restricted`` tells whether documents labelled restricted (R, V) are visible.
    ``opened`` are compartments of which the restricted are visible too: the glass has been broken.
    Documents with one of the marks in ``hidden`` among their compartments are not, whatever else is true of them.
    """

    everything: bool = False
    compartments: frozenset[str] = field(default_factory=frozenset)
    sources: frozenset[str] = field(default_factory=frozenset)
    restricted: bool = False
    hidden: frozenset[str] = field(default_factory=frozenset)
    opened: frozenset[str] = field(default_factory=frozenset)


STRANGER = "unknown"
"""The subject of whoever has not been authenticated."""


def stranger(address: str | None) -> Caller:
    """Whoever was turned away before it was known who they are: for the audit trail only, and without any scope."""
    return Caller(Role.PARTNER, STRANGER, address=address)


def network_of(address: str | None) -> str:
    """Whom an address stands for: an IPv6 network as a whole, for one machine may have all of its addresses."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return address or ""
    return str(ip_network((found, _IPV6_PREFIX), strict=False)) if found.version == 6 else str(found)


UNRESTRICTED = Restriction(everything=True, restricted=True)
