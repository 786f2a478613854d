"""ETags and HTTP dates."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import InvalidRequest
from hayat_fhir.fhir.preconditions import etag, http_date, if_match, last_modified, only_if_absent, unmodified
from hayat_fhir.store.records import Stored

_UPDATED = datetime(2026, 11, 23, 10, 0, 0, 250_000, UTC)
_STORED = Stored("Patient", "p", 3, _UPDATED, {})


@given(st.integers(1, 10**18 - 1))
def test_etag_comes_back(version: int) -> None:
    """If-Match reads what ETag has written."""
    assert if_match(etag(version).decode()) == version


@pytest.mark.parametrize("header", ["*", "3", 'W/"a"', 'W/"1", W/"2"', 'W/"-1"', 'W/"1', "", 'W/"' + "9" * 40 + '"'])
def test_if_match_is_one_version(header: str) -> None:
    """Everything but one version is refused: a write must never be conditional on a guess."""
    with pytest.raises(InvalidRequest):
        if_match(header)


def test_a_write_can_ask_for_absence() -> None:
    """If-None-Match: * and nothing else."""
    assert not only_if_absent(None)
    assert only_if_absent("*")
    with pytest.raises(InvalidRequest):
        only_if_absent('W/"1"')


@pytest.mark.parametrize(
    ("none_match", "since", "expected"),
    [
        (None, None, False),
        ('W/"3"', None, True),
        ('W/"2", W/"3"', None, True),
        ("*", None, True),
        ('W/"2"', None, False),
        ('W/"2"', last_modified(_UPDATED).decode(), False),
        (None, last_modified(_UPDATED).decode(), True),
        (None, last_modified(_UPDATED + timedelta(days=1)).decode(), True),
        (None, last_modified(_UPDATED - timedelta(seconds=1)).decode(), False),
        (None, "yesterday", False),
        (None, "Mon, 99 Nov 2026 10:00:00 GMT", False),
    ],
)
def test_conditional_read(none_match: str | None, since: str | None, *, expected: bool) -> None:
    """If-None-Match decides alone where present; a date that cannot be read is ignored."""
    assert unmodified(_STORED, none_match, http_date(since)) is expected


def test_last_modified_is_an_http_date() -> None:
    """IMF-fixdate, in GMT, without fractions."""
    assert last_modified(_UPDATED) == b"Mon, 23 Nov 2026 10:00:00 GMT"
