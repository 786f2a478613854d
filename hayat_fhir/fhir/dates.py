"""FHIR dates as intervals, and instants as text.

A date says no more than its precision: ``2026-11`` is the whole month.
https://hl7.org/fhir/R4/datatypes.html#dateTime, https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

_FORM = re.compile(
    r"(?P<year>\d{4})"
    r"(?:-(?P<month>\d\d)"
    r"(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LAST_MILLISECOND = 253_402_300_799_999
_LEAP_SECOND = 60


def bounds(text: str, zone: tzinfo = UTC) -> tuple[int, int]:
    """The first and last millisecond (since 1970 UTC, inclusive) that a date, dateTime or instant may mean.

    ``zone`` is where a text without an offset was written.

    Raises:
        ValueError: Not a FHIR date; the message does not repeat it.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match["hour"] and match["fraction"] and not match["second"]):
        raise ValueError("not a FHIR date")
    year, month, day = int(match["year"]), int(match["month"] or 1), int(match["day"] or 1)
    hour, minute, second = int(match["hour"] or 0), int(match["minute"] or 0), int(match["second"] or 0)
    leap = second == _LEAP_SECOND
    fraction = (match["fraction"] or "").ljust(3, "0")
    try:
        start = datetime(
            year, month, day, hour, minute, second - leap, int(fraction[:3]) * 1000, _zone(match["zone"], zone)
        )
        low = round((start - _EPOCH) / _MILLISECOND) + 1000 * leap
        if match["fraction"]:
            return low, low + max(10 ** (3 - len(match["fraction"])), 1) - 1
        if match["hour"]:
            return low, low + (1000 if match["second"] else 60_000) - 1
        return low, _day_or_longer(start, match)
    except (OverflowError, ValueError) as error:
        raise ValueError("not a FHIR date") from error


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds, ``2026-11-23T10:00:00.000Z``, of an aware datetime."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _zone(text: str | None, default: tzinfo) -> tzinfo:
    if text is None:
        return default
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def _day_or_longer(start: datetime, match: re.Match[str]) -> int:
    """The last millisecond of a day, month or year that begins at ``start``, in the same zone."""
    year, month = start.year, start.month
    if match["day"]:
        following = start.replace(tzinfo=None) + timedelta(days=1)
    else:
        year, month = (year, month + 1) if match["month"] and month < 12 else (year + 1, 1)
        if year > datetime.max.year:
            return _LAST_MILLISECOND
        following = datetime(year, month, 1)
    return round((following.replace(tzinfo=start.tzinfo) - _EPOCH) / _MILLISECOND) - 1
