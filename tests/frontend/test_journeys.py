"""What people do with the app, against the real server."""

from __future__ import annotations

import re
import time

import httpx
from playwright.sync_api import expect

from .conftest import PASSWORD, Hospital, Open


def test_a_patient_registers_signs_in_and_out(open_page: Open, hospital: Hospital) -> None:
    """From the door to the own history, with a wrong password in between; signing out ends the session."""
    page = open_page("/")
    expect(page).to_have_url(re.compile("/app/sign-in$"))
    page.get_by_role("link", name="Register as a patient").click()
    page.get_by_label("Name").fill("Nadia Saleh")
    page.get_by_label("E-mail").fill("nadia@people.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Phone").fill("+96171111111")
    page.get_by_label("ID card number").fill("90210")
    page.get_by_label("Date of birth").fill("1990-05-17")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("status")).to_contain_text("You are registered")
    page.get_by_label("Password").fill("not the password at all")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your history")
    expect(page.get_by_text("No entries yet")).to_be_visible()
    token = page.evaluate("JSON.parse(sessionStorage['hayat.session']).token")
    assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    assert page.evaluate("sessionStorage.length") == 0
    _wait_until_worthless(hospital, token)


def test_a_patient_reads_the_history(open_page: Open, hospital: Hospital) -> None:
    """Reports and studies stand on one line of time; a report opens with diagnosis, treatment and author."""
    page = open_page("/app", hospital.patient)
    entries = page.get_by_role("article")
    for illness in ("Pneumonia", "Hypertension"):
        expect(entries.filter(has=page.get_by_role("link", name=illness))).to_have_count(1)
    for study in hospital.studies.values():
        expect(entries.locator(f"a[href='/app/studies/{study}']")).to_have_count(1)
    expect(page.get_by_label("At a glance")).to_contain_text("Penicillin")
    page.get_by_role("button", name="Reports").click()
    expect(entries.locator("a[href^='/app/studies/']")).to_have_count(0)
    page.get_by_role("link", name="Pneumonia").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pneumonia")
    expect(page.get_by_text("Consolidation in the right lower lobe")).to_be_visible()
    expect(page.get_by_text("Cough for two weeks.")).to_be_visible()
    expect(page.get_by_text("Dr. Layla Mansour")).to_be_visible()
    expect(page.get_by_role("button", name="Amend")).to_have_count(0)


def test_a_patient_changes_the_profile(open_page: Open, hospital: Hospital) -> None:
    """What is saved is there after a reload."""
    page = open_page("/app/profile", hospital.patient)
    page.get_by_label("Address").fill("Cedar Street 4")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Address")).to_have_value("Cedar Street 4")


def test_a_patient_finds_a_doctor_and_sees_who_looked(open_page: Open, hospital: Hospital) -> None:
    """The directory is searched by name and specialization; accesses by name."""
    with hospital.http(hospital.doctor) as http:
        http.get(f"/fhir/Patient/{hospital.patient.id}").raise_for_status()
    page = open_page("/app/doctors", hospital.patient)
    expect(page.get_by_role("heading", name="Dr. Layla Mansour")).to_be_visible()
    page.get_by_label("Name or hospital").fill("nobody of this name")
    expect(page.get_by_text("No doctor found")).to_be_visible()
    page.get_by_role("link", name="Access").first.click()
    expect(page.get_by_text("Dr. Layla Mansour").first).to_be_visible()


def test_a_patient_keeps_the_record_as_a_pdf(open_page: Open, hospital: Hospital) -> None:
    """The whole record is one document; printed, it is a PDF of text, without the app around it."""
    page = open_page("/app", hospital.patient)
    page.get_by_role("link", name="Print or PDF").click()
    for text in ("Penicillin", "Pneumonia", "Consolidation in the right lower lobe", "Essential hypertension"):
        expect(page.get_by_text(text).first).to_be_visible()
    page.evaluate("window.print = () => { window.printed = true }")
    page.get_by_role("button", name="Print or save as PDF").click()
    assert page.evaluate("window.printed")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_role("button", name="Print or save as PDF")).to_have_count(0)
    assert page.pdf().startswith(b"%PDF-")


def test_a_patient_downloads_everything(open_page: Open, hospital: Hospital) -> None:
    """The record comes as one FHIR Bundle."""
    page = open_page("/app", hospital.patient)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    text = download.value.path().read_text()
    assert '"resourceType": "Bundle"' in text
    assert "Pneumonia" in text


