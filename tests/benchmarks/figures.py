"""What a benchmark finds: paired rounds, their spread, and the verdict against a target."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any, Literal


class Skipped(Exception):
    """A benchmark cannot run here; the message says why."""


class BenchmarkFailed(Exception):
    """What is measured gave a wrong answer, so that its speed means nothing; the message says which."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure per round, in the order of the rounds."""

    rounds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The smallest round."""
        return min(self.rounds)

    @property
    def middle(self) -> float:
        """The median round."""
        return median(self.rounds)

    @property
    def most(self) -> float:
        """The largest round."""
        return max(self.rounds)

    def as_json(self) -> dict[str, Any]:
        """The rounds and their spread."""
        return {"min": self.least, "median": self.middle, "max": self.most, "rounds": list(self.rounds)}


@dataclass(frozen=True, slots=True)
class Target:
    """A limit on the median of the ratio, or of our own figure."""

    limit: float
    of: Literal["ratio", "ours"]
    at_least: bool

    def met(self, value: float) -> bool:
        """Whether ``value`` is on the right side of the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        name = "ratio " if self.of == "ratio" else ""
        return f"{name}{'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One measured thing: our rounds, the comparison's rounds of the same run, and the target if there is one.

    ``ours`` and ``comparison`` are paired: round n of the one ran next to round n of the other.
    """

    benchmark: str
    name: str
    unit: str
    ours: Spread
    against: str = ""
    comparison: Spread | None = None
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> Spread | None:
        """Ours divided by the comparison, round by round."""
        if self.comparison is None:
            return None
        pairs = zip(self.ours.rounds, self.comparison.rounds, strict=True)
        return Spread(tuple(ours / theirs for ours, theirs in pairs))

    @property
    def passed(self) -> bool | None:
        """Whether the median meets the target; None where there is no target."""
        if self.target is None:
            return None
        judged = self.ratio if self.target.of == "ratio" else self.ours
        return judged is not None and self.target.met(judged.middle)

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "benchmark": self.benchmark,
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours.as_json(),
            "against": self.against or None,
            "comparison": self.comparison.as_json() if self.comparison else None,
            "ratio": self.ratio.as_json() if self.ratio else None,
            "target": str(self.target) if self.target else None,
            "passed": self.passed,
            "note": self.note or None,
        }


def spread(values: list[float]) -> Spread:
    """The spread of these rounds."""
    return Spread(tuple(values))


def quantile(values: list[float], share: float) -> float:
    """The nearest-rank quantile; ``values`` need not be sorted and must not be empty."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
