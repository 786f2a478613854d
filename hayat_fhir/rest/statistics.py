"""``/fhir/$statistics`` and ``/fhir/$arrivals``: what the site does in numbers, and what arrives, for the staff.

Both answer with Parameters: Measure and MeasureReport would need a Measure for each chart and say no more.
"""

from __future__ import annotations

from typing import Any

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.dates import instant
from hayat_fhir.rest.messages import Answer, Request
from hayat_fhir.rest.routes import Action, Route
from hayat_fhir.services.statistics import Dashboard
from hayat_fhir.store.arrivals import Arrival


class StatisticsOperations:
    """Handlers of the two."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("$statistics", {"GET": Action("$statistics", self.statistics)}),
            Route("$arrivals", {"GET": Action("$arrivals", self.arrivals)}),
        ]

    async def statistics(self, request: Request) -> Answer:
        """GET: the counts of the last ``days`` (default 30) by subject, day and kind, and what is stored."""
        days = _number(request.only("days").get("days", "30"), "days")
        found = await self._dashboard.statistics(request.caller, days)
        parameter: list[dict[str, Any]] = [{"name": "since", "valueDate": found.since.date().isoformat()}]
        for subject, counts in found.counts.items():
            for one in counts:
                part = [
                    {"name": "day", "valueDate": one.day},
                    {"name": "kind", "valueCode": one.kind},
                    {"name": "count", "valueInteger": one.count},
                ]
                parameter.append({"name": subject, "part": part})
        parameter += [{"name": name, "valueDecimal": value} for name, value in found.storage.items()]
        return request.answer(200, {"resourceType": "Parameters", "parameter": parameter})

    async def arrivals(self, request: Request) -> Answer:
        """GET: the ``_count`` (default 20) studies to which images came last."""
        count = _number(request.only("_count").get("_count", "20"), "_count")
        arrivals = await self._dashboard.arrivals(request.caller, count)
        return request.answer(200, {"resourceType": "Parameters", "parameter": [_arrival(one) for one in arrivals]})


def _arrival(arrival: Arrival) -> dict[str, Any]:
    part: list[dict[str, Any]] = [
        {"name": "study", "valueUri": f"urn:oid:{arrival.study}"},
        {"name": "patient", "valueReference": {"reference": arrival.patient}},
        *({"name": "modality", "valueCode": code} for code in arrival.modalities),
        {"name": "instances", "valueInteger": arrival.instances},
        {"name": "bytes", "valueDecimal": arrival.bytes},
        {"name": "first", "valueInstant": instant(arrival.first)},
        {"name": "last", "valueInstant": instant(arrival.last)},
    ]
    if arrival.sender:
        part.append({"name": "sender", "valueReference": {"reference": f"Organization/{arrival.sender}"}})
    return {"name": "arrival", "part": part}


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 4:
        raise InvalidRequest(f"{name} is a number", code="value", expression=[name])
    return int(text)
