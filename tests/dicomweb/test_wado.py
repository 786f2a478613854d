"""WADO-RS: whole objects, metadata, frames, bulk data and pictures, as PyPI's client and plain HTTP ask for them."""

from __future__ import annotations

import io
import json
from copy import deepcopy

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import UID, JPEGLSLossless, generate_uid

from .conftest import FRAMES, Archive, example
from .test_stow import file, fresh, seen

EXPLICIT = "1.2.840.10008.1.2.1"
OCTETS = 'multipart/related; type="application/octet-stream"'


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Content types and contents of a multipart answer."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    found = []
    for text in answer.content.split(b"--" + boundary)[1:-1]:
        head, _, content = text.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        kinds = [line.partition(":")[2].strip() for line in head.decode().split("\r\n") if line.startswith("Content-T")]
        found.append((kinds[0], content.removesuffix(b"\r\n")))
    assert int(answer.headers["content-length"]) == len(answer.content)
    return found


def test_objects_come_back_as_they_came(archive: Archive) -> None:
    """A study, a series, an image: to the byte of each pixel and attribute."""
    ct = archive.images["CT0"]
    study = archive.client().retrieve_study(ct.StudyInstanceUID)
    assert {one.SOPInstanceUID for one in study} == {
        one.SOPInstanceUID for one in archive.images.values() if one.StudyInstanceUID == ct.StudyInstanceUID
    }
    series = archive.client().retrieve_series(ct.StudyInstanceUID, ct.SeriesInstanceUID)
    assert len(series) == 5
    one = archive.client().retrieve_instance(ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID)
    assert one.PixelData == ct.PixelData
    assert one.PatientName == "Öz^Ayşe"


def test_objects_are_transcoded_where_asked(archive: Archive) -> None:
    """Explicit VR Little Endian out of whatever is stored; what cannot be made is 406."""
    wanted = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1'
    with archive.http() as http:
        for name in FRAMES:
            ((_, content),) = parts(http.get(archive.path(name), headers={"Accept": wanted}))
            made = dcmread(io.BytesIO(content))
            assert made.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
            assert (made.pixel_array == pixel_array(archive.images["native"])).all(), name
            assert made.SOPInstanceUID == archive.images[name].SOPInstanceUID
        for syntax in ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"):
            lossless = wanted.replace("1.2.840.10008.1.2.1", syntax)
            ((_, content),) = parts(http.get(archive.path("CT0"), headers={"Accept": lossless}))
            made = dcmread(io.BytesIO(content))
            assert made.file_meta.TransferSyntaxUID == syntax
            assert (made.pixel_array == pixel_array(archive.images["CT0"])).all()
            assert made.SOPInstanceUID == archive.images["CT0"].SOPInstanceUID
        jpeg = wanted.replace("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50")
        assert http.get(archive.path("CT0"), headers={"Accept": jpeg}).status_code == 406


def test_a_study_of_all_kinds_is_transcoded(archive: Archive) -> None:
    """A big endian image and a report beside a CT: each part is what can be made of it, and says so."""
    study, number = generate_uid(), f"S-{generate_uid()[-8:]}"
    names = ("CT_small.dcm", "MR_small_bigendian.dcm", "reportsi.dcm")
    images = [example(name, study, generate_uid(), number, "Kinds^All") for name in names]
    with archive.http() as http:
        for image in images:
            answer = http.post("/studies", content=file(image), headers={"Content-Type": "application/dicom"})
            assert answer.status_code == 200, answer.text
        for image in images:
            seen(http, image)
        for syntax, report in ((EXPLICIT, EXPLICIT), (JPEGLSLossless, EXPLICIT)):
            wanted = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
            found = parts(http.get(f"/studies/{study}", headers={"Accept": wanted}))
            objects = [(kind.rpartition("=")[2], dcmread(io.BytesIO(content))) for kind, content in found]
            assert all(told == one.file_meta.TransferSyntaxUID for told, one in objects)
            by_uid = {one.SOPInstanceUID: one for _, one in objects}
            for image, expected in zip(images, (syntax, syntax, report), strict=True):
                one = by_uid[image.SOPInstanceUID]
                assert one.file_meta.TransferSyntaxUID == expected
                assert "PixelData" not in image or np.array_equal(one.pixel_array, image.pixel_array)
        big = f"/studies/{study}/series/{images[1].SeriesInstanceUID}/instances/{images[1].SOPInstanceUID}"
        for syntax in ("*", EXPLICIT):
            ((kind, content),) = parts(
                http.get(f"{big}/frames/1", headers={"Accept": f"{OCTETS}; transfer-syntax={syntax}"})
            )
            assert kind == f"application/octet-stream; transfer-syntax={EXPLICIT}"
            assert np.array_equal(np.frombuffer(content, "<i2").reshape(64, 64), images[1].pixel_array)
        whole = http.get(f"{big}/bulkdata/7FE00010", headers={"Accept": "application/octet-stream"})
        assert whole.content == content


