"""The web app in Debian's Chromium: a long chart, the first slice, scrolling, and the bytes of the shell.

Every figure stands beside one of the same browser in the same run that no app could better: a bare page, a bare
fetch of the same bytes, or the same pictures put onto a canvas.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from hayat_fhir.demonstration_site import Site
from tests.benchmarks import chart
from tests.benchmarks.chart import Chart
from tests.benchmarks.figures import BenchmarkFailed, Finding, Skipped, Target, spread
from tests.benchmarks.run import Run
from tests.benchmarks.site import running
from tests.frontend.conftest import FLAGS

_SOON = Target(1500, "ours", at_least=False)
_DRAWN = Target(1000, "ours", at_least=False)
_FLUID = Target(30, "ours", at_least=True)
_LIGHT = Target(250, "ours", at_least=False)
_PATIENCE = 120_000
_SIZE = {"width": 1280, "height": 900}
_LEAST_ROUNDS = 5

_WATCH = """
window.bench = { busy: 0 };
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) bench.busy = Math.max(bench.busy, task.startTime + task.duration);
}).observe({ type: "longtask", buffered: true });
"""
"""In every page before its own scripts: when the last task of more than 50 ms ended."""

_INTERACTIVE = """
async ([place, quiet]) => {
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const clickable = () => {
    const found = document.querySelector(place);
    if (!found) return false;
    const box = found.getBoundingClientRect();
    return box.height > 0 && found.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
  };
  while (!clickable()) await frame();
  const seen = performance.now();
  while (performance.now() - Math.max(seen, bench.busy) < quiet) await frame();
  return Math.max(seen, bench.busy);
}
"""
"""Milliseconds from the start of the navigation until the place can be clicked and the main thread stays idle."""

_DRAWN_AT = """
async (from) => {
  while (!document.querySelector("[data-state=shown]")) await new Promise((done) => requestAnimationFrame(done));
  return performance.now() - from;
}
"""

_CLICK = """
async (path) => {
  const link = document.querySelector(`a[href="${path}"]`);
  const from = performance.now();
  link.click();
  return from;
}
"""

_FETCH = """
async ([url, token]) => {
  const from = performance.now();
  const headers = { authorization: `Bearer ${token}`, accept: "application/dicom; transfer-syntax=*" };
  const answer = await fetch(url, { headers, cache: "no-store" });
  if (!answer.ok) throw new Error(String(answer.status));
  await answer.arrayBuffer();
  return performance.now() - from;
}
"""

_SCROLL = """
async ([steps, key, patience]) => {
  const place = document.querySelector("[role=application]");
  const rendered = () => new Promise((done, fail) => {
    const bound = setTimeout(() => fail(new Error("no picture")), patience);
    place.addEventListener("CORNERSTONE_IMAGE_RENDERED", () => { clearTimeout(bound); done(); }, { once: true });
  });
  const settled = () => new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    port2.postMessage(0);
  });
  const from = performance.now();
  for (let step = 0; step < steps; step += 1) {
    const next = rendered();
    place.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    await next;
    await settled();
  }
  return steps / ((performance.now() - from) / 1000);
}
"""
"""Images a second, each asked for by a key once the one before is on the canvas."""

_BARE_SCROLL = """
async ([steps, side]) => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = side;
  document.body.append(canvas);
  const context = canvas.getContext("2d");
  const shades = Array.from({ length: 8 }, (_, shade) => new Uint8ClampedArray(side * side * 4).fill(16 * shade));
  const frames = shades.map((pixels) => new ImageData(pixels, side, side));
  const from = performance.now();
  for (let step = 0; step < steps; step += 1) {
    context.putImageData(frames[step % frames.length], 0, 0);
    await new Promise((done) => requestAnimationFrame(done));
  }
  const rate = steps / ((performance.now() - from) / 1000);
  canvas.remove();
  return rate;
}
"""

_POSITION = "() => document.querySelector('[aria-live=polite].tabular-nums')?.textContent ?? ''"


@dataclass(frozen=True, slots=True)
class _Visit:
    """Who looks at the site, with which browser."""

    browser: Browser
    site: Site
    session: dict[str, str]
    chart: Chart

    @contextmanager
    def context(self) -> Iterator[BrowserContext]:
        """A browser with an empty cache, signed in."""
        context = self.browser.new_context(base_url=self.site.url, locale="en-GB", viewport=_SIZE)
        context.set_default_timeout(_PATIENCE)
        stored = json.dumps(json.dumps(self.session))
        context.add_init_script(f"sessionStorage['hayat.session'] = {stored};{_WATCH}")
        try:
            yield context
        finally:
            context.close()

    @property
    def chart_path(self) -> str:
        """The page of the patient."""
        return f"/app/patients/{self.chart.patient}"


def measure(run: Run) -> Iterator[Finding]:
    """Open the chart and its images in fresh browsers and in used ones, and scroll through a series.

    Raises:
        Skipped: Chromium or DCMTK is not installed.
        BenchmarkFailed: A page did not show what it should.
    """
    chromium = shutil.which("chromium", path="/usr/bin:/usr/local/bin")
    if chromium is None:
        raise Skipped("chromium is not installed")
    with run.step("browser: starting"), running(run.folder("browser"), roles=("doctor", "staff")) as site:
        with site.client("doctor") as http:
            who = http.get(f"{site.url}/api/v1/auth/").raise_for_status().json()
        filled = chart.fill(run, site, who["id"])
        session = {"token": site.token("doctor"), "role": "doctor", "id": who["id"], "name": who["name"]}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            try:
                visit = _Visit(browser, site, session, filled)
                rounds = max(run.rounds, _LEAST_ROUNDS)
                yield from _charts(run, visit, rounds)
                yield from _slices(run, visit, rounds)
                yield _scrolling(run, visit, rounds)
                yield _shell(visit)
            finally:
                browser.close()


def _charts(run: Run, visit: _Visit, rounds: int) -> Iterator[Finding]:
    cold, warm, bare, requests = [], [], [], []
    with run.step("browser: chart", rounds) as task:
        for _ in range(rounds):
            with visit.context() as context:
                bare.append(_opened(context, "/health/live", "body"))
                page = context.new_page()
                asked: list[str] = []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                cold.append(_interactive(page, visit.chart_path))
                requests.append(sum("/fhir/" in url or "/api/" in url for url in asked))
                warm.append(_opened(context, visit.chart_path))
                _click_first(page)
            run.progress.advance(task)
    note = (
        f"{chart.REPORTS} reports, {chart.STUDIES} studies; {max(requests)} requests for data; entries can be clicked"
    )
    against, reference = "a bare page of the site", spread(bare)
    yield Finding("browser", "chart interactive, empty cache", "ms", spread(cold), against, reference, _SOON, note)
    yield Finding("browser", "chart interactive, used cache", "ms", spread(warm), against, reference, _SOON)


def _opened(context: BrowserContext, path: str, place: str = "main article a[href]") -> float:
    page = context.new_page()
    try:
        return _interactive(page, path, place)
    finally:
        page.close()


def _interactive(page: Page, path: str, place: str = "main article a[href]") -> float:
    page.goto(path, wait_until="commit")
    taken: float = page.evaluate(_INTERACTIVE, [place, 200])
    return taken


def _click_first(page: Page) -> None:
    page.locator("main article a[href^='/app/reports/']").first.click()
    expect(page.get_by_text("Dr. Layla Mansour").first).to_be_visible(timeout=_PATIENCE)


def _slices(run: Run, visit: _Visit, rounds: int) -> Iterator[Finding]:
    cold, warm, bare = [], [], []
    with run.step("browser: first slice", rounds) as task:
        for _ in range(rounds):
            with visit.context() as context:
                cold.append(_first_slice(context, visit))
                warm.append(_first_slice(context, visit))
                page = context.new_page()
                page.goto("/app/profile", wait_until="networkidle")
                bare.append(float(page.evaluate(_FETCH, [visit.chart.first_slice, visit.session["token"]])))
            run.progress.advance(task)
    note = f"from the click on the chart; a series of {chart.SLICES} slices of 0.5 MB"
    against, reference = "a bare fetch of the slice", spread(bare)
    yield Finding("browser", "first CT slice drawn, empty cache", "ms", spread(cold), against, reference, _DRAWN, note)
    yield Finding("browser", "first CT slice drawn, used cache", "ms", spread(warm), against, reference, _DRAWN)


def _first_slice(context: BrowserContext, visit: _Visit) -> float:
    page = context.new_page()
    try:
        _interactive(page, visit.chart_path)
        clicked = page.evaluate(_CLICK, f"/app/studies/{visit.chart.study}")
        taken: float = page.evaluate(_DRAWN_AT, clicked)
        return taken
    finally:
        page.close()


def _scrolling(run: Run, visit: _Visit, rounds: int) -> Finding:
    rates, bare, first = [], [], []
    steps = chart.SLICES - 1
    with run.step("browser: scrolling", rounds) as task, visit.context() as context:
        page = context.new_page()
        page.goto(f"/app/studies/{visit.chart.study}")
        expect(page.locator("[data-state=shown]")).to_be_visible(timeout=_PATIENCE)
        first.append(_scrolled(page, steps, "ArrowDown"))
        _scrolled(page, steps, "ArrowUp")
        for _ in range(rounds):
            rates.append(_scrolled(page, steps, "ArrowDown"))
            if f"{chart.SLICES}" not in str(page.evaluate(_POSITION)):
                raise BenchmarkFailed("the last slice was not reached")
            bare.append(float(page.evaluate(_BARE_SCROLL, [steps, 512])))
            _scrolled(page, steps, "ArrowUp")
            run.progress.advance(task)
    note = f"{chart.SLICES} slices of 512 x 512; {first[0]:.0f} a second at the first time"
    against = "pictures put onto a canvas"
    return Finding("browser", "scrolling from cache", "images/s", spread(rates), against, spread(bare), _FLUID, note)


def _scrolled(page: Page, steps: int, key: str) -> float:
    rate: float = page.evaluate(_SCROLL, [steps, key, _PATIENCE])
    return rate


def _shell(visit: _Visit) -> Finding:
    """The bytes of the first page of somebody who was never here, as they travel."""
    sizes: dict[str, float] = {}
    with visit.browser.new_context(base_url=visit.site.url, locale="en-GB", viewport=_SIZE) as context:
        page = context.new_page()
        page.on("response", lambda response: sizes.update({response.url: _travelled(response)}))
        page.goto("/", wait_until="networkidle")
        expect(page.get_by_role("button", name="Sign in").first).to_be_visible(timeout=_PATIENCE)
    fonts = sum(size for url, size in sizes.items() if url.endswith(".woff2"))
    total = sum(sizes.values())
    note = f"{len(sizes)} files, of them {fonts / 1000:.0f} kB fonts"
    return Finding("browser", "first load of the shell", "kB", spread([total / 1000]), target=_LIGHT, note=note)


def _travelled(response: Any) -> int:
    body: bytes = response.body()
    return len(gzip.compress(body)) if response.headers.get("content-encoding") == "gzip" else len(body)
