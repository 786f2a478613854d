"""The web app, as it was built: hashed files that never change, and one page for every address of the app.

The page may run its own scripts and talk to its own site, and nothing else: https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

BUILT = Path(__file__).parent / "dist"
"""Where the build is."""
SEGMENTS = ("", "app", "assets")
"""The first path segments that belong to this door."""
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
"""A worker has the policy of the script that it runs: the decoders load their parts, and ask this site alone."""
_SCRIPT = "text/javascript"
_NONCE = "__NONCE__"
_IMMUTABLE = "public, max-age=31536000, immutable"
_METHODS = frozenset({"GET", "HEAD"})
_SURROUNDINGS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}
_NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Hayat</title>
<h1>The web app is not built</h1>
<p>Run <code>make app</code> in the checkout and start the server again. The other doors of this site are open.</p>
</html>"""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    media: str
    compressed: Path | None


class Door:
    """Serves the build in ``folder``; where there is none, says so."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._files = _files(folder)
        page = folder / "index.html"
        self._page = page.read_text(encoding="utf-8") if page.is_file() else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = self._answer(Request(scope))
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        if request.method not in _METHODS:
            return PlainTextResponse("method not allowed", 405, {"allow": "GET, HEAD"})
        path = request.url.path
        if path == "/" or path == "/app" or path.startswith("/app/"):
            return self._document()
        found = self._files.get(path)
        if found is None:
            return PlainTextResponse("not found", 404)
        headers = {"cache-control": _IMMUTABLE, "vary": "accept-encoding", **_SURROUNDINGS}
        if found.media == _SCRIPT:
            headers["content-security-policy"] = WORKER_POLICY
        if found.compressed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
            return FileResponse(
                found.compressed, media_type=found.media, headers={**headers, "content-encoding": "gzip"}
            )
        return FileResponse(found.path, media_type=found.media, headers=headers)

    def _document(self) -> Response:
        if self._page is None:
            return HTMLResponse(_NOT_BUILT, 503)
        nonce = token_urlsafe(16)
        headers = {"content-security-policy": policy(nonce), "cache-control": "no-store", **_SURROUNDINGS}
        return HTMLResponse(self._page.replace(_NONCE, nonce), headers=headers)


def policy(nonce: str) -> str:
    """The page's Content-Security-Policy; ``nonce`` lets in the few styles that the component library writes.

    ``wasm-unsafe-eval`` is for the decoders of compressed images; nothing may be evaluated as a script.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            "connect-src 'self' blob:",
            "media-src 'self' blob:",
            "worker-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _files(folder: Path) -> dict[str, _File]:
    """Every file below ``assets``, by the path it is asked for: what is not in this table is not served."""
    found: dict[str, _File] = {}
    for path in sorted((folder / "assets").rglob("*")):
        if path.is_file() and path.suffix != ".gz":
            media = _SCRIPT if path.suffix in {".js", ".mjs"} else mimetypes.guess_type(path.name)[0]
            compressed = path.with_name(f"{path.name}.gz")
            name = f"/{path.relative_to(folder).as_posix()}"
            found[name] = _File(path, media or "application/octet-stream", compressed if compressed.is_file() else None)
    return found


def _takes_gzip(accepted: str) -> bool:
    codings = [part.replace(" ", "").lower() for part in accepted.split(",")]
    return any(coding == "gzip" or (coding.startswith("gzip;") and coding != "gzip;q=0") for coding in codings)
