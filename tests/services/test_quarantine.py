"""What contradicts what is stored is kept, shown to the staff, and resolved so that it can be taken back."""

from __future__ import annotations

import asyncio
from secrets import randbelow
from typing import Any

import httpx
import pytest

from hayat_fhir.app import Site
from hayat_fhir.errors import Conflict, Forbidden, InvalidRequest, NotFound
from hayat_fhir.http_process import web_application
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import EVERYTHING
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.quarantine import Decision, Resolution
from hayat_fhir.store.partners import Partner
from hayat_fhir.store.quarantine import DEMOGRAPHICS, OTHER_BYTES, OTHER_PATIENT, Entry

from .test_imaging import DOCTOR, SYNTAX, encoded, ingest, item, peer, take

__all__ = ["ingest", "peer"]
STAFF = Caller(Role.STAFF, "s", "Practitioner/s", scopes=EVERYTHING["staff"])


async def push(
    ingest: Ingest, peer: Partner, study: str, uid: str | None = None, **attributes: Any
) -> tuple[Taken, str]:
    """Have an image of a study arrive; what became of it, and its UID."""
    if uid is not None:
        attributes["SOPInstanceUID"] = uid
    sop_class, made, data = encoded(study, f"{study}.1", **attributes)
    return await asyncio.to_thread(take, ingest, data, SYNTAX, sop_class, made, peer), made


def new_study() -> str:
    """A Study Instance UID."""
    return f"1.2.3.{randbelow(10**12)}"


async def waiting(site: Site) -> list[Entry]:
    """What waits for a decision."""
    return list(await site.quarantine.list(STAFF))


async def count(site: Site, study: str) -> int:
    """How many images the ImagingStudy tells of, once projected."""
    stored = await site.projection.project(study)
    assert stored is not None
    assert stored.resource is not None
    return int(stored.resource["numberOfInstances"])


async def test_an_image_of_another_patient_is_let_in_and_out_again(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Accepted: it is the study's patient's, as are others by that number. Reversed: all of them wait again."""
    study = new_study()
    assert (await push(ingest, peer, study))[0] is Taken.STORED
    taken, uid = await push(ingest, peer, study, PatientID="OTHER")
    assert taken is Taken.QUARANTINED
    assert await count(site, study) == 1
    (entry,) = await waiting(site)
    assert (entry.reason, entry.instance.uid, entry.instance.patient_id) == (OTHER_PATIENT, uid, "OTHER")

    (accepted,) = await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "two numbers, one person", entry.id))
    assert accepted.state == "accepted"
    assert (await push(ingest, peer, study, PatientID="OTHER"))[0] is Taken.STORED
    assert (await push(ingest, peer, study, uid, PatientID="OTHER"))[0] is Taken.KNOWN
    assert study in await site.instances.pending_studies(accepted.instance.received)
    assert await count(site, study) == 3
    assert {one.patient_id for one in await site.instances.of_study(study)} == {"1CT1"}

    await site.quarantine.resolve(STAFF, Resolution(Decision.REVERSE, "it was somebody else", entry.id))
    assert await count(site, study) == 1
    again = await waiting(site)
    assert {one.instance.patient_id for one in again} == {"OTHER"}
    assert len(again) == 2
    shown = await site.quarantine.get(STAFF, entry.id)
    assert [one["decision"] for one in shown.decisions] == ["accept", "reverse"]
    assert {one["by"] for one in shown.decisions} == {"Practitioner/s"}
    assert (await push(ingest, peer, study, PatientID="OTHER"))[0] is Taken.QUARANTINED


async def test_other_bytes_replace_what_is_there_and_are_taken_back(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Accepted: the new bytes are the image, the old ones are kept. Reversed: the old ones are the image again."""
    study = new_study()
    _, uid = await push(ingest, peer, study)
    assert (await push(ingest, peer, study, uid, StudyDescription="Other"))[0] is Taken.QUARANTINED
    before = await site.instances.get(uid)
    (entry,) = await waiting(site)
    assert entry.reason == OTHER_BYTES

    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "corrected by the sender", entry.id))
    after = await site.instances.get(uid)
    assert before is not None
    assert after is not None
    assert (after.sha256, after.admitted) == (entry.instance.sha256, entry.id)
    (old,) = await site.quarantine.list(STAFF, "superseded")
    assert old.instance.sha256 == before.sha256
    assert await count(site, study) == 1

    await site.quarantine.resolve(STAFF, Resolution(Decision.REVERSE, "it was not", entry.id))
    back = await site.instances.get(uid)
    assert back is not None
    assert (back.sha256, back.blob) == (before.sha256, before.blob)
    assert await site.quarantine.list(STAFF, "superseded") == []


