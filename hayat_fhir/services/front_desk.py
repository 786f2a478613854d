"""The staff's front desk: entries of other people set right, and people shut out or let in again; all audited.

Whether somebody may sign in is the account's; that the entry is in use is FHIR's ``active``, which goes with it.
https://hl7.org/fhir/R4/practitioner-definitions.html#Practitioner.active
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hayat_fhir.errors import Conflict, Forbidden, NotFound
from hayat_fhir.fhir.bundle_requests import Entry
from hayat_fhir.mapping.document import DocumentMapping
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.legacy_access import PEOPLE, Action, Entity, check
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.legacy_reading import Document, is_a
from hayat_fhir.services.legacy_writing import LegacyWriting
from hayat_fhir.services.people import People
from hayat_fhir.services.transactions import Transactions
from hayat_fhir.store.resources import Resources


class FrontDesk:
    """Corrects entries of people, and says who may sign in."""

    def __init__(
        self,
        mappings: Mapping[str, DocumentMapping],
        writing: LegacyWriting,
        resources: Resources,
        transactions: Transactions,
        people: People,
        auditing: Auditing,
    ) -> None:
        self._mappings = mappings
        self._writing = writing
        self._resources = resources
        self._transactions = transactions
        self._people = people
        self._auditing = auditing

    async def correct(self, caller: Caller, entity: Entity, id: str, document: Mapping[str, Any]) -> Document:
        """Change the fields of somebody's entry that the document names; the whole entry, as it reads now.

        Raises:
            InvalidRequest: A field is unknown or not of its type.
            NotFound: No such entry.
            Forbidden: The caller is not staff.
            Conflict: Another account has the e-mail address, or others kept changing the same entry.
        """
        return await self._writing.update(caller, entity, id, document, Action.CORRECT)

    async def set_access(self, caller: Caller, entity: Entity, id: str, *, disabled: bool) -> None:
        """Shut a person out, with all their tokens, or let them in again; their entry says which.

        Raises:
            NotFound: No such person.
            Forbidden: The caller is not staff.
            Conflict: The caller would shut themselves out, or somebody else changed the entry meanwhile.
        """
        mapping = self._mappings[entity]
        reference = f"{mapping.type}/{id}"
        async with self._auditing.access(caller, "update", reference) as access:
            access.reason = "account disabled" if disabled else "account enabled"
            check(caller, entity, Action.CORRECT, mapping.type, id)
            if entity not in PEOPLE:
                raise Forbidden("only people sign in")
            if disabled and caller.reference == reference:
                raise Conflict("nobody can shut themselves out")
            found = await self._resources.read_many([reference], lambda _: UNRESTRICTED)
            if not found or found[0].deleted or not is_a(mapping, found[0].resource):
                raise NotFound("no such resource")
            access.touched(found[0])
            if disabled:
                await self._people.shut_out(reference)
            resource = {**(found[0].resource or {}), "active": not disabled}
            entry = Entry(0, "PUT", mapping.type, id, resource=resource, if_match=found[0].version)
            await self._transactions.commit(replace(caller, role=Role.SITE), [entry])
            if not disabled:
                await self._people.let_in(reference)
