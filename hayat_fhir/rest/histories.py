"""``/fhir/{type}/_history`` and ``/fhir/_history``: what has changed. https://hl7.org/fhir/R4/http.html#history."""

from __future__ import annotations

from hayat_fhir.rest.instances import number
from hayat_fhir.rest.messages import Answer, Pairs, Request
from hayat_fhir.rest.pages import Pages
from hayat_fhir.services.type_histories import TypeHistories, Versions

_DEFAULT_COUNT = 50
_MOST = 200


class Histories:
    """Handlers of the two routes."""

    def __init__(self, histories: TypeHistories, pages: Pages) -> None:
        self._histories = histories
        self._pages = pages

    async def of_type(self, request: Request) -> Answer:
        """GET: the versions of a type, latest first, in pages of ``_count``, ``_since`` a moment."""
        type = request.names["type"]
        count, since, cursor = _asked(request)
        page = await self._histories.of_type(request.caller, type, count, since, cursor)
        return self._answer(request, f"{type}/_history", page, count)

    async def of_system(self, request: Request) -> Answer:
        """GET: the versions of all types."""
        count, since, cursor = _asked(request)
        page = await self._histories.of_system(request.caller, count, since, cursor)
        return self._answer(request, "_history", page, count)

    def _answer(self, request: Request, path: str, page: Versions, count: int) -> Answer:
        _, since, cursor = _asked(request)
        pairs: Pairs = [("_count", str(count)), *([("_since", since)] if since is not None else [])]
        return request.answer(200, self._pages.changes(path, pairs, page, cursor))


def _asked(request: Request) -> tuple[int, str | None, str | None]:
    options = request.only("_count", "_since", "_cursor")
    count = min(max(number(options.get("_count"), "_count") or _DEFAULT_COUNT, 1), _MOST)
    return count, options.get("_since"), options.get("_cursor")
