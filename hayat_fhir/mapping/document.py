"""A legacy document as a view of FHIR resources, in both directions.

One document may span several resources, its parts. Reading, the parts become one flat document. Writing changes
only what the document names: a value that reads as it stands already changes nothing, and whatever the document does
not know (extensions, other identifiers, codes, notes, what partners wrote) stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from hayat_fhir.errors import Conflict
from hayat_fhir.mapping import paths
from hayat_fhir.mapping.pairs import Details, Pair

Resource = dict[str, Any]
Resources = Mapping[str, Sequence[Resource]]
"""The resources of each part; those of a part that may be several with the newest first."""

PLACEHOLDER = "urn:hayat:part:"
"""Before a part's name: stands for the resource of that part until it has an id."""

_SEPARATOR = ", "


@dataclass(frozen=True, slots=True)
class Search:
    """How a field is looked for: a search parameter of the part's type.

    ``systems``, any of which may stand before a token's value; ``codes`` turn a legacy value into a token.
    """

    part: str
    parameter: str
    systems: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One FHIR resource of a document.

    ``criteria``: the search that finds it, ``{id}`` being the main resource's id; or ``source`` (part, path): the
    references that lead to it, and ``code`` (system, code), which it has then. ``shared`` (search parameter, path):
    it belongs to nobody, and another value means another resource. ``own``: the identifier (system, value) of what
    the adapter itself writes, where others write too. ``yields``: what others say prevails.
    """

    name: str
    type: str
    new: Resource
    criteria: str | None = None
    source: tuple[str, paths.Path] | None = None
    code: tuple[str, str] | None = None
    shared: tuple[str, paths.Path] | None = None
    own: tuple[str, str] | None = None
    yields: bool = False
    copies: Mapping[str, tuple[str, paths.Path]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a document. ``name`` is dotted where it stands in an object.

    ``part`` is None for a field that is kept with the account (a password, a salary). ``populated``: the fields of
    the document that an id names which are shown in its place. ``now``: a new document without it gets the present.
    """

    name: str
    type: str
    part: str | None = None
    path: paths.Path = ()
    pair: Pair | None = None
    details: Details = field(default_factory=lambda: Details({}, ""))
    fallback: tuple[tuple[paths.Path, Pair], ...] = ()
    default: str | None = None
    required: bool = False
    write_only: bool = False
    enum: tuple[str, ...] = ()
    longest: int = 10_000
    search: Search | None = None
    populated: tuple[str, ...] = ()
    now: bool = False


