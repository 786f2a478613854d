"""The outbox in the hands of the staff: what waits for whom, what went wrong; tried again or given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import get_args

from hayat_fhir.errors import Conflict, Forbidden, InvalidRequest, NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.outbox import Job, Outbox, Status

MOST = 500
"""Jobs of one page."""
STATES: tuple[Status, ...] = get_args(Status)


class Order(StrEnum):
    """What the staff may do about a job."""

    RETRY = "retry"
    """Try at once, counting from anew."""
    CANCEL = "cancel"
    """Give up; what has arrived stays there, and what was shared stays shared."""


class StaffOutbox:
    """Lists the shares in the outbox, and takes orders about them."""

    def __init__(self, outbox: Outbox, policy: Policy, auditing: Auditing) -> None:
        self._outbox = outbox
        self._policy = policy
        self._auditing = auditing

    async def list(
        self, caller: Caller, status: Status | None = None, *, count: int = 100, before: datetime | None = None
    ) -> Sequence[Job]:
        """The latest shares in a state (None: in any), newest first.

        Raises:
            Forbidden: The caller is not staff.
            InvalidRequest: The count is out of bounds.
            Unavailable: They cannot be read, or not be audited.
        """
        if not 1 <= count <= MOST:
            raise InvalidRequest(f"a page has 1 to {MOST} entries", code="value", expression=["_count"])
        async with self._auditing.access(caller, "operation-outbox") as access:
            self._check(caller, Interaction.READ)
            jobs = await self._outbox.list(status, "share", count, before)
            access.patients.update(f"Patient/{job.payload['patient']}" for job in jobs)
            return jobs

    async def order(self, caller: Caller, id: str, order: Order) -> Job:
        """Carry an order out; the job as it is then.

        Raises:
            Forbidden: The caller is not staff.
            NotFound: There is no such share.
            Conflict: It is running or done, or the same was asked for anew.
            Unavailable: It cannot be stored, or not be audited.
        """
        async with self._auditing.access(caller, "operation-outbox", f"Task/{id}") as access:
            self._check(caller, Interaction.UPDATE)
            known = await self._outbox.get(id)
            if known is None or known.kind != "share":
                raise NotFound("no such share")
            access.reason = order
            access.patients.add(f"Patient/{known.payload['patient']}")
            job = await (self._outbox.resume(id) if order is Order.RETRY else self._outbox.cancel(id))
            if job is None:
                raise Conflict("the share is not in a state for this")
            return job

    def _check(self, caller: Caller, interaction: Interaction) -> None:
        """Whose history goes where is for those to see who manage patients; what is in it they do not see."""
        if caller.role not in {Role.STAFF, Role.SITE}:
            raise Forbidden("the outbox is for the staff")
        self._policy.restriction(caller, interaction, "Patient")
