"""Threads of associations that wait for the event loop of their process."""

from __future__ import annotations

import asyncio

import pytest

from hayat_fhir.dimse.event_loop import EventLoop
from hayat_fhir.errors import Unavailable


async def _one() -> int:
    await asyncio.sleep(0)
    return 1


async def test_a_thread_waits_for_what_the_loop_does() -> None:
    """The result comes back to the thread; what takes too long is given up."""
    loop = EventLoop(asyncio.get_running_loop())
    assert await asyncio.to_thread(loop.wait, _one()) == 1
    with pytest.raises(Unavailable, match="not done in time"):
        await asyncio.to_thread(loop.wait, asyncio.sleep(60), 0.05)


def test_a_loop_that_has_ended_is_told_of() -> None:
    """An association that outlives its process's event loop gets a refusal, and leaves no coroutine behind."""
    ended = asyncio.new_event_loop()
    ended.close()
    with pytest.raises(Unavailable, match="has ended"):
        EventLoop(ended).wait(_one())
