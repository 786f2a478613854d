"""Who may do what: a decision that becomes part of the query, never a filter afterwards.

Every resource type belongs to one class, every role has a rule for each class; what no rule allows is forbidden.

========== ============== ================== ============================== ============= ======
class      patient        doctor             partner                        staff         site
========== ============== ================== ============================== ============= ======
directory  read           read               read; writes its own           read, write   all
knowledge  read           read               read                           --            all
person     own; updates   read               shared and own; writes its own read, write   all
clinical   own compartm.  read, write        shared and own; writes its own --            all
audit      own compartm.  --                 --                             read          all
unstored   --             --                 --                             --            --
========== ============== ================== ============================== ============= ======

Documents labelled restricted are visible to the site itself only.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

from hayat_fhir.errors import Forbidden, MethodNotAllowed, NotFound
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Restriction, Role
from hayat_fhir.security.scopes import allows


class Interaction(StrEnum):
    """What is asked for."""

    READ = "read"
    VREAD = "vread"
    HISTORY = "history"
    SEARCH = "search"
    OPERATION = "operation"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class TypeClass(StrEnum):
    """What kind of content a resource type holds."""

    DIRECTORY = "directory"
    KNOWLEDGE = "knowledge"
    PERSON = "person"
    CLINICAL = "clinical"
    AUDIT = "audit"
    UNSTORED = "unstored"


_LETTER = {
    Interaction.READ: "r",
    Interaction.VREAD: "r",
    Interaction.HISTORY: "r",
    Interaction.OPERATION: "r",
    Interaction.SEARCH: "s",
    Interaction.CREATE: "c",
    Interaction.UPDATE: "u",
    Interaction.DELETE: "d",
}
_WRITES = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.DELETE})

_DIRECTORY = frozenset(
    {
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "OrganizationAffiliation",
        "HealthcareService",
        "Location",
        "Endpoint",
        "Schedule",
        "Slot",
    }
)
_KNOWLEDGE = frozenset(
    {
        "ActivityDefinition",
        "CapabilityStatement",
        "ChargeItemDefinition",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "EventDefinition",
        "Evidence",
        "EvidenceVariable",
        "ExampleScenario",
        "GraphDefinition",
        "ImplementationGuide",
        "Library",
        "Measure",
        "Medication",
        "MedicationKnowledge",
        "MessageDefinition",
        "NamingSystem",
        "ObservationDefinition",
        "OperationDefinition",
        "PlanDefinition",
        "Questionnaire",
        "ResearchDefinition",
        "ResearchElementDefinition",
        "SearchParameter",
        "SpecimenDefinition",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "TerminologyCapabilities",
        "ValueSet",
    }
)
_CLASSES: dict[str, TypeClass] = {
    **dict.fromkeys(_DIRECTORY, TypeClass.DIRECTORY),
    **dict.fromkeys(_KNOWLEDGE, TypeClass.KNOWLEDGE),
    "Patient": TypeClass.PERSON,
    "AuditEvent": TypeClass.AUDIT,
    "Parameters": TypeClass.UNSTORED,
    "OperationOutcome": TypeClass.UNSTORED,
}

SUPPORTING_TYPES = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Medication", "Device"}
)
"""Types outside every compartment that a patient's history refers to, and that go with it."""

_READS: dict[Role, frozenset[TypeClass]] = {
    Role.PATIENT: frozenset({*TypeClass} - {TypeClass.UNSTORED}),
    Role.DOCTOR: frozenset({TypeClass.DIRECTORY, TypeClass.KNOWLEDGE, TypeClass.PERSON, TypeClass.CLINICAL}),
    Role.PARTNER: frozenset({TypeClass.DIRECTORY, TypeClass.KNOWLEDGE, TypeClass.PERSON, TypeClass.CLINICAL}),
    Role.STAFF: frozenset({TypeClass.DIRECTORY, TypeClass.PERSON, TypeClass.AUDIT}),
}
_WRITING: dict[Role, frozenset[TypeClass]] = {
    Role.PATIENT: frozenset({TypeClass.PERSON}),
    Role.DOCTOR: frozenset({TypeClass.CLINICAL}),
    Role.PARTNER: frozenset({TypeClass.DIRECTORY, TypeClass.PERSON, TypeClass.CLINICAL}),
    Role.STAFF: frozenset({TypeClass.DIRECTORY, TypeClass.PERSON}),
}
_OPEN = frozenset({TypeClass.DIRECTORY, TypeClass.KNOWLEDGE})
"""Classes that hold no patient's data: whoever may read them reads all of them."""

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_RESTRICTED = frozenset({"R", "V"})


