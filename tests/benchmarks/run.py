"""What every benchmark is given: a scratch folder, a progress display and how long to measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress, TaskID


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the benchmarks.

    ``scratch`` is removed at the end; ``seconds`` is the length of a load round; ``small`` and ``large`` are the
    numbers of Observations that searches are compared on.
    """

    scratch: Path
    progress: Progress
    synthea: Path
    rounds: int = 3
    seconds: float = 5.0
    small: int = 10_000
    large: int = 1_000_000

    def folder(self, name: str) -> Path:
        """A fresh folder in the scratch folder."""
        path = self.scratch / name
        path.mkdir(parents=True)
        return path

    @contextmanager
    def step(self, what: str, total: float | None = None) -> Iterator[TaskID]:
        """Show a step for as long as it lasts; advance it with ``progress.advance``."""
        task = self.progress.add_task(what, total=total)
        try:
            yield task
        finally:
            self.progress.remove_task(task)

    def alternating(self, what: str, sides: Sequence[str]) -> Iterator[tuple[int, str]]:
        """Each round's number and side: every round runs all sides, in turn in either order."""
        with self.step(what, self.rounds * len(sides)) as task:
            for number in range(self.rounds):
                for side in sides if number % 2 == 0 else reversed(sides):
                    self.progress.update(task, description=f"{what}: {side}")
                    yield number, side
                    self.progress.advance(task)