def test_a_doctor_writes_and_amends_a_record(open_page: Open, hospital: Hospital) -> None:
    """A record written in the chart is on the time line at once, is FHIR, and is amended by its author."""
    page = open_page("/app", hospital.doctor)
    page.get_by_label("Find a patient by name").fill("Nobody Such")
    expect(page.get_by_text("No patient found")).to_be_visible()
    page.get_by_label("Find a patient by name").fill("Karim")
    page.locator("a[href^='/app/patients/']").filter(has_text="Huda Karim").click()
    page.get_by_role("button", name="Write record").click()
    page.get_by_label("Illness").fill("Migraine")
    page.get_by_label("History").fill("Headache on one side.")
    page.get_by_label("Diagnosis").fill("Migraine without aura.")
    page.get_by_label("Treatment").fill("Rest in the dark.")
    page.get_by_role("button", name="Sign and save").click()
    page.get_by_role("link", name="Migraine").click()
    expect(page.get_by_text("Migraine without aura.")).to_be_visible()
    page.get_by_role("button", name="Amend").click()
    page.get_by_label("Diagnosis").fill("Migraine with aura.")
    page.get_by_role("button", name="Sign amendment").click()
    expect(page.get_by_text("Migraine with aura.")).to_be_visible()
    report = page.url.rpartition("/")[2]
    with hospital.http(hospital.patient) as http:
        resource = http.get(f"/fhir/DiagnosticReport/{report}").json()
        assert resource["conclusion"] == "Migraine with aura."
        assert (resource["status"], int(resource["meta"]["versionId"]) > 1) == ("amended", True)
        assert http.delete(f"/fhir/DiagnosticReport/{report}").status_code == 403
    with hospital.http(hospital.doctor) as http:
        assert http.delete(f"/api/v1/medicalRecord/{report}").status_code == 204


def test_a_doctor_reads_the_chart(open_page: Open, hospital: Hospital) -> None:
    """Problems, allergies, and measurements drawn over time with their values as a table."""
    page = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    page.get_by_role("tab", name="Problems and allergies").click()
    expect(page.get_by_text("Essential hypertension")).to_be_visible()
    page.get_by_role("tab", name="Measurements").click()
    figure = page.get_by_role("figure").filter(has_text="Blood pressure")
    expect(figure).to_contain_text("128 / 82")
    expect(figure.locator("svg path.recharts-line-curve")).to_have_count(2)
    figure.get_by_text("4 values").click()
    expect(figure.get_by_role("row")).to_have_count(5)
    expect(figure.get_by_role("columnheader")).to_have_text(["Date", "Systolic", "Diastolic"])


def test_a_doctor_shares_with_a_partner(open_page: Open, hospital: Hospital) -> None:
    """The share is a job in the outbox, and the dialog tells how far it is."""
    page = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    page.get_by_role("button", name="Share").click()
    page.get_by_role("combobox", name="Hospital").select_option(label="City Clinic")
    page.get_by_role("button", name="Share now").click()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text(
        re.compile("Waiting to be sent|On its way")
    )


def test_staff_see_the_audit_trail_and_no_clinical_page(open_page: Open, hospital: Hospital) -> None:
    """The trail is filtered; a clinical address is not there for the staff."""
    page = open_page("/app/audit", hospital.staff)
    page.get_by_label("Who").fill("Layla")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row").filter(has_text="Dr. Layla Mansour").first).to_be_visible()
    page.goto(f"/app/patients/{hospital.patient.id}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")


def test_an_ended_session_leads_to_the_door(open_page: Open, hospital: Hospital) -> None:
    """A token that is not accepted any more shows the sign-in, not an error."""
    with hospital.http(hospital.staff) as http:
        login = {"email": hospital.patient.email, "password": PASSWORD}
        token = http.post("/api/v1/patient/login", json=login).json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        http.post("/api/v1/auth/logout", headers=headers).raise_for_status()
    _wait_until_worthless(hospital, token)
    person = hospital.patient
    page = open_page("/app", type(person)(person.role, person.email, person.name, person.id, token))
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def _wait_until_worthless(hospital: Hospital, token: str) -> None:
    """Return once a token is not accepted any more, which takes the site five seconds at most."""
    for _ in range(100):
        answer = httpx.get(
            f"{hospital.url}/api/v1/auth/", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        if answer.status_code == 401:
            return
        time.sleep(0.1)
    raise AssertionError("the token is still good")
