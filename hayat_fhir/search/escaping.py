"""Escapes in search values: a backslash takes the meaning from ``,``, ``|``, ``$`` and itself.

https://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

_SPECIAL = ",|$\\"


def parts(text: str, separator: str) -> list[str]:
    """The parts between separators that are not escaped; escapes in the parts are kept."""
    if "\\" not in text:
        return text.split(separator)
    found, current, position = [], [], 0
    while position < len(text):
        character = text[position]
        if character == "\\" and position + 1 < len(text):
            current.append(text[position : position + 2])
            position += 2
            continue
        if character == separator:
            found.append("".join(current))
            current = []
        else:
            current.append(character)
        position += 1
    return [*found, "".join(current)]


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that are not escaped, with the escapes taken out."""
    return [unescaped(part) for part in parts(text, separator)]


def escaped(text: str) -> str:
    """The text with an escape before each character that has a meaning in a search value."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def unescaped(text: str) -> str:
    """The text without its escapes.

    Raises:
        ValueError: A backslash stands before a character that needs none.
    """
    if "\\" not in text:
        return text
    found, position = [], 0
    while position < len(text):
        if text[position] == "\\":
            position += 1
            if position == len(text) or text[position] not in _SPECIAL:
                raise ValueError("a backslash escapes nothing")
        found.append(text[position])
        position += 1
    return "".join(found)
