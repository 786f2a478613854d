"""Tokens, and everything that is not quite one."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from hayat_fhir.errors import ConfigurationError, Unauthenticated
from hayat_fhir.security.client_assertions import claimed_client, verify_assertion
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.tokens import ACCESS, issue_access, verify, verify_access

ISSUER = "https://site.example"
ENDPOINT = "https://site.example/oauth/token"
CLIENT = "https://partner.example/fhir"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SiteKeys:
    """A site's keys."""
    return SiteKeys.load_or_create(tmp_path_factory.mktemp("secrets"))


def claims(**changes: Any) -> dict[str, Any]:
    """Good claims of an access token, with changes; None takes a claim away."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "a",
        "role": "doctor",
        "scope": "user/*.rs",
        "epoch": 0,
        "jti": "j",
        "iat": now,
        "exp": now + 60,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(keys: SiteKeys, content: dict[str, Any], **header: Any) -> str:
    """A token signed with the site's own key."""
    return jwt.encode(
        {"alg": "ES384", "typ": "at+jwt", "kid": keys.signing.kid, **header}, content, keys.signing, ["ES384"]
    )


def test_round_trip(keys: SiteKeys) -> None:
    """A token says what was put into it."""
    token = issue_access(keys, issuer=ISSUER, subject="s", role="doctor", scopes=["user/*.rs"], epoch=3)
    found = verify_access(token, keys, issuer=ISSUER)
    assert (found.subject, found.role, found.scopes, found.epoch) == ("s", "doctor", frozenset({"user/*.rs"}), 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": lambda now: now - 31},
        {"exp": None},
        {"exp": lambda now: str(now + 60)},
        {"exp": lambda now: now + 60.5},
        {"exp": 10**30},
        {"exp": lambda now: now + 10 * 24 * 3600},
        {"nbf": lambda now: now + 40},
        {"iat": lambda now: now + 40},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "https://evil.example"},
        {"aud": [ISSUER, "https://evil.example"]},
        {"sub": None},
        {"role": 7},
        {"epoch": "0"},
        {"epoch": True},
        {"jti": None},
    ],
)
def test_wrong_claims(keys: SiteKeys, changes: dict[str, Any]) -> None:
    """A signature alone is not enough; times are counted from the moment of the test."""
    now = int(time.time())
    wrong = {name: value(now) if callable(value) else value for name, value in changes.items()}
    with pytest.raises(Unauthenticated):
        verify_access(signed(keys, claims(**wrong)), keys, issuer=ISSUER)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"kid": "other"},
        {"kid": "../../dev/null"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/cert"},
        {"crit": ["x"], "x": 1},
    ],
)
def test_wrong_headers(keys: SiteKeys, header: dict[str, Any]) -> None:
    """Keys are chosen from what is configured, never from what a header says."""
    encoded = (
        urlsafe_b64encode(json.dumps({"alg": "ES384", "typ": "at+jwt", "kid": keys.signing.kid, **header}).encode())
        .decode()
        .rstrip("=")
    )
    _, body, signature = signed(keys, claims()).split(".")
    with pytest.raises(Unauthenticated):
        verify_access(f"{encoded}.{body}.{signature}", keys, issuer=ISSUER)


@pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", "HS256", "ES256", ""])
def test_wrong_algorithms(keys: SiteKeys, algorithm: str) -> None:
    """Neither no signature nor another kind of key."""
    header = {"alg": algorithm, "typ": "at+jwt", "kid": keys.signing.kid}
    encoded = urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    body = urlsafe_b64encode(json.dumps(claims()).encode()).decode().rstrip("=")
    for signature in ("", "AAAA"):
        with pytest.raises(Unauthenticated):
            verify_access(f"{encoded}.{body}.{signature}", keys, issuer=ISSUER)


def test_public_key_as_secret(keys: SiteKeys) -> None:
    """The public key is no shared secret."""
    secret = OctKey.import_key(json.dumps(keys.public_jwks()["keys"][0]))
    token = jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": keys.signing.kid}, claims(), secret)
    with pytest.raises(Unauthenticated):
        verify_access(token, keys, issuer=ISSUER)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d.e", "x" * 2**20, "é.b.c", "....", "e30=.e30=.AA=="])
