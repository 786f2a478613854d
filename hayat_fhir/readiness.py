"""Asks ``/health/ready`` until a site is ready."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator

_PAUSE = 0.1
_TIMEOUT = 5.0


def watch_readiness(host: str, port: int, stopping: threading.Event) -> Iterator[str]:
    """The components of the site in the order in which they come up: ``api`` first, then what it names.

    Ends when all are up, or ``stopping`` is set.
    """
    known: set[str] = set()
    while not stopping.is_set():
        ready, up = _state(host, port)
        yield from sorted(up - known, key=lambda name: (name != "api", name))
        known |= up
        if ready:
            return
        stopping.wait(_PAUSE)


def _state(host: str, port: int) -> tuple[bool, set[str]]:
    """Whether all is up, and what is."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        components = json.loads(response.read()).get("components", {})
    except (OSError, ValueError, http.client.HTTPException):
        return False, set()
    finally:
        connection.close()
    return response.status == http.client.OK, {"api"} | {name for name, state in components.items() if state == "up"}
