"""A patient whom a partner has contributed is no longer its alone once others have written records of them."""

from __future__ import annotations

from collections.abc import Sequence

from hayat_fhir.errors import Conflict
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources


class PatientDeletion:
    """Looks at a patient's records; ``types`` are those of the patient compartment."""

    def __init__(self, resources: Resources, types: Sequence[str]) -> None:
        self._resources = resources
        self._types = tuple(sorted({*types} - {"AuditEvent", "Patient"}))

    async def check(self, caller: Caller, old: Stored) -> None:
        """Return if the caller may delete this, as far as the records of others are concerned.

        Raises:
            Conflict: It is a Patient, the caller a partner, and there are such records.
        """
        if caller.role is not Role.PARTNER or old.type != "Patient":
            return
        if await self._resources.contributed_by_others(old.reference, self._types, caller.source):
            raise Conflict("there are records of this patient that others have written")
