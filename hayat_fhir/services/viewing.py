"""Looking at a series: what a caller may see of it is decided and audited once, and again every two seconds.

A viewer asks for image after image of one series. PS3.15 A.5.3.7 has the instances of one study that are accessed
together in one event (https://dicom.nema.org/medical/dicom/current/output/html/part15.html#sect_A.5.3.7); the event is
durable before the first of them leaves. What ends an access (a withdrawn image, another label of the study) takes
effect within these two seconds, as the end of a token does.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from hayat_fhir.security.callers import Caller
from hayat_fhir.services.retrieval import Retrieval, Retrieved

_FRESH = 2.0
_Key = tuple[Caller, str, str]


@dataclass(frozen=True, slots=True)
class _Look:
    """One decision: when it was begun, and the images by UID that came of it."""

    at: float
    images: asyncio.Task[dict[str, Retrieved]]


class Viewing:
    """Finds single images for callers who look at one after the other. Belongs to one event loop."""

    def __init__(self, retrieval: Retrieval) -> None:
        self._retrieval = retrieval
        self._looks: OrderedDict[_Key, _Look] = OrderedDict()

    async def image(self, caller: Caller, study: str, series: str, instance: str) -> Retrieved:
        """One image.

        Raises:
            NotFound: No such image, or none that the caller may see.
            Forbidden: The caller may not see imaging studies at all.
        """
        self._forget()
        key = (caller, study, series)
        if (look := self._looks.get(key)) is None:
            look = _Look(time.monotonic(), asyncio.create_task(self._decided(caller, study, series)))
            look.images.add_done_callback(lambda task: self._settled(key, task))
            self._looks[key] = look
        found = (await asyncio.shield(look.images)).get(instance)
        return found or await self._retrieval.instance(caller, study, series, instance)

    async def _decided(self, caller: Caller, study: str, series: str) -> dict[str, Retrieved]:
        return {image.uid: image for image in await self._retrieval.images(caller, study, series)}

    def _settled(self, key: _Key, task: asyncio.Task[dict[str, Retrieved]]) -> None:
        """A refusal is not remembered: each is decided, and audited, for itself."""
        if task.cancelled() or task.exception() is not None:
            self._looks.pop(key, None)

    def _forget(self) -> None:
        oldest = time.monotonic() - _FRESH
        while self._looks and next(iter(self._looks.values())).at < oldest:
            self._looks.popitem(last=False)
