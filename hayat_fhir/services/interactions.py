"""The instance and type interactions of FHIR: read, vread, history, create, update, patch, delete.

https://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hayat_fhir.errors import Conflict, Gone, InvalidRequest, NotFound, PreconditionFailed
from hayat_fhir.fhir.patch import Operation, patched
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Access, Auditing
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.drafting import Drafting, new_id
from hayat_fhir.services.emergency import check_glass
from hayat_fhir.services.safeguards import Safeguards
from hayat_fhir.store.records import Change, Resource, Stored
from hayat_fhir.store.resources import Resources, VersionConflict

_ATTEMPTS = 8
_MATCHED = "nothing was created: the condition matched, and the caller was told the id only"
_MATCHED_AND_SHOWN = "nothing was created: the condition matched what the caller may read"


@dataclass(frozen=True, slots=True)
class Written:
    """The version that is current after a write, and whether the write created the resource or changed it.

    ``shown``: the caller may read it. A partner's condition may match what it may only link to, and learns the id of.
    """

    stored: Stored
    created: bool = False
    changed: bool = True
    shown: bool = True


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first, and the version number below which the next page goes on (None: no more)."""

    versions: list[Stored]
    before: int | None


class Interactions:
    """Each method is one interaction: decided by the policy, done in the store, audited."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        drafting: Drafting,
        conditional: Conditional,
        auditing: Auditing,
        safeguards: Safeguards,
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._drafting = drafting
        self._conditional = conditional
        self._auditing = auditing
        self._safeguards = safeguards

    async def read(self, caller: Caller, type: str, id: str) -> Stored:
        """The current version.

        Raises:
            NotFound: Missing, or outside what the caller may see.
            Gone: Deleted.
            Forbidden: The type is outside the caller's role or scopes; or (code ``suppressed``) the record is
                restricted, and the caller may break the glass.
        """
        async with self._auditing.access(caller, "read", f"{type}/{id}") as access:
            restriction = await self._safeguards.contexts.restriction(caller, Interaction.READ, type, id)
            found = await self._resources.read(type, id, restriction)
            if found is None and caller.role is Role.DOCTOR:
                check_glass(await self._resources.read(type, id, replace(restriction, restricted=True)))
            stored = _present(found)
            access.patients.update(stored.compartments)
            return stored

    async def vread(self, caller: Caller, type: str, id: str, version: int) -> Stored:
        """One version, as it was.

        Raises:
            NotFound: No such version, or outside what the caller may see.
            Gone: That version is a deletion.
            Forbidden: As for ``read``; a version is restricted where it or a later one has been labelled so.
        """
        async with self._auditing.access(caller, "vread", f"{type}/{id}/_history/{version}") as access:
            restriction = await self._safeguards.contexts.restriction(caller, Interaction.VREAD, type, id)
            found = await self._resources.vread(type, id, version, restriction)
            if found is None and caller.role is Role.DOCTOR:
                check_glass(await self._resources.vread(type, id, version, replace(restriction, restricted=True)))
            stored = _present(found)
            access.patients.update(stored.compartments)
            return stored

    async def history(
        self, caller: Caller, type: str, id: str, count: int = 50, before: int | None = None
    ) -> HistoryPage:
        """The versions of one resource, newest first, deletions included; each judged by its own compartments.

        Raises:
            NotFound: No version that the caller may see.
            Forbidden: As for ``read``.
        """
        async with self._auditing.access(caller, "history-instance", f"{type}/{id}") as access:
            restriction = await self._safeguards.contexts.restriction(caller, Interaction.HISTORY, type, id)
            versions = await self._resources.history(type, id, restriction, limit=count + 1, before=before)
            if not versions and before is None:
                if caller.role is Role.DOCTOR:
                    check_glass(await self._resources.read(type, id, replace(restriction, restricted=True)))
                raise NotFound("no such resource")
            page = versions[:count]
            for version in page:
                access.patients.update(version.compartments)
            return HistoryPage(page, page[-1].version if len(versions) > count else None)

    async def create(self, caller: Caller, type: str, resource: Resource, if_none_exist: str | None = None) -> Written:
        """Store a new resource under a new id; with ``if_none_exist`` only where nothing meets these criteria.

        Raises:
            InvalidRequest: Not a valid resource, or malformed criteria.
            PreconditionFailed: Several resources meet the criteria.
            Forbidden: The caller may not create this.
        """
        async with self._auditing.access(caller, "create") as access:
            for _ in range(_ATTEMPTS):
                id = new_id()
                if if_none_exist is not None:
                    existing = await self._conditional.match(caller, type, if_none_exist)
                    if existing is not None:
                        access.touched(existing)
                        shown = self._policy.shows(caller, existing.type, existing)
                        access.description = _MATCHED_AND_SHOWN if shown else _MATCHED
                        return Written(existing, changed=False, shown=shown)
                    id = await self._conditional.claim(caller, type, if_none_exist, id)
                change = self._drafting.put(caller, type, id, resource, None)
                if change is None:
                    raise Conflict("a new resource cannot equal an old one")
                try:
                    stored = await self._commit(caller, change)
                except VersionConflict:
                    continue
                access.touched(stored)
                return Written(stored, created=True)
            raise Conflict("others kept creating the same resource")

    async def update(
        self,
        caller: Caller,
        type: str,
        id: str,
        resource: Resource,
        if_match: int | None = None,
        *,
        absent: bool = False,
    ) -> Written:
        """Store ``resource`` as the next version of ``type/id``, or as its first (update as create).

        Equal content makes no new version. With ``absent`` only where there is no such resource.

        Raises:
            InvalidRequest: Not a valid resource, or its id is not ``id``.
            PreconditionFailed: ``if_match`` is not the current version, or with ``absent`` there is one.
            PreconditionMissing: The site asks for ``if_match``, and it is None.
            NotFound: The caller may not know of the resource.
            Forbidden: The caller may not write this.
        """
        async with self._auditing.access(caller, "update", f"{type}/{id}") as access:
            if resource.get("id") != id:
                raise InvalidRequest("the resource's id must equal the id of the URL", expression=[f"{type}.id"])
            await self._safeguards.contexts.check_write(caller, type, id)
            for _ in range(_ATTEMPTS):
                old = await self._resources.read(type, id, UNRESTRICTED)
                change = self._drafting.put(caller, type, id, resource, old)
                self._drafting.check_version(caller, old, if_match)
                if absent and old is not None and not old.deleted:
                    raise PreconditionFailed("the resource exists already")
                if change is None and old is not None:
                    access.patients.update(old.compartments)
                    return Written(old, changed=False)
                if change is not None:
                    try:
                        stored = await self._commit(caller, change)
                    except VersionConflict:
                        continue
                    _touch_both(access, old, stored)
                    return Written(stored, created=old is None or old.deleted)
            raise Conflict("others kept changing the same resource")

    async def patch(
        self, caller: Caller, type: str, id: str, operations: tuple[Operation, ...], if_match: int | None = None
    ) -> Written:
        """Let the operations take effect on the current version, as the next one: all of them, or none.

        Only what the caller may read can be patched: whether an operation fits tells what is there.

        Raises:
            NotFound: Missing, or outside what the caller may see.
            Gone: Deleted.
            Unprocessable: An operation does not fit.
            InvalidRequest: What comes out is not valid.
            PreconditionFailed: ``if_match`` is not the current version.
            PreconditionMissing: The site asks for ``if_match``, and it is None.
            Forbidden: The caller may not write this.
        """
        async with self._auditing.access(caller, "patch", f"{type}/{id}") as access:
            self._policy.restriction(caller, Interaction.UPDATE, type)
            restriction = await self._safeguards.contexts.restriction(caller, Interaction.READ, type, id)
            for _ in range(_ATTEMPTS):
                old = _present(await self._resources.read(type, id, restriction))
                self._drafting.check_version(caller, old, if_match)
                change = self._drafting.put(caller, type, id, patched(old.resource or {}, operations), old)
                if change is None:
                    access.patients.update(old.compartments)
                    return Written(old, changed=False)
                try:
                    stored = await self._commit(caller, change)
                except VersionConflict:
                    continue
                _touch_both(access, old, stored)
                return Written(stored)
            raise Conflict("others kept changing the same resource")

    async def delete(self, caller: Caller, type: str, id: str, if_match: int | None = None) -> Stored | None:
        """Delete, keeping all versions; None where there was nothing that the caller could delete.

        Raises:
            PreconditionFailed: ``if_match`` is not the current version.
            Conflict: A partner may not, for others have written records of this patient.
            Forbidden: The caller may not delete this.
        """
        async with self._auditing.access(caller, "delete", f"{type}/{id}") as access:
            restriction = self._policy.restriction(caller, Interaction.DELETE, type)
            await self._safeguards.contexts.check_write(caller, type, id)
            for _ in range(_ATTEMPTS):
                old = await self._resources.read(type, id, restriction)
                if old is None or old.deleted:
                    return old
                _check_match(old, if_match)
                await self._safeguards.patients.check(caller, old)
                try:
                    (stored,) = await self._resources.commit([self._drafting.delete(caller, old)])
                except VersionConflict:
                    continue
                access.patients.update(stored.compartments)
                return stored
            raise Conflict("others kept changing the same resource")

    async def _commit(self, caller: Caller, change: Change) -> Stored:
        await self._safeguards.recipients.check(caller, [change])
        (stored,) = await self._resources.commit([change])
        return stored


def _present(stored: Stored | None) -> Stored:
    if stored is None:
        raise NotFound("no such resource")
    if stored.deleted:
        raise Gone("the resource has been deleted")
    return stored


def _check_match(old: Stored | None, if_match: int | None) -> None:
    if if_match is not None and (old is None or old.version != if_match):
        raise PreconditionFailed("If-Match does not name the current version")


def _touch_both(access: Access, old: Stored | None, new: Stored) -> None:
    access.patients.update(new.compartments)
    if old is not None:
        access.patients.update(old.compartments)
