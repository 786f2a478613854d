"""Socket.IO clients that are not what they say, or send what no browser would."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

import pytest
import socketio
import websockets
from websockets.exceptions import ConnectionClosed

from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.tokens import issue_access
from tests.realtime.conftest import PATIENCE, Connect, Person, Served, until
from tests.realtime.test_consultations import active, ringing
from tests.realtime.test_presence import denials

_PATH = "/socket.io/?EIO=4&transport=websocket"


def _socket_url(served: Served) -> str:
    return f"{served.url.replace('http', 'ws', 1)}{_PATH}"


async def _ended(socket: websockets.ClientConnection) -> None:
    """Wait until the server closes the connection."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE):
            while True:
                await socket.recv()


def _signed(keys: SiteKeys, issuer: str, person: Person, age: int = 0) -> str:
    return issue_access(
        keys,
        issuer=issuer,
        subject=person.account,
        role=person.role,
        scopes=["user/*.cruds"],
        ttl=300,
        now=time.time() - age,
    )


async def test_no_socket_with_a_token_of_another_site_or_of_yesterday(
    served: Served, connect: Connect, tmp_path: Path
) -> None:
    """Signed by other keys, issued by another site under these keys, or run out."""
    doctor = await served.person("doctor")
    site, issuer = served.site, served.site.settings.site_url
    tokens = [
        _signed(SiteKeys.load_or_create(tmp_path), issuer, doctor),
        _signed(site.keys, "https://other.hospital.example", doctor),
        _signed(site.keys, issuer, doctor, age=3600),
    ]
    for token in tokens:
        with pytest.raises(socketio.exceptions.ConnectionError):
            await connect(token, served.url)


@pytest.mark.parametrize("role", ["doctor", "patient"])
async def test_nobody_tells_the_presence_of_others(served: Served, connect: Connect, role: str) -> None:
    """Neither that a doctor is online nor that one is busy; the attempt is audited."""
    victim, watcher, liar = await served.person("doctor"), await served.person("patient"), await served.person(role)
    watching, lying, practice = await connect(watcher), await connect(liar), await connect(victim, served.urls[1])
    await watching.call("watch-presence")
    for event in ("presence", "status", "updateDoctorList"):
        answer = await lying.call(event, {"doctorId": victim.id, "online": True})
        assert (answer["ok"], answer["code"]) == (False, "forbidden")
    await practice.call("online-user")
    await watching.told("presence", lambda change: victim.id in change["online"])
    assert (await lying.call("busy", victim.id))["code"] == "forbidden"
    assert victim.id in (await watching.call("watch-presence"))["online"]
    assert await denials(served, liar.id) >= 4


