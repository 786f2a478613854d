"""The envelope of the legacy routes: ``{"status", "result", "DateTime", "data"}``, and what a refusal looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hayat_fhir.errors import HTTP_STATUS, Category, MethodNotAllowed, NotFound, Refusal
from hayat_fhir.fhir.json import serialize

Document = Mapping[str, Any]


def listed(documents: Sequence[Document]) -> Response:
    """200 with several documents."""
    return _answer(200, {**_success(), "result": len(documents), "data": list(documents)})


def one(document: Document) -> Response:
    """200 with one document."""
    return _answer(200, {**_success(), "result": 1, "data": document})


def created(document: Document) -> Response:
    """201 with the new document."""
    return _answer(201, {"status": "success", "data": document})


def plain(content: Document) -> Response:
    """200 without an envelope, as the sign-in routes answer."""
    return _answer(200, content)


def nothing() -> Response:
    """204."""
    return Response(status_code=204)


async def refused(request: Request, error: Exception) -> Response:
    """A refusal: which field is wrong and why, never what somebody sent."""
    del request
    refusal = error if isinstance(error, Refusal) else NotFound("there is no such route")
    status = HTTP_STATUS[Category.NOT_FOUND] if refusal.category is Category.GONE else refusal.status
    errors = [
        {"field": place.removeprefix("parameter: "), "code": issue.code, "message": issue.diagnostics}
        for issue in refusal.issues
        for place in issue.expression[:1]
    ]
    texts = (f"{error['field']}: {error['message']}" for error in errors)
    message = "; ".join(texts) or refusal.issues[0].diagnostics
    content = {"status": "fail", "data": None, "message": message, "code": refusal.issues[0].code, "errors": errors}
    answer = _answer(status, content)
    if status == HTTP_STATUS[Category.UNAUTHENTICATED]:
        answer.headers["www-authenticate"] = 'Bearer realm="api/v1"'
    if status == HTTP_STATUS[Category.THROTTLED]:
        answer.headers["retry-after"] = "60"
    return answer


async def no_route(request: Request, error: Exception) -> Response:
    """404 for a path and 405 for a method that the door does not have."""
    status = getattr(error, "status_code", 404)
    refusal: Refusal = MethodNotAllowed("there is no such method here") if status == 405 else NotFound("no such route")
    answer = await refused(request, refusal)
    for name, value in (getattr(error, "headers", None) or {}).items():
        answer.headers[name] = value
    return answer


def _success() -> dict[str, Any]:
    return {"status": "success", "DateTime": datetime.now(UTC).isoformat(timespec="milliseconds")}


def _answer(status: int, content: Document) -> Response:
    return Response(serialize(content), status, media_type="application/json")
