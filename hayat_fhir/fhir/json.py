"""The lossless JSON codec: numbers keep their digits both ways.

"Implementations SHALL handle decimal values in ways that preserve and respect the precision",
https://hl7.org/fhir/R4/datatypes.html#decimal. What JSON libraries let pass silently is refused here:
duplicate keys, numbers that no decimal can hold, lone surrogates, NUL.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

from hayat_fhir.errors import InvalidRequest, TooLarge

LIMIT = 15 * 2**20
"""The most bytes of one resource: MongoDB stores at most 16 MB in a document."""
DEPTH = 64

_KEY = re.compile(rb'"\s*:')
_MOST_DIGITS = 34
_MOST_EXPONENT = 300
_MOST_CHARACTERS = 400
_INT64 = 2**63
_PLAIN_EXPONENT = -30


def parse(data: bytes, *, limit: int = LIMIT, depth: int = DEPTH) -> dict[str, Any]:
    """A JSON object as a dict; numbers with a fraction or exponent become ``decimal.Decimal``.

    Raises:
        TooLarge: More than ``limit`` bytes.
        InvalidRequest: Not one JSON object in UTF-8, a duplicate key, deeper than ``depth`` levels, a number of
            more than 34 digits or beyond 64 bits or 1e300, a NUL or a lone surrogate.
    """
    if len(data) > limit:
        raise TooLarge(f"more than {limit} bytes")
    try:
        value = _DECODER.decode(data)
    except msgspec.DecodeError as error:
        raise _malformed("not well-formed JSON") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise _malformed("not JSON in UTF-8, or nested too deeply") from error
    if not isinstance(value, dict):
        raise _malformed("the top level is not a JSON object")
    if b"\\u" in data or b"\x00" in data:
        _check_text(value)
    keys = _checked(value, depth)
    if keys != len(_KEY.findall(data)):
        _refuse_duplicates(data)
    return value


def serialize(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Compact JSON in UTF-8; a Decimal is written with the digits it has."""
    return orjson.dumps(value, _default)


def serialize_indented(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """The same with line breaks and an indent of two, for people."""
    return orjson.dumps(value, _default, orjson.OPT_INDENT_2)


def _default(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(decimal_text(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def decimal_text(value: Decimal) -> str:
    """The JSON text of a decimal: plain where that is what was written, scientific for a positive exponent."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and _PLAIN_EXPONENT <= exponent <= 0:
        return f"{value:f}"
    return str(value)


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text) if len(text) <= _MOST_CHARACTERS else None
    except InvalidOperation:
        value = None
    if value is None or len(value.as_tuple().digits) > _MOST_DIGITS or abs(value.adjusted()) > _MOST_EXPONENT:
        raise _malformed("a number has more digits or a larger exponent than can be kept")
    return value


_DECODER = msgspec.json.Decoder(float_hook=_decimal)


def _checked(value: dict[str, Any], depth: int) -> int:
    """The number of keys in the tree; refuses what is too deep or too large a number."""
    keys = 0
    level: list[Any] = [value]
    for _ in range(depth):
        if not level:
            return keys
        below: list[Any] = []
        for node in level:
            if type(node) is dict:
                keys += len(node)
                children = node.values()
            else:
                children = node
            for child in children:
                kind = type(child)
                if kind is dict or kind is list:
                    below.append(child)
                elif (kind is int and not -_INT64 <= child < _INT64) or kind is float:
                    raise _malformed("a number is beyond 64 bits")
        level = below
    if level:
        raise _malformed(f"nested more than {depth} levels deep")
    return keys


def _check_text(value: object) -> None:
    """Refuse lone surrogates and NUL, which only an escape can bring in."""
    stack: list[object] = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node)
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
        elif isinstance(node, str) and ("\x00" in node or not _encodable(node)):
            raise _malformed("a NUL or a lone surrogate in a string")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_duplicates(data: bytes) -> None:
    """Look closely: the count of keys differs from the count of colons after a quote."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise _malformed("a key occurs twice in one object")
        return found

    json.loads(data, object_pairs_hook=unique)


def _malformed(why: str) -> InvalidRequest:
    return InvalidRequest(why, code="structure")
