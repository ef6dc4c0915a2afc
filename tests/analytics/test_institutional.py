"""How institutional a market is: shares, gaps and percentiles worked out by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.tables import rows

from plimsoll.analytics import institutional
from plimsoll.market import schema

START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hourly(closes, first=START - HOUR):
    return rows(
        "candle",
        [
            {
                "exchange": "binance",
                "symbol": "BTC/USDT:USDT",
                "time": first + n * HOUR,
                "interval": 3_600,
                **dict.fromkeys(("open", "high", "low", "close"), float(close)),
            }
            for n, close in enumerate(closes)
        ],
    )


def test_were_all_hours_alike_new_york_would_have_its_share_of_them():
    closes = 100 * np.exp(0.01 * (np.arange(24 * 36 + 1) % 2))
    share = institutional.us_hours(hourly(closes))["us_hours_share"]
    assert share.drop_nulls().to_list() == pytest.approx([5 * 7 / 168] * len(share.drop_nulls()))
    assert share.null_count() == 27
    assert len(share) > 30


def test_of_a_day_that_is_not_over_nothing_is_told():
    closes = 100 * np.exp(0.01 * (np.arange(24 * 30 + 1) % 2))
    whole, seen = (
        institutional.us_hours(hourly(closes[:n])) for n in (len(closes), len(closes) - 6)
    )
    assert whole["time"][-1] == START + timedelta(days=30)
    assert seen.equals(whole.head(whole.height - 1))


def test_a_market_that_moves_in_one_hour_of_new_york_alone_is_all_there():
    """From 14:00 to 15:00 in UTC it is nine to ten in New York in winter."""
    steps = np.array([1.0 if n % 24 == 14 and n // 24 % 7 < 5 else 0.0 for n in range(24 * 30)])
    closes = 100 * np.exp(np.concatenate([[0.0], np.cumsum(0.01 * steps)]))
    assert institutional.us_hours(hourly(closes))["us_hours_share"].drop_nulls()[
        -1
    ] == pytest.approx(1)


def test_weekends_are_measured_against_days():
    """A price that rises by 1 % an hour rises by 49 % over a weekend, and by 24 % in a day."""
    closes = 100 * np.exp(0.01 * np.arange(24 * 60))
    found = institutional.weekends(hourly(closes))["weekend_gap"].drop_nulls()
    assert found[-1] == pytest.approx(49 / 24)


def test_the_premium_is_over_what_a_dollar_coin_costs():
    """100,200 dollars on Coinbase, 100,100 USDT elsewhere, and 0.999 dollars for one."""
    found = institutional.premium(
        hourly([100_200] * 24), hourly([100_100] * 24), hourly([0.999] * 24)
    )
    assert found["coinbase_premium"][0] == pytest.approx(100_200 / (100_100 * 0.999) - 1)


def daily(name, values):
    return pl.DataFrame(
        {"time": [START + n * DAY for n in range(len(values))], name: values},
        schema_overrides={"time": schema.TIME, name: pl.Float64},
    )


def test_the_composite_is_the_average_percentile_of_what_is_known():
    """The share is the highest of 40 days, and the gap the highest too, which is the least."""
    found = institutional.composite(
        [daily("regulated_share", range(40)), daily("weekend_gap", range(40))]
    ).row(-1, named=True)
    assert found["regulated_share_percentile"] == pytest.approx(39.5 / 40)
    assert found["weekend_gap_percentile"] == pytest.approx(0.5 / 40)
    assert found["score"] == pytest.approx(0.5)
    assert (found["known"], found["coinbase_premium"]) == (2, None)


def test_parts_that_are_known_weigh_the_same_whatever_is_missing():
    highest = [daily("basis_gap", range(40)), daily("volatility_slope", range(40))]
    found = institutional.composite([*highest, daily("weekend_gap", range(40))]).row(-1, named=True)
    # Percentiles 39.5/40, 39.5/40 and 0.5/40: their mean, of three parts of seven.
    assert found["score"] == pytest.approx((39.5 + 39.5 + 0.5) / 120)
    assert (found["known"], found["coverage"]) == (3, 3 / len(institutional.PARTS))
    assert found["regulated_share"] is None


def test_the_basis_of_regulated_futures_is_beside_the_median_of_others():
    """CME pays 9 % a year, others 5, 6 and 12: 9 less the median of 6 is 3 %."""
    rows = [("cme", 0.09), ("binance", 0.05), ("okx", 0.06), ("deribit", 0.12)]
    curves = pl.DataFrame(
        [
            {"time": START, "exchange": name, "kind": "constant", "maturity": term, "log": log}
            for name, log in rows
            for term in ("30d", "90d")
        ]
    ).with_columns(pl.when(pl.col("maturity") == "90d").then(9.0).otherwise("log").alias("log"))
    assert institutional.basis_gap(curves)["basis_gap"].to_list() == [pytest.approx(0.03)]
    without = institutional.basis_gap(curves.filter(pl.col("exchange") != "cme"))
    alone = institutional.basis_gap(curves.filter(pl.col("exchange") == "cme"))
    assert without["basis_gap"].to_list() == alone["basis_gap"].to_list() == [None]


def test_the_slope_of_volatility_is_far_less_near_where_both_are_known():
    near = pl.DataFrame({"at": [START, START + DAY], "value": [0.4, 0.5]})
    far = pl.DataFrame({"at": [START, START + DAY], "value": [0.45, None]})
    found = institutional.volatility_slope(near, far)
    assert found["volatility_slope"].to_list() == [pytest.approx(0.05), None]


def traded(day, origin, amount, count=20):
    """So many trades of an option in one day, that make up an amount."""
    spread = [START + day * DAY + (n + 0.5) * DAY / count for n in range(count)]
    option = {"exchange": "deribit", "symbol": "BTC/USD:BTC-260327-70000-C", "side": "buy"}
    each = {"price": 0.01, "amount": amount / count, "grain": "single", "origin": origin}
    return rows("trade", [{**option, **each, "id": n, "time": t} for n, t in enumerate(spread)])


def test_the_share_of_blocks_is_of_the_days_of_a_week_that_tell():
    """Each day 60 coins on the screen, 10 as legs, 30 in blocks, and 500 of which nobody tells.

    On the eighth day all is a block: of seven days (6 · 30 + 100) / 700 = 0.4.
    """
    kinds = [("screen", 60.0), ("combo", 10.0), ("block", 30.0), (None, 500.0)]
    usual = [traded(day, *kind) for day in (*range(7), 8) for kind in kinds]
    found = institutional.block_share([*usual, traded(7, "block", 100.0)])
    assert found["time"].to_list() == [START + day * DAY for day in range(1, 9)]
    assert found["block_share"].to_list()[:6] == [None] * 6
    assert found["block_share"].to_list()[6:] == pytest.approx([0.3, 0.4])


def test_where_few_trades_tell_whether_they_were_blocks_nothing_is_said():
    """Two blocks a day are 14 in a week; trades that do not tell count for none."""
    few = [traded(day, "block", 1.0, count=2) for day in range(9)]
    assert institutional.block_share(few)["block_share"].null_count() == 8
    assert institutional.block_share(few, least=14)["block_share"].to_list()[6:] == [1.0, 1.0]
    untold = [traded(day, None, 1.0, count=200) for day in range(9)]
    assert institutional.block_share(untold, least=0)["block_share"].null_count() == 8
    assert institutional.block_share([]).height == 0


def test_a_block_counts_from_when_it_was_known():
    """What was arranged on the first day, and told on the ninth, is in no week before."""
    late = traded(0, "block", 1_000.0).with_columns(pl.col("known_at") + 8 * DAY)
    usual = [traded(day, "screen", 100.0) for day in range(10)]
    shares = institutional.block_share([*usual, late])["block_share"].to_list()
    assert shares[6:] == pytest.approx([0.0, 0.0, 1_000 / 1_700])


@given(st.integers(1, 12 * 20))
def test_the_future_changes_no_share_of_blocks(cut):
    draw = np.random.default_rng(2)
    days = [traded(day, kind, draw.uniform(1, 9)) for day in range(12) for kind in ("block", None)]
    days += [traded(day, "screen", draw.uniform(1, 9)) for day in range(12)]
    whole, moment = pl.concat(days), START + cut * DAY / 20
    found = institutional.block_share([whole])
    known = institutional.block_share([whole.filter(pl.col("known_at") <= moment)])
    assert known.equals(found.head(known.height))
    assert known["time"].max() is None or known["time"].max() <= moment


def test_a_percentile_says_nothing_before_thirty_days():
    found = institutional.composite([daily("regulated_share", range(31))])
    assert found["score"].null_count() == 29
    assert found["known"].to_list() == [0] * 29 + [1, 1]
    assert institutional.composite([]).height == 0


@given(st.integers(1, 39))
def test_the_future_changes_no_score(cut):
    values = np.random.default_rng(1).normal(size=(2, 40))
    whole = institutional.composite(
        [daily("regulated_share", values[0]), daily("weekend_gap", values[1])]
    )
    known = institutional.composite(
        [daily("regulated_share", values[0][:cut]), daily("weekend_gap", values[1][:cut])]
    )
    assert known.equals(whole.head(cut))
