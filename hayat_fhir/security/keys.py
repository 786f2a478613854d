"""The site's own keys: what it signs tokens and client assertions with, and secrets derived for other uses.

One file in the data directory, readable by its owner only. Several keys may stand in it: the first signs, all
verify, so that a key can be replaced while tokens of the old one are still good.
"""

from __future__ import annotations

import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path
from secrets import token_bytes, token_urlsafe
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from hayat_fhir.errors import ConfigurationError

ALGORITHM = "ES384"
_FILE = "keys.json"
_ASSERTION_SECONDS = 240
_MOST_KEYS = 3
_OTHERS = 0o077


class SiteKeys:
    """The keys of one site, loaded once at start."""

    def __init__(self, keys: list[ECKey], master: bytes) -> None:
        self._signing = keys[0]
        self._keys = KeySet(list(keys))
        self._master = master

    @classmethod
    def load_or_create(cls, directory: Path) -> SiteKeys:
        """Read the keys in a directory, or make them there; several processes may do this at once.

        Raises:
            ConfigurationError: The file is readable by others, or is not a key file.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / _FILE
        if not path.exists():
            _create(path, {"keys": [_new_key()], "master": urlsafe_b64encode(token_bytes(32)).decode()})
        if path.stat().st_mode & _OTHERS:
            raise ConfigurationError(f"{path}: must be readable by its owner only (chmod 600)")
        try:
            content = orjson.loads(path.read_bytes())
            keys = [ECKey.import_key(key) for key in content["keys"]]
            return cls(keys, urlsafe_b64decode(content["master"]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ConfigurationError(f"{path}: is not a key file") from error

    @staticmethod
    def rotate(directory: Path) -> None:
        """Add a new signing key; the old ones go on verifying until they drop out of the file.

        Raises:
            ConfigurationError: There is no key file, or it is malformed.
        """
        path = directory / _FILE
        try:
            content = orjson.loads(path.read_bytes())
            content["keys"] = [_new_key(), *content["keys"]][:_MOST_KEYS]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"{path}: is not a key file") from error
        fresh = path.with_suffix(f".{token_urlsafe(6)}")
        _write(fresh, content)
        fresh.replace(path)

    @property
    def verifying(self) -> KeySet:
        """All keys, to verify with."""
        return self._keys

    @property
    def signing(self) -> ECKey:
        """The key that signs."""
        return self._signing

    def public_jwks(self) -> dict[str, Any]:
        """The public halves as a JSON Web Key Set."""
        return dict(self._keys.as_dict(private=False))

    def secret(self, purpose: str) -> bytes:
        """32 bytes for one purpose, derived from the master secret."""
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(self._master)

    def client_assertion(self, audience: str, client_id: str) -> str:
        """A signed assertion with which this site, as ``client_id``, signs in at a token endpoint.

        https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
        """
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": token_urlsafe(24),
        }
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self._signing.kid}
        return jwt.encode(header, claims, self._signing, algorithms=[ALGORITHM])


def _new_key() -> dict[str, Any]:
    key = ECKey.generate_key("P-384", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
    return dict(key.as_dict(private=True))


def _create(path: Path, content: dict[str, Any]) -> None:
    """Write the file unless another process was first: a link to a complete file either exists or not."""
    fresh = path.with_name(f".{path.name}.{token_urlsafe(6)}")
    _write(fresh, content)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        return
    finally:
        fresh.unlink()


def _write(path: Path, content: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(content))
        file.flush()
        os.fsync(file.fileno())
