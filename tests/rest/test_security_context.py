"""A Binary is for whoever may see what it is there for: its security context."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import httpx

from .clients import entry, ids, issues, post, transaction
from .conftest import PatientClient, RunningSite
from .test_consent import consent
from .test_emergency import RESTRICTED, broken

SECRET = b64encode(b"psychiatric notes").decode()


def binary(context: str | None, **more: Any) -> dict[str, Any]:
    """A Binary on behalf of something."""
    made = {"resourceType": "Binary", "contentType": "text/plain", "data": SECRET, **more}
    return made if context is None else {**made, "securityContext": {"reference": context}}


async def reference(client: httpx.AsyncClient, patient: str, **more: Any) -> str:
    """A DocumentReference of a patient, as ``Type/id``."""
    content = [{"attachment": {"title": "x"}}]
    made = {"resourceType": "DocumentReference", "status": "current", "content": content, **more}
    stored = await post(client, {**made, "subject": {"reference": f"Patient/{patient}"}})
    return f"DocumentReference/{stored['id']}"


async def test_a_label_of_the_context_withholds_the_binary(
    site: RunningSite, one: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """By read, vread and history, as the context itself, whether by itself or in a batch; a broken glass opens both."""
    document = await reference(doctor, one.id)
    made = await post(doctor, binary(document))
    path = f"/Binary/{made['id']}"
    paths = (path, f"{path}/_history/1", f"{path}/_history")
    for url in paths:
        assert (await doctor.get(url)).status_code == 200
        assert (await one.http.get(url)).status_code == 200
        assert (await partner.get(url)).status_code == (await partner.get(f"/{document}")).status_code
    current = (await doctor.get(f"/{document}")).json()
    assert (await doctor.put(f"/{document}", json={**current, "meta": RESTRICTED})).status_code == 200
    for url in paths:
        refused = await doctor.get(url)
        assert (refused.status_code, issues(refused)[0]["code"]) == (403, "suppressed")
        assert (await one.http.get(url)).status_code == 404
        assert (await partner.get(url)).status_code == 404
    answer = await doctor.post("", json=transaction(entry("GET", path[1:]), type="batch"))
    assert answer.json()["entry"][0]["response"]["status"].startswith("403")
    async with await broken(site, doctor, one.id) as emergency:
        for url in paths:
            assert (await emergency.get(url)).status_code == 200


async def test_nobody_writes_over_what_is_withheld(one: PatientClient, doctor: httpx.AsyncClient) -> None:
    """Neither by update, patch and deletion nor in a transaction; and no Binary leaves its context."""
    document = await reference(doctor, one.id, meta=RESTRICTED)
    made = await post(doctor, binary(document))
    path = f"/Binary/{made['id']}"
    changed = binary(document, id=made["id"], contentType="text/html")
    operations = [{"op": "replace", "path": "/contentType", "value": "text/html"}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await doctor.put(path, json=changed)).status_code == 403
    assert (await doctor.patch(path, json=operations, headers=headers)).status_code == 403
    assert (await doctor.delete(path)).status_code == 403
    for row in (entry("PUT", path[1:], changed), entry("DELETE", path[1:])):
        assert (await doctor.post("", json=transaction(row))).status_code == 403
    free = await post(doctor, binary(await reference(doctor, one.id)))
    moved = binary(f"Patient/{one.id}", id=free["id"])
    refused = await doctor.put(f"/Binary/{free['id']}", json=moved)
    assert (refused.status_code, issues(refused)[0]["expression"]) == (403, ["Binary.securityContext"])
    kept = {**free, "contentType": "text/html"}
    assert (await doctor.put(f"/Binary/{free['id']}", json=kept)).status_code == 200
    assert (await doctor.delete(f"/Binary/{free['id']}")).status_code == 204


async def test_no_list_shows_it(one: PatientClient, doctor: httpx.AsyncClient) -> None:
    """Search and histories tell of Binaries of patients, and of none that has another context."""
    own = await post(doctor, binary(f"Patient/{one.id}"))
    other = await post(doctor, binary(await reference(doctor, one.id, meta=RESTRICTED)))
    since = own["meta"]["lastUpdated"]
    assert ids((await doctor.get(f"/Binary?_id={own['id']},{other['id']}")).json()) == [own["id"]]
    for path in ("/Binary/_history", "/_history"):
        for client in (doctor, one.http):
            text = (await client.get(path, params={"_since": since, "_count": 200})).text
            assert own["id"] in text
            assert other["id"] not in text


async def test_a_consent_about_the_context_holds_for_the_binary(
    site: RunningSite, other: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """Denied is what the type of the context is denied, and what Binaries are."""
    made = await post(doctor, binary(await reference(doctor, other.id)))
    path = f"/Binary/{made['id']}"
    assert (await partner.get(path)).status_code == 404
    given = (await other.http.post("/Consent", json=consent(other.id, site.partner))).json()
    try:
        assert (await partner.get(path)).status_code == 200
        for type in ("DocumentReference", "Binary"):
            denied = [{"system": "http://hl7.org/fhir/resource-types", "code": type}]
            current = (await other.http.get(f"/Consent/{given['id']}")).json()
            exception = {**consent(other.id, site.partner, kind="deny")["provision"], "class": denied}
            current["provision"]["provision"] = [exception]
            assert (await other.http.put(f"/Consent/{given['id']}", json=current)).status_code == 200
            assert (await partner.get(path)).status_code == 404
    finally:
        current = (await other.http.get(f"/Consent/{given['id']}")).json()
        await other.http.put(f"/Consent/{given['id']}", json={**current, "status": "entered-in-error"})


async def test_a_context_that_is_not_here_decides_nothing(
    one: PatientClient, doctor: httpx.AsyncClient, partner: httpx.AsyncClient
) -> None:
    """Then a Binary is in nobody's compartment: doctors read it, and whoever contributed it."""
    for context in ("DocumentReference/nowhere", "https://elsewhere.example/fhir/DocumentReference/1"):
        made = await post(partner, binary(context))
        for client, expected in ((doctor, 200), (partner, 200), (one.http, 404)):
            assert (await client.get(f"/Binary/{made['id']}")).status_code == expected
