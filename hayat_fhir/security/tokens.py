"""Tokens: issued in one form, verified by one function, in named contexts.

Best current practice: RFC 8725, RFC 9068. Each context has its own issuer, audience, type and algorithms; what a
token's header says of keys or places to fetch them is never followed. Clocks may differ by ``LEEWAY``, but no token
may outlive its context's longest life.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.callers import Role
from hayat_fhir.security.keys import ALGORITHM, SiteKeys

LEEWAY = 30
"""Seconds by which clocks may differ."""

_LONGEST = 8192
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_HEADERS = frozenset({"alg", "typ", "kid"})
_LATEST = 2**40
_NETWORK_ROLES = frozenset(Role) - {Role.SITE}


@dataclass(frozen=True, slots=True)
class Context:
    """Where a token is used.

    ``types``: what ``typ`` may be (None: it may be missing). ``longest``: seconds that it may live, from its issue and
    from now on. ``headers``: all that may stand in its header.
    """

    types: frozenset[str | None]
    algorithms: tuple[str, ...]
    longest: int
    headers: frozenset[str] = _HEADERS


ACCESS = Context(frozenset({"at+jwt"}), (ALGORITHM,), 24 * 3600)
CLIENT_ASSERTION = Context(frozenset({"JWT", None}), ("RS384", "ES384"), 300, _HEADERS | {"jku"})


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency: for these patients (ids), each until a time, within a session (its ``jti``) that ends at a time."""

    patients: Mapping[str, float]
    session: str
    session_expires: float

    @property
    def claim(self) -> dict[str, Any]:
        """As it stands in a token."""
        return {"patients": dict(self.patients), "session": self.session, "until": self.session_expires}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified access token says.

    ``role`` is one that may come in over a network. ``expires``: seconds since 1970. ``epoch``: that of the holder's
    account when it was issued. ``emergency``: what it was given for, if it is no session's own.
    """

    subject: str
    role: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    epoch: int = 0
    jti: str = ""
    expires: float = 0.0
    emergency: Emergency | None = None


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
    now: float | None = None,
) -> str:
    """A signed access token of this site, for this site, good for ``ttl`` seconds from ``now``.

    Raises:
        ValueError: The role is the site's own, which nobody has over a network, or the life is too long.
    """
    if role not in _NETWORK_ROLES or not 0 < ttl <= ACCESS.longest:
        raise ValueError("no such access token")
    issued = int(time.time() if now is None else now)
    signing = keys.signing
    claims = {
        **(extra or {}),
        "iss": issuer,
        "aud": issuer,
        "sub": subject,
        "role": role,
        "scope": " ".join(sorted(scopes)),
        "epoch": epoch,
        "iat": issued,
        "exp": issued + ttl,
        "jti": token_urlsafe(18),
    }
    header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": signing.kid}
    return jwt.encode(header, claims, signing, algorithms=[ALGORITHM])


def verify_access(token: str, keys: SiteKeys, *, issuer: str, now: float | None = None) -> AccessToken:
    """What an access token of this site says; good to remember until ``expires``.

    Raises:
        Unauthenticated: It is not valid.
    """
    now = time.time() if now is None else now
    claims = verify(token, ACCESS, keys.verifying_at(now), issuer=issuer, audience=issuer, now=now)
    subject, role, scope = claims.get("sub"), claims.get("role"), claims.get("scope")
    epoch, jti = claims.get("epoch"), claims.get("jti")
    if not (isinstance(subject, str) and isinstance(role, str) and isinstance(scope, str) and isinstance(jti, str)):
        raise _invalid()
    if type(epoch) is not int or not subject or not jti or role not in _NETWORK_ROLES:
        raise _invalid()
    expires, emergency = float(claims["exp"]), _emergency(claims.get("emergency"))
    return AccessToken(subject, role, frozenset(scope.split()), epoch, jti, expires, emergency)


def _emergency(claim: object) -> Emergency | None:
    if claim is None:
        return None
    match claim:
        case {"patients": dict(patients), "session": str(session), "until": int() | float() as until}:
            if all(isinstance(limit, int | float) for limit in patients.values()):
                return Emergency({str(id): float(limit) for id, limit in patients.items()}, session, float(until))
    raise _invalid()


def verify(
    token: str, context: Context, keys: KeySet, *, issuer: str, audience: str, now: float | None = None
) -> dict[str, Any]:
    """The claims of a token that is valid in its context at ``now`` (seconds since 1970).

    Raises:
        Unauthenticated: Anything about it is wrong; the answer does not say what.
    """
    now = time.time() if now is None else now
    if len(token) > _LONGEST or _COMPACT.fullmatch(token) is None:
        raise _invalid()
    try:
        header = jws.extract_compact(token.encode()).headers()
        key = _key(header, context, keys)
        decoded = jwt.decode(token, key, algorithms=list(context.algorithms))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise _invalid() from error
    claims = decoded.claims
    if not isinstance(claims, dict) or claims.get("iss") != issuer or claims.get("aud") not in (audience, [audience]):
        raise _invalid()
    _check_times(claims, context, now)
    return claims


def _key(header: Mapping[str, Any], context: Context, keys: KeySet) -> Key:
    """The one key of this ``kid`` for this algorithm.

    Raises:
        Unauthenticated: There is no such key, or the header is not one of this context.
    """
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in context.algorithms or not context.headers.issuperset(header):
        raise _invalid()
    if header.get("typ") not in context.types or not isinstance(kid, str):
        raise _invalid()
    matching = [key for key in keys.keys if key.kid == kid and key.key_type == _KEY_TYPES[algorithm[:2]]]
    if len(matching) != 1:
        raise _invalid()
    return matching[0]


_KEY_TYPES = {"ES": "EC", "RS": "RSA"}


def _check_times(claims: Mapping[str, Any], context: Context, now: float) -> None:
    times = {name: claims.get(name) for name in ("exp", "nbf", "iat")}
    if any(type(value) is not int or not 0 < value < _LATEST for name, value in times.items() if name in claims):
        raise _invalid()
    expires, earliest, issued = times["exp"], times["nbf"], times["iat"]
    if expires is None or not now - LEEWAY < expires <= now + context.longest:
        raise _invalid()
    if earliest is not None and earliest > now + LEEWAY:
        raise _invalid()
    if issued is not None and not expires - context.longest <= issued <= now + LEEWAY:
        raise _invalid()


def _invalid() -> Unauthenticated:
    return Unauthenticated("the token is not valid")