@dataclass(frozen=True, slots=True)
class DocumentMapping:
    """One mapping file of ``mappings/api-v1/``, ready to run."""

    name: str
    main: str
    parts: Mapping[str, Part]
    fields: Mapping[str, Field]
    tag: str | None = None

    @property
    def type(self) -> str:
        """The FHIR type of the main resource."""
        return self.parts[self.main].type

    @property
    def names(self) -> frozenset[str]:
        """The top-level names of a document."""
        return frozenset(name.partition(".")[0] for name in self.fields)

    def to_legacy(self, resources: Resources) -> dict[str, Any]:
        """The document that these resources are, without ids; a required text that they lack is empty."""
        document: dict[str, Any] = {}
        for one in self.fields.values():
            outer, _, inner = one.name.partition(".")
            target = document.setdefault(outer, {}) if inner else document
            if one.write_only or one.part is None:
                continue
            there = resources.get(one.part)
            value = self._legacy_value(one, there) if there else one.default
            if value is not None:
                target[inner or outer] = value
            elif one.required and one.type == "string":
                target[inner or outer] = ""
        return document

    def to_fhir(self, document: Mapping[str, Any], existing: Resources) -> dict[str, Resource | None]:
        """The resource of each part that this document makes, changes or (None) takes away; others are left out.

        ``document`` may be partial; None takes a field away. ``{"reference": PLACEHOLDER + part}`` stands
        for the resource of that part, and ``PLACEHOLDER + "id"`` for the main resource's id.

        Raises:
            Conflict: Others say something else that prevails.
        """
        written: dict[str, Resource | None] = {}
        for one in self.fields.values():
            named, value = _named(document, one.name)
            if not named or one.part is None or one.pair is None:
                continue
            there = existing.get(one.part, ())
            if value in ("", one.default):
                value = None
            if value == self._legacy_value(one, there, bare=True):
                continue
            self._write(one, value, there, written)
        for part in self._made_whole(written, existing):
            self._copy(part, written, existing)
        return written

    def _write(self, one: Field, value: object, there: Sequence[Resource], written: dict[str, Resource | None]) -> None:
        part = self.parts[one.part or self.main]
        if part.yields and len(there) > len(self._own(part.name, there)):
            raise Conflict("somebody entitled has recorded this; it is not changed here", expression=[one.name])
        if part.name in written and written[part.name] is not None:
            target = written[part.name] or {}
        elif part.shared is not None or not self._own(part.name, there):
            if value is None:
                return
            target = self._new(part)
        else:
            target = deepcopy(dict(self._own(part.name, there)[0]))
        current = paths.get(target, one.path)
        paths.put(
            target,
            one.path,
            None if value is None or one.pair is None else one.pair.to_fhir(value, current, one.details),
        )
        empty = part.name != self.main and value is None and not self._says_something(part, target)
        written[part.name] = None if empty else target

    def _says_something(self, part: Part, resource: Resource) -> bool:
        """Whether a mapped element is left."""
        return any(one.part == part.name and paths.get(resource, one.path) is not None for one in self.fields.values())

    def _own(self, part: str, there: Sequence[Resource]) -> Sequence[Resource]:
        """Those that the adapter may change."""
        own = self.parts[part].own
        if own is None:
            return there[:1]
        system, value = own
        return [
            one
            for one in there
            if any(i.get("system") == system and i.get("value") == value for i in one.get("identifier", ()))
        ][:1]

    def _new(self, part: Part) -> Resource:
        made: Resource = {"resourceType": part.type, **deepcopy(part.new)}
        if part.own is not None:
            made.setdefault("identifier", []).append({"system": part.own[0], "value": part.own[1]})
        return made

    def _made_whole(self, written: dict[str, Resource | None], existing: Resources) -> list[Part]:
        """The parts that are written, with those that must be there to refer to them."""
        for part in reversed(tuple(self.parts.values())):
            if part.source is None or written.get(part.name) is None:
                continue
            holder, path = part.source
            there = existing.get(part.name, ())
            if there and part.shared is None:
                continue
            target = written.get(holder) or deepcopy(
                dict(next(iter(existing.get(holder, ())), self._new(self.parts[holder])))
            )
            reference = {"reference": f"{PLACEHOLDER}{part.name}"}
            if path[-1].first and part.shared is None:
                outer = target
                for step in path[:-1]:
                    outer = outer.setdefault(step.name, {})
                outer.setdefault(path[-1].name, []).append(reference)
            else:
                paths.put(target, path, reference)
            written[holder] = target
        return [self.parts[name] for name, resource in written.items() if resource is not None]

    def _copy(self, part: Part, written: Mapping[str, Resource | None], existing: Resources) -> None:
        """Let the part say once more what another one says."""
        target = written[part.name]
        for name, (other, path) in part.copies.items():
            source = written.get(other) or next(iter(existing.get(other, ())), None)
            value = paths.get(source, path)
            if target is not None and value is not None:
                paths.put(target, paths.parse(name), deepcopy(value))

    def _legacy_value(self, one: Field, there: Sequence[Resource], *, bare: bool = False) -> Any:  # noqa: ANN401 - JSON
        """What the field says; ``bare``: None rather than its default."""
        if one.pair is None:
            return None
        part = self.parts[one.part or self.main]
        first = there
        if part.own is not None and there:
            own = self._own(part.name, there)
            if not part.yields:
                return _joined([one.pair.to_legacy(paths.get(r, one.path), one.details) for r in (*own, *there)])
            first = [r for r in there if r not in own] or own
        value = one.pair.to_legacy(paths.get(first[0], one.path), one.details) if first else None
        for path, pair in one.fallback if first else ():
            if value is None:
                value = pair.to_legacy(paths.get(first[0], path), one.details)
        return one.default if value is None and not bare else value


def _joined(texts: Sequence[str | None]) -> str | None:
    """The texts that are not part of one before them."""
    found: list[str] = []
    for text in texts:
        if text and not any(text.casefold() in other.casefold() for other in found):
            found.append(text)
    return _SEPARATOR.join(found) or None


def _named(document: Mapping[str, Any], name: str) -> tuple[bool, Any]:
    """Whether the document names this field, and its value; an object that is None names all of its fields."""
    outer, _, inner = name.partition(".")
    if outer not in document:
        return False, None
    value = document[outer]
    if not inner:
        return True, value
    if value is None:
        return True, None
    return inner in value, value.get(inner)
