"""Two hospitals whose devices speak DICOM in clear, and who speak TLS to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import push_examples

from .dimse.authority import Authority
from .dimse.echo import echo
from .hospitals import found, until


@pytest.fixture
def hospitals(tmp_path: Path) -> Iterator[tuple[Site, Site, str]]:
    """Two sites that know each other, and B's id at A. A has a port for TLS beside its other one, B this alone."""
    authority = Authority(tmp_path, "authority")
    sites = []
    for name in ("a", "b"):
        own = authority.issue(name)
        settings = {
            "HAYAT_DICOM_TLS_CERTIFICATE": str(own.certificate),
            "HAYAT_DICOM_TLS_KEY": str(own.key),
            "HAYAT_DICOM_TLS_CLIENT_CA": str(authority.certificate),
            "HAYAT_DICOM_TLS_CLIENT_CRL": str(authority.revoke()),
        }
        title = f"HOSPITAL_{name.upper()}"
        sites.append(Site(f"Hospital {name.upper()}", title, tmp_path / f"site-{name}", further_settings=settings))
    a, b = sites
    port = str(free_port())
    a.further_settings["HAYAT_DICOM_TLS_PORT"] = port
    try:
        for site in sites:
            site.start()
        for site in sites:
            site.wait_until_ready()
            site.add_account("doctor")
        a.add_account("staff")
        partner = a.add_partner(b, "--tls")
        b.add_partner(a, "--port", port, "--tls")
        yield a, b, partner
    finally:
        for site in sites:
            site.stop()


def test_images_travel_over_tls_alone(hospitals: tuple[Site, Site, str]) -> None:
    """A device of A pushes in clear, B gets it over TLS, and may not itself come in clear."""
    a, b, partner = hospitals
    identifiers = [
        {"system": "urn:national", "value": "1"},
        {"system": f"{a.url}/identifier/patient", "value": "A1"},
    ]
    patient = {"resourceType": "Patient", "identifier": identifiers, "name": [{"family": "Demo"}]}
    with a.client("staff") as client:
        id = client.post("/Patient", content=json.dumps(patient)).raise_for_status().json()["id"]
    a.hayat("partner", "add", "--name", "PACS", "--ae-title", "PACS", "--host", "127.0.0.1", "--port", str(free_port()))
    push_examples("127.0.0.1", a.dicom_port, a.ae_title, "PACS", "A1", "Demo", "19800517")
    until(lambda: len(found(a, f"/ImagingStudy?patient={id}")) == 2)
    a.hayat("share", "--patient", id, "--with", partner, "--wait")
    until(lambda: [study["status"] for study in found(b, "/ImagingStudy")] == ["available"] * 2)
    assert echo(a.dicom_port, calling="PACS", called=a.ae_title) == "0x0000"
    assert echo(a.dicom_port, calling=b.ae_title, called=a.ae_title) == "rejected"
