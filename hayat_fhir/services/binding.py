"""Records bound to images: what travels with the images of a study, and what the sender vouches for.

A report about a study goes along as objects of that study (a structured report, a PDF, and a selection that names them
and the images), which any archive keeps; the images stay as they are. A Provenance carries a manifest, the digests of
all of it, under the site's signature. The same content makes the same objects and the same manifest.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from hayat_fhir.dicom.composed_object import SYNTAX, Composed
from hayat_fhir.fhir.dates import instant
from hayat_fhir.fhir.digests import canonical, content_digest
from hayat_fhir.security.callers import UNRESTRICTED, Caller, Role
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.manifests import sign
from hayat_fhir.services.imaging_study import STUDY_SYSTEM
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.services.report_objects import objects_of, selected
from hayat_fhir.store.instances import Instance, Instances
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

MANIFEST = "manifest"
"""The id of the contained Binary that is the manifest."""
VERSION = "hayat-manifest/1"
_MOST = 10_000
"""Instances of one manifest."""
_SIGNATURE = {
    "system": "urn:iso-astm:E1762-95:2013",
    "code": "1.2.840.10065.1.12.1.5",
    "display": "Verification Signature",
}
_SITE = Caller(Role.SITE, "binding")


@dataclass(frozen=True, slots=True)
class Bound:
    """What is added to a history that travels.

    ``objects`` go with the images; ``made_of``: by reference of a report, the UIDs of the objects that say the same.
    ``records``: the manifests.
    """

    objects: tuple[Composed, ...]
    made_of: Mapping[str, Sequence[str]]
    records: tuple[Stored, ...]


class Binding:
    """Binds. ``site_name`` and ``base_url`` (its FHIR base) say who vouches."""

    def __init__(
        self,
        instances: Instances,
        resources: Resources,
        interactions: Interactions,
        keys: SiteKeys,
        site_name: str,
        base_url: str,
    ) -> None:
        self._instances = instances
        self._resources = resources
        self._interactions = interactions
        self._keys = keys
        self._site_name = site_name
        self._base_url = base_url

    async def bind(self, history: Sequence[Stored], withheld: Collection[str] = ()) -> Bound:
        """What is to travel with the imaging studies of a history, which holds only what may be sent.

        ``withheld`` are the UIDs of the studies' objects that do not go along.

        Raises:
            Unavailable: The database does not answer.
        """
        objects: list[Composed] = []
        made_of: dict[str, list[str]] = {}
        records: list[Stored] = []
        by_reference = {stored.reference: stored for stored in history}
        for study in history:
            uid = study_uid(study)
            images = await self._instances.of_study(uid) if uid is not None else []
            images = [one for one in images if one.uid not in withheld]
            if uid is None or not images:
                continue
            reports = [one for one in history if _is_about(one, study)]
            made = await asyncio.to_thread(objects_of, images, reports, by_reference)
            objects += [one for documents in made.values() for one in documents]
            for reference, documents in made.items():
                made_of.setdefault(reference, []).append(documents[0].uid)
            together = [one for documents in made.values() for one in documents]
            if together:
                chosen = await asyncio.to_thread(selected, images, together)
                objects.append(chosen)
                together.append(chosen)
            parts = await asyncio.to_thread(_parts, uid, self._base_url, images, together, reports)
            records += [await self._record(study, reports, part) for part in parts]
        return Bound(tuple(objects), made_of, tuple(records))

    async def _record(self, study: Stored, reports: Sequence[Stored], manifest: dict[str, Any]) -> Stored:
        """The Provenance of a manifest, which is signed once."""
        payload = canonical(manifest)
        id = str(uuid5(NAMESPACE_URL, f"{self._base_url}/{payload.decode()}"))
        there = await self._resources.read("Provenance", id, UNRESTRICTED)
        if there is not None and there.resource is not None:
            return there
        who = {"identifier": {"system": "urn:ietf:rfc:3986", "value": self._base_url}, "display": self._site_name}
        moment = instant(datetime.now(UTC))
        targets = [study.reference, str((study.resource or {})["subject"]["reference"])]
        resource = {
            "resourceType": "Provenance",
            "id": id,
            "contained": [
                {
                    "resourceType": "Binary",
                    "id": MANIFEST,
                    "contentType": "application/json",
                    "data": b64encode(payload).decode(),
                }
            ],
            "target": [{"reference": one} for one in (*targets, *(report.reference for report in reports))],
            "recorded": moment,
            "agent": [{"who": who}],
            "entity": [{"role": "source", "what": {"reference": f"#{MANIFEST}"}}],
            "signature": [
                {
                    "type": [_SIGNATURE],
                    "when": moment,
                    "who": who,
                    "targetFormat": "application/json",
                    "sigFormat": "application/jose",
                    "data": b64encode(sign(self._keys, payload).encode()).decode(),
                }
            ],
        }
        return (await self._interactions.update(_SITE, "Provenance", id, resource)).stored


def study_uid(study: Stored) -> str | None:
    """The Study Instance UID of an ImagingStudy; None for anything else."""
    if study.type != "ImagingStudy":
        return None
    for identifier in (study.resource or {}).get("identifier", ()):
        if identifier.get("system") == STUDY_SYSTEM:
            return str(identifier.get("value", "")).removeprefix("urn:oid:")
    return None


def is_manifest(stored: Stored) -> bool:
    """Whether this is a Provenance with a manifest."""
    resource = stored.resource or {}
    return stored.type == "Provenance" and "signature" in resource and "contained" in resource


def _is_about(report: Stored, study: Stored) -> bool:
    """Whether this is a report about the study that came from no object of it."""
    resource = report.resource or {}
    if report.type != "DiagnosticReport" or resource.get("status") in {"entered-in-error", "registered", "cancelled"}:
        return False
    if any(identifier.get("system") == STUDY_SYSTEM for identifier in resource.get("identifier", ())):
        return False
    return any(one.get("reference") == study.reference for one in resource.get("imagingStudy", ()))


def _parts(
    study: str, site: str, images: Sequence[Instance], objects: Sequence[Composed], reports: Sequence[Stored]
) -> list[dict[str, Any]]:
    """The manifests of a study: one, or several where it is very large."""
    rows = [_row(one.uid, one.transfer_syntax, one.size, one.sha256) for one in images]
    rows += [{**_row(one.uid, SYNTAX, len(one.data), one.sha256), "composed": True} for one in objects]
    told = [{"type": one.type, "id": one.id, "sha256": content_digest(one.resource or {})} for one in reports]
    whole = sha256(canonical([rows, told])).hexdigest()
    return [
        {
            "version": VERSION,
            "site": site,
            "study": study,
            "part-of": whole,
            "instances": rows[at : at + _MOST],
            "resources": told,
        }
        for at in range(0, len(rows), _MOST)
    ]


def _row(uid: str, syntax: str, size: int, digest: str) -> dict[str, Any]:
    return {"uid": uid, "transferSyntax": syntax, "length": size, "sha256": digest}
