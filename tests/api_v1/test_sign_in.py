"""Signing in and out, as people and as those who would like to be somebody else."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import httpx
import pyotp
import pytest

from hayat_fhir.errors import Conflict, Refusal, Throttled, Unauthenticated
from hayat_fhir.security.callers import Role
from hayat_fhir.store.throttles import Throttles
from tests.api_v1.conftest import (
    PASSWORD,
    Person,
    RunningSite,
    doctor_document,
    patient_document,
    signed_in,
    staff_document,
    with_token,
)

_NEW = "amber-heron-93-compass"
_REVOKED_WITHIN = 5.0


def _login(
    client: httpx.Client, email: object, password: object, role: str = "patient", **more: object
) -> httpx.Response:
    return client.post(f"/{role}/login", json={"email": email, "password": password, **more})


def _dies(person: Person) -> None:
    """The person's token is worth nothing at either door, within five seconds."""
    deadline = time.monotonic() + _REVOKED_WITHIN
    while person.http.get("/auth").status_code != 401 or person.fhir.get("/Patient").status_code != 401:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _new_patient(site: RunningSite, anonymous: httpx.Client) -> Person:
    document = patient_document()
    site.run(site.opened.legacy_writing.register(document, "192.0.2.1"))
    return signed_in(site, anonymous, "patient", document["email"])


def _from(site: RunningSite, address: str, role: str, email: str) -> Person:
    """Sign in from another address than this machine's, which has so many attempts only."""
    session = site.run(site.opened.sign_in.sign_in(Role(role), email, PASSWORD, address))
    return with_token(site, session.token, email)


def test_what_the_frontend_reads(site: RunningSite, anonymous: httpx.Client, patient: Person) -> None:
    """The login answers with the address and a token that says id and type; all three headers carry it."""
    answer = _login(anonymous, patient.email.upper(), PASSWORD)
    content = answer.json()
    assert content["user"] == patient.email
    claims = json.loads(base64.urlsafe_b64decode(content["token"].split(".")[1] + "=="))
    assert (claims["id"], claims["type"]) == (patient.id, "patient")
    for name, value in (
        ("x-acess-token", content["token"]),
        ("x-access-token", content["token"]),
        ("authorization", f"Bearer {content['token']}"),
    ):
        who = anonymous.get("/auth/", headers={name: value}).json()
        assert (who["id"], who["type"]) == (patient.id, "patient")
    assert anonymous.get("/auth", headers={"x-acess-token": content["token"], "x-access-token": "x"}).status_code == 401


