"""Batch and transaction Bundles posted to the root of the service.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from typing import Any

from hayat_fhir.errors import HTTP_STATUS, InvalidRequest, Refusal
from hayat_fhir.fhir.bundles import Entry, entries, response_bundle, response_entry, searchset
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.interactions import Interactions, Written
from hayat_fhir.services.searching import Searching, SearchResult
from hayat_fhir.services.transactions import Transactions
from hayat_fhir.store.records import Stored

Links = Any
_AT_ONCE = 16
"""Entries of a batch answered at a time."""


class Bundles:
    """Processes a batch entry by entry, and a transaction as a whole."""

    def __init__(
        self,
        interactions: Interactions,
        conditional_writes: ConditionalWrites,
        searching: Searching,
        transactions: Transactions,
        base_url: str,
    ) -> None:
        self._interactions = interactions
        self._conditional_writes = conditional_writes
        self._searching = searching
        self._transactions = transactions
        self._base_url = base_url

    async def process(self, caller: Caller, bundle: dict[str, Any]) -> dict[str, Any]:
        """The response Bundle.

        Raises:
            InvalidRequest: Not a batch or transaction Bundle.
            Refusal: An entry of a transaction is refused; the issue names it, and nothing has been stored.
        """
        match bundle.get("type"):
            case "transaction":
                return response_bundle("transaction-response", await self._transaction(caller, entries(bundle)))
            case "batch":
                return response_bundle("batch-response", await self._batch(caller, entries(bundle)))
            case _:
                raise InvalidRequest(
                    "only batch and transaction Bundles are processed", code="value", expression=["Bundle.type"]
                )

    async def _transaction(self, caller: Caller, all_entries: list[Entry]) -> list[dict[str, Any]]:
        for entry in all_entries:
            if entry.method == "PATCH":
                place = f"Bundle.entry[{entry.index}].request.method"
                raise InvalidRequest("a transaction has no PATCH here", code="not-supported", expression=[place])
        writing = [entry for entry in all_entries if entry.method in {"POST", "PUT", "DELETE"}]
        written = await self._transactions.commit(caller, writing)
        answers = []
        for entry in all_entries:
            if entry.method in {"GET", "HEAD"}:
                answers.append(await self._get(caller, entry))
            else:
                answers.append(_written_entry(entry, written.get(entry.index)))
        return answers

    async def _batch(self, caller: Caller, all_entries: list[Entry]) -> list[dict[str, Any]]:
        """The answers, in the order of the entries; the standard lets no entry of a batch depend on another one."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def answer(entry: Entry) -> dict[str, Any]:
            async with gate:
                return await self._batch_entry(caller, entry)

        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(answer(entry)) for entry in all_entries]
        return [answer.result() for answer in answers]

    async def _batch_entry(self, caller: Caller, entry: Entry) -> dict[str, Any]:
        try:
            match entry.method:
                case "GET" | "HEAD":
                    return await self._get(caller, entry)
                case "POST":
                    written = await self._interactions.create(
                        caller, entry.type, entry.resource or {}, entry.if_none_exist
                    )
                    return _written_entry(entry, written)
                case "PUT":
                    return _written_entry(entry, await self._put(caller, entry, entry.resource or {}))
                case "DELETE":
                    stored = await self._delete(caller, entry)
                    return _written_entry(entry, Written(stored) if stored else None)
                case _:
                    raise InvalidRequest("this method is not supported in a Bundle", code="not-supported")
        except Refusal as refusal:
            status = HTTP_STATUS[refusal.category]
            return {"response": {"status": str(status), "outcome": operation_outcome(refusal)}}

    async def _put(self, caller: Caller, entry: Entry, resource: dict[str, Any]) -> Written:
        if entry.id is not None:
            return await self._interactions.update(caller, entry.type, entry.id, resource, entry.if_match)
        return await self._conditional_writes.update(caller, entry.type, entry.criteria, resource, entry.if_match)

    async def _delete(self, caller: Caller, entry: Entry) -> Stored | None:
        if entry.id is not None:
            return await self._interactions.delete(caller, entry.type, entry.id, entry.if_match)
        return await self._conditional_writes.delete(caller, entry.type, entry.criteria)

    async def _get(self, caller: Caller, entry: Entry) -> dict[str, Any]:
        if entry.id is None:
            result = await self._searching.search(caller, entry.type, entry.parameters)
            return {"resource": self._searchset(result), "response": {"status": "200"}}
        if entry.version is not None:
            stored = await self._interactions.vread(caller, entry.type, entry.id, entry.version)
        else:
            stored = await self._interactions.read(caller, entry.type, entry.id)
        return response_entry("200", stored.reference, stored.version, stored.updated, stored.resource)

    def _searchset(self, result: SearchResult) -> dict[str, Any]:
        return searchset(
            self._base_url,
            [_pair(stored) for stored in result.matches],
            [_pair(stored) for stored in result.included],
            total=result.total,
        )


def _pair(stored: Stored) -> tuple[str, dict[str, Any]]:
    return stored.reference, stored.resource or {}


def _written_entry(entry: Entry, written: Written | None) -> dict[str, Any]:
    if written is None or entry.method == "DELETE":
        return {"response": {"status": "204"}}
    stored = written.stored
    return response_entry("201" if written.created else "200", stored.reference, stored.version, stored.updated)
