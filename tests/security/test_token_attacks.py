"""Access tokens against everything that is tried on tokens (RFC 8725)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, RSAKey

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.callers import Role
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.tokens import AccessToken, issue_access, verify_access

from .compact import hs256, opened, part, signed

ISSUER = "https://site.example"
NOW = 1_800_000_000

Forge = Callable[[dict[str, Any], dict[str, Any], SiteKeys], str]


def issued(keys: SiteKeys, **changes: Any) -> str:
    """A good token, issued at NOW."""
    arguments: dict[str, Any] = {
        "issuer": ISSUER,
        "subject": "someone",
        "role": "doctor",
        "scopes": ["user/*.cruds"],
        "epoch": 3,
        "now": NOW,
    }
    return issue_access(keys, **(arguments | changes))


def verified(token: str, keys: SiteKeys, now: float = NOW) -> AccessToken:
    """The token, as the site takes it."""
    return verify_access(token, keys, issuer=ISSUER, now=now)


def resigned(keys: SiteKeys, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A good token with another header or other claims (None: without), signed by the site's own key."""
    good_header, good_claims = opened(issued(keys))
    new_header = {name: value for name, value in {**good_header, **(header or {})}.items() if value is not None}
    new_claims = {name: value for name, value in {**good_claims, **claims}.items() if value is not None}
    return signed(new_header, new_claims, keys.signing)


def test_a_token_says_what_was_issued(keys: SiteKeys) -> None:
    """Subject, role, scopes, epoch, a name of its own, and its end."""
    one, other = verified(issued(keys), keys), verified(issued(keys), keys)
    assert (one.subject, one.role, one.scopes, one.epoch) == ("someone", "doctor", frozenset({"user/*.cruds"}), 3)
    assert one.expires == NOW + 300
    assert one.jti != other.jti
    assert verified(resigned(keys), keys).subject == "someone"


def test_extra_claims_replace_nothing(keys: SiteKeys) -> None:
    """What is added to a token cannot make it somebody else's."""
    token = verified(issued(keys, extra={"sub": "another", "role": "site", "exp": NOW * 2, "purpose": "test"}), keys)
    assert (token.subject, token.role, token.expires) == ("someone", "doctor", NOW + 300)


@pytest.mark.parametrize("changes", [{"role": "site"}, {"role": "admin"}, {"ttl": 0}, {"ttl": 90_000}])
def test_some_tokens_are_never_issued(keys: SiteKeys, changes: dict[str, Any]) -> None:
    """The site's own role, an unknown one, no life, a long one."""
    with pytest.raises(ValueError, match="no such"):
        issued(keys, **changes)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", " none", None, 0, ["ES384"], {"a": 1}])
def test_no_algorithm_no_token(keys: SiteKeys, algorithm: Any) -> None:
    """Every spelling of none, with and without a signature."""
    header, claims = opened(issued(keys))
    header["alg"] = algorithm
    text = f"{part(header)}.{part(claims)}"
    for token in (f"{text}.", text, f"{text}.AA", signed(header, claims, keys.signing)):
        with pytest.raises(Unauthenticated):
            verified(token, keys)


def test_the_public_key_is_no_secret(keys: SiteKeys) -> None:
    """HS256 with the public key as PEM, DER or JWK."""
    header, claims = opened(issued(keys))
    public = keys.signing.public_key
    secrets = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        json.dumps(keys.public_jwks()["keys"][0]).encode(),
        json.dumps(keys.public_jwks()).encode(),
        b"",
    ]
    for secret in secrets:
        for algorithm in ("HS256", "HS384", "ES384"):
            with pytest.raises(Unauthenticated):
                verified(hs256({**header, "alg": algorithm}, claims, secret), keys)


@pytest.mark.parametrize(
    "kid", [None, "", "../../dev/null", "' OR 1=1 --", {"$ne": ""}, ["x"], 0, True, "0", "\u0000", "x" * 300]
)
def test_a_key_is_chosen_by_its_exact_id(keys: SiteKeys, kid: Any) -> None:
    """Paths, queries, missing and other ids choose no key, good signature or not."""
    with pytest.raises(Unauthenticated):
        verified(resigned(keys, {"kid": kid}), keys)


@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AA=="]},
        {"crit": ["x"], "x": 1},
        {"crit": ["b64"], "b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"typ": "JWT"},
        {"typ": None},
        {"typ": ["at+jwt"]},
        {"cty": "JWT"},
    ],
)
def test_other_headers_are_refused(keys: SiteKeys, header: dict[str, Any]) -> None:
    """Nothing in a header names keys, extensions or another kind of token, even under a good signature."""
    with pytest.raises(Unauthenticated):
        verified(resigned(keys, header), keys)


