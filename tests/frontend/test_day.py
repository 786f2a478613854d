"""A doctor's day: what is agreed, what waits for a signature, what has come in, and the switch for calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

from playwright.sync_api import expect

from .conftest import Hospital, Open


def test_a_draft_waits_for_its_signature(open_page: Open, hospital: Hospital) -> None:
    """Saved as a draft, it is on the day's page and says so on the time line; signed, it is no longer there."""
    page = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    page.get_by_role("button", name="Write record").click()
    for label in ("Illness", "History", "Diagnosis", "Treatment"):
        page.get_by_role("dialog").get_by_label(label, exact=False).first.fill("Sinusitis")
    page.get_by_role("button", name="Save as draft").click()
    entry = page.get_by_role("article").filter(has=page.get_by_role("link", name="Sinusitis"))
    expect(entry.get_by_text("Draft")).to_be_visible()
    page.get_by_role("link", name="Today").first.click()
    drafts = page.get_by_role("region", name="To be signed")
    expect(drafts).to_contain_text(hospital.patient.name)
    drafts.get_by_role("link", name="Sinusitis").click()
    page.get_by_role("button", name="Go on writing").click()
    page.get_by_label("Treatment").fill("Saline rinses.")
    page.get_by_role("button", name="Sign and save").click()
    expect(page.get_by_text("Final")).to_be_visible()
    expect(page.get_by_text("Saline rinses.")).to_be_visible()
    page.get_by_role("link", name="Today").first.click()
    expect(page.get_by_text("None of your records waits for a signature.")).to_be_visible()
    with hospital.http(hospital.doctor) as http:
        found = http.get("/api/v1/medicalRecord", params={"illness": "Sinusitis"}).json()["data"]
        for record in found:
            assert http.delete(f"/api/v1/medicalRecord/{record['id']}").status_code == 204


@contextmanager
def agreed(hospital: Hospital, description: str, start: datetime) -> Iterator[None]:
    """An appointment of twenty minutes of the doctor with the patient, while the block runs; its start as written."""
    participants = [
        {"actor": {"reference": f"Practitioner/{hospital.doctor.id}"}, "status": "accepted"},
        {"actor": {"reference": f"Patient/{hospital.patient.id}", "display": "Huda Karim"}, "status": "accepted"},
    ]
    appointment = {"resourceType": "Appointment", "status": "booked", "description": description}
    appointment |= {"participant": participants, "start": start.isoformat()}
    appointment |= {"end": (start + timedelta(minutes=20)).isoformat()}
    with hospital.http(hospital.doctor) as http:
        made = http.post("/fhir/Appointment", json=appointment)
        assert made.status_code == 201, made.text
        yield
        http.delete(f"/fhir/Appointment/{made.json()['id']}").raise_for_status()


def test_the_agenda_is_by_the_readers_clock(open_page: Open, hospital: Hospital) -> None:
    """Appointments stand in the order of their moments, whatever offset each was written with.

    Other tests of the session leave consultations of today behind, before and after the appointments made here.
    """
    moment = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5)))
    with (
        agreed(hospital, "Control of the cough", moment + timedelta(minutes=20)),
        agreed(hospital, "Talk about the films", elsewhere),
    ):
        page = open_page("/app", hospital.doctor, timezone_id="UTC")
        meetings = page.get_by_role("region", name="Today's appointments and consultations").get_by_role("listitem")
        first = meetings.filter(has_text="Talk about the films").locator("time")
        expect(first).to_have_text(moment.strftime("%H:%M"))
        expect(meetings.filter(has_text="Control of the cough").locator("time")).to_have_text(moment.strftime("%H:20"))
        clock = meetings.locator("time").all_text_contents()
        assert clock == sorted(clock)


def test_the_day_shows_what_came_and_whether_patients_can_call(open_page: Open, hospital: Hospital) -> None:
    """The latest images, and the switch that lets patients call."""
    page = open_page("/app", hospital.doctor)
    expect(page.get_by_role("region", name="Latest images").get_by_role("link").first).to_be_visible()
    calls = page.get_by_role("region", name="Video consultations")
    expect(calls).to_contain_text("patients cannot call you")
    calls.get_by_role("button", name="Go online").click()
    expect(calls).to_contain_text("patients see it")
    expect(page.get_by_role("switch")).to_be_checked()
    calls.get_by_role("button", name="Go offline").click()
