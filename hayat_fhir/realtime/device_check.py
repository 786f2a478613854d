"""The device check: camera and microphone are echoed and judged before a call."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from hayat_fhir.errors import InvalidRequest, Refusal, Unauthenticated
from hayat_fhir.realtime.ice import IceServers
from hayat_fhir.realtime.media import MediaProcess, MediaProcesses
from hayat_fhir.security.callers import Role
from hayat_fhir.services.authentication import Authentication

_PATIENCE = 10.0
_LONGEST = 30.0
_REFUSED = 1008


class DeviceCheck:
    """The WebSocket at ``/realtime/device-check``."""

    def __init__(self, authentication: Authentication, processes: MediaProcesses, ice: IceServers) -> None:
        self._authentication = authentication
        self._processes = processes
        self._ice = ice

    async def run(self, socket: WebSocket) -> None:
        """One check, from the token to the verdict and a little longer."""
        await socket.accept()
        try:
            token = (await _next(socket)).get("token")
            if not isinstance(token, str):
                raise Unauthenticated("a token is needed")
            caller = await self._authentication.caller(token, socket.client.host if socket.client else None)
            if caller.role is Role.PARTNER:
                raise Unauthenticated("only people check devices")
            offer = await _next(socket)
            if offer.get("type") != "offer" or not isinstance(offer.get("sdp"), str):
                raise InvalidRequest("an offer is needed", code="structure")
            servers = self._ice.configuration(caller.subject)["iceServers"]
            async with self._processes.one() as media:
                await media.send({"order": "check", "peer": "browser", "sdp": offer["sdp"], "iceServers": servers})
                await _pass_on(socket, media)
            await socket.close()
        except Refusal as refusal:
            issue = refusal.issues[0]
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await _say(socket, {"type": "refused", "code": issue.code, "message": issue.diagnostics})
                await socket.close(_REFUSED)
        except (WebSocketDisconnect, RuntimeError):
            return


async def _pass_on(socket: WebSocket, media: MediaProcess) -> None:
    """Tell the browser what the media process tells, until either ends or the time is over."""
    leaving = asyncio.create_task(_left(socket))
    telling = asyncio.create_task(_tell(socket, media))
    try:
        await asyncio.wait({leaving, telling}, timeout=_LONGEST, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (leaving, telling):
            task.cancel()
        await asyncio.gather(leaving, telling, return_exceptions=True)
    if telling.done() and not telling.cancelled() and (error := telling.exception()) is not None:
        raise error


async def _tell(socket: WebSocket, media: MediaProcess) -> None:
    while True:
        message = await media.told()
        match message.pop("told"):
            case "answer":
                await _say(socket, {"type": "answer", "sdp": message["sdp"]})
            case "failed":
                raise InvalidRequest("the offer cannot be answered", code="structure")
            case kind:
                await _say(socket, {"type": kind, **message})


async def _left(socket: WebSocket) -> None:
    """Return when the browser leaves; what it still says does not count."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError, KeyError):
        while True:
            await socket.receive_text()


async def _next(socket: WebSocket) -> dict[str, Any]:
    try:
        async with asyncio.timeout(_PATIENCE):
            message = orjson.loads(await socket.receive_text())
    except (TimeoutError, orjson.JSONDecodeError, KeyError):
        raise InvalidRequest("a message in JSON is needed", code="structure") from None
    if not isinstance(message, dict):
        raise InvalidRequest("a message is an object", code="structure")
    return message


async def _say(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(orjson.dumps(message).decode())
