"""The exception tree, and the tables that turn a category into each door's own vocabulary.

::

    HayatError
    ├── ConfigurationError      a setting, definition or mapping file is wrong; the start stops
    └── Refusal                 an answer to whoever asked, with a category and issues
        ├── InvalidRequest      malformed input: JSON, resource, search, token request
        ├── Unauthenticated     no token, or one that is not valid
        ├── Forbidden           authenticated, but outside the caller's scope
        ├── NotFound            missing, or outside the caller's compartment: the same answer
        ├── Gone                deleted
        ├── MethodNotAllowed    the interaction does not exist here
        ├── NotAcceptable       no representation the client accepts
        ├── Conflict            the stored state disagrees
        ├── PreconditionFailed  If-Match or a conditional criterion did not hold
        ├── PreconditionMissing this site wants an update to name the version that it replaces
        ├── TooLarge            over a byte, depth or count limit
        ├── UnsupportedMedia    a content type or encoding not spoken
        ├── Unprocessable       well formed, but a rule of the site refuses it
        ├── Throttled           too many requests
        └── Unavailable         a component is down; the same request may succeed later

No message ever carries a submitted or stored value: location and code only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Category(StrEnum):
    """What went wrong, independent of the door that answers."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    GONE = "gone"
    METHOD = "method"
    NOT_ACCEPTABLE = "not-acceptable"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    PRECONDITION_REQUIRED = "precondition-required"
    TOO_LARGE = "too-large"
    MEDIA = "media"
    UNPROCESSABLE = "unprocessable"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"


HTTP_STATUS: dict[Category, int] = {
    Category.INVALID: 400,
    Category.UNAUTHENTICATED: 401,
    Category.FORBIDDEN: 403,
    Category.NOT_FOUND: 404,
    Category.GONE: 410,
    Category.METHOD: 405,
    Category.NOT_ACCEPTABLE: 406,
    Category.CONFLICT: 409,
    Category.PRECONDITION: 412,
    Category.PRECONDITION_REQUIRED: 428,
    Category.TOO_LARGE: 413,
    Category.MEDIA: 415,
    Category.UNPROCESSABLE: 422,
    Category.THROTTLED: 429,
    Category.UNAVAILABLE: 503,
}

ISSUE_CODE: dict[Category, str] = {
    Category.INVALID: "invalid",
    Category.UNAUTHENTICATED: "login",
    Category.FORBIDDEN: "forbidden",
    Category.NOT_FOUND: "not-found",
    Category.GONE: "deleted",
    Category.METHOD: "not-supported",
    Category.NOT_ACCEPTABLE: "not-supported",
    Category.CONFLICT: "conflict",
    Category.PRECONDITION: "conflict",
    Category.PRECONDITION_REQUIRED: "required",
    Category.TOO_LARGE: "too-long",
    Category.MEDIA: "not-supported",
    Category.UNPROCESSABLE: "processing",
    Category.THROTTLED: "throttled",
    Category.UNAVAILABLE: "transient",
}
"""Category to http://hl7.org/fhir/R4/valueset-issue-type.html"""

DIMSE_STATUS: dict[Category, int] = {
    Category.INVALID: 0xC000,
    Category.UNAUTHENTICATED: 0x0124,
    Category.FORBIDDEN: 0x0124,
    Category.NOT_FOUND: 0x0112,
    Category.CONFLICT: 0xC002,
    Category.TOO_LARGE: 0xA700,
    Category.UNPROCESSABLE: 0xA900,
    Category.UNAVAILABLE: 0xA700,
}
"""Category to a C-STORE status (PS3.4 annex B.2.3); a category not listed is 0x0110, processing failure."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding, as it becomes an ``OperationOutcome.issue``: a FHIR issue code, where, and why."""

    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()
    severity: str = "error"


class HayatError(Exception):
    """Root of everything this package raises on purpose."""


class ConfigurationError(HayatError):
    """A setting, definition or mapping file is wrong; the message names the file or setting and the key."""


class Refusal(HayatError):
    """An answer to whoever asked: a category and at least one issue."""

    category: Category

    def __init__(
        self,
        diagnostics: str = "",
        *,
        code: str | None = None,
        expression: Sequence[str] = (),
        issues: Sequence[Issue] = (),
    ) -> None:
        super().__init__(diagnostics)
        self.issues: tuple[Issue, ...] = tuple(issues) or (
            Issue(code or ISSUE_CODE[self.category], diagnostics, tuple(expression)),
        )

    @property
    def status(self) -> int:
        """The HTTP status of this refusal."""
        return HTTP_STATUS[self.category]


class InvalidRequest(Refusal):
    """Malformed input."""

    category = Category.INVALID


class Unauthenticated(Refusal):
    """No token, or one that is not valid."""

    category = Category.UNAUTHENTICATED


class Forbidden(Refusal):
    """Authenticated, but outside the caller's scope or role."""

    category = Category.FORBIDDEN


class NotFound(Refusal):
    """Missing, or outside the caller's compartment."""

    category = Category.NOT_FOUND


class Gone(Refusal):
    """Deleted."""

    category = Category.GONE


class MethodNotAllowed(Refusal):
    """The interaction does not exist here."""

    category = Category.METHOD


class NotAcceptable(Refusal):
    """No representation the client accepts."""

    category = Category.NOT_ACCEPTABLE


class Conflict(Refusal):
    """The stored state disagrees with the request."""

    category = Category.CONFLICT


class PreconditionFailed(Refusal):
    """If-Match or a conditional criterion did not hold."""

    category = Category.PRECONDITION


class PreconditionMissing(Refusal):
    """This site wants an update to name the version that it replaces."""

    category = Category.PRECONDITION_REQUIRED


class TooLarge(Refusal):
    """Over a byte, depth or count limit."""

    category = Category.TOO_LARGE


class UnsupportedMedia(Refusal):
    """A content type or encoding that is not spoken here."""

    category = Category.MEDIA


class Unprocessable(Refusal):
    """Well formed, but a rule of the site refuses it."""

    category = Category.UNPROCESSABLE


class Throttled(Refusal):
    """Too many requests."""

    category = Category.THROTTLED


class Unavailable(Refusal):
    """A component is down; the same request may succeed later."""

    category = Category.UNAVAILABLE
