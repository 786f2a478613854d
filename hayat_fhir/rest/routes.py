"""The paths below ``/fhir``: a table of templates, from which requests are dispatched and the statement is built."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from hayat_fhir.errors import InvalidRequest, NotFound
from hayat_fhir.rest.messages import Answer, Request

Handler = Callable[[Request], Awaitable[Answer]]

_ID = re.compile(r"(?!\.+$)[A-Za-z0-9.\-]{1,64}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Action:
    """What a method of a route does: a FHIR interaction code or an operation's name (``$..``), and who does it.

    https://hl7.org/fhir/R4/valueset-restful-interaction.html
    """

    code: str
    handler: Handler


@dataclass(frozen=True, slots=True)
class Route:
    """A path template below ``/fhir`` with its methods; ``public`` routes need no token."""

    template: str
    actions: Mapping[str, Action]
    public: bool = False

    @property
    def allow(self) -> str:
        """The value of an Allow header."""
        methods = [*self.actions, "HEAD"] if "GET" in self.actions else [*self.actions]
        return ", ".join(sorted(methods))


class Routes:
    """The table, looked up by the segments of a path; of two templates that fit, the first wins."""

    def __init__(self, routes: Sequence[Route], types: frozenset[str]) -> None:
        self._types = types
        self.all = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            parts = tuple(route.template.split("/")) if route.template else ()
            self._by_length.setdefault(len(parts), []).append((parts, route))

    def find(self, path: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        """The route of a path and the variable parts, not yet checked; None where nothing fits."""
        for parts, route in self._by_length.get(len(path), ()):
            for part, segment in zip(parts, path, strict=True):
                if part != segment and part[0] != "{":
                    break
            else:
                return route, {p[1:-1]: s for p, s in zip(parts, path, strict=True) if p[0] == "{"}
        return None

    def check(self, names: Mapping[str, str]) -> None:
        """Refuse variable parts that cannot name anything.

        Raises:
            NotFound: Not an R4 resource type, not a version, or an operation or type history, which are not offered.
            InvalidRequest: Not a logical id.
        """
        if "type" in names and names["type"] not in self._types:
            raise NotFound("no such resource type", code="not-supported")
        if "id" in names and _ID.fullmatch(names["id"]) is None:
            if names["id"][:1] in {"$", "_"}:
                raise NotFound("this is not offered here", code="not-supported")
            raise InvalidRequest("an id has 1 to 64 letters, digits, hyphens and dots", code="value")
        if "version" in names and _VERSION.fullmatch(names["version"]) is None:
            raise NotFound("no such version")
