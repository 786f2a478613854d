"""A doctor opens a restricted record in an emergency; the page says so while it lasts, and the patient reads why."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Hospital, Open

_LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
_REASON = "Brought in after a fall, nobody is with her."


def test_a_doctor_breaks_the_glass(open_page: Open, hospital: Hospital) -> None:
    """Hidden; opened with a reason, under a banner, images and reports alike; ended; and read by the patient."""
    condition = {"resourceType": "Condition", "subject": {"reference": f"Patient/{hospital.patient.id}"}}
    condition |= {"code": {"text": "A secret of hers"}, "meta": {"security": [_LABEL]}}
    with hospital.http(hospital.doctor) as http:
        made = http.post("/fhir/Condition", json=condition).raise_for_status().json()
    page = open_page(f"/app/patients/{hospital.patient.id}?tab=problems", hospital.doctor)
    expect(page.get_by_text("Essential hypertension")).to_be_visible()
    expect(page.get_by_text("A secret of hers")).to_have_count(0)
    page.get_by_role("button", name="Open in an emergency").click()
    page.get_by_role("dialog").get_by_label("Reason").fill(_REASON)
    page.get_by_role("dialog").get_by_role("button", name="Open in an emergency").click()
    banner = page.get_by_role("status").filter(has_text="Emergency access")
    expect(banner).to_be_visible()
    expect(page.get_by_text("A secret of hers")).to_be_visible()
    page.evaluate("sessionStorage.setItem('left', 'yes')")  # else the fixture signs in anew
    page.reload()
    expect(banner).to_be_visible()
    expect(page.get_by_text("A secret of hers")).to_be_visible()
    token = page.evaluate("JSON.parse(sessionStorage['hayat.session']).emergency.token")
    banner.get_by_role("button", name="End now").click()
    expect(page.get_by_role("button", name="Open in an emergency")).to_be_visible()
    expect(page.get_by_text("A secret of hers")).to_have_count(0)
    assert token
    with hospital.http(hospital.doctor) as http:
        assert http.get(f"/fhir/Condition/{made['id']}").status_code == 403
    home = open_page("/app/access", hospital.patient)
    line = home.get_by_role("listitem").filter(has_text=_REASON)
    expect(line).to_contain_text("Dr. Layla Mansour")
    expect(line).to_contain_text("Emergency")
    with hospital.http(hospital.patient) as http:
        assert http.get(f"/fhir/Condition/{made['id']}").status_code == 404