async def test_demographics_that_disagree_wait(site: Site, peer: Partner, ingest: Ingest) -> None:
    """The same number with another name, sex or birth date waits; what is shortened or missing does not."""
    about = {
        "PatientID": f"P{new_study()}",
        "PatientName": "Doe^Jane^Q",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
    }
    assert (await push(ingest, peer, new_study(), **about))[0] is Taken.STORED
    for agreeing in (
        {"PatientName": "DOE^JANE"},
        {"PatientName": "Doe^J"},
        {"PatientName": "", "PatientSex": ""},
        {"PatientBirthDate": "19700000"},
    ):
        assert (await push(ingest, peer, new_study(), **{**about, **agreeing}))[0] is Taken.STORED
    for disagreeing, what in (
        ({"PatientName": "Roe^Jane"}, "name"),
        ({"PatientSex": "M"}, "sex"),
        ({"PatientBirthDate": "19700102"}, "birth_date"),
    ):
        study = new_study()
        assert (await push(ingest, peer, study, **{**about, **disagreeing}))[0] is Taken.QUARANTINED
        (entry,) = await site.quarantine.list(STAFF, study=study)
        assert (entry.reason, entry.differs) == (DEMOGRAPHICS, (what,))
    assert len(await waiting(site)) == 3


async def test_accepted_demographics_are_not_asked_again(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A name that the staff has accepted is let in from then on, until that is taken back."""
    about = {"PatientID": f"P{new_study()}", "PatientName": "Doe^Jane"}
    await push(ingest, peer, new_study(), **about)
    married = {**about, "PatientName": "Roe^Jane"}
    study = new_study()
    await push(ingest, peer, study, **married)
    await push(ingest, peer, study, **married)
    done = await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "married", study=study))
    assert len(done) == 2
    assert await count(site, study) == 2
    other = new_study()
    assert (await push(ingest, peer, other, **married))[0] is Taken.STORED
    assert await count(site, other) == 1
    await site.quarantine.resolve(STAFF, Resolution(Decision.REVERSE, "another person", study=study))
    assert await site.instances.of_study(study) == []
    assert (await push(ingest, peer, new_study(), **married))[0] is Taken.QUARANTINED


async def test_the_patient_on_record_decides(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Images that do not describe the patient whom the site knows by their number do not become that patient's."""
    number = f"P{new_study()}"
    identifier = {"system": peer.patient_id_system, "value": number}
    known = {"resourceType": "Patient", "identifier": [identifier], "name": [{"family": "Doe", "given": ["Jane"]}]}
    patient = (await site.interactions.create(Caller(Role.SITE, "test"), "Patient", known)).stored
    study = new_study()
    await push(ingest, peer, study, PatientID=number, PatientName="Smith^Peter")
    assert await site.projection.project(study) is None
    (entry,) = await waiting(site)
    assert (entry.reason, entry.differs) == (DEMOGRAPHICS, ("name",))
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "alias", entry.id))
    stored = await site.projection.project(study)
    assert stored is not None
    assert stored.compartments == (patient.reference,)


async def test_a_study_without_images_left_says_so(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Once its only image is taken out again, a study counts none and is marked as entered in error."""
    about = {"PatientID": f"P{new_study()}", "PatientName": "Doe^Jane"}
    await push(ingest, peer, new_study(), **about)
    study = new_study()
    await push(ingest, peer, study, **{**about, "PatientName": "Smith^Peter"})
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "alias", study=study))
    assert await count(site, study) == 1
    await site.quarantine.resolve(STAFF, Resolution(Decision.REVERSE, "no", study=study))
    stored = await site.projection.project(study)
    assert stored is not None
    assert stored.resource is not None
    assert (stored.resource["status"], stored.resource["numberOfInstances"]) == ("entered-in-error", 0)
    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "yes", study=study))
    assert await count(site, study) == 1


async def test_decisions_need_staff_a_reason_and_something_to_decide(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Everybody else is refused, as are decisions without a reason, twice, or about nothing."""
    study = new_study()
    await push(ingest, peer, study)
    await push(ingest, peer, study, PatientID="OTHER")
    (entry,) = await waiting(site)
    for caller in (DOCTOR, Caller(Role.PATIENT, "p", scopes=EVERYTHING["patient"]), Caller(Role.STAFF, "s")):
        with pytest.raises(Forbidden):
            await site.quarantine.list(caller)
        with pytest.raises(Forbidden):
            await site.quarantine.resolve(caller, Resolution(Decision.ACCEPT, "x", entry.id))
    with pytest.raises(InvalidRequest):
        await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, " ", entry.id))
    with pytest.raises(InvalidRequest):
        await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "x"))
    with pytest.raises(NotFound):
        await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "x", "nothing"))
    await site.quarantine.resolve(STAFF, Resolution(Decision.REJECT, "x", entry.id))
    with pytest.raises(Conflict):
        await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "x", entry.id))
    assert (await push(ingest, peer, study, entry.instance.uid, PatientID="OTHER"))[0] is Taken.QUARANTINED
    await site.quarantine.resolve(STAFF, Resolution(Decision.REVERSE, "x", entry.id))
    assert [one.id for one in await waiting(site)] == [entry.id]
    audited = await site.searching.search(STAFF, "AuditEvent", [("subtype", "urn:hayat:audit|quarantine")])
    outcomes = [found.resource["outcome"] for found in audited.matches if found.resource]
    assert "4" in outcomes
    assert "0" in outcomes


