"""Appending to the journal against SQLite, either durable when the call returns."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from benchmarks.measure import clocked, spread, versus
from plimsoll.market.schema import TABLES
from plimsoll.store.journal import Journal, read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run"]

BATCHES, ROWS, REPEATS = 300, 3_000, 3
_KIND = "open_interest"
_CREATE = (
    "CREATE TABLE open_interest (exchange TEXT, symbol TEXT, time INTEGER, received INTEGER,"
    " known_at INTEGER, amount REAL, value_usd REAL)"
)
_INSERT = "INSERT INTO open_interest VALUES (?, ?, ?, ?, ?, ?, ?)"


def run() -> dict[str, object]:
    """Return the milliseconds of one batch on both sides, batch about."""
    rounds = [_round() for _ in range(REPEATS)]
    ours, theirs = zip(*rounds, strict=True)
    medians = [[median(batches) for batches in side] for side in (ours, theirs)]
    return {
        "compared": f"{BATCHES} batches of {ROWS:,} rows and 7 columns: Journal.append of a frame, "
        "against SQLite (journal_mode WAL, synchronous FULL, automatic checkpoints), one "
        f"transaction and executemany of ready tuples; {REPEATS} rounds",
        "aim": "ratio of the medians at most 0.5",
        "ratio": versus(*medians),
        "milliseconds": {
            side: {
                "median": spread(middle, digits=3),
                "p99": spread([quantiles(batches, n=100)[98] for batches in all_], digits=3),
            }
            for side, middle, all_ in zip(
                ("journal", "sqlite"), medians, (ours, theirs), strict=True
            )
        },
    }


def _round() -> tuple[list[float], list[float]]:
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        database = sqlite3.connect(Path(folder, "rival.sqlite"), isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(_CREATE)
        ours, theirs = [], []
        for frame in _frames():
            rows = frame.with_columns(pl.col(pl.Datetime).to_physical()).rows()
            ours.append(1000 * clocked(journal.append, _KIND, frame)[0])
            theirs.append(1000 * clocked(_insert, database, rows)[0])
        journal.close()
        kept = sum(
            batch.height
            for path in Path(folder).glob("*.journal")
            for _, batch in read_segment(path).batches
        )
        (inserted,) = database.execute("SELECT count(*) FROM open_interest").fetchone()
        database.close()
    if not kept == inserted == BATCHES * ROWS:
        raise RuntimeError(f"kept {kept} and {inserted} of {BATCHES * ROWS} rows")
    return ours, theirs


def _insert(database: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
    database.execute("BEGIN")
    database.executemany(_INSERT, rows)
    database.execute("COMMIT")


def _frames() -> Iterator[pl.DataFrame]:
    """Yield a minute's open interest of many symbols, again and again."""
    random = np.random.default_rng(1)
    symbols = [f"COIN{number}/USDT:USDT" for number in range(ROWS)]
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
    for batch in range(BATCHES):
        time = start + batch * 60_000_000
        amount = np.round(random.lognormal(8, 2, ROWS), 3)
        frame = pl.DataFrame(
            {
                "exchange": "binance",
                "symbol": symbols,
                "time": np.full(ROWS, time),
                "received": time + random.integers(1_000, 900_000, ROWS),
                "amount": amount,
                "value_usd": np.round(amount * random.lognormal(2, 2, ROWS), 2),
            }
        )
        yield TABLES[_KIND].conform(frame)
