"""Images that were pushed over DICOM, as the viewer draws them."""

from __future__ import annotations

import time
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from .conftest import Hospital, Open
from .images import image, push


def _shown(page: Page) -> None:
    expect(page.locator("[data-state=shown]").first).to_be_visible(timeout=30_000)


def _canvas(page: Page) -> NDArray[Any]:
    """What is drawn, in grey levels, without what stands over it."""
    box = page.locator("[role=application] canvas").first.bounding_box()
    assert box is not None
    side = min(box["width"], box["height"])
    clip = {"x": box["x"] + (box["width"] - side) / 2, "y": box["y"] + (box["height"] - side) / 2}
    picture = page.screenshot(clip={**clip, "width": side, "height": side})
    return np.asarray(Image.open(BytesIO(picture)).convert("L"), dtype=float)


def _expected(image: FileDataset, side: int) -> NDArray[Any]:
    """The image by numpy: modality LUT, window or else all values, a square of it, and bilinear enlargement."""
    values = np.asarray(image.pixel_array, dtype=float)
    if image.SamplesPerPixel == 3:
        values = np.asarray(Image.fromarray(values.astype(np.uint8)).convert("L"), dtype=float)
    else:
        values = values * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
    lower, upper = (0.0, 255.0) if image.SamplesPerPixel == 3 else (float(values.min()), float(values.max()))
    if "WindowCenter" in image:
        center, width = (float(np.atleast_1d(image[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        lower, upper = center - width / 2, center + width / 2
    grey = np.clip((values - lower) / (upper - lower), 0, 1) * 255
    longest = max(grey.shape)
    square = np.zeros((longest, longest), dtype=np.float32)
    top, left = (longest - grey.shape[0]) // 2, (longest - grey.shape[1]) // 2
    square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.BILINEAR))


def _correlation(page: Page, image: FileDataset) -> float:
    """How much of what is drawn, without what stands over it, is the image."""
    above = "section[aria-label] > :not([role=application])"
    page.evaluate(f"document.querySelectorAll('{above}').forEach(one => {{ one.style.visibility = 'hidden' }})")
    deadline = time.monotonic() + 30
    while np.ptp(drawn := _canvas(page)) == 0 and time.monotonic() < deadline:
        page.wait_for_timeout(100)  # drawn by the page, but not yet put before the screen
    return float(np.corrcoef(drawn.ravel(), _expected(image, drawn.shape[0]).ravel())[0, 1])


def test_the_picture_is_what_numpy_computes(open_page: Open, hospital: Hospital) -> None:
    """CT_small correlates to more than 0.99 with its pixels after modality LUT and window."""
    page = open_page(
        f"/app/studies/{hospital.studies['CT']}", hospital.patient, viewport={"width": 1280, "height": 900}
    )
    _shown(page)
    assert _correlation(page, dcmread(str(get_testdata_file("CT_small.dcm")))) > 0.99


@pytest.mark.parametrize(
    ("file", "syntax"),
    [
        ("CT_small.dcm", RLELossless),
        ("CT_small.dcm", JPEG2000Lossless),
        ("CT_small.dcm", JPEGLSLossless),
        ("SC_rgb_jpeg_gdcm.dcm", JPEGLosslessSV1),
        ("SC_rgb_jpeg_dcmtk.dcm", JPEGBaseline8Bit),
    ],
    ids=["RLE", "JPEG 2000", "JPEG-LS", "lossless JPEG", "baseline JPEG"],
)
def test_compressed_images_are_drawn(open_page: Open, hospital: Hospital, file: str, syntax: UID) -> None:
    """They are stored and sent as they came, and decoded in the browser to the same pixels."""
    picture = image(file, hospital.number)
    if picture.file_meta.TransferSyntaxUID != syntax:
        picture.compress(syntax, generate_instance_uid=False)
    assert push(hospital.dicom_port, [picture]) == [0]
    with hospital.http(hospital.doctor) as http:
        study = _filed(http, picture.StudyInstanceUID)
    page = open_page(f"/app/studies/{study}", hospital.doctor, viewport={"width": 1280, "height": 900})
    _shown(page)
    assert _correlation(page, picture) > 0.99


def _filed(http: httpx.Client, uid: str) -> str:
    """The id of the ImagingStudy, once the worker has projected it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = http.get("/fhir/ImagingStudy", params={"identifier": f"urn:dicom:uid|urn:oid:{uid}"}).json()
        if entries := found.get("entry"):
            return str(entries[0]["resource"]["id"])
        time.sleep(0.2)
    raise AssertionError("the study did not appear")


def test_dragging_changes_the_window(open_page: Open, hospital: Hospital) -> None:
    """Brightness and contrast follow the mouse, and are put back."""
    page = open_page(f"/app/studies/{hospital.studies['CT']}", hospital.doctor, viewport={"width": 1280, "height": 900})
    _shown(page)
    window = page.get_by_text("W ")
    expect(window).to_be_visible()
    before = window.inner_text()
    box = page.locator("[role=application]").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=6)
    page.mouse.up()
    expect(window).not_to_have_text(before)
    page.get_by_role("button", name="Reset").click()
    expect(window).to_have_text(before)


def test_two_studies_stand_side_by_side(open_page: Open, hospital: Hospital) -> None:
    """CT and MR of the patient are compared, each with its own overlay."""
    page = open_page(f"/app/studies/{hospital.studies['CT']}", hospital.doctor, viewport={"width": 1440, "height": 900})
    _shown(page)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("navigation", name="Series").get_by_role("button").filter(has_text="MR").first.click()
    expect(page.locator("[data-state=shown]")).to_have_count(2)
    expect(page.get_by_role("region", name="Left image")).to_contain_text("CT")
    expect(page.get_by_role("region", name="Right image")).to_contain_text("MR")


def test_a_stranger_sees_no_study(open_page: Open, hospital: Hospital) -> None:
    """The staff have no page for images, and no token opens the study of another."""
    page = open_page(f"/app/studies/{hospital.studies['CT']}", hospital.staff)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing here")
    with hospital.http(hospital.staff) as http:
        assert http.get(f"/fhir/ImagingStudy/{hospital.studies['CT']}").status_code in {403, 404}


@pytest.mark.parametrize("width", [390, 1280])
def test_the_viewer_fits(open_page: Open, hospital: Hospital, width: int) -> None:
    """Nothing of the page is wider than the window."""
    page = open_page(
        f"/app/studies/{hospital.studies['CT']}", hospital.doctor, viewport={"width": width, "height": 844}
    )
    _shown(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def _series(hospital: Hospital, count: int) -> str:
    """The id of a new study of one series of CT images."""
    first, *others = [image("CT_small.dcm", hospital.number) for _ in range(count)]
    first.InstanceNumber = 1
    for number, one in enumerate(others, 2):
        one.StudyInstanceUID, one.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
        one.InstanceNumber = number
    assert push(hospital.dicom_port, [first, *others]) == [0] * count
    with hospital.http(hospital.doctor) as http:
        return _filed(http, first.StudyInstanceUID)


def test_windows_zoom_and_measurements(open_page: Open, hospital: Hospital) -> None:
    """A window that CT is read with, magnification, and a length in millimetres; all of it is put back."""
    page = open_page(f"/app/studies/{hospital.studies['CT']}", hospital.doctor, viewport={"width": 1280, "height": 900})
    _shown(page)
    before = page.get_by_text("W ").inner_text()
    page.get_by_label("Preset").select_option("lung")
    expect(page.get_by_text("W 1500 · L -600")).to_be_visible()
    box = page.locator("[role=application]").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag(tool: str, off: float = 0) -> None:
        page.get_by_role("button", name=tool, exact=True).click()
        page.mouse.move(x + off, y + off)
        page.mouse.down()
        page.mouse.move(x + off + 60, y + off + 40, steps=6)
        page.mouse.up()

    drag("Measure")
    length = page.locator("[role=application] svg text").filter(has_text="mm")
    expect(length.first).to_be_attached()
    drag("Zoom", -150)
    expect(page.get_by_text("Zoom 100%")).to_have_count(0)
    page.get_by_role("button", name="Invert").click()
    page.get_by_role("button", name="Reset").click()
    expect(page.get_by_text("Zoom 100%")).to_be_visible()
    expect(page.get_by_text(before, exact=True)).to_be_visible()
    expect(length).to_have_count(0)


def test_two_studies_scroll_together(open_page: Open, hospital: Hospital) -> None:
    """Beside a study goes another one of the same modality; both go on together, until they are parted."""
    page = open_page(f"/app/studies/{_series(hospital, 4)}", hospital.doctor, viewport={"width": 1440, "height": 900})
    _series(hospital, 5)
    page.reload()
    _shown(page)
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("navigation", name="Series").get_by_role("button").filter(has_text="5 images").first.click()
    left, right = (page.get_by_role("region", name=name) for name in ("Left image", "Right image"))
    expect(page.locator("[data-state=shown]")).to_have_count(2)
    expect(right).to_contain_text("Image 1 of 5")
    left.get_by_role("application").focus()
    page.keyboard.press("ArrowDown")
    expect(left).to_contain_text("Image 2 of 4")
    expect(right).to_contain_text("Image 2 of 5")
    page.get_by_role("button", name="Scroll together").click()
    left.get_by_role("application").focus()
    page.keyboard.press("End")
    expect(left).to_contain_text("Image 4 of 4")
    expect(right).to_contain_text("Image 2 of 5")


def test_what_is_known_stands_over_the_image(open_page: Open, hospital: Hospital) -> None:
    """Patient, number, study, series, size and slice, as the header says; the list has a picture of each series."""
    page = open_page(f"/app/studies/{hospital.studies['CT']}", hospital.doctor, viewport={"width": 1280, "height": 900})
    _shown(page)
    region = page.get_by_role("region").filter(has=page.get_by_role("application"))
    for text in (
        "Huda Karim",
        hospital.number,
        "12 Apr 1986",
        "Female",
        "CT",
        "128 \u00d7 128",
        "Slice 5 mm",
        "Image 1 of 1",
    ):
        expect(region).to_contain_text(text)
    thumbnail = page.get_by_role("navigation", name="Series").locator("img").first
    expect(thumbnail).to_have_js_property("complete", True)
    assert thumbnail.evaluate("one => one.naturalWidth") > 0
