"""Group commit for threads: what several hand over at the same time is made durable in one go.

A thread of its own commits, so that whoever hands something over can do something else meanwhile. It waits for no
company: it begins with what there is, and takes along what has gathered when it is done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from hayat_fhir.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
_IDLE = 30.0
"""Seconds without work after which the thread ends; the next item starts another."""


class Committing(Generic[Item, Result]):
    """One item that was handed over."""

    __slots__ = ("_done", "_error", "_results", "item")

    def __init__(self, item: Item) -> None:
        self.item = item
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def result(self) -> Result:
        """Its result, once it has been committed; ask once.

        Raises:
            Exception: What ``commit`` raised for the group that the item was in.
        """
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def end(self, results: Sequence[Result], error: BaseException | None) -> None:
        """It has been committed, or its group failed."""
        self._results.extend(results)
        self._error = error
        self._done.release()


class GroupCommit(Generic[Item, Result]):
    """Calls ``commit`` with up to ``most`` items; it returns one result for each, in their order."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]], most: int = 64) -> None:
        self._commit = commit
        self._most = most
        self._filled = threading.Condition(threading.Lock())
        self._queue: list[Committing[Item, Result]] = []
        self._is_served = False

    def submit(self, item: Item) -> Committing[Item, Result]:
        """Hand over one item.

        Raises:
            Unavailable: There are too many threads.
        """
        mine: Committing[Item, Result] = Committing(item)
        with self._filled:
            if not self._is_served:
                try:
                    threading.Thread(target=self._serve, name="group commit", daemon=True).start()
                except (RuntimeError, MemoryError) as error:
                    raise Unavailable("too many threads") from error
                self._is_served = True
            self._queue.append(mine)
            self._filled.notify()
        return mine

    def _serve(self) -> None:
        try:
            self._commit_all()
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Without memory for another group: nobody may wait for ever, and the next item gets a fresh thread."""
        with self._filled:
            left, self._queue = self._queue, []
            self._is_served = False
        for member in left:
            member.end((), Unavailable("not committed"))

    def _commit_all(self) -> None:
        while group := self._gathered():
            try:
                ended = list(zip(group, self._commit([member.item for member in group]), strict=True))
            except BaseException as error:  # noqa: BLE001 - raised again in every member's thread
                for member in group:
                    member.end((), error)
            else:
                for member, result in ended:
                    member.end((result,), None)

    def _gathered(self) -> list[Committing[Item, Result]]:
        """The next group; none after a long time without work."""
        with self._filled:
            self._filled.wait_for(lambda: self._queue, _IDLE)
            group, self._queue = self._queue[: self._most], self._queue[self._most :]
            self._is_served = bool(group)
            return group