def test_nobody_learns_who_has_an_account(anonymous: httpx.Client, patient: Person) -> None:
    """Unknown address, wrong password and wrong role are answered alike, but for the time of day."""
    answers = [
        _login(anonymous, patient.email, "wrong-but-long-enough-1"),
        _login(anonymous, f"{token_hex(8)}@patient.example", PASSWORD),
        _login(anonymous, patient.email, PASSWORD, role="doctor"),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    varying = {"date", "x-request-id"}
    heads = [{name: value for name, value in a.headers.items() if name not in varying} for a in answers]
    assert heads[0] == heads[1] == heads[2]
    assert answers[0].json()["status"] == "fail"
    assert answers[0].json()["data"] is None
    assert answers[0].json()["message"]


@pytest.mark.parametrize(
    "body",
    [
        {"email": {"$ne": None}, "password": {"$ne": None}},
        {"email": {"$gt": ""}, "password": PASSWORD},
        {"email": ["a@b.example"], "password": PASSWORD},
        {"email": "a@b.example"},
        {"email": "a@b.example", "password": None},
        {"email": "a@b.example", "password": PASSWORD, "role": "staff"},
        {"email": "a\u0000@b.example", "password": PASSWORD},
        [],
        "text",
    ],
)
def test_malformed_logins(anonymous: httpx.Client, body: Any) -> None:
    """Operators, wrong types, fields that nobody asked for: 400, and no database ever sees them."""
    answer = anonymous.post("/staff/login", json=body)
    assert answer.status_code == 400
    assert answer.json()["status"] == "fail"


def test_odd_bytes(anonymous: httpx.Client) -> None:
    """A password of 1 MB is not hashed, a lone surrogate and a body that is no JSON are refused."""
    assert _login(anonymous, "a@b.example", "x" * 2**20).status_code == 413
    head = {"content-type": "application/json"}
    surrogate = b'{"email":"a@b.example","password":"\\ud800"}'
    assert anonymous.post("/patient/login", content=surrogate, headers=head).status_code == 400
    twice = b'{"email":"a@b.example","email":"c@d.example","password":"x"}'
    assert anonymous.post("/patient/login", content=twice, headers=head).status_code == 400
    assert anonymous.post("/patient/login", content=b"{", headers=head).status_code == 400
    assert anonymous.post("/patient/login", content=b"email=a", headers={}).status_code == 415


def test_passwords_are_taken_exactly(site: RunningSite, anonymous: httpx.Client) -> None:
    """Spaces, long ones and symbols count to the last character; short and guessable ones are refused."""
    for password in (
        "  spaces count here  ",
        "\U0001f98a quick \u0645\u0631\u062d\u0628\u0627 na\u00efve vixen 73 jumps",
        "correct horse battery " * 4 + "staple",
    ):
        document = patient_document(password=password)
        site.run(site.opened.legacy_writing.register(document, "192.0.2.2"))
        assert _login(anonymous, document["email"], password).status_code == 200
        assert _login(anonymous, document["email"], password[:-1]).status_code == 401
    for password in ("short", "aaaaaaaaaaaaaaaaaaaa", "password12345678"):
        answer = anonymous.post("/patient/register", json=patient_document(password=password))
        assert answer.status_code == 400
        assert password not in answer.text


def test_a_wrong_password_is_throttled_where_it_comes_from(site: RunningSite, anonymous: httpx.Client) -> None:
    """After five failures this address waits; the owner gets in from where they have signed in before."""
    document = patient_document()
    site.run(site.opened.legacy_writing.register(document, "192.0.2.3"))
    email, sign_in = document["email"], site.opened.sign_in

    def attempt(password: str, address: str) -> type[Exception] | None:
        try:
            site.run(sign_in.sign_in(Role.PATIENT, email, password, address))
        except Refusal as refusal:
            return type(refusal)
        return None

    assert attempt(PASSWORD, "198.51.100.1") is None
    outcomes = [attempt("wrong-but-long-enough-2", "203.0.113.7") for _ in range(7)]
    assert Throttled in outcomes[5:]
    assert attempt(PASSWORD, "203.0.113.7") is Throttled
    assert attempt(PASSWORD, "203.0.113.8") is None
    prefix = [attempt("wrong-but-long-enough-3", f"2001:db8::{number:x}") for number in range(7)]
    assert Throttled in prefix[5:]
    throttles = Throttles(site.opened.database)
    for _ in range(100):
        site.run(throttles.count("account", email, 86400, time.time()))
    assert attempt(PASSWORD, "203.0.113.99") is Throttled
    assert attempt(PASSWORD, "198.51.100.1") is None


def test_signing_out(site: RunningSite, anonymous: httpx.Client) -> None:
    """This session ends at both doors within five seconds, another one goes on, and then all of them end."""
    person = _new_patient(site, anonymous)
    elsewhere = signed_in(site, anonymous, "patient", person.email)
    assert person.http.post("/auth/logout").status_code == 204
    _dies(person)
    assert elsewhere.http.get("/auth").status_code == 200
    assert elsewhere.http.post("/auth/logout-everywhere/").status_code == 204
    _dies(elsewhere)


def test_changing_a_password(site: RunningSite, anonymous: httpx.Client) -> None:
    """It needs the old one, ends all tokens, and only the new one is good afterwards."""
    person = _new_patient(site, anonymous)
    wrong = person.http.post("/auth/password", json={"password": _NEW, "newPassword": _NEW})
    assert wrong.status_code == 401
    assert person.http.put(f"/patient/{person.id}", json={"password": _NEW}).status_code == 400
    assert person.http.post("/auth/password", json={"password": PASSWORD, "newPassword": "x"}).status_code == 400
    assert person.http.post("/auth/password", json={"password": PASSWORD, "newPassword": _NEW}).status_code == 204
    _dies(person)
    assert _login(anonymous, person.email, PASSWORD).status_code == 401
    assert _login(anonymous, person.email, _NEW).status_code == 200


def test_a_lost_password(site: RunningSite, anonymous: httpx.Client) -> None:
    """A code is good once; guesses use it up; an unknown address is answered like a wrong code."""
    person = _new_patient(site, anonymous)
    code = site.run(site.opened.credentials.reset_code(person.email))
    body = {"email": person.email, "code": code, "password": _NEW}
    wrong = anonymous.post("/auth/reset", json={**body, "code": "0" * 24})
    unknown = anonymous.post("/auth/reset", json={**body, "email": "nobody@patient.example"})
    assert (wrong.status_code, wrong.text) == (unknown.status_code, unknown.text)
    assert wrong.status_code == 401
    assert anonymous.post("/auth/reset", json=body).status_code == 204
    _dies(person)
    assert anonymous.post("/auth/reset", json={**body, "password": PASSWORD}).status_code == 401
    assert _login(anonymous, person.email, _NEW).status_code == 200
    code = site.run(site.opened.credentials.reset_code(person.email))
    for _ in range(5):
        anonymous.post("/auth/reset", json={**body, "code": "1" * 24})
    assert anonymous.post("/auth/reset", json={**body, "code": code}).status_code == 401


def test_a_code_has_its_time(site: RunningSite, anonymous: httpx.Client) -> None:
    """After a quarter of an hour it is worth nothing."""
    document = patient_document()
    email = document["email"]
    site.run(site.opened.legacy_writing.register(document, "192.0.2.9"))
    code = site.run(site.opened.credentials.reset_code(email))
    accounts = site.opened.database.collection("accounts")
    row = site.run(accounts.find_one({"email": email}))
    assert 0 < row["reset"]["expires"] - time.time() <= 900
    site.run(accounts.update_one({"email": email}, {"$set": {"reset.expires": time.time() - 1}}))
    late = anonymous.post("/auth/reset", json={"email": email, "code": code, "password": _NEW})
    assert late.status_code == 401


@pytest.mark.parametrize("role", ["patient", "doctor", "staff"])
def test_who_is_deleted_is_out(site: RunningSite, staff: Person, specialization: str, role: str) -> None:
    """Their token dies at both doors, and they do not get in again."""
    document = {
        "patient": patient_document,
        "doctor": lambda: doctor_document(specialization),
        "staff": staff_document,
    }[role]()
    made = staff.http.post(f"/{role}", json=document)
    assert made.status_code == 201, made.text
    person = _from(site, "192.0.2.7", role, document["email"])
    assert staff.http.delete(f"/{role}/{person.id}").status_code == 204
    _dies(person)
    with pytest.raises(Unauthenticated):
        _from(site, "192.0.2.7", role, document["email"])


def test_who_is_no_longer_what_they_were_is_out(site: RunningSite, staff: Person) -> None:
    """A token says the role it was issued for; an account of another role does not honour it."""
    document = staff_document()
    staff.http.post("/staff", json=document)
    person = _from(site, "192.0.2.8", "staff", document["email"])
    accounts = site.opened.database.collection("accounts")
    site.run(accounts.update_one({"email": document["email"]}, {"$set": {"role": "patient"}}))
    _dies(person)


def test_one_address_tries_many_accounts(site: RunningSite) -> None:
    """After thirty attempts it waits, whichever accounts it tries; others get in meanwhile."""
    document = patient_document()
    site.run(site.opened.legacy_writing.register(document, "192.0.2.6"))
    outcomes = [_outcome(site, f"{token_hex(8)}@patient.example", "203.0.113.66") for _ in range(40)]
    assert outcomes[:30] == [Unauthenticated] * 30
    assert outcomes[30:] == [Throttled] * 10
    assert _outcome(site, document["email"], "203.0.113.66") is Throttled
    assert _outcome(site, document["email"], "203.0.113.67") is None


def _outcome(site: RunningSite, email: str, address: str) -> type[Exception] | None:
    try:
        site.run(site.opened.sign_in.sign_in(Role.PATIENT, email, PASSWORD, address))
    except Refusal as refusal:
        return type(refusal)
    return None


def test_five_hundred_sign_in_at_once(site: RunningSite, patient: Person) -> None:
    """As many wait as there is room for, the others are told to come back, and nobody else notices."""

    async def attempts() -> list[Any]:
        sign_in = site.opened.sign_in
        tries = (
            sign_in.sign_in(Role.PATIENT, f"{token_hex(8)}@patient.example", PASSWORD, f"198.18.{n // 250}.{n % 250}")
            for n in range(500)
        )
        return await asyncio.gather(*tries, return_exceptions=True)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(site.run, attempts())
        others = [patient.http.get("/auth").status_code]
        while not waiting.done():
            others.append(patient.http.get("/auth").status_code)
        outcomes = waiting.result()
    assert {type(outcome) for outcome in outcomes} <= {Unauthenticated, Throttled}
    assert sum(isinstance(outcome, Unauthenticated) for outcome in outcomes) <= 64
    assert set(others) == {200}


def test_a_second_factor(site: RunningSite, anonymous: httpx.Client, staff: Person, specialization: str) -> None:
    """Once confirmed it is asked for after the password; each code is good once; it can be taken away with one."""
    document = doctor_document(specialization)
    staff.http.post("/doctor", json=document)
    person = signed_in(site, anonymous, "doctor", document["email"])
    secret = person.http.post("/auth/second-factor").json()["secret"]
    codes = pyotp.TOTP(secret)
    now = int(time.time())
    assert person.http.put("/auth/second-factor", json={"secret": secret, "code": "000000"}).status_code == 400
    first = codes.at(now - 30)
    assert person.http.put("/auth/second-factor", json={"secret": secret, "code": first}).status_code == 204
    _dies(person)
    missing = _login(anonymous, document["email"], PASSWORD, "doctor")
    assert (missing.status_code, missing.json()["code"]) == (401, "second-factor")
    assert _login(anonymous, document["email"], "wrong-but-long-enough-4", "doctor").json()["code"] != "second-factor"
    assert _login(anonymous, document["email"], PASSWORD, "doctor", code=first).status_code == 401
    code = codes.at(now)
    entered = _login(anonymous, document["email"], PASSWORD, "doctor", code=code)
    assert entered.status_code == 200
    assert _login(anonymous, document["email"], PASSWORD, "doctor", code=code).status_code == 401
    head = {"x-acess-token": entered.json()["token"]}
    body = {"password": PASSWORD, "code": codes.at(now + 30)}
    assert anonymous.request("DELETE", "/auth/second-factor", json=body, headers=head).status_code == 204
    assert _login(anonymous, document["email"], PASSWORD, "doctor").status_code == 200


def test_patients_have_no_second_factor(patient: Person) -> None:
    """It is for those who see what is others'."""
    assert patient.http.post("/auth/second-factor").status_code == 403


def test_a_hundred_registrations_of_one_address(site: RunningSite) -> None:
    """One account and one Patient; all the others are told that the address is taken."""
    document = patient_document()
    name = f"Crowd {token_hex(8)}"

    async def register() -> list[Any]:
        writing = site.opened.legacy_writing
        documents = ({**document, "name": name, "IDcard": number} for number in range(100))
        return await asyncio.gather(*(writing.register(d, "192.0.2.4") for d in documents), return_exceptions=True)

    outcomes = site.run(register())
    assert sum(isinstance(outcome, dict) for outcome in outcomes) == 1
    assert all(isinstance(outcome, dict | Conflict | Throttled) for outcome in outcomes)
    accounts = site.run(site.opened.database.collection("accounts").count_documents({"email": document["email"]}))
    patients = site.run(site.opened.database.collection("Patient").count_documents({"resource.name.text": name}))
    assert (accounts, patients) == (1, 1)


def test_a_registration_that_is_cut_short(site: RunningSite, anonymous: httpx.Client) -> None:
    """A process that died before the Patient was stored leaves the address free; one that died after it, an account."""
    accounts = site.opened.database.collection("accounts")
    document = patient_document()
    site.run(site.opened.legacy_writing.register(document, "192.0.2.5"))
    site.run(accounts.update_one({"email": document["email"]}, {"$set": {"pending": time.time()}}))
    assert _login(anonymous, document["email"], PASSWORD).status_code == 200
    lost = {"email": document["email"]}
    site.run(accounts.update_one(lost, {"$set": {"pending": time.time() - 1000, "reference": "Patient/gone"}}))
    assert _login(anonymous, document["email"], PASSWORD).status_code == 401
    again = anonymous.post("/patient/register", json=document)
    assert again.status_code == 201, again.text


def test_nobody_chooses_their_role(site: RunningSite, anonymous: httpx.Client, patient: Person, staff: Person) -> None:
    """What a document must not hold is refused, whoever sends it, and nothing is stored."""
    for name, value in (
        ("role", "staff"),
        ("type", "staff"),
        ("passwordHash", "x"),
        ("password_hash", "x"),
        ("isVerified", True),
        ("epoch", 7),
        ("__proto__", {}),
        ("_id", "0" * 24),
        ("patientId", "x"),
        ("rights", ["records:amend"]),
        ("second_factor", None),
        ("$set", {"role": "staff"}),
        ("a.b", 1),
    ):
        refused = anonymous.post("/patient/register", json={**patient_document(), name: value})
        assert refused.status_code in {400, 429}, name
        assert patient.http.put(f"/patient/{patient.id}", json={name: value}).status_code == 400
        assert staff.http.post("/patient", json={**patient_document(), name: value}).status_code == 400, name
        assert staff.http.post("/staff", json={**staff_document(), name: value}).status_code == 400
    other = patient.http.put(f"/patient/{patient.id}", json={"_id": "another", "phone": "+20 7"})
    assert other.status_code == 400
    assert site.run(site.opened.accounts.by_email(patient.email)).role == "patient"
