"""The DICOM Conformance Statement, written from conformance/dicom.json and from what the door really does. Pure.

PS3.2 annex N, https://dicom.nema.org/medical/dicom/current/output/html/part02.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION

from hayat_fhir.dicom.information_model import LEVEL_OF, MATCHED, MATCHED_WITHIN, Level
from hayat_fhir.dimse.acceptor import Limits
from hayat_fhir.dimse.service import transfer_syntaxes
from hayat_fhir.dimse.upper_layer import MAXIMUM_PDU
from hayat_fhir.errors import DIMSE_STATUS, Category

_TITLES = {
    "verification": "Verification",
    "storage": "Storage",
    "query": "Query (C-FIND)",
    "move": "Retrieval (C-MOVE)",
    "get": "Retrieval (C-GET)",
    "commitment": "Storage commitment",
    "worklist": "Modality worklist",
    "mpps": "Modality performed procedure step",
}
_STORAGE_MEANING = {
    Category.INVALID: "The data set cannot be read, or a UID is missing or malformed",
    Category.TOO_LARGE: "The data set is too large",
    Category.UNPROCESSABLE: "The data set is not the one that the request names",
    Category.UNAVAILABLE: "Disk or database have no room or do not answer; the same request may succeed later",
}


def tables(conformance: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The tables of SOP classes in conformance/dicom.json, by name."""
    return {
        name: rows
        for name, rows in conformance.items()
        if isinstance(rows, list) and name != "transfer_syntaxes" and all("roles" in row for row in rows)
    }


def statement(conformance: Mapping[str, Any]) -> str:
    """The statement, in Markdown, ending with a line feed."""
    parts = [
        _overview(conformance),
        _introduction(),
        _networking(conformance),
        _contexts(conformance),
        _specifics(),
        _keys(),
        _interfaces(),
        _rest(),
    ]
    return "\n\n".join(parts) + "\n"


def _overview(conformance: Mapping[str, Any]) -> str:
    found = tables(conformance)
    rows = [
        (row["name"], "Yes" if "scu" in row["roles"] else "No", "Yes" if "scp" in row["roles"] else "No")
        for rows in found.values()
        for row in rows
    ]
    return f"""# DICOM Conformance Statement: Hayat FHIR

Written by `hayat imaging statement` from `conformance/dicom.json`; a test compares both, and what a peer negotiates.

## 1 Conformance statement overview

Hayat FHIR takes images and documents from the PACS and modalities that are registered with it, keeps their bytes as
they came, tells of them as FHIR ImagingStudy, and gives them to peers, FHIR clients and viewers within one policy.

Table 1-1: network services

{_table(("SOP class", "User of service (SCU)", "Provider of service (SCP)"), rows)}

Storage of SOP classes that are not listed, such as a vendor's own, is
{"accepted where their UID is outside the root of DICOM" if conformance.get("private_storage") else "refused"}.
Media storage is not supported."""


def _introduction() -> str:
    return """## 2 Table of contents

1 Conformance statement overview; 3 Introduction; 4 Networking (4.1 Implementation model, 4.2 AE specifications,
4.3 Network interfaces, 4.4 Configuration); 5 Media interchange; 6 Support of character sets; 7 Security; 8 Annexes.

## 3 Introduction

For PACS administrators and integrators. The statement follows the layout of DICOM PS3.2. Conformance alone does not
guarantee that two implementations work together: test them with one another.

AE: application entity; SCU, SCP: user and provider of a service class; IOCM: Imaging Object Change Management (IHE
RAD)."""


def _networking(conformance: Mapping[str, Any]) -> str:
    limits = Limits()
    found = tables(conformance)
    provided = [_TITLES.get(name, name) for name, rows in found.items() if any("scp" in row["roles"] for row in rows)]
    used = [_TITLES.get(name, name) for name, rows in found.items() if any("scu" in row["roles"] for row in rows)]
    settings = _table(
        ("Parameter", "Value"),
        (
            ("PDU size that is offered", f"{MAXIMUM_PDU} bytes"),
            ("Associations at a time, of one process", f"{limits.associations} (HAYAT_DICOM_ASSOCIATIONS)"),
            ("Connections of one address at a time", str(limits.per_address)),
            ("Time for one whole PDU, TLS handshake and association request", f"{limits.pdu_seconds:g} s"),
            ("Time between two messages", f"{limits.idle_seconds:g} s"),
            ("Outstanding asynchronous operations", "1 invoked, 1 performed"),
            ("Implementation Class UID", str(PYNETDICOM_IMPLEMENTATION_UID)),
            ("Implementation Version Name", PYNETDICOM_IMPLEMENTATION_VERSION),
        ),
    )
    return f"""## 4 Networking

### 4.1 Implementation model

One application entity. As provider: {", ".join(provided)}. As user: {", ".join(used)}.
What comes in is durable, bytes and database row, before it is answered 0x0000. Images of a study become one
ImagingStudy when the study has been quiet for a moment (HAYAT_STUDY_QUIET_SECONDS).

### 4.2 AE specifications

#### 4.2.1 Association policies

The application context is 1.2.840.10008.3.1.1.1.

{settings}

Associations are initiated to send images that were shared with a partner or that a peer asked for by C-MOVE, and for
storage commitment. Associations are accepted from registered peers only: the calling AE title, the address and, where
one is registered, the client's TLS certificate must be those of the same peer, and the called AE title ours. Others
are rejected (result 1, source 1) and audited."""


