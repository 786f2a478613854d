"""What happens while a page is open is told on it, to those who may know."""

from __future__ import annotations

from playwright.sync_api import Page, WebSocket, expect

from .conftest import Hospital, Open
from .images import image, push

_ANSWERED = "43"
"""How an acknowledgement begins: an engine.io message (4) that is a socket.io ACK (3)."""


def _listening(page: Page) -> None:
    """Return once the page is connected and has asked for the presence: from then on it is told."""
    frames: list[str] = []

    def hear(socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: frames.append(str(payload)))

    page.on("websocket", hear)
    page.reload()
    for _ in range(100):
        if any(frame.startswith(_ANSWERED) for frame in frames):
            return
        page.wait_for_timeout(100)
    raise AssertionError("the page does not listen")


def test_a_signed_report_is_told_to_the_patient(open_page: Open, hospital: Hospital) -> None:
    """The notice leads to the report; the staff, who may not read it, hear nothing."""
    home = open_page("/app/profile", hospital.patient)
    desk = open_page("/app/audit", hospital.staff)
    _listening(home)
    _listening(desk)
    record = {"patient": hospital.patient.id, "doctor": hospital.doctor.id, "illness": "Sprain", "history": "A fall."}
    with hospital.http(hospital.doctor) as http:
        answer = http.post("/api/v1/medicalRecord", json=record | {"peDiagnosis": "Swelling.", "treatment": "Rest."})
        assert answer.status_code == 201
    home.get_by_role("status").filter(has_text="A report was signed.").get_by_role("link", name="Open").click()
    expect(home.get_by_role("heading", level=1)).to_have_text("Sprain")
    expect(home.get_by_text("A report was signed.")).to_have_count(0)
    expect(desk.get_by_text("A report was signed.")).to_have_count(0)
    with hospital.http(hospital.doctor) as http:
        assert http.delete(f"/api/v1/medicalRecord/{answer.json()['data']['id']}").status_code == 204


def test_an_arrived_study_is_told_to_the_doctor(open_page: Open, hospital: Hospital) -> None:
    """Pushed over DICOM, it is told as soon as it is filed; the notice leads to the images, and can be closed."""
    page = open_page("/app/records", hospital.doctor)
    _listening(page)
    assert push(hospital.dicom_port, [image("MR_small.dcm", hospital.number)]) == [0]
    notice = page.get_by_role("status").filter(has_text="New images have arrived.")
    expect(notice.get_by_role("link", name="Open")).to_be_visible(timeout=30_000)
    assert "/app/studies/" in (notice.get_by_role("link", name="Open").get_attribute("href") or "")
    notice.get_by_role("button", name="Close").click()
    expect(page.get_by_text("New images have arrived.")).to_have_count(0)


def test_a_broken_glass_is_told_to_the_patient_and_the_staff(open_page: Open, hospital: Hospital) -> None:
    """At once, on whatever page they are; another patient hears nothing."""
    pages = [
        open_page(path, person)
        for path, person in (
            ("/app/profile", hospital.patient),
            ("/app/audit", hospital.staff),
            ("/app/profile", hospital.other_patient),
        )
    ]
    for page in pages:
        _listening(page)
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    condition = {"resourceType": "Condition", "subject": {"reference": f"Patient/{hospital.patient.id}"}}
    parameters = [{"name": "reason", "valueString": "Found unconscious, no relatives to ask."}]
    path = f"/fhir/Patient/{hospital.patient.id}/$break-glass"
    with hospital.http(hospital.doctor) as http:
        withheld = condition | {"code": {"text": "Withheld"}, "meta": {"security": [label]}}
        http.post("/fhir/Condition", json=withheld).raise_for_status()
        answer = http.post(path, json={"resourceType": "Parameters", "parameter": parameters})
        assert answer.status_code == 200, answer.text
        given = {one["name"]: one for one in answer.json()["parameter"]}
        http.headers["authorization"] = f"Bearer {given['access_token']['valueString']}"
        http.post("/api/v1/auth/logout").raise_for_status()
    notice = "Somebody opened a restricted record in an emergency."
    for page in pages[:2]:
        expect(page.get_by_text(notice).first).to_be_visible()
    expect(pages[2].get_by_text(notice)).to_have_count(0)
