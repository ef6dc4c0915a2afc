"""Measuring fairly: each side in a process of its own, turn about, medians with their spread."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import version
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["MIB", "apart", "clocked", "machine", "report", "spread", "versus"]

MIB = 1024 * 1024
T = TypeVar("T")
_LIBRARIES = ("plimsoll", "polars", "pyarrow", "numpy", "duckdb")


def spread(values: Sequence[float], digits: int = 4) -> dict[str, float]:
    """Return the median of repeated measurements, the least and the greatest."""
    figures = {"median": median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()}


def versus(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Return how many times the rival's time ours is, each repeat against its neighbor."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)], digits=3)


def clocked(work: Callable[..., T], *arguments: object) -> tuple[float, T]:
    """Return the seconds some work takes, and what it returns."""
    start = perf_counter()
    result = work(*arguments)
    return perf_counter() - start, result


def report(seconds: float) -> None:
    """Print what `apart` reads: the time taken, and the most memory this process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak}))


def apart(module: str, *arguments: object) -> dict[str, float]:
    """Run a module in a process of its own and return what it reports.

    The kernel lets a process inherit its parent's peak, so the parent must stay small.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def machine() -> dict[str, object]:
    """Return what the figures depend on; the load tells how busy the machine was besides."""
    return {
        "cpus": os.cpu_count(),
        "load_1_5_15_min": [round(load, 2) for load in os.getloadavg()],
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
    }
