"""The token endpoint: SMART Backend Services from a partner's side."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from .clients import entry, patient, transaction
from .conftest import PartnerKeys, PatientClient

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Signer:
    """Signs assertions as the partner; any claim or header can be changed."""

    def __init__(self, keys: PartnerKeys, url: str) -> None:
        self._keys = keys
        self._url = url

    def form(
        self, *, key: ECKey | RSAKey | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> dict[str, str]:
        """A token request; a claim of None is left out."""
        now = int(time.time())
        all_claims = {
            "iss": self._keys.client_id,
            "sub": self._keys.client_id,
            "aud": f"{self._url}/oauth/token",
            "jti": uuid4().hex,
            "iat": now,
            "exp": now + 240,
            **claims,
        }
        head = {"alg": "ES384", "kid": self._keys.kid, "typ": "JWT", **(header or {})}
        body = {name: value for name, value in all_claims.items() if value is not None}
        token = jwt.encode(head, body, key or self._keys.key, algorithms=[head["alg"]])
        return {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION,
            "client_assertion": token,
            "scope": "system/*.rs",
        }


@pytest.fixture
def signer(partner_keys: PartnerKeys, site_url: str) -> Signer:
    """Signs as the registered partner."""
    return Signer(partner_keys, site_url)


async def test_an_assertion_becomes_a_token(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    """A bearer token of at most five minutes, with its scope, that opens the FHIR door."""
    answer = await anonymous.post("/oauth/token", data=signer.form())
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["token_type"].lower() == "bearer"
    assert 0 < body["expires_in"] <= 300
    assert body["scope"] == "system/*.rs"
    assert "refresh_token" not in body
    headers = {"Authorization": f"Bearer {body['access_token']}"}
    assert (await anonymous.get("/fhir/Patient", headers=headers)).status_code == 200
    assert (await anonymous.post("/fhir/Patient", json={}, headers=headers)).status_code in {400, 403}


async def test_an_assertion_counts_once(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    """Twenty parallel requests with one jti: exactly one token."""
    form = signer.form()
    answers = await asyncio.gather(*(anonymous.post("/oauth/token", data=form) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers)[:2] == [200, 400] or (
        sorted(answer.status_code for answer in answers)[:2] == [200, 401]
    )
    assert sum(answer.status_code == 200 for answer in answers) == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) + 3600},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"sub": "another"},
        {"iss": "another", "sub": "another"},
        {"aud": "https://evil.example/oauth/token"},
        {"aud": None},
        {"jti": None},
    ],
)
async def test_other_claims_are_refused(anonymous: httpx.AsyncClient, signer: Signer, claims: dict[str, Any]) -> None:
    """invalid_client, and no word about what was wrong that would help to guess."""
    answer = await anonymous.post("/oauth/token", data=signer.form(**claims))
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("header", [{"kid": "other"}, {"jku": "https://evil.example/jwks"}])
async def test_other_headers_are_refused(anonymous: httpx.AsyncClient, signer: Signer, header: dict[str, Any]) -> None:
    """An unknown key id, a key set of the attacker's."""
    answer = await anonymous.post("/oauth/token", data=signer.form(header=header))
    assert answer.status_code in {400, 401}
    assert answer.json()["error"] == "invalid_client"


async def test_another_key_or_algorithm_is_refused(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    """A signature of somebody else's key, and RS256."""
    for key, alg in ((ECKey.generate_key("P-384"), "ES384"), (RSAKey.generate_key(2048), "RS256")):
        answer = await anonymous.post("/oauth/token", data=signer.form(key=key, header={"alg": alg}))
        assert answer.status_code in {400, 401}
        assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "change",
    [
        {"grant_type": "password"},
        {"grant_type": ""},
        {"grant_type": "refresh_token", "refresh_token": "x"},
        {"grant_type": "authorization_code", "code": "x", "code_verifier": "y"},
        {"client_assertion_type": "x"},
        {"client_assertion": ""},
        {"client_assertion": "x" * 20_000},
        {"client_assertion": "a.b.c"},
        {"scope": ""},
        {"scope": "system/*.cruds user/*.* nonsense"},
    ],
)
async def test_other_requests_are_refused(anonymous: httpx.AsyncClient, signer: Signer, change: dict[str, str]) -> None:
    """OAuth's own error form; more scope than granted is at most reduced."""
    answer = await anonymous.post("/oauth/token", data={**signer.form(), **change})
    if answer.status_code == 200:
        assert "user/" not in answer.json()["scope"]
        assert "nonsense" not in answer.json()["scope"]
    else:
        assert answer.status_code in {400, 401}
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["error"].replace("_", "").isalpha()


async def test_the_form_is_bounded(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    """JSON, repeated parameters and a large form are refused; the query string does not count."""
    form = signer.form()
    assert (await anonymous.post("/oauth/token", json=form)).status_code == 400
    assert (await anonymous.post("/oauth/token", params=form)).status_code == 400
    assert (await anonymous.post("/oauth/token", data={**form, "scope": ["system/*.rs"] * 2})).status_code == 400
    large = await anonymous.post("/oauth/token", data={**form, "x": "x" * 70_000})
    assert large.status_code == 400
    assert large.json()["error"] == "invalid_request"
    assert (await anonymous.get("/oauth/token")).status_code == 405


async def test_reading_is_not_searching(
    anonymous: httpx.AsyncClient, signer: Signer, partner: httpx.AsyncClient
) -> None:
    """A token for reading by id searches nothing, and nothing of another type is there for it."""
    made = await partner.post("/", json=transaction(entry("POST", "Patient", patient())))
    location = made.json()["entry"][0]["response"]["location"].partition("/_history")[0]
    answer = await anonymous.post("/oauth/token", data={**signer.form(), "scope": "system/Patient.r"})
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    own = f"/fhir/Patient/{location.rpartition('/')[2]}"
    assert (await anonymous.get(own, headers=headers)).status_code == 200
    for path in ("/fhir/Patient", f"/fhir/Patient?_id={own.rpartition('/')[2]}", "/fhir/Observation/x"):
        assert (await anonymous.get(path, headers=headers)).status_code == 403
    assert (await anonymous.post("/fhir/Patient/_search", data={}, headers=headers)).status_code == 403
    assert (
        await anonymous.put(own, json={**patient(), "id": own.rpartition("/")[2]}, headers=headers)
    ).status_code == 403


async def test_a_context_is_not_asked_for(anonymous: httpx.AsyncClient, signer: Signer, one: PatientClient) -> None:
    """What a request adds about a patient gives no access to them; a token in a URL is none."""
    form = {**signer.form(), "patient": one.id, "launch": one.id}
    answer = await anonymous.post("/oauth/token", data=form)
    assert answer.status_code == 200
    assert "patient" not in answer.json()
    token = answer.json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert (await anonymous.get(f"/fhir/Patient/{one.id}", headers=headers)).status_code == 404
    assert (await anonymous.get(f"/fhir/Patient?access_token={token}")).status_code == 401


async def test_an_assertion_is_no_access_token(anonymous: httpx.AsyncClient, signer: Signer) -> None:
    """What signs in does not open the door."""
    headers = {"Authorization": f"Bearer {signer.form()['client_assertion']}"}
    assert (await anonymous.get("/fhir/Patient", headers=headers)).status_code == 401
