"""Documents that would have a reader fetch files, call strangers or fill its memory: no door reads them as such."""

from __future__ import annotations

import io
import socket
import time
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from hayat_fhir.demonstration_site import Site

CANARY = "Qxzzv7732"
XHTML = "http://www.w3.org/1999/xhtml"
ENCAPSULATED_PDF, ENCAPSULATED_CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
SCRIPTED_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n%%EOF\n "
XML_TYPES = ("application/fhir+xml", "application/xml", "text/xml", "application/dicom+xml", "image/svg+xml")
DOCTOR = {
    "name": "Dr Example",
    "email": "images@doctor.example",
    "password": "violet marmot lantern",
    "phone": "+20 100 000 0002",
    "gender": "Male",
    "specializationDetail": "Chest imaging",
    "background": "Trained in Cairo",
    "hospital": "Test Hospital",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A site, its tokens by role, a file that is nobody's business, and a stranger's server, not to be called."""

    site: Site
    secret: Path
    stranger: socket.socket
    tokens: dict[str, str]

    def documents(self, root: str) -> list[bytes]:
        """XML whose reader would tell of the file, call the stranger, or make three thousand million laughs."""
        port = self.stranger.getsockname()[1]
        laughs = '<!ENTITY a0 "lol">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
        types = {
            f'<!ENTITY e SYSTEM "file://{self.secret}">': "&e;",
            f'<!ENTITY e SYSTEM "http://127.0.0.1:{port}/e">': "&e;",
            f'<!ENTITY % e SYSTEM "http://127.0.0.1:{port}/p"> %e;': "",
            laughs: "&a9;",
        }
        found = [f"<!DOCTYPE {root} [{declared}]><{root}>{used}</{root}>" for declared, used in types.items()]
        found.append(f'<!DOCTYPE {root} SYSTEM "http://127.0.0.1:{port}/d"><{root}/>')
        found.append(f'<{root} xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="{self.secret}"/></{root}>')
        return [b'<?xml version="1.0"?>' + text.encode() for text in found]

    def http(self, role: str) -> httpx.Client:
        """A client that does not wait for a reader of laughs."""
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.site.url, headers=headers, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A site as a hospital runs it; at the end nobody has called the stranger."""
    folder = tmp_path_factory.mktemp("entities")
    secret = folder / "secret"
    secret.write_text(CANARY)
    site = Site("Hospital", "HAYAT", folder / "site")
    site.further_settings["HAYAT_ACCESS_TOKEN_SECONDS"] = "3600"
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        stranger.setblocking(False)
        try:
            site.start()
            site.wait_until_ready()
            site.add_account("doctor")
            site.add_account("staff")
            yield Place(site, secret, stranger, {role: site.token(role) for role in ("doctor", "staff")})
            with pytest.raises(BlockingIOError):
                stranger.accept()
        finally:
            site.stop()


def refused(answer: httpx.Response, *statuses: int) -> None:
    """It says so, and nothing of what was sent or asked for."""
    assert answer.status_code in statuses, (answer.request.url, answer.status_code, answer.text)
    assert CANARY not in answer.text
    assert "lol" not in answer.text


def test_the_fhir_door_reads_no_xml(place: Place) -> None:
    """Neither by its name nor in disguise; and speaks none."""
    with place.http("staff") as http:
        for sent in place.documents("Patient"):
            for method, path in (
                ("POST", "/fhir/Patient"),
                ("POST", "/fhir"),
                ("POST", "/fhir/Binary"),
                ("POST", "/fhir/Patient/_search"),
                ("PUT", "/fhir/Patient/1"),
                ("PATCH", "/fhir/Patient/1"),
            ):
                for media in XML_TYPES:
                    refused(http.request(method, path, content=sent, headers={"Content-Type": media}), 403, 415)
                json = {"Content-Type": "application/fhir+json"}
                refused(http.request(method, path, content=sent, headers=json), 400, 403, 415)
        for media in XML_TYPES:
            refused(http.get("/fhir/Patient", headers={"Accept": media}), 406)


def test_a_narrative_has_no_entities(place: Place) -> None:
    """A narrative is XHTML; what declares anything is refused before it is read on."""
    with place.http("staff") as http:
        for sent in place.documents("div"):
            for text in (sent.decode(), sent.decode().removeprefix('<?xml version="1.0"?>')):
                narrative = {"status": "generated", "div": text.replace("<div>", f'<div xmlns="{XHTML}">')}
                answer = http.post(
                    "/fhir/Patient",
                    json={"resourceType": "Patient", "text": narrative},
                    headers={"Content-Type": "application/fhir+json"},
                )
                refused(answer, 400, 422)


def test_the_older_door_reads_no_xml(place: Place) -> None:
    """Nor a picture that is XML: what is no PNG or JPEG is no photo, whatever it is called."""
    with place.http("staff") as http:
        of_images = {"specialization": "Radiology", "detail": "Images of the body"}
        specialization = http.post("/api/v1/specialization/", json=of_images).json()["data"]["_id"]
        doctor = {**DOCTOR, "specialization": specialization}
        for sent in place.documents("svg"):
            for media in (*XML_TYPES, "application/json"):
                headers = {"Content-Type": media}
                refused(http.post("/api/v1/specialization/", content=sent, headers=headers), 400, 415)
            for name, media in (("x.svg", "image/svg+xml"), ("x.png", "image/png")):
                answer = http.post("/api/v1/doctor/", data=doctor, files={"photo": (name, sent, media)})
                refused(answer, 400)
                assert [error["field"] for error in answer.json()["errors"]] == ["photo"], answer.text
        assert http.post("/api/v1/doctor/", json=doctor).status_code == 201


def test_the_dicomweb_door_reads_no_xml(place: Place) -> None:
    """Objects come as files; metadata in XML is taken from nobody, and XML is no file."""
    with place.http("doctor") as http:
        for sent in place.documents("NativeDicomModel"):
            for kind in ("application/dicom+xml", "application/dicom"):
                part = b"--cut\r\nContent-Type: " + kind.encode() + b"\r\n\r\n" + sent + b"\r\n--cut--\r\n"
                headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=cut'}
                refused(http.post("/dicomweb/studies", content=part, headers=headers), 409, 415)
                refused(http.post("/dicomweb/studies", content=sent, headers={"Content-Type": kind}), 409, 415)


def encapsulated(sop_class: str, content: bytes, elsewhere: str) -> FileDataset:
    """A document in a study of its own, which says that it is to be had elsewhere."""
    made = dcmread(str(get_testdata_file("CT_small.dcm")))
    del made.PixelData
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (generate_uid() for _ in range(3))
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.PatientID, made.Modality = f"E-{generate_uid()[-8:]}", "DOC"
    made.EncapsulatedDocument = content + b" " * (len(content) % 2)
    made.EncapsulatedDocumentLength = len(content)
    made.MIMETypeOfEncapsulatedDocument = "text/html"
    made.RetrieveURL = made.RetrieveURI = elsewhere
    return made


def projected(http: httpx.Client, uid: str) -> dict[str, Any]:
    """The DocumentReference of an instance, once its study has been projected."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        found = http.get("/fhir/DocumentReference", params={"identifier": f"urn:oid:{uid}"}).json()
        if found.get("entry"):
            resource: dict[str, Any] = found["entry"][0]["resource"]
            return resource
        time.sleep(0.2)
    raise AssertionError("the document did not appear")


@pytest.mark.parametrize("kind", ["cda", "pdf"])
def test_encapsulated_documents_are_not_read(place: Place, kind: str) -> None:
    """CDA with entities and PDF with scripts come back byte for byte, as nothing that a browser runs."""
    sop_class, media, contents = {
        "cda": (ENCAPSULATED_CDA, "application/xml", place.documents("ClinicalDocument")),
        "pdf": (ENCAPSULATED_PDF, "application/pdf", [SCRIPTED_PDF]),
    }[kind]
    elsewhere = f"http://127.0.0.1:{place.stranger.getsockname()[1]}/object"
    with place.http("doctor") as http:
        for content in contents:
            made, file = encapsulated(sop_class, content, elsewhere), io.BytesIO()
            made.save_as(file, enforce_file_format=True)
            stored = http.post(
                "/dicomweb/studies", content=file.getvalue(), headers={"Content-Type": "application/dicom"}
            )
            assert stored.status_code == 200, stored.text
            attachment = projected(http, made.SOPInstanceUID)["content"][0]["attachment"]
            assert (attachment["contentType"], attachment["size"]) == (media, len(content))
            binary = http.get(f"/fhir/{attachment['url']}")
            assert b64decode(binary.json()["data"]) == content
            inert(binary, "application/fhir+json")
            refused(http.get(f"/fhir/{attachment['url']}", headers={"Accept": media}), 406)
            path = f"/dicomweb/studies/{made.StudyInstanceUID}/series/{made.SeriesInstanceUID}"
            path += f"/instances/{made.SOPInstanceUID}"
            document = http.get(f"{path}/bulkdata/00420011", headers={"Accept": "application/octet-stream"})
            assert document.content[: len(content)] == content
            inert(document, "application/octet-stream")
            inert(http.get(path, headers={"Accept": "application/dicom"}), "application/dicom")
            for what in ("rendered", "thumbnail"):
                refused(http.get(f"{path}/{what}"), 400, 404, 406)


def inert(answer: httpx.Response, *media: str) -> None:
    """A browser neither guesses what it is nor runs what is in it."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] in media
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
