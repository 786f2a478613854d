"""The staff's view of what contradicts what is stored, and their decisions: audited, and each can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hayat_fhir.errors import Forbidden, InvalidRequest, NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.blobs import Blobs
from hayat_fhir.store.instances import OPEN, Instances
from hayat_fhir.store.quarantine import STATES, WITHHELD, Entry, QuarantineRows

MOST = 1000
"""Entries of one page, and of one decision."""
_LONGEST_REASON = 1000
DELETED = "deleted by the staff"
"""The reason of an entry that the staff has taken out of the archive."""


class Decision(StrEnum):
    """What the staff may decide."""

    ACCEPT = "accept"
    """Let the image in, as what it should be."""
    REJECT = "reject"
    """Keep it out; its bytes stay."""
    REVERSE = "reverse"
    """Take an earlier decision back."""


_STATE_BEFORE = {Decision.ACCEPT: OPEN, Decision.REJECT: OPEN}


@dataclass(frozen=True, slots=True)
class Resolution:
    """A decision about one entry, or about all entries of a study that wait for one; ``reason`` is for the record."""

    decision: Decision
    reason: str
    entry: str | None = None
    study: str | None = None


class Quarantine:
    """Lists and resolves conflicts, for the staff."""

    def __init__(
        self, rows: QuarantineRows, instances: Instances, blobs: Blobs, policy: Policy, auditing: Auditing
    ) -> None:
        self._rows = rows
        self._instances = instances
        self._blobs = blobs
        self._policy = policy
        self._auditing = auditing
        self._carry_out: Mapping[Decision, Callable[[str, str, str], Awaitable[Entry]]] = {
            Decision.ACCEPT: rows.accept,
            Decision.REJECT: rows.reject,
            Decision.REVERSE: rows.reverse,
        }

    async def list(
        self,
        caller: Caller,
        state: str | None = OPEN,
        study: str | None = None,
        *,
        count: int = 100,
        after: str | None = None,
    ) -> Sequence[Entry]:
        """The entries in a state (None: in any), newest first; those that follow the entry ``after``.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: There is no such state, or the count is out of bounds.
            NotFound: There is no entry ``after``.
            Unavailable: They cannot be read, or not be audited.
        """
        if state is not None and state not in STATES:
            raise InvalidRequest(f"the states are {', '.join(STATES)}", code="value", expression=["state"])
        if not 1 <= count <= MOST:
            raise InvalidRequest(f"a page has 1 to {MOST} entries", code="value", expression=["_count"])
        async with self._auditing.access(caller, "operation-quarantine"):
            self._check(caller, Interaction.READ)
            return await self._rows.list(state, study, count=count, after=after)

    async def get(self, caller: Caller, id: str) -> Entry:
        """One entry.

        Raises:
            Forbidden: The caller is not staff.
            NotFound: There is none with this id.
            Unavailable: It cannot be read, or not be audited.
        """
        async with self._auditing.access(caller, "operation-quarantine", f"Task/{id}"):
            self._check(caller, Interaction.READ)
            return await self._rows.get(id)

    async def resolve(self, caller: Caller, resolution: Resolution) -> Sequence[Entry]:
        """Carry a decision out; the entries as they are then. Of a study's entries each is decided by itself.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: The resolution names neither an entry nor a study, or both, or tells no reason.
            NotFound: There is no such entry.
            Conflict: The entry is not in a state for this decision.
            Unavailable: It cannot be stored, or not be audited.
        """
        if (resolution.entry is None) == (resolution.study is None):
            raise InvalidRequest("give either an entry or a study", code="required", expression=["id", "study"])
        reason = " ".join(resolution.reason.split())
        if not reason or len(reason) > _LONGEST_REASON:
            text = f"a decision needs a reason of at most {_LONGEST_REASON} characters"
            raise InvalidRequest(text, code="required", expression=["reason"])
        async with self._auditing.access(caller, "operation-quarantine") as access:
            self._check(caller, Interaction.UPDATE)
            access.reason = f"{resolution.decision}: {reason}"
            done = []
            for id in await self._chosen(resolution):
                access.entities.append(f"Task/{id}")
                done.append(await self._carry_out[resolution.decision](id, caller.reference or caller.subject, reason))
            return done

    async def withhold(
        self, caller: Caller, study: str, series: str | None = None, instance: str | None = None
    ) -> None:
        """Take a study, a series or an image out of the archive: nobody sees it any more, its bytes stay.

        Letting the entries in again takes it back.

        Raises:
            Forbidden: The caller is not staff.
            NotFound: There is no such image.
            Unavailable: It cannot be stored, or not be audited.
        """
        async with self._auditing.access(caller, "instances-deleted") as access:
            self._check(caller, Interaction.UPDATE)
            found = [
                one
                for one in await self._instances.of_study(study)
                if series in {None, one.series} and instance in {None, one.uid}
            ]
            if not found:
                raise NotFound("no such study, series or instance")
            studies = sorted({one.imaging_study for one in found if one.imaging_study is not None})
            access.entities += [f"ImagingStudy/{id}" for id in studies]
            for blob in await self._rows.hold(found, DELETED, WITHHELD):
                await asyncio.to_thread(self._blobs.remove, blob)

    async def _chosen(self, resolution: Resolution) -> Sequence[str]:
        if resolution.entry is not None:
            return [resolution.entry]
        states = [_STATE_BEFORE.get(resolution.decision)]
        if resolution.decision is Decision.REVERSE:
            states = ["accepted", "rejected"]
        found = [entry for state in states for entry in await self._rows.list(state, resolution.study, count=MOST)]
        return [entry.id for entry in found]

    def _check(self, caller: Caller, interaction: Interaction) -> None:
        """Who the patient of an image is, is for those to say who manage patients."""
        if caller.role not in {Role.STAFF, Role.SITE}:
            raise Forbidden("the quarantine is for the staff")
        self._policy.restriction(caller, interaction, "Patient")
