"""pydicom's own files go in by C-STORE and are kept byte for byte, or are refused for a stated reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, _config, build_context

from .conftest import RunningDoor

DATA = Path(pydicom.__file__).parent / "data"
VERIFICATION = "1.2.840.10008.1.1"
NO_STUDY = "no Study Instance UID"
NO_CLASS = "no SOP class that a context could name"
OTHER_UID = "the file meta information, and so the request, names another instance than the data set"
DEFLATED = "deflated: not negotiated, for its size is not known before it is inflated"
DIRECTORY = "a media directory, which is no object of the storage service class"
NOTHING_AGREED = "no transfer syntax is told, so that none can be agreed on"
REFUSED = {
    "JPEGLSNearLossless_08.dcm": NO_STUDY,
    "JPEGLSNearLossless_16.dcm": NO_STUDY,
    "SC_rgb_jls_lossy_line.dcm": NO_STUDY,
    "SC_rgb_jls_lossy_sample.dcm": NO_STUDY,
    "UN_sequence.dcm": NO_STUDY,
    "empty_charset_LEI.dcm": NO_CLASS,
    "nested_priv_SQ.dcm": NO_CLASS,
    "priv_SQ.dcm": NO_STUDY,
    "chrSQEncoding.dcm": NO_STUDY,
    "chrSQEncoding1.dcm": NO_STUDY,
    "image_dfl.dcm": DEFLATED,
    "meta_missing_tsyntax.dcm": NOTHING_AGREED,
    "badVR.dcm": OTHER_UID,
    "rtdose.dcm": OTHER_UID,
    "rtdose_1frame.dcm": OTHER_UID,
    "rtdose_expb.dcm": OTHER_UID,
    "rtdose_expb_1frame.dcm": OTHER_UID,
    "rtplan.dcm": OTHER_UID,
    "rtplan_truncated.dcm": OTHER_UID,
    "chrJapMulti.dcm": OTHER_UID,
    "chrJapMultiExplicitIR6.dcm": OTHER_UID,
}
KEPT = 150
"""How many files are taken, into the archive or into quarantine; what is refused is named above."""


def part_10_files() -> Iterator[tuple[Path, str, str, str, bytes]]:
    """The files with file meta information: path, SOP class, UID, transfer syntax and data set."""
    for folder in ("test_files", "charset_files"):
        for path in sorted(path for path in (DATA / folder).rglob("*") if path.is_file()):
            try:
                meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
            except InvalidDicomError:
                continue
            length = meta.file_meta.get("FileMetaInformationGroupLength")
            if length is not None:
                of = [meta.file_meta.get(f"MediaStorageSOP{name}UID", "") for name in ("Class", "Instance")]
                syntax = meta.file_meta.get("TransferSyntaxUID", "")
                yield path, str(of[0]), str(of[1]), str(syntax), path.read_bytes()[144 + length :]


def store(port: int, path: Path, sop_class: str, syntax: str) -> int | None:
    """Push a file as it stands; the status, None where its context is not agreed on."""
    ae = AE(ae_title="PACS")
    contexts = [build_context(sop_class, syntax), build_context(VERIFICATION)]
    association = ae.associate("127.0.0.1", port, contexts, ae_title="HAYAT")
    assert association.is_established
    try:
        if all(one.abstract_syntax != sop_class for one in association.accepted_contexts):
            return None
        return int(association.send_c_store(path).Status)
    finally:
        association.release()


@pytest.mark.timeout(600)
def test_what_goes_in_is_kept_byte_for_byte(door: RunningDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is answered; each that is not refused is there with the same bytes, digest and syntax."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
    kept = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, sop_class, uid, syntax, data in part_10_files():
            if path.name.startswith("DICOMDIR"):
                assert store(door.port, path, sop_class, syntax) is None, DIRECTORY
            elif REFUSED.get(path.name) in {DEFLATED, NOTHING_AGREED}:
                assert not syntax or store(door.port, path, sop_class, syntax) is None
            elif path.name in REFUSED:
                expected = {NO_STUDY: 0xC000, OTHER_UID: 0xA900, NO_CLASS: None}[REFUSED[path.name]]
                assert store(door.port, path, sop_class, syntax) == expected, path.name
            else:
                status = store(door.port, path, sop_class, syntax)
                digest = sha256(data).hexdigest()
                rows = door.rows if status == 0x0000 else door.quarantine
                row = rows.find_one({"sha256": digest, "transfer_syntax": syntax})
                assert row is not None, (path.name, status)
                assert row.get("uid", row["_id"]) == uid
                stored = door.blobs.path(row["blob"]).read_bytes()
                assert stored[row["offset"] :] == data, path.name
                assert len(data) == row["size"]
                kept += 1
    assert kept == KEPT
    assert {row["reason"] for row in door.quarantine.find()} <= {
        "same SOP Instance UID, other bytes",
        "same study, other patient",
        "same patient number, other demographics",
    }
    named = {row["blob"] for kept_in in (door.rows, door.quarantine) for row in kept_in.find({}, {"blob": True})}
    assert {str(path.relative_to(door.folder)) for path in door.files()} == named
