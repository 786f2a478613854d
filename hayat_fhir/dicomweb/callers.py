"""Who asks the DICOMweb door: the same tokens as ``/fhir``."""

from __future__ import annotations

from typing import Protocol

from starlette.requests import Request

from hayat_fhir.errors import Unauthenticated
from hayat_fhir.security.callers import Caller


class Authenticates(Protocol):
    """Knows the holder of a token."""

    async def caller(self, token: str, address: str | None = None) -> Caller:
        """The token's holder; raises Unauthenticated."""
        ...


class Callers:
    """Finds the caller of a request."""

    def __init__(self, authentication: Authenticates) -> None:
        self._authentication = authentication

    async def of(self, request: Request) -> Caller:
        """The holder of the request's bearer token.

        Raises:
            Unauthenticated: There is none, or it is not valid.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated("a bearer token is needed")
        return await self._authentication.caller(token, request.client.host if request.client else None)
