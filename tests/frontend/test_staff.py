"""What the staff do at their desk: people found, added, changed, shut out; what arrives; and how the site does."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from playwright.sync_api import Page, Route, expect

from .conftest import PASSWORD, Hospital, Open
from .images import image, push


def _fill(page: Page, values: dict[str, str]) -> None:
    for label, value in values.items():
        page.get_by_role("dialog").get_by_label(label, exact=False).first.fill(value)


def test_staff_add_change_and_remove(open_page: Open, hospital: Hospital) -> None:
    """A member of the staff is added, found by a part of the name, changed, and removed."""
    page = open_page("/app/manage/staff", hospital.staff)
    page.get_by_role("button", name="Add staff").click()
    _fill(page, {"Name": "Rami Azar", "E-mail": "rami@noor.example", "Password": PASSWORD})
    _fill(page, {"Phone": "+96172222222", "Position": "Desk", "Salary": "700"})
    page.get_by_role("dialog").get_by_role("button", name="Add").click()
    row = page.get_by_role("row").filter(has_text="Rami Azar")
    expect(row).to_contain_text("Desk")
    page.get_by_label("Search by name").fill("aza")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_text("Entries: 1")).to_be_visible()
    page.get_by_role("button", name="Edit Rami Azar").click()
    expect(page.get_by_role("dialog").get_by_label("Salary")).to_have_value("700")
    _fill(page, {"Position": "Archive"})
    page.get_by_role("button", name="Save changes").click()
    expect(row).to_contain_text("Archive")
    page.get_by_role("button", name="Remove Rami Azar").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_staff_sort_and_turn_pages(open_page: Open, hospital: Hospital) -> None:
    """Twenty patients a page, in the order that a column's heading says."""
    with hospital.http(hospital.staff) as http:
        for number in range(25):
            person = {"name": f"Sorted {number:02}", "email": f"sorted{number}@noor.example", "password": PASSWORD}
            person |= {"phone": "+9610", "gender": "Male", "birthdate": f"19{99 - number}-01-01", "IDcard": number + 1}
            assert http.post("/api/v1/patient", json=person).status_code == 201
    page = open_page("/app/manage/patient", hospital.staff)
    page.get_by_label("Search by name").fill("sorted")
    expect(page.get_by_text("Entries: 25")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(21)
    expect(page.get_by_role("row").nth(1)).to_contain_text("Sorted 00")
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("row")).to_have_count(6)
    expect(page.get_by_role("row").nth(5)).to_contain_text("Sorted 24")
    page.get_by_role("button", name="Date of birth").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Sorted 24")
    page.get_by_role("button", name="Date of birth").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Sorted 00")
    expect(page.get_by_role("columnheader", name="Date of birth")).to_have_attribute("aria-sort", "descending")


def test_staff_confirm_a_number(open_page: Open, hospital: Hospital) -> None:
    """Who has registered is listed with a number to be confirmed; saving something else leaves that as it is."""
    with hospital.http(hospital.staff) as http:
        person = {"name": "Samir Claim", "email": "samir@noor.example", "password": PASSWORD, "phone": "+9610"}
        person |= {"gender": "Male", "birthdate": "1991-01-01", "IDcard": 66554433}
        assert http.post("/api/v1/patient/register", json=person).status_code == 201
    page = open_page("/app/manage/patient", hospital.staff)
    page.get_by_label("Search by name").fill("samir")
    row = page.get_by_role("row").filter(has_text="Samir Claim")
    dialog = page.get_by_role("dialog")
    for phone, seen in (("+96111", False), ("+96112", True)):
        expect(row).to_contain_text("ID number not confirmed")
        page.get_by_role("button", name="Edit Samir Claim").click()
        expect(dialog.get_by_label("ID card number").first).to_have_value("66554433")
        _fill(page, {"Phone": phone})
        if seen:
            dialog.get_by_label("Is the ID card number confirmed?").select_option("Yes, I have seen the card")
        page.get_by_role("button", name="Save changes").click()
        expect(row).to_contain_text(phone)
    expect(row).not_to_contain_text("ID number not confirmed")
    page.get_by_role("button", name="Edit Samir Claim").click()
    expect(dialog.get_by_label("ID card number").first).to_have_value("66554433")
    expect(dialog.get_by_label("Is the ID card number confirmed?")).to_have_count(0)