class Old(Protocol):
    """The version that a write replaces."""

    @property
    def compartments(self) -> tuple[str, ...]:
        """``Patient/id`` references."""

    @property
    def source(self) -> str | None:
        """The partner that contributed it."""

    @property
    def resource(self) -> dict[str, Any] | None:
        """Its content; None where it is deleted."""


def class_of(type: str) -> TypeClass:
    """The class of a resource type: clinical, unless it is known to be something else."""
    return _CLASSES.get(type, TypeClass.CLINICAL)


def is_restricted(resource: dict[str, Any] | None) -> bool:
    """Whether ``meta.security`` labels a resource restricted (R) or very restricted (V)."""
    labels = (resource or {}).get("meta", {}).get("security", ())
    return any(
        label.get("code") in _RESTRICTED and label.get("system", _CONFIDENTIALITY) == _CONFIDENTIALITY
        for label in labels
    )


def sees(restriction: Restriction, compartments: tuple[str, ...], source: str | None, *, restricted: bool) -> bool:
    """Whether a restriction lets through a document with these marks: what the store puts into its queries."""
    if restricted and not restriction.restricted:
        return False
    if restriction.everything:
        return True
    return bool(restriction.compartments.intersection(compartments)) or (
        source is not None and source in restriction.sources
    )


class Policy:
    """Decides; it knows no store and looks nothing up."""

    def restriction(self, caller: Caller, interaction: Interaction, type: str) -> Restriction:
        """What of a type the caller may see or touch with this interaction.

        Raises:
            Forbidden: Nothing: the role or the scopes do not allow it.
            MethodNotAllowed: The interaction is nobody's: audit events are not written through a door.
        """
        kind = class_of(type)
        if caller.role is Role.SITE:
            return UNRESTRICTED
        if kind is TypeClass.AUDIT and interaction in _WRITES:
            raise MethodNotAllowed("audit events are written by the server only")
        allowed = _WRITING if interaction in _WRITES else _READS
        if kind not in allowed[caller.role] and not self._is_self(caller, interaction, type):
            raise Forbidden("the role does not allow this")
        if not allows(caller.scopes, type, _LETTER[interaction]):
            raise Forbidden("the token's scopes do not allow this")
        return self._visible(caller, kind)

    def check_write(
        self,
        caller: Caller,
        interaction: Interaction,
        type: str,
        new: dict[str, Any] | None,
        compartments: tuple[str, ...],
        old: Old | None,
    ) -> None:
        """Judge a write on both versions: the one it replaces, and the one it makes (None: a deletion).

        Raises:
            Forbidden: The role, the scopes or the change itself.
            NotFound: The caller may not know of the old version.
            MethodNotAllowed: Audit events.
        """
        restriction = self.restriction(caller, interaction, type)
        if caller.role is Role.SITE:
            return
        if old is not None and not self._may_touch(caller, restriction, type, old):
            raise NotFound("no such resource")
        if old is not None and is_restricted(old.resource) and new is not None and not is_restricted(new):
            raise Forbidden("a security label must not be lowered")
        match caller.role:
            case Role.PATIENT:
                own = restriction.compartments
                if interaction is not Interaction.UPDATE or old is None or not own.issuperset(compartments):
                    raise Forbidden("a patient may update their own record only")
            case Role.DOCTOR if class_of(type) is TypeClass.DIRECTORY:
                if new is not None and caller.reference != f"{type}/{new.get('id')}":
                    raise Forbidden("a doctor may update their own entry only")
            case _:
                return

    def _is_self(self, caller: Caller, interaction: Interaction, type: str) -> bool:
        """A doctor may update their own Practitioner; which one, ``check_write`` sees."""
        return caller.role is Role.DOCTOR and type == "Practitioner" and interaction is Interaction.UPDATE

    def _visible(self, caller: Caller, kind: TypeClass) -> Restriction:
        if kind in _OPEN or caller.role in {Role.DOCTOR, Role.STAFF}:
            return Restriction(everything=True)
        compartments = frozenset(f"Patient/{patient}" for patient in caller.patients)
        sources = frozenset({caller.source}) if caller.role is Role.PARTNER and caller.source else frozenset[str]()
        return Restriction(compartments=compartments, sources=sources)

    def _may_touch(self, caller: Caller, restriction: Restriction, type: str, old: Old) -> bool:
        """A partner touches what it contributed; everybody else what they see."""
        if caller.role is Role.PARTNER:
            return caller.source is not None and old.source == caller.source and not is_restricted(old.resource)
        restricted = is_restricted(old.resource)
        return sees(restriction, old.compartments, old.source, restricted=restricted)
