"""PeerJS signalling: the protocol of the package, and who may say what to whom."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.realtime.conftest import Connect, Person, Served, until
from tests.realtime.peerjs import Peers, PeerSocket, ticket
from tests.realtime.test_consultations import active


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Connections that are closed after the test."""
    peers = Peers()
    yield peers
    await peers.close()


_OFFER = {"sdp": {"type": "offer", "sdp": "v=0"}, "type": "media", "connectionId": "mc_1", "metadata": None}


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("process", [0, 1])
async def test_two_members_signal(served: Served, peers: Peers, connect: Connect, process: int, *, older: bool) -> None:
    """Offer, answer, candidate and leave arrive as sent, with the server's own src; also between processes."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"], older=older)
    two = await peers.of(doctor, served.urls[process], consultation["id"], older=older)
    await one.send("HEARTBEAT")
    await one.send("OFFER", two.id, _OFFER, src="forged")
    assert await two.next() == {"type": "OFFER", "src": one.id, "dst": two.id, "payload": _OFFER}
    for type in ("ANSWER", "CANDIDATE", "LEAVE", "EXPIRE"):
        await two.send(type, one.id, {"type": type})
        assert await one.next() == {"type": type, "src": two.id, "dst": one.id, "payload": {"type": type}}
    await two.close()
    assert (await one.next())["type"] == "LEAVE"


async def test_a_peer_tells_its_id_to_the_room(served: Served, peers: Peers, connect: Connect) -> None:
    """join-room takes the own peer id only; the others hear it."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[1], consultation["id"])
    assert (await home.call("join-room", consultation["id"], two.id))["code"] == "forbidden"
    assert (await home.call("join-room", consultation["id"], one.id))["ok"]
    assert (await practice.call("join-room", doctor.id, two.id))["ok"]
    told, who = await home.told("user-connected")
    assert (told, who["role"]) == (two.id, "doctor")


async def test_a_ticket_is_good_once(served: Served, peers: Peers, connect: Connect) -> None:
    """Neither again, nor with another's id, nor guessed; with a new ticket the same id comes back."""
    doctor, patient, _, _, consultation = await active(served, connect)
    given = await ticket(patient, served.url, consultation["id"])
    for id, token in ((given["peer"], "guessed"), ("", given["token"]), (given["peer"], "")):
        socket = await peers.open(served.url, id, token)
        assert (await socket.next())["type"] == "ERROR"
        assert await socket.ended()
    victim = await peers.of(doctor, served.url, consultation["id"])
    socket = await peers.open(served.url, victim.id, given["token"])
    assert (await socket.next())["type"] == "ERROR"
    given = await ticket(patient, served.url, consultation["id"])
    first = await peers.open(served.url, given["peer"], given["token"])
    assert await first.next() == {"type": "OPEN"}
    again = await peers.open(served.urls[1], given["peer"], given["token"])
    assert (await again.next())["type"] == "ERROR"
    await first.close()
    renewed = await ticket(patient, served.url, consultation["id"], peer=given["peer"])
    assert renewed["peer"] == given["peer"]
    back = await peers.open(served.url, given["peer"], renewed["token"])
    assert await back.next() == {"type": "OPEN"}
    async with doctor.at(served.url) as http:
        stolen = await http.post("/realtime/tickets", json={"consultation": consultation["id"], "peer": back.id})
    assert stolen.status_code == 400


