"""Verification (C-ECHO): the peer learns that the door answers. PS3.4 annex A."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pynetdicom import evt

from hayat_fhir.dimse.service import Service, contexts

_SUCCESS = 0x0000


def verification(conformance: Mapping[str, Any]) -> Service:
    """The service; ``conformance`` is conformance/dicom.json."""
    return Service(contexts(conformance, "verification"), {evt.EVT_C_ECHO: lambda event, peer: _SUCCESS})
