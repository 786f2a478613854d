"""A share to a partner that is down: retried, visible, and delivered once when it is back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import push_examples

from .hospitals import found, until

IDENTIFIER = {"system": "urn:national", "value": "12345678901"}


@pytest.fixture
def hospitals(tmp_path: Path) -> Iterator[tuple[Site, Site, str]]:
    """Two sites that know each other, with accounts; and B's id at A."""
    a, b = Site("Hospital A", "HOSPITAL_A", tmp_path / "a"), Site("Hospital B", "HOSPITAL_B", tmp_path / "b")
    try:
        a.start()
        b.start()
        a.wait_until_ready()
        b.wait_until_ready()
        partner = a.add_partner(b)
        b.add_partner(a)
        for site in (a, b):
            site.add_account("doctor")
        a.add_account("staff")
        yield a, b, partner
    finally:
        a.stop()
        b.stop()


def test_a_partner_that_is_down_gets_everything_once(hospitals: tuple[Site, Site, str]) -> None:
    """The job waits with its problem in sight, is delivered when the partner is back, and again changes nothing."""
    a, b, partner = hospitals
    patient = {
        "resourceType": "Patient",
        "identifier": [IDENTIFIER, {"system": f"{a.url}/identifier/patient", "value": "A1"}],
        "name": [{"family": "Demo"}],
    }
    with a.client("staff") as client:
        id = client.post("/Patient", content=json.dumps(patient)).raise_for_status().json()["id"]
    a.hayat("partner", "add", "--name", "PACS", "--ae-title", "PACS", "--host", "127.0.0.1", "--port", str(free_port()))
    push_examples("127.0.0.1", a.dicom_port, a.ae_title, "PACS", "A1", "Demo", "19800517")
    until(lambda: len(found(a, f"/ImagingStudy?patient={id}")) == 2)
    study = found(a, f"/ImagingStudy?patient={id}&modality=CT")[0]
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "CT"},
        "subject": {"reference": f"Patient/{id}"},
        "imagingStudy": [{"reference": f"ImagingStudy/{study['id']}"}],
        "conclusion": "No finding. سليم",
    }
    with a.client("doctor") as client:
        client.post("/DiagnosticReport", content=json.dumps(report)).raise_for_status()
    b.stop()

    a.hayat("share", "--patient", id, "--with", partner)
    until(lambda: "cannot be reached" in a.hayat("outbox", "list"))
    b.start()
    b.wait_until_ready()
    a.hayat("share", "--patient", id, "--with", partner, "--wait")
    until(lambda: [study["status"] for study in found(b, "/ImagingStudy")] == ["available"] * 2)

    check_bound(b)
    (own,) = found(b, "/Patient?identifier=urn:national|12345678901")
    assert {"system": f"{a.url}/identifier/patient", "value": "A1"} in own["identifier"]
    before = {kind: found(b, f"/{kind}") for kind in ("Patient", "ImagingStudy", "Provenance")}
    assert [len(before[kind]) for kind in before] == [1, 2, 3]
    assert {one["agent"][0]["who"]["display"] for one in before["Provenance"]} == {"Hospital A"}

    a.hayat("share", "--patient", id, "--with", partner, "--wait")
    assert {kind: found(b, f"/{kind}") for kind in before} == before


def check_bound(site: Site) -> None:
    """The report has come as a record and as an object of its study, once; and all of it is as it was vouched for."""
    study = found(site, "/ImagingStudy?modality=CT")[0]
    until(lambda: count(site, study["id"]) == 3)
    assert {series["modality"]["code"] for series in read(site, study["id"])["series"]} == {"CT", "SR", "KO"}
    (report,) = found(site, "/DiagnosticReport")
    assert report["conclusion"] == "No finding. سليم"
    for one in found(site, "/ImagingStudy"):
        with site.client("doctor") as client:
            answer = client.get(f"/ImagingStudy/{one['id']}/$verify").raise_for_status().json()
        assert answer["parameter"][0] == {"name": "verified", "valueBoolean": True}, answer
    uid = study["identifier"][0]["value"].removeprefix("urn:oid:")
    assert "verified" in site.hayat("imaging", "verify", uid)


def read(site: Site, id: str) -> dict[str, Any]:
    """An ImagingStudy."""
    with site.client("doctor") as client:
        resource: dict[str, Any] = client.get(f"/ImagingStudy/{id}").raise_for_status().json()
    return resource


def count(site: Site, id: str) -> int:
    """How many objects an ImagingStudy counts."""
    return int(read(site, id)["numberOfInstances"])
