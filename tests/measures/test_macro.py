from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

import plimsoll

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def candles(exchange: str, days: int) -> pl.DataFrame:
    time = [START + day * DAY for day in range(days)]
    prices = dict.fromkeys(("open", "high", "low", "close"), 60_000.0)
    fixed = {"exchange": exchange, "symbol": "BTC/USDT:USDT", "interval": 86_400, "volume": 10.0}
    return pl.DataFrame({"time": time}).with_columns(
        price_kind=pl.lit("trade"), **{k: pl.lit(v) for k, v in {**fixed, **prices}.items()}
    )


def test_a_bound_after_everything_changes_nothing_of_what_is_beyond_the_market(
    tmp_path: Path,
) -> None:
    """What the longest history is, is asked with a bound and without one."""
    for exchange, days in (("binance", 60), ("bybit", 30)):
        candles(exchange, days).write_parquet(tmp_path / f"candle_{exchange}.parquet")
    session = plimsoll.open(tmp_path / "store")
    report = session.import_files(sorted(tmp_path.glob("*.parquet")))
    assert report.failed == []
    bare, bounded = session.macro("BTC"), session.macro("BTC", until=START + 400 * DAY)
    assert bare.keys() == bounded.keys()
    for name, part in bare.items():
        other = bounded[name]
        assert (part is None) == (other is None)
        assert part is None or (other is not None and part.equals(other))
