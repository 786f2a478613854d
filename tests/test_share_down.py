"""A share to a partner that is down: retried, visible, and delivered once when it is back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.dimse.demonstration import push_examples

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


def until(holds: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for something to hold."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def found(site: Site, url: str) -> list[dict[str, Any]]:
    """The resources that a doctor of the site finds."""
    with site.client("doctor") as client:
        return [entry["resource"] for entry in client.get(url).raise_for_status().json().get("entry", ())]


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
    b.stop()

    a.hayat("share", "--patient", id, "--with", partner)
    until(lambda: "cannot be reached" in a.hayat("outbox", "list"))
    b.start()
    b.wait_until_ready()
    a.hayat("share", "--patient", id, "--with", partner, "--wait")
    until(lambda: [study["status"] for study in found(b, "/ImagingStudy")] == ["available"] * 2)

    (own,) = found(b, "/Patient?identifier=urn:national|12345678901")
    assert {"system": f"{a.url}/identifier/patient", "value": "A1"} in own["identifier"]
    before = {kind: found(b, f"/{kind}") for kind in ("Patient", "ImagingStudy", "Provenance")}
    assert [len(before[kind]) for kind in before] == [1, 2, 1]
    assert before["Provenance"][0]["agent"][0]["who"]["display"] == "Hospital A"

    a.hayat("share", "--patient", id, "--with", partner, "--wait")
    assert {kind: found(b, f"/{kind}") for kind in before} == before
