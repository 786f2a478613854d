"""Client assertions of partners: SMART Backend Services to the letter, whatever key they come with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.client_assertions import ClientAssertion, claimed_client, verify_assertion
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.tokens import issue_access

from .compact import hs256, part, signed

ENDPOINT = "https://site.example/oauth/token"
CLIENT = "https://partner.example/fhir"
URL = "https://partner.example/jwks.json"
NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {"iss": CLIENT, "sub": CLIENT, "aud": ENDPOINT, "exp": NOW + 300, "jti": "one"}
EC = ECKey.generate_key("P-384", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)


def public(key: ECKey | RSAKey, **changes: Any) -> dict[str, Any]:
    """The public half, with changes; None takes away."""
    return {name: value for name, value in {**key.as_dict(private=False), **changes}.items() if value is not None}


def assertion(key: ECKey | RSAKey = EC, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """An assertion with changes; None takes away."""
    good = {"alg": "ES384" if isinstance(key, ECKey) else "RS384", "kid": key.kid, "typ": "JWT"}
    whole = {name: value for name, value in {**good, **(header or {})}.items() if value is not None}
    return signed(whole, {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}, key)


def checked(text: str, *rows: Any, url: str | None = URL) -> ClientAssertion:
    """The assertion, as the token endpoint takes it."""
    jwks = {"keys": list(rows) or [public(EC), public(RSA)]}
    return verify_assertion(text, jwks, client_id=CLIENT, token_endpoint=ENDPOINT, jwks_url=url, now=NOW)


@pytest.mark.parametrize("key", [EC, RSA])
def test_both_algorithms_sign_in(key: ECKey | RSAKey) -> None:
    """Five minutes to the second, issued or not issued now; the answer is what makes it unique."""
    for text in (
        assertion(key),
        assertion(key, iat=NOW),
        assertion(key, {"typ": None}),
        assertion(key, aud=[ENDPOINT]),
    ):
        assert checked(text) == ClientAssertion(CLIENT, "one", NOW + 300)
        assert claimed_client(text) == CLIENT


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": NOW + 301},
        {"exp": NOW - 31},
        {"exp": NOW + 300, "iat": NOW - 1},
        {"exp": NOW + 331, "iat": NOW + 31},
        {"exp": 1e308},
        {"exp": NOW + 10.5},
        {"exp": str(NOW + 10)},
        {"exp": None},
        {"iat": NOW + 31},
        {"nbf": NOW + 31},
        {"iss": "https://another.example"},
        {"sub": "https://another.example"},
        {"iss": None},
        {"sub": None},
        {"aud": None},
        {"aud": "https://site.example/oauth/token/"},
        {"aud": "https://site.example"},
        {"aud": "https://SITE.example/oauth/token"},
        {"aud": [ENDPOINT, "https://evil.example"]},
        {"aud": []},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
        {"jti": 7},
        {"jti": ["one"]},
    ],
)
@pytest.mark.parametrize("key", [EC, RSA])
def test_other_claims_are_refused(key: ECKey | RSAKey, claims: dict[str, Any]) -> None:
    """A second too long, another audience, no name, and the rest."""
    with pytest.raises(Unauthenticated):
        checked(assertion(key, **claims))


@pytest.mark.parametrize(
    "jku",
    [
        "https://evil.example/jwks.json",
        "https://partner.example/jwks.json.evil.example",
        "https://partner.example/jwks.json?x",
        "https://partner.example@evil.example/jwks.json",
        "https://user@partner.example/jwks.json",
        "https://partner.example:443/jwks.json",
        "https://PARTNER.example/jwks.json",
        "https://partner.example/jwks.json/",
        "http://partner.example/jwks.json",
        "",
        7,
        [URL],
    ],
)
def test_a_key_url_is_the_registered_one(jku: Any) -> None:
    """Equal to the letter; there is nobody here who could fetch another."""
    assert checked(assertion(header={"jku": URL})).jti == "one"
    with pytest.raises(Unauthenticated):
        checked(assertion(header={"jku": jku}))


def test_without_a_registered_url_there_is_no_key_url() -> None:
    """A partner with inline keys names none."""
    for jku in (URL, "None"):
        with pytest.raises(Unauthenticated):
            checked(assertion(header={"jku": jku}), url=None)


@pytest.mark.parametrize("header", [{"kid": None}, {"kid": "another"}, {"x5c": []}, {"jwk": {}}, {"crit": ["x"]}])
def test_other_headers_are_refused(header: dict[str, Any]) -> None:
    """Keys come from the registration, by name."""
    with pytest.raises(Unauthenticated):
        checked(assertion(header=header))


def test_name_and_kind_select_exactly_one_key() -> None:
    """Two keys of one name and kind are none; of one name and two kinds they are two."""
    text = assertion(header={"kid": "k"})
    other = ECKey.generate_key("P-384")
    assert checked(text, public(EC, kid="k"), public(RSA, kid="k")).jti == "one"
    with pytest.raises(Unauthenticated):
        checked(text, public(EC, kid="k"), public(other, kid="k"))
    with pytest.raises(Unauthenticated):
        checked(text, public(RSA, kid="k"))


@pytest.mark.parametrize(
    "row",
    [
        public(EC, use="enc"),
        public(EC, alg="ES256"),
        public(EC, alg="RS384"),
        public(EC, key_ops=["encrypt"]),
        public(EC, key_ops="verify"),
        public(EC, kid=None),
        public(EC, crv="P-256"),
        public(EC, x="AAAA"),
        public(EC, x=7),
        public(EC, kty="oct", k="AAAA"),
        public(EC, kty=["EC"]),
        {},
        None,
        "x",
    ],
)
def test_an_unfit_key_signs_nothing(row: Any) -> None:
    """For another use or algorithm, without a name, malformed: left out, and it spoils no other key."""
    with pytest.raises(Unauthenticated):
        checked(assertion(), row)
    assert checked(assertion(RSA), row, public(RSA)).jti == "one"


def test_a_weak_key_signs_nothing() -> None:
    """RSA below 2048 bits, an exponent's worth of modulus, an endless one."""
    for n in ("AQAB", part(bytes([255]) * 128), "_" * 100_000):
        with pytest.raises(Unauthenticated):
            checked(assertion(RSA), public(RSA, n=n))


