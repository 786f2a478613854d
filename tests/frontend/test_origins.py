"""History from another hospital, as patient and doctor see it: where it came from, and whether it is verified."""

from __future__ import annotations

from typing import Any

import httpx
from playwright.sync_api import expect

from .conftest import Hospital, Open


def _received(hospital: Hospital, report: dict[str, Any]) -> httpx.Client:
    """A client of a partner hospital that has shared this report of the patient."""
    site = hospital.site
    partner = site.hayat(
        "partner", "add", "--name", "Saint Mary Clinic", "--fhir-url", "http://127.0.0.1:9/mary"
    ).split()
    token = site.hayat("token", "--partner", partner[-1]).split()[-1]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    system = f"{hospital.url}/identifier/patient"
    person = {"resourceType": "Patient", "identifier": [{"system": system, "value": hospital.number}]}
    known = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={system}|{hospital.number}"}
    put = {"method": "PUT", "url": f"DiagnosticReport/{report['id']}"}
    name = "urn:uuid:2a9b6a0e-6e0e-4a58-93f5-6f8a7b1f0a01"
    entries = [
        {"fullUrl": name, "resource": person, "request": known},
        {"resource": report | {"subject": {"reference": name}}, "request": put},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = httpx.post(f"{hospital.url}/fhir", json=bundle, headers=headers, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return httpx.Client(base_url=f"{hospital.url}/fhir", headers=headers, timeout=60, trust_env=False)


def test_history_of_another_hospital_is_shown_with_its_source(open_page: Open, hospital: Hospital) -> None:
    """It bears the hospital's name and is verified; once it has been changed outside of a share, it is not any more.

    A doctor may ask that hospital for what is new, and is told that it does not answer.
    """
    report = {"resourceType": "DiagnosticReport", "id": "torn-meniscus", "status": "final", "code": {"text": "Knee"}}
    report |= {
        "conclusionCode": [{"text": "Torn meniscus"}],
        "conclusion": "Medial, right.",
        "issued": "2022-08-11T10:00:00Z",
    }
    with _received(hospital, report) as http:
        for person, path in ((hospital.patient, "/app"), (hospital.doctor, f"/app/patients/{hospital.patient.id}")):
            page = open_page(path, person)
            entry = page.get_by_role("article").filter(has=page.get_by_role("link", name="Torn meniscus"))
            expect(entry).to_contain_text("Saint Mary Clinic")
            expect(entry.get_by_text("Verified")).to_be_visible()
            own = page.get_by_role("article").filter(has=page.get_by_role("link", name="Pneumonia"))
            expect(own).to_contain_text("This hospital")
            expect(own.get_by_text("Verified")).to_have_count(0)
        page.get_by_role("button", name="Ask Saint Mary Clinic for what is new").click()
        expect(page.get_by_role("alert")).to_have_text("This hospital cannot be reached just now. Try again later.")
        entry.get_by_role("link").click()
        expect(page.get_by_text("Saint Mary Clinic", exact=True)).to_be_visible()
        expect(page.get_by_text("Verified")).to_be_visible()
        stored = http.get("/DiagnosticReport/torn-meniscus").json()
        changed = http.put("/DiagnosticReport/torn-meniscus", json=stored | {"conclusion": "Lateral, left."})
        assert changed.status_code == 200, changed.text
        page.reload()
        expect(page.get_by_text("Lateral, left.")).to_be_visible()
        expect(page.get_by_text("Saint Mary Clinic", exact=True)).to_be_visible()
        expect(page.get_by_text("Verified")).to_have_count(0)
