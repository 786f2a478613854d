"""Who may do what on the legacy routes: the access tables of ``/api/v1``, as a table.

It stands before the policy of ``/fhir`` and never widens what that policy says of clinical records: a medical
record is read and written with the caller's own rights.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from hayat_fhir.errors import Forbidden, NotFound
from hayat_fhir.security.callers import Caller, Role
from hayat_fhir.security.scopes import CONTEXT, allows


class Entity(StrEnum):
    """What the legacy routes are about; each is the first segment of their path."""

    PATIENT = "patient"
    DOCTOR = "doctor"
    STAFF = "staff"
    MEDICAL_RECORD = "medicalRecord"
    SPECIALIZATION = "specialization"


PEOPLE = (Entity.PATIENT, Entity.DOCTOR, Entity.STAFF)
"""Those who sign in."""


class Action(StrEnum):
    """What a route does."""

    LIST = "list"
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CORRECT = "correct"
    """Beyond the legacy routes: the staff's front desk sets another person's entry right, or shuts them out."""


_OWN = "*"
"""After a role: only the entry that stands for the caller."""

_TABLE = """
                  list                   read                    create   update     delete   correct
patient           doctor,staff           doctor,staff,patient*   staff    patient*   staff    staff
doctor            patient,staff          patient,staff,doctor*   staff    doctor*    staff    staff
staff             staff                  staff                   staff    staff      staff    staff
medicalRecord     patient,doctor         patient,doctor          doctor   doctor     doctor   --
specialization    patient,doctor,staff   patient,staff           staff    staff      staff    staff
"""

_LETTER = {
    Action.LIST: "s",
    Action.READ: "r",
    Action.CREATE: "c",
    Action.UPDATE: "u",
    Action.DELETE: "d",
    Action.CORRECT: "u",
}


def _rules(table: str) -> Mapping[tuple[Entity, Action], frozenset[str]]:
    head, *lines = table.strip().splitlines()
    actions = [Action(name) for name in head.split()]
    rules: dict[tuple[Entity, Action], frozenset[str]] = {}
    for line in lines:
        name, *cells = line.split()
        for action, cell in zip(actions, cells, strict=True):
            rules[Entity(name), action] = frozenset(cell.split(","))
    return MappingProxyType(rules)


RULES = _rules(_TABLE)
"""The roles of each route; a role with an asterisk has only the entry that stands for the caller."""


def check(caller: Caller, entity: Entity, action: Action, type: str, id: str | None = None) -> None:
    """Return if the caller may use this route, for this id; ``type`` is the FHIR type that the entity stands for.

    Raises:
        Forbidden: The caller's role or the token's scopes do not allow the route.
        NotFound: A patient asks for somebody else, whether there is such a patient or not.
    """
    roles = RULES[entity, action]
    if caller.role in roles:
        own = False
    elif f"{caller.role}{_OWN}" in roles:
        own = True
    else:
        raise Forbidden("the role does not allow this")
    if not allows(caller.scopes, CONTEXT[caller.role], type, _LETTER[action]):
        raise Forbidden("the token's scopes do not allow this")
    if own and f"{type}/{id}" != caller.reference:
        if caller.role is Role.PATIENT:
            raise NotFound("no such resource")
        raise Forbidden("only the own entry is open to this role")
