"""What answers at a glance cost, against a plain reading of all rows that are stored."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import polars as pl

import plimsoll
from benchmarks import coins
from benchmarks.measure import apart, report, spread, versus

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]

DAYS = 30
REPEATS = 5
LIMIT = 1.0
FEW, MANY = 30, 120
GROWTH = 1.1
"""How much more a coin may cost among many than among few."""
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
        "coins": _wide(),
    }


def _wide() -> dict[str, object]:
    """Ask of a narrow and a wide market, turn about, each time in a new process."""
    with TemporaryDirectory() as folder:
        narrow, wide = Path(folder) / "narrow", Path(folder) / "wide"
        coins.write(narrow, FEW)
        coins.write(wide, MANY)
        found = {name: _grown(name, narrow, wide) for name in ("overview", "market")}
    return {
        "compared": f"CPU seconds of a new process, {MANY} coins on {len(coins.EXCHANGES)} "
        f"exchanges, {coins.DAYS} days by the hour, against {FEW}",
        "aim": f"linear: a coin costs at most {GROWTH:g} times as much among many",
        **found,
    }


def _grown(name: str, narrow: Path, wide: Path) -> dict[str, object]:
    apart("benchmarks.glance", name, narrow)  # compiled, and the files in memory
    pairs = [
        [apart("benchmarks.glance", name, at)["seconds"] for at in (wide, narrow)] for _ in range(3)
    ]
    each = [(many / MANY, few / FEW) for many, few in pairs]
    return {
        "seconds": spread([many for many, _ in pairs], 2),
        "seconds_of_a_coin": spread([many for many, _ in each]),
        "times_among_few": versus(*zip(*each, strict=True)),
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


if __name__ == "__main__":
    report(_cost(getattr(plimsoll.open(sys.argv[2]), sys.argv[1])))
