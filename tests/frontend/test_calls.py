"""A doctor and a patient meet: each in a browser of their own, with Chromium's camera and microphone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, WebSocket, expect

from .conftest import Hospital, Open, Person, Visits
from .wire import wire

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
_BRIGHTNESS = """() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 16;
    const context = canvas.getContext("2d");
    context.drawImage(document.querySelectorAll("video")[0], 0, 0, 16, 16);
    const pixels = context.getImageData(0, 0, 16, 16).data.filter((_, place) => place % 4 !== 3);
    return pixels.reduce((sum, one) => sum + one, 0) / pixels.length;
}"""
"""Of the other side's picture: 0 is black, 255 white."""
_DEVICES = {"permissions": ["camera", "microphone"]}


def met(open_page: Open, hospital: Hospital, **more: Any) -> tuple[Page, Page]:
    """The doctor's page and the patient's, in a consultation; ``more``: options of the two browsers."""
    practice = open_page("/app", hospital.doctor, **_DEVICES, **more)
    practice.get_by_role("switch", name="Offline").click()
    home = open_page("/app/doctors", hospital.patient, **_DEVICES, **more)
    card = home.get_by_role("listitem").filter(has_text=hospital.doctor.name)
    expect(card.get_by_text("Online")).to_be_visible()
    card.get_by_role("button", name="Call").click()
    expect(home.get_by_text(f"Calling {hospital.doctor.name}")).to_be_visible()
    expect(practice.get_by_role("dialog")).to_contain_text(hospital.patient.name)
    practice.get_by_role("button", name="Accept").click()
    for page, other in ((practice, hospital.patient), (home, hospital.doctor)):
        expect(page.get_by_label(other.name, exact=True)).to_be_visible(timeout=20_000)
    return practice, home


@pytest.fixture(autouse=True)
def _over(hospital: Hospital) -> Iterator[None]:
    """No consultation outlives its test: the same two meet in the next one."""
    yield
    ended(hospital)


def ended(hospital: Hospital) -> None:
    """The doctor ends what a test has left open."""
    with hospital.http(hospital.doctor) as http:
        for one in http.get("/realtime/consultations").json()["consultations"]:
            if one["state"] in {"ringing", "active"}:
                http.post(f"/realtime/consultations/{one['id']}/{'end' if one['state'] == 'active' else 'decline'}")


