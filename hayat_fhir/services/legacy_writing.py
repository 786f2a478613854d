"""Legacy documents written: each becomes one transaction over the FHIR resources that it spans.

What people may do is the access table's; what of it they may do to a resource is the policy's, with their own rights.
Only what the table gives somebody that FHIR's types are too coarse for (a patient's own statement of an allergy, the
role of a doctor) is stored with the site's rights, in the caller's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hayat_fhir.errors import Conflict, Forbidden, InvalidRequest, NotFound, PreconditionFailed
from hayat_fhir.fhir.bundle_requests import Entry
from hayat_fhir.mapping.checking import checked
from hayat_fhir.mapping.document import DocumentMapping
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.legacy_access import Action, Entity, check
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.services.drafting import Drafting, new_id
from hayat_fhir.services.id_cards import IdCards
from hayat_fhir.services.legacy_entries import entries_of, name_references
from hayat_fhir.services.legacy_reading import Document, LegacyReading, Parts, is_a
from hayat_fhir.services.people import NewPerson, People
from hayat_fhir.services.transactions import Transactions
from hayat_fhir.store.consultations import Consultations
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_ATTEMPTS = 6
_ROLES = {Entity.PATIENT: Role.PATIENT, Entity.DOCTOR: Role.DOCTOR, Entity.STAFF: Role.STAFF}
_IDS = ("_id", "id")
_NEWCOMER = Caller(Role.SITE, "registration")


class LegacyWriting:
    """Creates, updates and deletes the documents of ``/api/v1``."""

    def __init__(
        self,
        reading: LegacyReading,
        resources: Resources,
        transactions: Transactions,
        drafting: Drafting,
        people: People,
        auditing: Auditing,
        consultations: Consultations,
    ) -> None:
        self._id_cards = IdCards(resources)
        self._reading = reading
        self._resources = resources
        self._transactions = transactions
        self._drafting = drafting
        self._people = people
        self._auditing = auditing
        self._consultations = consultations

    async def create(self, caller: Caller, entity: Entity, document: Mapping[str, Any]) -> Document:
        """The document that has been stored, as it reads.

        Raises:
            InvalidRequest: A field is unknown, missing or not of its type.
            Forbidden: The caller may not create these.
            Conflict: There is an account with this e-mail address.
        """
        mapping = self._reading.mappings[entity]
        async with self._auditing.access(caller, "create", mapping.type):
            check(caller, entity, Action.CREATE, mapping.type)
            asked = checked(mapping, document, creating=True)
            if entity is Entity.MEDICAL_RECORD:
                asked = await self._during(caller, asked)
            return await self._create(caller, entity, mapping, asked, claims=False)

    async def register(self, document: Mapping[str, Any], address: str | None) -> Document:
        """A new patient with an account, who has come by themselves: their IDcard number is a claim.

        Raises:
            InvalidRequest: A field is unknown, missing or not of its type, or the password will not do.
            Conflict: There is an account with this e-mail address.
        """
        mapping = self._reading.mappings[Entity.PATIENT]
        newcomer = replace(_NEWCOMER, address=address)
        asked = checked(mapping, document, creating=True)
        return await self._create(newcomer, Entity.PATIENT, mapping, asked, claims=True)

    async def update(
        self, caller: Caller, entity: Entity, id: str, document: Mapping[str, Any], action: Action = Action.UPDATE
    ) -> Document:
        """Change the fields that the document names; the whole document, as it reads now.

        ``action`` is what the access table is asked about: the front desk corrects what only its owner updates, and
        confirms the IDcard number that it names.

        Raises:
            InvalidRequest: A field is unknown or not of its type.
            NotFound: No such document, or the caller may not know of it.
            Forbidden: The caller may not change it.
            Conflict: Another account has the e-mail address, or another patient the confirmed IDcard number; or others
                kept changing the same document.
        """
        mapping = self._reading.mappings[entity]
        async with self._auditing.access(caller, "update", f"{mapping.type}/{id}"):
            check(caller, entity, action, mapping.type, id)
            asked = checked(mapping, _without_ids(document, id), creating=False)
            if "password" in asked:
                raise InvalidRequest("a password is changed by /auth/password", code="value", expression=["password"])
            for _ in range(_ATTEMPTS):
                try:
                    return await self._update(caller, entity, mapping, id, asked, action)
                except PreconditionFailed:
                    continue
            raise Conflict("others kept changing the same document")

    async def delete(self, caller: Caller, entity: Entity, id: str, reason: str | None = None) -> None:
        """Delete a document, keeping all versions; the account of a person is disabled.

        Raises:
            NotFound: No such document, or the caller may not know of it.
            Forbidden: The caller may not delete it.
        """
        mapping = self._reading.mappings[entity]
        async with self._auditing.access(caller, "delete", f"{mapping.type}/{id}") as access:
            access.reason = reason or "deleted through /api/v1"
            check(caller, entity, Action.DELETE, mapping.type, id)
            main, parts = await self._existing(caller, entity, mapping, id)
            access.touched(main)
            going = [main]
            if entity is not Entity.PATIENT:
                going += [s for name, held in parts.items() if mapping.parts[name].shared is None for s in held]
            entries = [
                Entry(index, "DELETE", stored.type, stored.id)
                for index, stored in enumerate({stored.reference: stored for stored in going}.values())
            ]
            await self._transactions.commit(self._writer(caller, entity), entries)
            if entity in _ROLES:
                await self._people.shut_out(main.reference)

    async def _create(
        self, caller: Caller, entity: Entity, mapping: DocumentMapping, document: dict[str, Any], *, claims: bool
    ) -> Document:
        """``claims``: what the document says is said by somebody of themselves."""
        id = new_id()
        names = await self._check_references(caller, entity, mapping, document)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {**{f.name: now for f in mapping.fields.values() if f.now}, **document}
        written = mapping.to_fhir(document, {})
        if entity is Entity.PATIENT:
            written[mapping.main] = await self._id_cards.of_a_new(written[mapping.main] or {}, claims=claims)
        name_references(mapping, written, names)
        entries = entries_of(mapping, id, written, {})
        writer = self._writer(caller, entity)
        role = _ROLES.get(entity)
        if role is None:
            await self._transactions.commit(writer, entries)
        else:

            async def store() -> None:
                await self._transactions.commit(writer, entries)

            kept = {f.name: document[f.name] for f in mapping.fields.values() if f.part is None and not f.write_only}
            reference = f"{mapping.type}/{id}"
            person = NewPerson(role, document["email"], document["name"], document["password"], reference, kept)
            await self._people.register(person, store)
        return await self._as_read(caller, entity, mapping, id)

    async def _update(
        self,
        caller: Caller,
        entity: Entity,
        mapping: DocumentMapping,
        id: str,
        document: dict[str, Any],
        action: Action,
    ) -> Document:
        main, parts = await self._existing(caller, entity, mapping, id)
        document = {**document}
        _leave_as_shown(mapping, document, self._reading.default_photo)
        names = await self._check_references(caller, entity, mapping, document)
        existing = {name: [stored.resource or {} for stored in held] for name, held in parts.items()}
        written = mapping.to_fhir(document, existing)
        if entity is Entity.PATIENT and action is Action.CORRECT and "IDcard" in document:
            written[mapping.main] = await self._id_cards.of_a_known(
                written.get(mapping.main) or main.resource or {}, main
            )
        name_references(mapping, written, names)
        resource = written.get(mapping.main)
        if resource is not None:
            self._drafting.put(caller, main.type, main.id, resource, main)
        entries = entries_of(mapping, id, written, parts)
        before = (main.resource or {}).get("telecom", ())
        if "email" in document and entity in _ROLES:
            await self._people.change_email(main.reference, document["email"])
        try:
            if entries:
                await self._transactions.commit(self._writer(caller, entity), entries)
        except BaseException:
            old = next((point.get("value") for point in before if point.get("system") == "email"), None)
            if "email" in document and old is not None:
                await self._people.change_email(main.reference, old)
            raise
        kept = {f.name: document[f.name] for f in mapping.fields.values() if f.part is None and f.name in document}
        if kept:
            await self._people.set_personnel(main.reference, kept)
        return await self._as_read(caller, entity, mapping, id)

    async def _during(self, caller: Caller, document: dict[str, Any]) -> dict[str, Any]:
        """A record about the patient with whom its author is talking: of that consultation, unless it says of which."""
        running = await self._consultations.open_of(caller.subject)
        if running is None or running.state != "active" or running.patient.id != document.get("patient"):
            return document
        return {"consultation": running.id, **document}

    async def _existing(
        self, caller: Caller, entity: Entity, mapping: DocumentMapping, id: str
    ) -> tuple[Stored, Parts]:
        """The main resource and the parts as they are; of a record, as far as the caller sees them."""
        writer = self._writer(caller, entity)
        found = await self._resources.read_many(
            [f"{mapping.type}/{id}"], lambda type: self._reading.visible(writer, type)
        )
        if not found or not is_a(mapping, found[0].resource):
            raise NotFound("no such resource")
        parts = await self._reading.parts(writer, mapping, found)
        return found[0], parts[id]

    async def _check_references(
        self, caller: Caller, entity: Entity, mapping: DocumentMapping, document: dict[str, Any]
    ) -> dict[str, str]:
        """What the references are called.

        What an id names must be there, and not another patient's; a record is in one's own name.
        """
        names: dict[str, str] = {}
        for field in mapping.fields.values():
            if field.type != "id" or document.get(field.name) is None:
                continue
            reference = f"{field.details.target}/{document[field.name]}"
            found = await self._resources.read_many([reference], lambda _: UNRESTRICTED)
            about = found[0].compartments if found else ()
            if not found or (about and f"Patient/{document.get('patient')}" not in about):
                raise InvalidRequest("names nothing that is here", code="not-found", expression=[field.name])
            names[reference] = self._reading.name_of(found[0])
        if entity is Entity.MEDICAL_RECORD and document.get("doctor") is not None:
            own = f"Practitioner/{document['doctor']}" == caller.reference
            if not own and caller.role is Role.DOCTOR and "records:amend" not in caller.rights:
                raise Forbidden("a record is written in one's own name", expression=["doctor"])
        return names

    def _writer(self, caller: Caller, entity: Entity) -> Caller:
        """Who the resources are written as: for a record the caller, else the site in the caller's name."""
        return caller if entity is Entity.MEDICAL_RECORD else replace(caller, role=Role.SITE)

    async def _as_read(self, caller: Caller, entity: Entity, mapping: DocumentMapping, id: str) -> Document:
        found = await self._resources.read_many([f"{mapping.type}/{id}"], lambda _: UNRESTRICTED)
        documents = await self._reading.documents(caller, entity, found, Access())
        if not documents:
            raise NotFound("the document has been deleted meanwhile")
        return documents[0]


def _without_ids(document: Mapping[str, Any], id: str) -> dict[str, Any]:
    """The document without its ids, which may be sent back as they were read.

    Raises:
        InvalidRequest: They are another document's.
    """
    for name in _IDS:
        if name in document and document[name] != id:
            raise InvalidRequest("must be the id of the URL", code="value", expression=[name])
    return {name: value for name, value in document.items() if name not in _IDS}


def _leave_as_shown(mapping: DocumentMapping, document: dict[str, Any], default_photo: str) -> None:
    """A default that is sent back as it was read says nothing."""
    if "photo" in mapping.fields and document.get("photo") == default_photo:
        del document["photo"]