def test_metadata(archive: Archive) -> None:
    """All attributes but the large ones, whose places answer."""
    ct = archive.images["CT0"]
    client = archive.client()
    found = client.retrieve_series_metadata(ct.StudyInstanceUID, ct.SeriesInstanceUID)
    assert len(found) == 5
    assert len(client.retrieve_study_metadata(ct.StudyInstanceUID)) == 6
    (again,) = (client.retrieve_instance_metadata(ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.SOPInstanceUID),)
    read = Dataset.from_json(json.dumps({tag: one for tag, one in again.items() if "BulkDataURI" not in one}))
    for keyword in ("PatientName", "Rows", "PixelSpacing", "ImageOrientationPatient", "WindowCenter", "Modality"):
        assert read.get(keyword) == ct.get(keyword), keyword
    assert again["00083002"]["Value"] == [ct.file_meta.TransferSyntaxUID]
    bulk = again["7FE00010"]["BulkDataURI"]
    assert bulk.startswith(f"{archive.site.url}/dicomweb/studies/{ct.StudyInstanceUID}/")
    assert b"".join(client.retrieve_bulkdata(bulk)) == ct.PixelData
    with archive.http() as http:
        answer = http.get(archive.path("CT0") + "/metadata", headers={"Accept": "application/json"})
        assert answer.headers["content-type"] == "application/json"
        xml = {"Accept": "multipart/related; type=application/dicom+xml"}
        assert http.get(archive.path("CT0") + "/metadata", headers=xml).status_code == 406


@pytest.mark.parametrize("name", FRAMES)
def test_all_pixels(archive: Archive, name: str) -> None:
    """Bulk data are native: ten frames one after the other, whatever they are stored in."""
    with archive.http() as http:
        accept = {"Accept": "application/octet-stream"}
        answer = http.get(archive.path(name) + "/bulkdata/7FE00010", headers=accept)
    assert answer.status_code == 200
    assert answer.content == archive.images["native"].PixelData


@pytest.mark.parametrize("name", FRAMES)
def test_frames_decoded(archive: Archive, name: str) -> None:
    """Whatever the encoding, the same values as numpy's; any order, any subset."""
    values = pixel_array(archive.images["native"])
    one = archive.images[name]
    frames = archive.client().retrieve_instance_frames(
        one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID, [7, 1]
    )
    assert [np.frombuffer(frame, "<u2").reshape(values.shape[1:]).tolist() for frame in frames] == [
        values[6].tolist(),
        values[0].tolist(),
    ]


def test_frames_as_they_are_stored(archive: Archive) -> None:
    """A client that knows the encoding gets the stored bytes."""
    kinds = {"rle": "image/dicom-rle", "jls": "image/jls", "jp2": "image/jp2"}
    with archive.http() as http:
        for name, media in kinds.items():
            wanted = f'multipart/related; type="{media}"; transfer-syntax=*'
            found = parts(http.get(archive.path(name) + "/frames/2,10", headers={"Accept": wanted}))
            assert [kind.partition(";")[0] for kind, _ in found] == [media, media]
            stored = archive.images[name].PixelData
            assert all(content in stored for _, content in found)
            anything = OCTETS + "; transfer-syntax=*"
            again = parts(http.get(archive.path(name) + "/frames/2,10", headers={"Accept": anything}))
            assert [content for _, content in again] == [content for _, content in found]
        single = http.get(archive.path("CT0") + "/frames/1", headers={"Accept": "application/octet-stream"})
        assert single.content == archive.images["CT0"].PixelData


