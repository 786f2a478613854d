"""Recordings of consultations: sealed files, and a DocumentReference under the patient's policy that names them.

https://hl7.org/fhir/R4/documentreference.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hayat_fhir.errors import NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.peers import PeerIds
from hayat_fhir.security.sealing import key_of, new_salt, unsealed
from hayat_fhir.services.drafting import new_id
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.store.consultations import Consultation
from hayat_fhir.store.consultations import Consultations as ConsultationRows
from hayat_fhir.store.tickets import Ticket

CONTENT_TYPE = "video/webm"
ROLE = "recorder"
_SITE = Caller(Role.SITE, "recordings")


@dataclass(frozen=True, slots=True)
class Part:
    """What one side has sent: ``name`` says which; size and SHA-1 are of the plain text."""

    name: str
    size: int
    hash: str


@dataclass(frozen=True, slots=True)
class NewFile:
    """Where a part is to be written, and with which key."""

    path: Path
    key: bytes
    salt: bytes


class Recordings:
    """Begins, stores and reads recordings. ``directory`` holds the files; ``url`` is the site's."""

    def __init__(
        self,
        rows: ConsultationRows,
        interactions: Interactions,
        peers: PeerIds,
        directory: Path,
        secret: bytes,
        url: str,
    ) -> None:
        self._rows = rows
        self._interactions = interactions
        self._peers = peers
        self._directory = directory
        self._secret = secret
        self._url = url

    def ticket(self, consultation: Consultation) -> Ticket:
        """The ticket of a new recorder."""
        peer = self._peers.new(ROLE, consultation.id)
        return Ticket(peer, consultation.id, ROLE, "Device/recorder", "Recording", ROLE)

    async def begin(self, consultation: Consultation, ticket: Ticket) -> bool:
        """Make a recorder known in the place of the one that the consultation has; False where it is not wanted.

        Raises:
            Unavailable: The database does not answer.
        """
        changed = await self._rows.record(consultation.id, consultation.recorder, ticket.peer)
        return changed is not None and wanted(changed)

    async def end(self, ticket: Ticket) -> None:
        """No recording runs any more.

        Raises:
            Unavailable: The database does not answer.
        """
        await self._rows.record(ticket.consultation, ticket.peer, None)

    def new_id(self) -> str:
        """The id of a new recording."""
        return new_id()

    def new_file(self, id: str, number: int) -> NewFile:
        """Where the part of this number is to be written."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        salt = new_salt()
        return NewFile(self._path(id, number), key_of(self._secret, salt), salt)

    async def store(self, id: str, consultation: Consultation, begun: datetime, parts: Mapping[int, Part]) -> None:
        """Make a recording known: its parts, by their numbers.

        Raises:
            Unavailable: The database does not answer.
        """
        resource = {
            "resourceType": "DocumentReference",
            "id": id,
            "status": "current",
            "docStatus": "final",
            "type": {"text": "Recording of a video consultation"},
            "subject": {"reference": consultation.patient.reference},
            "date": _instant(datetime.now(UTC)),
            "author": [{"reference": consultation.doctor.reference}],
            "content": [
                {
                    "attachment": {
                        "contentType": CONTENT_TYPE,
                        "url": f"{self._url}/realtime/recordings/{id}/{number}",
                        "size": part.size,
                        "hash": part.hash,
                        "title": part.name,
                        "creation": _instant(begun),
                    }
                }
                for number, part in parts.items()
            ],
            "context": {
                "encounter": [{"reference": f"Encounter/{consultation.id}"}],
                "period": {"start": _instant(begun), "end": _instant(datetime.now(UTC))},
            },
        }
        await self._interactions.update(_SITE, "DocumentReference", id, resource, absent=True)

    async def read(self, caller: Caller, id: str, number: int) -> tuple[int, Iterator[bytes]]:
        """Size and plain text of a part, for whoever may read the DocumentReference.

        Raises:
            NotFound: There is none for this caller.
            Forbidden: The caller may see no documents at all.
        """
        stored = await self._interactions.read(caller, "DocumentReference", id)
        contents: list[dict[str, Any]] = (stored.resource or {}).get("content", [])
        url = f"{self._url}/realtime/recordings/{id}/{number}"
        attachment = next((one["attachment"] for one in contents if one["attachment"].get("url") == url), None)
        path = self._path(id, number)
        if attachment is None or path.parent != self._directory or not path.is_file():
            raise NotFound("no such recording")
        return int(attachment["size"]), unsealed(path, self._secret)

    def _path(self, id: str, number: int) -> Path:
        return self._directory / f"{id}-{number}.sealed"


def wanted(consultation: Consultation) -> bool:
    """Whether a consultation is to be recorded: it is active, and doctor and patient agree."""
    return consultation.state == "active" and consultation.sides <= set(consultation.agreed)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
