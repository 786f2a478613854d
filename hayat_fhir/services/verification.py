"""Whether images and records are those that a site has vouched for: its manifests, against what is stored here.

A manifest is a Provenance of an ImagingStudy, as ``services/binding.py`` makes it. Its signer is the site that it
names, if that is this one or a registered partner; its signature is checked when its images arrive, and remembered.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

import structlog
from structlog.typing import FilteringBoundLogger

from hayat_fhir.errors import Forbidden, InvalidRequest, NotFound, Refusal, Unauthenticated
from hayat_fhir.fhir.digests import content_digest
from hayat_fhir.fhir.json import parse
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.keys import SiteKeys
from hayat_fhir.security.manifests import check
from hayat_fhir.security.policy import Interaction, Policy
from hayat_fhir.services.binding import MANIFEST, VERSION, is_manifest, study_uid
from hayat_fhir.services.conditional import Conditional
from hayat_fhir.services.interactions import Interactions
from hayat_fhir.store.instances import Instance, Instances
from hayat_fhir.store.manifests import Manifests
from hayat_fhir.store.partners import Partner, Partners
from hayat_fhir.store.records import Stored
from hayat_fhir.store.resources import Resources

_SITE = Caller(Role.SITE, "verification")


class Result(StrEnum):
    """What has become of one thing that a manifest names."""

    VERIFIED = "verified"
    """It is here, as it was vouched for."""
    ALTERED = "altered"
    """It is here, and says something else."""
    MISSING = "missing"
    """It is not here, or not for whoever asks."""


class Signature(StrEnum):
    """What a signature is worth."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    """Nobody who is registered here has signed it, or the keys cannot be had now."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One manifest: who vouches, and how what it names compares; ``instances`` by UID, ``resources`` by reference.

    ``whole``: what all parts of one statement about a study have in common.
    """

    signer: str
    when: str
    whole: str
    signature: Signature
    instances: Mapping[str, Result]
    resources: Mapping[str, Result]


@dataclass(frozen=True, slots=True)
class Verdict:
    """All manifests of a study; ``unsigned``: the UIDs of images that no good one names."""

    manifests: Sequence[Checked]
    unsigned: Sequence[str]

    @property
    def verified(self) -> bool:
        """Whether all that is here is vouched for, and all that each signer vouched for last is here as it was."""
        newest = {one.signer: one.whole for one in sorted(self.manifests, key=lambda one: one.when)}
        last = [one for one in self.manifests if newest[one.signer] == one.whole]
        results = [one for manifest in last for one in (*manifest.instances.values(), *manifest.resources.values())]
        good = all(one.signature is Signature.GOOD for one in last)
        return bool(last) and good and not self.unsigned and all(one is Result.VERIFIED for one in results)


class PublicKeys(Protocol):
    """Where the keys of partners are had from."""

    async def keys_of(self, partner: Partner) -> Mapping[str, Any]:
        """A JSON Web Key Set."""


class Verification:
    """Compares. ``base_url`` is this site's FHIR base."""

    def __init__(
        self,
        *,
        interactions: Interactions,
        conditional: Conditional,
        resources: Resources,
        instances: Instances,
        partners: Partners,
        manifests: Manifests,
        policy: Policy,
        keys: SiteKeys,
        public_keys: PublicKeys,
        base_url: str,
    ) -> None:
        self._interactions = interactions
        self._conditional = conditional
        self._resources = resources
        self._instances = instances
        self._partners = partners
        self._manifests = manifests
        self._policy = policy
        self._keys = keys
        self._public_keys = public_keys
        self._base_url = base_url
        self._log: FilteringBoundLogger = structlog.get_logger("hayat_fhir.imaging")

    async def verify(self, caller: Caller, id: str) -> Verdict:
        """Compare an ImagingStudy, its images and its reports with what was vouched for.

        Raises:
            NotFound: The caller sees no such study.
            Unavailable: The database does not answer.
        """
        study = await self._interactions.read(caller, "ImagingStudy", id)
        uid = study_uid(study)
        images = [one for one in await self._instances.of_study(uid or "") if one.imaging_study == study.id]
        rows = {one.uid: one for one in images}
        checked = [await self._checked(caller, one, uid, rows) for one in await self._records(study)]
        found = [one for one in checked if one is not None]
        signed = {
            image
            for one in found
            if one.signature is Signature.GOOD
            for image, result in one.instances.items()
            if result is Result.VERIFIED
        }
        return Verdict(found, [image for image in rows if image not in signed])

    async def verify_study(self, uid: str) -> Verdict | None:
        """The same by Study Instance UID, for the site's own command line; None where there is no such study.

        Raises:
            Unavailable: The database does not answer.
        """
        found = await self._instances.located(uid)
        ids = {one.imaging_study for one in found if one.imaging_study is not None}
        return await self.verify(_SITE, ids.pop()) if ids else None

    async def note(self, study: Stored) -> None:
        """Check the signatures over a study whose images have come, while the keys of their signers are known."""
        for record in await self._records(study):
            try:
                payload, manifest, signature = _opened(record)
                if await self._signature(payload, str(manifest.get("site")), signature) is not Signature.GOOD:
                    self._log.warning("manifest not signed by who it names", provenance=record.id)
            except Refusal as refusal:
                self._log.warning("manifest not understood", provenance=record.id, code=refusal.issues[0].code)

    async def _records(self, study: Stored) -> list[Stored]:
        found = await self._conditional.all(_SITE, "Provenance", f"target={study.reference}")
        return [one for one in found if is_manifest(one)]

    async def _checked(
        self, caller: Caller, record: Stored, study: str | None, rows: Mapping[str, Instance]
    ) -> Checked | None:
        try:
            payload, manifest, signature = _opened(record)
        except InvalidRequest:
            return None
        site = str(manifest.get("site"))
        worth = await self._signature(payload, site, signature)
        if manifest.get("study") != study:
            worth = Signature.BAD
        when = str((record.resource or {}).get("recorded", ""))
        # what this site composed went to the partner, and never into its own archive
        named = [one for one in _rows(manifest, "instances") if not (one.get("composed") and site == self._base_url)]
        instances = {str(one.get("uid")): _compared(one, rows) for one in named}
        whole = str(manifest.get("part-of"))
        return Checked(site, when, whole, worth, instances, await self._reports(caller, record, manifest))

    async def _reports(self, caller: Caller, record: Stored, manifest: Mapping[str, Any]) -> dict[str, Result]:
        """The records: they follow the study and the patient among the targets, as in the manifest."""
        targets = [str(one.get("reference")) for one in (record.resource or {}).get("target", ())][2:]
        found: dict[str, Result] = {}
        for reference, one in zip(targets, _rows(manifest, "resources"), strict=False):
            type, _, id = reference.partition("/")
            try:
                restriction = self._policy.restriction(caller, Interaction.READ, type)
            except Forbidden:
                continue
            stored = await self._resources.read(type, id.partition("/")[0], restriction)
            result = Result.MISSING
            if stored is not None and stored.resource is not None:
                same = content_digest(stored.resource) == one.get("sha256")
                result = Result.VERIFIED if same else Result.ALTERED
            found[reference] = result
        return found

    async def _signature(self, payload: bytes, site: str, signature: str) -> Signature:
        """What the signature is worth; a good one is remembered, for keys are replaced."""
        digest = sha256(signature.encode() + b"\n" + payload).hexdigest()
        if await self._manifests.is_good(digest, site):
            return Signature.GOOD
        try:
            keys = await self._keys_of(site)
        except Refusal:
            return Signature.UNKNOWN
        try:
            check(signature, payload, keys)
        except Unauthenticated:
            return Signature.BAD
        await self._manifests.add(digest, site)
        return Signature.GOOD

    async def _keys_of(self, site: str) -> Mapping[str, Any]:
        if site == self._base_url:
            return self._keys.public_jwks()
        partner = await self._partners.by_fhir_url(site)
        if partner is None or partner.disabled:
            raise NotFound("nobody registered has this FHIR base")
        return await self._public_keys.keys_of(partner)


