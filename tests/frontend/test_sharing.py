"""A patient says in the app which hospital may see the record; the server keeps to it."""

from __future__ import annotations

from playwright.sync_api import expect

from .conftest import Hospital, Open


def test_a_patient_gives_and_withdraws_consent(open_page: Open, hospital: Hospital) -> None:
    """Allowed the images until a day, then forbidden: the doctor's share is refused, and the app says why."""
    page = open_page("/app", hospital.patient)
    page.get_by_role("link", name="Sharing").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Who may see my record")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="PACS"))
    expect(card).to_contain_text("Sees nothing")
    card.get_by_role("button", name="Allow").click()
    page.get_by_label("Images", exact=True).check()
    page.get_by_label("Until (last day)").fill("2099-12-31")
    page.get_by_role("dialog").get_by_role("button", name="Allow").click()
    expect(card).to_contain_text("It may see images, but no reports.")
    expect(card).to_contain_text("2099")
    card.get_by_role("button", name="Withdraw").click()
    expect(card).to_contain_text("Forbidden by you")
    with hospital.http(hospital.patient) as http:
        (entry,) = http.get("/fhir/Consent", params={"patient": hospital.patient.id}).json()["entry"]
        assert entry["resource"]["status"] == "inactive"
        assert int(entry["resource"]["meta"]["versionId"]) == 2
    with hospital.http(hospital.doctor) as http:
        partner = entry["resource"]["provision"]["actor"][0]["reference"]["reference"].rpartition("/")[2]
        refused = http.post(f"/fhir/Patient/{hospital.patient.id}/$share", params={"with": partner})
        assert (refused.status_code, refused.json()["issue"][0]["code"]) == (403, "suppressed")
    card.get_by_role("button", name="Allow").click()
    page.get_by_role("dialog").get_by_role("button", name="Allow").click()
    expect(card).to_contain_text("It may see your whole record.")


def test_a_doctor_is_told_that_the_patient_does_not_consent(open_page: Open, hospital: Hospital) -> None:
    """What the patient forbids cannot be shared, and the dialog says so."""
    page = open_page("/app/sharing", hospital.patient)
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="City Clinic"))
    card.get_by_role("button", name="Forbid").or_(card.get_by_role("button", name="Withdraw")).click()
    expect(card).to_contain_text("Forbidden by you")
    chart = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    chart.get_by_role("button", name="Share").click()
    chart.get_by_role("combobox", name="Hospital").select_option(label="City Clinic")
    chart.get_by_role("button", name="Share now").click()
    expect(chart.get_by_role("alert")).to_contain_text("does not consent")
    card.get_by_role("button", name="Allow").click()
    page.get_by_role("dialog").get_by_role("button", name="Allow").click()
    expect(card).to_contain_text("It may see your whole record.")
