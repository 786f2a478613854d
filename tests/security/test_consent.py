"""What Consents say of a partner hospital, without any I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hayat_fhir.errors import Unprocessable
from hayat_fhir.security.consent import NOTHING, Terms, check_consent, terms

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IMAGES = {"system": "http://hl7.org/fhir/resource-types", "code": "ImagingStudy"}
REPORTS = {"system": "http://hl7.org/fhir/resource-types", "code": "DiagnosticReport"}


def consent(status: str = "active", kind: str = "permit", **provision: Any) -> dict[str, Any]:
    """A Consent about the partner ``P``."""
    actor = {"role": {"text": "recipient"}, "reference": {"reference": "Organization/P"}}
    return {
        "resourceType": "Consent",
        "status": status,
        "scope": {"coding": [{"code": "patient-privacy"}]},
        "provision": {"type": kind, "actor": [actor], **provision},
    }


def test_silence_says_nothing() -> None:
    """No Consent, one of another partner, a draft, an error: the explicit share alone decides."""
    assert terms([], "P", NOW) is None
    assert terms([consent()], "Q", NOW) is None
    assert terms([consent("draft"), consent("entered-in-error")], "P", NOW) is None


@pytest.mark.parametrize("status", ["inactive", "rejected"])
def test_a_withdrawn_permission_forbids_until_there_is_a_new_one(status: str) -> None:
    """Withdrawn or refused: nothing; given again: everything; a refusal that is lifted says nothing any more."""
    assert terms([consent(status)], "P", NOW) == NOTHING
    assert terms([consent(status), consent()], "P", NOW) == Terms(given=True)
    assert terms([consent(status, "deny")], "P", NOW) is None


def test_a_permission_can_be_limited_to_types() -> None:
    """Of the record, the images only; and who the patient is, without which there are none."""
    limited = terms([consent(**{"class": [IMAGES]})], "P", NOW)
    assert limited is not None
    assert [limited.allow(type) for type in ("ImagingStudy", "Patient", "DiagnosticReport")] == [True, True, False]


def test_a_refusal_outweighs_a_permission() -> None:
    """Whole or of some types, beside the permission or within it."""
    assert terms([consent(), consent(kind="deny")], "P", NOW) == NOTHING
    beside = [consent(), consent(kind="deny", **{"class": [IMAGES]})]
    within = [consent(provision=[{"type": "deny", "class": [IMAGES]}])]
    for consents in (beside, within):
        said = terms(consents, "P", NOW)
        assert said is not None
        assert (said.allow("ImagingStudy"), said.allow("DiagnosticReport")) == (False, True)


@given(st.timedeltas(timedelta(days=-900), timedelta(days=900)))
def test_a_permission_holds_in_its_time_and_not_a_moment_longer(distance: timedelta) -> None:
    """The last day counts whole; what has run out, or not begun, permits nothing."""
    said = terms([consent(period={"start": "2026-01-01", "end": "2026-12-31"})], "P", NOW + distance)
    assert said == (Terms(given=True) if (NOW + distance).year == 2026 else NOTHING)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"scope": {"coding": [{"code": "research"}]}}, "Consent.scope"),
        ({"provision": None}, "Consent.provision"),
        ({"provision": {"type": "permit"}}, "Consent.provision.actor"),
        ({"provision": {**consent()["provision"], "purpose": [{"code": "TREAT"}]}}, "Consent.provision"),
        ({"provision": {**consent()["provision"], "class": [{"code": "ImagingStudy"}]}}, "Consent.provision"),
    ],
)
def test_what_would_not_be_enforced_is_not_accepted(changed: dict[str, Any], where: str) -> None:
    """A Consent that promises more than the server keeps is refused, with the place."""
    check_consent(consent())
    with pytest.raises(Unprocessable) as refused:
        check_consent({**consent(), **changed})
    assert refused.value.issues[0].expression == (where,)


def test_a_condition_that_cannot_be_checked_permits_nothing_and_refuses_all() -> None:
    """Should one come in by another way: safe in both directions."""
    purpose = {"purpose": [{"code": "TREAT"}]}
    assert terms([consent(**purpose)], "P", NOW) == NOTHING
    assert terms([consent(), consent(kind="deny", **purpose)], "P", NOW) == NOTHING
