"""QIDO-RS: what is found, told and refused, at every level."""

from __future__ import annotations

import pytest

from .conftest import Archive


def test_studies(archive: Archive) -> None:
    """By patient, name, date and modality; wildcards; counts; where to get them."""
    client = archive.client()
    ct = archive.images["CT0"]
    for filters in (
        {"PatientID": "P-1"},
        {"00100020": "P-1"},
        {"PatientName": "öz*"},
        {"ModalitiesInStudy": "MR", "PatientID": "P-1"},
        {"StudyInstanceUID": ct.StudyInstanceUID},
        {"StudyDate": f"{ct.StudyDate}-{ct.StudyDate}", "PatientID": "P-1"},
    ):
        matches = client.search_for_studies(search_filters=filters)
        assert len(matches) == 1, filters
        found = matches[0]
        assert found["0020000D"]["Value"] == [ct.StudyInstanceUID], filters
        assert found["00201206"]["Value"] == [2]
        assert found["00201208"]["Value"] == [6]
        assert sorted(found["00080061"]["Value"]) == ["CT", "MR"]
        assert found["00081190"]["Value"] == [f"{archive.site.url}/dicomweb/studies/{ct.StudyInstanceUID}"]
    assert client.search_for_studies(search_filters={"PatientID": "P-3"}) == []
    assert len(client.search_for_studies()) == 2


def test_series_and_instances(archive: Archive) -> None:
    """Below a study, below a series, and of the whole archive."""
    client = archive.client()
    ct, mr = archive.images["CT0"], archive.images["MR"]
    assert len(client.search_for_series(ct.StudyInstanceUID)) == 2
    (series,) = client.search_for_series(ct.StudyInstanceUID, search_filters={"Modality": "MR"})
    assert series["0020000E"]["Value"] == [mr.SeriesInstanceUID]
    assert len(client.search_for_instances(ct.StudyInstanceUID)) == 6
    found = client.search_for_instances(ct.StudyInstanceUID, ct.SeriesInstanceUID)
    assert {one["00080018"]["Value"][0] for one in found} == {
        archive.images[f"CT{number}"].SOPInstanceUID for number in range(5)
    }
    assert len(client.search_for_series(search_filters={"Modality": "CT"})) == 1
    (one,) = client.search_for_instances(search_filters={"SOPInstanceUID": mr.SOPInstanceUID})
    assert one["00081190"]["Value"] == [f"{archive.site.url}/dicomweb{archive.path('MR')}"]


def test_series_by_their_request(archive: Archive) -> None:
    """By keyword and by tag, at the series and below; the request is told of each series (PS3.18 table 10.6.3-4)."""
    ct, mr = archive.images["CT0"], archive.images["MR"]
    step, procedure = "RequestAttributesSequence.ScheduledProcedureStepID", "00400275.00401001"
    with archive.http() as http:
        for filters in ({step: "STEP-1"}, {procedure: "ORDER-1"}, {step: "STEP*", procedure: "ORDER-1"}):
            (series,) = http.get("/series", params=filters).json()
            assert series["0020000E"]["Value"] == [ct.SeriesInstanceUID]
            (told,) = series["00400275"]["Value"]
            assert (told["00400009"]["Value"], told["00401001"]["Value"]) == (["STEP-1"], ["ORDER-1"])
            assert len(http.get("/instances", params=filters).json()) == 5
        assert http.get("/series", params={step: "STEP-1", procedure: "ORDER-2"}).status_code == 204
        every = http.get(f"/studies/{ct.StudyInstanceUID}/series", params={step: ""}).json()
        assert {one["0020000E"]["Value"][0]: "00400275" in one for one in every} == {
            ct.SeriesInstanceUID: True,
            mr.SeriesInstanceUID: False,
        }
        bare = http.get("/instances", params={step: "STEP-1", "limit": 1}).json()[0]
        assert "00400275" in bare
        path = f"/studies/{ct.StudyInstanceUID}/series/{ct.SeriesInstanceUID}/instances"
        unasked = http.get(path).json()
        assert not any("00400275" in one for one in unasked)
        path = f"/studies/{ct.StudyInstanceUID}/instances?includefield={procedure}"
        assert sum("00400275" in one for one in http.get(path).json()) == 5


