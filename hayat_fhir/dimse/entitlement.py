"""Whether images that are being sent may still be sent: a transfer takes long, and consent may end meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from hayat_fhir.dimse.event_loop import EventLoop

EVERY = 2.0
"""Seconds after which it is asked again."""
Ask = Callable[[], Coroutine[Any, Any, None]]
"""Returns while the images may be sent, and raises the Refusal that ends it."""


class Entitlement:
    """Asks between two images, in the thread that sends them; it was answered when this was made."""

    def __init__(self, loop: EventLoop, ask: Ask) -> None:
        self._loop = loop
        self._ask = ask
        self._asked = time.monotonic()

    def check(self) -> None:
        """Return if the next image may be sent.

        Raises:
            Refusal: It may not, or that is not known.
        """
        if time.monotonic() - self._asked >= EVERY:
            self._loop.wait(self._ask())
            self._asked = time.monotonic()
