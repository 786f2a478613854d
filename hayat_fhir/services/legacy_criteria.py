"""From the filters and the order of a legacy list to a condition on the search index.

A field of the main resource is one criterion of its search. A field of another part is looked up in that part's own
index first; what it finds becomes a criterion on what refers to it. What is kept with the account, staff filter by too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from hayat_fhir.errors import InvalidRequest, Issue
from hayat_fhir.mapping.document import DocumentMapping, Field, Part
from hayat_fhir.search.conditions import AllOf, AnyKey, Condition, Ids, SortKey
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.search.parameters import SearchParameters
from hayat_fhir.search.query import Query, parse
from hayat_fhir.search.reference import reference_key
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.personnel import ROLE_TAGS
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.legacy_query import PREFIXES, Criterion, Wanted
from hayat_fhir.store.accounts import Accounts
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_MOST_JOINED = 1000
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
_ORDERED = frozenset({"date", "number"})
_WHOLE_SECOND = re.compile(r"\.0+(?=Z|[+-]|$)")
"""A moment reads with milliseconds, also where the resource is only exact to the second."""

_ESCAPED = str.maketrans({character: f"\\{character}" for character in ",|$\\"})


class LegacyCriteria:
    """Compiles what a list is asked for."""

    def __init__(
        self,
        resources: Resources,
        policy: Policy,
        parameters: SearchParameters,
        indexer: Indexer,
        accounts: Accounts,
        base_url: str,
    ) -> None:
        self._resources = resources
        self._accounts = accounts
        self._policy = policy
        self._parameters = parameters
        self._indexer = indexer
        self._base_url = base_url

    async def compiled(
        self, caller: Caller, mapping: DocumentMapping, wanted: Wanted
    ) -> tuple[Condition, tuple[SortKey, ...]]:
        """The condition on the main resource, and the order.

        Raises:
            InvalidRequest: A field that cannot be filtered or sorted by, a value that is none of its, or a filter on
                another part that too many meet.
            Forbidden: A filter on a part that the caller may not see.
        """
        pairs: list[tuple[str, str]] = []
        others: dict[str, list[tuple[str, str]]] = {}
        conditions: list[Condition] = []
        for criterion in wanted.criteria:
            if caller.role is Role.STAFF and _is_personnel(mapping.fields.get(criterion.field)):
                conditions.append(await self._personnel(mapping, criterion))
                continue
            part, pair = self._pair(mapping, criterion)
            (pairs if part == mapping.main else others.setdefault(part, [])).append(pair)
        if mapping.tag is not None:
            pairs.append(("_tag", f"{ROLE_TAGS}|{mapping.tag}"))
        if wanted.sort:
            pairs.append(("_sort", ",".join(self._order(mapping, name, down) for name, down in wanted.sort)))
        query = self._query(mapping.type, pairs, mapping)
        conditions.append(query.condition)
        for part_name, part_pairs in others.items():
            conditions.append(await self._joined(caller, mapping, mapping.parts[part_name], part_pairs))
        return (conditions[0] if len(conditions) == 1 else AllOf(tuple(conditions))), query.sort

    async def _personnel(self, mapping: DocumentMapping, criterion: Criterion) -> Condition:
        """The condition that the person's account keeps such a number."""
        if _NUMBER.fullmatch(criterion.value) is None:
            raise _refused(criterion.field, "not a value of this field")
        operator, value = criterion.operator or "eq", float(criterion.value)
        found = await self._accounts.of_personnel(criterion.field, operator, value, _MOST_JOINED + 1)
        if len(found) > _MOST_JOINED:
            raise InvalidRequest("too many meet this filter; narrow it by another one", code="too-costly")
        named = (reference.partition("/") for reference in found)
        return Ids(tuple(id for type, _, id in named if type == mapping.type))

    def _pair(self, mapping: DocumentMapping, criterion: Criterion) -> tuple[str, tuple[str, str]]:
        """The part that a criterion is about, and the pair of a FHIR search that it is."""
        field = mapping.fields.get(criterion.field)
        if field is None or field.search is None:
            raise _refused(criterion.field, "this field cannot be filtered by", "not-supported")
        search = field.search
        parameter = self._parameters.get(mapping.parts[search.part].type, search.parameter)
        kind = parameter.type if parameter is not None else ""
        if criterion.operator and kind not in _ORDERED:
            raise _refused(criterion.field, "this field has no order", "not-supported")
        value = _value(field, criterion.value)
        match kind:
            case "string":
                return search.part, (f"{search.parameter}:exact", value.translate(_ESCAPED))
            case "date":
                return search.part, (search.parameter, f"{PREFIXES[criterion.operator]}{value}")
            case "reference":
                return search.part, (search.parameter, f"{field.details.target}/{value}".translate(_ESCAPED))
            case _:
                token = value.translate(_ESCAPED) if not search.codes else value
                tokens = [f"{system}|{token}" for system in search.systems] or [token]
                return search.part, (search.parameter, ",".join(tokens))

    def _order(self, mapping: DocumentMapping, name: str, descending: bool) -> str:
        field = mapping.fields.get(name)
        if field is None or field.search is None or field.search.part != mapping.main:
            raise _refused("sort", f"cannot sort by {name}", "not-supported")
        return f"-{field.search.parameter}" if descending else field.search.parameter

    async def _joined(
        self, caller: Caller, mapping: DocumentMapping, part: Part, pairs: Sequence[tuple[str, str]]
    ) -> Condition:
        """The condition on the main resource that one of its parts meets the pairs."""
        fixed = [tuple(pair.split("=", 1)) for pair in (part.criteria or "").split("&") if pair and "{id}" not in pair]
        coded = [("code", f"{part.code[0]}|{part.code[1]}")] if part.code else []
        query = self._query(part.type, [*pairs, *((name, value) for name, value in fixed), *coded], mapping)
        return await self._leading_to(caller, mapping, part, query.condition)

    async def _leading_to(
        self, caller: Caller, mapping: DocumentMapping, part: Part, condition: Condition
    ) -> Condition:
        restriction = self._policy.restriction(caller, Interaction.SEARCH, part.type)
        page = await self._resources.find(part.type, condition, restriction, (), _MOST_JOINED, None)
        if page.next is not None:
            raise InvalidRequest("too many meet this filter; narrow it by another one", code="too-costly")
        if part.source is None:
            return Ids(tuple(id for stored in page.matches for id in self._main_ids(part, stored)))
        holder, path = part.source
        keys = AnyKey(tuple(reference_key(path[-1].name, stored.reference) for stored in page.matches))
        if holder == mapping.main:
            return keys
        return await self._leading_to(caller, mapping, mapping.parts[holder], keys)

    def _main_ids(self, part: Part, stored: Stored) -> list[str]:
        name = next(pair.split("=", 1)[0] for pair in (part.criteria or "").split("&") if "{id}" in pair)
        if name == "identifier":
            return [identifier.get("value", "") for identifier in (stored.resource or {}).get("identifier", ())]
        return [text.partition("/")[2] for text in self._indexer.references(stored.resource or {}, name)]

    def _query(self, type: str, pairs: Sequence[tuple[str, str]], mapping: DocumentMapping) -> Query:
        """The FHIR search; a refusal names the legacy field."""
        try:
            return parse(type, pairs, self._parameters, base_url=self._base_url, now=round(time.time() * 1000))
        except InvalidRequest as refusal:
            legacy = {f.search.parameter: f.name for f in mapping.fields.values() if f.search is not None}
            named = {
                text.removeprefix("parameter: ").partition(":")[0] for i in refusal.issues for text in i.expression
            }
            field = next((legacy[name] for name in named if name in legacy), "sort")
            raise _refused(field, "not a value of this field") from refusal


def _is_personnel(field: Field | None) -> bool:
    """Whether a field is kept with the account and may be seen by staff."""
    return field is not None and field.part is None and not field.write_only


def _value(field: Field, text: str) -> str:
    """The value in the form of the FHIR element."""
    if field.search is not None and field.search.codes:
        if text not in field.search.codes:
            raise _refused(field.name, f"must be one of {', '.join(field.search.codes)}")
        return field.search.codes[text]
    if field.type == "date":
        return text[:10]
    if field.type == "datetime":
        return _WHOLE_SECOND.sub("", text)
    return text.casefold() if field.name == "email" else text


def _refused(name: str, why: str, code: str = "value") -> InvalidRequest:
    return InvalidRequest(issues=[Issue(code, why, (f"parameter: {name}",))])
