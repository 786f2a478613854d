"""Modality performed procedure steps: kept as modalities describe them, and told as Procedure.

A step belongs to an order where its study is the one of a worklist entry that was addressed to the modality; when it is
completed, so is the order. PS3.4 annex F.7,
https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_F.7
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.dicom.header import by_keyword, is_uid
from hayat_fhir.errors import Conflict, InvalidRequest, NotFound, Refusal, Unavailable, Unprocessable
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.services.auditing import Auditing
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.scheduled_orders import ScheduledOrders
from hayat_fhir.services.worklist_entry import requested_procedure_id
from hayat_fhir.store.procedure_steps import Attributes, ProcedureStep, ProcedureSteps
from hayat_fhir.store.records import Stored

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
_STATUS = {IN_PROGRESS: "in-progress", COMPLETED: "completed", DISCONTINUED: "stopped"}
_STATE = "00400252"
_POLL = 0.5


class ProcedureRecords:
    """Takes what modalities say of their steps."""

    def __init__(self, steps: ProcedureSteps, auditing: Auditing) -> None:
        self._steps = steps
        self._auditing = auditing

    async def create(self, caller: Caller, uid: str, attributes: Attributes) -> None:
        """A step begins.

        Raises:
            InvalidRequest: The UID or the state is wrong, or the study is missing.
            Conflict: There is a step with this UID.
            Unavailable: MongoDB does not answer.
        """
        async with self._auditing.access(caller, "procedure-record", query=f"SOPInstanceUID={uid[:64]}"):
            if not is_uid(uid) or _state(attributes) != IN_PROGRESS:
                raise InvalidRequest("a step begins in progress", code="value", expression=[_STATE_KEYWORD])
            if not is_uid(_study(attributes)):
                raise InvalidRequest("the study is missing", code="required", expression=["StudyInstanceUID"])
            if not await self._steps.add(ProcedureStep(uid, caller.subject, IN_PROGRESS, attributes)):
                raise Conflict("there is a step with this UID", code="duplicate")

    async def set(self, caller: Caller, uid: str, attributes: Attributes) -> None:
        """What a step has come to.

        Raises:
            NotFound: The caller has begun no step with this UID.
            InvalidRequest: The state is none.
            Unprocessable: The step is over.
            Unavailable: MongoDB does not answer, or others keep changing the step.
        """
        async with self._auditing.access(caller, "procedure-record", query=f"SOPInstanceUID={uid[:64]}"):
            step = await self._steps.get(uid)
            if step is None or step.peer != caller.subject:
                raise NotFound("no such step")
            if step.state != IN_PROGRESS:
                raise Unprocessable("the step may no longer be updated")
            state = _state(attributes) or step.state
            if state not in _STATUS:
                raise InvalidRequest("no such state", code="value", expression=[_STATE_KEYWORD])
            merged = {**step.attributes, **attributes}
            changed = replace(step, state=state, attributes=merged, revision=step.revision + 1)
            if not await self._steps.change(changed):
                raise Unavailable("the step has just been changed")


class Procedures:
    """Tells steps as Procedure, and orders as completed."""

    def __init__(self, steps: ProcedureSteps, interactions: Interactions, scheduled: ScheduledOrders) -> None:
        self._steps = steps
        self._interactions = interactions
        self._scheduled = scheduled
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")

    async def run(self, stop: asyncio.Event) -> None:
        """Tell steps as they change, until ``stop`` is set."""
        while not stop.is_set():
            try:
                for step in await self._steps.pending():
                    await self._tell(step)
            except Unavailable as refusal:
                self._log.warning("procedure steps deferred", code=refusal.issues[0].code)
            try:
                await asyncio.wait_for(stop.wait(), _POLL)
            except TimeoutError:
                continue

    async def _tell(self, step: ProcedureStep) -> None:
        try:
            await self.project(step)
        except (Unavailable, Conflict):
            return
        except Refusal as refusal:
            self._log.warning("procedure step refused", uid=step.uid, code=refusal.issues[0].code)
        await self._steps.told(step)

    async def project(self, step: ProcedureStep) -> Stored | None:
        """The Procedure of a step; None where nobody knows whose it is: it came from no worklist.

        Nor does anybody where several orders have its study and it names none of them.

        Raises:
            Refusal: It cannot be stored.
        """
        site = Caller(Role.SITE, "imaging", source=step.peer)
        order = await self._order(step)
        if order is None or order.resource is None:
            return None
        procedure = _procedure(step, order.resource)
        criteria = f"identifier=urn:dicom:uid|urn:oid:{step.uid}"
        written = await self._interactions.create(site, "Procedure", procedure, criteria)
        stored = written.stored
        if not written.created:
            changed = {**(stored.resource or {}), **procedure, "id": stored.id}
            updated = await self._interactions.update(site, "Procedure", stored.id, changed, stored.version)
            stored = updated.stored
        if step.state == COMPLETED and order.resource.get("status") == "active":
            done = {**order.resource, "status": "completed"}
            await self._interactions.update(
                Caller(Role.SITE, "imaging", source=order.source), "ServiceRequest", order.id, done, order.version
            )
        return stored

    async def _order(self, step: ProcedureStep) -> Stored | None:
        """The order that the modality was given, which names it as performer or which it has contributed.

        Of several orders of one study it is the one whose Requested Procedure ID the step names.
        """
        given = [one for one in await self._scheduled.of_study(_study(step.attributes)) if _is_given(one, step.peer)]
        if len(given) > 1:
            named = _requested_procedures(step.attributes)
            given = [one for one in given if requested_procedure_id(one.resource or {}) in named]
        return given[0] if len(given) == 1 else None


_STATE_KEYWORD = "PerformedProcedureStepStatus"


def _state(attributes: Attributes) -> str:
    return str(next(iter(attributes.get(_STATE, {}).get("Value", ())), ""))


def _is_given(order: Stored, peer: str) -> bool:
    performers = {str(one.get("reference", "")) for one in (order.resource or {}).get("performer", ())}
    return f"Organization/{peer}" in performers or order.source == peer


def _requested_procedures(attributes: Attributes) -> set[str]:
    scheduled = by_keyword(attributes).get("ScheduledStepAttributesSequence", ())
    return {str(id).strip() for item in scheduled for id in item.get("RequestedProcedureID", ())}


def _study(attributes: Attributes) -> str:
    for item in by_keyword(attributes).get("ScheduledStepAttributesSequence", ()):
        return str(next(iter(item.get("StudyInstanceUID", ())), ""))
    return ""


def _procedure(step: ProcedureStep, order: dict[str, Any]) -> dict[str, Any]:
    said = by_keyword(step.attributes)
    text = str(next(iter(said.get("PerformedProcedureStepDescription", ())), "")).strip()
    period = {
        name: moment
        for name, moment in (
            ("start", _date(said, "PerformedProcedureStepStartDate")),
            ("end", _date(said, "PerformedProcedureStepEndDate")),
        )
        if moment
    }
    found: dict[str, Any] = {
        "resourceType": "Procedure",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{step.uid}"}],
        "basedOn": [{"reference": f"ServiceRequest/{order['id']}"}],
        "status": _STATUS[step.state],
        "subject": order["subject"],
        "performer": [{"actor": {"reference": f"Organization/{step.peer}"}}],
    }
    if "code" in order or text:
        found["code"] = order.get("code") or {"text": text}
    if period:
        found["performedPeriod"] = period
    return found


def _date(said: dict[str, Any], keyword: str) -> str:
    """A date as FHIR writes it: the time of a step has no offset."""
    text = str(next(iter(said.get(keyword, ())), ""))
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdecimal() else ""
