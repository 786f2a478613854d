"""What the driver raises becomes what this package raises: the rim of the store."""

from __future__ import annotations

from decimal import DecimalException
from types import TracebackType

from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from hayat_fhir.errors import InvalidRequest, Refusal, TooLarge, Unavailable

_UNREACHABLE = (
    AutoReconnect,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    ServerSelectionTimeoutError,
    WTimeoutError,
    WaitQueueTimeoutError,
)
_OBJECT_TOO_LARGE = frozenset({388, 10334, 17280, 17419, 17420})
"""Server codes of a document, or a transaction, that does not fit."""

_PASSING = frozenset({6, 7, 24, 43, 50, 64, 89, 91, 112, 133, 189, 246, 262, 286, 290, 314, 317, 9001, 10058, 10107})
_PASSING_TOO = frozenset({11600, 11602, 13435, 13436, 14031})
"""Server codes of a node that steps down, stops, recovers, has lost a cursor, runs out of time or out of disk."""


class answered:  # noqa: N801 - reads as a statement: ``with answered(): await ..``
    """Translates the driver's exceptions raised inside.

    Raises:
        Unavailable: MongoDB cannot be reached, is not primary, is out of disk, or did not answer in time.
        TooLarge: The document exceeds 16 MB.
        InvalidRequest: A value cannot be stored: an integer beyond 64 bits, a lone surrogate, a decimal of
            more than 34 digits.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            refusal = refusal_for(error)
            if refusal is not None:
                raise refusal from error


def refusal_for(error: BaseException) -> Refusal | None:
    """The refusal that stands for a driver's exception, or None where it is a fault of ours."""
    if isinstance(error, Refusal):
        return None
    if isinstance(error, _UNREACHABLE) or (isinstance(error, PyMongoError) and error.timeout):
        return Unavailable("the database does not answer")
    if isinstance(error, DocumentTooLarge):
        return TooLarge("the resource is too large to store")
    if isinstance(error, OperationFailure):
        if too_large(error.code):
            return TooLarge("the resource is too large to store")
        if error.code in _PASSING or error.code in _PASSING_TOO or error.has_error_label("TransientTransactionError"):
            return Unavailable("the database cannot do this now")
    if isinstance(error, (InvalidDocument, OverflowError, UnicodeEncodeError, DecimalException)):
        return InvalidRequest("a value is out of the range that can be stored", code="value")
    return None


def too_large(code: int | None) -> bool:
    """Whether this code of the server says that a document, or a transaction, does not fit."""
    return code in _OBJECT_TOO_LARGE
