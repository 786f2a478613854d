"""Which path is which route, and what a path can never be."""

import pytest

from hayat_fhir.errors import InvalidRequest, NotFound
from hayat_fhir.rest.messages import Answer, BadPath, Request, segments
from hayat_fhir.rest.routes import Action, Route, Routes


async def _never(_: Request) -> Answer:
    raise AssertionError


_DO = Action("read", _never)
_ROUTES = Routes(
    [
        Route("metadata", {"GET": _DO}, public=True),
        Route("", {"POST": _DO}),
        Route("{type}", {"GET": _DO, "POST": _DO}),
        Route("{type}/_search", {"POST": _DO}),
        Route("{type}/{id}", {"GET": _DO, "DELETE": _DO}),
        Route("{type}/{id}/_history/{version}", {"GET": _DO}),
        Route("Patient/{id}/$everything", {"GET": _DO}),
    ],
    frozenset({"Patient", "Observation"}),
)


@pytest.mark.parametrize(
    ("path", "template"),
    [
        (b"/fhir", ""),
        (b"/fhir/", ""),
        (b"/fhir/metadata", "metadata"),
        (b"/fhir/Patient", "{type}"),
        (b"/fhir/Patient/", "{type}"),
        (b"/fhir/Patient/_search", "{type}/_search"),
        (b"/fhir/Patient/a-1.b", "{type}/{id}"),
        (b"/fhir/Patient/a/_history/3", "{type}/{id}/_history/{version}"),
        (b"/fhir/Patient/a/%24everything", "Patient/{id}/$everything"),
    ],
)
def test_paths_find_their_route(path: bytes, template: str) -> None:
    """Literal segments win over variables; percent-encoding does not matter."""
    found = _ROUTES.find(segments(path)[1:])
    assert found is not None
    assert found[0].template == template
    _ROUTES.check(found[1])


@pytest.mark.parametrize("path", [b"/fhir/Observation/a/$everything", b"/fhir/a/b/c/d/e", b"/fhir/Patient//x/y"])
def test_other_paths_find_nothing(path: bytes) -> None:
    """What is not in the table is not there."""
    assert _ROUTES.find(segments(path)[1:]) is None


@pytest.mark.parametrize(
    "id", [b"..", b".", b"%2e%2e", b"a%00b", b"a" * 65, b"a%2Fb", b"a%20b", b"a+b", b"a%0a", b"{id}", b"a%24"]
)
def test_ids_that_cannot_be_are_refused(id: bytes) -> None:
    """An id is 1 to 64 of letters, digits, hyphen and dot, and never a place in a folder."""
    found = _ROUTES.find(["Patient", segments(b"/" + id + b"/x")[0]])
    assert found is not None
    with pytest.raises(InvalidRequest):
        _ROUTES.check(found[1])


@pytest.mark.parametrize(
    "names",
    [
        {"type": "Nonsense"},
        {"type": "patient"},
        {"type": "Patient", "id": "$lastn"},
        {"type": "Patient", "id": "_history"},
        {"type": "Patient", "id": "a", "version": "x"},
        {"type": "Patient", "id": "a", "version": "0"},
    ],
)
def test_what_is_not_offered_is_not_found(names: dict[str, str]) -> None:
    """Unknown types, type-level operations and history, versions that are no numbers."""
    with pytest.raises(NotFound):
        _ROUTES.check(names)


def test_a_path_must_be_utf8() -> None:
    """Broken percent-encoding of UTF-8 is told apart from an unknown path."""
    with pytest.raises(BadPath):
        segments(b"/fhir/Patient/%ff")


def test_allow_names_head_beside_get() -> None:
    """The Allow header of a route."""
    assert Route("x", {"GET": _DO, "PUT": _DO}).allow == "GET, HEAD, PUT"
