"""Versions and times in HTTP headers: ETag, If-Match, If-None-Match, Last-Modified, If-Modified-Since.

Also of the requests of a Bundle, which say the same in elements.
https://hl7.org/fhir/R4/http.html#versions and RFC 9110 section 13.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.bundles import Version

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_HTTP_DATE = re.compile(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT")


def etag(version: int) -> bytes:
    """The weak ETag of a version, ``W/"3"``."""
    return b'W/"%d"' % version


@lru_cache(maxsize=4096)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()


def last_modified(updated: datetime) -> bytes:
    """A time as an HTTP date; fractions of a second are cut off."""
    return _http_date(int(updated.timestamp()))


def if_match(header: str | None) -> int | None:
    """The version that an If-Match header names; None where there is no such header.

    Raises:
        InvalidRequest: Anything but exactly one version.
    """
    if header is None:
        return None
    found = _ETAG.fullmatch(header.strip())
    if found is None:
        raise InvalidRequest('If-Match names one version, W/"n"', code="value")
    return int(found[1])


def only_if_absent(header: str | None) -> bool:
    """Whether If-None-Match asks a write to succeed only where nothing is stored yet: ``*``.

    Raises:
        InvalidRequest: Another value; a write cannot be conditional on a version it does not match.
    """
    if header is None:
        return False
    if header.strip() != "*":
        raise InvalidRequest("If-None-Match of a write can only be *", code="value")
    return True


def http_date(header: str | None) -> datetime | None:
    """The time that an If-Modified-Since header names; None where there is none, or it cannot be read."""
    if header is None or not _HTTP_DATE.fullmatch(header.strip()):
        return None
    try:
        return parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None


def unmodified(stored: Version, if_none_match: str | None, if_modified_since: datetime | None) -> bool:
    """Whether a conditional read answers 304: the client has this version already.

    If-None-Match decides alone where it is present (RFC 9110 section 13.2.2).
    """
    if if_none_match is not None:
        return if_none_match.strip() == "*" or str(stored.version) in _ETAG.findall(if_none_match)
    return if_modified_since is not None and stored.updated.replace(microsecond=0) <= if_modified_since
