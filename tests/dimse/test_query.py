"""C-FIND as peers ask it: DCMTK's findscu, and pynetdicom where a peer must misbehave."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    PatientStudyOnlyQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from hayat_fhir.security.callers import Caller, Role

from . import raw
from .gateway import Gateway, keys, opened_gateway, tool

Maker = Callable[..., FileDataset]
STUDY_ROOT = StudyRootQueryRetrieveInformationModelFind
PATIENT_ROOT = PatientRootQueryRetrieveInformationModelFind


@pytest.fixture
async def gateway(mongodb_url: str, database_name: str, tmp_path: Path) -> AsyncIterator[Gateway]:
    """A site that a peer PACS has sent nothing to yet."""
    async with opened_gateway(mongodb_url, database_name, tmp_path, most_matches=20) as running:
        yield running


def _find(
    port: int, identifier: Dataset, model: str, calling: str, cancel: bool = False, syntax: str | None = None
) -> list[Any]:
    ae = AE(ae_title=calling)
    ae.add_requested_context(model, syntax)
    association = ae.associate("127.0.0.1", port, ae_title="HAYAT")
    assert association.is_established
    answers: list[Any] = []
    try:
        asked = association.send_c_find(identifier, model, msg_id=7)
        if cancel:
            association.send_c_cancel(7, query_model=model)
        answers = list(asked)
    finally:
        association.release()
    return answers


async def find(
    gateway: Gateway,
    identifier: Dataset,
    model: str = STUDY_ROOT,
    calling: str = "PACS",
    cancel: bool = False,
) -> tuple[list[Dataset], int]:
    """The matches, and the last status."""
    answers = await asyncio.to_thread(_find, gateway.port, identifier, model, calling, cancel)
    return [found for _, found in answers if found is not None], answers[-1][0].Status


async def numbers(gateway: Gateway, **wanted: Any) -> list[str]:
    """The patient numbers of the studies that meet a query."""
    found, status = await find(gateway, keys(**{"PatientID": "", **wanted}))
    assert status == 0x0000
    return sorted(one.PatientID for one in found)


@pytest.fixture
async def studied(gateway: Gateway, image: Maker) -> Gateway:
    """Five patients, a study each."""
    rows = (
        ("A1", "Do\u011fan^Ay\u015fe", "20240105", "083000", "CT", "Head", "19800101", "ACC1"),
        ("A2", "DOGAN^Mehmet", "20240210", "120000.5", "MR", "Knee*", "19810101", "ACC2"),
        ("A3", "I\u015f\u0131k^\u0130brahim", "20240315", "2359", "CT", "Chest", "19820101", "ACC3"),
        ("B4", "O'Neil^Sue^^Dr", "20250101", "", "US", "Head and neck", "", "ACC4"),
        ("B5", "", "", "101010", "CT", "", "19800101", ""),
    )
    made = []
    for id, name, date, time, modality, description, birth, accession in rows:
        one = image(
            PatientID=id,
            StudyDate=date,
            StudyTime=time,
            Modality=modality,
            StudyDescription=description,
            PatientBirthDate=birth,
            AccessionNumber=accession,
        )
        one.SpecificCharacterSet = "ISO_IR 192"
        one.PatientName = name
        one.SeriesInstanceUID = generate_uid()
        made.append(one)
    await gateway.push(*made)
    return gateway


MATCHES: list[tuple[dict[str, Any], str]] = [
    ({}, "A1 A2 A3 B4 B5"),
    ({"PatientID": "A2"}, "A2"),
    ({"PatientID": "A*"}, "A1 A2 A3"),
    ({"PatientID": "?4"}, "B4"),
    ({"PatientID": "*"}, "A1 A2 A3 B4 B5"),
    ({"PatientID": "a1"}, ""),
    ({"PatientName": "dogan*"}, "A1 A2"),
    ({"PatientName": "*ibrahim"}, "A3"),
    ({"PatientName": "ISIK^IBRAHIM"}, "A3"),
    ({"PatientName": "o'neil^sue^^dr^"}, "B4"),
    ({"PatientName": "Dogan"}, ""),
    ({"StudyDate": "20240210"}, "A2"),
    ({"StudyDate": "20240101-20241231"}, "A1 A2 A3"),
    ({"StudyDate": "20240315-"}, "A3 B4"),
    ({"StudyDate": "-20240209"}, "A1"),
    ({"StudyDate": "20240101-20241231", "StudyTime": "12-13"}, "A2"),
    ({"StudyTime": "0830"}, "A1"),
    ({"StudyTime": "2300-"}, "A3"),
    ({"ModalitiesInStudy": "CT"}, "A1 A3 B5"),
    ({"ModalitiesInStudy": ["MR", "US"]}, "A2 B4"),
    ({"ModalitiesInStudy": "CT", "StudyDate": "20240101-20240201"}, "A1"),
    ({"AccessionNumber": "ACC3"}, "A3"),
    ({"AccessionNumber": "ACC?"}, "A1 A2 A3 B4"),
    ({"StudyDescription": "Head*"}, "A1 B4"),
    ({"StudyDescription": "*ee*"}, "A2"),
    ({"PatientBirthDate": "19800101-19801231"}, "A1 B5"),
    ({"PatientID": "A1", "PatientName": "x*"}, ""),
    ({"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.4"}, ""),
]


async def test_matching(studied: Gateway) -> None:
    """Universal, single value, wildcard, range and list matching of studies, with and without a fitting index."""
    for wanted, expected in MATCHES:
        assert (wanted, await numbers(studied, **wanted)) == (wanted, expected.split())


async def test_findscu_at_all_levels(gateway: Gateway, image: Maker) -> None:
    """DCMTK asks for a patient, a study, its series and their images in both models, and is told what was pushed."""
    study = generate_uid()
    images = [
        image(PatientID="P", StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=str(number))
        for series in (generate_uid(), generate_uid())
        for number in (1, 2)
    ]
    await gateway.push(*images)
    of = ("-k", f"StudyInstanceUID={study}")
    series = str(images[0].SeriesInstanceUID)
    for model, levels in (("-P", ("PATIENT", "STUDY", "SERIES", "IMAGE")), ("-S", ("STUDY", "SERIES", "IMAGE"))):
        for level, asked, expected in (
            ("PATIENT", ("-k", "PatientID=P", "-k", "NumberOfPatientRelatedInstances"), ["[P ]", "[4 ]"]),
            ("STUDY", (*of, "-k", "NumberOfStudyRelatedInstances", "-k", "ModalitiesInStudy"), [study, "[4 ]", "[CT]"]),
            ("SERIES", (*of, "-k", "SeriesInstanceUID", "-k", "NumberOfSeriesRelatedInstances"), [series, "[2 ]"]),
            (
                "IMAGE",
                (*of, "-k", f"SeriesInstanceUID={series}", "-k", "SOPInstanceUID"),
                [str(one.SOPInstanceUID) for one in images[:2]],
            ),
        ):
            if level not in levels:
                continue
            done = await tool(
                "findscu", "-v", "-aet", "PACS", "-aec", "HAYAT", model, "127.0.0.1", str(gateway.port),
                "-k", f"QueryRetrieveLevel={level}", *asked,
            )  # fmt: skip
            assert done.returncode == 0
            said = done.stdout + done.stderr
            assert "Received Final Find Response (Success)" in said
            assert all(text in said for text in expected), said
            assert said.count("(Pending)") == {"PATIENT": 1, "STUDY": 1, "SERIES": 2, "IMAGE": 2}[level]


def request(**attributes: str) -> Dataset:
    """An item of the Request Attributes Sequence."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


