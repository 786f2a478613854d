"""Signing in beside other work: argon2 is slow on purpose, and must not make anybody else wait."""

from __future__ import annotations

import json
import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from hayat_fhir.demonstration_site import Site
from hayat_fhir.security.passwords import Passwords
from tests.benchmarks.figures import BenchmarkFailed, Finding, Target, spread
from tests.benchmarks.http_load import Load, load
from tests.benchmarks.observations import Source
from tests.benchmarks.processes import answer, program
from tests.benchmarks.run import Run
from tests.benchmarks.site import running

_CLIENTS = 8
_CONNECTIONS = 8
_LOOPBACK = "127.0.0.1"
_ADDRESSES = 60
"""Each client's, known after the first time: more sign-ins than an account or an address is granted are refused."""
_HALF = Target(0.5, "ratio", at_least=True)
_DOUBLE = Target(2.0, "ratio", at_least=False)


def measure(run: Run) -> Iterator[Finding]:
    """Reads of a Patient while eight people sign in over and over, against reads without them.

    Raises:
        BenchmarkFailed: A sign-in or a read was refused.
    """
    settings = {"HAYAT_TRUSTED_PROXIES": json.dumps([_LOOPBACK])}
    with running(run.folder("sign-in"), roles=("doctor", "staff"), settings=settings) as site:
        accounts = {f"doctor{number}@benchmark.example": secrets.token_urlsafe(24) for number in range(_CLIENTS)}
        for email, password in accounts.items():
            site.hayat(
                *("account", "add", "--role", "doctor", "--email", email, "--name", "Doctor", "--password-stdin"),
                stdin=password,
            )
        with site.client("staff") as client:
            patient = client.post("/Patient", content=json.dumps(Source().patient(0))).raise_for_status().json()["id"]
        yield from _compare(run, site, f"/fhir/Patient/{patient}", accounts)


def _compare(run: Run, site: Site, target: str, accounts: dict[str, str]) -> Iterator[Finding]:
    found: dict[bool, list[Load]] = {True: [], False: []}
    alone: dict[bool, list[float]] = {True: [], False: []}
    rates: list[float] = []
    sides = {"with": True, "without": False}
    for _, side in run.alternating("sign-in", list(sides)):
        token = site.token("doctor")
        with _signing_in(run, site, accounts if sides[side] else {}) as tally:
            half = run.seconds / 2
            found[sides[side]].append(load(site.http_port, [target], token, connections=_CONNECTIONS, seconds=half))
            alone[sides[side]].append(load(site.http_port, [target], token, connections=1, seconds=half).p50)
        rates.extend(tally)
    note = f"{_CLIENTS} clients, one hash at once"
    bound = spread([_hashes(run.seconds / 2) for _ in rates])
    yield Finding(
        "sign-in", "sign-ins beside the reads", "/s", spread(rates), "argon2 alone, one core", bound, note=note
    )
    ours, theirs = (spread([each.rate for each in found[side]]) for side in (True, False))
    note = f"{_CONNECTIONS} connections, while {_CLIENTS} clients sign in"
    yield Finding("sign-in", "reads of one Patient", "requests/s", ours, "nobody signs in", theirs, _HALF, note)
    ours, theirs = (spread(alone[side]) for side in (True, False))
    yield Finding("sign-in", "reads of one Patient, one client, p50", "ms", ours, "nobody signs in", theirs, _DOUBLE)


def _hashes(seconds: float) -> float:
    """How many passwords one core verifies in a second."""
    passwords = Passwords()
    hashed = passwords.hash("correct horse battery staple")
    started, number = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        passwords.verify(hashed, "correct horse battery staple")
        number += 1
    return number / (time.perf_counter() - started)


@contextmanager
def _signing_in(run: Run, site: Site, accounts: dict[str, str]) -> Iterator[list[float]]:
    """Sign in for as long as the block lasts; afterwards the list holds the sign-ins per second."""
    tally: list[float] = []
    if not accounts:
        yield tally
        return
    told = {"url": site.url, "accounts": accounts, "seconds": run.seconds}
    with program("sign_in", told) as process:
        if answer(process) != {"ready": True}:
            raise BenchmarkFailed("the clients that sign in did not start")
        yield tally
        found = answer(process)
    if "failure" in found:
        raise BenchmarkFailed(found["failure"])
    tally.append(found["rate"])


def _sign_in(url: str, email: str, password: str, network: str, end: float) -> int:
    """Sign in again and again, from one address of the network after the other, as a proxy would tell."""
    done = 0
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        while time.perf_counter() < end:
            headers = {"X-Forwarded-For": f"{network}.{done % _ADDRESSES + 1}"}
            content = {"email": email, "password": password}
            answered = client.post("/api/v1/doctor/login", json=content, headers=headers)
            if answered.status_code != httpx.codes.OK:
                raise BenchmarkFailed(f"a sign-in was answered {answered.status_code}")
            done += 1
    return done


def _sign_in_all(given: dict[str, Any]) -> dict[str, Any]:
    started = time.perf_counter()
    end = started + given["seconds"]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        running = [
            pool.submit(_sign_in, given["url"], email, password, f"10.0.{place}", end)
            for place, (email, password) in enumerate(given["accounts"].items())
        ]
        try:
            done = sum(each.result() for each in running)
        except (BenchmarkFailed, httpx.TransportError) as fault:
            return {"failure": str(fault)}
    return {"rate": done / (time.perf_counter() - started)}


def main() -> None:
    """Sign in as standard input says; write a line when it begins, and one of the rate at the end."""
    given = json.load(sys.stdin)
    sys.stdout.write(json.dumps({"ready": True}) + "\n")
    sys.stdout.flush()
    sys.stdout.write(json.dumps(_sign_in_all(given)) + "\n")


if __name__ == "__main__":
    main()
