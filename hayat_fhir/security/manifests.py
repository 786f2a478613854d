"""Signatures over manifests: what a site vouches for when it sends records with images.

A signature is a JWS in compact form with its payload left out (RFC 7515 appendix F): the payload is the manifest, which
travels beside it. Only the one algorithm of the site's keys is taken, and keys only from whoever is registered.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.client_assertions import key_set
from hayat_fhir.security.keys import ALGORITHM, SiteKeys

TYPE = "hayat-manifest+jws"
_LONGEST = 4096
_LARGEST = 16 * 2**20
"""Bytes of a manifest."""


def sign(keys: SiteKeys, manifest: bytes) -> str:
    """The detached signature of this site."""
    signing = keys.signing
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": signing.kid}
    begin, _, end = jws.serialize_compact(header, manifest, signing, registry=_registry()).split(".")
    return f"{begin}..{end}"


def check(signature: str, manifest: bytes, keys: Mapping[str, Any]) -> None:
    """Return if the signature is of this manifest, by one of these public keys (a JSON Web Key Set).

    Raises:
        Unauthenticated: It is not.
    """
    begin, _, end = signature.partition("..")
    if len(signature) > _LONGEST or not begin or not end:
        raise Unauthenticated("not a detached signature")
    payload = urlsafe_b64encode(manifest).rstrip(b"=").decode()
    try:
        found = jws.deserialize_compact(f"{begin}.{payload}.{end}", key_set(keys), registry=_registry())
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise Unauthenticated("the signature is not valid") from error
    if found.headers().get("typ") != TYPE:
        raise Unauthenticated("the signature is of something else")


def _registry() -> JWSRegistry:
    """One algorithm, and room for a manifest."""
    registry = JWSRegistry(algorithms=[ALGORITHM])
    registry.max_payload_length = 2 * _LARGEST
    return registry
