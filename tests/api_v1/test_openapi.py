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

from tests.api_v1.conftest import Person

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_EXAMPLES = 12


@pytest.fixture(scope="module")
def description(staff: Person) -> dict[str, Any]:
    """The description, as staff get it."""
    answer = staff.http.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


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
