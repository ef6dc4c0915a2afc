"""Growth of open interest: candles and marks that one can count by hand."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.growth import candles, growth, milestones
from plimsoll.analytics.open_interest import aggregate

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEMA = {
    "time": pl.Datetime("us", "UTC"),
    "exchange": pl.String,
    "symbol": pl.String,
    "amount": pl.Float64,
    "value_usd": pl.Float64,
}


def total(*rows, max_age=HOUR):
    """Aggregate rows of (hours after START, exchange, amount); a coin is worth 100."""
    frame = pl.DataFrame(
        [(START + h * HOUR, venue, "BTC/USDT:USDT", a, 100 * a) for h, venue, a in rows],
        schema=SCHEMA,
        orient="row",
    )
    return aggregate(frame, HOUR, max_age)


def test_a_candle_has_the_first_the_most_the_least_and_the_last():
    rows = [(h, "a", amount) for h, amount in enumerate([10.0, 14.0, 9.0, 12.0, 11.0])]
    first, second = candles(total(*rows), 2 * HOUR).iter_rows(named=True)
    names = ("open", "high", "low", "close", "close_usd", "instants", "coverage")
    assert [first[name] for name in names] == [10, 14, 9, 9, 900, 3, 1]
    assert [second[name] for name in names] == [9, 12, 9, 11, 1100, 3, 1]
    assert second["time"] == START + 2 * HOUR


def test_a_candle_that_is_not_over_is_not_told():
    rows = [(h, "a", 1.0) for h in range(4)]
    assert candles(total(*rows), 2 * HOUR)["time"].to_list() == [START]


def test_that_a_market_falls_silent_is_no_low_and_coverage_says_so():
    rows = [(0, "a", 10.0), (0, "b", 5.0), (1, "a", 10.0), (1, "b", 6.0)]
    rows += [(h, "a", 9.0) for h in range(2, 9)]
    frame = candles(total(*rows, max_age=timedelta(minutes=30)), 4 * HOUR)
    first, second = frame.iter_rows(named=True)
    assert (first["low"], first["high"], first["close"], first["instants"]) == (15, 16, 16, 2)
    assert (first["coverage"], second["coverage"], second["close"]) == (1, 0.5, 9)


def test_a_candle_of_nothing_is_refused_and_nothing_has_no_candles():
    with pytest.raises(ValueError, match="seconds or more"):
        candles(total((0, "a", 1.0)), timedelta(0))
    assert candles(total(), HOUR).height == 0
    assert growth(total()).height == 0
    assert milestones(total()).height == 0


@given(
    st.lists(st.floats(1, 1e6), min_size=5, max_size=60),
    st.integers(2, 7),
    st.integers(0, 60),
)
@settings(max_examples=60)
def test_candles_hold_what_lies_in_them_and_do_not_look_ahead(amounts, width, cut):
    rows = [(h, "a", amount) for h, amount in enumerate(amounts)]
    whole = candles(total(*rows), width * HOUR)
    for row in whole.iter_rows(named=True):
        first = (row["time"] - START) // HOUR
        if first < 0:
            continue
        inside = amounts[first : first + width + 1]
        told = (row["open"], row["high"], row["low"], row["close"])
        assert told == (inside[0], max(inside), min(inside), inside[-1])
    seen = candles(total(*rows[: cut + 1]), width * HOUR)
    assert whole.head(seen.height).equals(seen)


def test_growth_is_in_coin_and_says_when_it_would_double():
    # 10 % in a day doubles in ln 2 / ln 1.1 = 7.2725 days, as any table of interest has it.
    rows = [(h, "a", 100.0 if h < 24 else 110.0) for h in range(25)]
    hour, day, week = growth(total(*rows), (HOUR, DAY, 7 * DAY)).iter_rows(named=True)
    assert (day["change"], day["relative_change"]) == (10, pytest.approx(0.10))
    assert day["doubling"] == pytest.approx(7.2725, abs=5e-5)
    assert hour["hours"] == 1
    assert hour["doubling"] == pytest.approx(math.log(2) / math.log(1.1) / 24)
    assert (week["change"], week["relative_change"], week["doubling"]) == (None, None, None)


def test_what_shrinks_or_stands_never_doubles():
    (row,) = growth(total((0, "a", 2.0), (1, "a", 1.0)), (HOUR,)).iter_rows(named=True)
    assert (row["relative_change"], row["doubling"]) == (-0.5, None)
    (row,) = growth(total((0, "a", 2.0), (1, "a", 2.0)), (HOUR,)).iter_rows(named=True)
    assert (row["relative_change"], row["doubling"]) == (0, None)


def test_round_marks_are_told_when_they_are_first_reached():
    rows = [(h, "a", amount) for h, amount in enumerate([0.9, 1.0, 2.5, 1.5, 11.0, 4.0])]
    frame = milestones(total(*rows))  # dollars: 90, 100, 250, 150, 1100, 400
    assert frame["mark"].to_list() == [100, 200, 500, 1000]
    assert frame["time"].to_list() == [START + h * HOUR for h in (1, 2, 4, 4)]
    assert frame["above"].to_list() == [True, True, False, False]


def test_a_mark_below_the_start_was_reached_before_and_is_left_out():
    assert milestones(total((0, "a", 5.0), (1, "a", 6.0))).height == 0
