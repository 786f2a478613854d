"""What several threads commit at the same time is committed together, and each hears of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from hayat_fhir.store.group_commit import Committing, GroupCommit


class Doubling:
    """Doubles numbers, each group once ``ready`` is set; minus one cannot be doubled."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.ready = threading.Event()
        self.ready.set()
        self._group: Sequence[Committing[int, int]] = ()

    def begin(self, group: Sequence[Committing[int, int]], /) -> None:
        """Begin with a group; the one before must have ended."""
        assert not self._group
        self._group = group
        self.groups.append(len(group))

    def end(self) -> Sequence[int]:
        """Its numbers, doubled."""
        self.ready.wait(10)
        items = [member.item for member in self._group]
        self._group = ()
        if -1 in items:
            raise ValueError("no")
        return [item * 2 for item in items]


def test_each_gets_its_own_result() -> None:
    """Results belong to items, however they were grouped and whoever waited for them."""
    committing = GroupCommit(Doubling())

    def double(number: int) -> int:
        mine = committing.submit(number)
        time.sleep(0.001 * (number % 3))
        return mine.result()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(double, range(2000))) == [number * 2 for number in range(2000)]


def test_a_commit_begins_at_once_and_takes_along_what_gathers() -> None:
    """The first does not wait for company; who comes while it is being committed is committed together, after it."""
    commits = Doubling()
    commits.ready.clear()
    committing = GroupCommit(commits)
    first = committing.submit(0)
    others = [committing.submit(number) for number in range(1, 9)]
    assert commits.groups == [1]
    commits.ready.set()
    assert [first.result(), *(other.result() for other in others)] == [number * 2 for number in range(9)]
    assert commits.groups == [1, 8]


def test_who_is_busy_keeps_nobody_waiting() -> None:
    """Somebody else waits for the group of one that does not ask for its result yet."""
    committing = GroupCommit(Doubling())
    busy = committing.submit(1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda number: committing.submit(number).result(), range(50))) == list(range(0, 100, 2))
    assert busy.is_done
    assert busy.result() == 2


def test_a_failure_is_everybodys_of_the_group_and_nobody_elses() -> None:
    """After a group that failed the next one is committed."""
    commits = Doubling()
    commits.ready.clear()
    committing = GroupCommit(commits)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(lambda: committing.submit(1).result())
        while not commits.groups:
            time.sleep(0.001)
        failing = [committing.submit(number) for number in (2, -1)]
        waiting = [pool.submit(one.result) for one in failing]
        commits.ready.set()
        assert first.result(10) == 2
        for one in waiting:
            with pytest.raises(ValueError, match="no"):
                one.result(10)
    assert committing.submit(3).result() == 6
