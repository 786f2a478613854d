"""A consultation is recorded while both agree, and the recording is the patient's."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import AsyncIterator
from hashlib import sha1

import av
import pytest

from tests.realtime.conftest import Browser, Connect, Person, Served, until
from tests.realtime.headless import Picture, Tone, call, connection
from tests.realtime.peerjs import Peers
from tests.realtime.test_consultations import active


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Connections that are closed after the test."""
    peers = Peers()
    yield peers
    await peers.close()


async def _agree(person: Person, url: str, id: str, *, agree: bool) -> dict[str, object]:
    async with person.at(url) as http:
        answer = await http.post(f"/realtime/consultations/{id}/recording", json={"agree": agree})
    assert answer.status_code == 200, answer.text
    recording: dict[str, object] = answer.json()["recording"]
    return recording


async def _recorder(browser: Browser) -> str:
    (told,) = await browser.told("consultation", lambda told: told["recording"]["state"] == "on")
    return str(told["recording"]["peer"])


async def test_a_consultation_is_recorded_while_both_agree(served: Served, connect: Connect, peers: Peers) -> None:
    """Both sides' pictures and sound, sealed on disk, played back by the two and by nobody else."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    id = consultation["id"]
    one = await peers.of(patient, served.urls[0], id)
    two = await peers.of(doctor, served.urls[1], id)
    assert await _agree(patient, served.urls[0], id, agree=True) == {
        "state": "asked",
        "agreed": ["patient"],
        "peer": None,
    }
    assert await _agree(doctor, served.urls[1], id, agree=True) != {}
    recorder = await _recorder(home)
    assert await _recorder(practice) == recorder
    sending = [connection(Tone(), Picture()), connection(Tone(), Picture())]
    await call(one, sending[0], recorder, "mc_patient")
    await call(two, sending[1], recorder, "mc_doctor")
    await until(lambda: all(made.connectionState == "connected" for made in sending))
    await until(lambda: _sent(sending))
    home.forget()
    await _agree(patient, served.urls[0], id, agree=False)
    await home.told("consultation", lambda told: told["recording"]["state"] != "on")
    for made in sending:
        await made.close()

    async with patient.at(served.url) as own, doctor.at(served.urls[1]) as http:

        async def stored() -> object:
            found = (await own.get("/fhir/DocumentReference", params={"encounter": f"Encounter/{id}"})).json()
            return found.get("entry")

        entries = await until(stored)
        (document,) = [entry["resource"] for entry in entries]
        attachments = [content["attachment"] for content in document["content"]]
        assert sorted(attachment["title"] for attachment in attachments) == ["doctor", "patient"]
        for attachment in attachments:
            path = attachment["url"].removeprefix(served.url)
            for reader in (own, http):
                answer = await reader.get(path)
                assert answer.status_code == 200
                assert b64encode(sha1(answer.content, usedforsecurity=False).digest()).decode() == attachment["hash"]
            with av.open(io.BytesIO(answer.content)) as played:
                kinds = {frame.__class__.__name__ for frame in played.decode()}
            assert kinds == {"AudioFrame", "VideoFrame"}
        assert (await own.get(f"/realtime/recordings/{document['id']}/7")).status_code == 404
    for role, status in (("patient", 404), ("staff", 403)):
        async with (await served.person(role)).at(served.url) as stranger:
            assert (await stranger.get(path)).status_code == status
    files = list((served.site.settings.data_dir / "recordings").glob(f"{document['id']}-*"))
    assert len(files) == 2
    assert not any(b"webm" in file.read_bytes() for file in files)


def _sent(sending: list[object]) -> bool:
    """Whether enough has been sent for a picture and a sound to be recorded."""
    return all(sender.track._number > 200 for made in sending for sender in made.getSenders() if sender.kind == "video")  # type: ignore[attr-defined]


async def test_one_side_alone_is_not_recorded(served: Served, connect: Connect) -> None:
    """Nor by the word of somebody invited, or of a stranger."""
    doctor, patient, _, home, consultation = await active(served, connect)
    path = f"/realtime/consultations/{consultation['id']}/recording"
    assert (await _agree(doctor, served.url, consultation["id"], agree=True))["state"] == "asked"
    stranger = await served.person("doctor")
    async with stranger.at(served.url) as http:
        assert (await http.post(path, json={"agree": True})).status_code == 404
    async with patient.at(served.url) as http:
        assert (await http.post(path, json={"agree": "yes"})).status_code == 400
        again = (await http.get(f"/realtime/consultations/{consultation['id']}")).json()
    assert again["recording"] == {"state": "asked", "agreed": ["doctor"], "peer": None}
    assert home.client.connected