def until(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Wait a minute at most for what no element of the page shows."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError(what)


def plays(page: Page) -> None:
    """The other side's picture moves."""
    before = page.evaluate(_PLAYED)
    until(page, lambda: page.evaluate(_PLAYED) > before + 0.5, "the picture stands still")


def sees_and_hears(page: Page) -> None:
    """The other side's picture moves and has something on it, and its sound is not silence."""
    plays(page)
    until(page, lambda: page.evaluate(_BRIGHTNESS) > 16, "the picture is black")
    assert page.evaluate(_HEARD, 300) > 0.01


def hung_up(leaving: Page, other: Page) -> None:
    """Who hangs up ends it for both."""
    leaving.get_by_role("button", name="Hang up").click()
    for page in (leaving, other):
        expect(page.get_by_text("The consultation has ended.")).to_be_visible()


def test_two_people_see_and_hear_each_other(open_page: Open, hospital: Hospital) -> None:
    """Pictures move and sound is heard on both sides; who mutes is not heard; who hangs up ends it for both."""
    practice, home = met(open_page, hospital)
    for page in (practice, home):
        sees_and_hears(page)
    home.get_by_role("button", name="Mute").click()
    until(practice, lambda: practice.evaluate(_HEARD, 20) < 0.01, "who is muted is heard")
    home.get_by_role("button", name="Unmute").click()
    until(practice, lambda: practice.evaluate(_HEARD, 20) > 0.01, "who speaks again is not heard")
    home.get_by_role("button", name="Camera off").click()
    until(practice, lambda: practice.evaluate(_BRIGHTNESS) < 8, "whose camera is off is seen")
    plays(practice)
    home.get_by_role("button", name="Camera on").click()
    until(practice, lambda: practice.evaluate(_BRIGHTNESS) > 16, "whose camera is on again is not seen")
    practice.get_by_role("button", name="Write record").click()
    for label in ("Illness", "History", "Diagnosis", "Treatment"):
        practice.get_by_role("region", name="Write record").get_by_label(label, exact=False).first.fill(
            "Seen on video."
        )
    practice.get_by_role("button", name="Sign and save").click()
    expect(practice.get_by_text("It is signed.")).to_be_visible()
    expect(practice.get_by_label(hospital.patient.name, exact=True)).to_be_visible()
    hung_up(practice, home)


def test_a_page_that_is_loaded_again_comes_back(open_page: Open, hospital: Hospital) -> None:
    """In the middle of a call: both see each other once more."""
    practice, home = met(open_page, hospital)
    home.reload()
    for page, other in ((home, hospital.doctor), (practice, hospital.patient)):
        expect(page.get_by_label(other.name, exact=True)).to_be_visible()
        plays(page)
    hung_up(home, practice)


def _back(page: Page) -> set[str]:
    """Over which paths a page has come back since now: it gets filled."""
    back: set[str] = set()

    def opened(socket: WebSocket) -> None:
        path = "/peerjs/" if "/peerjs/" in socket.url else "/socket.io/"
        socket.on("framereceived", lambda frame: back.add(path) if '"OPEN"' in str(frame) else None)
        socket.on("framesent", lambda frame: back.add(path) if '"join-room"' in str(frame) else None)

    page.on("websocket", opened)
    return back


@contextmanager
def forgiven(visits: Visits, problem: str) -> Iterator[None]:
    """What a page complains of because the test has brought it about."""
    try:
        yield
    finally:
        visits.problems[:] = [one for one in visits.problems if not one.startswith(problem)]


@pytest.mark.parametrize("cut", [["/peerjs/", "/socket.io/"], ["/peerjs/"], ["/socket.io/"]], ids="-".join)
def test_a_cut_socket_comes_back(visits: Visits, hospital: Hospital, cut: list[str]) -> None:
    """Media goes on meanwhile; afterwards the two hear of each other as before, and meet again when one needs it."""
    with wire() as way, forgiven(visits, "WebSocket connection to"):
        practice, home = met(visits.open, hospital, proxy=way.proxy)
        back = []
        for page in (practice, home):
            plays(page)
            page.evaluate("document.querySelectorAll('video')[0].srcObject.kept = true")
            back.append(_back(page))
        for path in cut:
            assert way.cut(path) == 2
        for page in (practice, home):
            plays(page)
        way.mend()
        until(home, lambda: all(paths >= set(cut) for paths in back), "not all sockets have come back")
        for page in (practice, home):
            plays(page)
            assert page.evaluate("document.querySelectorAll('video')[0].srcObject.kept") is True
        home.reload()
        for page, other in ((home, hospital.doctor), (practice, hospital.patient)):
            expect(page.get_by_label(other.name, exact=True)).to_be_visible()
            plays(page)
        hung_up(practice, home)


def test_who_leaves_is_waited_for(open_page: Open, hospital: Hospital) -> None:
    """Where one side's page is closed the other is told, and either comes back or is hung up."""
    practice, home = met(open_page, hospital)
    path = httpx.URL(home.url).path
    home.context.close()
    expect(practice.get_by_text(f"Waiting for {hospital.patient.name}")).to_be_visible()
    home = open_page(path, hospital.patient, **_DEVICES)
    for page, other in ((home, hospital.doctor), (practice, hospital.patient)):
        expect(page.get_by_label(other.name, exact=True)).to_be_visible()
        plays(page)
    home.context.close()
    expect(practice.get_by_text(f"Waiting for {hospital.patient.name}")).to_be_visible()
    practice.get_by_role("button", name="Hang up").click()
    expect(practice.get_by_text("The consultation has ended.")).to_be_visible()


def test_a_doctor_with_two_tabs_answers_in_one(open_page: Open, hospital: Hospital) -> None:
    """It rings in both, and stops in both; the call is where it was answered, and either tab shows that it is over."""
    tabs = [open_page("/app", hospital.doctor, **_DEVICES) for _ in range(2)]
    for tab in tabs:
        tab.get_by_role("switch", name="Offline").click()
    home = open_page("/app/doctors", hospital.patient, **_DEVICES)
    home.get_by_role("button", name="Call").first.click()
    for tab in tabs:
        expect(tab.get_by_role("dialog")).to_contain_text(hospital.patient.name)
    tabs[0].get_by_role("button", name="Accept").click()
    expect(tabs[1].get_by_role("dialog")).to_have_count(0)
    expect(home.get_by_label(hospital.doctor.name, exact=True)).to_be_visible()
    listing = open_page("/app/doctors", hospital.patient)
    card = listing.get_by_role("listitem").filter(has_text=hospital.doctor.name)
    expect(card.get_by_text("Offline")).to_be_visible()
    hung_up(home, tabs[0])
    expect(card.get_by_text("Online")).to_be_visible()
    tabs[0].context.close()
    home.wait_for_timeout(1000)
    expect(card.get_by_text("Online")).to_be_visible()
    tabs[1].context.close()
    expect(card.get_by_text("Offline")).to_be_visible()


def test_a_call_is_declined(open_page: Open, hospital: Hospital) -> None:
    """And the patient is told."""
    practice = open_page("/app", hospital.doctor)
    practice.get_by_role("switch", name="Offline").click()
    home = open_page("/app/doctors", hospital.patient)
    home.get_by_role("button", name="Call").first.click()
    practice.get_by_role("button", name="Decline").click()
    expect(home.get_by_text("cannot talk now")).to_be_visible()


def test_a_third_person_does_not_get_in(open_page: Open, hospital: Hospital, consultant: Person) -> None:
    """Whoever knows the address of a consultation sees nothing of it, and gets no ticket."""
    practice, home = met(open_page, hospital)
    path = httpx.URL(practice.url).path
    id = path.rpartition("/")[2]
    for person, refusal in (
        (hospital.other_patient, "it is not open to you"),
        (consultant, "it is not open to you"),
        (hospital.staff, "not for your role"),
    ):
        third = open_page(path, person, **_DEVICES)
        expect(third.get_by_text(refusal)).to_be_visible()
        expect(third.locator("video")).to_have_count(0)
        with hospital.http(person) as http:
            assert http.get(f"/realtime/consultations/{id}").status_code in {403, 404}
            assert http.post("/realtime/tickets", json={"consultation": id}).status_code in {403, 404}
    anonymous = httpx.post(f"{hospital.url}/realtime/tickets", json={"consultation": id}, trust_env=False)
    assert anonymous.status_code == 401
    for page in (practice, home):
        plays(page)
    hung_up(practice, home)


def test_a_recording_is_played_back(open_page: Open, hospital: Hospital) -> None:
    """Both agree; afterwards each finds report and recording with the consultation, and it plays."""
    practice, home = met(open_page, hospital)
    practice.get_by_role("button", name="Record", exact=True).click()
    home.get_by_role("button", name="Agree to recording").click()
    for page in (practice, home):
        expect(page.get_by_text("Recording", exact=True)).to_be_visible()
    practice.get_by_role("button", name="Write record").click()
    for label, text in (("Illness", "Recorded illness"), ("History", "H"), ("Diagnosis", "D"), ("Treatment", "T")):
        practice.get_by_role("region", name="Write record").get_by_label(label, exact=False).first.fill(text)
    practice.get_by_role("button", name="Sign and save").click()
    expect(practice.get_by_text("It is signed.")).to_be_visible()
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