async def test_an_id_that_lives_is_not_given_to_another(served: Served, peers: Peers, connect: Connect) -> None:
    """Also one that the server gave out without a name."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"], older=True)
    given = await ticket(doctor, served.url, consultation["id"])
    taking = await peers.open(served.url, one.id, given["token"])
    assert (await taking.next())["type"] == "ID-TAKEN"
    assert await taking.ended()


async def test_messages_do_not_leave_the_consultation(served: Served, peers: Peers, connect: Connect) -> None:
    """An offer to a peer of another consultation, or to a socket, is answered by EXPIRE; nothing arrives."""
    doctor, patient, practice, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    other_doctor, _, _, _, other = await active(served, connect)
    stranger = await peers.of(other_doctor, served.url, other["id"])
    for target in (stranger.id, practice.sid):
        await one.send("OFFER", target, _OFFER)
        assert (await one.next())["type"] == "EXPIRE"
        await one.send("CANDIDATE", target, {})
    assert await stranger.silent()
    assert doctor.id


async def test_what_waits_goes_to_a_member_only(served: Served, peers: Peers, connect: Connect) -> None:
    """An offer to a member who is about to come waits; one for an id that nobody takes expires."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    given = await ticket(doctor, served.url, consultation["id"])
    await one.send("OFFER", given["peer"], _OFFER)
    two = await peers.open(served.urls[1], given["peer"], given["token"])
    assert await two.next() == {"type": "OPEN"}
    assert (await two.next())["type"] == "OFFER"
    other_doctor, _, _, _, other = await active(served, connect)
    elsewhere = await ticket(other_doctor, served.url, other["id"])
    await one.send("OFFER", elsewhere["peer"], _OFFER)
    stranger = await peers.open(served.url, elsewhere["peer"], elsewhere["token"])
    assert await stranger.next() == {"type": "OPEN"}
    assert await stranger.silent()
    for _ in range(150):
        await one.send("CANDIDATE", "nobody", {})
    assert (await one.next())["type"] == "EXPIRE"


async def test_the_end_of_the_consultation_ends_its_peers(served: Served, peers: Peers, connect: Connect) -> None:
    """On every process; and a ticket not used yet lets nobody in."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[1], consultation["id"])
    left = await ticket(patient, served.url, consultation["id"])
    async with patient.at(served.url) as http:
        await http.post(f"/realtime/consultations/{consultation['id']}/end")
    assert await one.ended()
    assert await two.ended()
    late = await peers.open(served.url, left["peer"], left["token"])
    assert (await late.next())["type"] == "ERROR"


async def test_nobody_discovers_peers(served: Served, peers: Peers) -> None:
    """Neither by listing, nor under another key."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as http:
        assert (await http.get("/peerjs/peerjs/peers")).status_code == 401
        assert (await http.get("/peerjs/peers")).status_code in {401, 404}
        assert (await http.get("/peerjs/other/id")).status_code == 404
        about = await http.get("/peerjs/")
        assert (about.status_code, "name" in about.json()) == (200, True)
        ids = {(await http.get("/peerjs/peerjs/id")).text for _ in range(3)}
        assert len(ids) == 3
    socket = await peers.open(served.url, ids.pop(), "token", key="other")
    assert (await socket.next())["payload"]["msg"] == "Invalid key provided"


async def test_a_foreign_page_does_not_signal(served: Served, peers: Peers) -> None:
    """The WebSocket is refused before it stands."""
    with pytest.raises(InvalidStatus):
        await peers.open(served.url, "a", "b", origin="https://evil.example")
    with pytest.raises(InvalidStatus):
        await peers.open(f"{served.url}/fhir", "a", "b")


async def test_malformed_messages_are_dropped(served: Served, peers: Peers, connect: Connect) -> None:
    """The peer and the server go on."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    two = await peers.of(doctor, served.url, consultation["id"])
    for text in ("", "{", "[]", "1", "null", '{"type": 1}', '{"type": "OPEN", "dst": "x"}', '{"type": "OFFER"}'):
        await one.raw(text)
    await one.raw(json.dumps({"type": "OFFER", "dst": ["x"], "payload": {}}))
    await one.send("OFFER", two.id, _OFFER)
    assert (await two.next())["type"] == "OFFER"


@pytest.mark.parametrize(
    "flood",
    ['{"type": "HEARTBEAT"}', '{"type": "CANDIDATE", "dst": "nobody", "payload": {}}', "{"],
    ids=["heartbeats", "candidates", "malformed"],
)
async def test_a_storm_ends_the_connection(served: Served, peers: Peers, connect: Connect, flood: str) -> None:
    """10,000 messages are not read; the partner's connection stands."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    two = await peers.of(doctor, served.url, consultation["id"])

    async def storm() -> None:
        for _ in range(10_000):
            await one.raw(flood)

    with suppress(ConnectionClosed):
        await storm()
    assert await one.ended()
    await two.send("HEARTBEAT")
    assert (await two.next())["type"] == "LEAVE"


