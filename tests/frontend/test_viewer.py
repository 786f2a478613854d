"""Images that were pushed over DICOM, as the viewer draws them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect
from pydicom import dcmread
from pydicom.data import get_testdata_file

from .conftest import Hospital, Open


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


def _expected(lower: float, upper: float, side: int) -> NDArray[Any]:
    """CT_small by numpy: modality LUT, window, then bilinear enlargement."""
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    grey = np.clip((values - lower) / (upper - lower), 0, 1) * 255
    return np.asarray(Image.fromarray(grey.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))


def test_the_picture_is_what_numpy_computes(open_page: Open, hospital: Hospital) -> None:
    """CT_small correlates to more than 0.99 with its pixels after modality LUT and window."""
    page = open_page(
        f"/app/studies/{hospital.studies['CT']}", hospital.patient, viewport={"width": 1280, "height": 900}
    )
    _shown(page)
    page.evaluate(
        "document.querySelectorAll('section[aria-label] > :not([role=application])').forEach(e => e.remove())"
    )
    drawn = _canvas(page)
    image = dcmread(str(get_testdata_file("CT_small.dcm")))
    values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    expected = _expected(float(values.min()), float(values.max()), drawn.shape[0])
    correlation = float(np.corrcoef(drawn.ravel(), expected.ravel())[0, 1])
    assert correlation > 0.99


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
    expect(page.locator("[data-state=shown]")).to_have_count(2, timeout=30_000)
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
