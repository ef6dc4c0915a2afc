"""How far a long answer has come, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from plimsoll.progress import Stage, heard

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["part", "underway", "words"]

_WORDS = {
    "reading": "reading market",
    "moving": "moving positions, market",
    "comparing": "comparing market",
    "fitting": "fitting market",
    "candidates": "assumption",
    "draws": "drawing samples",
    "drawing": "drawing market",
}


@contextmanager
def underway() -> Iterator[None]:
    """Show how far the work done within is, where somebody looks."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415 (only on a terminal)
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def told(stages: tuple[Stage, ...]) -> None:
            bar.update(task, description=words(stages), completed=part(stages))

        with heard(told):
            yield


def words(stages: tuple[Stage, ...]) -> str:
    """Return what is being done: ``fitting market 1 of 3, assumption 4 of 32``."""
    return ", ".join(
        f"{_WORDS.get(one.name, one.name)} {one.done + 1:,} of {one.of:,}" for one in stages
    )


def part(stages: tuple[Stage, ...]) -> float:
    """Return how much of the widest stage is done, as a fraction."""
    done = 0.0
    for one in reversed(stages):
        done = (one.done + done) / one.of if one.of else 0.0
    return done
