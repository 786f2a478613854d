"""The entries of Bundles, taken apart."""

from __future__ import annotations

from typing import Any

import pytest

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.bundle_requests import Entry, entries


def batch(**request: Any) -> dict[str, Any]:
    """A batch of one request without a resource."""
    return {"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]}


def test_entries_are_taken_apart() -> None:
    """Method, type, id, version, query and preconditions come out of a request."""
    patient = {"resourceType": "Patient"}
    bundle = {
        "entry": [
            {
                "fullUrl": "urn:uuid:1",
                "resource": patient,
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=a|b"},
            },
            {"resource": patient, "request": {"method": "PUT", "url": "Patient/1", "ifMatch": 'W/"3"'}},
            {"request": {"method": "GET", "url": "Patient/1/_history/2"}},
            {"request": {"method": "GET", "url": "/Patient?name=A%26B&name="}},
        ]
    }
    assert entries(bundle) == [
        Entry(0, "POST", "Patient", full_url="urn:uuid:1", resource=patient, if_none_exist="identifier=a|b"),
        Entry(1, "PUT", "Patient", "1", resource=patient, if_match=3),
        Entry(2, "GET", "Patient", "1", 2),
        Entry(3, "GET", "Patient", parameters=(("name", "A&B"), ("name", ""))),
    ]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "?x=1",
        "Patient/",
        "Patient//1",
        "Patient/" + "a" * 65,
        "Patient/a%2Fb",
        "Patient/a%00",
        "Patient/$where",
        "patient/1",
        "../admin",
        "http://evil.example/Patient/1",
        "Patient/1/_history/x",
        "Patient/1/_history/" + "9" * 19,
        "Patient/1/_history/" + "9" * 5000,
        "Patient/1/_history/\u0663",
        "Patient?%ff=1",
        "Patient?a",
        None,
        1,
    ],
    ids=range(19),
)
def test_urls_outside_the_interactions_are_refused(url: object) -> None:
    """No URL but those of the interactions gets through, and the refusal names the place only."""
    with pytest.raises(InvalidRequest) as caught:
        entries(batch(method="GET", url=url))
    assert caught.value.issues[0].expression == ("Bundle.entry[0].request.url",)


@pytest.mark.parametrize(
    ("bundle", "place"),
    [
        ({"entry": {}}, "Bundle.entry"),
        ({"entry": [1]}, "Bundle.entry[0].request"),
        ({"entry": [{"request": []}]}, "Bundle.entry[0].request"),
        (batch(method="TRACE", url="Patient"), "Bundle.entry[0].request.method"),
        (batch(method=["GET"], url="Patient"), "Bundle.entry[0].request.method"),
        (batch(method="POST", url="Patient"), "Bundle.entry[0].resource"),
        (batch(method="DELETE", url="Patient/1", ifMatch='W/"\u0663"'), "Bundle.entry[0].request.ifMatch"),
        (batch(method="DELETE", url="Patient/1", ifMatch=1), "Bundle.entry[0].request.ifMatch"),
        (
            {"entry": [{"resource": {"resourceType": "X"}, "request": {"method": "PUT", "url": "Patient/1"}}]},
            "Bundle.entry[0].resource",
        ),
    ],
)
def test_malformed_entries_are_named(bundle: dict[str, Any], place: str) -> None:
    """Whatever a client puts into an entry, the answer is a refusal that names it."""
    with pytest.raises(InvalidRequest) as caught:
        entries(bundle)
    assert caught.value.issues[0].expression == (place,)