async def test_room_names_are_no_way_into_rooms(served: Served, connect: Connect) -> None:
    """Rooms of accounts, roles, watchers and consultations are joined by nobody's word; a third socket is no doctor."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    stranger = await served.person("patient")
    browser = await connect(stranger)
    rooms = [
        f"consultation:{consultation['id']}",
        f"account:{doctor.account}",
        "role:staff",
        "presence",
        practice.sid,
        f"{consultation['id']}\x00",
        "../" + consultation["id"],
    ]
    for room in rooms:
        assert (await browser.call("join-room", room, None))["ok"] is False
    assert (await browser.call("message", "hello"))["code"] == "conflict"
    assert (await browser.call("call", home.sid, {"from": browser.sid}))["code"] == "conflict"
    assert (await browser.call("answerCall", home.sid, True))["code"] == "not-found"
    await home.call("join-room", consultation["id"], None)
    assert not any(name in {"createMessage", "user-connected", "consultation"} for name, _ in browser.events)
    assert patient.id


@pytest.mark.parametrize("claim", ["from", "url", "patient"])
async def test_a_call_in_anothers_name_is_audited(served: Served, connect: Connect, claim: str) -> None:
    """The doctor is rung in the name of whoever holds the token; a call that names nobody else is not audited."""
    doctor, patient, practice, home = await ringing(served, connect)
    victim = await connect(await served.person("patient"))
    other = {"from": victim.sid, "url": (await served.person("doctor")).id, "patient": "somebody"}
    rung = {"from": home.sid, "url": doctor.id, "patient": patient.id}
    assert (await home.call("call", practice.sid, rung | {claim: other[claim]}))["ok"]
    assert await practice.told("retrieve") == [rung]
    assert await denials(served, patient.id) == 1
    async with patient.at(served.url) as http:
        (open_one,) = (await http.get("/realtime/consultations", params={"state": "ringing"})).json()["consultations"]
        await http.post(f"/realtime/consultations/{open_one['id']}/end")
    assert (await home.call("call", practice.sid, rung))["ok"]
    assert await denials(served, patient.id) == 1


@pytest.mark.parametrize(
    "packets",
    [
        ['451000-["message",{"_placeholder":true,"num":0}]', *[b"x"] * 1000],
        ["x" * 20] * 1000,
        ['42["message",{"_placeholder":true,"num":0}]'] * 1000,
        ["40/admin,"] * 1000,
        [b"\x00" * 4096] * 1000,
        ["42" + "[" * 30_000] * 1000,
    ],
    ids=["attachments", "nonsense", "placeholders", "namespaces", "binary", "deep"],
)
async def test_what_no_client_sends_ends_the_connection(served: Served, packets: list[str | bytes]) -> None:
    """And nobody else's."""
    patient, other = await served.person("patient"), await served.person("doctor")
    async with websockets.connect(_socket_url(served), proxy=None) as bystander:
        await bystander.recv()
        await bystander.send(f"40{json.dumps({'token': other.token})}")
        assert str(await bystander.recv()).startswith("40{")
        async with websockets.connect(_socket_url(served), proxy=None) as hostile:
            await hostile.recv()
            await hostile.send(f"40{json.dumps({'token': patient.token})}")
            with suppress(ConnectionClosed):
                for packet in packets:
                    await hostile.send(packet)
            await _ended(hostile)
        await bystander.send('421["watch-presence"]')
        while not (answer := str(await bystander.recv())).startswith("43"):
            assert answer.startswith(("2", "42"))


@pytest.mark.parametrize("packets", [["42" + json.dumps(["message", "x" * 2**20])], ["3"] * 1000], ids=["long", "many"])
async def test_who_sends_too_much_is_not_let_in_again_at_once(
    served: Served, connect: Connect, packets: list[str]
) -> None:
    """Its token is of no use for some seconds, whether its WebSocket was one from the start or had polled before."""
    direct, polled = await served.person("patient"), await served.person("patient")
    async with websockets.connect(_socket_url(served), proxy=None) as hostile:
        await hostile.recv()
        await hostile.send(f"40{json.dumps({'token': direct.token})}")
        await hostile.recv()
        with suppress(ConnectionClosed):
            for packet in packets:
                await hostile.send(packet)
        await _ended(hostile)
    async with polled.at(served.url) as http:
        query = {"EIO": "4", "transport": "polling"}
        query["sid"] = json.loads((await http.get("/socket.io/", params=query)).text[1:])["sid"]
        await http.post("/socket.io/", params=query, content=f"40{json.dumps({'token': polled.token})}")
        assert (await http.get("/socket.io/", params=query)).text.startswith("40{")
    async with websockets.connect(f"{_socket_url(served)}&sid={query['sid']}", proxy=None) as hostile:
        await hostile.send("2probe")
        assert await hostile.recv() == "3probe"
        with suppress(ConnectionClosed):
            for packet in ("5", *packets):
                await hostile.send(packet)
        await _ended(hostile)
    for person in (direct, polled):
        with pytest.raises(socketio.exceptions.ConnectionError):
            await connect(person)
    assert (await (await connect(await served.person("patient"))).call("watch-presence"))["ok"]


