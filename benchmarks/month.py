"""One month of one series out of fifty million rows against DuckDB's own table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import polars as pl

from benchmarks.measure import MIB, clocked, spread, versus
from plimsoll.market.schema import TABLES
from plimsoll.store import parquet
from plimsoll.store.layout import Layout
from plimsoll.store.reader import Reader
from plimsoll.store.stage import filing

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run"]

EXCHANGES = ("binance", "bybit", "okx", "bitget")
SYMBOLS = tuple(f"COIN{number}/USDT:USDT" for number in range(24))
SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
REPEATS = 40
_KIND = "candle"
_WARM = 3
_MINUTE = timedelta(minutes=1)
_QUERY = "SELECT * FROM candle WHERE exchange = ? AND symbol = ? AND time >= ? AND time < ?"


@dataclass(frozen=True)
class _Question:
    """One series and month."""

    exchange: str
    symbol: str
    since: datetime
    until: datetime


def run(
    exchanges: tuple[str, ...] = EXCHANGES, symbols: tuple[str, ...] = SYMBOLS
) -> dict[str, object]:
    """Return the milliseconds of one read on both sides, read about, each of another month."""
    with TemporaryDirectory() as folder:
        root, rival = Path(folder, "store"), Path(folder, "rival.duckdb")
        set_up = {
            "plimsoll": round(clocked(_make, root, exchanges, symbols)[0], 1),
            "duckdb": round(clocked(_copy, root, rival)[0], 1),
        }
        sides = _measure(root, rival, exchanges, symbols)
        store = sum(path.stat().st_size for path in root.rglob("*.parquet"))
        sizes = {"plimsoll": round(store / MIB), "duckdb": round(rival.stat().st_size / MIB)}
    rows = (UNTIL - SINCE) // _MINUTE * len(exchanges) * len(symbols)
    return {
        "compared": f"{rows:,} candles of {len(exchanges)} exchanges and {len(symbols)} symbols: "
        "Reader.read of one series and month, another each time, against a query of DuckDB's own "
        f"table, filled in the same order ({_QUERY}), fetched to Polars; both are open before "
        "and warm (plimsoll_opened makes a new Reader each time); the Reader keeps no cache",
        "aim": "ratio at most 1.5",
        "ratio": versus(sides["plimsoll"], sides["duckdb"]),
        "milliseconds": {side: spread(values, digits=2) for side, values in sides.items()},
        "set_up_seconds": set_up,
        "mib": sizes,
    }


def _measure(
    root: Path, rival: Path, exchanges: tuple[str, ...], symbols: tuple[str, ...]
) -> dict[str, list[float]]:
    sides: dict[str, list[float]] = {"plimsoll": [], "duckdb": [], "plimsoll_opened": []}
    reader = Reader(root)
    with duckdb.connect(str(rival), read_only=True) as database:
        database.execute("SET TimeZone = 'UTC'")
        for repeat, question in enumerate(_questions(exchanges, symbols)):
            answers = (
                clocked(_read, reader, question),
                clocked(_select, database, question),
                clocked(_open_and_read, root, question),
            )
            (_, mine), (_, theirs), _ = answers
            if mine.is_empty() or not mine.equals(theirs.cast(mine.schema)):
                raise RuntimeError(f"the sides differ on {question}")
            if repeat >= _WARM:
                for side, (seconds, _) in zip(sides.values(), answers, strict=True):
                    side.append(1000 * seconds)
    return sides


def _questions(exchanges: tuple[str, ...], symbols: tuple[str, ...]) -> Iterator[_Question]:
    random = np.random.default_rng(2)
    for _ in range(_WARM + REPEATS):
        month = int(random.integers(1, 12))
        yield _Question(
            str(random.choice(exchanges)),
            str(random.choice(symbols)),
            datetime(2025, month, 1, tzinfo=UTC),
            datetime(2025, month + 1, 1, tzinfo=UTC),
        )


def _read(reader: Reader, question: _Question) -> pl.DataFrame:
    return reader.read(
        _KIND,
        exchanges=[question.exchange],
        symbol=question.symbol,
        since=question.since,
        until=question.until,
    )


def _open_and_read(root: Path, question: _Question) -> pl.DataFrame:
    return _read(Reader(root), question)


def _select(database: duckdb.DuckDBPyConnection, question: _Question) -> pl.DataFrame:
    values = [question.exchange, question.symbol, question.since, question.until]
    table = database.sql(_QUERY, params=values).to_arrow_table()
    return pl.DataFrame(pl.from_arrow(table))


def _make(root: Path, exchanges: tuple[str, ...], symbols: tuple[str, ...]) -> None:
    """Write the sealed files where an import would have left them."""
    layout, random = Layout(root), np.random.default_rng(1)
    layout.create()
    for exchange in exchanges:
        for symbol in symbols:
            frame = _candles(exchange, symbol, random)
            for series, month, part in filing(_KIND, frame):
                writer = parquet.TableWriter(layout.sealed(series, month), parquet.scales(part))
                writer.write(part)
                writer.close()


def _candles(exchange: str, symbol: str, random: np.random.Generator) -> pl.DataFrame:
    """Return a year of minutes of a random walk on a grid."""
    time = pl.datetime_range(SINCE, UNTIL, _MINUTE, closed="left", eager=True)
    count = len(time)
    walk = 500_000 + np.cumsum(random.integers(-3, 4, count + 1))
    first, last = walk[:-1], walk[1:]
    volume = np.ceil(random.lognormal(8, 1, count))
    bought = np.floor(volume * random.random(count))
    frame = pl.DataFrame(
        {
            "exchange": exchange,
            "symbol": symbol,
            "time": time,
            "known_at": time + _MINUTE,
            "interval": 60,
            "open": first / 10,
            "high": (np.maximum(first, last) + random.integers(0, 5, count)) / 10,
            "low": (np.minimum(first, last) - random.integers(0, 5, count)) / 10,
            "close": last / 10,
            "volume": volume / 1000,
            "quote_volume": np.round(volume * last / 10_000, 2),
            "trades": random.integers(1, 500, count),
            "taker_buy_volume": bought / 1000,
            "taker_buy_quote_volume": np.round(bought * last / 10_000, 2),
        }
    )
    return TABLES[_KIND].conform(frame)


def _copy(root: Path, rival: Path) -> None:
    """Fill DuckDB's table with the same rows, sorted by exchange, symbol and time."""
    floats = [c.name for c in TABLES[_KIND].columns if c.dtype == pl.Float64]
    doubles = ", ".join(f"{name}::DOUBLE AS {name}" for name in floats)
    files = sorted(map(str, (root / "tables").rglob("*.parquet")))
    with duckdb.connect(str(rival)) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(
            f"CREATE TABLE candle AS SELECT * REPLACE ({doubles}) FROM read_parquet(?)", [files]
        )
