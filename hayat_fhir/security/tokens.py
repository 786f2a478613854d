"""Tokens: issued in one form, verified by one function, in named contexts.

Best current practice: RFC 8725, RFC 9068. Each context has its own issuer, audience, type and algorithms; what a
token's header says of keys or places to fetch them is never followed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.keys import ALGORITHM, SiteKeys

LEEWAY = 30
_LONGEST = 8192
_FORBIDDEN_HEADERS = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"})
_LATEST = 2**40


@dataclass(frozen=True, slots=True)
class Context:
    """Where a token is used: its ``typ`` (None: not looked at), algorithms, and the longest life ahead, in seconds."""

    typ: str | None
    algorithms: tuple[str, ...]
    longest: int
    headers: frozenset[str] = _FORBIDDEN_HEADERS


ACCESS = Context("at+jwt", (ALGORITHM,), 24 * 3600)
CLIENT_ASSERTION = Context(None, ("RS384", "ES384"), 300, _FORBIDDEN_HEADERS - {"jku"})


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified access token says. ``expires``: seconds since 1970; ``epoch``: of the holder's account."""

    subject: str
    role: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    epoch: int = 0
    jti: str = ""
    expires: float = 0.0


def issue_access(
    keys: SiteKeys,
    *,
    issuer: str,
    subject: str,
    role: str,
    scopes: Sequence[str],
    ttl: int = 300,
    epoch: int = 0,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """A signed access token of this site, for this site."""
    now = int(time.time())
    claims = {
        **(extra or {}),
        "iss": issuer,
        "aud": issuer,
        "sub": subject,
        "role": role,
        "scope": " ".join(sorted(scopes)),
        "epoch": epoch,
        "iat": now,
        "exp": now + ttl,
        "jti": token_urlsafe(18),
    }
    header = {"alg": ALGORITHM, "typ": ACCESS.typ, "kid": keys.signing.kid}
    return jwt.encode(header, claims, keys.signing, algorithms=[ALGORITHM])


def verify_access(token: str, keys: SiteKeys, *, issuer: str, now: float | None = None) -> AccessToken:
    """What an access token of this site says.

    Raises:
        Unauthenticated: It is not valid.
    """
    claims = verify(token, ACCESS, keys.verifying, issuer=issuer, audience=issuer, now=now)
    subject, role, scope = claims.get("sub"), claims.get("role"), claims.get("scope")
    epoch, jti = claims.get("epoch"), claims.get("jti")
    if not (isinstance(subject, str) and isinstance(role, str) and isinstance(scope, str) and isinstance(jti, str)):
        raise _invalid()
    if type(epoch) is not int:
        raise _invalid()
    return AccessToken(subject, role, frozenset(scope.split()), epoch, jti, float(claims["exp"]))


def verify(
    token: str, context: Context, keys: KeySet, *, issuer: str, audience: str, now: float | None = None
) -> dict[str, Any]:
    """The claims of a token that is valid in its context at ``now`` (seconds since 1970).

    Raises:
        Unauthenticated: Anything about it is wrong; the answer does not say what.
    """
    now = time.time() if now is None else now
    if len(token) > _LONGEST or token.count(".") != 2 or "=" in token or not token.isascii():
        raise _invalid()
    try:
        header = jws.extract_compact(token.encode()).headers()
        _check_header(header, context)
        matching = [key for key in keys.keys if key.kid == header.get("kid")]
        if len(matching) != 1 or matching[0].key_type != _key_type(header["alg"]):
            raise _invalid()
        decoded = jwt.decode(token, matching[0], algorithms=list(context.algorithms))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise _invalid() from error
    claims = dict(decoded.claims)
    if claims.get("iss") != issuer or claims.get("aud") not in (audience, [audience]):
        raise _invalid()
    _check_times(claims, context, now)
    return claims


def _check_header(header: Mapping[str, Any], context: Context) -> None:
    if header.get("alg") not in context.algorithms or context.headers & header.keys():
        raise _invalid()
    if context.typ is not None and header.get("typ") != context.typ:
        raise _invalid()
    if not isinstance(header.get("kid"), str):
        raise _invalid()


def _key_type(algorithm: str) -> str:
    return "EC" if algorithm.startswith("ES") else "RSA"


def _check_times(claims: Mapping[str, Any], context: Context, now: float) -> None:
    times = {name: claims.get(name) for name in ("exp", "nbf", "iat")}
    if any(type(value) is not int or not 0 < value < _LATEST for value in times.values() if value is not None):
        raise _invalid()
    expires, earliest, issued = times["exp"], times["nbf"], times["iat"]
    if expires is None or not now - LEEWAY < expires <= now + context.longest + LEEWAY:
        raise _invalid()
    if (earliest is not None and earliest > now + LEEWAY) or (issued is not None and issued > now + LEEWAY):
        raise _invalid()


def _invalid() -> Unauthenticated:
    return Unauthenticated("the token is not valid")
