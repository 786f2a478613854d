"""An account in the hands of its owner: second factor, sign-out everywhere, and a lost password."""

from __future__ import annotations

import re
import time

import pyotp
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Hospital, Open

_CLERK = "factor@noor.example"


def _sign_in(page: Page, email: str, role: str, password: str = PASSWORD) -> None:
    page.get_by_role("tab", name=role).click()
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password", exact=False).first.fill(password)
    page.get_by_role("button", name="Sign in").click()


def _clerk(hospital: Hospital, email: str) -> None:
    person = {"name": "Careful Clerk", "email": email, "password": PASSWORD, "phone": "1", "gender": "Female"}
    with hospital.http(hospital.staff) as http:
        assert http.post("/api/v1/staff", json=person | {"position": "Desk", "salary": 1}).status_code == 201


def test_a_second_factor_is_set_up_and_asked_for(open_page: Open, hospital: Hospital) -> None:
    """By picture or by key; from then on the password alone does not let in."""
    _clerk(hospital, _CLERK)
    page = open_page("/app/sign-in")
    _sign_in(page, _CLERK, "Staff")
    page.get_by_role("link", name="Profile").first.click()
    page.get_by_role("button", name="Set up a second factor").click()
    expect(page.get_by_role("img", name="Scan this picture")).to_be_visible()
    code = pyotp.TOTP(page.locator("code").inner_text())
    page.get_by_label("Code").fill("000000" if code.now() != "000000" else "111111")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Code").fill(code.now())
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    _sign_in(page, _CLERK, "Staff")
    expect(page.get_by_label("Code")).to_be_visible()
    page.get_by_label("Code").fill(code.at(_next_step()))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def _next_step() -> int:
    """A moment of the next half minute: a code counts once, and clocks may differ that much."""
    return int(time.time()) + 30


def test_signing_out_everywhere_ends_every_session(open_page: Open, hospital: Hospital) -> None:
    """Two browsers of one person: the one signs out everywhere, the other one is out as well."""
    email = "everywhere@noor.example"
    _clerk(hospital, email)
    pages = [open_page("/app/sign-in"), open_page("/app/sign-in")]
    for page in pages:
        _sign_in(page, email, "Staff")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    pages[0].goto("/app/profile")
    pages[0].get_by_role("button", name="Sign out everywhere").click()
    expect(pages[0]).to_have_url(re.compile("/app/sign-in$"))
    pages[1].wait_for_timeout(6000)
    pages[1].get_by_role("link", name="Audit trail").first.click()
    expect(pages[1].get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_lost_password_is_replaced(open_page: Open, hospital: Hospital) -> None:
    """With the one-time code that the administrator gives; a wrong one is refused."""
    email = "lost@noor.example"
    _clerk(hospital, email)
    said = hospital.site.hayat("account", "reset", "--email", email)
    code = next(word for word in reversed(said.split()) if len(word) > 8)
    page = open_page("/app/sign-in")
    page.get_by_role("link", name="Use a one-time code").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Set a new password")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("One-time code").fill("not the code")
    page.get_by_label("New password").fill("another harbour lantern 77")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("One-time code").fill(code)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("status")).to_contain_text("new password is set")
    _sign_in(page, email, "Staff", "another harbour lantern 77")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