def test_rubbish(keys: SiteKeys, token: str) -> None:
    """Rubbish is refused at once."""
    with pytest.raises(Unauthenticated):
        verify(token, ACCESS, keys.verifying, issuer=ISSUER, audience=ISSUER)


def test_rotation(tmp_path: Path) -> None:
    """A new key signs; tokens of the old one are good until it drops out."""
    old = SiteKeys.load_or_create(tmp_path)
    token, kid = issue_access(old, issuer=ISSUER, subject="s", role="doctor", scopes=[]), old.signing.kid
    SiteKeys.rotate(tmp_path)
    new = SiteKeys.load_or_create(tmp_path)
    assert verify_access(token, new, issuer=ISSUER).subject == "s"
    assert kid != new.signing.kid == old.signing.kid
    assert new.secret("x") == old.secret("x") != old.secret("y")


def test_key_file_is_private(tmp_path: Path) -> None:
    """A key file that others can read is not used."""
    SiteKeys.load_or_create(tmp_path)
    path = tmp_path / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigurationError):
        SiteKeys.load_or_create(tmp_path)


@pytest.fixture(scope="module", params=["EC", "RSA"])
def client_key(request: pytest.FixtureRequest) -> ECKey | RSAKey:
    """A partner's private key, of both kinds that SMART names."""
    if request.param == "EC":
        return ECKey.generate_key("P-384", auto_kid=True)
    return RSAKey.generate_key(2048, auto_kid=True)


def assertion(key: ECKey | RSAKey, changes: dict[str, Any] | None = None, **header: Any) -> str:
    """A client assertion with changes; a timedelta is from now."""
    now = int(time.time())
    good = {"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "iat": now, "exp": now + 240, "jti": "j1"}
    content = {
        name: now + int(value.total_seconds()) if isinstance(value, timedelta) else value
        for name, value in {**good, **(changes or {})}.items()
        if value is not None
    }
    algorithm = header.pop("alg", "ES384" if key.key_type == "EC" else "RS384")
    return jwt.encode({"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}, content, key, [algorithm])


def test_client_assertion(client_key: ECKey | RSAKey) -> None:
    """RS384 and ES384 are accepted, and say who it is."""
    token = assertion(client_key)
    jwks = {"keys": [client_key.as_dict(private=False)]}
    assert claimed_client(token) == CLIENT
    assert verify_assertion(token, jwks, client_id=CLIENT, token_endpoint=ENDPOINT).jti == "j1"


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"exp": timedelta(seconds=400)}, {}),
        ({"exp": None}, {}),
        ({"exp": timedelta(seconds=-40)}, {}),
        ({"iat": timedelta(seconds=100)}, {}),
        ({"sub": "https://other.example"}, {}),
        ({"iss": "https://other.example"}, {}),
        ({"aud": "https://other.example/oauth/token"}, {}),
        ({"aud": [ENDPOINT, "https://evil.example"]}, {}),
        ({"jti": None}, {}),
        ({"jti": ""}, {}),
        ({}, {"kid": "another"}),
        ({}, {"jku": "https://evil.example/jwks"}),
        ({}, {"jku": "https://partner.example/jwks.json.evil.example"}),
    ],
)
def test_wrong_client_assertions(client_key: ECKey | RSAKey, changes: dict[str, Any], header: dict[str, Any]) -> None:
    """What SMART Backend Services does not allow is refused."""
    jwks = {"keys": [client_key.as_dict(private=False)]}
    with pytest.raises(Unauthenticated):
        verify_assertion(
            assertion(client_key, changes, **header),
            jwks,
            client_id=CLIENT,
            token_endpoint=ENDPOINT,
            jwks_url="https://partner.example/jwks.json",
        )


def test_rs256_is_refused() -> None:
    """Only the two algorithms that SMART names."""
    key = RSAKey.generate_key(2048, auto_kid=True)
    with pytest.raises(Unauthenticated):
        verify_assertion(
            assertion(key, alg="RS256"),
            {"keys": [key.as_dict(private=False)]},
            client_id=CLIENT,
            token_endpoint=ENDPOINT,
        )
