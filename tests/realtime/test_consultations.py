"""A consultation from the ring to the end, over the older app's events and over the JSON routes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.realtime.conftest import Browser, Connect, Person, Served, serving, until
from tests.realtime.peerjs import PeerSocket


async def ringing(served: Served, connect: Connect) -> tuple[Person, Person, Browser, Browser]:
    """A doctor who is online, and a patient; both connected, each to another process."""
    doctor, patient = await served.person("doctor"), await served.person("patient")
    practice, home = await connect(doctor, served.urls[1]), await connect(patient)
    await home.call("get-online-doctor", home.sid)
    await practice.call("online-user", practice.sid, doctor.id)
    await home.told("updateDoctorList", lambda shown: doctor.id in shown)
    return doctor, patient, practice, home


async def active(served: Served, connect: Connect) -> tuple[Person, Person, Browser, Browser, dict[str, Any]]:
    """The same in an active consultation, begun over the JSON routes."""
    doctor, patient, practice, home = await ringing(served, connect)
    async with patient.at(served.url) as http:
        begun = await http.post("/realtime/consultations", json={"doctor": doctor.id})
    assert begun.status_code == 201, begun.text
    id = begun.json()["id"]
    await practice.told("consultation", lambda told: told["id"] == id and told["state"] == "ringing")
    async with doctor.at(served.urls[1]) as http:
        accepted = await http.post(f"/realtime/consultations/{id}/accept")
    assert accepted.status_code == 200, accepted.text
    await home.told("consultation", lambda told: told["id"] == id and told["state"] == "active")
    return doctor, patient, practice, home, accepted.json()


async def test_the_older_app_calls_and_talks(served: Served, connect: Connect) -> None:
    """call, retrieve, answerCall, retrieveCall, join-room, message: in the vocabulary that it has."""
    doctor, patient, practice, home = await ringing(served, connect)
    await home.emit("call", practice.sid, {"from": home.sid, "url": doctor.id, "patient": patient.id})
    assert await home.told("availableCall") == [True]
    (message,) = await practice.told("retrieve")
    assert message == {"from": home.sid, "url": doctor.id, "patient": patient.id}
    await practice.emit("answerCall", message["from"], True)
    assert await home.told("retrieveCall") == [True]
    assert (await practice.call("join-room", doctor.id, None))["ok"]
    await home.told("updateDoctorList", lambda shown: doctor.id not in shown)
    assert (await home.call("join-room", doctor.id, None))["ok"]
    peer, who = await practice.told("user-connected")
    assert (peer, who["id"]) == (home.sid, patient.id)
    await home.emit("message", "Good morning")
    assert await practice.told("createMessage") == ["Good morning", patient.id]
    await home.client.disconnect()
    assert (await practice.told("user-disconnected"))[0] == peer


async def test_a_doctor_who_is_rung_or_talks_is_not_free(served: Served, connect: Connect) -> None:
    """The second caller hears so; after the end the doctor is online again."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    second = await connect(await served.person("patient"))
    answer = await second.call("call", practice.sid, {"from": second.sid, "url": doctor.id})
    assert (answer["ok"], answer["code"]) == (False, "conflict")
    assert await second.told("availableCall") == [False]
    assert (await practice.call("join-room", consultation["id"], None))["ok"]
    await second.call("get-online-doctor", second.sid)
    await second.told("updateDoctorList", lambda shown: doctor.id not in shown)
    async with patient.at(served.url) as http:
        ended = await http.post(f"/realtime/consultations/{consultation['id']}/end")
    assert ended.json()["state"] == "ended"
    await second.told("updateDoctorList", lambda shown: doctor.id in shown)
    assert home.client.connected


async def test_a_consultation_is_an_encounter(served: Served, connect: Connect) -> None:
    """Virtual, with participants and period; a report written in it is found by it."""
    doctor, patient, _, _, consultation = await active(served, connect)
    id = consultation["id"]
    assert consultation["encounter"] == f"Encounter/{id}"
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "Consultation"},
        "subject": {"reference": f"Patient/{patient.id}"},
        "encounter": {"reference": f"Encounter/{id}"},
    }
    async with doctor.at(served.url) as http, patient.at(served.url) as own:
        encounter = (await own.get(f"/fhir/Encounter/{id}")).json()
        assert (encounter["status"], encounter["class"]["code"]) == ("in-progress", "VR")
        assert encounter["subject"]["reference"] == f"Patient/{patient.id}"
        assert encounter["participant"][0]["individual"]["reference"] == f"Practitioner/{doctor.id}"
        assert "start" in encounter["period"]
        assert (await http.post("/fhir/DiagnosticReport", json=report)).status_code == 201
        await own.post(f"/realtime/consultations/{id}/end")
        encounter = (await http.get(f"/fhir/Encounter/{id}")).json()
        assert (encounter["status"], "end" in encounter["period"]) == ("finished", True)
        found = (await own.get("/fhir/DiagnosticReport", params={"encounter": f"Encounter/{id}"})).json()
        assert len(found["entry"]) == 1
        listed = (await own.get("/realtime/consultations", params={"state": "ended"})).json()
        assert [one["id"] for one in listed["consultations"]] == [id]