def _opened(record: Stored) -> tuple[bytes, dict[str, Any], str]:
    """The manifest of a record, as bytes and parsed, and its signature.

    Raises:
        InvalidRequest: It has none that can be read.
    """
    resource = record.resource or {}
    try:
        data = next(str(one["data"]) for one in resource["contained"] if one.get("id") == MANIFEST)
        payload = b64decode(data, validate=True)
        signature = b64decode(str(resource["signature"][0]["data"]), validate=True).decode("ascii")
    except (StopIteration, KeyError, IndexError, ValueError) as error:
        raise InvalidRequest("the record has no manifest", code="structure") from error
    manifest = parse(payload)
    if manifest.get("version") != VERSION:
        raise InvalidRequest("the manifest is of another kind", code="structure")
    return payload, manifest, signature


def _rows(manifest: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    rows = manifest.get(name)
    return [one for one in rows if isinstance(one, dict)] if isinstance(rows, list) else []


def _compared(told: Mapping[str, Any], rows: Mapping[str, Instance]) -> Result:
    row = rows.get(str(told.get("uid")))
    if row is None:
        return Result.MISSING
    said = (told.get("sha256"), told.get("length"), told.get("transferSyntax"))
    return Result.VERIFIED if said == (row.sha256, row.size, row.transfer_syntax) else Result.ALTERED