def test_paging_and_fields(archive: Archive) -> None:
    """Pages neither repeat nor skip, and say when there is more; fields come when asked for."""
    with archive.http() as http:
        study = archive.images["CT0"].StudyInstanceUID
        pages = [http.get(f"/studies/{study}/instances?limit=2&offset={offset}") for offset in (0, 2, 4)]
        uids = [one["00080018"]["Value"][0] for page in pages for one in page.json()]
        assert len(set(uids)) == len(uids) == 6
        assert [bool(page.headers.get("warning")) for page in pages] == [True, True, False]
        assert http.get(f"/studies/{study}/instances?offset=6").status_code == 204
        bare = http.get("/studies?PatientID=P-1").json()[0]
        told = http.get("/studies?PatientID=P-1&includefield=all")
        assert set(bare) <= set(told.json()[0])
        instance = http.get(f"/studies/{study}/instances?limit=1&Modality=CT").json()[0]
        assert [instance[tag]["Value"] for tag in ("00280010", "00280011", "00280100")] == [[128], [128], [16]]
        series = http.get(f"/studies/{study}/series?includefield=Manufacturer&Modality=CT").json()[0]
        assert series["00080070"]["Value"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies?Unknown=1", 400),
        ("/studies?PatientID[$ne]=1", 400),
        ("/studies?SeriesDescription=x", 400),
        ("/studies?limit=-1", 400),
        ("/studies?fuzzymatching=yes", 400),
        ("/studies?emptyvaluematching=1", 400),
        ("/studies?multiplevaluematching=", 400),
        ("/studies?accept=text/html", 406),
        ("/studies?charset=iso-8859-9", 400),
        ("/studies?StudyDate=%22%22", 400),
        ("/studies?offset=x", 400),
        ("/studies?StudyDate=tomorrow", 400),
        ("/studies?StudyInstanceUID=x", 400),
        ("/studies?includefield=Nothing", 400),
        ("/studies/x/series", 400),
        ("/studies?RequestAttributesSequence.ScheduledProcedureStepID=x", 400),
        ("/series?RequestAttributesSequence=x", 400),
        ("/series?RequestAttributesSequence.Modality=CT", 400),
        ("/series?OtherPatientIDsSequence.PatientID=x", 400),
        ("/series?00400275.00400275.00400009=x", 400),
        ("/series?00400275.=x", 400),
    ],
)
def test_what_is_not_understood_is_refused(archive: Archive, path: str, status: int) -> None:
    """Never ignored: that would widen the result."""
    with archive.http() as http:
        answer = http.get(path)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_every_match_tells_of_the_levels_that_the_path_leaves_open(archive: Archive) -> None:
    """All series tell of their studies, all instances of both, those of a study of their series (10.6.3.3)."""
    ct = archive.images["CT0"]
    study, series = f"/studies/{ct.StudyInstanceUID}", f"/series/{ct.SeriesInstanceUID}"
    of_study, of_series = {"00100010", "00100020", "00080020", "00080061", "00201208"}, {"00080060", "00201209"}
    with archive.http() as http:
        for path, told, untold in (
            ("/series?PatientID=P-1", of_study | of_series, set()),
            ("/instances?PatientID=P-1", of_study | of_series, set()),
            (f"{study}/series", of_series, of_study),
            (f"{study}/instances", of_series, of_study),
            (f"{study}{series}/instances", set(), of_study | {"00201209"}),
        ):
            for match in http.get(path).json():
                assert told <= set(match), path
                assert not untold & set(match), path


