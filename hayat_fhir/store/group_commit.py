"""Group commit for threads: what several hand over at the same time is made durable in one go.

Nobody waits for company: whoever finds nobody at work begins at once, and takes along what has gathered meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    turn: threading.Event = field(default_factory=threading.Event)
    results: list[Result] = field(default_factory=list)
    error: BaseException | None = None
    done: bool = False


class GroupCommit(Generic[Item, Result]):
    """Calls ``commit`` with up to ``most`` items; it returns one result for each, in their order."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]], most: int = 64) -> None:
        self._commit = commit
        self._most = most
        self._lock = threading.Lock()
        self._queue: list[_Waiting[Item, Result]] = []
        self._busy = False

    def submit(self, item: Item) -> Result:
        """Hand over one item; returns its result once it has been committed.

        Raises:
            Exception: What ``commit`` raised for the group that the item was in.
        """
        mine: _Waiting[Item, Result] = _Waiting(item)
        with self._lock:
            self._queue.append(mine)
            leads = not self._busy
            self._busy = True
        if not leads:
            mine.turn.wait()
        if not mine.done:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.results[0]

    def _lead(self) -> None:
        """Commit the group that has gathered, and wake its members and whoever leads the next one."""
        with self._lock:
            group, self._queue = self._queue[: self._most], self._queue[self._most :]
        try:
            for member, result in zip(group, self._commit([member.item for member in group]), strict=True):
                member.results.append(result)
        except BaseException as error:  # noqa: BLE001 - raised again in every member's thread
            for member in group:
                member.error = error
        finally:
            with self._lock:
                self._busy = bool(self._queue)
                following = self._queue[0] if self._queue else None
            for member in group:
                member.done = True
                member.turn.set()
            if following is not None:
                following.turn.set()
