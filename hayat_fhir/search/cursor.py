"""Page cursors: opaque, authenticated, and bound to who asked for what.

A cursor holds the position of the last match (keyset paging), so that writes in between make no page repeat or
skip a resource; whoever changes it, or uses another's, is refused.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Any

import orjson

from hayat_fhir.errors import InvalidRequest

_TAG = 16
_LONGEST = 4096


def encode(secret: bytes, binding: bytes, position: Sequence[Any]) -> str:
    """The cursor of a position (JSON values), for ``binding``: caller and query."""
    body = orjson.dumps(list(position))
    return urlsafe_b64encode(_tag(secret, binding, body) + body).decode().rstrip("=")


def decode(secret: bytes, binding: bytes, cursor: str) -> list[Any]:
    """The position of a cursor.

    Raises:
        InvalidRequest: Not a cursor of this server for this caller and query.
    """
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)) if len(cursor) < _LONGEST else b""
    except (UnicodeEncodeError, Base64Error, ValueError) as error:
        raise _foreign() from error
    tag, body = raw[:_TAG], raw[_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, binding, body)):
        raise _foreign()
    position = orjson.loads(body)
    return position if isinstance(position, list) else []


def _tag(secret: bytes, binding: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, len(binding).to_bytes(4, "big") + binding + body, "sha256")[:_TAG]


def _foreign() -> InvalidRequest:
    return InvalidRequest("the page cursor does not belong to this search", code="value")
