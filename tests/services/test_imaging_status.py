"""What people see of the imaging side."""

from __future__ import annotations

from hayat_fhir.app import Site
from hayat_fhir.services.imaging_status import status
from hayat_fhir.services.ingest import Ingest
from hayat_fhir.store.partners import Partner

from .test_imaging import ingest, peer
from .test_quarantine import new_study, push

__all__ = ["ingest", "peer"]


async def test_status(site: Site, peer: Partner, ingest: Ingest) -> None:
    """Images stored, studies that wait and what is in quarantine, as they are."""
    empty = dict(await status(site.database, 0.01))
    assert (empty["images stored"], empty["quarantine: open"], empty["studies to be projected"]) == ("0", "0", "0")
    assert empty["images/s"] == "0.0"
    study = new_study()
    await push(ingest, peer, study)
    await push(ingest, peer, study, PatientID="OTHER")
    found = dict(await status(site.database, 0.01))
    assert (found["images stored"], found["quarantine: open"], found["studies to be projected"]) == ("1", "1", "1")
    await site.projection.project(study)
    assert dict(await status(site.database, 0.01))["studies to be projected"] == "0"
