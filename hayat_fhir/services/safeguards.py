"""What a write must be looked up for besides the policy, which knows the resource and its old version only."""

from __future__ import annotations

from dataclasses import dataclass

from hayat_fhir.services.consents import Recipients
from hayat_fhir.services.patient_deletion import PatientDeletion
from hayat_fhir.services.security_contexts import SecurityContexts


@dataclass(frozen=True, slots=True)
class Safeguards:
    """One and the same for single interactions and for transactions."""

    contexts: SecurityContexts
    """A Binary is judged by its security context, read or written."""
    recipients: Recipients
    """A patient's Consent names partners."""
    patients: PatientDeletion
    """A patient of whom others have records stays."""