def test_staff_correct_a_doctor_with_a_photo(open_page: Open, hospital: Hospital) -> None:
    """The entry is shown as it is, the hospital changes, and the picture is in the list."""
    page = open_page("/app/manage/doctor", hospital.staff)
    page.get_by_role("button", name="Edit Dr. Layla Mansour").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Detail of the specialization")).to_have_value("Thoracic imaging")
    expect(dialog.get_by_label("Specialization *", exact=False).first).not_to_have_value("")
    dialog.get_by_label("Hospital").fill("Al-Noor Hospital, East Wing")
    picture = BytesIO()
    Image.new("RGB", (64, 64), (15, 107, 102)).save(picture, "PNG")
    dialog.get_by_label("Photo").set_input_files(
        {"name": "layla.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    dialog.get_by_role("button", name="Save changes").click()
    row = page.get_by_role("row").filter(has_text="Dr. Layla Mansour")
    expect(row).to_contain_text("East Wing")
    expect(row.locator("img")).to_have_js_property("complete", True)
    assert row.locator("img").evaluate("one => one.naturalWidth") > 0


def test_a_refusal_puts_the_list_back(open_page: Open, hospital: Hospital) -> None:
    """Who is shut out is shown so at once; where the server refuses, as before, with the reason."""
    with hospital.http(hospital.staff) as http:
        person = {"name": "Lina Optimist", "email": "lina@noor.example", "password": PASSWORD, "phone": "1"}
        person |= {"gender": "Female", "position": "Desk", "salary": 1}
        assert http.post("/api/v1/staff", json=person).status_code == 201
    page = open_page("/app/manage/staff", hospital.staff)
    waiting: list[Route] = []
    page.route("**/access", lambda route: waiting.append(route))
    row = page.get_by_role("row").filter(has_text="Lina Optimist")
    page.get_by_role("button", name="Disable Lina Optimist").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(row.get_by_text("Disabled")).to_be_visible()
    waiting.pop().fulfill(status=503, json={"status": "fail", "message": "later"})
    expect(page.get_by_role("alert")).to_contain_text("Try again in a moment")
    expect(row.get_by_text("Disabled")).to_have_count(0)
    page.unroute("**/access")
    page.get_by_role("button", name="Disable Lina Optimist").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(row.get_by_text("Disabled")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.wait_for_load_state("networkidle")
    page.reload()
    page.get_by_role("button", name="Enable Lina Optimist").click()
    page.get_by_role("dialog").get_by_role("button", name="Enable").click()
    expect(row.get_by_text("Disabled")).to_have_count(0)


def test_arriving_studies_are_seen_live(open_page: Open, hospital: Hospital) -> None:
    """A push over DICOM is on the open page without a reload; a notice leads to the inbox, not to the images."""
    page = open_page("/app/inbox", hospital.staff)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    known = page.locator("[data-study]")
    expect(known.first).to_be_visible()
    pushed = image("CT_small.dcm", hospital.number)
    assert push(hospital.dicom_port, [pushed]) == [0]
    row = page.locator(f"[data-study='{pushed.StudyInstanceUID}']")
    expect(row).to_contain_text("1 image", timeout=30_000)
    expect(row).to_contain_text("Huda Karim")
    expect(row).to_contain_text("CT")
    expect(page.locator("[data-study]").first).to_have_attribute("data-study", str(pushed.StudyInstanceUID))
    notice = page.get_by_role("status").filter(has_text="New images have arrived.")
    expect(notice.get_by_role("link", name="Open")).to_have_attribute("href", "/app/inbox")
    expect(page.get_by_role("link", name="In quarantine, waiting for your decision")).to_be_visible()


def test_the_site_is_seen_in_charts(open_page: Open, hospital: Hospital) -> None:
    """Studies by modality, transfers, consultations, storage and accesses; each as a table too."""
    page = open_page("/app", hospital.staff)
    studies = page.get_by_role("figure").filter(has_text="Studies by modality")
    expect(studies.locator("svg .recharts-bar-rectangle path").first).to_be_attached()
    studies.get_by_text("As a table").click()
    expect(studies.get_by_role("columnheader").filter(has_text="CT")).to_have_count(1)
    expect(studies.get_by_role("columnheader").filter(has_text="MR")).to_have_count(1)
    for title in ("Transfers", "Consultations", "Storage", "Accesses by the audit trail"):
        expect(page.get_by_role("figure").filter(has_text=title)).to_have_count(1)
    expect(page.get_by_role("meter", name="Disk in use")).to_be_visible()
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_role("button", name="7 days")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("link", name="In quarantine")).to_be_visible()
