"""Every page, light and dark, in English and Arabic, wide and narrow: axe finds nothing, and nothing overflows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Hospital, Open, Person

_AXE = Path(__file__).parents[2] / "hayat_fhir" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_PAGES = {
    "nobody": ["/app/sign-in", "/app/register", "/app/reset"],
    "patient": [
        *("/app", "/app/doctors", "/app/devices", "/app/sharing", "/app/access", "/app/profile", "/app/summary"),
        *("report", "study", "consultation", "/app/nothing-here"),
    ],
    "doctor": [
        *("/app", "/app/patients", "/app/records", "/app/devices", "/app/profile"),
        *("chart", "chart?tab=problems", "chart?tab=measurements", "summary", "report", "study", "consultation"),
    ],
    "staff": [
        *("/app", "/app/manage/patient", "/app/manage/doctor", "/app/manage/staff", "/app/manage/specialization"),
        *("/app/inbox", "/app/quarantine", "/app/outbox", "/app/partners", "/app/audit", "/app/profile"),
    ],
}
_ROUTES = Path(__file__).parents[2] / "hayat_fhir" / "frontend" / "src" / "app.tsx"
_NAMED = {
    "chart": "patients/:id",
    "summary": "patients/:id/summary",
    "report": "reports/:id",
    "study": "studies/:id",
    "consultation": "consultations/:id",
}
"""Pages whose address has an id in it."""
_CHANGED = """Promise.all(
    document.getAnimations().filter(one => one instanceof CSSTransition).map(one => one.finished)
)"""
"""Colours change in transitions; what moves for ever is not waited for."""
_COLOURS = re.compile("^(Dark colours|Light colours|ألوان داكنة|ألوان فاتحة)$")
"""The button that changes the theme."""


def _person(hospital: Hospital, role: str) -> Person | None:
    return {"patient": hospital.patient, "doctor": hospital.doctor, "staff": hospital.staff}.get(role)


def _path(hospital: Hospital, page: str) -> str:
    with hospital.http(hospital.patient) as http:
        found = http.get("/fhir/DiagnosticReport", params={"patient": hospital.patient.id, "_count": 1}).json()
    name, mark, rest = page.partition("?")
    if name == "consultation":
        return _consultation(hospital)
    addresses = {
        "summary": f"/app/patients/{hospital.patient.id}/summary",
        "chart": f"/app/patients/{hospital.patient.id}",
        "study": f"/app/studies/{hospital.studies['CT']}",
        "report": f"/app/reports/{found['entry'][0]['resource']['id']}",
    }
    return addresses.get(name, name) + mark + rest


def _consultation(hospital: Hospital) -> str:
    """One that has been held."""
    encounter = {"resourceType": "Encounter", "status": "finished", "class": {"code": "VR"}}
    encounter |= {"subject": {"reference": f"Patient/{hospital.patient.id}"}}
    encounter |= {"period": {"start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:20:00Z"}}
    who = {"reference": f"Practitioner/{hospital.doctor.id}", "display": hospital.doctor.name}
    with hospital.http(hospital.doctor) as http:
        found = http.get("/fhir/Encounter", params={"date": "2026-01-05", "patient": hospital.patient.id}).json()
        if entries := found.get("entry"):
            return f"/app/consultations/{entries[0]['resource']['id']}"
        made = http.post("/fhir/Encounter", json=encounter | {"participant": [{"individual": who}]}).raise_for_status()
    return f"/app/consultations/{made.json()['id']}"


def test_every_route_is_looked_at() -> None:
    """The pages of this file are those of the app's table; a call has a test of its own."""
    paths = set(re.findall(r'path: "([^"]+)"', _ROUTES.read_text())) - {"/", "/app", "*", "calls/:id", "manage/:kind"}
    pages = {page.partition("?")[0] for pages in _PAGES.values() for page in pages}
    walked = {_NAMED.get(page, page.removeprefix("/app").lstrip("/")) for page in pages}
    assert paths <= walked, paths - walked


