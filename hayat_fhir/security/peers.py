"""Peer ids of the signalling server: made here, and recognised again without being stored.

An id is ``<random>-<mac>``, which the PeerJS client takes: letters and digits with single hyphens between.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from secrets import token_hex

_MAC_CHARACTERS = 16


class PeerIds:
    """Makes and recognises peer ids under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def new(self, account: str, consultation: str) -> str:
        """An id of this account in this consultation."""
        random = token_hex(12)
        return f"{random}-{self._mac(random, account, consultation)}"

    def belongs(self, id: str, account: str, consultation: str) -> bool:
        """Whether this id was made for this account in this consultation."""
        random, _, mac = id.partition("-")
        return hmac.compare_digest(mac.encode(), self._mac(random, account, consultation).encode())

    def _mac(self, *parts: str) -> str:
        message = "\n".join(parts).encode()
        return hmac.new(self._secret, message, sha256).hexdigest()[:_MAC_CHARACTERS]
