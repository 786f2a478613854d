"""What several threads commit at the same time is committed together, and each hears of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from hayat_fhir.store.group_commit import GroupCommit


def test_each_gets_its_own_result() -> None:
    """Results belong to items, however they were grouped."""
    committing: GroupCommit[int, int] = GroupCommit(lambda items: [item * 2 for item in items], most=4)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(committing.submit, range(500))) == [number * 2 for number in range(500)]


def test_those_who_wait_are_committed_together() -> None:
    """While one group is being committed the next one gathers."""
    groups: list[int] = []
    entered, release = threading.Event(), threading.Event()

    def commit(items: Sequence[int]) -> Sequence[int]:
        groups.append(len(items))
        entered.set()
        release.wait(10)
        return items

    committing = GroupCommit(commit)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(committing.submit, 0)
        entered.wait(10)
        others = [pool.submit(committing.submit, number) for number in range(1, 9)]
        while len(committing._queue) < 8:
            threading.Event().wait(0.001)
        release.set()
        assert [first.result(10), *(other.result(10) for other in others)] == list(range(9))
    assert groups == [1, 8]


def test_a_failure_is_everybodys_of_the_group_and_nobody_elses() -> None:
    """After a group that failed the next one is committed."""

    def commit(items: Sequence[int]) -> Sequence[int]:
        if -1 in items:
            raise ValueError("no")
        return items

    committing = GroupCommit(commit)
    with pytest.raises(ValueError, match="no"):
        committing.submit(-1)
    assert committing.submit(1) == 1
