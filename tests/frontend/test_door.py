"""The door of the web app: what it serves, with which headers, and how much a browser loads first."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import httpx
import pytest

from hayat_fhir.frontend.door import BUILT, WORKER_POLICY, Door

LARGEST_SHELL = 250_000
"""Bytes, compressed, that a browser loads before it shows the sign-in."""


@pytest.fixture
def app() -> httpx.AsyncClient:
    """The door with the real build."""
    return _client(Door())


def _client(door: Door) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=door)
    return httpx.AsyncClient(transport=transport, base_url="http://hayat.example")


async def test_every_address_of_the_app_is_the_page(app: httpx.AsyncClient) -> None:
    """The page has a strict policy with a nonce of its own each time, and is not kept by anybody."""
    nonces = set()
    for path in ("/", "/app", "/app/sign-in", "/app/patients/1?tab=problems", "/app/"):
        answer = await app.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "'unsafe-eval'" not in policy
        assert "//" not in policy
        [nonce] = re.findall(r"'nonce-([^']+)'", policy)
        assert f'nonce="{nonce}"' in answer.text
        assert "__NONCE__" not in answer.text
        nonces.add(nonce)
    assert len(nonces) == 5


async def test_the_page_names_no_other_host_and_runs_nothing_inline(app: httpx.AsyncClient) -> None:
    """Scripts and styles are files of this site."""
    page = (await app.get("/")).text
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert "<style" not in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/assets/")
        assert (await app.get(address)).status_code == 200


async def test_files_never_change_and_come_compressed(app: httpx.AsyncClient) -> None:
    """A hashed file may be kept for ever; gzip for whoever takes it, the plain file for others."""
    [script] = re.findall(r'<script[^>]* src="([^"]+)"', (await app.get("/")).text)
    plain = await app.get(script, headers={"accept-encoding": "identity"})
    packed = await app.get(script, headers={"accept-encoding": "br, gzip"})
    assert plain.content == packed.content
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    for answer in (plain, packed):
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "accept-encoding"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["content-security-policy"] == WORKER_POLICY


@pytest.mark.parametrize(
    "path",
    [
        "/assets/",
        "/assets/missing.js",
        "/assets/../index.html",
        "/assets/%2e%2e/sources.sha256",
        "/assets/..%2f..%2fdoor.py",
    ],
)
async def test_nothing_else_is_served(app: httpx.AsyncClient, path: str) -> None:
    """What is not a file of the build is not found, wherever it lies."""
    answer = await app.get(path)
    assert answer.status_code == 404


async def test_the_page_is_only_read(app: httpx.AsyncClient) -> None:
    """Other methods are refused."""
    answer = await app.post("/app")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


async def test_without_a_build_the_door_says_so(tmp_path: Path) -> None:
    """The site runs, and tells what to do."""
    answer = await _client(Door(tmp_path)).get("/")
    assert answer.status_code == 503
    assert "make app" in answer.text


def test_the_shell_is_small() -> None:
    """What the sign-in needs stays within its budget; the viewer and the charts are not in it."""
    manifest = json.loads((BUILT / ".vite" / "manifest.json").read_text())
    [entry] = [name for name, chunk in manifest.items() if chunk.get("isEntry")]
    files: set[str] = set()
    waiting = [entry]
    while waiting:
        chunk = manifest[waiting.pop()]
        if chunk["file"] not in files:
            files |= {chunk["file"], *chunk.get("css", ())}
            waiting += chunk.get("imports", ())
    sizes = {name: len(gzip.compress((BUILT / name).read_bytes())) for name in files}
    assert sum(sizes.values()) < LARGEST_SHELL, sizes
    assert not any("panes" in name or "Chart" in name for name in files)


def test_no_other_host_is_named_by_the_app() -> None:
    """Neither the defaults of the call library nor a font or map service is left in what we wrote."""
    sources = Path(__file__).parents[2] / "hayat_fhir" / "frontend" / "src"
    for path in sources.rglob("*"):
        if path.suffix in {".ts", ".tsx", ".css"}:
            found = re.findall(r"https?://[\w.-]+", path.read_text())
            assert all(one.split("//")[1].endswith(("hl7.org", "loinc.org")) for one in found), path