async def test_as_tasks_over_http(site: Site, peer: Partner, ingest: Ingest) -> None:
    """An entry is a Task with its UIDs, number and reason; resolved by POST; pages follow one another."""
    study = new_study()
    await push(ingest, peer, study)
    for _ in range(3):
        await push(ingest, peer, study, PatientID="OTHER")
    staff = await site.registration.account(Role.STAFF, "s@site.example", "S", "Tz7!kQ9#vL2@wX5$")
    headers = {"Authorization": f"Bearer {site.authorization.token_for_account(staff)}"}
    transport = httpx.ASGITransport(web_application(site))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:1", headers=headers) as client:
        found: list[dict[str, Any]] = []
        url: str | None = "/fhir/$quarantine?_count=2"
        while url is not None:
            page = (await client.get(url)).json()
            found += [entry["resource"] for entry in page["entry"]]
            url = page["link"][0]["url"] if "link" in page else None
        assert len({task["id"] for task in found}) == 3
        assert {task["status"] for task in found} == {"requested"}
        assert {task["reasonCode"]["text"] for task in found} == {OTHER_PATIENT}
        assert found[0]["requester"] == {"reference": f"Organization/{peer.id}"}
        assert found[0]["for"]["identifier"] == {"system": peer.patient_id_system, "value": "OTHER"}
        one = f"/fhir/$quarantine?decision=reject&reason=wrong&id={found[0]['id']}"
        resolved = (await client.post(one)).json()["entry"][0]["resource"]
        assert resolved["status"] == "rejected"
        assert resolved["note"][0]["text"] == "reject: wrong"
        assert (await client.post(one)).status_code == 409
        shown = (await client.get(f"/fhir/$quarantine?id={found[0]['id']}")).json()
        assert shown == resolved
        all_of = {"decision": "accept", "reason": "same person", "study": study}
        parameters = [{"name": name, "valueString": value} for name, value in all_of.items()]
        done = await client.post("/fhir/$quarantine", json={"resourceType": "Parameters", "parameter": parameters})
        assert [entry["resource"]["status"] for entry in done.json()["entry"]] == ["completed"] * 2
    assert await count(site, study) == 3


async def test_one_number_of_two_hospitals_is_two_patients(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A bare number joins nobody: what each sender means is told by its own system, or by a universal issuer."""
    system = "https://other.example/patient"
    other = await site.registration.partner(
        PartnerDetails(name="O", ae_title="O", host="127.0.0.1", port=105, patient_id_system=system)
    )
    about = {"PatientID": f"P{new_study()}", "PatientName": "Doe^Jane"}
    studies = [new_study() for _ in range(4)]
    issuer = item(UniversalEntityID="1.2.3.4", UniversalEntityIDType="ISO")
    await push(ingest, peer, studies[0], **about)
    await push(ingest, other, studies[1], **{**about, "PatientName": "Smith^Peter"})
    for sender, study in ((peer, studies[2]), (other, studies[3])):
        await push(ingest, sender, study, **about, IssuerOfPatientIDQualifiersSequence=[issuer])
    patients = []
    for study in studies:
        stored = await site.projection.project(study)
        assert stored is not None
        patients.append(stored.compartments[0])
    assert len(set(patients)) == 3
    assert patients[2] == patients[3]
    assert await waiting(site) == []