def _contexts(conformance: Mapping[str, Any]) -> str:
    order = "Of the transfer syntaxes that a peer proposes, the first one in our list is taken."
    parts = [f"#### 4.2.2 Presentation contexts\n\n{order}"]
    names = {row["uid"]: row["name"] for row in conformance["transfer_syntaxes"]}
    for use, title in (("storage", "storage"), ("messages", "other services")):
        rows = [(names[uid], f"`{uid}`") for uid in transfer_syntaxes(conformance, use)]
        parts.append(f"Transfer syntaxes of {title}:\n\n{_table(('Name', 'UID'), rows)}")
    for name, classes in tables(conformance).items():
        shown = [(row["name"], f"`{row['uid']}`", ", ".join(row["roles"]).upper()) for row in classes]
        parts.append(f"{_TITLES.get(name, name)}:\n\n{_table(('SOP class', 'UID', 'Role'), shown)}")
    return "\n\n".join(parts)


def _specifics() -> str:
    statuses = [("Success", "0x0000", "Bytes and row are durable; the same bytes again change nothing")]
    statuses += [
        ("Failure", f"0x{DIMSE_STATUS[category]:04X}", meaning) for category, meaning in _STORAGE_MEANING.items()
    ]
    statuses.append(
        ("Failure", "0xA900", "Kept in quarantine: other bytes, another patient or other demographics than are stored")
    )
    return f"""#### 4.2.3 SOP specific conformance: storage

Conformance level 2 (full): all attributes are kept, private ones included. Data sets are kept as received, byte for
byte; nothing is coerced. Digital signatures are kept (level 3) and not verified.

{_table(("Service status", "Code", "Meaning"), statuses)}

A patient is known by number and issuer: (0010,0024) where it is universal, else (0010,0021), which is itself the
system where it is a URI, as in the worklist, and else a name within the system of the sender; else the system that is
configured for the sender. An image without a number is of a provisional patient of its study. An image that
contradicts what is stored is kept in quarantine, where staff let it in or keep it out.

Key Object Selections titled 113001, 113037, 113038 or 113039 (DCM) of the sender of the images withdraw these, whether
they come before or after the note (IOCM). After 113039 the same instances are accepted again."""


def _keys() -> str:
    within = {f"{outer}.{inner}": outer for outer, several in MATCHED_WITHIN.items() for inner in several}
    level = {key: LEVEL_OF.get(within.get(key, key), Level.IMAGE) for key in [*MATCHED, *within]}
    rows = [(one.name, ", ".join(sorted(key for key in level if level[key] is one))) for one in Level]
    return f"""#### 4.2.4 SOP specific conformance: query

Keys are matched by single value, list, wildcard, range and sequence, names of people without regard to case and
accents, at their own level and below it. Any other key only asks; where it has a value the status is 0xFF01. QIDO-RS
matches the same attributes, and empty and multiple values where emptyvaluematching or multiplevaluematching is true.

{_table(("Level", "Keys that are matched"), rows)}"""


def _interfaces() -> str:
    return """### 4.3 Network interfaces

TCP over IPv4 or IPv6, on one port (HAYAT_DICOM_PORT, default 11112).

### 4.4 Configuration

The own AE title is HAYAT_AE_TITLE (default HAYAT). Peers are registered by `hayat partner add` with AE title, host,
port, identifier system of their patient numbers and certificate."""


def _rest() -> str:
    return """## 5 Media interchange

Not supported.

## 6 Support of character sets

All of PS3.3 C.12.1.1.2, with code extensions (ISO 2022), are read: ISO_IR 6, 100, 101, 109, 110, 126, 127, 138, 144,
148, 166, 192, 203, 13, GB18030, GBK, and ISO 2022 IR 6, 13, 58, 87, 100 to 148, 149, 159, 166. Stored bytes stay in the
character set in which they came. Answers to queries are in that of
the query where it can say them, else in ISO_IR 192.

## 7 Security

The BCP 195 TLS profile (PS3.15 B.12): TLS 1.2 or 1.3 with forward secrecy and authenticated encryption, client
certificates on demand, also against revocation lists (HAYAT_DICOM_TLS_CLIENT_CRL). With TLS configured the port speaks
nothing else, or a second port does (HAYAT_DICOM_TLS_PORT), where alone partners that speak TLS themselves are taken.
Associations are asked for over TLS, and never in clear, where the partner is registered so (`--tls`): its
certificate must be of a trusted authority (HAYAT_DICOM_TLS_SERVER_CA) and for its host, or be the registered one; ours
is shown where it is asked for. Every association, refusal, query, transfer and rejection leaves an AuditEvent.

## 8 Annexes

No private SOP classes, transfer syntaxes or attributes are created. Coded terminology comes from DCM, SNOMED CT, LOINC
and UCUM. Images are not displayed by the application entity."""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