async def test_a_message_of_a_megabyte_ends_the_connection(served: Served, peers: Peers, connect: Connect) -> None:
    """An SDP has a few kilobytes."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    await one.send("OFFER", "x", {"sdp": "x" * 2**20})
    assert await one.ended()
    assert doctor.id


async def test_a_doctor_with_an_open_peer_is_in_a_consultation(served: Served, peers: Peers, connect: Connect) -> None:
    """Offline for all others, until the peer is gone."""
    doctor, _, _, home, consultation = await active(served, connect)
    two = await peers.of(doctor, served.urls[1], consultation["id"])

    async def shown() -> Any:
        async with doctor.at(served.url) as http:
            return doctor.id in (await http.get("/realtime/presence")).json()["online"]

    async def hidden() -> Any:
        return not await shown()

    await until(hidden)
    await two.close()
    await until(shown)
    assert home.client.connected


@pytest.mark.parametrize("process", [0, 1])
async def test_who_comes_back_after_a_cut_is_not_missed(
    served: Served, peers: Peers, connect: Connect, process: int
) -> None:
    """The others' calls go on: no LEAVE, whether the cut is noticed before the peer is back, or after."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[0], consultation["id"])
    await two.cut()
    back = await _again(peers, doctor, served.urls[process], consultation["id"], two.id)
    await _reached(one, back)
    half_open = back
    back = await _again(peers, doctor, served.urls[process], consultation["id"], two.id)
    assert await half_open.ended()
    await _reached(one, back)
    elsewhere = await _again(peers, doctor, served.urls[1 - process], consultation["id"], two.id)
    await back.cut()
    await _reached(one, elsewhere)
    await elsewhere.send("ANSWER", one.id, {})
    assert await _told(one) == "ANSWER"
    await elsewhere.close()
    assert await _told(one) == "LEAVE"


async def test_who_does_not_come_back_has_left(served: Served, peers: Peers, connect: Connect) -> None:
    """The others are told, a little later."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[1], consultation["id"])
    await _reached(one, two)
    await two.cut()
    assert await _told(one) == "LEAVE"


async def _told(one: PeerSocket) -> str:
    """What kind of message comes next, but for what has expired on a slow machine."""
    while (kind := str((await one.next())["type"])) == "EXPIRE":
        pass
    return kind


async def _again(peers: Peers, person: Person, url: str, consultation: str, id: str) -> PeerSocket:
    given = await ticket(person, url, consultation, peer=id)
    socket = await peers.open(url, id, given["token"])
    assert await socket.next() == {"type": "OPEN"}
    return socket


async def _reached(one: PeerSocket, other: PeerSocket) -> None:
    """What the one says arrives at the other; another process's news may take a moment."""

    async def heard() -> bool:
        await one.send("CANDIDATE", other.id, {})
        try:
            return (await other.next(1))["type"] == "CANDIDATE"
        except TimeoutError:
            return False

    await until(heard)


