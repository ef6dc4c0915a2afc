"""A store of many coins, made of noise: as many files and rows as a wide market has."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.market.schema import TABLES
from plimsoll.store.catalogue import Imported
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DAYS", "EXCHANGES", "write"]

DAYS = 7
EXCHANGES = ("binance", "bitget", "bybit", "gate", "okx")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_HOURS = DAYS * 24


def write(root: Path, coins: int) -> None:
    """Write hourly prices, open interest and ratios, and funding and liquidations of each coin."""
    source = np.random.default_rng(7)
    with Writer(root) as writer:
        with writer.stage() as stage:
            for number in range(coins):
                price = 10 * np.exp(np.cumsum(source.normal(0, 0.006, _HOURS + 1)))
                for exchange in EXCHANGES:
                    market = exchange, f"C{number:03d}/USDT:USDT"
                    for kind, columns in _tables(source, price.round(6)).items():
                        stage.write(kind, _frame(kind, market, columns))
            stage.accept(_note(f"{coins} coins of noise"))
        writer.seal()


def _tables(source: np.random.Generator, price: np.ndarray) -> dict[str, dict[str, object]]:
    amount = (1e6 * np.exp(np.cumsum(source.normal(0, 0.01, _HOURS)))).round()
    volume = (amount * source.uniform(0.02, 0.3, _HOURS)).round()
    opened, closed = price[:-1], price[1:]
    return {
        "open_interest": {"amount": amount, "value_usd": (amount * closed).round(2)},
        "candle": {
            "interval": 3_600,
            "price_kind": "trade",
            "open": opened,
            "high": (np.maximum(opened, closed) * 1.002).round(6),
            "low": (np.minimum(opened, closed) * 0.998).round(6),
            "close": closed,
            "volume": volume,
            "taker_buy_volume": (volume / 2).round(),
        },
        "long_short_ratio": {
            "population": "accounts",
            "ratio": np.exp(source.normal(0, 0.2, _HOURS)).round(4),
        },
        "funding": {
            "rate": source.normal(1e-4, 1e-4, _HOURS // 8).round(8),
            "interval_hours": 8.0,
            "status": "settled",
        },
        "liquidation": {
            "side": np.resize(["long", "short"], _HOURS // 4),
            "price": closed[::4],
            "amount": source.uniform(1, 100, _HOURS // 4).round(),
            "price_kind": "fill",
            "completeness": "sampled",
            "id": [str(number) for number in range(_HOURS // 4)],
        },
    }


def _frame(kind: str, market: tuple[str, str], columns: dict[str, object]) -> pl.DataFrame:
    """Return rows evenly spaced over the days, known when they happened; candles at their close."""
    rows = max(len(value) for value in columns.values() if isinstance(value, np.ndarray))
    step = timedelta(days=DAYS) / rows
    times = pl.datetime_range(_START, _START + (rows - 1) * step, step, eager=True)
    known = times + (_HOUR if kind == "candle" else timedelta(0))
    told = {"exchange": market[0], "symbol": market[1], "time": times, "known_at": known}
    return TABLES[kind].conform(pl.DataFrame({**told, **columns}))


def _note(path: str) -> Imported:
    digest = hashlib.sha256(path.encode()).hexdigest()
    when = _START.isoformat()
    return Imported(
        key=digest,
        sha256=digest,
        format="noise",
        path=path,
        importer="benchmarks",
        imported_at=when,
        verified=False,
        rows=0,
        rejected=0,
    )
