"""``/health/live``, ``/health/ready`` and ``/metrics``: for supervisors and Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

import orjson
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from hayat_fhir.errors import Forbidden, Unavailable
from hayat_fhir.rest.dispatcher import Authenticates, bearer
from hayat_fhir.rest.messages import Request
from hayat_fhir.rest.metrics import MEDIA, Metrics
from hayat_fhir.security.callers import Role
from hayat_fhir.store.figures import Figure

Ready = Callable[[], Awaitable[dict[str, bool]]]
ReadFigures = Callable[[], Awaitable[Sequence[Figure]]]
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


class Health:
    """Handlers; ``ready`` tells each component's state, ``figures`` what the site's other processes have counted."""

    def __init__(self, ready: Ready, figures: ReadFigures, metrics: Metrics, authentication: Authenticates) -> None:
        self._ready = ready
        self._figures = figures
        self._metrics = metrics
        self._authentication = authentication

    async def live(self, request: StarletteRequest) -> Response:
        """200 as long as this process answers at all."""
        del request
        return _json(200, {"status": "up"})

    async def ready(self, request: StarletteRequest) -> Response:
        """200 when every component is up, else 503; the body names the components."""
        del request
        components = await self._ready()
        up = all(components.values())
        states = {name: "up" if state else "down" for name, state in components.items()}
        return _json(200 if up else 503, {"status": "up" if up else "down", "components": states})

    async def metrics(self, request: StarletteRequest) -> Response:
        """The figures, for a peer on this machine that is not a proxy, or for staff.

        Raises:
            Unauthenticated: Another peer without a token.
            Forbidden: The token is not of staff.
        """
        own = Request(request.scope, request.receive)
        if not _is_local(own):
            caller = await self._authentication.caller(bearer(own), own.address)
            if caller.role is not Role.STAFF:
                raise Forbidden("figures are for staff")
        try:
            of_site = await self._figures()
        except Unavailable:
            of_site = ()
        return Response(self._metrics.exposition(of_site), media_type=MEDIA)


def _is_local(request: Request) -> bool:
    """Whether the peer is this machine itself and does not speak for another."""
    if request.address is None or any(request.header(name) is not None for name in _FORWARDED):
        return False
    try:
        return ip_address(request.address).is_loopback
    except ValueError:
        return False


def _json(status: int, value: object) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
