"""Detached signatures over manifests: good under the signer's key for the bytes that were signed, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from joserfc import jwt

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.keys import ALGORITHM, SiteKeys
from hayat_fhir.security.manifests import check, sign
from hayat_fhir.security.tokens import issue_access, verify_access

MANIFEST = b'{"instances":[]}' + b" " * 3_000_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SiteKeys:
    """The signer's."""
    return SiteKeys.load_or_create(tmp_path_factory.mktemp("keys") / "keys")


def test_a_signature_is_good(keys: SiteKeys) -> None:
    """Of a large manifest too; the payload does not stand in it."""
    signature = sign(keys, MANIFEST)
    assert signature.split(".")[1] == ""
    check(signature, MANIFEST, keys.public_jwks())


def test_anything_else_is_not(keys: SiteKeys, tmp_path: Path) -> None:
    """Other bytes, other keys, a cut or attached signature, another algorithm, and none at all."""
    signature = sign(keys, MANIFEST)
    others = SiteKeys.load_or_create(tmp_path / "others")
    none = "eyJhbGciOiJub25lIn0.."
    cases = [
        (signature, MANIFEST + b" ", keys.public_jwks()),
        (signature, MANIFEST, others.public_jwks()),
        (signature, MANIFEST, {}),
        (signature[:-4], MANIFEST, keys.public_jwks()),
        (signature.replace("..", ".e30."), MANIFEST, keys.public_jwks()),
        (none, MANIFEST, keys.public_jwks()),
        ("", MANIFEST, keys.public_jwks()),
        ("x" * 100_000, MANIFEST, keys.public_jwks()),
    ]
    for one, manifest, public in cases:
        with pytest.raises(Unauthenticated):
            check(one, manifest, public)


def test_signatures_and_tokens_are_not_one_another(keys: SiteKeys) -> None:
    """A token's signature vouches for no manifest, and a signed manifest is no token."""
    issuer = "https://site.example"
    token = issue_access(keys, issuer=issuer, subject="s", role="doctor", scopes=())
    begin, _, end = token.split(".")
    payload = jwt.decode(token, keys.verifying, algorithms=[ALGORITHM]).claims
    assert payload
    with pytest.raises(Unauthenticated):
        check(f"{begin}..{end}", b"{}", keys.public_jwks())
    forged = sign(keys, b"{}").replace("..", ".e30.")
    with pytest.raises(Unauthenticated):
        verify_access(forged, keys, issuer=issuer)