async def test_a_peer_that_says_it_leaves_has_left(served: Served, peers: Peers, connect: Connect) -> None:
    """LEAVE without a receiver: the others of the consultation are told, and the socket is closed."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[1], consultation["id"])
    await _reached(one, two)
    await two.send("LEAVE")
    assert (await one.next())["type"] == "LEAVE"
    assert await two.ended()


async def test_a_ticket_that_has_run_out_lets_nobody_in(served: Served, peers: Peers, connect: Connect) -> None:
    """After its sixty seconds."""
    _, patient, _, _, consultation = await active(served, connect)
    given = await ticket(patient, served.url, consultation["id"])
    assert given["seconds"] <= 60
    past = {"$set": {"expires": datetime.now(UTC) - timedelta(seconds=1)}}
    await served.run(served.site.database.collection("tickets").update_many({"peer": given["peer"]}, past))
    late = await peers.open(served.url, given["peer"], given["token"])
    assert (await late.next())["type"] == "ERROR"
    assert await late.ended()


async def test_an_id_is_its_owners_before_during_and_after(served: Served, peers: Peers, connect: Connect) -> None:
    """Who knows the id of the other side cannot take it, whether it is connected or not."""
    doctor, patient, _, _, consultation = await active(served, connect)
    mine = await ticket(patient, served.url, consultation["id"])

    async def stolen() -> str:
        own = await ticket(doctor, served.url, consultation["id"])
        thief = await peers.open(served.urls[1], mine["peer"], own["token"])
        return str((await thief.next())["type"])

    assert await stolen() == "ERROR"
    one = await peers.open(served.url, mine["peer"], mine["token"])
    assert await one.next() == {"type": "OPEN"}
    assert await stolen() == "ERROR"
    await one.close()
    assert await stolen() == "ERROR"


async def test_what_waits_for_an_absent_peer_is_bounded(served: Served, peers: Peers, connect: Connect) -> None:
    """At most a hundred messages, which the peer gets in order when it comes."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.url, consultation["id"])
    given = await ticket(doctor, served.url, consultation["id"])
    for number in range(150):
        await one.send("CANDIDATE", given["peer"], {"number": number})
    two = await peers.open(served.url, given["peer"], given["token"])
    assert await two.next() == {"type": "OPEN"}
    got = [(await two.next())["payload"]["number"]]
    while not await _is_silent(two, got):
        pass
    assert got == list(range(len(got)))
    assert 0 < len(got) <= 100


async def _is_silent(two: PeerSocket, got: list[int]) -> bool:
    """Whether nothing more comes; what does is noted."""
    try:
        got.append((await two.next(5))["payload"]["number"])
    except TimeoutError:
        return True
    return False


async def _disable(served: Served, person: Person) -> None:
    await served.run(served.site.registration.disable_account(person.email))


async def _change_password(served: Served, person: Person) -> None:
    """What ends all of an account's tokens."""
    accounts = served.site.database.collection("accounts")
    await served.run(accounts.update_one({"_id": person.account}, {"$inc": {"epoch": 1}}))


async def _sign_out(served: Served, person: Person) -> None:
    caller = await served.run(served.site.authentication.caller(person.token))
    await served.run(served.site.sign_in.sign_out(caller, time.time() + 300))


@pytest.mark.parametrize("process", [0, 1])
@pytest.mark.parametrize(
    ("ending", "after"), [(_disable, "ended"), (_change_password, "active"), (_sign_out, "active")]
)
async def test_whose_sign_in_ends_is_put_out_of_the_call(
    served: Served,
    peers: Peers,
    connect: Connect,
    process: int,
    ending: Callable[[Served, Person], Awaitable[None]],
    after: str,
) -> None:
    """Within five seconds, on every process; an unused ticket lets nobody in; a disabled account's call is over."""
    doctor, patient, _, _, consultation = await active(served, connect)
    one = await peers.of(patient, served.urls[0], consultation["id"])
    two = await peers.of(doctor, served.urls[process], consultation["id"])
    unused = await ticket(doctor, served.url, consultation["id"])
    begun = time.monotonic()
    await ending(served, doctor)
    assert await two.ended()
    assert time.monotonic() - begun < 5
    with suppress(ConnectionClosed):
        assert (await one.next())["type"] == "LEAVE"
    late = await peers.open(served.url, unused["peer"], unused["token"])
    assert (await late.next())["type"] == "ERROR"
    async with patient.at(served.url) as http:
        path = f"/realtime/consultations/{consultation['id']}"

        async def is_so() -> bool:
            return bool((await http.get(path)).json()["state"] == after)

        await until(is_so, 5)
        encounter = (await http.get(f"/fhir/Encounter/{consultation['id']}")).json()
        assert encounter["status"] == ("finished" if after == "ended" else "in-progress")
