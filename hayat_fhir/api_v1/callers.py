"""Who calls a legacy route, and how often."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from starlette.requests import Request

from hayat_fhir.errors import Throttled, Unauthenticated
from hayat_fhir.security.callers import Caller

_HEADERS = ("x-acess-token", "x-access-token")
"""The frontend's own header, misspelt as it is, and the same spelt right."""

_PER_SECOND = 300.0
_BURST = 900.0
_REMEMBERED = 10_000


class Authenticates(Protocol):
    """Knows the holder of a token."""

    async def caller(self, token: str, address: str | None = None) -> Caller:
        """The token's holder; raises Unauthenticated."""
        ...


class Callers:
    """Finds the caller of a request, and refuses those who ask too often. Belongs to one event loop."""

    def __init__(self, authentication: Authenticates) -> None:
        self._authentication = authentication
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def caller(self, request: Request) -> Caller:
        """Whoever presents a token.

        Raises:
            Unauthenticated: No token, several that differ, or one that is not valid.
            Throttled: Too many requests.
        """
        tokens = {value for name in _HEADERS if (value := request.headers.get(name))}
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme:
            tokens.add(token.strip() if scheme.lower() == "bearer" else "")
        if len(tokens) != 1 or "" in tokens:
            raise Unauthenticated("a token is needed")
        caller = await self._authentication.caller(tokens.pop(), address(request))
        self.count(caller.subject)
        return caller

    def count(self, subject: str) -> None:
        """Take one request from what is left to this caller, which fills up again as time goes by.

        Raises:
            Throttled: Nothing is left.
        """
        now = time.monotonic()
        left, at = self._left.pop(subject, (_BURST, now))
        left = min(_BURST, left + (now - at) * _PER_SECOND)
        self._left[subject] = (max(left - 1, 0.0), now)
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        if left < 1:
            raise Throttled("too many requests; try again later")


def address(request: Request) -> str | None:
    """The peer's address."""
    return request.client.host if request.client else None
