"""What answers at a glance cost, against a plain reading of all rows that are stored."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import polars as pl

import plimsoll
from benchmarks.measure import spread, versus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]

DAYS = 30
REPEATS = 5
LIMIT = 1.0
_COIN, _MARKET = "BTC", "BTC/USDT:USDT"


def run() -> dict[str, object]:
    """Simulate a crash and ask each question warm, turn about with Polars reading the files."""
    with TemporaryDirectory() as folder:
        session = plimsoll.open(folder)
        session.simulate("crash", days=DAYS)
        files = sorted((Path(folder) / "tables").glob("*/*/*/*.parquet"))
        rows = [_compared(name, ask, files) for name, ask in _questions(session).items()]
    return {
        "compared": f"CPU seconds of an answer on {DAYS} simulated days of three coins, warm, "
        "against polars.read_parquet of every file of the store",
        "aim": f"each answer < {LIMIT:g} s of CPU",
        "rows": rows,
    }


def _questions(session: plimsoll.Session) -> dict[str, Callable[[], object]]:
    return {
        "show": lambda: session.show(_MARKET),
        "overview": session.overview,
        "options": lambda: session.options(_COIN),
        "positioning": lambda: session.positioning(_COIN),
        "basis": lambda: session.basis(_COIN),
        "status": session.status,
    }


def _compared(name: str, ask: Callable[[], object], files: list[Path]) -> dict[str, object]:
    ask()  # compiled, and the files in memory
    ours, theirs = [], []
    for _ in range(REPEATS):
        ours.append(_cost(ask))
        theirs.append(_cost(lambda: [pl.read_parquet(file, glob=False) for file in files]))
    return {"question": name, "seconds": spread(ours), "times_reading": versus(ours, theirs)}


def _cost(work: Callable[[], object]) -> float:
    """Return the seconds of CPU, which others on the machine change little."""
    start = process_time()
    work()
    return process_time() - start
