"""The legacy documents as the frontend reads and writes them, and the same seen through /fhir."""

from __future__ import annotations

import httpx

from tests.api_v1.conftest import (
    Person,
    RunningSite,
    doctor_document,
    patient_document,
    record_document,
    signed_in,
    staff_document,
)


def test_a_patient_registers_and_reads_themselves(site: RunningSite, anonymous: httpx.Client) -> None:
    """Everything that was sent but the password comes back, and stands in FHIR as Patient, allergy and observation."""
    document = patient_document()
    answer = anonymous.post("/patient/register", json=document)
    assert answer.status_code == 201, answer.text
    registered = answer.json()["data"]
    shown = {name: value for name, value in document.items() if name != "password"}
    shown["birthdate"] = "1990-04-30T00:00:00.000Z"
    assert registered == {**shown, "_id": registered["_id"], "id": registered["_id"]}
    person = signed_in(site, anonymous, "patient", str(document["email"]))
    assert person.id == registered["_id"]
    read = person.http.get(f"/patient/{person.id}").json()
    assert read["status"] == "success"
    assert read["data"] == registered
    resource = person.fhir.get(f"/Patient/{person.id}").json()
    assert resource["gender"] == "female"
    assert resource["birthDate"] == "1990-04-30"
    blood = person.fhir.get(f"/Observation?patient={person.id}&code=http://loinc.org|883-9").json()
    assert blood["entry"][0]["resource"]["valueCodeableConcept"]["coding"][0]["code"] == "LA28449-9"
    allergies = person.fhir.get(f"/AllergyIntolerance?patient={person.id}").json()
    assert [entry["resource"]["code"] for entry in allergies["entry"]] == [{"text": "penicillin"}]


def test_a_patient_changes_themselves(patient: Person) -> None:
    """What is named changes, what is not stays; null takes a field away; the identity card is the site's."""
    answer = patient.http.put(
        f"/patient/{patient.id}", json={"phone": "+20 1", "allergy": "latex", "relative": {"name": "Laila Example"}}
    )
    assert answer.status_code == 200, answer.text
    changed = answer.json()["data"]["patient"]
    assert (changed["phone"], changed["allergy"], changed["bloodType"]) == ("+20 1", "latex", "AB")
    assert changed["relative"] == {
        "name": "Laila Example",
        "phoneNumber": "+20 100 000 0001",
        "relativeType": "brother",
    }
    cleared = patient.http.put(f"/patient/{patient.id}", json={"allergy": None, "bloodType": None}).json()
    assert "allergy" not in cleared["data"]["patient"]
    assert "bloodType" not in cleared["data"]["patient"]
    assert patient.http.put(f"/patient/{patient.id}", json={"IDcard": 1}).status_code == 403
    assert patient.http.get(f"/patient/{patient.id}").json()["data"]["phone"] == "+20 1"


def test_an_update_keeps_what_the_document_does_not_know(patient: Person, doctor: Person, site: RunningSite) -> None:
    """Extensions, other numbers and what a laboratory found survive; the laboratory prevails."""
    token = site.run(_site_writes(site, patient.id))
    assert token
    answer = patient.http.put(f"/patient/{patient.id}", json={"phone": "+20 2"})
    assert answer.status_code == 200, answer.text
    resource = patient.fhir.get(f"/Patient/{patient.id}").json()
    assert resource["extension"] == [{"url": "http://example.org/x", "valueString": "kept"}]
    assert {"system": "http://example.org/mrn", "value": f"mrn-{patient.id}"} in resource["identifier"]
    assert resource["telecom"][-1] == {"system": "fax", "value": "+20 9"}
    assert answer.json()["data"]["patient"]["bloodType"] == "O"
    refused = patient.http.put(f"/patient/{patient.id}", json={"bloodType": "A"})
    assert refused.status_code == 409
    assert doctor.http.get(f"/patient/{patient.id}").json()["data"]["bloodType"] == "O"


async def _site_writes(site: RunningSite, id: str) -> bool:
    from hayat_fhir.security.callers import Caller, Role

    caller = Caller(Role.SITE, "test")
    stored = await site.opened.interactions.read(caller, "Patient", id)
    resource = dict(stored.resource or {})
    resource["extension"] = [{"url": "http://example.org/x", "valueString": "kept"}]
    resource["identifier"] = [*resource["identifier"], {"system": "http://example.org/mrn", "value": f"mrn-{id}"}]
    resource["telecom"] = [*resource["telecom"], {"system": "fax", "value": "+20 9"}]
    await site.opened.interactions.update(caller, "Patient", id, resource)
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "883-9"}]},
        "subject": {"reference": f"Patient/{id}"},
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "58460004"}]},
    }
    await site.opened.interactions.create(caller, "Observation", observation)
    return True


