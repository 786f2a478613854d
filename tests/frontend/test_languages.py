"""Languages are chosen by the browser's wish or by hand; each is one file of texts."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from .conftest import Hospital, Open


def test_every_language_is_offered_under_its_own_name(open_page: Open) -> None:
    """The chooser shows all; French takes effect at once, and English returns."""
    page = open_page("/app/sign-in")
    page.get_by_role("button", name="Language").click()
    for name in ("English", "العربية", "Français"):
        expect(page.get_by_role("menuitem", name=name)).to_be_visible()
    page.get_by_role("menuitem", name="Français").click()
    expect(page.get_by_role("heading", name="Connexion")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    page.get_by_role("button", name="Langue").click()
    page.get_by_role("menuitem", name="English").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_french_is_spoken_to_whoever_asks_for_it(open_page: Open, hospital: Hospital) -> None:
    """Texts, plural forms and dates of the chart are French, and no key shows instead of its text."""
    page = open_page(f"/app/patients/{hospital.patient.id}", hospital.doctor, locale="fr-FR")
    expect(page.get_by_role("tab", name="Chronologie")).to_be_visible()
    expect(page.get_by_text(re.compile(r"14 sept\. 2026"))).to_be_visible()
    page.get_by_role("tab", name="Mesures").click()
    expect(page.get_by_text("4 valeurs").first).to_be_visible()
    expect(page.get_by_text("measurements.")).to_have_count(0)