def _settled(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("[aria-label='Loading'], [aria-label='جارٍ التحميل']")).to_have_count(0)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize(("first", "then", "locale"), [("light", "dark", "en-GB"), ("dark", "light", "ar")])
@pytest.mark.parametrize("role", _PAGES)
def test_axe_finds_nothing(open_page: Open, hospital: Hospital, role: str, first: str, then: str, locale: str) -> None:
    """WCAG 2.2 AA and axe's best practices, in both themes; written in the right direction, and fits a phone."""
    options = {"locale": locale, "color_scheme": first, "viewport": {"width": 390, "height": 844}}
    page = open_page("/app", _person(hospital, role), **options)
    found = []
    for name in _PAGES[role]:
        page.goto(_path(hospital, name))
        _settled(page)
        assert page.evaluate("document.documentElement.dir") == ("rtl" if locale == "ar" else "ltr")
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            found.append(f"{name}: wider than the window")
        page.evaluate(_AXE.read_text())
        assert _theme(page) == first
        found += [f"{name}, {first}: {one}" for one in _violations(page)]
        page.get_by_role("button", name=_COLOURS).click()
        page.evaluate(_CHANGED)
        assert _theme(page) == then
        found += [f"{name}, {then}: {one}" for one in _violations(page)]
    assert found == []


def _theme(page: Page) -> str:
    return str(page.evaluate("document.documentElement.dataset.theme"))


@pytest.mark.parametrize(("theme", "locale"), [("light", "en-GB"), ("dark", "ar")])
def test_axe_finds_nothing_where_the_glass_is_broken(
    open_page: Open, hospital: Hospital, theme: str, locale: str
) -> None:
    """The chart of a patient of whom something is restricted: before, with the dialog, and while it is open."""
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    restricted = {"resourceType": "Flag", "status": "active", "code": {"text": "Secret"}, "meta": {"security": [label]}}
    with hospital.http(hospital.doctor) as http:
        subject = {"reference": f"Patient/{hospital.patient.id}"}
        http.post("/fhir/Flag", json=restricted | {"subject": subject}).raise_for_status()
    options = {"locale": locale, "color_scheme": theme, "viewport": {"width": 390, "height": 844}}
    page = open_page(_path(hospital, "chart"), hospital.doctor, **options)
    page.get_by_role("complementary").get_by_role("button").click()
    page.evaluate(_AXE.read_text())
    found = _violations(page)
    page.get_by_role("dialog").get_by_role("textbox").fill("Found unconscious in the street.")
    page.get_by_role("dialog").locator("button[type=submit]").click()
    expect(page.locator("[data-glass]")).to_be_visible()
    _settled(page)
    assert found + _violations(page) == []


@pytest.mark.parametrize(("theme", "locale"), [("light", "ar"), ("dark", "en-GB")])
def test_axe_finds_nothing_in_a_call(open_page: Open, hospital: Hospital, theme: str, locale: str) -> None:
    """While it rings on both sides, while both talk and the doctor writes, and once it is over."""
    options = {"locale": locale, "color_scheme": theme, "viewport": {"width": 390, "height": 844}}
    options["permissions"] = ["camera", "microphone"]
    practice = open_page("/app", hospital.doctor, **options)
    practice.get_by_role("switch").click()
    home = open_page("/app/doctors", hospital.patient, **options)
    home.locator("main li button:enabled").first.click()
    expect(practice.get_by_role("dialog")).to_be_visible()
    found = [one for page in (practice, home) for one in _looked_at(page)]
    practice.get_by_role("dialog").get_by_role("button").nth(2).click()
    expect(home.locator("video")).to_have_count(2)
    practice.locator("main button[aria-pressed]").nth(3).click()
    expect(practice.locator("main form")).to_be_visible()
    found += [one for page in (practice, home) for one in _looked_at(page)]
    home.locator("main button").last.click()
    expect(home.locator("video")).to_have_count(0)
    found += _looked_at(home)
    practice.goto("/app")
    assert found == []