def test_a_doctor_is_added_and_changed(
    site: RunningSite, anonymous: httpx.Client, staff: Person, patient: Person, specialization: str
) -> None:
    """The specialization is shown whole, the hospital is an Organization that is shared by its name."""
    document = doctor_document(specialization)
    created = staff.http.post("/doctor/", json=document).json()["data"]
    assert created["specialization"] == {
        "_id": specialization,
        "id": specialization,
        "specialization": "Radiology",
        "detail": "Images of the body",
    }
    assert created["photo"] == f"{site.url}/api/v1/photo/default"
    assert "password" not in created
    person = signed_in(site, anonymous, "doctor", document["email"])
    answer = person.http.put(f"/doctor/{person.id}", json={"hospital": "Other Hospital", "background": "Elsewhere"})
    assert answer.status_code == 200, answer.text
    changed = answer.json()["data"]
    assert (changed["hospital"], changed["background"]) == ("Other Hospital", "Elsewhere")
    assert changed["_id"] == created["_id"]
    person.http.put(f"/doctor/{person.id}", json={"hospital": "Test Hospital"})
    found = staff.fhir.get("/Organization", params={"name:exact": "Test Hospital"}).json()
    assert len(found["entry"]) == 1
    role = staff.fhir.get(f"/PractitionerRole?practitioner={person.id}").json()["entry"][0]["resource"]
    assert role["organization"]["reference"] == f"Organization/{found['entry'][0]['resource']['id']}"
    both = patient.http.get(f"/doctor/{person.id},{created['_id']},missing").json()
    assert [each["_id"] for each in both["data"]] == [person.id]


def test_staff_and_salary(site: RunningSite, anonymous: httpx.Client, staff: Person, patient: Person) -> None:
    """A salary is kept with the account: no FHIR resource holds it, and patients do not see who works there."""
    document = staff_document()
    created = staff.http.post("/staff/", json=document).json()["data"]
    assert (created["position"], created["salary"]) == ("clerk", 12000)
    changed = staff.http.put(f"/staff/{created['_id']}", json={"salary": 13000, "position": "head clerk"}).json()
    assert changed["data"]["staff"]["salary"] == 13000
    assert changed["data"]["staff"]["position"] == "head clerk"
    for query, found in (("salary=13000", True), ("salary[gt]=13000", False), ("salary[gte]=13000.0", True)):
        listed = staff.http.get(f"/staff/?{query}&email={document['email']}").json()["data"]
        assert [each["salary"] for each in listed] == ([13000] if found else []), query
    assert staff.http.get("/staff/?salary=much").status_code == 400
    assert staff.http.get("/staff/?sort=salary").status_code == 400
    assert staff.http.get("/staff/?password=x").status_code == 400
    assert "13000" not in staff.fhir.get(f"/Practitioner/{created['_id']}/_history").text
    assert patient.fhir.get(f"/Practitioner/{created['_id']}").status_code == 404
    assert created["_id"] not in patient.fhir.get("/Practitioner?_count=500").text
    assert created["_id"] not in patient.http.get("/doctor/?limit=1000").text
    assert staff.http.delete(f"/staff/{created['_id']}").status_code == 204
    refused = anonymous.post("/staff/login", json={"email": document["email"], "password": document["password"]})
    assert refused.status_code == 401


def test_a_medical_record(doctor: Person, patient: Person, other: Person, staff: Person) -> None:
    """A record is a DiagnosticReport with Observations; its doctor and patient are shown by name."""
    answer = doctor.http.post("/medicalRecord/", json=record_document(doctor.id, patient.id, followUp="in a week"))
    assert answer.status_code == 201, answer.text
    record = answer.json()["data"]
    assert record["doctor"]["name"] == "Dr Example"
    assert record["patient"] == {"_id": patient.id, "id": patient.id, "name": "Amina Example"}
    assert (record["illness"], record["followUp"]) == ("Pneumonia", "in a week")
    assert record["date"].endswith("Z")
    assert "T" in record["date"]
    id = record["_id"]
    assert patient.http.get(f"/medicalRecord/{id}").json()["data"] == record
    assert other.http.get(f"/medicalRecord/{id}").status_code == 404
    assert staff.http.get(f"/medicalRecord/{id}").status_code == 403
    report = patient.fhir.get(f"/DiagnosticReport/{id}").json()
    assert report["conclusion"] == record["peDiagnosis"]
    assert len(report["result"]) == 2
    results = [patient.fhir.get(f"/{each['reference']}").json() for each in report["result"]]
    assert {each["valueString"] for each in results} == {record["history"], record["treatment"]}
    changed = doctor.http.put(f"/medicalRecord/{id}", json={"treatment": "Rest", "illness": "None", "followUp": ""})
    assert changed.status_code == 200, changed.text
    document = changed.json()["data"]["medicalRecord"]
    assert (document["treatment"], document["illness"]) == ("Rest", "None")
    assert "followUp" not in document
    assert doctor.http.delete(f"/medicalRecord/{id}?reason=wrong+patient").status_code == 204
    assert doctor.http.get(f"/medicalRecord/{id}").status_code == 404
    assert doctor.fhir.get(f"/DiagnosticReport/{id}").status_code == 410
    events = staff.fhir.get(f"/AuditEvent?entity=DiagnosticReport/{id}&_count=50").json()["entry"]
    reasons = [each["resource"]["purposeOfEvent"] for each in events if "purposeOfEvent" in each["resource"]]
    assert [{"text": "wrong patient"}] in reasons


