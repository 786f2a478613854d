"""Rejection notes withdraw images of their sender, also before these arrive; nothing is lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from hayat_fhir.app import Site
from hayat_fhir.dicom.key_objects import SOP_CLASS
from hayat_fhir.services.ingest import Ingest, Taken
from hayat_fhir.services.partner_details import PartnerDetails
from hayat_fhir.services.quarantine import Decision, Resolution
from hayat_fhir.services.rejection import FOREIGN
from hayat_fhir.store.partners import Partner

from .test_imaging import DOCTOR, SYNTAX, ingest, item, peer, take
from .test_quarantine import STAFF, count, new_study, push

__all__ = ["ingest", "peer"]


async def note(ingest: Ingest, peer: Partner, study: str, title: str, *uids: str, **attributes: Any) -> Taken:
    """Have a Key Object Selection with this title arrive that refers to these images."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = SOP_CLASS, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = study, generate_uid(), "KO"
    made.PatientID, made.PatientName = "1CT1", "CompressedSamples^CT1"
    made.ConceptNameCodeSequence = Sequence([item(CodeValue=title, CodingSchemeDesignator="DCM", CodeMeaning="t")])
    references = Sequence([item(ReferencedSOPClassUID="1.2", ReferencedSOPInstanceUID=uid) for uid in uids])
    series = item(SeriesInstanceUID=f"{study}.1")
    series.ReferencedSOPSequence = references
    evidence = item(StudyInstanceUID=study)
    evidence.ReferencedSeriesSequence = Sequence([series])
    made.CurrentRequestedProcedureEvidenceSequence = Sequence([evidence])
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, made)
    return await asyncio.to_thread(take, ingest, buffer.getvalue(), SYNTAX, SOP_CLASS, str(made.SOPInstanceUID), peer)


async def uids(site: Site, study: str) -> set[str]:
    """The images of a study that everybody may see."""
    return {one.uid for one in await site.instances.of_study(study)}


async def test_a_note_withdraws_what_is_there(site: Site, peer: Partner, ingest: Ingest) -> None:
    """The rejected image and the note are gone from the study, and listed to the staff, who may restore it."""
    study = new_study()
    (_, kept), (_, gone) = [await push(ingest, peer, study) for _ in range(2)]
    assert await count(site, study) == 2
    assert await note(ingest, peer, study, "113001", gone) is Taken.STORED
    assert await count(site, study) == 1
    assert await uids(site, study) == {kept}
    withheld = {one.instance.uid: one for one in await site.quarantine.list(STAFF, "withheld")}
    assert withheld[gone].reason == "rejected by note 113001"
    assert len(withheld) == 2
    assert await count(site, study) == 1
    result = await site.searching.search(DOCTOR, "Provenance", [])
    (record,) = [stored.resource or {} for stored in result.matches]
    assert record["reason"][0]["coding"][0]["code"] == "113001"
    assert record["agent"][0]["who"]["reference"] == f"Organization/{peer.id}"

    await site.quarantine.resolve(STAFF, Resolution(Decision.ACCEPT, "it was good", withheld[gone].id))
    assert await count(site, study) == 2
    assert await uids(site, study) == {kept, gone}


@pytest.mark.parametrize(("title", "status"), [("113001", "cancelled"), ("113038", "entered-in-error")])
async def test_a_study_that_is_withdrawn_whole(
    site: Site, peer: Partner, ingest: Ingest, title: str, status: str
) -> None:
    """Its ImagingStudy stays, counts nothing and says why."""
    study = new_study()
    _, uid = await push(ingest, peer, study)
    await site.projection.project(study)
    await note(ingest, peer, study, title, uid)
    stored = await site.projection.project(study)
    assert stored is not None
    assert stored.resource is not None
    assert (stored.resource["status"], stored.resource["numberOfInstances"]) == (status, 0)
    assert "series" not in stored.resource


async def test_a_note_before_its_objects(site: Site, peer: Partner, ingest: Ingest) -> None:
    """What is rejected before it comes is taken into custody and never shown; sent again, it is not kept twice."""
    study, uid = new_study(), generate_uid()
    await note(ingest, peer, study, "113037", uid)
    assert await site.projection.project(study) is None
    for _ in range(2):
        assert (await push(ingest, peer, study, uid))[0] is Taken.STORED
        assert await site.projection.project(study) is None
        assert await uids(site, study) == set()
    files = [path for path in (site.settings.data_dir / "blobs").rglob("*") if path.is_file() and path.name != "lock"]
    assert len(files) == 2
    assert len(await site.quarantine.list(STAFF, "withheld")) == 2


async def test_after_a_retention_the_same_may_come_again(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Data Retention Policy Expired withdraws what is there; what comes afterwards is taken."""
    study = new_study()
    _, uid = await push(ingest, peer, study)
    await note(ingest, peer, study, "113039", uid)
    assert await site.projection.project(study) is None
    await push(ingest, peer, study, uid)
    assert await count(site, study) == 1


async def test_nobody_rejects_what_another_has_sent(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A note about another sender's images is set aside for the staff, and forgotten when theirs come later."""
    other = await site.registration.partner(PartnerDetails(name="X", ae_title="X", host="127.0.0.1", port=105))
    study, later = new_study(), generate_uid()
    _, uid = await push(ingest, peer, study)
    system = {"IssuerOfPatientIDQualifiersSequence": [item(UniversalEntityID="1.2.3", UniversalEntityIDType="ISO")]}
    await note(ingest, other, new_study(), "113001", uid, later, **system)
    for study_of_note in await site.instances.pending_studies(_latest()):
        await site.projection.project(study_of_note)
    assert await uids(site, study) == {uid}
    (entry,) = await site.quarantine.list(STAFF)
    assert entry.reason == FOREIGN
    await push(ingest, peer, study, later)
    assert await count(site, study) == 2


async def test_other_selections_are_shown(site: Site, peer: Partner, ingest: Ingest) -> None:
    """A selection that rejects nothing is an ordinary series of its study."""
    study = new_study()
    _, uid = await push(ingest, peer, study)
    await note(ingest, peer, study, "113000", uid)
    assert await count(site, study) == 2


def _latest() -> datetime:
    """A moment by which everything has been quiet."""
    return datetime.now(UTC) + timedelta(minutes=1)
