"""Interactions on one resource type: create, search, and writes by criteria. https://hl7.org/fhir/R4/http.html."""

from __future__ import annotations

from urllib.parse import urlencode

from hayat_fhir.fhir.preconditions import if_match, only_if_absent
from hayat_fhir.rest import bodies
from hayat_fhir.rest.instances import deleted_answer, written_answer
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.negotiation import asked_format, asked_pretty
from hayat_fhir.rest.pages import Pages
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.searching import Searching


class Types:
    """Handlers of the routes ``/fhir/{type}`` and ``/fhir/{type}/_search``."""

    def __init__(
        self, interactions: Interactions, conditional_writes: ConditionalWrites, searching: Searching, pages: Pages
    ) -> None:
        self._interactions = interactions
        self._conditional_writes = conditional_writes
        self._searching = searching
        self._pages = pages

    async def create(self, request: Request) -> Answer:
        """POST: a new resource, with If-None-Exist only where nothing meets these criteria."""
        request.only()
        criteria = request.header(b"if-none-exist")
        resource = await bodies.resource(request)
        written = await self._interactions.create(request.caller, request.names["type"], resource, criteria)
        return written_answer(request, written, self._pages.base_url)

    async def update(self, request: Request) -> Answer:
        """PUT with criteria in the query: the next version of what meets them, or a new resource."""
        expected = if_match(request.header(b"if-match"))
        absent = only_if_absent(request.header(b"if-none-match"))
        resource = await bodies.resource(request)
        written = await self._conditional_writes.update(
            request.caller, request.names["type"], _criteria(request), resource, expected, absent=absent
        )
        return written_answer(request, written, self._pages.base_url)

    async def patch(self, request: Request) -> Answer:
        """PATCH with criteria in the query."""
        expected = if_match(request.header(b"if-match"))
        operations = await bodies.json_patch(request)
        type = request.names["type"]
        written = await self._conditional_writes.patch(request.caller, type, _criteria(request), operations, expected)
        return written_answer(request, written, self._pages.base_url)

    async def delete(self, request: Request) -> Answer:
        """DELETE with criteria in the query: the one resource that meets them; 204, also where there is none."""
        expected = if_match(request.header(b"if-match"))
        type = request.names["type"]
        stored = await self._conditional_writes.delete(request.caller, type, _criteria(request), expected)
        return deleted_answer(request, stored)

    async def search(self, request: Request) -> Answer:
        """GET: a page of what the query string asks for."""
        return await self._search(request, request.parameters)

    async def search_form(self, request: Request) -> Answer:
        """POST to ``_search``: the parameters of the URL and of the form count together."""
        pairs = await bodies.form(request)
        for name, value in pairs:
            if name == "_format":
                request.media = asked_format(value)
            elif name == "_pretty":
                request.pretty = asked_pretty(value)
        rest = [pair for pair in pairs if pair[0] not in {"_format", "_pretty"}]
        return await self._search(request, [*request.parameters, *rest])

    async def _search(self, request: Request, pairs: list[tuple[str, str]]) -> Answer:
        type = request.names["type"]
        result = await self._searching.search(request.caller, type, pairs, lenient=request.preference.lenient)
        return request.answer(200, result.bundle(self._pages.base_url))


def _criteria(request: Request) -> str:
    """The query string as criteria; what is about the representation is none."""
    return urlencode(request.parameters)