@pytest.mark.parametrize(
    ("media", "syntax"),
    [
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/dicom-rle", "1.2.840.10008.1.2.5"),
    ],
)
def test_frames_are_encoded_anew_where_asked(archive: Archive, media: str, syntax: str) -> None:
    """Whatever a frame is stored in, a client gets it in the encoding that it reads, without loss."""
    values = pixel_array(archive.images["native"])
    wanted = f'multipart/related; type="{media}"; transfer-syntax={syntax}'
    with archive.http() as http:
        for name in FRAMES:
            found = parts(http.get(archive.path(name) + "/frames/3,1", headers={"Accept": wanted}))
            assert [kind for kind, _ in found] == [f"{media}; transfer-syntax={syntax}"] * 2
            for (_, content), expected in zip(found, (values[2], values[0]), strict=True):
                one = deepcopy(archive.images["native"])
                one.NumberOfFrames, one.PixelData = 1, encapsulate([content])
                one["PixelData"].is_undefined_length = True
                one.file_meta.TransferSyntaxUID = UID(syntax)
                assert (one.pixel_array == expected).all(), name


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/frames/0", 400),
        ("/frames/a", 400),
        ("/frames/2", 404),
        ("/frames/1,1,99", 404),
        ("/bulkdata/00100010", 404),
        ("/bulkdata/../../x", 400),
        ("/rendered?window=1", 400),
        ("/rendered?window=40,0,LINEAR", 400),
        ("/rendered?viewport=99999,1", 400),
        ("/rendered?window=40,0.5", 400),
        ("/rendered?window=40,0,SIGMOID", 400),
        ("/rendered?viewport=1", 400),
        ("/rendered?viewport=8,8,x,0", 400),
        ("/rendered?viewport=8,8,0,0,8,8,8", 400),
        ("/rendered?viewport=8,8,128,0,8,8", 404),
        ("/rendered?quality=101", 400),
        ("/rendered?annotation=secret", 400),
    ],
)
def test_what_is_wrong_is_said(archive: Archive, path: str, status: int) -> None:
    """With a status of its own and an OperationOutcome, never a fault."""
    with archive.http() as http:
        url = str(http.base_url).rstrip("/") + archive.path("CT0") + path.replace("..", "%2e%2e")
        answer = http.get(url)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_pictures(archive: Archive) -> None:
    """JPEG and PNG, windowed and fitted as asked; what is seen are the values."""
    values = pixel_array(archive.images["CT0"]).astype(float)
    slope = float(archive.images["CT0"].RescaleSlope)
    hounsfield = values * slope + float(archive.images["CT0"].RescaleIntercept)
    with archive.http() as http:
        png = http.get(archive.path("CT0") + "/rendered?window=40,400,LINEAR", headers={"Accept": "image/png"})
        shown = np.asarray(Image.open(io.BytesIO(png.content)))
        expected = ((hounsfield - 39.5) / 399 + 0.5).clip(0, 1) * 255
        assert np.abs(shown.astype(float) - expected).max() <= 1
        own = http.get(archive.path("window") + "/rendered", headers={"Accept": "image/png"})
        shown = np.asarray(Image.open(io.BytesIO(own.content))).astype(float)
        low = pixel_array(archive.images["window"]).astype(float)
        assert np.abs(shown - ((low - 1999.5) / 3999 + 0.5).clip(0, 1) * 255).max() <= 1
        assert shown.max() < 255
        jpeg = http.get(archive.path("CT0") + "/rendered")
        assert jpeg.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(jpeg.content)).size == (128, 128)
        fitted = http.get(archive.path("MR") + "/frames/1/rendered?viewport=100,200&annotation=patient,technique")
        assert Image.open(io.BytesIO(fitted.content)).size == (100, 100)
        for region, size in (("0,0,8,4", (8, 4)), (",,-64,64", (8, 8)), ("120.5,8", (1, 8)), ("1,1,64,-128", (4, 8))):
            cut = http.get(archive.path("CT0") + f"/rendered?viewport=8,8,{region}")
            assert Image.open(io.BytesIO(cut.content)).size == size, region
        for function in ("linear-exact", "sigmoid"):
            assert http.get(archive.path("CT0") + f"/rendered?window=40,0.5,{function}").status_code == 200
        colour = http.get(archive.path("colour") + "/rendered", headers={"Accept": "image/png"})
        assert (np.asarray(Image.open(io.BytesIO(colour.content))) == pixel_array(archive.images["colour"])).all()
        for path in ("", "/series/" + archive.images["CT0"].SeriesInstanceUID):
            small = http.get(f"/studies/{archive.images['CT0'].StudyInstanceUID}{path}/thumbnail")
            assert max(Image.open(io.BytesIO(small.content)).size) == 256
            several = parts(
                http.get(f"/studies/{archive.images['CT0'].StudyInstanceUID}{path}/rendered?viewport=64,64")
            )
            assert len(several) == (5 if path else 6)
            assert {(kind, Image.open(io.BytesIO(content)).size) for kind, content in several} == {
                ("image/jpeg", (64, 64))
            }
        for name in FRAMES:
            assert http.get(archive.path(name) + "/frames/4/rendered").status_code == 200
        assert http.get(archive.path("CT0") + "/rendered", headers={"Accept": "video/mp4"}).status_code == 406