def test_a_key_in_the_header_is_not_used(keys: SiteKeys) -> None:
    """The attacker's own key, sent along as jwk, under any kid."""
    attacker = ECKey.generate_key("P-384", auto_kid=True)
    header, claims = opened(issued(keys))
    for kid in (header["kid"], attacker.kid):
        forged = signed({**header, "kid": kid, "jwk": attacker.as_dict(private=False)}, claims, attacker)
        with pytest.raises(Unauthenticated):
            verified(forged, keys)
        with pytest.raises(Unauthenticated):
            verified(signed({**header, "kid": kid}, claims, attacker), keys)


def test_another_algorithm_is_refused(keys: SiteKeys) -> None:
    """RS384 and RS256 are not what this site signs with."""
    attacker = RSAKey.generate_key(2048)
    header, claims = opened(issued(keys))
    for algorithm in ("RS384", "RS256", "PS384", "ES256"):
        with pytest.raises(Unauthenticated):
            verified(signed({**header, "alg": algorithm}, claims, attacker), keys)


def test_no_part_can_be_changed(keys: SiteKeys) -> None:
    """Another role under the old signature; a broken signature; an empty one; a negated one."""
    header, payload, signature = issued(keys).split(".")
    _, claims = opened(issued(keys))
    for token in (
        f"{header}.{part({**claims, 'role': 'staff'})}.{signature}",
        f"{header}.{payload}.{part(bytes(96))}",
        f"{header}.{payload}.{signature[:-4]}",
        f"{header}.{payload}.",
        f"{header}..{signature}",
        f".{payload}.{signature}",
    ):
        with pytest.raises(Unauthenticated):
            verified(token, keys)


def test_there_is_one_spelling(keys: SiteKeys) -> None:
    """Padding, white space, line ends, the other alphabet, two signatures, JSON serialisation."""
    token = issued(keys)
    header, payload, signature = token.split(".")
    general = {"payload": payload, "signatures": [{"protected": header, "signature": signature}] * 2}
    flat = {"payload": payload, "protected": header, "signature": signature}
    for other in (
        f"{token}=",
        f"{token}==",
        f"{header}=.{payload}.{signature}",
        f" {token}",
        f"{token}\n",
        f"{header}\n.{payload}.{signature}",
        f"{header[:5]} {header[5:]}.{payload}.{signature}",
        f"{token}.{signature}",
        f"{token},{token}",
        f"Bearer {token}",
        token.replace(".", "。"),
        f"{token}+/",
        json.dumps(general),
        json.dumps(flat),
    ):
        with pytest.raises(Unauthenticated):
            verified(other, keys)


def test_an_encrypted_token_costs_nothing(keys: SiteKeys) -> None:
    """PBES2 with two billion iterations, and a well-formed JWE: refused at once."""
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31, "p2s": "AAAA"}
    bomb = ".".join([part(header), *(part(b"x" * 16) for _ in range(4))])
    real = jwe.encrypt_compact({"alg": "dir", "enc": "A128GCM"}, b"{}", OctKey.generate_key(128))
    started = time.perf_counter()
    for token in (bomb, real):
        with pytest.raises(Unauthenticated):
            verified(token, keys)
    assert time.perf_counter() - started < 1


def test_a_large_token_costs_nothing(keys: SiteKeys) -> None:
    """A megabyte of it, of dots, of nesting, of digits."""
    header, payload, signature = issued(keys).split(".")
    nested = b'{"alg":' + b"[" * 350
    started = time.perf_counter()
    for token in (
        "a" * 1_000_000,
        "." * 1_000_000,
        f"{header}.{'A' * 1_000_000}.{signature}",
        f"{part(b'[' * 4000)}.{payload}.{signature}",
        f"{part(b'[' * 370)}.{payload}.{signature}",
        f"{part(nested)}.{payload}.{signature}",
        f"{part(b'1' * 370)}.{payload}.{signature}",
    ):
        with pytest.raises(Unauthenticated):
            verified(token, keys)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize(
    "payload", [b"[" * 3000, b"1" * 4400, b'"text"', b"null", b"\xff", b"{", b'{"exp":NaN}', b"{}"]
)
def test_a_signed_payload_need_not_be_claims(keys: SiteKeys, payload: bytes) -> None:
    """Deep nesting, long numbers and other JSON under a good signature are refused, not broken on."""
    header, _ = opened(issued(keys))
    with pytest.raises(Unauthenticated):
        verified(signed(header, payload, keys.signing), keys)


