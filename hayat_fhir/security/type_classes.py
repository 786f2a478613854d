"""What kind of content each R4 resource type holds: the rows of the policy's table.

A type that stands in no class here is not a type of this server, and nobody may do anything with it.
https://hl7.org/fhir/R4/resourcelist.html, https://hl7.org/fhir/R4/compartmentdefinition-patient.html
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class TypeClass(StrEnum):
    """What kind of content a resource type holds."""

    DIRECTORY = "directory"
    """Who works where and how to reach them: no patient's data."""
    SCHEDULING = "scheduling"
    """When somebody is free. A Schedule may be a patient's own, so this is no directory."""
    KNOWLEDGE = "knowledge"
    """Definitions and terminology, which name no patient; written by the site only."""
    MATERIAL = "material"
    """What things are made of: R4 gives these types no element that refers to a patient."""
    PERSON = "person"
    """Who the patients are."""
    CLINICAL = "clinical"
    """Everything about care. What is in nobody's compartment (Device, Task, Binary, ..) no patient sees."""
    CONSENT = "consent"
    """What patients allow: they alone write it, and no partner reads it."""
    FINANCIAL = "financial"
    """Bills and claims: they carry diagnoses."""
    COLLECTIVE = "collective"
    """About several people at once: being one of them opens nothing, as the others stand in it too."""
    PROVENANCE = "provenance"
    """Where a record comes from: added, never changed."""
    AUDIT = "audit"
    """Who did what: written by the server alone."""
    INFRASTRUCTURE = "infrastructure"
    """What the server acts on by itself, and what holds secrets of whoever set it up."""
    UNSTORED = "unstored"
    """Exchanged, never stored; and every name that is no R4 type."""


_TYPES: dict[TypeClass, str] = {
    TypeClass.DIRECTORY: """
        Endpoint HealthcareService Location Organization OrganizationAffiliation Practitioner PractitionerRole
    """,
    TypeClass.SCHEDULING: "Schedule Slot",
    TypeClass.KNOWLEDGE: """
        ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap
        EffectEvidenceSynthesis EventDefinition Evidence EvidenceVariable ExampleScenario GraphDefinition
        ImplementationGuide Library Measure MedicationKnowledge MessageDefinition NamingSystem ObservationDefinition
        OperationDefinition PlanDefinition Questionnaire ResearchDefinition ResearchElementDefinition
        RiskEvidenceSynthesis SearchParameter SpecimenDefinition StructureDefinition StructureMap
        TerminologyCapabilities TestReport TestScript ValueSet
    """,
    TypeClass.MATERIAL: """
        CatalogEntry DeviceDefinition Medication MedicinalProduct MedicinalProductAuthorization
        MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient
        MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged
        MedicinalProductPharmaceutical MedicinalProductUndesirableEffect Substance SubstanceNucleicAcid
        SubstancePolymer SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification
    """,
    TypeClass.PERSON: "Patient",
    TypeClass.CLINICAL: """
        AdverseEvent AllergyIntolerance Appointment AppointmentResponse Basic Binary BiologicallyDerivedProduct
        BodyStructure CarePlan CareTeam ClinicalImpression Communication CommunicationRequest Composition Condition
        DetectedIssue Device DeviceMetric DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest
        DocumentReference Encounter EpisodeOfCare FamilyMemberHistory Flag Goal GuidanceResponse ImagingStudy
        Immunization ImmunizationEvaluation ImmunizationRecommendation List MeasureReport Media
        MedicationAdministration MedicationDispense MedicationRequest MedicationStatement MessageHeader
        MolecularSequence NutritionOrder Observation Procedure QuestionnaireResponse RelatedPerson RequestGroup
        ResearchStudy ResearchSubject RiskAssessment ServiceRequest Specimen SupplyDelivery SupplyRequest Task
        VerificationResult VisionPrescription
    """,
    TypeClass.CONSENT: "Consent",
    TypeClass.FINANCIAL: """
        Account ChargeItem Claim ClaimResponse Contract Coverage CoverageEligibilityRequest
        CoverageEligibilityResponse EnrollmentRequest EnrollmentResponse ExplanationOfBenefit InsurancePlan Invoice
        PaymentNotice PaymentReconciliation
    """,
    TypeClass.COLLECTIVE: "Bundle Group Linkage Person",
    TypeClass.PROVENANCE: "Provenance",
    TypeClass.AUDIT: "AuditEvent",
    TypeClass.INFRASTRUCTURE: "Subscription",
    TypeClass.UNSTORED: "OperationOutcome Parameters",
}

CLASSES: Mapping[str, TypeClass] = MappingProxyType(
    {type: kind for kind, types in _TYPES.items() for type in types.split()}
)
"""The class of every R4 resource type."""

SUPPORTING_TYPES = frozenset(
    {"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Medication", "Device"}
)
"""Types outside every compartment that a patient's history refers to, and that go with it."""


def class_of(type: str) -> TypeClass:
    """The class of a resource type; a name that is no R4 type is unstored."""
    return CLASSES.get(type, TypeClass.UNSTORED)
