"""The OpenAPI description is true: whatever is generated from it is answered as it says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api_v1.conftest import Person, record_document

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_EXAMPLES = 12
_CANARY = "Qxzzv-canary-5902"


@pytest.fixture(scope="module")
def description(staff: Person) -> dict[str, Any]:
    """The description, as staff get it."""
    answer = staff.http.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def of_another(staff: Person, doctor: Person, other: Person, specialization: str) -> dict[str, list[str]]:
    """Ids by entity, none of them the patient's own; what is about another patient says so."""
    record = record_document(doctor.id, other.id, history=_CANARY, treatment=_CANARY)
    made = doctor.http.post("/medicalRecord", json=record)
    assert made.status_code == 201, made.text
    assert staff.http.get(f"/patient/{other.id}").status_code == 200
    other.http.put(f"/patient/{other.id}", json={"currentAddress": _CANARY})
    return {
        "patient": [other.id, "nobody", f"{other.id},nobody"],
        "medicalRecord": [made.json()["data"]["_id"], "nobody"],
        "doctor": [doctor.id],
        "staff": [staff.id],
        "specialization": [specialization],
    }


def test_no_route_shows_or_changes_what_is_anothers(
    description: dict[str, Any],
    patient: Person,
    other: Person,
    doctor: Person,
    staff: Person,
    of_another: dict[str, list[str]],
) -> None:
    """Each route with an id, as the description lists them: 404 for what is of another patient, 403 for the rest."""
    tried = 0
    for path, methods in description["paths"].items():
        entity, _, rest = path.strip("/").partition("/")
        if rest != "{id}":
            continue
        for method in sorted({"get", "put", "delete"} & set(methods)):
            for id in of_another[entity]:
                body = {"phone": "+20 1"} if method == "put" else None
                answer = patient.http.request(method, f"/{entity}/{id}", json=body)
                tried += 1
                directory = method == "get" and entity in {"doctor", "specialization"}
                private = method == "get" and entity in {"patient", "medicalRecord"}
                expected = {200} if directory else {404} if private else {400, 403, 404}
                assert answer.status_code in expected, (method, path, answer.text)
                assert _CANARY not in answer.text
    assert tried >= 20
    assert _CANARY not in patient.http.get("/medicalRecord?limit=1000").text
    assert _CANARY in other.http.get("/medicalRecord?limit=1000").text
    assert other.http.get(f"/patient/{other.id}").json()["data"]["currentAddress"] == _CANARY
    assert other.http.get(f"/patient/{other.id}").json()["data"]["phone"] != "+20 1"


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("role", ["staff", "doctor", "patient"])
def test_every_operation(
    description: dict[str, Any],
    staff: Person,
    doctor: Person,
    patient: Person,
    role: str,
    mode: schemathesis.GenerationMode,
) -> None:
    """Valid and invalid requests to each operation: the statuses, media types and schemas are those described."""
    person = {"staff": staff, "doctor": doctor, "patient": patient}[role]
    token = person.http.headers["x-acess-token"]
    schema = schemathesis.openapi.from_dict(description)
    base = str(person.http.base_url).rstrip("/")
    seen = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        seen += 1

        @seed(seen)
        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            if role == "staff" and case.method == "DELETE":
                case.path_parameters = {"id": "nothing"}
            response = case.call(base_url=base, headers={"authorization": f"Bearer {token}"})
            case.validate_response(response, checks=_CHECKS)

        check()
    assert seen == sum(len({"get", "put", "post", "delete"} & set(path)) for path in description["paths"].values())
    assert seen >= 30


def test_it_is_for_staff(anonymous: httpx.Client, doctor: Person, patient: Person) -> None:
    """Nobody else reads the description."""
    assert anonymous.get("/openapi.json").status_code == 401
    assert doctor.http.get("/openapi.json").status_code == 403
    assert patient.http.get("/openapi.json/").status_code == 403
