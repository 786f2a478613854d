"""Accept, _format, Content-Type and Prefer as clients really send them."""

import pytest

from hayat_fhir.errors import InvalidRequest, NotAcceptable, UnsupportedMedia
from hayat_fhir.rest.negotiation import (
    Preference,
    accepted,
    asked_format,
    asked_pretty,
    check_json,
    is_form,
    preference,
)


@pytest.mark.parametrize(
    ("header", "media"),
    [
        ("", "application/fhir+json"),
        ("*/*", "application/fhir+json"),
        ("application/fhir+json", "application/fhir+json"),
        ("application/fhir+json; fhirVersion=4.0", "application/fhir+json"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, application/fhir+json", "application/fhir+json"),
        ("application/fhir+xml, application/fhir+json;q=0.1", "application/fhir+json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/fhir+json"),
    ],
)
def test_accept_chooses_a_json_form(header: str, media: str) -> None:
    """The best JSON form that the client names is the answer's Content-Type."""
    assert accepted(header) == media


@pytest.mark.parametrize(
    "header",
    ["application/fhir+xml", "text/html", "application/fhir+json;fhirVersion=3.0", "application/json;q=0", "x"],
)
def test_accept_without_json_is_refused(header: str) -> None:
    """What cannot be produced is refused, not answered in another form."""
    with pytest.raises(NotAcceptable):
        accepted(header)


@pytest.mark.parametrize("value", ["json", "application/json", "application/fhir+json", "application/fhir json"])
def test_format_takes_every_json_form(value: str) -> None:
    """_format knows the short and the long names; an unescaped plus has become a space."""
    assert asked_format(value).endswith("json")


@pytest.mark.parametrize("value", ["xml", "ttl", "html", "application/fhir+xml", ""])
def test_format_refuses_other_syntaxes(value: str) -> None:
    """XML and Turtle are not spoken."""
    with pytest.raises(NotAcceptable):
        asked_format(value)


@pytest.mark.parametrize(
    "value", ["application/fhir+json", "application/json; charset=utf-8", 'text/json;charset="UTF-8"']
)
def test_json_bodies_are_taken(value: str) -> None:
    """The media types of JSON, in UTF-8."""
    check_json(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "json",
        "text/plain",
        "application/fhir+xml",
        "application/json;charset=latin-1",
        "application/json-patch+json",
    ],
)
def test_other_bodies_are_refused(value: str) -> None:
    """No type, another type, another character set."""
    with pytest.raises(UnsupportedMedia):
        check_json(value)


def test_forms_are_recognised() -> None:
    """With and without a character set."""
    assert is_form("application/x-www-form-urlencoded")
    assert is_form("application/x-www-form-urlencoded; charset=UTF-8")
    assert not is_form("multipart/form-data; boundary=x")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", Preference()),
        ("return=minimal", Preference("minimal")),
        ("return=OperationOutcome, handling=lenient", Preference("OperationOutcome", lenient=True)),
        ("handling=strict; return=representation", Preference()),
        ('return="minimal"', Preference("minimal")),
        ("return=minimal, return=representation", Preference("minimal")),
        ("respond-async, return=nothing", Preference()),
    ],
)
def test_prefer(header: str, expected: Preference) -> None:
    """Known preferences count, the first of repeated ones; others are ignored as RFC 7240 asks."""
    assert preference(header) == expected


def test_pretty_is_a_boolean() -> None:
    """True and false in FHIR's spelling; anything else is refused."""
    assert asked_pretty("true")
    assert not asked_pretty("false")
    with pytest.raises(InvalidRequest):
        asked_pretty("yes")
