"""Tokens as an attacker builds them: any header, any payload, any signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from joserfc.jwk import ECKey, RSAKey

_HALF = 48


def part(value: Any) -> str:
    """One part of a compact token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).decode().rstrip("=")


def opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and claims of a token."""
    header, payload, _ = (urlsafe_b64decode(segment + "==") for segment in token.split("."))
    return json.loads(header), json.loads(payload)


def signed(header: Any, payload: Any, key: ECKey | RSAKey) -> str:
    """A token with a good signature by this key over anything; RS256 where the header says so, else SHA-384."""
    text = f"{part(header)}.{part(payload)}".encode()
    private = key.private_key
    if isinstance(private, rsa.RSAPrivateKey):
        digest = SHA256() if isinstance(header, dict) and header.get("alg") == "RS256" else SHA384()
        signature = private.sign(text, padding.PKCS1v15(), digest)
    else:
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(private.sign(text, ec.ECDSA(SHA384())))
        signature = r.to_bytes(_HALF) + s.to_bytes(_HALF)
    return f"{text.decode()}.{part(signature)}"


def hs256(header: Any, payload: Any, secret: bytes) -> str:
    """A token signed with a shared secret."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"
