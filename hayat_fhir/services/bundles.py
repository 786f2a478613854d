"""Batch and transaction Bundles posted to the root of the service.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import asyncio
from typing import Any

from hayat_fhir.errors import InvalidRequest, Refusal
from hayat_fhir.fhir.bundle_requests import READING, Entry, entries, independent_entries
from hayat_fhir.fhir.bundles import response_bundle, response_entry
from hayat_fhir.fhir.outcomes import operation_outcome
from hayat_fhir.fhir.preconditions import unmodified
from hayat_fhir.security.callers import Caller
from hayat_fhir.services.conditional_writes import ConditionalWrites
from hayat_fhir.services.interactions import Interactions, Written
from hayat_fhir.services.searching import Searching
from hayat_fhir.services.transaction_plan import naming
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
        if bundle.get("resourceType") != "Bundle":
            raise InvalidRequest("this is no Bundle", code="invalid", expression=["Bundle"])
        match bundle.get("type"):
            case "transaction":
                return response_bundle("transaction-response", await self._transaction(caller, entries(bundle)))
            case "batch":
                return response_bundle("batch-response", await self._batch(caller, independent_entries(bundle)))
            case _:
                raise InvalidRequest(
                    "only batch and transaction Bundles are processed", code="value", expression=["Bundle.type"]
                )

    async def _transaction(self, caller: Caller, all_entries: list[Entry]) -> list[dict[str, Any]]:
        for entry in all_entries:
            if entry.method == "PATCH":
                place = f"Bundle.entry[{entry.index}].request.method"
                raise InvalidRequest("a transaction has no PATCH here", code="not-supported", expression=[place])
        writing = [entry for entry in all_entries if entry.method not in READING]
        reading = [entry for entry in all_entries if entry.method in READING]
        read = await self._read_ahead(caller, reading, {f"{entry.type}/{entry.id}" for entry in writing})
        written = await self._transactions.commit(caller, writing)
        changed = {one.stored.reference for one in written.values()}
        answers = []
        for entry in all_entries:
            if entry.method not in READING:
                answers.append(_written_entry(entry, written.get(entry.index)))
            elif entry.index in read and f"{entry.type}/{entry.id}" not in changed:
                answers.append(read[entry.index])
            else:
                answers.append(await self._batch_entry(caller, entry))
        return answers

    async def _read_ahead(self, caller: Caller, reading: list[Entry], written: set[str]) -> dict[int, dict[str, Any]]:
        """The answers to reads of what the transaction leaves as it is, by index: what fails there fails as a whole.

        A search is looked at, and answered after the commit; what fails then fails by itself.
        """
        read = {}
        for entry in reading:
            with naming(entry):
                if entry.id is None:
                    self._searching.check(caller, entry.type, entry.parameters)
                elif f"{entry.type}/{entry.id}" not in written:
                    read[entry.index] = await self._get(caller, entry)
        return read

    async def _batch(self, caller: Caller, all_entries: list[Entry | InvalidRequest]) -> list[dict[str, Any]]:
        """The answers, in the order of the entries; the standard lets no entry of a batch depend on another one."""
        gate = asyncio.Semaphore(_AT_ONCE)

        async def answer(entry: Entry | InvalidRequest) -> dict[str, Any]:
            if isinstance(entry, InvalidRequest):
                return _refused_entry(entry)
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
            return _refused_entry(refusal)

    async def _put(self, caller: Caller, entry: Entry, resource: dict[str, Any]) -> Written:
        expected, absent = entry.if_match, entry.absent
        if entry.id is not None:
            return await self._interactions.update(caller, entry.type, entry.id, resource, expected, absent=absent)
        return await self._conditional_writes.update(
            caller, entry.type, entry.criteria, resource, expected, absent=absent
        )

    async def _delete(self, caller: Caller, entry: Entry) -> Stored | None:
        if entry.id is not None:
            return await self._interactions.delete(caller, entry.type, entry.id, entry.if_match)
        return await self._conditional_writes.delete(caller, entry.type, entry.criteria, entry.if_match)

    async def _get(self, caller: Caller, entry: Entry) -> dict[str, Any]:
        if entry.id is None:
            result = await self._searching.search(caller, entry.type, entry.parameters)
            return {"resource": result.bundle(self._base_url), "response": {"status": "200"}}
        if entry.version is not None:
            stored = await self._interactions.vread(caller, entry.type, entry.id, entry.version)
        else:
            stored = await self._interactions.read(caller, entry.type, entry.id)
        known = unmodified(stored, entry.if_none_match, entry.if_modified_since)
        status, resource = ("304", None) if known else ("200", stored.resource)
        return response_entry(status, stored.reference, stored.version, stored.updated, resource)


def _refused_entry(refusal: Refusal) -> dict[str, Any]:
    return {"response": {"status": str(refusal.status), "outcome": operation_outcome(refusal)}}


def _written_entry(entry: Entry, written: Written | None) -> dict[str, Any]:
    if written is None or entry.method == "DELETE":
        return {"response": {"status": "204"}}
    stored = written.stored
    return response_entry("201" if written.created else "200", stored.reference, stored.version, stored.updated)
