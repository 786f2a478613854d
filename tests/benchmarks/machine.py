"""The machine that the figures belong to."""

from __future__ import annotations

import platform
from pathlib import Path

import psutil


def description() -> dict[str, str | int | float]:
    """Processor, cores, memory and versions."""
    return {
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(logical=True) or 0,
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
