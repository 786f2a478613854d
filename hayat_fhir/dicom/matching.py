"""Attribute matching of DICOM queries: what a key asks for, and which values meet it. Pure.

PS3.4 C.2.2.2, https://dicom.nema.org/medical/dicom/current/output/html/part04.html#sect_C.2.2.2

Values are compared in a form of their own for each VR (``normal``): person names without regard to case and accents,
dates and times as digits, numbers as numbers. Several values of one key, which the standard knows for UIDs, are
alternatives for any VR; whoever negotiates more asks for ``EveryOf`` them, or for an ``Empty`` value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hayat_fhir.errors import InvalidRequest, TooLarge

MOST_VALUES = 10_000
"""Alternatives of one key."""
_WILDCARD_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_RANGE_VRS = frozenset({"DA", "TM", "DT"})
_NUMBERS = frozenset({"IS", "DS", "US", "UL", "SS", "SL", "FL", "FD"})
_DIGITS = {"DA": re.compile(r"\d{8}", re.ASCII), "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII)}
_LATEST_TIME = "235959.999999"
_FIRST_TIME = "000000.000000"
_MOST_WILDCARDS = 16
_APART = re.compile(r"[\s^=.,'-]+")
_EMPTY = "^ \0"
"""What stands at the end of a group of a name without saying anything: components that are empty, and padding."""
_MOST_WORDS, _LONGEST_WORD, _SHORTEST_FUZZY = 6, 24, 4


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Single value matching, or matching of a list of values."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """``*`` any characters, ``?`` one. ``prefix`` is what stands before the first of them, ``text`` what was asked."""

    expression: str
    prefix: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Between:
    """Range matching, both ends included; None: open."""

    low: str | None
    high: str | None


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty value matching: the attribute has no value, or is not there (PS3.4 C.2.2.2.7)."""

    def __str__(self) -> str:
        return '""'


