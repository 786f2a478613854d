"""$everything and $share over HTTP."""

import httpx

from .clients import ids, issues, link, observation, patient, post
from .conftest import PatientClient, RunningSite


async def test_everything_in_pages(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """The patient and the whole compartment, each once, by GET and by POST."""
    id = (await post(staff, patient()))["id"]
    expected = {id} | {(await post(doctor, observation(id)))["id"] for _ in range(4)}
    for method in ("GET", "POST"):
        url: str | None = f"/Patient/{id}/$everything?_count=2"
        found: list[str] = []
        while url is not None:
            answer = await doctor.request(method, url)
            assert answer.status_code == 200, answer.text
            found += ids(answer.json())
            url, method = link(answer.json(), "next"), "GET"
        assert sorted(found) == sorted(expected)


async def test_everything_takes_a_parameters_body(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """_type from a Parameters resource; unknown ones are refused."""
    id = (await post(staff, patient()))["id"]
    await post(doctor, observation(id))
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Encounter"}]}
    answer = await doctor.post(f"/Patient/{id}/$everything", json=body)
    assert ids(answer.json()) == [id]
    body["parameter"] = [{"name": "nonsense", "valueString": "x"}]
    assert (await doctor.post(f"/Patient/{id}/$everything", json=body)).status_code == 400
    assert (await doctor.post(f"/Patient/{id}/$everything", json=patient())).status_code == 400
    assert (await doctor.get(f"/Patient/{id}/$everything?nonsense=1")).status_code == 400


async def test_everything_of_several_types(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Types may be repeated, and listed in one value, by GET and by POST; pages keep them all."""
    id = (await post(staff, patient()))["id"]
    subject = {"subject": {"reference": f"Patient/{id}"}}
    visit = await post(doctor, {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, **subject})
    weight = await post(doctor, observation(id))
    illness = await post(doctor, {"resourceType": "Condition", **subject})
    expected = {
        "_type=Encounter&_type=Observation": {visit["id"], weight["id"]},
        "_type=Encounter,Observation": {visit["id"], weight["id"]},
        "_type=Condition,Encounter&_type=Observation": {visit["id"], weight["id"], illness["id"]},
        "_type=Condition&_type=Condition": {illness["id"]},
        "_type=Practitioner": set(),
    }
    for query, found in expected.items():
        assert set(ids((await doctor.get(f"/Patient/{id}/$everything?{query}")).json())) == {id, *found}, query
        given = [pair.split("=") for pair in query.split("&")]
        body = {"resourceType": "Parameters", "parameter": [{"name": n, "valueCode": v} for n, v in given]}
        url: str | None = f"/Patient/{id}/$everything?_count=1"
        seen: list[str] = []
        answer = await doctor.post(url or "", json=body)
        while url is not None:
            seen += ids(answer.json())
            url = link(answer.json(), "next")
            answer = await doctor.get(url) if url is not None else answer
        assert sorted(seen) == sorted({id, *found}), query


async def test_everything_refuses_what_means_nothing(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Names that are no types, dates that are none, and what is said twice: 400, not a part of the history."""
    path = f"/Patient/{(await post(staff, patient()))['id']}/$everything"
    for query in (
        "_type=Observatoin",
        "_type=Observation,",
        "_type=",
        "_type=observation",
        "_type=Observation&_type=x",
        "_count=1&_count=2",
        "_since=2026-01-01&_since=2026-01-02",
        "start=2026&start=2025",
        "end=2026&end=2025",
        "start=yesterday",
        "end=2026-13",
        "_since=x",
    ):
        assert (await doctor.get(f"{path}?{query}")).status_code == 400, query
    once = {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 2}]}
    assert (await doctor.post(f"{path}?_count=2", json=once)).status_code == 400
    assert (await doctor.post(path, json=once)).status_code == 200


async def test_everything_of_some_time(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """Care within the dates, however long ago it was written down; what has no date cannot be outside."""
    id = (await post(staff, patient()))["id"]
    subject = {"subject": {"reference": f"Patient/{id}"}}
    stay = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}, **subject}
    report = {"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}, **subject}
    illness = {"resourceType": "Condition", **subject}
    records: dict[str, dict[str, object] | str] = {
        "2019": observation(id, effectiveDateTime="2019-06-01"),
        "2020": observation(id, effectiveDateTime="2020-06-01"),
        "new year": {**stay, "period": {"start": "2019-12-20", "end": "2020-01-10"}},
        "still here": {**stay, "status": "in-progress", "period": {"start": "2018-01-01"}},
        "issued later": {**report, "effectiveDateTime": "2019-05-01", "issued": "2020-05-01T10:00:00Z"},
        "issued only": {**report, "issued": "2020-05-01T10:00:00Z"},
        "recorded": {**illness, "recordedDate": "2019-03-01"},
        "recorded later": {**illness, "onsetDateTime": "2020-02-01", "recordedDate": "2021-03-01"},
        "undated": illness,
    }
    names = {(await post(doctor, record))["id"]: name for name, record in records.items()}
    always = {"undated", "still here"}
    for query, expected in (
        ("start=2020&end=2020", always | {"2020", "new year", "issued only", "recorded later"}),
        ("start=2020-02-01", always | {"2020", "issued only", "recorded later"}),
        ("end=2019-12-31", always | {"2019", "new year", "issued later", "recorded"}),
        ("start=2019-12-25&end=2019-12-26", always | {"new year"}),
        ("start=2020-06-01&end=2020-06-01&_type=Observation", {"2020"}),
        ("start=2030", always),
        ("", set(records)),
    ):
        for count in (1000, 2):
            url: str | None = f"/Patient/{id}/$everything?_count={count}&{query}"
            found: list[str] = []
            while url is not None:
                answer = await doctor.get(url)
                assert answer.status_code == 200, answer.text
                found += ids(answer.json())
                url = link(answer.json(), "next")
            assert sorted(found) == sorted({id, *(one for one in names if names[one] in expected)}), query


async def test_everything_of_a_deleted_patient(doctor: httpx.AsyncClient, staff: httpx.AsyncClient) -> None:
    """410, as for a read."""
    id = (await post(staff, patient()))["id"]
    await staff.delete(f"/Patient/{id}")
    answer = await doctor.get(f"/Patient/{id}/$everything")
    assert answer.status_code == 410
    assert issues(answer)[0]["code"] == "deleted"


async def test_a_share_is_accepted_and_can_be_followed(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, site: RunningSite
) -> None:
    """202 with a Task, and the Task again from the place that the answer names; asked twice, it is one job."""
    id = (await post(staff, patient()))["id"]
    answer = await doctor.post(f"/Patient/{id}/$share?with={site.partner}")
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert (task["resourceType"], task["status"]) == ("Task", "requested")
    assert task["for"] == {"reference": f"Patient/{id}"}
    assert task["owner"] == {"reference": f"Organization/{site.partner}"}
    assert (await doctor.get(answer.headers["content-location"])).json()["id"] == task["id"]
    reference = {"name": "with", "valueReference": {"reference": f"Organization/{site.partner}"}}
    again = await doctor.post(f"/Patient/{id}/$share", json={"resourceType": "Parameters", "parameter": [reference]})
    assert again.json()["id"] == task["id"]


async def test_a_share_opens_the_history_to_the_partner(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, site: RunningSite
) -> None:
    """Before: 404. After: the patient and what was found, and nothing of others."""
    id = (await post(staff, patient()))["id"]
    seen = await post(doctor, observation(id))
    paths = (f"/Patient/{id}", f"/Observation/{seen['id']}", f"/Patient/{id}/$everything")
    for status in (404, 200):
        headers = {"Authorization": f"Bearer {site.token('partner')}"}
        async with httpx.AsyncClient(base_url=f"{site.url}/fhir", headers=headers, trust_env=False) as partner:
            assert [(await partner.get(path)).status_code for path in paths] == [status] * 3
        await doctor.post(f"/Patient/{id}/$share?with={site.partner}")


async def test_a_share_that_cannot_be(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, one: PatientClient, other: PatientClient, site: RunningSite
) -> None:
    """Without a partner, with an unknown one, of a foreign patient, by staff; and a job that is not there."""
    id = (await post(staff, patient()))["id"]
    path = f"/Patient/{id}/$share"
    for query in ("", "?with=", f"?with={site.partner}&x=1", f"?with={site.partner}&with={site.partner}"):
        assert (await doctor.post(f"{path}{query}")).status_code == 400
    assert (await doctor.post(f"{path}?with=nobody")).status_code == 404
    assert (await doctor.get(f"{path}?job=none")).status_code == 404
    assert (await doctor.get(path)).status_code == 400
    assert (await staff.post(f"{path}?with={site.partner}")).status_code == 403
    assert (await one.http.post(f"/Patient/{other.id}/$share?with={site.partner}")).status_code == 404
    assert (await one.http.post(f"/Patient/{one.id}/$share?with={site.partner}")).status_code == 202


async def test_following_a_share_is_written_down(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, one: PatientClient, site: RunningSite
) -> None:
    """Once for whoever follows it, however often they ask within a minute, and each refusal."""
    path = (await doctor.post(f"/Patient/{one.id}/$share?with={site.partner}")).headers["content-location"]
    for client, expected in ((doctor, 200), (one.http, 200), (doctor, 200), (doctor, 200), (staff, 403), (staff, 403)):
        assert (await client.get(path)).status_code == expected
    job = path.rpartition("=")[2]
    found = (await one.http.get("/AuditEvent", params={"patient": one.id, "entity": f"Task/{job}"})).json()
    events = [entry["resource"] for entry in found["entry"]]
    told = sorted((event["agent"][0]["role"][0]["coding"][0]["code"], event["outcome"]) for event in events)
    assert told == [("doctor", "0"), ("patient", "0"), ("staff", "4"), ("staff", "4")]
