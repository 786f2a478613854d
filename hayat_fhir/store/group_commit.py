"""Group commit for threads: what several hand over at the same time is made durable in one go.

Whoever hands something over begins a commit and can do something else meanwhile; what others hand over until it ends
goes along with the next one. No thread of its own stands between: whoever first needs a result waits for the
database, and for the others too.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Commits(Protocol[Item, Result]):
    """Commits groups, one after the other, each in two halves."""

    def begin(self, group: Sequence[Committing[Item, Result]], /) -> None:
        """Begin to commit this group, which stays as it is until ``end``. Raises nothing: ``end`` does."""

    def end(self) -> Sequence[Result]:
        """Once the group that was begun is durable, its results, one for each item in their order."""


class Committing(Generic[Item, Result]):
    """One item that was handed over; whatever happens meanwhile, its result must be asked for."""

    __slots__ = ("_commits", "_error", "_outcome", "_woken", "is_asleep", "is_done", "item")

    def __init__(self, commits: GroupCommit[Item, Result], item: Item) -> None:
        self.item = item
        self.is_done = self.is_asleep = False
        self._commits = commits
        self._outcome: Sequence[Result] = ()
        self._error: BaseException | None = None
        self._woken = threading.Lock()
        self._woken.acquire()

    def result(self) -> Result:
        """Its result, once it has been committed.

        Raises:
            Exception: What was raised for the group that the item was in.
        """
        if not self.is_done:
            self._commits.wait_for(self)
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def end(self, outcome: Sequence[Result], error: BaseException | None) -> None:
        """It has been committed, or its group failed."""
        self._outcome, self._error, self.is_done = outcome, error, True

    def sleep(self) -> None:
        """Return once ``wake`` is called."""
        self._woken.acquire()

    def wake(self) -> None:
        """Wake its thread, where it sleeps."""
        if self.is_asleep:
            self.is_asleep = False
            self._woken.release()


class GroupCommit(Generic[Item, Result]):
    """Commits one group at a time."""

    def __init__(self, commits: Commits[Item, Result]) -> None:
        self._commits = commits
        self._lock = threading.Lock()
        self._queue: list[Committing[Item, Result]] = []
        self._begun: list[Committing[Item, Result]] = []
        self._is_attended = False
        """Whether a thread waits for the group that has begun."""

    def submit(self, item: Item) -> Committing[Item, Result]:
        """Hand over one item."""
        mine = Committing(self, item)
        with self._lock:
            self._queue.append(mine)
            if not self._begun:
                self._begin()
        return mine

    def wait_for(self, mine: Committing[Item, Result]) -> None:
        """Return once this item is done; wait for the database where nobody else does."""
        while True:
            with self._lock:
                if mine.is_done:
                    return
                is_mine, self._is_attended = not self._is_attended, True
                mine.is_asleep = not is_mine
            if is_mine:
                self._end(mine)
            else:
                mine.sleep()

    def _begin(self) -> None:
        self._begun, self._queue = self._queue, self._begun
        if self._begun:
            self._commits.begin(self._begun)

    def _end(self, mine: Committing[Item, Result]) -> None:
        """Wait for the group that has begun; begin the next one, and let somebody wait for that."""
        outcomes: list[Sequence[Result]] = []
        error: BaseException | None = None
        try:
            outcomes = [(result,) for _, result in zip(self._begun, self._commits.end(), strict=True)]
        except BaseException as raised:  # noqa: BLE001 - raised again in every member's thread
            error = raised
        with self._lock:
            for at, member in enumerate(self._begun):
                member.end(() if error else outcomes[at], error)
                member.wake()
            self._begun.clear()
            self._is_attended = False
            self._begin()
            if mine.is_done:
                for member in self._begun:
                    if member.is_asleep:
                        member.wake()
                        break