async def test_a_record_of_the_older_app_belongs_to_the_running_consultation(served: Served, connect: Connect) -> None:
    """Which names none: it is of the consultation with this patient; one of another patient is of none."""
    doctor, patient, _, _, consultation = await active(served, connect)
    other = await served.person("patient")
    record = {
        "doctor": doctor.id,
        "illness": "Cold",
        "history": "A week.",
        "peDiagnosis": "Mild.",
        "treatment": "Rest.",
    }
    async with doctor.at(served.url) as http:

        async def encounter(of: Person) -> str | None:
            answer = await http.post("/api/v1/medicalRecord/", json=record | {"patient": of.id})
            assert answer.status_code == 201, answer.text
            report = (await http.get(f"/fhir/DiagnosticReport/{answer.json()['data']['id']}")).json()
            found: str | None = report.get("encounter", {}).get("reference")
            return found

        assert await encounter(patient) == f"Encounter/{consultation['id']}"
        assert await encounter(other) is None
        await http.post(f"/realtime/consultations/{consultation['id']}/end")
        assert await encounter(patient) is None


async def test_declined_and_cancelled_calls_leave_no_encounter(served: Served, connect: Connect) -> None:
    """And free both sides."""
    doctor, patient, practice, home = await ringing(served, connect)
    async with doctor.at(served.url) as practitioner, patient.at(served.url) as http:
        first = (await http.post("/realtime/consultations", json={"doctor": doctor.id})).json()
        assert (await practitioner.post(f"/realtime/consultations/{first['id']}/decline")).status_code == 200
        await home.told("consultation", lambda told: told["state"] == "declined")
        assert await home.told("retrieveCall") == [False]
        second = (await http.post("/realtime/consultations", json={"doctor": doctor.id})).json()
        assert (await http.post(f"/realtime/consultations/{second['id']}/end")).json()["state"] == "cancelled"
        await practice.told("consultation", lambda told: told["state"] == "cancelled")
        assert (await practitioner.post(f"/realtime/consultations/{second['id']}/accept")).status_code == 409
        for id in (first["id"], second["id"]):
            assert (await practitioner.get(f"/fhir/Encounter/{id}")).status_code == 404


async def test_strangers_neither_see_nor_join(served: Served, connect: Connect) -> None:
    """Another doctor and another patient: as if there were no such consultation."""
    doctor, _, _, _, consultation = await active(served, connect)
    for role in ("doctor", "patient"):
        stranger = await served.person(role)
        browser = await connect(stranger)
        for room in (consultation["id"], doctor.id):
            assert (await browser.call("join-room", room, None))["code"] == "not-found"
        async with stranger.at(served.url) as http:
            path = f"/realtime/consultations/{consultation['id']}"
            assert (await http.get(path)).status_code == 404
            for verb in ("accept", "decline", "end"):
                assert (await http.post(f"{path}/{verb}")).status_code == 404
            ticket = await http.post("/realtime/tickets", json={"consultation": consultation["id"]})
            assert ticket.status_code == 404


async def test_an_invited_doctor_may_join(served: Served, connect: Connect) -> None:
    """On the doctor's word, becomes a participant of the Encounter, and is announced to both sides."""
    doctor, patient, practice, home, consultation = await active(served, connect)
    consultant = await served.person("doctor")
    browser = await connect(consultant)
    await browser.call("online-user")
    path = f"/realtime/consultations/{consultation['id']}"
    async with doctor.at(served.url) as http, patient.at(served.url) as own:
        assert (await own.post(f"{path}/invite", json={"doctor": consultant.id})).status_code == 403

        async def invited() -> bool:
            return (await http.post(f"{path}/invite", json={"doctor": consultant.id})).status_code == 200

        await until(invited)
        encounter = (await http.get(f"/fhir/Encounter/{consultation['id']}")).json()
    assert len(encounter["participant"]) == 2
    await browser.told("consultation")
    for member in (practice, home):
        assert (await member.call("join-room", consultation["id"], None))["ok"]
        member.forget()
    joined = await browser.call("join-room", consultation["id"], None)
    assert {(other["peer"], other["id"]) for other in joined["others"]} == {
        (practice.sid, doctor.id),
        (home.sid, patient.id),
    }
    for member in (practice, home):
        _, who = await member.told("user-connected", lambda _, who: who["id"] == consultant.id)
        assert who["role"] == "doctor"
    async with consultant.at(served.url) as http:
        assert (await http.post(f"{path}/decline")).status_code == 409


