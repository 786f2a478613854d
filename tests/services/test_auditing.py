"""Who has looked: every patient finds it in their own AuditEvents, however many patients were asked for at once."""

from __future__ import annotations

from typing import Any

from hayat_fhir.app import Site
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.store.records import Stored

SITE = Caller(Role.SITE, "test")
DOCTOR = Caller(Role.DOCTOR, "d", "Practitioner/d", "Doctor", scopes=frozenset({"user/*.cruds"}))


async def _patients(site: Site, number: int) -> list[str]:
    written = [await site.interactions.create(SITE, "Patient", {"resourceType": "Patient"}) for _ in range(number)]
    return [one.stored.id for one in written]


async def _own(site: Site, patient: str, *pairs: tuple[str, str]) -> list[Stored]:
    """What the patient reads of accesses by others than the site."""
    caller = Caller(
        Role.PATIENT, patient, f"Patient/{patient}", scopes=frozenset({"patient/*.rs"}), patients=frozenset({patient})
    )
    found = await site.searching.search(caller, "AuditEvent", [("agent", "Practitioner/d"), *pairs])
    return found.matches


def _named(event: Stored) -> list[Any]:
    return [entity.get("what", {}).get("reference") for entity in (event.resource or {}).get("entity", ())]


async def test_who_looks_at_several_is_seen_by_each(site: Site) -> None:
    """By a search with what refers to them, and by the list; each reads of nobody else, nor what was asked."""
    ids = await _patients(site, 3)
    await site.searching.search(DOCTOR, "Patient", [("_id", ",".join(ids[:2])), ("_revinclude", "Observation:subject")])
    for id in ids[:2]:
        for pairs in ((), (("patient", id),), (("entity", f"Patient/{id}"),)):
            (event,) = await _own(site, id, *pairs)
            assert _named(event) == [f"Patient/{id}"]
            assert "query" not in str(event.resource)
    assert await _own(site, ids[2]) == []
    whole = await site.searching.search(
        SITE, "AuditEvent", [("agent", "Practitioner/d"), ("entity", f"Patient/{ids[0]}")]
    )
    assert sorted(len(_named(event)) for event in whole.matches) == [1, 3]


async def test_a_list_that_is_renewed_is_told_once_a_minute(site: Site) -> None:
    """The same list again: the site's own record has both, a patient's one of them; a read of one is always told."""
    ids = await _patients(site, 2)
    for _ in range(3):
        await site.searching.search(DOCTOR, "Patient", [("_id", ",".join(ids))])
    assert [len(await _own(site, id)) for id in ids] == [1, 1]
    whole = await site.searching.search(SITE, "AuditEvent", [("agent", "Practitioner/d"), ("_count", "100")])
    assert sum(len(_named(event)) == 3 for event in whole.matches) == 3
    for _ in range(2):
        await site.interactions.read(DOCTOR, "Patient", ids[0])
    assert [len(await _own(site, id)) for id in ids] == [3, 1]


async def test_a_write_that_concerns_two_is_told_to_both(site: Site) -> None:
    """Whoever moves a record from one to another, every time."""
    one, two = await _patients(site, 2)
    base = {"resourceType": "Encounter", "id": "e", "status": "planned", "class": {"code": "AMB"}}
    for patient in (one, two, one):
        await site.interactions.update(
            DOCTOR, "Encounter", "e", {**base, "subject": {"reference": f"Patient/{patient}"}}
        )
    assert [len(await _own(site, id)) for id in (one, two)] == [3, 2]