def test_only_the_author_changes_a_record(doctor: Person, colleague: Person, patient: Person) -> None:
    """Another doctor reads a record, and changes it through neither door."""
    record = doctor.http.post("/medicalRecord/", json=record_document(doctor.id, patient.id)).json()["data"]
    path = f"/medicalRecord/{record['_id']}"
    assert colleague.http.get(path).status_code == 200
    assert colleague.http.put(path, json={"treatment": "Nothing"}).status_code == 403
    assert colleague.http.put(path, json={"peDiagnosis": "Nothing"}).status_code == 403
    assert colleague.http.delete(path).status_code == 403
    report = colleague.fhir.get(f"/DiagnosticReport/{record['_id']}").json()
    assert (
        colleague.fhir.put(f"/DiagnosticReport/{report['id']}", json={**report, "conclusion": "x"}).status_code == 403
    )
    assert colleague.fhir.delete(f"/DiagnosticReport/{report['id']}").status_code == 403
    for result in report["result"]:
        assert colleague.fhir.delete(f"/{result['reference']}").status_code == 403
    forged = colleague.http.post("/medicalRecord/", json=record_document(doctor.id, patient.id))
    assert forged.status_code == 403
    assert doctor.http.get(path).json()["data"] == record


def test_a_report_of_fhir_is_a_record(doctor: Person, patient: Person) -> None:
    """A report written through /fhir without anything that the adapter writes reads as a record without nulls."""
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}]},
        "subject": {"reference": f"Patient/{patient.id}", "display": "Amina"},
        "performer": [{"display": "Imaging department"}],
        "effectivePeriod": {"start": "2026-01-02"},
        "issued": "2026-01-03T10:00:00.5+02:00",
    }
    id = doctor.fhir.post("/DiagnosticReport", json=report).json()["id"]
    record = doctor.http.get(f"/medicalRecord/{id}").json()["data"]
    assert record == {
        "_id": id,
        "id": id,
        "doctor": {"_id": "", "id": "", "name": "Imaging department", "photo": record["doctor"]["photo"]},
        "patient": {"_id": patient.id, "id": patient.id, "name": record["patient"]["name"]},
        "date": "2026-01-03T08:00:00.500Z",
        "status": "signed",
        "history": "",
        "treatment": "",
        "peDiagnosis": "CT Chest",
        "illness": "None",
    }


def test_a_record_belongs_to_a_consultation(doctor: Person, patient: Person, other: Person) -> None:
    """The report names its Encounter; one of another patient, or one that is not there, is refused."""
    encounters = {}
    for person in (patient, other):
        virtual = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}
        resource = {"resourceType": "Encounter", "status": "finished", "class": virtual}
        made = doctor.fhir.post("/Encounter", json={**resource, "subject": {"reference": f"Patient/{person.id}"}})
        encounters[person.id] = made.raise_for_status().json()["id"]
    document = record_document(doctor.id, patient.id)
    written = doctor.http.post("/medicalRecord/", json={**document, "consultation": encounters[patient.id]})
    assert written.status_code == 201, written.text
    record = written.json()["data"]
    assert record["consultation"] == encounters[patient.id]
    report = doctor.fhir.get(f"/DiagnosticReport?encounter=Encounter/{encounters[patient.id]}").json()
    assert [entry["resource"]["id"] for entry in report["entry"]] == [record["_id"]]
    for foreign in (encounters[other.id], "nowhere"):
        assert doctor.http.post("/medicalRecord/", json={**document, "consultation": foreign}).status_code == 400
