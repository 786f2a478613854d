"""A patient's history as transaction Bundles for a partner hospital: pure, and the same every time.

What the receiver may already know (the patient, practitioners, organizations, places, imaging studies) is
named by its business identifier and created only where it is missing. Everything else has an id that follows
from the sender and the resource, so that sending twice changes nothing.
https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.references import parse, references, rewrite
from hayat_fhir.security.identity import links
from hayat_fhir.store.records import Resource, Stored

_BY_IDENTIFIER = (
    "Patient",
    "Organization",
    "Location",
    "Practitioner",
    "HealthcareService",
    "PractitionerRole",
    "Medication",
    "ImagingStudy",
)
_NEVER_SENT = frozenset({"AuditEvent", "Consent", "Endpoint"})
_NOTHING: Mapping[str, Sequence[str]] = MappingProxyType({})
_MOST_ENTRIES = 1000
_MOST_BYTES = 8 * 2**20


class HistoryBundle:
    """Turns the stored history of one patient into Bundles; ``base_url`` is the sending site's FHIR base.

    ``made_of``: by reference of a report, the UIDs of the DICOM objects that travel with it and say the same: the
    receiver shall not take one for another report.
    """

    def __init__(
        self, base_url: str, history: Sequence[Stored], made_of: Mapping[str, Sequence[str]] = _NOTHING
    ) -> None:
        self._base_url = base_url
        self._made_of = made_of
        self._namespace = uuid5(NAMESPACE_URL, base_url)
        sent = [stored for stored in history if stored.type not in _NEVER_SENT and stored.resource is not None]
        self._resources = {stored.reference: self._prepared(stored) for stored in sorted(sent, key=_order)}
        self._conditions = {
            reference: criteria
            for reference, resource in self._resources.items()
            if (criteria := _criteria(resource)) is not None
        }

    def bundles(self, known: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """The Bundles, one after the other.

        ``known`` maps the ``fullUrl`` of an entry already sent to the reference that the receiver answered with;
        the caller fills it before asking for the next Bundle.
        """
        pending: list[str] = []
        size = 0
        for reference, resource in self._resources.items():
            weight = len(serialize(resource))
            if pending and (len(pending) >= _MOST_ENTRIES or size + weight > _MOST_BYTES):
                yield self._bundle(pending, known)
                pending, size = [], 0
            pending.append(reference)
            size += weight
        if pending:
            yield self._bundle(pending, known)

    def _bundle(self, pending: Sequence[str], known: Mapping[str, str]) -> dict[str, Any]:
        return {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [self._entry(reference, known) for reference in pending],
        }

    def _entry(self, reference: str, known: Mapping[str, str]) -> dict[str, Any]:
        source = self._resources[reference]
        table = {text: self._destination(text, known) for _, text in references(source)}
        resource = rewrite(source, table)
        type, criteria = source["resourceType"], self._conditions.get(reference)
        if criteria is None:
            resource["id"] = self._id(reference)
            request = {"method": "PUT", "url": f"{type}/{resource['id']}"}
        else:
            resource.pop("id", None)
            request = {"method": "POST", "url": type, "ifNoneExist": criteria}
        return {"fullUrl": self._full_url(reference), "resource": resource, "request": request}

    def _destination(self, text: str, known: Mapping[str, str]) -> str:
        """What a reference becomes: the receiver's name for what is sent along, else this site's absolute URL."""
        parsed = parse(text)
        if parsed is None or parsed.base not in (None, self._base_url):
            return text
        reference = f"{parsed.type}/{parsed.id}"
        if reference not in self._resources:
            return f"{self._base_url}/{reference}"
        if reference in self._conditions:
            full_url = self._full_url(reference)
            return known.get(full_url, full_url)
        return f"{parsed.type}/{self._id(reference)}"

    def _id(self, reference: str) -> str:
        return str(uuid5(self._namespace, reference))

    def _full_url(self, reference: str) -> str:
        return f"urn:uuid:{self._id(reference)}"

    def _prepared(self, stored: Stored) -> Resource:
        """The resource as it travels: its origin noted, this site's version numbers and endpoints left out."""
        resource = dict(stored.resource or {})
        meta = {k: v for k, v in resource.get("meta", {}).items() if k not in {"versionId", "lastUpdated"}}
        resource["meta"] = {**meta, "source": f"{self._base_url}/{stored.reference}"}
        if stored.type == "Patient":
            own = {"system": f"{self._base_url}/Patient", "value": stored.id}
            resource["identifier"] = [*resource.get("identifier", ()), own]
        if stored.reference in self._made_of:
            same = [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"} for uid in self._made_of[stored.reference]]
            resource["identifier"] = [*resource.get("identifier", ()), *same]
        if stored.type == "ImagingStudy":
            resource["status"] = "registered"
            resource.pop("endpoint", None)
        return resource


def _order(stored: Stored) -> tuple[int, str, str]:
    rank = _BY_IDENTIFIER.index(stored.type) if stored.type in _BY_IDENTIFIER else len(_BY_IDENTIFIER)
    return rank, stored.type, stored.id


def _criteria(resource: Resource) -> str | None:
    """``identifier=system|value,..`` for what the receiver may know already, else None."""
    if resource["resourceType"] not in _BY_IDENTIFIER:
        return None
    tokens = [
        f"{escaped(identifier['system'])}|{escaped(identifier['value'])}"
        for identifier in resource.get("identifier", ())
        if links(identifier.get("system", ""), identifier.get("value", "")) and _names_it(resource, identifier)
    ]
    if not tokens:
        return None
    return "identifier=" + quote(",".join(tokens), safe="")


def _names_it(resource: Resource, identifier: Mapping[str, Any]) -> bool:
    """An accession number is shared by several studies: only the Study Instance UID names one."""
    return bool(resource["resourceType"] != "ImagingStudy" or identifier["system"] == "urn:dicom:uid")


def escaped(text: str) -> str:
    """Escaped as a search value, https://hl7.org/fhir/R4/search.html#escaping."""
    for character in "\\,|$":
        text = text.replace(character, f"\\{character}")
    return text
