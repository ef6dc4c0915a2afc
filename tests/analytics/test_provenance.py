"""What stands and whence, against the map itself and against entries known by construction."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import numpy as np
import polars as pl
import pytest

from plimsoll.analytics.heatmap import Parameters, liquidation_map
from plimsoll.analytics.provenance import peaks, provenance, stands

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("open", "high", "low", "close", "volume", "taker_buy", "open_interest")


def walk(n=300, seed=1):
    random = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(random.normal(0, 0.004, n)))
    open_ = np.append(40_000.0, close[:-1])
    interest = 60_000 * np.exp(np.cumsum(random.normal(0, 0.005, n)))
    return pl.DataFrame(
        {
            "time": [START + i * HOUR for i in range(n)],
            "open": open_,
            "high": np.maximum(open_, close) * 1.001,
            "low": np.minimum(open_, close) * 0.999,
            "close": close,
            "volume": random.exponential(4_000, n),
            "taker_buy": np.full(n, None, dtype=object),
            "open_interest": interest,
            "open_interest_usd": interest * close,
        },
        schema_overrides={"time": pl.Datetime("us", "UTC"), "taker_buy": pl.Float64},
    )


@pytest.mark.parametrize(
    "words",
    [{"settlement": "linear"}, {"settlement": "inverse"}, {"memory": 12.0, "moves": True}],
)
def test_what_stands_is_the_last_column_of_the_map(words):
    series, chosen = walk(), Parameters(**words)
    found, drawn = stands(series, chosen), liquidation_map(series, chosen)
    assert found.time == series["time"][-1]
    assert found.open_interest_usd == pytest.approx(drawn.open_interest_usd[-1])
    assert found.coverage == pytest.approx(drawn.coverage[-1])
    both = drawn.profile().join(
        found.profile().with_columns(pl.col("price_low").round(6)),
        left_on=pl.col("price_low").round(6),
        right_on="price_low",
    )
    assert both.height == drawn.profile().height
    for side in ("long_usd", "short_usd"):
        assert both[f"{side}_right"].to_list() == pytest.approx(both[side].to_list(), abs=1e-3)


def test_the_last_known_column_counts_and_not_what_came_after():
    series = walk()
    hole = series.with_columns(
        open_interest=pl.when(pl.int_range(pl.len()) < 250).then("open_interest")
    )
    assert stands(hole, Parameters()).time == series["time"][250]
    cut, whole = stands(series[:251], Parameters()), stands(hole, Parameters())
    held = [
        one.profile().filter(pl.col("long_usd") + pl.col("short_usd") > 0) for one in (cut, whole)
    ]
    assert held[0]["long_usd"].equals(held[1]["long_usd"])
    with pytest.raises(ValueError, match="no column"):
        stands(series.with_columns(open_interest=pl.lit(None, pl.Float64)), Parameters())


def test_dollars_near_the_price_are_those_of_the_map():
    series = walk()
    told = liquidation_map(series).within([0.05])["value_usd"].sum()
    assert stands(series, Parameters()).within(0.05) == pytest.approx(told)


def entered(price=100.0):
    """Open interest of 1,000, then 400 more opened at one price, then an hour without a trade."""
    still = dict.fromkeys(NAMES, None) | dict.fromkeys(NAMES[:4], price)
    rows = [still | {"open_interest": held} for held in (1_000.0, 1_400.0, 1_400.0)]
    return pl.DataFrame(
        [{"time": START + i * HOUR} | row for i, row in enumerate(rows)],
        schema=dict.fromkeys(("time", *NAMES), pl.Float64) | {"time": pl.Datetime("us", "UTC")},
    )


def test_one_entry_is_told_by_each_leverage():
    # 400 more on each side, half of them liquidatable, spread by weight; without maintenance a
    # long of leverage L entered at 100 is liquidated at 100 (1 - 1/L), a short at 100 (1 + 1/L).
    chosen = Parameters(leverage=(5, 10), weights=(0.25, 0.75), maintenance=0.0)
    found = stands(entered(), chosen)
    longs = provenance([found], 75, 95).filter(pl.col("side") == "long")
    dollars = longs.group_by("leverage").agg(pl.col("value_usd").sum()).sort("leverage")
    assert dollars.rows() == [
        (5.0, pytest.approx(0.25 * 200 * 100)),
        (10.0, pytest.approx(0.75 * 200 * 100)),
    ]
    near = provenance([found], 88, 92)
    assert (set(near["side"]), set(near["leverage"])) == ({"long"}, {10.0})
    low, high = near.select(pl.col("entry_low").min(), pl.col("entry_high").max()).row(0)
    assert low <= 100 <= high
    assert set(near["traded_bars"]) == {2}
    assert near["traded_last"].max() == START + HOUR
    assert provenance([found], 500, 600).is_empty()


def test_ages_pass_from_class_to_class_at_their_rate():
    # One hour after the opening, 1 - exp(-1) of what is in the first class, an hour wide, has left.
    chosen = Parameters(leverage=(10,), weights=(1.0,), maintenance=0.0)
    rows = pl.concat([entered(), entered()[-1:].with_columns(time=START + 3 * HOUR)])
    rows = rows.with_columns(pl.col("time").cast(pl.Datetime("us", "UTC")))
    ages = provenance([stands(rows, chosen)], 88, 92).sort("age_from")
    young = ages.filter(pl.col("age_from") == 0)["value_usd"].sum() / ages["value_usd"].sum()
    assert young == pytest.approx(math.exp(-1))
    assert ages["age_until"].to_list() == [1.0, 8.0]


def markets():
    return [
        replace(stands(walk(seed=seed), Parameters(settlement=how)), exchange=name, symbol=symbol)
        for seed, how, name, symbol in (
            (1, "linear", "aa", "BTC/USDT:USDT"),
            (2, "inverse", "bb", "BTC/USD:BTC"),
            (3, "linear", "cc", "BTC/USDT:USDT"),
        )
    ]


def test_a_cluster_is_what_its_parts_are():
    made = markets()
    found = peaks(made, reach=0.3)
    assert found.height > 2
    for row in found.iter_rows(named=True):
        parts = provenance(made, row["price_low"], row["price_high"])
        of_side = parts.filter(pl.col("side") == row["side"])
        assert of_side["value_usd"].sum() == pytest.approx(row["value_usd"])
        for shares in ("exchanges", "leverages", "ages"):
            assert sum(part["share"] for part in row[shares]) == pytest.approx(1)
        assert row["value_usd_p10"] is None
        assert row["distance"] == pytest.approx(row["volatilities"] * made_volatility(made))


def made_volatility(made):
    """Of the market with the most open interest: root mean square of log changes, a day long."""
    largest = max(made, key=lambda one: one.open_interest_usd)
    changes = np.diff(np.log(largest.bars["close"].to_numpy()))
    return math.sqrt(24 * np.mean(changes**2))


def test_the_order_of_markets_changes_nothing():
    first, *others = (peaks(order) for order in permutations(markets()))
    assert all(first.equals(other) for other in others)


def test_a_market_that_fell_behind_is_left_out_and_coverage_says_so():
    one, other, third = markets()
    late = replace(other, time=other.time - timedelta(hours=5))
    found = peaks([one, late, third])
    named = {part["exchange"] for row in found["exchanges"] for part in row}
    assert named == {"aa", "cc"}
    assert found["absent"].to_list()[0] == ["bb BTC/USD:BTC"]
    assert found["coverage"][0] < peaks(markets())["coverage"][0]
    expired = replace(late, symbol="BTC/USD:BTC-260101")
    without = peaks([one, expired, third])
    assert without["coverage"][0] > found["coverage"][0]
    assert without["absent"].to_list()[0] == []


def test_a_future_is_as_far_from_the_price_as_from_its_own():
    perpetual = markets()[0]
    # The same market two hundred rows higher, told at its own prices.
    dear = walk().with_columns(pl.col("open", "high", "low", "close") * math.exp(0.2))
    held = stands(dear.with_columns(pl.col("open_interest", "volume") / 2), Parameters())
    future = replace(held, exchange="zz", symbol="BTC/USDT:USDT-260327")
    alone, both = peaks([perpetual]), peaks([perpetual, future])
    assert both["price_low"].to_list() == pytest.approx(alone["price_low"].to_list())
    assert both["distance"].to_list() == pytest.approx(alone["distance"].to_list())
    assert {len(parts) for parts in both["exchanges"]} == {2}
    parts = sum(part["share"] for part in both["exchanges"][0])
    assert parts == pytest.approx(1)
    assert peaks([future])["price_low"].min() > 1.1 * alone["price_low"].min()
    for row in both.iter_rows(named=True):
        held = provenance([perpetual, future], row["price_low"], row["price_high"])
        dollars = held.filter(side=row["side"])["value_usd"].sum()
        assert dollars == pytest.approx(row["value_usd"], rel=1e-6)
