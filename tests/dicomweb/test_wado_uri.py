"""WADO-URI: one image by query parameters."""

from __future__ import annotations

import io

import pytest
from PIL import Image
from pydicom import dcmread

from .conftest import Archive


def asked(archive: Archive, name: str, **more: str) -> dict[str, str]:
    """The parameters that name an image."""
    one = archive.images[name]
    uids = {"studyUID": one.StudyInstanceUID, "seriesUID": one.SeriesInstanceUID, "objectUID": one.SOPInstanceUID}
    return {"requestType": "WADO", **uids, **more}


def test_as_it_came_and_as_a_picture(archive: Archive) -> None:
    """The file; JPEG by default; a frame, a window and a size."""
    with archive.http() as http:
        whole = http.get("/wado", params=asked(archive, "CT0", contentType="application/dicom"))
        assert whole.headers["content-type"].startswith("application/dicom")
        assert dcmread(io.BytesIO(whole.content)).PixelData == archive.images["CT0"].PixelData
        jpeg = http.get("/wado", params=asked(archive, "CT0"))
        assert Image.open(io.BytesIO(jpeg.content)).format == "JPEG"
        more = {"frameNumber": "3", "windowCenter": "500", "windowWidth": "900", "columns": "32"}
        png = http.get("/wado", params=asked(archive, "jls", contentType="image/png", **more))
        assert Image.open(io.BytesIO(png.content)).size == (32, 32)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"requestType": "other"}, 400),
        ({"objectUID": ""}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"windowCenter": "1"}, 400),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "9"}, 404),
        ({"anonymize": "yes"}, 400),
        ({"anonymize": "yes", "contentType": "application/dicom"}, 400),
        ({"Anonymize": "yes", "contentType": "application/dicom"}, 400),
        ({"region": "0.25,0.25,0.75,0.75"}, 400),
        ({"presentationUID": "1.2.3", "presentationSeriesUID": "1.2.4"}, 400),
        ({"contentType": "video/mp4"}, 406),
        ({"contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.4.50"}, 406),
    ],
)
def test_what_is_wrong_is_said(archive: Archive, more: dict[str, str], status: int) -> None:
    """With a status of its own."""
    with archive.http() as http:
        assert http.get("/wado", params={**asked(archive, "CT0"), **more}).status_code == status


def test_only_those_entitled(archive: Archive) -> None:
    """A stranger's image is not there."""
    with archive.http("patient") as http:
        assert http.get("/wado", params=asked(archive, "CT0")).status_code == 404