async def test_an_engine_session_is_not_taken_over(served: Served, connect: Connect) -> None:
    """Neither by the socket id that others are told, nor by the transport's own."""
    victim = await served.person("doctor")
    practice = await connect(victim)
    thief = await served.person("patient")
    for sid in (practice.sid, practice.client.eio.sid):
        async with thief.at(served.url) as http:
            query = {"EIO": "4", "transport": "polling", "sid": sid}
            assert (await http.get("/socket.io/", params=query)).status_code == 400
        with suppress(websockets.exceptions.InvalidHandshake, ConnectionClosed):
            async with websockets.connect(f"{_socket_url(served)}&sid={sid}", proxy=None) as socket:
                for packet in ("2probe", "5", '42["online-user"]'):
                    await socket.send(packet)
                await _ended(socket)
    async with thief.at(served.url) as http:
        assert victim.id not in (await http.get("/realtime/presence")).json()["online"]
    assert (await practice.call("watch-presence"))["ok"]


async def test_one_session_is_upgraded_once(served: Served) -> None:
    """Five WebSockets that race for the session of a client that polls: one of them at most speaks for it."""
    patient = await served.person("patient")
    async with patient.at(served.url) as http:
        query = {"EIO": "4", "transport": "polling"}
        sid = json.loads((await http.get("/socket.io/", params=query)).text[1:])["sid"]
        query["sid"] = sid
        assert (
            await http.post("/socket.io/", params=query, content=f"40{json.dumps({'token': patient.token})}")
        ).is_success
        assert (await http.get("/socket.io/", params=query)).text.startswith("40{")

    async def raced() -> bool:
        with suppress(websockets.exceptions.InvalidHandshake, ConnectionClosed, TimeoutError):
            async with websockets.connect(f"{_socket_url(served)}&sid={sid}", proxy=None) as socket:
                await socket.send("2probe")
                await socket.send("5")
                await socket.send('421["watch-presence"]')
                async with asyncio.timeout(10):
                    while not str(await socket.recv()).startswith("431"):
                        pass
                return True
        return False

    assert sum(await asyncio.gather(*(raced() for _ in range(5)))) <= 1


async def test_who_does_not_leave_is_put_out(served: Served) -> None:
    """A client that stays when it is told that its session is over: nothing more is said to it, not even a ping."""
    patient = await served.person("patient")
    async with websockets.connect(_socket_url(served), proxy=None) as staying:
        await staying.recv()
        await staying.send(f"40{json.dumps({'token': patient.token})}")
        assert str(await staying.recv()).startswith("40{")
        await served.run(served.site.registration.disable_account(patient.email))
        async with asyncio.timeout(PATIENCE):
            while (packet := str(await staying.recv())) != "41":
                assert packet.startswith("2")
            with pytest.raises(ConnectionClosed):
                await staying.recv()


async def test_a_lost_connection_is_offline_within_45_seconds(served: Served, connect: Connect) -> None:
    """A socket that answers no ping, as after a pulled cable: nobody said goodbye."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    watching = await connect(patient, served.urls[1])
    await watching.call("watch-presence")
    async with websockets.connect(_socket_url(served), proxy=None, ping_interval=None) as silent:
        await silent.recv()
        await silent.send(f"40{json.dumps({'token': doctor.token})}")
        await silent.recv()
        await silent.send('42["online-user"]')
        await watching.told("presence", lambda change: doctor.id in change["online"])
        begun = time.monotonic()
        await until(
            lambda: any(name == "presence" and doctor.id in payload[0]["offline"] for name, payload in watching.events),
            45,
        )
        assert time.monotonic() - begun > 5


async def test_presence_says_nothing_but_who_is_online(served: Served, connect: Connect) -> None:
    """Ids of practitioners and sockets: no names, no patients, nothing of consultations."""
    doctor, patient, _, home, _ = await active(served, connect)
    watching = await connect(await served.person("patient"))
    await watching.call("watch-presence")
    await watching.emit("get-online-doctor")
    other = await served.person("doctor")
    await (await connect(other)).call("online-user")
    (changed,) = await watching.told("presence", lambda change: other.id in change["online"])
    (shown,) = await watching.told("updateDoctorList", lambda shown: other.id in shown)
    assert changed.keys() == {"online", "offline"}
    assert all(isinstance(sid, str) for sids in shown.values() for sid in sids)
    text = json.dumps([payload for _, payload in watching.events])
    for person in (doctor, other, patient):
        assert person.email not in text
        assert f"Test {person.role}" not in text
        assert person.account not in text
    assert patient.id not in text
    assert home.sid not in text
