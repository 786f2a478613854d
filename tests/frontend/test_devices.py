"""Camera and microphone are tried before a call: sent to the site, measured there, and shown as they come back."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .conftest import CHROMIUM, FLAGS, Hospital, Open, Visits


def _checked(page: Page) -> None:
    page.get_by_role("button", name="Start the check").click()
    expect(page.get_by_role("button", name="Check again")).to_be_visible(timeout=25_000)


def test_good_devices_are_seen_and_heard(open_page: Open, hospital: Hospital) -> None:
    """The picture that comes back moves, the meter has moved, and both verdicts are good."""
    page = open_page("/app/doctors", hospital.patient, permissions=["camera", "microphone"])
    page.get_by_role("link", name="Check camera and microphone").click()
    page.get_by_role("button", name="Start the check").click()
    expect(page.get_by_role("meter")).not_to_have_attribute("aria-valuenow", "0")
    expect(page.get_by_text("You can be heard.")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("You can be seen.")).to_be_visible()
    assert page.evaluate("document.querySelector('video').currentTime") > 1


def test_a_dead_microphone_is_reported(chromium: Browser, hospital: Hospital, tmp_path: Path) -> None:
    """A microphone that gives nothing but silence is told from the camera, which is good."""
    silence = tmp_path / "silence.wav"
    with wave.open(str(silence), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 48_000))
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={silence}"]
    kind = chromium.browser_type
    with kind.launch(executable_path=CHROMIUM, args=flags) as browser:
        page = Visits(browser, hospital).open("/app/devices", hospital.doctor, permissions=["camera", "microphone"])
        _checked(page)
        expect(page.get_by_text("Nothing can be heard.")).to_be_visible()
        expect(page.get_by_text("You can be seen.")).to_be_visible()


@pytest.mark.parametrize(("has", "heard"), [(["microphone"], "You can be heard."), (["camera"], "You can be seen.")])
def test_a_device_that_is_not_there(open_page: Open, hospital: Hospital, has: list[str], heard: str) -> None:
    """The other one is checked all the same."""
    page = open_page("/app/devices", hospital.patient, permissions=["camera", "microphone"])
    lacking = "video" if has == ["microphone"] else "audio"
    page.evaluate(
        """lacking => {
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = (wanted) => {
                if (wanted[lacking]) return Promise.reject(new DOMException("", "NotFoundError"));
                return real(wanted);
            };
        }""",
        lacking,
    )
    _checked(page)
    expect(page.get_by_text(heard)).to_be_visible()
    expect(page.get_by_text("There is no microphone" if lacking == "audio" else "There is no picture")).to_be_visible()


def test_devices_that_may_not_be_used(open_page: Open, hospital: Hospital) -> None:
    """Where the browser refuses both, the page says what to do, and asks nothing of the server."""
    page = open_page("/app/devices", hospital.patient)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')) }"
    )
    _checked(page)
    expect(page.get_by_text("There is no microphone")).to_be_visible()
    expect(page.get_by_text("There is no picture")).to_be_visible()
