"""The DICOM Conformance Statement says what a peer negotiates, no more and no less."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from pynetdicom import AE, build_context
from pynetdicom.presentation import PresentationContext

from hayat_fhir import definitions
from hayat_fhir.dimse.conformance_statement import statement, tables

from .gateway import Gateway, opened_gateway

STATEMENT = Path(__file__).parents[2] / "conformance" / "dicom-conformance-statement.md"
_ROW = re.compile(r"\| (?P<name>[^|]+) \| `(?P<uid>[0-9.]+)` \| (?P<roles>SCP|SCU|SCP, SCU) \|")
_SYNTAX = re.compile(r"\| [^|]+ \| `([0-9.]+)` \|")
_MOST_CONTEXTS = 100
_VERIFICATION = "1.2.840.10008.1.1"
"""Proposed always: pynetdicom has no association of which everything was refused."""


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site with its DICOM door and all its services."""
    async with opened_gateway(mongodb_url, database_name, tmp_path) as gateway:
        yield gateway


def negotiated(port: int, contexts: Sequence[PresentationContext]) -> dict[str, str | None]:
    """What becomes of each abstract syntax that a peer proposes: the transfer syntax, or None."""
    found: dict[str, str | None] = {}
    for start in range(0, len(contexts), _MOST_CONTEXTS):
        ae = AE(ae_title="PACS")
        proposed = [*contexts[start : start + _MOST_CONTEXTS], build_context(_VERIFICATION)]
        association = ae.associate("127.0.0.1", port, proposed, ae_title="HAYAT")
        assert association.is_established
        found |= {str(one.abstract_syntax): str(one.transfer_syntax[0]) for one in association.accepted_contexts}
        found |= dict.fromkeys((str(one.abstract_syntax) for one in association.rejected_contexts), None)
        association.release()
    if all(one.abstract_syntax != _VERIFICATION for one in contexts):
        del found[_VERIFICATION]
    return found


def syntaxes(text: str, title: str) -> list[str]:
    """The transfer syntaxes of a table of the statement."""
    return _SYNTAX.findall(text.partition(f"Transfer syntaxes of {title}:\n\n")[2].partition("\n\n")[0])


def test_the_statement_is_the_one_of_the_tables() -> None:
    """``hayat imaging statement`` writes what is kept beside the tables."""
    conformance = definitions.load().dicom
    assert STATEMENT.read_text(encoding="utf-8") == statement(conformance)
    stated = {row["uid"] for row in _ROW.finditer(STATEMENT.read_text(encoding="utf-8"))}
    assert stated == {row["uid"] for rows in tables(conformance).values() for row in rows}


@pytest.mark.parametrize(
    "section",
    [
        "1 Conformance statement overview",
        "2 Table of contents",
        "3 Introduction",
        "4 Networking",
        "4.1 Implementation model",
        "4.2 AE specifications",
        "4.3 Network interfaces",
        "4.4 Configuration",
        "5 Media interchange",
        "6 Support of character sets",
        "7 Security",
        "8 Annexes",
    ],
)
def test_the_statement_has_the_sections_of_ps3_2(section: str) -> None:
    """The layout that PACS administrators know."""
    assert re.search(rf"^#+ {re.escape(section)}$", STATEMENT.read_text(encoding="utf-8"), re.MULTILINE)


async def test_a_peer_negotiates_what_is_stated(gateway: Gateway) -> None:
    """Each stated SOP class is accepted as SCP, with the first stated syntax that was proposed; others are refused."""
    text = STATEMENT.read_text(encoding="utf-8")
    storage, messages = syntaxes(text, "storage"), syntaxes(text, "other services")
    assert (len(storage), len(messages)) == (26, 2)
    rows = {row["uid"]: "SCP" in row["roles"] for row in _ROW.finditer(text)}
    unstated = ["1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.4.1.1.9999", "1.2.840.10008.5.1.4.34.6.1"]
    proposed = [build_context(uid, list(reversed(messages))) for uid in [*rows, *unstated]]

    found = await asyncio.to_thread(negotiated, gateway.port, proposed)

    assert {uid for uid, syntax in found.items() if syntax is not None} == {uid for uid, scp in rows.items() if scp}
    assert {syntax for syntax in found.values() if syntax is not None} == {messages[0]}
    assert all(found[uid] is None for uid in unstated)


async def test_every_stated_transfer_syntax_is_accepted(gateway: Gateway) -> None:
    """One at a time for an image; for other services those of images are refused."""
    text = STATEMENT.read_text(encoding="utf-8")
    storage, messages = syntaxes(text, "storage"), syntaxes(text, "other services")
    ct, find = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.1"
    for syntax in [*storage, "1.2.840.10008.1.2.1.99", "1.2.3.4"]:
        proposed = [build_context(ct, syntax), build_context(find, syntax)]
        found = await asyncio.to_thread(negotiated, gateway.port, proposed)
        assert found == {ct: syntax if syntax in storage else None, find: syntax if syntax in messages else None}
