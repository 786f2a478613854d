"""A doctor and a patient meet: each in a browser of their own, with Chromium's camera and microphone."""

from __future__ import annotations

import httpx
from playwright.sync_api import Page, expect

from .conftest import Hospital, Open

_HEARD = """async (tenths) => {
    const stream = document.querySelectorAll("video")[0].srcObject;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let loudest = 0;
    for (let tries = 0; tries < tenths && loudest < 0.01; tries++) {
        await new Promise((done) => setTimeout(done, 100));
        analyser.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
    }
    await context.close();
    return loudest;
}"""
_PLAYED = "document.querySelectorAll('video')[0].currentTime"


def _met(open_page: Open, hospital: Hospital) -> tuple[Page, Page]:
    """The doctor's page and the patient's, in a consultation."""
    practice = open_page("/app", hospital.doctor, permissions=["camera", "microphone"])
    practice.get_by_role("switch", name="Offline").click()
    home = open_page("/app/doctors", hospital.patient, permissions=["camera", "microphone"])
    card = home.get_by_role("listitem").filter(has_text=hospital.doctor.name)
    expect(card.get_by_text("Online")).to_be_visible()
    card.get_by_role("button", name="Call").click()
    expect(home.get_by_text(f"Calling {hospital.doctor.name}")).to_be_visible()
    expect(practice.get_by_role("dialog")).to_contain_text(hospital.patient.name)
    practice.get_by_role("button", name="Accept").click()
    for page, other in ((practice, hospital.patient), (home, hospital.doctor)):
        expect(page.get_by_label(other.name, exact=True)).to_be_visible(timeout=20_000)
    return practice, home


def test_two_people_see_and_hear_each_other(open_page: Open, hospital: Hospital) -> None:
    """Pictures move and sound is heard on both sides; who mutes is not heard; who hangs up ends it for both."""
    practice, home = _met(open_page, hospital)
    for page in (practice, home):
        before = page.evaluate(_PLAYED)
        for _ in range(300):
            page.wait_for_timeout(100)
            if page.evaluate(_PLAYED) > before + 0.5:
                break
        else:
            raise AssertionError("the picture stands still")
        assert page.evaluate(_HEARD, 300) > 0.01
    home.get_by_role("button", name="Mute").click()
    for _ in range(30):
        if practice.evaluate(_HEARD, 20) < 0.01:
            break
    else:
        raise AssertionError("who is muted is heard")
    home.get_by_role("button", name="Unmute").click()
    practice.get_by_role("button", name="Write record").click()
    for label in ("Illness", "History", "Diagnosis", "Treatment"):
        practice.get_by_role("dialog").get_by_label(label, exact=False).first.fill("Seen on video.")
    practice.get_by_role("button", name="Sign").click()
    expect(practice.get_by_role("dialog")).to_have_count(0)
    expect(practice.get_by_label(hospital.patient.name, exact=True)).to_be_visible()
    practice.get_by_role("button", name="Hang up").click()
    for page in (practice, home):
        expect(page.get_by_text("The consultation has ended.")).to_be_visible()


def test_a_cut_connection_comes_back(open_page: Open, hospital: Hospital) -> None:
    """The page is loaded again in the middle of a call: both see each other once more."""
    practice, home = _met(open_page, hospital)
    home.reload()
    expect(home.get_by_label(hospital.doctor.name, exact=True)).to_be_visible(timeout=20_000)
    expect(practice.get_by_label(hospital.patient.name, exact=True)).to_be_visible(timeout=20_000)
    home.get_by_role("button", name="Hang up").click()
    expect(practice.get_by_text("The consultation has ended.")).to_be_visible()


def test_a_call_is_declined(open_page: Open, hospital: Hospital) -> None:
    """And the patient is told."""
    practice = open_page("/app", hospital.doctor)
    practice.get_by_role("switch", name="Offline").click()
    home = open_page("/app/doctors", hospital.patient)
    home.get_by_role("button", name="Call").first.click()
    practice.get_by_role("button", name="Decline").click()
    expect(home.get_by_text("cannot talk now")).to_be_visible()


def test_a_third_person_does_not_get_in(open_page: Open, hospital: Hospital) -> None:
    """Whoever knows the address of a consultation sees nothing of it, and gets no ticket."""
    practice, _ = _met(open_page, hospital)
    id = practice.url.rpartition("/")[2]
    with hospital.http(hospital.staff) as http:
        assert http.get(f"/realtime/consultations/{id}").status_code in {403, 404}
        assert http.post("/realtime/tickets", json={"consultation": id}).status_code in {403, 404}
    anonymous = httpx.post(f"{hospital.url}/realtime/tickets", json={"consultation": id}, trust_env=False)
    assert anonymous.status_code == 401
    practice.get_by_role("button", name="Hang up").click()
    expect(practice.get_by_text("The consultation has ended.")).to_be_visible()


def test_a_recording_is_played_back(open_page: Open, hospital: Hospital) -> None:
    """Both agree; afterwards each finds report and recording with the consultation, and it plays."""
    practice, home = _met(open_page, hospital)
    practice.get_by_role("button", name="Record", exact=True).click()
    home.get_by_role("button", name="Agree to recording").click()
    for page in (practice, home):
        expect(page.get_by_text("Recording", exact=True)).to_be_visible()
    practice.get_by_role("button", name="Write record").click()
    for label, text in (("Illness", "Recorded illness"), ("History", "H"), ("Diagnosis", "D"), ("Treatment", "T")):
        practice.get_by_role("dialog").get_by_label(label, exact=False).first.fill(text)
    practice.get_by_role("button", name="Sign").click()
    expect(practice.get_by_role("dialog")).to_have_count(0)
    practice.wait_for_timeout(6000)
    id = practice.url.rpartition("/")[2]
    practice.get_by_role("button", name="Hang up").click()
    expect(home.get_by_text("The consultation has ended.")).to_be_visible()
    for person, path in ((hospital.patient, "/app"), (hospital.doctor, f"/app/patients/{hospital.patient.id}")):
        page = open_page(path, person)
        page.locator(f"a[href='/app/consultations/{id}']").click()
        expect(page.get_by_role("link", name="Recorded illness")).to_be_visible()
        opening = page.get_by_role("button", name="Open the recording")
        for _ in range(60):
            if opening.is_visible():
                break
            page.wait_for_timeout(1000)
            page.reload()
            expect(page.get_by_role("heading", name="Recordings")).to_be_visible()
        opening.click()
        page.get_by_role("button", name="Play").click()
        for name in ("Doctor", "Patient"):
            video = page.get_by_label(name, exact=True)
            for _ in range(100):
                if video.evaluate("one => one.currentTime") > 1:
                    break
                page.wait_for_timeout(100)
            assert video.evaluate("one => one.currentTime") > 1
            assert video.evaluate("one => one.videoWidth") > 0
