"""``/fhir/$outbox``: shares on their way to partner hospitals, as Tasks for the staff.

https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.operations import operation_parameters, task
from hayat_fhir.rest.routes import Action, Route
from hayat_fhir.services.outbox import STATES, Order, StaffOutbox
from hayat_fhir.store.outbox import Job

_ANY = "any"


class OutboxOperation:
    """Handlers of ``/fhir/$outbox``."""

    def __init__(self, outbox: StaffOutbox, base_url: str) -> None:
        self._outbox = outbox
        self._url = f"{base_url}/$outbox"

    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("$outbox", {"GET": Action("$outbox", self.list), "POST": Action("$outbox", self.order)})]

    async def list(self, request: Request) -> Answer:
        """GET: the shares of a ``state`` (default any), newest first; ``_count`` at a time, made ``before``."""
        asked = request.only("state", "_count", "before")
        state = asked.get("state", _ANY)
        status = next((one for one in STATES if one == state), None)
        if status is None and state != _ANY:
            raise InvalidRequest(f"the states are {', '.join(STATES)}, any", code="value", expression=["state"])
        count = int(asked["_count"]) if asked.get("_count", "").isdecimal() else 0 if "_count" in asked else 100
        before = _moment(asked["before"]) if "before" in asked else None
        jobs = await self._outbox.list(request.caller, status, count=count, before=before)
        entries = [{"resource": outgoing(job)} for job in jobs]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        if len(jobs) == count:
            following = urlencode({**asked, "before": instant(jobs[-1].created)})
            bundle["link"] = [{"relation": "next", "url": f"{self._url}?{following}"}]
        return request.answer(200, bundle)

    async def order(self, request: Request) -> Answer:
        """POST ``id`` and ``order`` (retry or cancel): the Task as it is then."""
        pairs = await operation_parameters(request)
        given = dict(pairs)
        if len(given) != len(pairs) or given.keys() != {"id", "order"}:
            raise InvalidRequest("the parameters are id and order, each once", code="required")
        if given["order"] not in set(Order):
            raise InvalidRequest(f"order is one of {', '.join(Order)}", code="value", expression=["order"])
        job = await self._outbox.order(request.caller, given["id"], Order(given["order"]))
        return request.answer(200, outgoing(job))


def outgoing(job: Job) -> dict[str, Any]:
    """A share as a Task that also tells how often it was tried, and when it is tried next."""
    shown = task(job)
    shown["businessStatus"] = {"text": job.status}
    shown["input"] = [{"type": {"text": "attempts"}, "valueInteger": job.attempts}]
    if job.status == "waiting":
        shown["restriction"] = {"period": {"start": instant(job.due)}}
    return shown


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidRequest("this is no instant", code="value", expression=["before"]) from error
    if moment.tzinfo is None:
        raise InvalidRequest("an instant has a zone", code="value", expression=["before"])
    return moment
