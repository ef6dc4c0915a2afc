"""Open interest against volume: sums by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from plimsoll.analytics.open_interest import aggregate
from plimsoll.analytics.turnover import traded, turnover
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def candle_rows(*rows):
    """Rows of (minutes, exchange, symbol, interval in minutes, volume, taker buy)."""
    return TABLES["candle"].conform(
        pl.DataFrame(
            [
                {
                    "time": START + at * MINUTE,
                    "exchange": venue,
                    "symbol": symbol,
                    "interval": length * 60,
                    **dict.fromkeys(("open", "high", "low", "close"), 100.0 + at),
                    "volume": volume,
                    "taker_buy_volume": bought,
                }
                for at, venue, symbol, length, volume, bought in rows
            ],
            schema_overrides={
                "time": pl.Datetime("us", "UTC"),
                "volume": pl.Float64,
                "taker_buy_volume": pl.Float64,
            },
        )
    )


def held(*rows):
    return pl.DataFrame(
        [(START + at * MINUTE, venue, symbol, amount) for at, venue, symbol, amount in rows],
        schema={
            "time": pl.Datetime("us", "UTC"),
            "exchange": pl.String,
            "symbol": pl.String,
            "amount": pl.Float64,
        },
        orient="row",
    )


def test_volume_is_summed_to_the_end_of_a_step_from_whole_pieces():
    btc = "BTC/USDT:USDT"
    rows = candle_rows(
        *((at, "a", btc, 30, 4.0, 1.0) for at in (0, 30, 60)),  # the second hour is half there
        *((at, "b", btc, 60, 5.0, None) for at in (0, 60)),
        (0, "b", btc, 240, 99.0, 9.0),  # does not fit into an hour
    )
    frame = traded(rows, HOUR)
    assert frame["time"].to_list() == [START + h * HOUR for h in (1, 1, 2, 2)]
    assert frame["exchange"].to_list() == ["a", "b", "a", "b"]
    assert frame["volume"].to_list() == [8, 5, None, 5]
    assert frame["taker_buy"].to_list() == [2, None, None, None]
    assert frame["close"].to_list() == [130, 100, None, 160]


def test_ratios_are_those_of_the_sums():
    btc, spot = "BTC/USDT:USDT", "BTC/USDT"
    steps = range(0, 240, 60)
    futures = candle_rows(*((at, "a", btc, 60, 6.0, None) for at in steps))
    coins = candle_rows(*((at, "a", spot, 60, 2.0, None) for at in steps))
    reports = held(*((at, "a", btc, 24.0) for at in range(0, 241, 60))).with_columns(
        value_usd=pl.col("amount")
    )
    total = aggregate(reports, HOUR, HOUR)
    found = turnover(
        total, traded(futures, HOUR), traded(coins, HOUR), HOUR, 2 * HOUR, supply=2_400
    )
    last = found.row(-1, named=True)
    # 12 coins traded over 24 held; 24 held over 4 of spot; 24 of 2,400 coins.
    assert (last["turnover"], last["to_spot"], last["to_supply"]) == (0.5, 6.0, 0.01)
    assert found["turnover"].to_list()[:2] == [None, None]  # two hours are not yet known


def test_without_volume_or_supply_a_ratio_is_unknown():
    reports = held((0, "a", "BTC/USDT:USDT", 24.0)).with_columns(value_usd=pl.col("amount"))
    none = traded(candle_rows(), HOUR)
    (row,) = turnover(aggregate(reports, HOUR, HOUR), none, none, HOUR, HOUR).iter_rows(named=True)
    assert (row["turnover"], row["to_spot"], row["to_supply"]) == (None, None, None)


def test_a_market_whose_volume_is_missing_makes_the_sum_unknown():
    btc = "BTC/USDT:USDT"
    rows = candle_rows(
        (0, "a", btc, 60, 6.0, None),
        (0, "b", btc, 60, 6.0, None),
        (60, "a", btc, 60, 6.0, None),
    )
    reports = held(*((at, "a", btc, 6.0) for at in (60, 120))).with_columns(value_usd=1.0)
    none = traded(candle_rows(), HOUR)
    found = turnover(aggregate(reports, HOUR, HOUR), traded(rows, HOUR), none, HOUR, HOUR)
    assert found["turnover"].to_list() == [2, None]


def test_a_market_counts_from_when_its_open_interest_is_told():
    """The second trades 5 an hour beside 6; its open interest is told from the third hour on."""
    btc = "BTC/USDT:USDT"
    rows = candle_rows(
        *((at, venue, btc, 60, volume, None) for at in range(0, 240, 60)
          for venue, volume in (("a", 6.0), ("b", 5.0)))
    )  # fmt: skip
    since = pl.DataFrame({"exchange": ["a", "b"], "since": [START, START + 3 * HOUR]})
    reports = held(*((at, "a", btc, 2.0) for at in range(60, 241, 60))).with_columns(value_usd=1.0)
    none = traded(candle_rows(), HOUR)
    volumes = traded(rows, HOUR).join(
        since.cast({"since": pl.Datetime("us", "UTC")}), on="exchange"
    )
    found = turnover(aggregate(reports, HOUR, HOUR), volumes, none, HOUR, 2 * HOUR)
    assert found["volume"].to_list() == [None, 12, 22, 22]


def test_a_candle_that_reaches_over_the_end_of_a_step_is_told_at_none():
    """Bars of eight hours that open at 04:00 end four hours after a step of eight hours does."""
    btc = "BTC/USDT:USDT"
    eight = 8 * HOUR
    shifted = candle_rows(*((60 * hour, "a", btc, 480, 3.0, 1.0) for hour in (4, 12, 20, 28)))
    assert traded(shifted, eight).is_empty()
    # A day holds the bars from 04:00 to 20:00, and of the others a part.
    assert traded(shifted, 3 * eight)["volume"].drop_nulls().is_empty()
    aligned = candle_rows(*((60 * hour, "a", btc, 480, 3.0, 1.0) for hour in (0, 8)))
    assert traded(aligned, eight)["time"].to_list() == [START + eight, START + 2 * eight]
