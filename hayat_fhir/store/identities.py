"""Who the patients of studies are, for the threads that take images in: decided once, by whatever came first.

``studies``: ``{_id: Study Instance UID, system, patient_id, aliases: [{system, patient_id, entry}]}``: whose study
this is, and by which other numbers the staff lets images of it in. ``patients``: ``{_id: system|number, name,
birth_date, sex, variants: [{.., entry}]}``: what was first said of a patient, and what else the staff has accepted.
``entry`` is the entry of the quarantine that was accepted.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pymongo import ReturnDocument
from pymongo.database import Database as SyncDatabase
from pymongo.errors import DuplicateKeyError

from hayat_fhir.store.faults import answered

_REMEMBERED = 10_000
"""Studies and patients that are remembered: a series of images asks once."""
_TOLD = ("name", "birth_date", "sex")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """A patient by number; ``entry`` is the quarantine's entry whose acceptance says so, None: no decision did."""

    system: str
    patient_id: str
    entry: str | None = None


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """What is known of a patient, and which other statements about them the staff has accepted, by entry."""

    demographics: dict[str, str]
    variants: tuple[tuple[str, dict[str, str]], ...] = ()


class Identities:
    """Looks identities up and decides new ones; what is remembered is asked again where it would cause a conflict."""

    def __init__(self, database: SyncDatabase[dict[str, Any]]) -> None:
        self._studies = database["studies"]
        self._patients = database["patients"]
        self._owners: _Remembered[Owner] = _Remembered()
        self._known: _Remembered[KnownPatient] = _Remembered()

    def prepare(self) -> None:
        """Make the indexes.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        with answered():
            self._studies.create_index("touched", sparse=True)

    def owner(self, study: str, system: str, patient_id: str) -> Owner:
        """Whose study this is: whoever its first image named, for ever, by that number or one accepted for it.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        known = self._owners.get(study)
        if known is None:
            known = self._owners.keep(study, self._decided(study, system, patient_id))
        if (known.system, known.patient_id) == (system, patient_id):
            return known
        with answered():
            row = self._studies.find_one({"_id": study}) or {}
        for alias in row.get("aliases", ()):
            if (alias["system"], alias["patient_id"]) == (system, patient_id):
                return Owner(row["system"], row["patient_id"], alias["entry"])
        return known

    def _decided(self, study: str, system: str, patient_id: str) -> Owner:
        with answered():
            try:
                self._studies.insert_one({"_id": study, "system": system, "patient_id": patient_id})
            except DuplicateKeyError:
                row = self._studies.find_one({"_id": study}) or {}
                return Owner(str(row.get("system", system)), str(row.get("patient_id", patient_id)))
        return Owner(system, patient_id)

    def patient(self, owner: Owner, said: Mapping[str, str], *, afresh: bool = False) -> KnownPatient:
        """What was said of this patient first; what nobody had told yet is taken from ``said``.

        ``afresh``: ask the database, whatever is remembered.

        Raises:
            Unavailable: MongoDB does not answer.
        """
        key = patient_key(owner.system, owner.patient_id)
        known = None if afresh else self._known.get(key)
        if known is not None and known.demographics.keys() >= said.keys():
            return known
        told = {name: {"$ifNull": [f"${name}", {"$literal": value}]} for name, value in said.items()}
        with answered():
            try:
                row = self._patients.find_one_and_update(
                    {"_id": key}, [{"$set": told or {"_id": key}}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # somebody else was first at the same moment
                return self.patient(owner, said, afresh=True)
        return self._known.keep(key, known_patient(row or {}))


class _Remembered(Generic[T]):
    """The latest few of many, for several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        return self._kept.get(key)

    def keep(self, key: str, value: T) -> T:
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        return value


def patient_key(system: str, patient_id: str) -> str:
    """The key of a patient: two hospitals give the same number to different people."""
    return f"{system}|{patient_id}"


def known_patient(row: Mapping[str, Any]) -> KnownPatient:
    """A row of ``patients``."""
    variants = tuple(
        (str(one["entry"]), {key: one[key] for key in _TOLD if key in one}) for one in row.get("variants", ())
    )
    return KnownPatient({key: row[key] for key in _TOLD if key in row}, variants)
