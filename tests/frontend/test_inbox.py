"""Images that contradict what is stored, pushed over DICOM, and what the staff make of them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from .conftest import Hospital, Open


def _decide(page: Page, what: str, why: str) -> None:
    page.get_by_role("listitem").get_by_role("button", name=what).first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(why)
    dialog.get_by_role("button", name=what).click()
    expect(dialog).to_have_count(0)


def test_staff_keep_a_study_out_and_take_that_back(open_page: Open, hospital: Hospital) -> None:
    """The images of a patient with another date of birth wait; who decided and why is shown; it can be taken back."""
    page = open_page("/app/quarantine", hospital.staff)
    waiting = page.get_by_text("known with other data: date of birth")
    expect(waiting).to_have_count(2)
    expect(page.get_by_text("PACS")).to_have_count(2)
    _decide(page, "Keep out", "Another person with a mistyped number.")
    expect(waiting).to_have_count(1)
    page.get_by_label("Show").select_option(label="Kept out")
    expect(page.get_by_text("reject: Another person with a mistyped number.")).to_be_visible()
    _decide(page, "Take back", "The number was right.")
    expect(page.get_by_text("No images are in this state.")).to_be_visible()
    page.get_by_label("Show").select_option(label="Waiting for a decision")
    expect(waiting).to_have_count(2)


def test_what_is_let_in_is_the_patients(open_page: Open, hospital: Hospital) -> None:
    """A study that is let in appears in the chart, and no longer when that is taken back."""
    chart = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    images = chart.get_by_role("button", name="Images")
    expect(images).to_be_visible()
    before = images.inner_text()
    page = open_page("/app/quarantine", hospital.staff)
    _decide(page, "Let in", "Checked with the sender.")
    expect(page.get_by_text("known with other data: date of birth")).to_have_count(1)
    for _ in range(60):
        chart.wait_for_timeout(500)
        chart.reload()
        expect(images).to_be_visible()
        if images.inner_text() != before:
            break
    else:
        raise AssertionError("the study did not appear")
    page.get_by_label("Show").select_option(label="Let in")
    _decide(page, "Take back", "It was another person.")
    expect(page.get_by_text("No images are in this state.")).to_be_visible()


def test_the_inbox_is_for_the_staff(open_page: Open, hospital: Hospital) -> None:
    """A doctor has no such page."""
    page = open_page("/app/quarantine", hospital.doctor)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")
