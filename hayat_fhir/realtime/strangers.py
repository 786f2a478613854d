"""Datagrams of strangers: nobody but the other side of a connection is heard by DTLS and SRTP.

aioice hands on whatever comes to its port, so that anybody's ClientHello ends a handshake, and an empty datagram a
connection (OWASP ASVS 17.2.6 and 17.2.8, https://github.com/OWASP/ASVS). The other side's addresses are those of
checks that have succeeded: https://www.rfc-editor.org/rfc/rfc8445#section-7.2.5.3.

Imported by the media process alone.
"""

from __future__ import annotations

from typing import Any

from aioice import ice, stun

_STUN = range(4)
"""First bytes of STUN messages: https://www.rfc-editor.org/rfc/rfc7983#section-7."""


class Guarded(ice.StunProtocol):
    """One UDP port that takes STUN messages from anybody, and all else from the other side alone."""

    def __init__(self, receiver: ice.Connection) -> None:
        super().__init__(receiver)
        self._known: set[tuple[Any, ...]] = set()

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Take one datagram, or drop it."""
        if not data or isinstance(data, str):
            return
        if data[0] in _STUN:
            try:
                stun.parse_message(data)
            except ValueError:
                return
        elif not self._is_known(addr[:2]):
            return
        super().datagram_received(data, addr)

    def _is_known(self, address: tuple[Any, ...]) -> bool:
        if address not in self._known:
            succeeded = ice.CandidatePair.State.SUCCEEDED
            pairs = (*self.receiver._check_list, *self.receiver._nominated.values())
            self._known = {tuple(pair.remote_addr) for pair in pairs if pair.state is succeeded}
        return address in self._known


def keep_out() -> None:
    """Have every connection of this process made with such ports."""
    setattr(ice, "StunProtocol", Guarded)  # noqa: B010 - mypy lets no class be assigned to
