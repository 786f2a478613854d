"""The frontend knows the routes of ``/api/v1`` as the server describes them."""

from __future__ import annotations

from .api_types import CHECKED_IN, generate


def test_the_types_of_the_frontend_are_those_of_the_server() -> None:
    """They are generated again and do not differ; where they do, ``make types`` writes them."""
    assert CHECKED_IN.read_text(encoding="utf-8") == generate(), "run make types"
