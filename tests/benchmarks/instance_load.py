"""Loads imaging studies past the doors: rows of instances, of studies, and their ImagingStudy, in raw batches."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from typing import Any

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from pymongo.write_concern import WriteConcern

from hayat_fhir.dicom.header import read_file_header
from hayat_fhir.services.imaging_rows import imaging_study_row
from hayat_fhir.store.database import connect, connect_sync
from hayat_fhir.store.imaging_studies import ImagingStudyRows
from hayat_fhir.store.instances import Instance, instance_row
from hayat_fhir.store.records import Stored
from tests.benchmarks.run import Run

IN_STUDY = 100
"""Instances of each study."""
OF_PATIENT = 4
"""Studies of each patient."""
_BATCH = 5000
_TOGETHER = 64
_ROOT = "1.2.826.0.1.3680043.10.1338"
_RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)


def patient_number(study: int) -> str:
    """The patient number of study n."""
    return f"B{study // OF_PATIENT:06d}"


def fill(run: Run, url: str, instances: int) -> None:
    """Load this many instances, and what is projected from them."""
    studies = instances // IN_STUDY
    attributes = _attributes()
    database = connect_sync(url)
    with run.step(f"dicomweb: loading {instances:,} rows of instances", studies * 2) as task, database.client:
        relaxed = WriteConcern(1, j=False)
        rows = database["instances"].with_options(write_concern=relaxed)
        resources = database["ImagingStudy"].with_options(write_concern=relaxed)
        each = (row for study in range(studies) for row in _rows(study, attributes))
        while batch := list(islice(each, _BATCH)):
            rows.insert_many(batch, ordered=False)
            run.progress.advance(task, len(batch) / IN_STUDY)
        resources.insert_many([_resource(study) for study in range(studies)], ordered=False)
        asyncio.run(_project(run, url, studies, attributes, task))


async def _project(run: Run, url: str, studies: int, attributes: dict[str, Any], task: Any) -> None:
    database = connect(url, "hayat")
    try:
        rows = ImagingStudyRows(database)
        for start in range(0, studies, _TOGETHER):
            part = range(start, min(start + _TOGETHER, studies))
            await asyncio.gather(*(rows.put(imaging_study_row(*_projected(study, attributes), {})) for study in part))
            run.progress.advance(task, len(part))
    finally:
        await database.close()


def _projected(study: int, attributes: dict[str, Any]) -> tuple[list[Instance], Stored]:
    stored = Stored("ImagingStudy", f"study-{study}", 1, _RECEIVED, {}, (f"Patient/{patient_number(study)}",))
    return list(_instances(study, attributes)), stored


def _rows(study: int, attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for instance in _instances(study, attributes):
        yield {**instance_row(instance), "imaging_study": f"study-{study}", "pending": False}


def _instances(study: int, attributes: dict[str, Any]) -> Iterator[Instance]:
    uid = f"{_ROOT}.{study + 1}"
    for number in range(IN_STUDY):
        series = f"{uid}.{number * 2 // IN_STUDY + 1}"
        own = {
            "00100020": {"vr": "LO", "Value": [patient_number(study)]},
            "00080020": {"vr": "DA", "Value": [f"{2000 + study % 25}{study % 12 + 1:02d}{study % 28 + 1:02d}"]},
            "0020000D": {"vr": "UI", "Value": [uid]},
            "0020000E": {"vr": "UI", "Value": [series]},
            "00080018": {"vr": "UI", "Value": [f"{series}.{number + 1}"]},
            "00200013": {"vr": "IS", "Value": [number + 1]},
        }
        yield Instance(
            uid=f"{series}.{number + 1}",
            study=uid,
            series=series,
            sop_class="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax=str(ExplicitVRLittleEndian),
            sha256=f"{study:032x}{number:032x}",
            size=39_000,
            blob=f"2026/01/01/0000/{study}-{number}.dcm",
            offset=340,
            peer="bench",
            system="urn:oid:1.2.3",
            patient_id=patient_number(study),
            received=_RECEIVED,
            attributes={**attributes, **own},
        )


def _resource(study: int) -> dict[str, Any]:
    return {
        "_id": f"study-{study}",
        "version": 1,
        "updated": _RECEIVED,
        "deleted": False,
        "restricted": False,
        "compartments": [f"Patient/{patient_number(study)}"],
        "resource": {"resourceType": "ImagingStudy", "id": f"study-{study}", "status": "available"},
        "index": {"keys": [], "strings": [], "ranges": [], "date": study, "order": {}},
    }


def _attributes() -> dict[str, Any]:
    """What is kept of the header of a real CT."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    buffer = BytesIO()
    image.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return read_file_header(buffer, str(image.file_meta.TransferSyntaxUID)).attributes
