"""Interactions on one resource: read, vread, history, update, patch, delete. https://hl7.org/fhir/R4/http.html."""

from __future__ import annotations

from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.fhir.preconditions import etag, http_date, if_match, last_modified, only_if_absent, unmodified
from hayat_fhir.fhir.subset import Subset, Subsets
from hayat_fhir.rest import bodies
from hayat_fhir.rest.messages import Answer, Headers, Request
from hayat_fhir.rest.pages import Pages
from hayat_fhir.services.interactions import Interactions, Written
from hayat_fhir.store.records import Stored

_DEFAULT_COUNT = 50
_MOST = 1000


class Instances:
    """Handlers of the routes below ``/fhir/{type}/{id}``."""

    def __init__(self, interactions: Interactions, pages: Pages, subsets: Subsets) -> None:
        self._interactions = interactions
        self._pages = pages
        self._subsets = subsets

    async def read(self, request: Request) -> Answer:
        """GET: the current version, or 304 where the client has it."""
        names, subset = request.names, self._subset(request)
        return self._version(request, await self._interactions.read(request.caller, names["type"], names["id"]), subset)

    async def vread(self, request: Request) -> Answer:
        """GET of one version."""
        names, subset = request.names, self._subset(request)
        version = int(names["version"])
        stored = await self._interactions.vread(request.caller, names["type"], names["id"], version)
        return self._version(request, stored, subset)

    def _subset(self, request: Request) -> Subset | None:
        """The part of the resource that is asked for; None: all of it."""
        options = request.only("_summary", "_elements")
        return self._subsets.asked(request.names["type"], options.get("_summary"), options.get("_elements"))

    def _version(self, request: Request, stored: Stored, subset: Subset | None) -> Answer:
        headers = ((b"etag", etag(stored.version)), (b"last-modified", last_modified(stored.updated)))
        since = http_date(request.header(b"if-modified-since"))
        if unmodified(stored, request.header(b"if-none-match"), since):
            return Answer(304, b"", headers)
        if subset is None or stored.resource is None:
            return request.answer(200, stored.resource, headers)
        return request.answer(200, self._subsets.cut(stored.resource, subset), headers)

    async def history(self, request: Request) -> Answer:
        """GET: the versions, newest first, in pages of ``_count``."""
        options = request.only("_count", "_cursor")
        count = min(max(number(options.get("_count"), "_count") or _DEFAULT_COUNT, 1), _MOST)
        before = number(options.get("_cursor"), "_cursor")
        type, id = request.names["type"], request.names["id"]
        page = await self._interactions.history(request.caller, type, id, count, before)
        return request.answer(200, self._pages.history(f"{type}/{id}", page, count, before))

    async def update(self, request: Request) -> Answer:
        """PUT: the next version, or the first under a client's id."""
        request.only()
        names = request.names
        expected = if_match(request.header(b"if-match"))
        absent = only_if_absent(request.header(b"if-none-match"))
        resource = await bodies.resource(request)
        written = await self._interactions.update(
            request.caller, names["type"], names["id"], resource, expected, absent=absent
        )
        return written_answer(request, written, self._pages.base_url)

    async def patch(self, request: Request) -> Answer:
        """PATCH: the next version, by the operations of a JSON Patch."""
        request.only()
        names = request.names
        expected = if_match(request.header(b"if-match"))
        operations = await bodies.json_patch(request)
        written = await self._interactions.patch(request.caller, names["type"], names["id"], operations, expected)
        return written_answer(request, written, self._pages.base_url)

    async def delete(self, request: Request) -> Answer:
        """DELETE: 204, also where there was nothing to delete."""
        request.only()
        names = request.names
        expected = if_match(request.header(b"if-match"))
        stored = await self._interactions.delete(request.caller, names["type"], names["id"], expected)
        return deleted_answer(request, stored)


def deleted_answer(request: Request, stored: Stored | None) -> Answer:
    """204, or 200 with the outcome that Prefer asks for."""
    headers: Headers = ((b"etag", etag(stored.version)),) if stored is not None else ()
    if request.preference.returns == "OperationOutcome":
        return request.answer(200, _done("deleted"), headers)
    return request.answer(204, None, headers)


def written_answer(request: Request, written: Written, base_url: str) -> Answer:
    """201 or 200 with the version's Location, and the body that Prefer asks for.

    Of a match that the client may not read nothing but its name: the Location, and the ETag.
    """
    stored = written.stored
    location = f"{base_url}/{stored.reference}/_history/{stored.version}"
    headers: Headers = ((b"location", location.encode()), (b"etag", etag(stored.version)))
    if not written.shown:
        return request.answer(200, None, headers)
    headers = (*headers, (b"last-modified", last_modified(stored.updated)))
    status = 201 if written.created else 200
    match request.preference.returns:
        case "minimal":
            return request.answer(status, None, headers)
        case "OperationOutcome":
            return request.answer(status, _done("created" if written.created else "stored"), headers)
        case _:
            return request.answer(status, stored.resource, headers)


def _done(what: str) -> dict[str, object]:
    return operation_outcome([Issue("informational", what, severity="information")])


def number(text: str | None, name: str) -> int | None:
    """The number that a parameter says; None where it is not there.

    Raises:
        InvalidRequest: Not a whole number that this server could mean.
    """
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest(f"{name} is not a number of this server", code="value")
    return int(text)