@dataclass(frozen=True, slots=True)
class EveryOf:
    """What a key asks for in multiple value matching: each of its values is one of the attribute's (C.2.2.2.8)."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return "\\".join(self.values)


Condition = AnyOf | Wildcard | Between | Empty


def conditions(vr: str, value: object, keyword: str = "") -> tuple[Condition, ...]:
    """What a key of this VR with this value asks for, all of it; nothing for universal matching.

    Raises:
        InvalidRequest: The value is none of its VR; it is not repeated.
        TooLarge: It has too many values.
    """
    if isinstance(value, Empty):
        return (value,)
    if isinstance(value, EveryOf):
        return tuple(one for text in value.values for one in conditions(vr, text, keyword))
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    texts = [text for text in map(_text, values) if text]
    if not texts or all(set(text) <= {"*"} for text in texts):
        return ()
    if len(texts) > MOST_VALUES:
        raise TooLarge("a key has too many values", expression=[keyword])
    if vr == "PN":
        return _of_names(texts)
    if vr in _RANGE_VRS:
        return (_of_time(vr, texts, keyword),)
    if vr in _WILDCARD_VRS and any("*" in text or "?" in text for text in texts):
        return (_wildcard(texts),)
    return (AnyOf(tuple(dict.fromkeys(normal(vr, text)[0] for text in texts))),)


def normal(vr: str, value: object) -> list[str]:
    """A value in the form in which it is compared; a person name has one for each of its groups."""
    text = _text(value)
    if vr == "PN":
        return [folded for group in text.split("=") if (folded := _folded(group))]
    if vr == "DA":
        return [text.replace(".", "") if len(text) == 10 else text]
    if vr == "TM":
        return [_time(text, _FIRST_TIME)]
    if vr in _NUMBERS:
        return [_number(text)]
    return [text]


def normal_values(element: Mapping[str, Any]) -> list[str]:
    """The values of an element of the DICOM JSON model, in the form in which they are compared."""
    vr = str(element.get("vr", ""))
    return [text for value in element.get("Value", ()) for text in normal(vr, value)]


def admits(wanted: Iterable[Condition], values: Sequence[str]) -> bool:
    """Whether these values, in their normal form, meet all the conditions."""
    return all(
        not any(values) if isinstance(condition, Empty) else any(_meets(condition, value) for value in values)
        for condition in wanted
    )


def fuzzy(condition: Condition) -> Condition:
    """The same of a person name, but for the order of its words, their ends and one letter in each.

    PS3.18 8.3.4.2 leaves to the server what is alike.
    """
    if isinstance(condition, Between | Empty):
        return condition
    asked = condition.values if isinstance(condition, AnyOf) else (condition.text,)
    names = [[word for word in _APART.split(text.replace("*", " ").replace("?", " ")) if word] for text in asked]
    alike = "|".join("".join(map(_somewhere, words[:_MOST_WORDS])) for words in names if words)
    return Wildcard(f"(?s)^(?:{alike})", "", " ".join(asked)) if alike else condition


def _somewhere(word: str) -> str:
    """That a word of the name begins like this one."""
    word = word[:_LONGEST_WORD]
    parts = [(re.escape(word[:at]), re.escape(word[at : at + 1]), re.escape(word[at + 1 :])) for at in range(len(word))]
    alike = [re.escape(word)]
    if len(word) >= _SHORTEST_FUZZY:
        alike += [f"{before}.?{after}" for before, _, after in parts]
        alike += [f"{before}.{letter}{after}" for before, letter, after in parts[1:]]
        swapped = (word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1))
        alike += map(re.escape, swapped)
    return f"(?=(?:.*[\\s^.,'-])?(?:{'|'.join(dict.fromkeys(alike))}))"


def _meets(condition: AnyOf | Wildcard | Between, value: str) -> bool:
    match condition:
        case AnyOf(values):
            return value in values
        case Wildcard(expression):
            return re.match(expression, value) is not None
        case Between(low, high):
            return bool(value) and (low is None or low <= value) and (high is None or value <= high)


def _of_names(texts: Sequence[str]) -> tuple[Condition, ...]:
    """Each group of a name must be met by one of the groups of the value."""
    groups = [list(texts)] if len(texts) > 1 else [[group] for group in texts[0].split("=") if _folded(group)]
    found: list[Condition] = []
    for alternatives in groups:
        folded = [_folded(text) for text in alternatives]
        if any("*" in text or "?" in text for text in folded):
            if not all(set(text) <= {"*"} for text in folded):
                found.append(_wildcard(folded))
        else:
            found.append(AnyOf(tuple(folded)))
    return tuple(found)


def _of_time(vr: str, texts: Sequence[str], keyword: str) -> Condition:
    if len(texts) == 1 and "-" in texts[0] and vr != "DT":
        low, _, high = texts[0].partition("-")
        if not low and not high:
            raise InvalidRequest("a range has no end", code="value", expression=[keyword])
        return Between(_bound(vr, low, keyword, first=True), _bound(vr, high, keyword, first=False))
    if vr == "TM" and len(texts) == 1:
        return Between(_bound(vr, texts[0], keyword, first=True), _bound(vr, texts[0], keyword, first=False))
    if vr == "DT":
        return AnyOf(tuple(texts))
    return AnyOf(tuple(_bound(vr, text, keyword, first=True) or "" for text in texts))


def _bound(vr: str, text: str, keyword: str, *, first: bool) -> str | None:
    text = text.strip()
    if not text:
        return None
    plain = text.replace(".", "") if vr == "DA" else text.replace(":", "")
    if not _DIGITS[vr].fullmatch(plain):
        raise InvalidRequest("a date or time is malformed", code="value", expression=[keyword])
    return plain if vr == "DA" else _time(plain, _FIRST_TIME if first else _LATEST_TIME)


def _time(text: str, rest: str) -> str:
    """A time to the microsecond, what it does not say taken from ``rest``."""
    plain = text.replace(":", "")
    return plain + rest[len(plain) :]


def _wildcard(texts: Sequence[str]) -> Wildcard:
    if sum(text.count("*") for text in texts) > _MOST_WILDCARDS:
        raise TooLarge("a key has too many wildcards")
    parts = "|".join(map(_expression, texts))
    prefix = re.split(r"[*?]", texts[0], maxsplit=1)[0] if len(texts) == 1 else ""
    return Wildcard(f"(?s)^(?:{parts})$", prefix, " ".join(texts))


def _expression(text: str) -> str:
    """A pattern as a regular expression that tries nothing twice: each part is taken where it first comes."""
    first, *rest = (
        "".join("." if c == "?" else re.escape(c) for c in part) for part in re.sub(r"\*+", "*", text).split("*")
    )
    if not rest:
        return first
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1] if part) + f".*{rest[-1]}"


def _folded(name: str) -> str:
    """A group of a name without what is empty at its end, and without regard to case, accents, the dot of Turkish i.

    An equals sign that was written wide parts words, not groups.
    """
    apart = unicodedata.normalize("NFKD", name.replace("\u0131", "i"))
    plain = "".join(c for c in apart if not unicodedata.combining(c) or c in "\u3099\u309a")
    words = unicodedata.normalize("NFC", plain.casefold()).replace("=", " ").split()
    return " ".join(words).lstrip(" \0").rstrip(_EMPTY)


def _number(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else str(number)


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        return "=".join(str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")
    return "" if value is None else str(value).strip(" \0")
