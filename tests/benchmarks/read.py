"""Read of one Patient over HTTP, against a bare handler that does the same ``find_one``."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from uuid import uuid4

import httpx

from hayat_fhir.demonstration_site import Site, free_port
from hayat_fhir.store.database import connect_sync
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.http_load import load
from tests.benchmarks.processes import program, wait_for
from tests.benchmarks.run import Run
from tests.benchmarks.site import mongodb_url, running

_CONNECTIONS = 32
_WARM_UP = 1.0
_COPIES = 1000
_BARE = "bare ASGI find_one"
_TARGET = Target(0.60, "ratio", at_least=True)
_PATIENT = {
    "resourceType": "Patient",
    "identifier": [
        {"use": "official", "system": "urn:oid:2.16.840.1.113883.4.330.792", "value": "10000000146"},
        {"use": "usual", "system": "http://hospital.example/identifier/patient", "value": "A-4711"},
    ],
    "active": True,
    "name": [{"use": "official", "family": "Öztürk", "given": ["Ayşe", "Nur"]}],
    "telecom": [
        {"system": "phone", "value": "+90 312 000 00 00", "use": "home"},
        {"system": "email", "value": "ayse@mail.example"},
    ],
    "gender": "female",
    "birthDate": "1980-05-17",
    "address": [{"use": "home", "line": ["Çam Sokak 5"], "city": "Ankara", "postalCode": "06000", "country": "TR"}],
    "maritalStatus": {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}],
    },
}


def measure(run: Run) -> Iterator[Finding]:
    """The rate of reads with 32 connections, of one Patient and of many, and the latency beside it.

    Raises:
        BenchmarkFailed: An answer was wrong.
    """
    folder = run.folder("read")
    with run.step("read: starting"), running(folder, roles=("doctor", "staff")) as site:
        id, body = _stored(site)
        others = _copied(mongodb_url(site), id)
        port = free_port()
        bound = {"url": mongodb_url(site), "collection": "Patient", "body": body, "port": port}
        with program("bare_handler", bound):
            wait_for(lambda: _listens(port), "the bare handler's start")
            yield from _compare(run, site, port, "one Patient", [id], _TARGET)
            yield from _compare(run, site, port, f"{len(others):,} Patients in turn", others, None)


def _compare(
    run: Run, site: Site, bare_port: int, what: str, ids: list[str], target: Target | None
) -> Iterator[Finding]:
    ports = {"Hayat": site.http_port, "bare": bare_port}
    paths = [f"/fhir/Patient/{id}" for id in ids]
    for port in ports.values():
        load(port, paths, site.token("doctor"), connections=_CONNECTIONS, seconds=_WARM_UP)
    rates: dict[str, list[float]] = {side: [] for side in ports}
    medians: dict[str, list[float]] = {side: [] for side in ports}
    alone: dict[str, list[float]] = {side: [] for side in ports}
    for _, side in run.alternating(f"read: {what}", list(ports)):
        token = site.token("doctor")
        found = load(ports[side], paths, token, connections=_CONNECTIONS, seconds=run.seconds)
        rates[side].append(found.rate)
        medians[side].append(found.p50)
        alone[side].append(load(ports[side], paths, token, connections=1, seconds=run.seconds / 4).p50)
    ours, bare = spread(rates["Hayat"]), spread(rates["bare"])
    note = f"{_CONNECTIONS} keep-alive connections, every read audited durably"
    yield Finding("read", f"reads of {what}", "requests/s", ours, _BARE, bare, target, note)
    ours, bare = spread(medians["Hayat"]), spread(medians["bare"])
    yield Finding("read", f"reads of {what}, p50 under that load", "ms", ours, _BARE, bare)
    ours, bare = spread(alone["Hayat"]), spread(alone["bare"])
    yield Finding("read", f"reads of {what}, p50 of one client alone", "ms", ours, _BARE, bare)


def _copied(url: str, id: str) -> list[str]:
    """The ids of copies of the stored Patient."""
    database = connect_sync(url)
    with database.client:
        document = database["Patient"].find_one({"_id": id}) or {}
        ids = [str(uuid4()) for _ in range(_COPIES)]
        copies = [{**document, "_id": copy, "resource": {**document["resource"], "id": copy}} for copy in ids]
        database["Patient"].insert_many(copies)
    return ids


def _stored(site: Site) -> tuple[str, str]:
    """The id and the bytes of a Patient, as a doctor reads it."""
    with site.client("staff") as client:
        created = client.post("/Patient", content=json.dumps(_PATIENT))
    if created.status_code != httpx.codes.CREATED:
        raise BenchmarkFailed(f"the Patient was not created: {created.text}")
    id = str(created.json()["id"])
    with site.client("doctor") as client:
        return id, client.get(f"/Patient/{id}").raise_for_status().text


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
