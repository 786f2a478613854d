"""The site's own keys: what it signs tokens and client assertions with, and secrets derived for other uses.

One file in a directory of its own, both for their owner only. Several keys may stand in the file: the first signs,
all verify until their time is over, so that a key can be replaced while tokens of the old one are still good. Running
processes see a new key at once.

Client assertions are authlib's ``private_key_jwt``, told the five minutes that SMART allows where it would take an
hour. Its client session is not used: it would fetch the token by itself, past the limits that the door sets on what it
reads from a partner.
"""

from __future__ import annotations

import fcntl
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes
from typing import Any

import orjson
from authlib.oauth2.rfc7523.assertion import private_key_jwt_sign
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from hayat_fhir.errors import ConfigurationError

ALGORITHM = "ES384"
OVERLAP = 25 * 3600
"""Seconds that a replaced key goes on verifying: longer than any token lives."""

_FILE = "keys.json"
_CURVE = "P-384"
_ASSERTION_SECONDS = 240
_SECRET_BYTES = 32
_OTHERS = 0o077

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The file's content. ``until``: by key id, when (seconds since 1970) a replaced key ends."""

    keys: tuple[ECKey, ...]
    until: Mapping[str, float]
    master: bytes


class SiteKeys:
    """The keys of one site, as they stand in its key file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = _stamp(path)
        self._loaded = _load(path)

    @classmethod
    def load_or_create(cls, directory: Path) -> SiteKeys:
        """Read the keys in a directory, or make them there; several processes may do this at once.

        Raises:
            ConfigurationError: The directory or file is open to others, or is not a key file.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_private(directory)
        path = directory / _FILE
        if not path.exists():
            with _locked(directory):
                if not path.exists():
                    master = urlsafe_b64encode(token_bytes(_SECRET_BYTES)).decode()
                    _replace(path, {"keys": [_new_key()], "until": {}, "master": master})
        return cls(path)

    @staticmethod
    def rotate(directory: Path, *, now: float | None = None, overlap: float = OVERLAP) -> None:
        """Add a new key, which signs from now on; the old one goes on verifying for ``overlap`` seconds.

        An overlap of zero is for a key that has been stolen: its tokens end at once.

        Raises:
            ConfigurationError: There is no key file, or it is malformed.
        """
        now = time.time() if now is None else now
        path = directory / _FILE
        _check_private(directory)
        with _locked(directory):
            _load(path)
            content = orjson.loads(path.read_bytes())
            until: dict[str, float] = content.get("until", {})
            for key in content["keys"]:
                until[key["kid"]] = min(until.get(key["kid"], now + overlap), now + overlap)
            content["keys"] = [_new_key(), *(key for key in content["keys"] if until[key["kid"]] > now)]
            content["until"] = {key["kid"]: until[key["kid"]] for key in content["keys"][1:]}
            _replace(path, content)

    @property
    def signing(self) -> ECKey:
        """The key that signs."""
        return self._current().keys[0]

    @property
    def verifying(self) -> KeySet:
        """The keys to verify with now."""
        return self.verifying_at(time.time())

    def verifying_at(self, now: float) -> KeySet:
        """The keys to verify with at ``now``, seconds since 1970."""
        loaded = self._current()
        return KeySet([key for key in loaded.keys if loaded.until.get(str(key.kid), now + 1) > now])

    def public_jwks(self) -> dict[str, Any]:
        """The public halves as a JSON Web Key Set."""
        return dict(self.verifying.as_dict(private=False))

    def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose, derived from the master secret by HKDF (RFC 5869)."""
        derivation = HKDF(algorithm=SHA256(), length=_SECRET_BYTES, salt=None, info=purpose.encode())
        return derivation.derive(self._loaded.master)

    def client_assertion(self, audience: str, client_id: str, *, now: float | None = None) -> str:
        """A signed assertion with which this site, as ``client_id``, signs in at a token endpoint.

        https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
        """
        signing = self.signing
        assertion: str = private_key_jwt_sign(
            signing,
            client_id,
            audience,
            ALGORITHM,
            issued_at=int(time.time() if now is None else now),
            expires_in=_ASSERTION_SECONDS,
            header={"typ": "JWT", "kid": signing.kid},
        )
        return assertion

    def _current(self) -> _Loaded:
        """What stands in the file; what was read before stays good while the file is away or broken."""
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._loaded, self._stamp = _load(self._path), stamp
        except ConfigurationError:
            return self._loaded
        return self._loaded


def _load(path: Path) -> _Loaded:
    try:
        _check_private(path)
        content = orjson.loads(path.read_bytes())
        keys = tuple(ECKey.import_key(key) for key in content["keys"])
        until = {str(kid): float(end) for kid, end in content.get("until", {}).items()}
        master = urlsafe_b64decode(content["master"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
        raise ConfigurationError(f"{path}: is not a key file") from error
    usable = all(key.is_private and key.curve_name == _CURVE and key.kid for key in keys)
    if not keys or not usable or len(master) < _SECRET_BYTES:
        raise ConfigurationError(f"{path}: is not a key file of {ALGORITHM} keys")
    return _Loaded(keys, until, master)


def _check_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read") from error
    if mode & _OTHERS:
        raise ConfigurationError(f"{path}: must be its owner's only (chmod go= {path})")


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read") from error
    return found.st_mtime_ns, found.st_ino, found.st_size


def _new_key() -> dict[str, Any]:
    key = ECKey.generate_key(_CURVE, {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    return dict(key.as_dict(private=True))


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One process at a time."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
        os.fsync(handle)
    finally:
        os.close(handle)


def _replace(path: Path, content: dict[str, Any]) -> None:
    """Write the file so that a reader finds the old or the new one; call it with the directory locked."""
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(orjson.dumps(content))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
