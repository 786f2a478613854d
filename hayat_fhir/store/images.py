"""The images of studies that somebody may see, read from their instance rows for queries and retrievals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hayat_fhir.store.database import Database
from hayat_fhir.store.faults import answered

_BATCH = 200
_SHOWN = ("study", "series", "sop_class", "transfer_syntax", "blob", "offset", "size", "sha256", "peer", "document")


@dataclass(frozen=True, slots=True)
class Image:
    """One image: where its file is, and its attributes as DICOM JSON. ``offset``: of the data set in the file.

    ``peer`` is the partner that sent it, ``document`` the resource that was made of it, where it is a document.
    """

    uid: str
    study: str
    series: str
    sop_class: str
    transfer_syntax: str
    blob: str
    offset: int
    size: int
    sha256: str
    peer: str = ""
    document: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of an image's custody. ``peer`` is the partner that sent it."""

    uid: str
    sop_class: str
    peer: str
    imaging_study: str | None
    blob: str
    offset: int
    size: int


class Images:
    """Reads images."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("instances")

    async def of_study(
        self,
        study: str,
        imaging_study: str,
        series: Sequence[str] = (),
        uids: Sequence[str] = (),
        *,
        attributes: bool = True,
    ) -> AsyncIterator[list[Image]]:
        """The images of a study that were projected into this ImagingStudy, series by series, in batches.

        ``series`` and ``uids``: only these; none: all. Without ``attributes`` these are left empty.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        criteria: dict[str, Any] = {"study": study, "imaging_study": imaging_study}
        if series:
            criteria["series"] = {"$in": list(series)}
        if uids:
            criteria["_id"] = {"$in": list(uids)}
        shown = dict.fromkeys((*_SHOWN, "attributes") if attributes else _SHOWN, True)
        cursor = self._rows.find(criteria, shown, sort=[("series", 1)], batch_size=_BATCH)
        try:
            with answered():
                while rows := await cursor.to_list(_BATCH):
                    yield [Image(uid=row.pop("_id"), **row) for row in rows]
        finally:
            await cursor.close()

    async def held(self, uids: Sequence[str]) -> list[Held]:
        """Those of these images that are there, projected or not.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        shown = dict.fromkeys(("sop_class", "peer", "imaging_study", "blob", "offset", "size"), True)
        with answered():
            rows = await self._rows.find({"_id": {"$in": list(uids)}}, shown).to_list(None)
        return [Held(uid=row.pop("_id"), **{"imaging_study": None, **row}) for row in rows]
