"""What a transform of a mapping is given, and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

Values = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Context:
    """What a mapping needs beside the source. ``zone``: where times without an offset were taken."""

    zone: tzinfo | None = None
    codes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)


Transform = Callable[[Values, Context], Any]
