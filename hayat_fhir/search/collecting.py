"""The entries of one resource while they are being collected."""

from __future__ import annotations

from hayat_fhir.search.entries import IndexEntries, Range, key, within

_LONGEST_ORDER = 64
Orderable = str | int | float


class Collector:
    """Takes entries from the parameter types; ``patients`` are the references the resource is about."""

    __slots__ = ("_keys", "_order", "_patients", "_ranges", "_strings")

    def __init__(self, patients: tuple[str, ...]) -> None:
        self._patients = patients
        self._keys: dict[int, None] = {}
        self._strings: dict[str, None] = {}
        self._ranges: list[Range] = []
        self._order: dict[str, tuple[Orderable, Orderable]] = {}

    def order_only(self) -> Collector:
        """A collector of which this one takes the values to sort by, and nothing else."""
        other = Collector(())
        other._order = self._order
        return other

    def equal(self, code: str, value: str, *, about: bool = False) -> None:
        """An equality key; with ``about`` once more under each patient the resource is about."""
        plain = key(code, value)
        self._keys[plain] = None
        if about:
            for patient in self._patients:
                self._keys[within(patient, plain)] = None

    def text(self, code: str, normalised: str) -> None:
        """A string entry."""
        self._strings[f"{code}|{normalised}"] = None

    def interval(self, code: str, low: float, high: float) -> None:
        """A range entry."""
        self._ranges.append(Range(code, low, high))

    def order(self, code: str, value: Orderable) -> None:
        """A value to sort by."""
        if isinstance(value, str):
            value = value[:_LONGEST_ORDER]
        known = self._order.get(code)
        if known is None:
            self._order[code] = (value, value)
        elif value < known[0]:  # type: ignore[operator]
            self._order[code] = (value, known[1])
        elif value > known[1]:  # type: ignore[operator]
            self._order[code] = (known[0], value)

    def entries(self, principal: str | None) -> IndexEntries:
        """What was collected; ``principal`` is the code of the type's principal date."""
        date = self._order.get(principal) if principal is not None else None
        return IndexEntries(
            tuple(self._keys),
            tuple(self._strings),
            tuple(self._ranges),
            int(date[0]) if date is not None else None,
            {code: low if low == high else [low, high] for code, (low, high) in self._order.items()},
        )