def test_a_shared_secret_signs_nothing() -> None:
    """A secret in the key set, and the public keys as one."""
    secret = OctKey.import_key("s" * 32)
    row = {**secret.as_dict(private=True), "kid": "s"}
    for algorithm in ("HS256", "ES384", "none"):
        text = hs256({"alg": algorithm, "kid": "s"}, CLAIMS, b"s" * 32)
        with pytest.raises(Unauthenticated):
            checked(text, row, public(EC))


def test_rs256_is_not_offered() -> None:
    """Only the two algorithms that SMART names."""
    with pytest.raises(Unauthenticated):
        checked(assertion(RSA, {"alg": "RS256"}))


@pytest.mark.parametrize(
    "jwks", [{}, {"keys": None}, {"keys": {}}, {"keys": [public(EC)] * 51}, {"keys": [{}] * 10_000}]
)
def test_a_key_set_is_bounded(jwks: dict[str, Any]) -> None:
    """No list of keys, or ten thousand of them."""
    with pytest.raises(Unauthenticated):
        verify_assertion(assertion(), jwks, client_id=CLIENT, token_endpoint=ENDPOINT, now=NOW)


def test_another_partners_key_signs_nothing() -> None:
    """A good assertion of one partner, checked as another's."""
    with pytest.raises(Unauthenticated):
        verify_assertion(assertion(), {"keys": [public(EC)]}, client_id="x", token_endpoint=ENDPOINT, now=NOW)
    with pytest.raises(Unauthenticated):
        checked(assertion(ECKey.generate_key("P-384", {"kid": str(EC.kid)})))


def test_an_access_token_is_no_assertion(keys: SiteKeys) -> None:
    """Not even where the site were registered as its own client."""
    token = issue_access(keys, issuer=CLIENT, subject=CLIENT, role="partner", scopes=[], now=NOW)
    with pytest.raises(Unauthenticated):
        verify_assertion(token, keys.public_jwks(), client_id=CLIENT, token_endpoint=CLIENT, now=NOW)


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"1", b"{", b"[" * 4000, {"iss": 1, "sub": 1}, {"iss": "", "sub": ""}, {"iss": "a"}, {"sub": "a"}],
)
def test_who_claims_to_be_nobody_is_refused(payload: Any) -> None:
    """Before any key is looked up."""
    with pytest.raises(Unauthenticated):
        claimed_client(f"{part({'alg': 'ES384'})}.{part(payload)}.AA")


@given(st.text(max_size=300))
def test_no_text_breaks_the_check(text: str) -> None:
    """Any text at all is answered by a refusal."""
    with pytest.raises(Unauthenticated):
        claimed_client(text)
    with pytest.raises(Unauthenticated):
        checked(text)
