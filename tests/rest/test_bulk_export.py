"""Bulk Data export is not offered, to nobody and by no way round: https://hl7.org/fhir/uv/bulkdata/STU2/export.html."""

from __future__ import annotations

import httpx
import pytest

from .clients import issues, patient, post

_PATHS = ["/$export", "/Patient/$export", "/Group/1/$export", "/Patient/{id}/$export"]
_QUERIES = [
    "",
    "?_type=Patient&_outputFormat=ndjson",
    "?_since=2020-01-01T00:00:00Z",
    "?_typeFilter=Patient%3Fname%3Da",
]


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("query", _QUERIES)
async def test_nobody_exports(
    doctor: httpx.AsyncClient, staff: httpx.AsyncClient, partner: httpx.AsyncClient, path: str, query: str
) -> None:
    """Neither people nor a partner's system, whatever they ask for; no job begins, and nothing of a patient is told."""
    id = (await post(staff, patient()))["id"]
    for client in (doctor, staff, partner):
        for method in ("GET", "POST"):
            answer = await client.request(method, path.format(id=id) + query, headers={"Prefer": "respond-async"})
            assert answer.status_code in {400, 403, 404, 405, 501}, answer.text
            assert "content-location" not in answer.headers
            assert issues(answer)
            assert id not in answer.text


async def test_no_export_is_announced(doctor: httpx.AsyncClient) -> None:
    """Neither in the CapabilityStatement nor by a place for files."""
    (rest,) = (await doctor.get("/metadata")).json()["rest"]
    operations = [*rest.get("operation", []), *(one for kind in rest["resource"] for one in kind.get("operation", []))]
    assert "export" not in {one["name"] for one in operations}
    for path in ("/$export-poll-status?_jobId=1", "/bulkstatus/1", "/bulkfiles/1/Patient.ndjson"):
        assert (await doctor.get(path)).status_code in {400, 404}
