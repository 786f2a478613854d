"""Medical records that are drafts until they are signed."""

from __future__ import annotations

import pytest

from tests.api_v1.conftest import Person, record_document


def test_a_draft_is_signed_and_stays_signed(doctor: Person, patient: Person) -> None:
    """A draft is preliminary, signed it is final, changed after that amended; a signature is not taken back."""
    document = record_document(doctor.id, patient.id, status="draft")
    id = str(doctor.http.post("/medicalRecord", json=document).json()["data"]["id"])

    def status() -> str:
        return str(doctor.fhir.get(f"/DiagnosticReport/{id}").json()["status"])

    assert status() == "preliminary"
    for said, expected in (("draft", "preliminary"), ("signed", "final"), ("amended", "amended")):
        answer = doctor.http.put(f"/medicalRecord/{id}", json={"status": said, "treatment": f"Treated: {said}"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["medicalRecord"]["status"] == said
        assert status() == expected
    assert doctor.http.put(f"/medicalRecord/{id}", json={"status": "draft"}).status_code == 409
    assert status() == "amended"


@pytest.mark.parametrize(("said", "status"), [("final", 400), (1, 400), (None, 201)])
def test_a_record_is_a_draft_signed_or_amended(doctor: Person, patient: Person, said: object, status: int) -> None:
    """FHIR's own codes are not the legacy words; nothing said is nothing asked for."""
    answer = doctor.http.post("/medicalRecord", json=record_document(doctor.id, patient.id, status=said))
    assert answer.status_code == status, answer.text
