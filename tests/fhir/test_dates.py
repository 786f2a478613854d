"""Dates as intervals."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hayat_fhir.fhir.dates import bounds, instant


def ms(*parts: int) -> int:
    """Milliseconds of a moment in UTC."""
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("2026", ms(2026, 1, 1), ms(2027, 1, 1) - 1),
        ("2026-12", ms(2026, 12, 1), ms(2027, 1, 1) - 1),
        ("2024-02-29", ms(2024, 2, 29), ms(2024, 3, 1) - 1),
        ("2026-11-23T10:00:00Z", ms(2026, 11, 23, 10), ms(2026, 11, 23, 10) + 999),
        ("2026-11-23T10:00:00+03:00", ms(2026, 11, 23, 7), ms(2026, 11, 23, 7) + 999),
        ("2026-11-23T10:00:00.123Z", ms(2026, 11, 23, 10) + 123, ms(2026, 11, 23, 10) + 123),
        ("2026-11-23T10:00:00.5Z", ms(2026, 11, 23, 10) + 500, ms(2026, 11, 23, 10) + 599),
        ("2026-11-23T10:00Z", ms(2026, 11, 23, 10), ms(2026, 11, 23, 10, 1) - 1),
        ("2016-12-31T23:59:60Z", ms(2017, 1, 1), ms(2017, 1, 1) + 999),
    ],
)
def test_bounds(text: str, low: int, high: int) -> None:
    """A date means the whole of its precision."""
    assert bounds(text) == (low, high)


def test_zone_of_a_day() -> None:
    """A day without an offset is the day where it was written."""
    assert bounds("2026-11-23", ZoneInfo("Europe/Istanbul"))[0] == ms(2026, 11, 22, 21)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "26",
        "0000",
        "2026-13",
        "2026-02-30",
        "2026-11-23T25:00:00Z",
        "2026-11-23T10:00:00+99:99",
        "9999-99-99",
        "\uff12\uff10\uff12\uff16",
        "x",
    ],
)
def test_refusals(text: str) -> None:
    """What is no date is refused, without a part of it in the message."""
    with pytest.raises(ValueError, match=r"^not a FHIR date$"):
        bounds(text)


def test_the_last_year_has_an_end() -> None:
    """The year 9999 does not overflow."""
    assert bounds("9999")[1] > bounds("9998")[1]


def test_instant() -> None:
    """Instants are in UTC, to the millisecond."""
    assert instant(datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)) == "2026-11-23T10:00:00.123Z"
