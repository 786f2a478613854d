"""The one way a resource becomes a change: validate, judge, index.

Create, update, delete and each entry of a transaction Bundle all go through here.
"""

from __future__ import annotations

from uuid import uuid4

from hayat_fhir.errors import PreconditionFailed, PreconditionMissing, Unprocessable
from hayat_fhir.fhir.canonical import same_content
from hayat_fhir.fhir.subset import is_part
from hayat_fhir.fhir.validation import Validator
from hayat_fhir.search.entries import IndexEntries
from hayat_fhir.search.indexing import Indexer
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.identity import contributed
from hayat_fhir.security.personnel import marks, without_roles
from hayat_fhir.security.policy import Interaction, Policy, is_restricted
from hayat_fhir.security.security_context import context_marks
from hayat_fhir.store.records import Change, Resource, Stored


def new_id() -> str:
    """A logical id that nobody can guess and that says nothing about what it names."""
    return str(uuid4())


class Drafting:
    """Prepares changes; nothing is stored here."""

    def __init__(
        self, validator: Validator, indexer: Indexer, policy: Policy, *, versioned_update: bool = False
    ) -> None:
        self._validator = validator
        self._indexer = indexer
        self._policy = policy
        self._versioned_update = versioned_update

    def check_version(self, caller: Caller, old: Stored | None, if_match: int | None) -> None:
        """Hold an update against the version that it says to replace.

        Where the site asks for that (``versioned_update``), only the partner that contributed a resource may leave it
        out, for nobody else writes there.

        Raises:
            PreconditionFailed: ``if_match`` is not the current version.
            PreconditionMissing: None is named, and the site asks for it.
        """
        if if_match is not None and (old is None or old.version != if_match):
            raise PreconditionFailed("If-Match does not name the current version")
        if not self._versioned_update or if_match is not None or old is None or old.deleted:
            return
        if caller.role is not Role.SITE and (caller.source is None or caller.source != old.source):
            raise PreconditionMissing("an update names the version that it replaces, by If-Match")

    def check_structure(self, type: str, resource: Resource) -> None:
        """The first half of the validation, for many resources whose models are checked elsewhere.

        Raises:
            InvalidRequest: The resource is not valid FHIR R4.
        """
        self._validator.check_structure(resource, type=type)

    def put(
        self,
        caller: Caller,
        type: str,
        id: str,
        resource: Resource,
        old: Stored | None,
        *,
        valid: bool = False,
    ) -> Change | None:
        """The change that stores ``resource`` as ``type/id`` over ``old``; None where nothing would change.

        ``old`` is the current version, a deleted one included, or None where there is none. ``valid``: the resource
        has been, or is being, validated elsewhere.

        Raises:
            InvalidRequest: The resource is not valid FHIR R4, or an element cannot be indexed.
            Forbidden: The caller may not write this.
            NotFound: The caller may not know of the old version.
            Unprocessable: It is a part of a resource only, and would replace the whole.
        """
        alive = old is not None and not old.deleted
        interaction = Interaction.UPDATE if alive else Interaction.CREATE
        self._policy.restriction(caller, interaction, type)
        if not valid:
            self._validator.validate(resource, type=type)
        if alive and is_part(resource):
            raise Unprocessable("a part (SUBSETTED) does not replace the whole", expression=[f"{type}.meta.tag"])
        resource = {**resource, "id": id}
        if caller.role is Role.PARTNER:
            resource = without_roles(resource)
            if type == "Patient":
                resource = contributed(resource, old.resource if alive and old is not None else None, caller.foreign)
        compartments = (*self._indexer.compartments(resource, id), *marks(resource), *context_marks(resource))
        self._policy.check_write(caller, interaction, type, resource, compartments, old)
        if alive and old is not None and old.resource is not None and same_content(old.resource, resource):
            return None
        return Change(
            type,
            id,
            old.version if old else 0,
            resource,
            self._indexer.index(resource, id),
            compartments,
            old.source if alive and old is not None else caller.source,
            is_restricted(resource),
        )

    def delete(self, caller: Caller, old: Stored) -> Change:
        """The change that deletes ``old``; its compartments stay, so that it stays hidden from the same people.

        Raises:
            Forbidden: The caller may not delete this.
            NotFound: The caller may not know of it.
        """
        self._policy.check_write(caller, Interaction.DELETE, old.type, None, (), old)
        return Change(
            old.type,
            old.id,
            old.version,
            None,
            IndexEntries(),
            old.compartments,
            old.source,
            is_restricted(old.resource),
        )
