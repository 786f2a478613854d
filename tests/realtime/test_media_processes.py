"""Media processes are few: who asks for one too many is told so at once, and nobody waits in vain."""

from __future__ import annotations

import json
from pathlib import Path

from websockets.asyncio.client import connect as open_socket

from tests.realtime.conftest import Connect, Served, serving
from tests.realtime.headless import Picture, Tone, connection
from tests.realtime.test_consultations import active


async def test_where_no_media_process_is_free_none_is_promised(
    mongodb_url: str, tmp_path: Path, connect: Connect
) -> None:
    """Neither device check nor recording nor relay; calls between the two sides go on."""
    with serving(mongodb_url, tmp_path, media_processes=0) as served:
        doctor, patient, _, _, consultation = await active(served, connect)
        path = f"/realtime/consultations/{consultation['id']}"
        for person in (doctor, patient):
            async with person.at(served.url) as http:
                assert (await http.post(f"{path}/recording", json={"agree": True})).status_code == 429
                assert (await http.post(f"{path}/relay")).status_code == 429
                assert (await http.get(path)).json()["recording"]["state"] == "off"
                assert (await http.post("/realtime/tickets", json={"consultation": consultation["id"]})).is_success
        assert (await _check(served, patient.token))["code"] == "throttled"


async def _check(served: Served, token: str) -> dict[str, str]:
    """The first answer to a device check."""
    made = connection(Tone(), Picture())
    async with open_socket(f"{served.url.replace('http', 'ws', 1)}/realtime/device-check", proxy=None) as socket:
        await socket.send(json.dumps({"token": token}))
        await made.setLocalDescription(await made.createOffer())
        await socket.send(json.dumps({"type": "offer", "sdp": made.localDescription.sdp}))
        told: dict[str, str] = json.loads(await socket.recv())
    await made.close()
    return told
