"""Who is online, as patients and doctors see it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
import socketio
import websockets

from hayat_fhir.security.tokens import issue_access
from hayat_fhir.store.presence import Connected, PresenceRows
from tests.realtime.conftest import Connect, Person, Served, until


async def test_a_doctor_who_switches_on_is_shown_to_the_patients(served: Served, connect: Connect) -> None:
    """In the older app's words: the whole list with sockets, now and at every change."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    watching = await connect(patient)
    await watching.emit("get-online-doctor", watching.sid)
    (shown,) = await watching.told("updateDoctorList")
    assert doctor.id not in shown
    practice = await connect(doctor)
    await practice.emit("online-user", practice.sid, doctor.id)
    (shown,) = await watching.told("updateDoctorList", lambda shown: doctor.id in shown)
    assert shown[doctor.id] == [practice.sid]
    watching.forget()
    await practice.client.disconnect()
    await watching.told("updateDoctorList", lambda shown: doctor.id not in shown)


async def test_watchers_are_told_what_changes(served: Served, connect: Connect) -> None:
    """In the newer app's words, on another process than the doctor's."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    watching = await connect(patient, served.urls[1])
    known = await watching.call("watch-presence")
    assert known["ok"]
    assert doctor.id not in known["online"]
    practice = await connect(doctor)
    assert (await practice.call("online-user"))["ok"]
    await watching.told("presence", lambda change: doctor.id in change["online"])
    assert (await practice.call("offline-user"))["ok"]
    await watching.told("presence", lambda change: doctor.id in change["offline"])


async def test_a_doctor_stays_online_while_one_tab_is_left(served: Served, connect: Connect) -> None:
    """Several sockets of one doctor are one doctor online."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    watching = await connect(patient)
    await watching.call("get-online-doctor", watching.sid)
    tabs = [await connect(doctor, served.urls[0]), await connect(doctor, served.urls[1])]
    for tab in tabs:
        await tab.call("online-user", tab.sid, doctor.id)
    await watching.told("updateDoctorList", lambda shown: len(shown.get(doctor.id, ())) == 2)
    watching.forget()
    await tabs[0].client.disconnect()
    (shown,) = await watching.told("updateDoctorList", lambda shown: len(shown.get(doctor.id, ())) == 1)
    assert shown[doctor.id] == [tabs[1].sid]


async def test_what_a_dead_process_has_left_is_removed(served: Served) -> None:
    """Rows of a process without a lease are nobody's: no ghost stays online."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    rows = PresenceRows(served.site.database)
    ghost = _ghost(doctor)
    await served.run(rows.renew("dead"))
    await served.run(rows.put(ghost))
    async with patient.at(served.url) as http:

        async def shown() -> bool:
            return doctor.id in (await http.get("/realtime/presence")).json()["online"]

        await until(shown)
        await served.run(served.site.database.collection("presence_processes").delete_one({"_id": "dead"}))

        async def hidden() -> bool:
            return not await shown()

        await until(hidden)


def _ghost(doctor: Person) -> Connected:
    reference = f"Practitioner/{doctor.id}"
    return Connected("ghost", "socket", "dead", doctor.account, reference, "Ghost", "doctor", online=True)


async def test_nobody_else_goes_online_and_payloads_name_nobody(served: Served, connect: Connect) -> None:
    """A patient is no doctor; another doctor's id in a payload changes nothing, and is audited."""
    doctor, victim, patient = (
        await served.person("doctor"),
        await served.person("doctor"),
        await served.person("patient"),
    )
    practice, watching = await connect(doctor), await connect(patient)
    await watching.call("get-online-doctor", watching.sid)
    refused = await watching.call("online-user", watching.sid, victim.id)
    assert (refused["ok"], refused["code"]) == (False, "forbidden")
    await practice.call("online-user", practice.sid, victim.id)
    (shown,) = await watching.told("updateDoctorList", lambda shown: doctor.id in shown)
    assert victim.id not in shown
    assert await denials(served, doctor.id)
    assert await denials(served, patient.id)


async def denials(served: Served, id: str) -> int:
    """How many refusals have been audited for somebody."""
    found = served.site.database.collection("AuditEvent").count_documents(
        {
            "resource.subtype.code": "110132",
            "resource.agent.who.reference": {"$in": [f"Practitioner/{id}", f"Patient/{id}"]},
        }
    )
    return int(await served.run(found))


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"])
async def test_no_socket_without_a_valid_token(served: Served, connect: Connect, token: str | None) -> None:
    """Neither missing nor malformed."""
    with pytest.raises(socketio.exceptions.ConnectionError):
        await connect(token, served.url)


