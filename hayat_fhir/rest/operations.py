"""Operations on one patient: ``$everything`` and ``$share``. https://hl7.org/fhir/R4/operations.html."""

from __future__ import annotations

from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.rest import bodies
from hayat_fhir.rest.messages import Answer, Pairs, Request
from hayat_fhir.rest.pages import Pages
from hayat_fhir.services.everything import Everything
from hayat_fhir.services.exchange import Exchange
from hayat_fhir.store.outbox import Job

_TASK_STATUS = {
    "waiting": "requested",
    "running": "in-progress",
    "done": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
"""A job's state to http://hl7.org/fhir/R4/valueset-task-status.html"""


async def operation_parameters(request: Request) -> Pairs:
    """The parameters of an operation: those of the URL, then those of a Parameters body, where there is one."""
    pairs = request.parameters
    if request.method == "POST" and request.unread:
        pairs += bodies.parameters(await bodies.resource(request))
    return pairs


class PatientEverything:
    """Handler of ``/fhir/Patient/{id}/$everything``."""

    def __init__(self, everything: Everything, pages: Pages) -> None:
        self._everything = everything
        self._pages = pages

    async def everything(self, request: Request) -> Answer:
        """GET or POST: a page of the patient's history."""
        id = request.names["id"]
        pairs = await operation_parameters(request)
        page = await self._everything.everything(request.caller, id, pairs)
        return request.answer(200, self._pages.everything(id, pairs, page))


class PatientShare:
    """Handlers of ``/fhir/Patient/{id}/$share``."""

    def __init__(self, exchange: Exchange, base_url: str) -> None:
        self._exchange = exchange
        self._base_url = base_url

    async def start(self, request: Request) -> Answer:
        """POST with the partner's id as ``with``: 202, and a Task that tells the state of the delivery.

        A partner need not name itself.
        """
        id = request.names["id"]
        pairs, itself = await operation_parameters(request), request.caller.source
        partner = single(pairs, "with").removeprefix("Organization/") if pairs or itself is None else itself
        job = await self._exchange.share(request.caller, id, partner)
        location = f"{self._base_url}/Patient/{id}/$share?job={job.id}"
        return request.answer(202, task(job), [(b"content-location", location.encode())])

    async def state(self, request: Request) -> Answer:
        """GET with ``job``: the Task as it is now."""
        job = await self._exchange.job(request.caller, request.names["id"], single(request.parameters, "job"))
        return request.answer(200, task(job))


def task(job: Job) -> dict[str, Any]:
    """A share as a Task: whose history goes to whom, how far it is, and what was sent."""
    shown: dict[str, Any] = {
        "resourceType": "Task",
        "id": job.id,
        "status": _TASK_STATUS[job.status],
        "intent": "order",
        "code": {"text": "share"},
        "for": {"reference": f"Patient/{job.payload['patient']}"},
        "authoredOn": instant(job.created),
        "lastModified": instant(job.updated),
        "owner": {"reference": f"Organization/{job.payload['partner']}"},
    }
    if job.error:
        shown["statusReason"] = {"text": job.error}
    if job.result:
        shown["output"] = [{"type": {"text": name}, "valueInteger": count} for name, count in job.result.items()]
    return shown


def single(pairs: Pairs, name: str) -> str:
    """The one parameter of an operation.

    Raises:
        InvalidRequest: It is missing, repeated, or another one is there.
    """
    if [found for found, _ in pairs] != [name] or not pairs[0][1]:
        raise InvalidRequest(f"the one parameter of this operation is {name}", code="required")
    return pairs[0][1]
