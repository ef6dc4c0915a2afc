"""What is told of a moment does not depend on what came later, nor on where a look begins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from plimsoll.analytics import basis, cvd, turnover
from plimsoll.market.schema import TABLES

NOON = datetime(2026, 1, 30, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def candles(start: datetime, count: int, seconds: int, exchange: str = "binance") -> pl.DataFrame:
    """Return candles in which one coin is traded each hour, half of it by buyers."""
    hours = seconds / 3_600
    frame = pl.DataFrame(
        {
            "time": [start + timedelta(seconds=seconds * index) for index in range(count)],
            "exchange": exchange,
            "symbol": "BTC/USDT:USDT",
            "price_kind": "trade",
            "interval": seconds,
            "close": 100.0,
            "volume": hours,
            "taker_buy_volume": hours / 2,
        }
    )
    schema = TABLES["candle"].schema
    empty = pl.DataFrame(schema=schema)
    typed = frame.with_columns(pl.col(name).cast(schema[name]) for name in frame.columns)
    return pl.concat([empty, typed], how="diagonal")


def test_shorter_candles_that_come_later_do_not_take_the_longer_ones_away() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    both = pl.concat([candles(start, 12, 14_400), candles(start + 2 * DAY, 48, 3_600)])
    traded = turnover.traded(both, DAY)
    assert traded["volume"].to_list() == [24, 24, 24, 24]
    none = pl.DataFrame(schema=TABLES["trade"].schema)
    volumes = pl.DataFrame(schema=TABLES["taker_volume"].schema)
    assert cvd.taken(both, volumes, none, DAY)["bought"].to_list() == [12, 12, 12, 12]


def test_a_market_that_left_is_not_waited_for() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    both = pl.concat([candles(start, 24 * 6, 3_600), candles(start, 24 * 2, 3_600, exchange="okx")])
    traded = turnover.traded(both, HOUR)
    total = traded.select("time").unique().sort("time").with_columns(amount=pl.lit(10.0))
    found = turnover.turnover(total, traded, traded.clear(), HOUR, DAY)
    volume = dict(found.select("time", "volume").iter_rows())
    assert volume[start + 2 * DAY] == 48
    assert volume[start + 2 * DAY + HOUR] is None
    assert volume[start + 6 * DAY] == 24


def test_quotes_of_other_seconds_are_one_curve_without_what_has_expired() -> None:
    times = [NOON - 5 * HOUR, NOON - timedelta(seconds=3), NOON]
    quotes = pl.DataFrame(
        {
            "time": times,
            "exchange": "deribit",
            "symbol": [f"BTC/USD:BTC-{day}" for day in ("260130", "260227", "260626")],
            "price": [101.0, 101.0, 103.0],
            "spot": 100.0,
            "source": "mark",
        }
    )
    # The first was quoted an hour before its expiry, at 8:00, and is over at noon.
    for known in (
        basis.latest(quotes, 8 * HOUR),
        basis.on_grid(quotes, 4 * HOUR, 8 * HOUR).filter(pl.col("time") == NOON),
    ):
        curve = basis.structure(known)
        assert curve["time"].unique().to_list() == [NOON]
        told = curve.filter(pl.col("kind") == "expiry")
        assert told["maturity"].to_list() == ["2026-02-27", "2026-06-26"]
        assert curve.filter(pl.col("maturity") == "90d")["log"].null_count() == 0