async def test_series_are_found_by_their_request(gateway: Gateway, image: Maker) -> None:
    """By procedure step and requested procedure, which one item must meet together; told is what was asked for."""
    study = generate_uid()
    a, b, c = (generate_uid() for _ in range(3))
    first, second, third = (image(StudyInstanceUID=study, SeriesInstanceUID=uid) for uid in (a, b, c))
    first.RequestAttributesSequence = [
        request(ScheduledProcedureStepID="S1", RequestedProcedureID="P1", RequestedProcedureDescription="Head"),
        request(ScheduledProcedureStepID="S2", RequestedProcedureID="P2"),
    ]
    second.RequestAttributesSequence = [request(ScheduledProcedureStepID="S2", RequestedProcedureID="P1")]
    await gateway.push(first, second, third)
    of = {"StudyInstanceUID": study, "SeriesInstanceUID": ""}
    for step, procedure, expected in (
        ("S1", "", {a}),
        ("S2", "", {a, b}),
        ("S*", "P1", {a, b}),
        ("S1", "P2", set()),
        ("S2", "P1", {b}),
        ("", "", {a, b, c}),
    ):
        asked = [request(ScheduledProcedureStepID=step, RequestedProcedureID=procedure)]
        found, status = await find(gateway, keys("SERIES", **of, RequestAttributesSequence=asked))
        assert status == 0x0000
        assert {one.SeriesInstanceUID for one in found} == expected
    (told,) = (one for one in found if one.SeriesInstanceUID == a)
    assert [{part.keyword: part.value for part in item} for item in told.RequestAttributesSequence] == [
        {"ScheduledProcedureStepID": step, "RequestedProcedureID": procedure}
        for step, procedure in (("S1", "P1"), ("S2", "P2"))
    ]
    for level, key in (("SERIES", "SeriesInstanceUID"), ("IMAGE", "SOPInstanceUID")):
        done = await tool(
            "findscu", "-v", "-aet", "PACS", "-aec", "HAYAT", "-S", "127.0.0.1", str(gateway.port),
            *("-k", f"QueryRetrieveLevel={level}", "-k", f"StudyInstanceUID={study}", "-k", key),
            *("-k", "(0040,0275)[0].ScheduledProcedureStepID=S1", "-k", "(0040,0275)[0].RequestedProcedureDescription"),
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert said.count("(Pending)") == 1, said
        assert str(first[key].value) in said
        assert "[Head]" in said
    *_, event = await gateway.events("110112")
    asked = b64decode(event["entity"][-1]["query"]).decode()
    assert "RequestAttributesSequence.ScheduledProcedureStepID=S1" in asked


async def test_patients_are_told_apart_by_issuer(gateway: Gateway, image: Maker) -> None:
    """The same number of two senders is two patients, each with the counts of what the peer may see."""
    await gateway.peer("OTHER", patient_id_system="urn:other")
    await gateway.push(image(PatientID="7"), image(PatientID="7", StudyInstanceUID=generate_uid()))
    await gateway.push(image(PatientID="7"), calling="OTHER")
    asked = keys("PATIENT", PatientID="7", NumberOfPatientRelatedStudies="", PatientName="")
    for calling, expected in (("PACS", 2), ("OTHER", 1)):
        found, status = await find(gateway, asked, PATIENT_ROOT, calling)
        assert (status, [one.NumberOfPatientRelatedStudies for one in found]) == (0x0000, [expected])
    other = next(
        row for row in await gateway.site.database.collection("ImagingStudy").find({}).to_list(None)
        if row["source"] == gateway.titles["OTHER"].id
    )  # fmt: skip
    await gateway.share(other["resource"]["subject"]["reference"].removeprefix("Patient/"), "PACS")
    found, _ = await find(gateway, asked, PatientStudyOnlyQueryRetrieveInformationModelFind)
    assert sorted(one.NumberOfPatientRelatedStudies for one in found) == [1, 2]


async def test_a_peer_sees_only_what_it_may_read(gateway: Gateway, image: Maker) -> None:
    """What another sent is found only once it is shared, not when it is restricted, and never by UID either."""
    await gateway.peer("OTHER")
    pushed = image(PatientID="P")
    await gateway.push(pushed)
    queries = [
        (keys(PatientID="P"), STUDY_ROOT),
        (keys(StudyInstanceUID=pushed.StudyInstanceUID), STUDY_ROOT),
        (keys("SERIES", StudyInstanceUID=pushed.StudyInstanceUID, SeriesInstanceUID=""), STUDY_ROOT),
        (keys("IMAGE", StudyInstanceUID=pushed.StudyInstanceUID, SOPInstanceUID=""), STUDY_ROOT),
        (keys("PATIENT", PatientID="P"), PATIENT_ROOT),
    ]

    async def seen() -> list[int]:
        return [len((await find(gateway, asked, model, "OTHER"))[0]) for asked, model in queries]

    assert await seen() == [0] * 5
    stored = await gateway.site.database.collection("ImagingStudy").find_one({})
    assert stored is not None
    await gateway.share(stored["resource"]["subject"]["reference"].removeprefix("Patient/"), "OTHER")
    assert await seen() == [1] * 5
    await gateway.site.database.collection("ImagingStudy").update_one({}, {"$set": {"restricted": True}})
    assert await seen() == [0] * 5


async def test_who_may_see_a_study_later_finds_it(gateway: Gateway, image: Maker) -> None:
    """A study that is moved to a patient who is shared is found; before, and by any other, it is not."""
    await gateway.peer("OTHER")
    await gateway.push(image(PatientID="P"))
    site = Caller(Role.SITE, "test")
    patient = await gateway.site.interactions.create(site, "Patient", {"resourceType": "Patient"})
    await gateway.share(patient.stored.id, "OTHER")
    row = await gateway.site.database.collection("ImagingStudy").find_one({})
    assert row is not None
    study = await gateway.site.interactions.read(site, "ImagingStudy", row["_id"])
    owner = Caller(Role.SITE, "test", source=study.source)
    moved = {**(study.resource or {}), "subject": {"reference": patient.stored.reference}}
    await gateway.site.interactions.update(owner, "ImagingStudy", study.id, moved, study.version)
    assert await find(gateway, keys(PatientID="P"), calling="OTHER") == ([], 0x0000)
    stop = asyncio.Event()
    following = asyncio.create_task(gateway.site.imaging_visibility.run(stop))
    for _ in range(50):
        found, _ = await find(gateway, keys(PatientID="P"), calling="OTHER")
        if found:
            break
        await asyncio.sleep(0.1)
    stop.set()
    await following
    assert [one.PatientID for one in found] == ["P"]


async def test_scopes_bound_what_a_peer_asks(gateway: Gateway) -> None:
    """A partner without a scope for imaging studies is told that it is not authorised, and that is on record."""
    await gateway.peer("NARROW", scopes=("system/Patient.rs",))
    assert await find(gateway, keys(PatientID=""), calling="NARROW") == ([], 0x0124)
    (event,) = await gateway.events("110112")
    assert event["outcome"] == "4"


async def test_every_query_leaves_an_audit_event(studied: Gateway) -> None:
    """With who asked, what was asked, and each study and patient that was told; also where nothing was found."""
    await numbers(studied, PatientID="A2")
    await numbers(studied, PatientID="nobody")
    told, nothing = await studied.events("110112")
    references = [entity["what"]["reference"] for entity in told["entity"] if "what" in entity]
    assert sorted(one.split("/")[0] for one in references) == ["ImagingStudy", "Patient"]
    assert told["agent"][0]["who"]["reference"] == f"Organization/{studied.titles['PACS'].id}"
    assert [one for one in nothing["entity"] if "what" in one] == []
    assert all("query" in event["entity"][-1] for event in (told, nothing))


BAD: list[tuple[str | None, dict[str, str], str]] = [
    (None, {"PatientID": ""}, STUDY_ROOT),
    ("NOTHING", {"PatientID": ""}, STUDY_ROOT),
    ("PATIENT", {"PatientID": ""}, STUDY_ROOT),
    ("SERIES", {"SeriesInstanceUID": ""}, STUDY_ROOT),
    ("IMAGE", {"PatientID": "1", "SOPInstanceUID": ""}, PATIENT_ROOT),
    ("STUDY", {"StudyInstanceUID": "../../x"}, STUDY_ROOT),
    ("STUDY", {"StudyDate": "yesterday"}, STUDY_ROOT),
    ("STUDY", {"StudyTime": "-"}, STUDY_ROOT),
]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
async def test_bad_identifiers(gateway: Gateway) -> None:
    """What is no query of the model is answered 0xA900, and the site goes on."""
    for level, wanted, model in BAD:
        assert (level, wanted, (await find(gateway, keys(level, **wanted), model))[1]) == (level, wanted, 0xA900)
    assert (await find(gateway, keys(PatientID="")))[1] == 0x0000


@pytest.mark.parametrize(("several", "expected"), [(9_000, 0x0000), (50_000, 0xA700), (1_000_000, None)])
async def test_lists_of_uids(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, several: int, expected: int | None
) -> None:
    """A list as long as a PACS may send is looked up; of a million UIDs the rest is not even read."""
    uids = "\\".join(f"1.2.{number}" for number in range(several)).encode()
    uids += b"\0" * (len(uids) % 2)
    sent = raw.element(0x0008, 0x0052, b"STUDY ") + raw.element(0x0020, 0x000D, uids)
    with monkeypatch.context() as patched:
        patched.setattr("pynetdicom.association.encode", lambda *_: sent)
        patched.setattr("pynetdicom.association.decode", lambda *_: Dataset())
        answers = await asyncio.to_thread(_find, gateway.port, keys(), STUDY_ROOT, "PACS", syntax=raw.IMPLICIT)
    assert answers[-1][0].get("Status") == expected
    assert (await find(gateway, keys(PatientID="")))[1] == 0x0000


async def test_unreadable_identifier(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no data set are answered with a failure, not with an abort."""
    for broken in (b"\x08\x00\x52\x00\x00\x00\x01\x00", b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 400, b"\x01"):
        monkeypatch.setattr("pynetdicom.association.encode", lambda *_, sent=broken: sent)
        assert (await find(gateway, keys(PatientID="1")))[1] in {0xA900, 0xC000}


async def test_cap_on_matches(gateway: Gateway, image: Maker) -> None:
    """A query that matches more than may be is answered 0xA700 after that many."""
    await gateway.push(*(image(PatientID=f"P{number}") for number in range(21)))
    found, status = await find(gateway, keys(PatientID=""))
    assert (len(found), status) == (20, 0xA700)
    found, status = await find(gateway, keys(PatientID=[f"P{number}" for number in range(20)]))
    assert (len(found), status) == (20, 0x0000)


async def test_cancel(gateway: Gateway, image: Maker) -> None:
    """A query that is cancelled in time ends with 0xFE00, before all is told."""
    await gateway.push(*(image(PatientID=f"P{number}") for number in range(20)))
    for _ in range(20):
        found, status = await find(gateway, keys(PatientID="", PatientName=""), cancel=True)
        if status == 0xFE00:
            break
    assert status == 0xFE00
    assert len(found) < 20


async def test_keys_that_do_not_select_are_warned_of(studied: Gateway) -> None:
    """An attribute that is not matched is universal, and the answer says so (0xFF01)."""
    answers = await asyncio.to_thread(_find, studied.port, keys(PatientID="A1", Occupation="Baker"), STUDY_ROOT, "PACS")
    assert [status.Status for status, _ in answers] == [0xFF01, 0x0000]
    code = request(CodeValue="77477000")
    of = {"PatientID": "A1", "ProcedureCodeSequence": [code]}
    for value, expected in (("77477000", 0xFF01), ("", 0xFF00)):
        code.CodeValue = value
        answers = await asyncio.to_thread(_find, studied.port, keys(**of), STUDY_ROOT, "PACS")
        assert [status.Status for status, _ in answers] == [expected, 0x0000]


async def test_what_is_asked_for_is_answered(studied: Gateway) -> None:
    """Asked attributes come back, empty where they are not known, and no other but where to retrieve from."""
    (found,), _ = await find(
        studied, keys(PatientID="A2", StudyInstanceUID="", ModalitiesInStudy="", Occupation="", StudyDate="")
    )
    assert {element.keyword for element in found} == {
        "PatientID", "StudyInstanceUID", "ModalitiesInStudy", "Occupation", "StudyDate",
        "QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability",
    }  # fmt: skip
    assert (found.StudyDate, found.Occupation, found.RetrieveAETitle) == ("20240210", "", "HAYAT")


async def test_answers_are_in_a_charset_that_can_say_them(studied: Gateway) -> None:
    """In that of the query where it can; in UTF-8 where it cannot; without one where ASCII does."""
    for asked, wanted, expected in (
        ("ISO_IR 148", "A1", "ISO_IR 148"),
        ("ISO_IR 100", "A1", "ISO_IR 192"),
        ("", "A1", "ISO_IR 192"),
        ("ISO_IR 100", "A2", None),
    ):
        (found,), _ = await find(studied, keys(PatientID=wanted, PatientName="", SpecificCharacterSet=asked))
        assert found.get("SpecificCharacterSet") == expected
        assert str(found.PatientName) in {"Do\u011fan^Ay\u015fe", "DOGAN^Mehmet"}


@pytest.mark.filterwarnings("ignore")
async def test_names_of_all_charsets_are_found(gateway: Gateway, image: Maker) -> None:
    """Pydicom's charset examples: each name is found by itself, asked in UTF-8."""
    pushed = []
    for path in get_charset_files():
        example = dcmread(path, force=True)
        name = str(example.get("PatientName", ""))
        if not name or "SQEncoding" in str(path) or "IR6" in str(path):
            continue
        one = image(PatientID=Path(path).stem[:16])
        one.SpecificCharacterSet, one.PatientName = "ISO_IR 192", name
        pushed.append(one)
    await gateway.push(*pushed)
    assert len(pushed) > 10
    for one in pushed:
        asked = keys(PatientID="", PatientName=str(one.PatientName), SpecificCharacterSet="ISO_IR 192")
        found, status = await find(gateway, asked)
        assert status == 0x0000
        assert one.PatientID in {match.PatientID for match in found}


async def test_queries_use_an_index(studied: Gateway) -> None:
    """Whatever is asked, MongoDB looks at no more rows than the caller may see; and at the matches alone by number."""
    row = studied.site.database.collection("imaging_studies")
    names = set(await row.index_information())
    assert {"keys", "marks", "patients"} <= names
    source = f"source:{studied.titles['PACS'].id}"
    plan = await row.find({"keys": {"$in": [f"{source}|PatientID|A2"]}}, hint="keys").explain()
    assert plan["executionStats"]["totalDocsExamined"] == 1


async def test_all_transfer_syntaxes_of_messages(studied: Gateway) -> None:
    """Queries are read and answered in implicit and explicit VR little endian."""
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1"):
        ae = AE(ae_title="PACS")
        ae.requested_contexts = [build_context(STUDY_ROOT, [syntax])]
        association = ae.associate("127.0.0.1", studied.port, ae_title="HAYAT")
        answers = await asyncio.to_thread(
            lambda: list(association.send_c_find(keys(PatientID="A1", PatientName=""), STUDY_ROOT))  # noqa: B023
        )
        assert [status.Status for status, _ in answers] == [0xFF00, 0x0000]
        await asyncio.to_thread(association.release)