@pytest.mark.parametrize(
    ("path", "parameters", "found"),
    [
        ("/studies", {"ModalitiesInStudy": "CT\\MR", "multiplevaluematching": "true"}, 1),
        ("/studies", {"00080061": "OT\\MR", "multiplevaluematching": "true"}, 1),
        ("/studies", {"ModalitiesInStudy": "CT\\OT", "multiplevaluematching": "true"}, 0),
        ("/studies", {"ModalitiesInStudy": "CT\\OT", "multiplevaluematching": "false"}, 2),
        ("/studies", {"ModalitiesInStudy": "CT\\MR", "PatientID": "P-1", "multiplevaluematching": "true"}, 1),
        ("/instances", {"ImageType": "PRIMARY\\ORIGINAL", "multiplevaluematching": "true"}, 5),
        ("/instances", {"ImageType": "ORIGINAL\\OTHER", "multiplevaluematching": "true"}, 0),
        ("/instances", {"ImageType": "ORIGINAL\\AXIAL"}, 5),
        ("/studies", {"StudyDescription": '""', "emptyvaluematching": "true"}, 1),
        ("/studies", {"AccessionNumber": '""', "emptyvaluematching": "true"}, 2),
        ("/studies", {"AccessionNumber": '""'}, 0),
        ("/studies", {"PatientID": '""', "emptyvaluematching": "true"}, 0),
        ("/studies", {"StudyDate": '""', "emptyvaluematching": "true"}, 0),
        ("/studies", {"PatientName": '""', "emptyvaluematching": "true", "fuzzymatching": "true"}, 0),
        ("/series", {"Manufacturer": '""', "emptyvaluematching": "true"}, 1),
        ("/instances", {"NumberOfFrames": '""', "emptyvaluematching": "true"}, 7),
    ],
)
def test_empty_and_multiple_values(archive: Archive, path: str, parameters: dict[str, str], found: int) -> None:
    """No value at all, and all of several, where the client asks for such matching (PS3.4 C.2.2.2.7, C.2.2.2.8)."""
    with archive.http() as http:
        answer = http.get(path, params=parameters)
        assert answer.status_code == (200 if found else 204), answer.text
        assert len(answer.json() if found else []) == found
        assert "warning" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "media"),
    [
        ("accept=application/json", "application/json"),
        ("accept=application/dicom%2Bjson&charset=utf-8", "application/dicom+json"),
        ("accept=application/dicom+json", "application/dicom+json"),
        ("charset=iso-8859-1,%22ISO_IR%20192%22;q=0.5", "application/dicom+json"),
    ],
)
def test_the_form_of_the_answer_as_a_parameter(archive: Archive, asked: str, media: str) -> None:
    """It comes before the header field, and is no attribute (PS3.18 8.3.3)."""
    header = {"Accept": "text/html" if "accept" in asked else "*/*"}
    study = archive.images["CT0"].StudyInstanceUID
    with archive.http() as http:
        for path in ("/studies", f"/studies/{study}/metadata"):
            answer = http.get(f"{path}?{asked}", headers=header)
            assert (answer.status_code, answer.headers["content-type"]) == (200, media)


def test_only_what_may_be_seen_is_found(archive: Archive) -> None:
    """A patient finds nothing of others; staff have no images; each query is on record."""
    with archive.http("patient") as http:
        assert http.get("/studies").status_code == 204
        assert http.get("/instances").status_code == 204
    with archive.http("staff") as http:
        assert http.get("/studies").status_code == 403
        events = http.get(f"{archive.site.url}/fhir/AuditEvent?_count=50&_sort=-date").json()
    assert "query" in str(events)


@pytest.mark.parametrize(
    ("name", "found"),
    [("ayse oz", 1), ("Öz^Ayşe", 1), ("aysse", 1), ("asye", 1), ("somebody", 1), ("ahmet", 0), ("*", 2)],
)
def test_fuzzy_matching(archive: Archive, name: str, found: int) -> None:
    """Names are found by their words in any order, by how these begin, and with one letter wrong in each."""
    with archive.http() as http:
        answer = http.get("/studies", params={"PatientName": name, "fuzzymatching": "true", "StudyDate": "20040119"})
        assert answer.status_code == (200 if found else 204)
        assert len(answer.json() if found else []) >= found
        literal = http.get("/studies", params={"PatientName": "ayse oz", "fuzzymatching": "false"})
        assert literal.status_code == 204


def test_the_study_list_of_a_viewer(archive: Archive) -> None:
    """What OHIF asks for is answered as it expects."""
    fields = "00081030,00080060,00080090,00100030"
    study = archive.images["CT0"].StudyInstanceUID
    with archive.http() as http:
        asked = f"/studies?limit=101&offset=0&fuzzymatching=false&includefield={fields}"
        assert len(http.get(asked).json()) >= 2
        (one,) = http.get(f"{asked}&StudyInstanceUID={study}").json()
        assert one["00100010"]["Value"][0]["Alphabetic"] == "Öz^Ayşe"
        assert http.get(f"{asked}&00100020=P-1").json() == [one]
        series = http.get(f"/studies/{study}/series?includefield=00080021,00080031,0008103E,00200011").json()
        assert len(series) == 2
