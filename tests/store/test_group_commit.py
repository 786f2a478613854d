"""What several threads commit at the same time is committed together, and each hears of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from hayat_fhir.store import group_commit
from hayat_fhir.store.group_commit import GroupCommit


def test_each_gets_its_own_result() -> None:
    """Results belong to items, however they were grouped."""
    committing: GroupCommit[int, int] = GroupCommit(lambda items: [item * 2 for item in items], most=4)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda number: committing.submit(number).result(), range(500))) == [
            number * 2 for number in range(500)
        ]


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
    first = committing.submit(0)
    entered.wait(10)
    others = [committing.submit(number) for number in range(1, 9)]
    release.set()
    assert [first.result(), *(other.result() for other in others)] == list(range(9))
    assert groups == [1, 8]


def test_a_failure_is_everybodys_of_the_group_and_nobody_elses() -> None:
    """After a group that failed the next one is committed."""

    def commit(items: Sequence[int]) -> Sequence[int]:
        if -1 in items:
            raise ValueError("no")
        return items

    committing = GroupCommit(commit)
    with pytest.raises(ValueError, match="no"):
        committing.submit(-1).result()
    assert committing.submit(1).result() == 1


def test_an_idle_thread_ends_and_the_next_item_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who stores nothing keeps a thread, and nothing is left lying because one has ended."""
    monkeypatch.setattr(group_commit, "_IDLE", 0.01)
    committing: GroupCommit[int, int] = GroupCommit(lambda items: items)
    for number in range(20):
        assert committing.submit(number).result() == number
        time.sleep(0.02 * (number % 2))
    deadline = time.monotonic() + 10
    while committing._is_served and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not committing._is_served