@pytest.mark.parametrize(("theme", "locale"), [("light", "ar"), ("dark", "en-GB")])
def test_axe_finds_nothing_where_three_talk(
    open_page: Open, hospital: Hospital, consultant: Person, theme: str, locale: str
) -> None:
    """While the doctor chooses whom to invite, while that one is rung, and while all three talk; on a phone."""
    options = {"locale": locale, "color_scheme": theme, "viewport": {"width": 390, "height": 844}}
    options["permissions"] = ["camera", "microphone"]
    practice, office = (open_page("/app", person, **options) for person in (hospital.doctor, consultant))
    practice.get_by_role("switch").click()
    home = open_page("/app/doctors", hospital.patient, **options)
    home.get_by_role("listitem").filter(has_text=hospital.doctor.name).locator("button:enabled").click()
    practice.get_by_role("dialog").get_by_role("button").nth(2).click()
    expect(home.locator("figure video")).to_have_count(1)
    practice.locator("main button:not([aria-pressed])").first.click()
    expect(practice.get_by_role("dialog").get_by_role("listitem")).to_have_count(1)
    found = _looked_at(practice)
    office.get_by_role("switch").click()
    practice.get_by_role("dialog").get_by_role("listitem").get_by_role("button").click()
    expect(office.get_by_role("dialog")).to_be_visible()
    found += _looked_at(office)
    office.get_by_role("dialog").get_by_role("button").nth(2).click()
    for page in (practice, home, office):
        expect(page.locator("figure video")).to_have_count(2)
        found += _looked_at(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    home.locator("main button").last.click()
    expect(office.locator("video")).to_have_count(0)
    practice.goto("/app")
    assert found == []


def _looked_at(page: Page) -> list[str]:
    page.evaluate(_AXE.read_text())
    return [f"{page.url}: {one}" for one in _violations(page)]


def _violations(page: Page) -> list[str]:
    results = page.evaluate("rules => axe.run(document, {runOnly: rules})", _RULES)
    return [f"{one['id']}: {node['html'][:200]}" for one in results["violations"] for node in one["nodes"]]


def test_a_dialog_holds_the_focus_and_gives_it_back(open_page: Open, hospital: Hospital) -> None:
    """By keyboard alone: open, the first field has the focus, Escape returns to the button."""
    page = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor)
    button = page.get_by_role("button", name="Write record")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('[role=dialog]') !== null")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()


def test_language_and_theme_change_at_once(open_page: Open) -> None:
    """Without a reload, and without a trace in the browser's storage."""
    page = open_page("/app/sign-in")
    page.get_by_role("button", name="Language").click()
    page.get_by_role("menuitem", name="العربية").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("تسجيل الدخول")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    page.get_by_role("button", name="ألوان داكنة").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0


def test_arabic_runs_from_right_to_left_everywhere(open_page: Open, hospital: Hospital) -> None:
    """Also inside the chart's tabs; a month of FHIR stays a month, and dates are the reader's region's."""
    address = f"/app/patients/{hospital.patient.id}?tab=problems"
    chart = open_page(address, hospital.doctor, locale="ar")
    expect(chart.get_by_text("Essential hypertension")).to_be_visible()
    assert chart.evaluate("getComputedStyle(document.querySelector('[role=tabpanel]')).direction") == "rtl"
    british = open_page(address, hospital.doctor, locale="en-GB")
    expect(british.get_by_text("May 2023", exact=True)).to_be_visible()
    expect(british.get_by_text("12 Apr 1986")).to_be_visible()


def test_the_section_that_is_open_is_in_view_on_a_phone(open_page: Open, hospital: Hospital) -> None:
    """The last tab of a chart, and the last entry of the staff's navigation."""
    phone = {"width": 390, "height": 844}
    chart = open_page(f"/app/patients/{hospital.patient.id}?tab=measurements", hospital.doctor, viewport=phone)
    expect(chart.get_by_role("tab", name="Measurements")).to_be_in_viewport(ratio=0.9)
    desk = open_page("/app/audit", hospital.staff, viewport=phone)
    expect(desk.get_by_role("link", name="Audit trail")).to_be_in_viewport(ratio=0.9)