def test_the_form_of_an_answer_as_a_parameter(archive: Archive) -> None:
    """An object, its frame and its pixels alone, without a header field (PS3.18 8.3.3.1)."""
    path = archive.path("CT0")
    with archive.http() as http:
        alone = http.get(f"{path}?accept=application/dicom")
        assert alone.headers["content-type"].partition(";")[0] == "application/dicom"
        for what in ("/frames/1", "/bulkdata/7FE00010"):
            octets = http.get(f"{path}{what}?accept=application/octet-stream", headers={"Accept": "image/gif"})
            assert octets.content == archive.images["CT0"].PixelData
        assert http.get(f"{path}/metadata?accept=text/html").status_code == 406
        assert http.get(f"{path}/metadata?charset=iso-8859-9").status_code == 400


def test_a_study_of_which_the_middle_is_no_image(archive: Archive) -> None:
    """Its picture is that of the nearest image; a study without any has none."""
    image = fresh()
    identity = (str(image.PatientID), str(image.PatientName))
    mixed, reports = image.StudyInstanceUID, generate_uid()
    series = generate_uid()
    objects = [image, *(example("reportsi.dcm", mixed, series, *identity) for _ in range(3))]
    objects.append(example("reportsi.dcm", reports, generate_uid(), *identity))
    with archive.http() as http:
        for one in objects:
            answer = http.post("/studies", content=file(one), headers={"Content-Type": "application/dicom"})
            assert answer.status_code == 200, answer.text
        for one in objects:
            seen(http, one)
        picture = http.get(f"/studies/{mixed}/thumbnail")
        assert picture.status_code == 200, picture.text
        assert max(Image.open(io.BytesIO(picture.content)).size) == 256
        assert http.get(f"/studies/{reports}/thumbnail").status_code == 404
        assert http.get(f"/studies/{mixed}/series/{series}/thumbnail").status_code == 404


def test_a_range_of_bulk_data(archive: Archive) -> None:
    """One range of bytes of a value; what is none, or several, gets the whole; one beyond the end is 416."""
    pixels = archive.images["CT0"].PixelData
    path, length = archive.path("CT0") + "/bulkdata/7FE00010", len(pixels)
    with archive.http() as http:

        def got(asked: str, **more: str) -> httpx.Response:
            return http.get(path, headers={"Accept": "application/octet-stream", "Range": asked, **more})

        for asked, start, end in (("bytes=10-19", 10, 20), (f"bytes={length - 5}-{length + 9}", length - 5, length),
                                  ("bytes=32000-", 32000, length), ("bytes=-7", length - 7, length)):  # fmt: skip
            answer = got(asked)
            assert (answer.status_code, answer.content) == (206, pixels[start:end]), asked
            assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{length}"
        for whole in (
            got("bytes=1-2,5-6"),
            got("bytes=9-2"),
            got("lines=1-2"),
            got("bytes=1-2", **{"If-Range": '"x"'}),
        ):
            assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, pixels, "bytes")
        for beyond in (f"bytes={length}-", "bytes=-0"):
            answer = got(beyond)
            assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{length}")


def test_only_those_entitled(archive: Archive) -> None:
    """A stranger's study is answered like none at all, at every address; nobody is 401."""
    paths = ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"]
    with archive.http("patient") as http, archive.http("staff") as staff:
        for path in paths:
            assert http.get(archive.path("CT0") + path).status_code == 404
            assert staff.get(archive.path("CT0") + path).status_code == 403
            assert httpx.get(f"{http.base_url}{archive.path('CT0')[1:]}{path}", trust_env=False).status_code == 401
