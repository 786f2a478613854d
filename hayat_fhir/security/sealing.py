"""Sealed files: written once, front to back, and never in plain text.

A file is ``HAYAT-S1``, 16 bytes of salt, and chunks: four bytes of length, whose highest bit marks the last chunk, and
AES-256-GCM of at most 64 KiB (NIST SP 800-38D). The nonce is the chunk's number, and the mark is authenticated with
it: chunks cannot be changed, left out, put in another order or cut off at the end.
"""

from __future__ import annotations

import os
import struct
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from secrets import token_bytes
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hayat_fhir.errors import Unavailable

_MAGIC = b"HAYAT-S1"
_SALT = 16
_CHUNK = 64 * 1024
_LENGTH = struct.Struct(">I")
_LAST = 0x80000000


def new_salt() -> bytes:
    """The salt of a new file."""
    return token_bytes(_SALT)


def key_of(secret: bytes, salt: bytes) -> bytes:
    """The key of one file, derived by HKDF (RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"sealed file").derive(secret)


class Sealed:
    """A new sealed file. ``size`` and ``digest`` (SHA-1 in base64, as ``Attachment.hash``) are of the plain text."""

    def __init__(self, path: Path, key: bytes, salt: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file: BinaryIO = os.fdopen(descriptor, "wb")
        self._cipher = AESGCM(key)
        self._pending = bytearray()
        self._number = 0
        self._hash = sha1(usedforsecurity=False)
        self.size = 0
        self._file.write(_MAGIC + salt)

    @property
    def digest(self) -> str:
        """The digest of what has been written."""
        return b64encode(self._hash.digest()).decode()

    def write(self, data: bytes) -> int:
        """Append."""
        self._hash.update(data)
        self.size += len(data)
        self._pending += data
        while len(self._pending) > _CHUNK:
            self._put(bytes(self._pending[:_CHUNK]), last=False)
            del self._pending[:_CHUNK]
        return len(data)

    def close(self) -> None:
        """Finish the file, durably; once."""
        if self._file.closed:
            return
        self._put(bytes(self._pending), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number), chunk, _mark(last=last))
        self._file.write(_LENGTH.pack(len(sealed) | (_LAST if last else 0)) + sealed)
        self._number += 1


def unsealed(path: Path, secret: bytes) -> Iterator[bytes]:
    """The plain text of a sealed file, chunk by chunk.

    Raises:
        Unavailable: The file is missing, broken, cut off or not of this site.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise Unavailable("the sealed file is broken")
            cipher = AESGCM(key_of(secret, file.read(_SALT)))
            number, last = 0, False
            while not last:
                (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
                last = bool(length & _LAST)
                sealed = file.read(min(length & ~_LAST, _CHUNK + 16))
                yield cipher.decrypt(_nonce(number), sealed, _mark(last=last))
                number += 1
    except (OSError, struct.error, InvalidTag) as error:
        raise Unavailable("the sealed file is broken") from error


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")


def _mark(*, last: bool) -> bytes:
    return b"last" if last else b"more"
