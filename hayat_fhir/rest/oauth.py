"""``/oauth/token``: SMART Backend Services over HTTP. https://hl7.org/fhir/smart-app-launch/backend-services.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from hayat_fhir.errors import InvalidRequest, TooLarge, UnsupportedMedia
from hayat_fhir.rest import bodies
from hayat_fhir.rest.messages import Request
from hayat_fhir.services.authorization import TokenRefused

_LIMIT = 64 * 1024


class GrantsTokens(Protocol):
    """The token endpoint's logic: ``services.authorization.Authorization``."""

    async def client_credentials(self, form: Mapping[str, str], address: str | None = None) -> dict[str, Any]:
        """The answer to a token request; raises TokenRefused."""


class TokenEndpoint:
    """Takes the form and answers in OAuth's JSON, errors too (RFC 6749 section 5)."""

    def __init__(self, authorization: GrantsTokens) -> None:
        self._authorization = authorization

    async def token(self, request: StarletteRequest) -> Response:
        """POST: an access token, or an error with its OAuth code."""
        own = Request(request.scope, request.receive)
        try:
            answer = await self._authorization.client_credentials(await _form(own), own.address)
        except TokenRefused as refusal:
            return _json(refusal.status, {"error": refusal.error, "error_description": str(refusal)})
        except (InvalidRequest, UnsupportedMedia, TooLarge) as refusal:
            await bodies.drain(own)
            return _json(400, {"error": "invalid_request", "error_description": str(refusal)})
        return _json(200, answer)


async def _form(request: Request) -> dict[str, str]:
    """The form's parameters; each once, none in the URL."""
    if request.scope.get("query_string"):
        raise InvalidRequest("parameters belong into the body")
    pairs = await bodies.form(request, _LIMIT)
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest("a parameter is repeated")
    return form


def _json(status: int, value: object) -> Response:
    headers = {"cache-control": "no-store", "pragma": "no-cache"}
    return Response(orjson.dumps(value), status, headers, "application/json")
