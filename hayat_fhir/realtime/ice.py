"""The STUN and TURN servers that peers use: the site's own, with credentials that end.

TURN credentials after draft-uberti-behave-turn-rest-00, as coturn checks them (``use-auth-secret``).
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1, sha256
from typing import Any


@dataclass(frozen=True, slots=True)
class IceServers:
    """``urls``: ``stun:``, ``turn:`` and ``turns:`` URLs; ``secret``: shared with the TURN server."""

    urls: Sequence[str] = ()
    secret: bytes = b""
    seconds: int = 4 * 3600
    relay_only: bool = False

    def configuration(self, account: str, now: float | None = None) -> dict[str, Any]:
        """What the RTCPeerConnection of an account is made with; ``seconds``: how long the credentials are good.

        https://www.w3.org/TR/webrtc/#rtcconfiguration-dictionary
        """
        stun = [url for url in self.urls if url.startswith("stun")]
        turn = [url for url in self.urls if url.startswith("turn")]
        servers: list[dict[str, Any]] = [{"urls": stun}] if stun else []
        if turn:
            expires = int(time.time() if now is None else now) + self.seconds
            # the TURN server's log must not name the account
            username = f"{expires}:{sha256(account.encode()).hexdigest()[:16]}"
            mac = hmac.new(self.secret, username.encode(), sha1).digest()
            servers.append({"urls": turn, "username": username, "credential": b64encode(mac).decode()})
        return {
            "iceServers": servers,
            "iceTransportPolicy": "relay" if self.relay_only else "all",
            "seconds": self.seconds,
        }
