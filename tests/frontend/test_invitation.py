"""The doctor of a consultation invites a second one: three people, each in a browser of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from .conftest import Hospital, Open, Person
from .test_calls import ended, hung_up, met, until

_DEVICES = {"permissions": ["camera", "microphone"]}


@pytest.fixture(autouse=True)
def _over(hospital: Hospital) -> Iterator[None]:
    yield
    ended(hospital)


def invited(practice: Page, office: Page, consultant: Person, search: str) -> None:
    """The doctor finds the second one by name, who is rung."""
    expect(office.get_by_role("switch", name="Online")).to_be_visible()
    practice.get_by_role("button", name="Invite a doctor").click()
    dialog = practice.get_by_role("dialog")
    dialog.get_by_label("Name").fill(search)
    dialog.get_by_role("listitem").filter(has_text=consultant.name).get_by_role("button").click()
    expect(dialog).to_have_count(0)


def sees(page: Page, *people: Person) -> None:
    """The pictures of just these others move."""
    expect(page.locator("figure video")).to_have_count(len(people))
    for person in people:
        video = page.get_by_label(person.name, exact=True)
        expect(video).to_be_visible()
        before = video.evaluate("one => one.currentTime")
        until(
            page, lambda video=video, before=before: video.evaluate("one => one.currentTime") > before + 0.5, "stands"
        )


def test_three_see_one_another(open_page: Open, hospital: Hospital, consultant: Person) -> None:
    """The one who was invited is announced, is seen and sees; the other two go on when they leave, and may end it."""
    practice, home = met(open_page, hospital)
    office = open_page("/app", consultant, **_DEVICES)
    office.get_by_role("switch", name="Offline").click()
    invited(practice, office, consultant, "rania")
    ring = office.get_by_role("dialog")
    expect(ring).to_contain_text(
        f"{hospital.doctor.name} invites you to a video consultation with {hospital.patient.name}"
    )
    ring.get_by_role("button", name="Accept").click()
    for page in (practice, home):
        expect(page.get_by_text(f"{consultant.name} has joined.")).to_be_visible()
    sees(practice, hospital.patient, consultant)
    sees(home, hospital.doctor, consultant)
    sees(office, hospital.doctor, hospital.patient)
    for name in ("Hang up", "Record", "Invite a doctor"):
        expect(office.get_by_role("button", name=name, exact=True)).to_have_count(0)
    for page in (practice, home):
        page.locator("figure video").first.evaluate("one => { one.srcObject.kept = true }")
    office.get_by_role("button", name="Leave").click()
    expect(office.get_by_text("Join", exact=True)).to_be_visible()
    for page, other in ((practice, hospital.patient), (home, hospital.doctor)):
        sees(page, other)
        expect(page.get_by_text(f"{consultant.name} has left.")).to_be_visible()
        assert page.locator("figure video").evaluate("one => one.srcObject.kept") is True
    hung_up(practice, home)


def test_an_invitation_is_declined(open_page: Open, hospital: Hospital, consultant: Person) -> None:
    """In every tab at once, and the doctor is told; the invited one is not let in any more."""
    practice, home = met(open_page, hospital)
    offices = [open_page("/app", consultant, **_DEVICES) for _ in range(2)]
    offices[0].get_by_role("switch", name="Offline").click()
    invited(practice, offices[0], consultant, "AZIZ")
    offices[1].get_by_role("button", name="Decline").click()
    for office in offices:
        expect(office.get_by_role("dialog")).to_have_count(0)
        expect(office.get_by_text("Join", exact=True)).to_have_count(0)
    expect(practice.get_by_text(f"{consultant.name} cannot talk now.")).to_be_visible()
    offices[0].goto(practice.url)
    expect(offices[0].get_by_text("it is not open to you")).to_be_visible()
    sees(home, hospital.doctor)
    hung_up(practice, home)
