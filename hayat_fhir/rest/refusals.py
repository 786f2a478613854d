"""Refusals as HTTP answers: an OperationOutcome and the headers that go with the status."""

from __future__ import annotations

from hayat_fhir.errors import (
    Category,
    InvalidRequest,
    Issue,
    MethodNotAllowed,
    NotAcceptable,
    Refusal,
)
from hayat_fhir.fhir.json import serialize
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.rest.messages import Answer, Headers, Request

_RETRY_SECONDS = b"1"


def refused(refusal: Refusal, request: Request | None = None) -> Answer:
    """The answer to a refusal; in plain FHIR JSON where the client's own choice cannot be made out."""
    outcome = operation_outcome(refusal)
    headers = _headers(refusal, request)
    if request is None:
        return Answer(refusal.status, serialize(outcome), headers)
    try:
        return request.answer(refusal.status, outcome, headers)
    except (NotAcceptable, InvalidRequest):
        return Answer(refusal.status, serialize(outcome), headers)


def not_allowed(allow: str, request: Request) -> Answer:
    """405 with the methods that the path does have."""
    answer = refused(MethodNotAllowed("this path does not have that method"), request)
    return Answer(answer.status, answer.body, ((b"allow", allow.encode()),), answer.media)


def fault(request_id: str) -> Answer:
    """500 for what nobody foresaw: the id under which the log knows it, and nothing else."""
    issue = Issue("exception", f"internal error, reported as {request_id}", severity="fatal")
    return Answer(500, serialize(operation_outcome([issue])))


def _headers(refusal: Refusal, request: Request | None) -> Headers:
    match refusal.category:
        case Category.UNAUTHENTICATED:
            presented = request is not None and request.header(b"authorization") is not None
            challenge = b'Bearer realm="fhir"' + (b', error="invalid_token"' if presented else b"")
            return ((b"www-authenticate", challenge),)
        case Category.FORBIDDEN:
            return ((b"www-authenticate", b'Bearer realm="fhir", error="insufficient_scope"'),)
        case Category.METHOD:
            return ((b"allow", b"GET, HEAD"),)
        case Category.THROTTLED | Category.UNAVAILABLE:
            return ((b"retry-after", _RETRY_SECONDS),)
        case _:
            return ()
