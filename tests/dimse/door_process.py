"""``python -m tests.dimse.door_process URL DATABASE FOLDER [MEGABYTES]``: a DICOM door to kill; prints its port."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from hayat_fhir.child_process import limit_memory
from hayat_fhir.store.blob_reconciliation import reconcile
from hayat_fhir.store.database import connect_sync
from hayat_fhir.store.incoming_instances import IncomingInstances
from tests.dimse.conftest import opened

_SETTLING = 0.5


def main(url: str, database_name: str, folder: str, megabytes: str = "") -> None:
    """Serve until killed, within so much memory, and reconcile what the one before left."""
    if megabytes:
        limit_memory(int(megabytes))
    with opened(url, database_name, Path(folder)) as running:
        rows = IncomingInstances(connect_sync(url, database_name))
        threading.Thread(target=reconcile, args=(running.blobs, rows, _SETTLING), daemon=True).start()
        sys.stdout.write(f"{running.port}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
