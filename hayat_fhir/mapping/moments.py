"""Transforms of dates and times: DICOM's DA, TM and DT (PS3.5 6.2) as FHIR's date, dateTime and instant."""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo
from typing import Any

from hayat_fhir.mapping.context import Context, Values

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})", re.ASCII)
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?", re.ASCII)
_OFFSET = re.compile(r"([+-])(0\d|1[0-3]|14(?=00))([0-5]\d)", re.ASCII)
"""What both DICOM and FHIR take for an offset."""
_STAMP = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?", re.ASCII)
_BIRTH_TIME = "http://hl7.org/fhir/StructureDefinition/patient-birthTime"


def fhir_date(values: Values, context: Context) -> str | None:
    """A DICOM date (DA) as FHIR date."""
    del context
    match = _DATE.fullmatch(str(values[0]).strip())
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None


def date_time(values: Values, context: Context) -> str | None:
    """A date, a time and an offset from UTC (DA, TM, SH) as FHIR dateTime.

    Without an offset the time is in the context's zone; without a zone, or with an offset that is none, the date
    alone is known, for a FHIR dateTime with a time needs an offset.
    """
    day = fhir_date([values[0]], context) if values[0] else None
    if day is None:
        return None
    clock = _TIME.fullmatch(str(values[1]).strip()) if len(values) > 1 and values[1] else None
    if clock is None:
        return day
    hour, minute, second = int(clock[1]), int(clock[2] or 0), min(int(clock[3] or 0), 59)
    try:
        moment = datetime.combine(date.fromisoformat(day), datetime.min.time()).replace(
            hour=hour, minute=minute, second=second
        )
    except ValueError:
        return day
    said = str(values[2] or "").strip() if len(values) > 2 else ""
    offset = _offset(moment, said, context.zone)
    return f"{moment.isoformat()}{offset[1]}{offset[2]}:{offset[3]}" if offset is not None else day


def _offset(moment: datetime, said: str, zone: tzinfo | None) -> re.Match[str] | None:
    """The offset that was said, else the zone's; None where neither is one: long ago zones had odd seconds."""
    return _OFFSET.fullmatch(said or f"{moment.replace(tzinfo=zone):%z}")


def time_stamp(values: Values, context: Context) -> str | None:
    """A DICOM date and time (DT) as FHIR dateTime."""
    found = _STAMP.fullmatch(str(values[0]).strip())
    return None if found is None else date_time(found.groups(), context)


def moment(values: Values, context: Context) -> str | None:
    """A date, a time and an offset as FHIR instant; left out where the time or the offset is not known."""
    found = date_time(values, context)
    return found if found is not None and "T" in found else None


def birth_time(values: Values, context: Context) -> dict[str, Any] | None:
    """Date and time of birth, as the extension for it; left out where the offset is not known."""
    found = moment(values, context)
    return None if found is None else {"url": _BIRTH_TIME, "valueDateTime": found}
