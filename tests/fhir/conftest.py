"""The validator with the committed tables, and examples of the standard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hayat_fhir import definitions
from hayat_fhir.definitions import Definitions
from hayat_fhir.fhir.json import parse
from hayat_fhir.fhir.validation import Validator

EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="session")
def loaded() -> Definitions:
    """The definitions of the checkout."""
    return definitions.load()


@pytest.fixture(scope="session")
def validator(loaded: Definitions) -> Validator:
    """The validator with the committed tables."""
    return Validator(loaded.elements, loaded.bindings, loaded.resource_types)


@pytest.fixture(scope="session")
def examples() -> dict[str, dict[str, Any]]:
    """The examples of the standard by file name."""
    return {path.stem: parse(path.read_bytes()) for path in sorted(EXAMPLES.glob("*.json"))}
