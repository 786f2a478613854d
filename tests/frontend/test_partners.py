"""Partner hospitals and the outbox, as the staff look after them."""

from __future__ import annotations

import json
from pathlib import Path

from joserfc.jwk import ECKey
from playwright.sync_api import expect

from tests.dimse.authority import Authority

from .conftest import Hospital, Open


def _jwks() -> str:
    key = ECKey.generate_key("P-384", auto_kid=True)
    return json.dumps({"keys": [{**key.as_dict(private=False), "use": "sig", "alg": "ES384"}]})


def test_staff_register_a_partner_and_test_its_doors(open_page: Open, hospital: Hospital, tmp_path: Path) -> None:
    """This site's own doors stand for a partner's; its keys are replaced and revoked, and it is shut out."""
    page = open_page("/app/partners", hospital.staff)
    page.get_by_role("button", name="Register partner").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Harbour Hospital")
    dialog.get_by_label("FHIR base URL").fill(f"{hospital.url}/fhir")
    dialog.get_by_label("Public keys").select_option("jwks")
    dialog.get_by_label("Key set").fill(_jwks())
    dialog.get_by_label("AE title").fill("NOOR")
    dialog.get_by_label("Host").fill("127.0.0.1")
    dialog.get_by_label("Port").fill(str(hospital.dicom_port))
    dialog.get_by_role("button", name="Register partner").click()
    expect(dialog).to_have_count(0)
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Harbour Hospital"))
    expect(card.get_by_text(f"NOOR @ 127.0.0.1:{hospital.dicom_port}")).to_be_visible()
    card.get_by_role("button", name="Test connection").click()
    expect(card.get_by_text("it answers. (FHIR 4.0.1)")).to_be_visible()
    expect(card.get_by_text("DICOM port: ")).to_be_visible()
    card.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Encryption").select_option("TLS")
    dialog.get_by_role("button", name="Save").click()
    expect(card.get_by_text(f"NOOR @ 127.0.0.1:{hospital.dicom_port} (TLS)")).to_be_visible()
    card.get_by_role("button", name="Test connection").click()
    expect(card.get_by_text("it answers, but refuses. (this port does not speak TLS")).to_be_visible()
    card.get_by_role("button", name="Edit").click()
    issued = Authority(tmp_path, "authority").issue("harbour")
    dialog.get_by_label("DICOM certificate").fill("no certificate")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("no certificate in PEM")
    dialog.get_by_label("DICOM certificate").fill(issued.certificate.read_text())
    dialog.get_by_role("button", name="Save").click()
    expect(card.get_by_text(f"SHA-256 {issued.sha256}")).to_be_visible()
    card.get_by_role("button", name="Edit").click()
    expect(dialog.get_by_label("DICOM certificate")).to_have_value(issued.sha256)
    dialog.get_by_label("Encryption").select_option("false")
    dialog.get_by_label("DICOM certificate").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(card.get_by_text("SHA-256")).to_have_count(0)
    before = card.get_by_text("(EC)").inner_text()
    card.get_by_role("button", name="Public keys").click()
    dialog.get_by_label("From now on").select_option("jwks")
    dialog.get_by_label("Key set").fill(_jwks())
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    expect(card.get_by_text(before)).to_have_count(0)
    expect(card.get_by_text("(EC)")).to_be_visible()
    card.get_by_role("button", name="Public keys").click()
    dialog.get_by_label("From now on").select_option("revoke-keys")
    dialog.get_by_role("button", name="Revoke all keys").click()
    expect(card.get_by_text("None: it cannot sign in")).to_be_visible()
    card.get_by_role("button", name="Disable").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(card.get_by_text("Disabled", exact=True)).to_be_visible()
    expect(card.get_by_role("button", name="Test connection")).to_have_count(0)


def test_a_private_key_is_not_taken(open_page: Open, hospital: Hospital) -> None:
    """The dialog says why, and stays."""
    page = open_page("/app/partners", hospital.staff)
    page.get_by_role("button", name="Register partner").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Careless Clinic")
    dialog.get_by_label("Public keys").select_option("jwks")
    key = ECKey.generate_key("P-384", auto_kid=True)
    dialog.get_by_label("Key set").fill(json.dumps({"keys": [key.as_dict(private=True)]}))
    dialog.get_by_role("button", name="Register partner").click()
    expect(dialog.get_by_role("alert")).to_contain_text("private key")


def test_staff_retry_and_give_up_a_share(open_page: Open, hospital: Hospital) -> None:
    """A share with a hospital that cannot be reached shows its problem; it is given up, and taken up again."""
    with hospital.http(hospital.doctor) as http:
        found = http.get("/fhir/Endpoint", params={"connection-type": "hl7-fhir-rest", "name": "City Clinic"})
        partner = found.raise_for_status().json()["entry"][0]["resource"]["managingOrganization"]["reference"]
        path = f"/fhir/Patient/{hospital.patient.id}/$share"
        http.post(path, params={"with": partner}).raise_for_status()
    page = open_page("/app/outbox", hospital.staff)
    row = page.get_by_role("listitem").filter(
        has=page.get_by_role("heading", name=f"{hospital.patient.name} to City Clinic")
    )
    expect(row.get_by_text("the partner cannot be reached")).to_be_visible()
    row.get_by_role("button", name="Give up").click()
    expect(row.get_by_text("Given up")).to_be_visible()
    row.get_by_role("button", name="Try now").click()
    expect(row.get_by_role("button", name="Give up")).to_be_visible()
    row.get_by_role("button", name="Give up").click()
    expect(row.get_by_text("Given up")).to_be_visible()