async def test_a_token_in_the_url_does_not_count(served: Served, connect: Connect) -> None:
    """It would stand in logs."""
    patient = await served.person("patient")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await connect(None, f"{served.url}/?token={patient.token}")


async def test_a_connection_that_presents_no_token_is_closed(served: Served) -> None:
    """After ten seconds (Engine.IO's packet 1), whether it is silent or probes namespaces."""
    where = f"{served.url.replace('http', 'ws', 1)}/socket.io/?EIO=4&transport=websocket"
    async with websockets.connect(where, proxy=None) as socket:
        await socket.recv()
        for namespace in ("/admin", "/other"):
            await socket.send(f"40{namespace},")
            assert str(await socket.recv()).startswith("44")
        async with asyncio.timeout(60):
            while (packet := await socket.recv()) != "1":
                assert packet == "2"


async def test_a_foreign_page_gets_no_socket(served: Served, connect: Connect) -> None:
    """Whatever token it has; the site's own page does."""
    patient = await served.person("patient")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await connect(patient, headers={"Origin": "https://evil.example"})
    async with patient.at(served.url) as http:
        query = {"EIO": "4", "transport": "polling"}
        answer = await http.get("/socket.io/", params=query, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 400
    browser = await connect(patient, headers={"Origin": served.url})
    assert browser.client.connected


async def test_polling_works_in_a_single_process(served: Served, connect: Connect) -> None:
    """The older app begins with it, and upgrades."""
    patient = await served.person("patient")
    browser = await connect(patient, transports=("polling", "websocket"))
    assert (await browser.call("watch-presence"))["ok"]


async def test_a_disabled_account_is_disconnected_within_five_seconds(served: Served, connect: Connect) -> None:
    """On whatever process it is."""
    doctor = await served.person("doctor")
    browser = await connect(doctor, served.urls[1])
    await served.run(served.site.registration.disable_account(doctor.email))
    await until(lambda: not browser.client.connected)


async def test_signing_out_ends_the_socket_of_that_token(served: Served, connect: Connect) -> None:
    """And no other of the account."""
    doctor = await served.person("doctor")
    leaving = await _short(served, doctor, 300)
    first, second = await connect(leaving), await connect(doctor)
    caller = await served.run(served.site.authentication.caller(leaving.token))
    await served.run(served.site.sign_in.sign_out(caller, time.time() + 300))
    await until(lambda: not first.client.connected)
    assert second.client.connected


async def test_an_expired_token_ends_the_socket_unless_it_is_refreshed(served: Served, connect: Connect) -> None:
    """The server says so before; only a token of the same account goes on."""
    doctor, other = await served.person("doctor"), await served.person("doctor")
    first, second = await connect(await _short(served, doctor)), await connect(await _short(served, doctor))
    await first.told("token-expiring")
    assert not (await first.call("refresh", {"token": other.token}))["ok"]
    assert (await first.call("refresh", {"token": doctor.token}))["ok"]
    await until(lambda: not second.client.connected)
    assert first.client.connected


async def _short(served: Served, person: Person, ttl: int = 4) -> Person:
    token = issue_access(
        served.site.keys,
        issuer=served.site.settings.site_url,
        subject=person.account,
        role=person.role,
        scopes=["user/*.cruds"],
        ttl=ttl,
    )
    return replace(person, token=token)


async def test_a_flood_of_events_ends_the_socket(served: Served, connect: Connect) -> None:
    """And nobody else's."""
    patient, doctor = await served.person("patient"), await served.person("doctor")
    flooding, other = await connect(patient), await connect(doctor)
    for _ in range(500):
        if not flooding.client.connected:
            break
        await flooding.emit("get-online-doctor", "x")
        await asyncio.sleep(0)
    await until(lambda: not flooding.client.connected)
    assert (await other.call("watch-presence"))["ok"]


async def test_a_message_too_long_ends_the_socket(served: Served, connect: Connect) -> None:
    """One megabyte is not an event."""
    browser = await connect(await served.person("patient"))
    await browser.emit("message", "x" * 2**20)
    await until(lambda: not browser.client.connected)


async def test_unknown_events_and_wrong_payloads_are_answered(served: Served, connect: Connect) -> None:
    """With a code, never with a fault."""
    browser = await connect(await served.person("doctor"))
    assert (await browser.call("no-such-event", 1))["code"] == "not-supported"
    for payload in ((), (1, 2), ({"a": []}, None), (["x"], {"y": 1})):
        for event in ("call", "answerCall", "join-room", "message", "refresh"):
            answer = await browser.call(event, *payload)
            assert answer["ok"] is False
            assert answer["code"] != "exception", (event, payload)
