"""Breaking the glass: in an emergency a doctor opens what is labelled restricted of one patient.

It takes a reason, lasts half an hour, is audited as a security alert (which the patient reads, and staff and patient
are told of at once), and every access under it is marked. It is carried by a token of its own, so that nothing else
that the doctor does is done in its name. https://terminology.hl7.org/CodeSystem-v3-ActReason.html (BTG)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from hayat_fhir.errors import Forbidden, InvalidRequest, NotFound, Unprocessable
from hayat_fhir.security.audit import EMERGENCIES
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.security.tokens import Emergency
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.store.accounts import Account, Accounts
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_LASTS = 30 * 60
_SHORTEST, _LONGEST = 10, 500


@dataclass(frozen=True, slots=True)
class Glass:
    """Whether something of a patient is withheld, and until when it is open to the caller all the same."""

    withheld: bool
    until: datetime | None = None
    token: str | None = None


class Emergencies:
    """Opens restricted records. ``issue`` makes the token; ``types`` are those of the patient compartment."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        auditing: Auditing,
        accounts: Accounts,
        issue: Callable[[Account, Emergency], str],
        types: Sequence[str],
    ) -> None:
        self._resources = resources
        self._policy = policy
        self._auditing = auditing
        self._accounts = accounts
        self._issue = issue
        self._types = ("Patient", *sorted({*types} - {"AuditEvent", "Patient"}))

    async def glass(self, caller: Caller, patient: str) -> Glass:
        """Whether there is a glass to break.

        Raises:
            NotFound: No such patient.
            Forbidden: The caller is no doctor.
        """
        async with self._auditing.access(caller, "operation-break-glass", f"Patient/{patient}") as access:
            await self._exists(caller, patient)
            access.patients.add(f"Patient/{patient}")
            if (until := dict(caller.emergency).get(patient)) is not None:
                return Glass(withheld=False, until=datetime.fromtimestamp(until, UTC))
            return Glass(await self._resources.withheld(f"Patient/{patient}", self._types))

    async def break_glass(self, caller: Caller, patient: str, purpose: str, reason: str) -> Glass:
        """Open the patient's restricted records to this doctor for half an hour; with the token that does it.

        Raises:
            NotFound: No such patient.
            Forbidden: The caller is no doctor.
            InvalidRequest: No reason, or no purpose of an emergency.
            Unprocessable: Nothing of this patient is withheld.
        """
        async with self._auditing.access(caller, "emergency", f"Patient/{patient}") as access:
            await self._exists(caller, patient)
            reason = reason.strip()
            if not _SHORTEST <= len(reason) <= _LONGEST:
                raise InvalidRequest(f"a reason of {_SHORTEST} to {_LONGEST} characters is needed", code="required")
            if purpose not in EMERGENCIES:
                raise InvalidRequest("the purpose is BTG or ETREAT", code="code-invalid")
            if not await self._resources.withheld(f"Patient/{patient}", self._types):
                raise Unprocessable("nothing of this patient is withheld", code="business-rule")
            account = await self._accounts.by_id(caller.subject)
            if account is None or caller.session is None:
                raise Forbidden("only who has signed in can break the glass")
            until = min(int(time.time()) + _LASTS, int(caller.expires))
            opened = {**dict(caller.emergency), patient: until}
            access.patients.add(f"Patient/{patient}")
            access.reason, access.purpose = reason, purpose
        token = self._issue(account, Emergency(opened, caller.session, caller.expires))
        return Glass(withheld=False, until=datetime.fromtimestamp(until, UTC), token=token)

    async def _exists(self, caller: Caller, patient: str) -> None:
        if caller.role is not Role.DOCTOR:
            raise Forbidden("only doctors break the glass")
        self._policy.restriction(caller, Interaction.READ, "Patient")
        stored = await self._resources.read("Patient", patient, UNRESTRICTED)
        if stored is None or stored.deleted:
            raise NotFound("no such patient")


def check_glass(withheld: Stored | None) -> None:
    """Tell a doctor that a record is there, and what opens it in an emergency: ``withheld``, for nothing but its label.

    Raises:
        Forbidden: There is one.
    """
    if withheld is not None and not withheld.deleted:
        raise Forbidden(
            "this record is restricted; in an emergency Patient/[id]/$break-glass opens it, with a reason",
            code="suppressed",
        )
