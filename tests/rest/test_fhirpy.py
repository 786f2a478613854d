"""The door under a FHIR client library that knows nothing of it: fhirpy."""

import httpx
import pytest
from fhirpy import AsyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from .clients import entry, patient, transaction


@pytest.fixture
def library(base_url: str, staff: httpx.AsyncClient) -> AsyncFHIRClient:
    """The library, signed in as staff."""
    return AsyncFHIRClient(base_url, authorization=staff.headers["Authorization"])


async def test_the_life_of_a_resource(library: AsyncFHIRClient) -> None:
    """Create, read, search, update, delete."""
    made = library.resource("Patient", **patient("Library"))
    await made.save()
    assert made.id
    found = await library.resources("Patient").search(_id=made.id).get()
    assert found["name"][0]["family"] == "Library"
    found["birthDate"] = "1990-01-01"
    await found.save()
    again = await library.reference("Patient", made.id).to_resource()
    assert again["meta"]["versionId"] == "2"
    await again.delete()
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        await library.reference("Patient", made.id).to_resource()


async def test_paging(library: AsyncFHIRClient) -> None:
    """The library follows next links."""
    family = f"F{patient()['identifier'][0]['value']}"
    for _ in range(5):
        await library.resource("Patient", **patient(family)).save()
    search = library.resources("Patient").search(family=family)
    assert len(await search.limit(2).fetch_all()) == 5
    first = await search.sort("_lastUpdated").first()
    assert first is not None


async def test_transaction(library: AsyncFHIRClient) -> None:
    """A Bundle is posted to the root."""
    bundle = library.resource("Bundle", **transaction(entry("POST", "Patient", patient())))
    await bundle.save()


async def test_an_error_is_an_operation_outcome(library: AsyncFHIRClient) -> None:
    """The library understands a refusal."""
    with pytest.raises(OperationOutcome):
        await library.resources("Patient").search(nonsense="1").fetch()