@pytest.mark.parametrize("header", [["alg"], "xxalgxx", 1, None, b"{", b"\xff", b"", b'{"alg":"ES384"'])
def test_a_header_need_not_be_one(keys: SiteKeys, header: Any) -> None:
    """Other JSON, and none, in the header's place."""
    with pytest.raises(Unauthenticated):
        verified(signed(header, opened(issued(keys))[1], keys.signing), keys)


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": NOW - 29}, True),
        ({"exp": NOW - 31}, False),
        ({"exp": None}, False),
        ({"exp": str(NOW + 300)}, False),
        ({"exp": NOW + 300.0}, False),
        ({"exp": 1e308}, False),
        ({"exp": True}, False),
        ({"exp": [NOW + 300]}, False),
        ({"exp": -1}, False),
        ({"exp": 2**70}, False),
        ({"exp": NOW + 86_400, "iat": NOW}, True),
        ({"exp": NOW + 86_401, "iat": NOW + 10}, False),
        ({"exp": NOW + 10, "iat": NOW - 86_400}, False),
        ({"nbf": NOW + 29}, True),
        ({"nbf": NOW + 31}, False),
        ({"nbf": "0"}, False),
        ({"iat": NOW + 29}, True),
        ({"iat": NOW + 31}, False),
        ({"iat": float(NOW)}, False),
        ({"iss": "https://site.example/"}, False),
        ({"iss": [ISSUER]}, False),
        ({"iss": None}, False),
        ({"aud": "https://evil.example"}, False),
        ({"aud": [ISSUER]}, True),
        ({"aud": [ISSUER, "https://evil.example"]}, False),
        ({"aud": {"x": ISSUER}}, False),
        ({"aud": None}, False),
        ({"sub": None}, False),
        ({"sub": ""}, False),
        ({"sub": {"$ne": ""}}, False),
        ({"role": "site"}, False),
        ({"role": "root"}, False),
        ({"role": None}, False),
        ({"role": ["doctor"]}, False),
        ({"scope": None}, False),
        ({"scope": ["user/*.cruds"]}, False),
        ({"epoch": None}, False),
        ({"epoch": "3"}, False),
        ({"epoch": True}, False),
        ({"jti": None}, False),
        ({"jti": ""}, False),
    ],
)
def test_claims_are_taken_literally(keys: SiteKeys, claims: dict[str, Any], good: bool) -> None:
    """Times are whole numbers within half a minute; issuer, audience, role and the rest are what they must be."""
    token = resigned(keys, **claims)
    if good:
        assert verified(token, keys).subject == "someone"
    else:
        with pytest.raises(Unauthenticated):
            verified(token, keys)


def test_explicit_nulls_are_no_times(keys: SiteKeys) -> None:
    """A claim that is there and null is not a claim that is missing."""
    header, claims = opened(issued(keys))
    for name in ("exp", "nbf", "iat"):
        with pytest.raises(Unauthenticated):
            verified(signed(header, {**claims, name: None}, keys.signing), keys)


def test_the_clock_is_todays_unless_given(keys: SiteKeys) -> None:
    """A token issued and verified without a time is good now."""
    token = issue_access(keys, issuer=ISSUER, subject="someone", role="staff", scopes=[])
    assert verify_access(token, keys, issuer=ISSUER).expires == pytest.approx(time.time() + 300, abs=5)
    with pytest.raises(Unauthenticated):
        verify_access(issued(keys, now=NOW - 10**8), keys, issuer=ISSUER)


def test_another_kind_of_token_opens_nothing(keys: SiteKeys) -> None:
    """The site's own client assertion, and an identity token of the same key."""
    assertion = keys.client_assertion(ISSUER, ISSUER, now=NOW)
    identity = resigned(keys, {"typ": "JWT"}, nonce="x")
    for token in (assertion, identity):
        with pytest.raises(Unauthenticated):
            verified(token, keys)


def test_every_role_of_the_network_gets_a_token(keys: SiteKeys) -> None:
    """And only these."""
    for role in set(Role) - {Role.SITE}:
        assert verified(issued(keys, role=role), keys).role == role


def test_a_refusal_says_nothing(keys: SiteKeys) -> None:
    """Neither what was wrong nor anything of the token."""
    answers = set()
    for token in (resigned(keys, sub="canary", exp=1), issued(keys) + "A", "x.y.z"):
        with pytest.raises(Unauthenticated) as refused:
            verified(token, keys)
        answers.add(str(refused.value))
    assert len(answers) == 1
    assert "canary" not in answers.pop()


@given(st.text(max_size=400) | st.from_regex(r"\A[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\Z"))
def test_no_text_breaks_the_check(keys: SiteKeys, token: str) -> None:
    """Any text at all is answered by a refusal."""
    with pytest.raises(Unauthenticated):
        verified(token, keys)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), st.lists, max_leaves=5))
def test_no_header_value_breaks_the_check(keys: SiteKeys, value: Any) -> None:
    """Any value of any header member."""
    for name in ("alg", "kid", "typ"):
        with pytest.raises(Unauthenticated):
            verified(resigned(keys, {name: value if value is not None else 0}), keys)