async def test_an_invited_doctor_may_decline(served: Served, connect: Connect) -> None:
    """Then they are no member any more, also not by a ticket, nor a participant; and can be invited once more."""
    doctor, patient, practice, _, consultation = await active(served, connect)
    consultant = await served.person("doctor")
    browser = await connect(consultant)
    await browser.call("online-user")
    path = f"/realtime/consultations/{consultation['id']}"
    async with doctor.at(served.url) as http, consultant.at(served.url) as own, patient.at(served.url) as side:

        async def invited() -> bool:
            return (await http.post(f"{path}/invite", json={"doctor": consultant.id})).status_code == 200

        await until(invited)
        await practice.told("consultation", lambda told: [one["id"] for one in told["invited"]] == [consultant.id])
        await browser.told("consultation", lambda told: len(told["invited"]) == 1)
        ticket = (await own.post("/realtime/tickets", json={"consultation": consultation["id"]})).json()
        assert (await side.post(f"{path}/decline")).status_code == 403
        assert (await own.post(f"{path}/decline")).json()["invited"] == []
        for member in (practice, browser):
            await member.told("consultation", lambda told: told["invited"] == [])
        assert (await own.get(path)).status_code == 404
        assert (await browser.call("join-room", consultation["id"], None))["code"] == "not-found"
        late = await PeerSocket.open(served.url, ticket["peer"], ticket["token"])
        assert (await late.next())["type"] == "ERROR"
        await late.close()
        assert len((await http.get(f"/fhir/Encounter/{consultation['id']}")).json()["participant"]) == 1
        await until(invited)


async def test_after_the_end_nobody_joins(served: Served, connect: Connect) -> None:
    """Neither room nor ticket."""
    doctor, _, practice, _, consultation = await active(served, connect)
    async with doctor.at(served.url) as http:
        await http.post(f"/realtime/consultations/{consultation['id']}/end")
        ticket = await http.post("/realtime/tickets", json={"consultation": consultation["id"]})
        assert ticket.status_code == 409
    assert (await practice.call("join-room", consultation["id"], None))["code"] == "conflict"


async def test_staff_and_partners_do_not_call(served: Served, connect: Connect) -> None:
    """Only a patient rings a doctor."""
    doctor, _, practice, _ = await ringing(served, connect)
    for role in ("staff", "doctor"):
        other = await served.person(role)
        async with other.at(served.url) as http:
            refused = await http.post("/realtime/consultations", json={"doctor": doctor.id})
        assert refused.status_code == 403
        browser = await connect(other)
        assert (await browser.call("call", practice.sid, {}))["code"] == "forbidden"


async def test_malformed_bodies_are_refused(served: Served) -> None:
    """With an OperationOutcome that says where, not what."""
    patient = await served.person("patient")
    async with patient.at(served.url) as http:
        for content in (b"", b"[]", b"{", b'{"doctor": 1}', b'{"doctor": "x", "more": 1}', b"{" + b" " * 10_000 + b"}"):
            answer = await http.post("/realtime/consultations", content=content)
            assert answer.status_code in {400, 413}, content[:20]
            assert answer.json()["resourceType"] == "OperationOutcome"
        assert (await http.get("/realtime/consultations/nothing")).status_code == 404
        assert (await http.get("/realtime/nothing")).status_code == 404
        http.headers.pop("authorization")
        assert (await http.get("/realtime/presence")).status_code == 401


async def test_ice_servers_are_the_sites_own(mongodb_url: str, tmp_path: Path) -> None:
    """With TURN credentials that end, and do not name the account."""
    urls = ("stun:127.0.0.1:3478", "turn:127.0.0.1:3478")
    with serving(mongodb_url, tmp_path / "site", ice_urls=urls, ice_secret=SecretStr("s" * 24)) as served:
        patient = await served.person("patient")
        async with patient.at(served.url) as http:
            ice = (await http.get("/realtime/ice")).json()
    stun, turn = ice["iceServers"]
    assert stun == {"urls": ["stun:127.0.0.1:3478"]}
    assert turn["urls"] == ["turn:127.0.0.1:3478"]
    assert patient.account not in turn["username"]
    assert (ice["iceTransportPolicy"], ice["seconds"]) == ("all", 14400)


async def test_who_reads_of_consultations_is_written_down(served: Served, connect: Connect) -> None:
    """The list and one of them: the patient finds both in what was accessed of them."""
    doctor, patient, _, _, consultation = await active(served, connect)
    reference = f"Practitioner/{doctor.id}"

    async def told() -> list[str]:
        async with patient.at(served.url) as http:
            params = {"patient": patient.id, "agent": reference, "entity": f"Encounter/{consultation['id']}"}
            found = (await http.get("/fhir/AuditEvent", params=params)).json()
        return sorted(entry["resource"]["subtype"][0]["code"] for entry in found.get("entry", ()))

    before = await told()
    async with doctor.at(served.urls[1]) as http:
        assert (await http.get("/realtime/consultations")).status_code == 200
        assert (await http.get(f"/realtime/consultations/{consultation['id']}")).status_code == 200
    assert await told() == sorted([*before, "read", "search-type"])
