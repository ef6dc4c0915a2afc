"""Open interest: sums that say what they cover, and statistics with known values."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plimsoll.analytics.open_interest import (
    aggregate,
    change,
    robust_z,
    snapshots,
)
from truths.interest import OUTLIER, ROBUST_Z

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCHEMA = {
    "time": pl.Datetime("us", "UTC"),
    "exchange": pl.String,
    "symbol": pl.String,
    "amount": pl.Float64,
    "value_usd": pl.Float64,
}


def reports(*rows):
    """Rows of (minutes after START, exchange, amount, value)."""
    return pl.DataFrame(
        [
            (START + minutes * MINUTE, exchange, "BTC/USDT:USDT", amount, value)
            for minutes, exchange, amount, value in rows
        ],
        schema=SCHEMA,
        orient="row",
    )


def test_venues_are_summed_as_last_known():
    frame = reports(
        (0, "binance", 10.0, 1000.0),
        (4, "bybit", 5.0, 490.0),
        (7, "binance", 12.0, 1190.0),
        (10, "binance", 11.0, 1100.0),
    )
    total = aggregate(frame, 5 * MINUTE, HOUR)
    assert total["time"].to_list() == [START, START + 5 * MINUTE, START + 10 * MINUTE]
    assert total["amount"].to_list() == [10, 15, 16]
    assert total["value_usd"].to_list() == [1000, 1490, 1590]
    assert total["coverage"].to_list() == [1, 1, 1]
    assert total["exchanges"].to_list() == [1, 2, 2]


def test_a_silent_venue_leaves_the_sum_and_lowers_the_coverage():
    frame = reports(
        (0, "binance", 10.0, 1000.0), (0, "bybit", 5.0, 500.0), (20, "binance", 11.0, 1100.0)
    )
    total = aggregate(frame, 10 * MINUTE, 10 * MINUTE)
    assert total["amount"].to_list() == [15, 15, 11]
    assert total["coverage"].to_list() == [1, 1, 0.5]
    assert total["exchanges"].to_list() == [2, 2, 1]


def test_a_sum_over_nothing_is_unknown():
    frame = reports((0, "binance", 10.0, 1000.0), (20, "binance", 11.0, 1100.0))
    silent = aggregate(frame, 10 * MINUTE, 5 * MINUTE).row(1, named=True)
    assert silent["amount"] is None
    assert silent["value_usd"] is None
    assert silent["coverage"] == 0
    assert silent["exchanges"] == 0


def test_each_measure_has_its_own_coverage():
    frame = reports((0, "binance", 10.0, 1000.0), (0, "gate", None, 500.0))
    (row,) = aggregate(frame, HOUR, HOUR).iter_rows(named=True)
    assert (row["amount"], row["coverage"]) == (10, 0.5)
    assert (row["value_usd"], row["coverage_usd"]) == (1500, 1)
    assert (row["markets"], row["exchanges"]) == (2, 2)


def test_markets_of_one_exchange_count_separately():
    frame = reports((0, "binance", 10.0, 1000.0), (0, "binance", 2.0, 200.0)).with_columns(
        symbol=pl.Series(["BTC/USDT:USDT", "BTC/USD:BTC"])
    )
    (row,) = aggregate(frame, HOUR, HOUR).iter_rows(named=True)
    assert (row["amount"], row["markets"], row["exchanges"]) == (12, 2, 1)


def test_coins_are_not_added_to_other_coins():
    frame = reports((0, "binance", 10.0, 1000.0), (0, "bybit", 2.0, 200.0)).with_columns(
        symbol=pl.Series(["BTC/USDT:USDT", "ETH/USDT:USDT"])
    )
    with pytest.raises(ValueError, match="BTC, ETH cannot be added"):
        aggregate(frame, HOUR, HOUR)
    nothing = frame.with_columns(amount=pl.lit(None, pl.Float64))
    (row,) = aggregate(nothing, HOUR, HOUR).iter_rows(named=True)
    assert (row["amount"], row["value_usd"], row["markets"]) == (None, 1200, 2)


def test_a_report_counts_from_the_moment_it_was_known():
    frame = reports((0, "binance", 10.0, 1000.0), (10, "binance", 20.0, 2000.0))
    late = frame.with_columns(
        known_at=pl.Series([START, START + 20 * MINUTE], dtype=SCHEMA["time"])
    )
    assert aggregate(late, 10 * MINUTE, HOUR)["amount"].to_list() == [10, 10, 20]


def test_a_report_that_arrives_after_a_newer_one_is_passed_over():
    frame = reports(
        (0, "binance", 10.0, 1000.0), (10, "binance", 20.0, 2000.0), (5, "binance", 15.0, 1500.0)
    )
    known = [START + minutes * MINUTE for minutes in (0, 10, 20)]
    late = frame.with_columns(known_at=pl.Series(known, dtype=SCHEMA["time"]))
    assert aggregate(late, 10 * MINUTE, HOUR)["amount"].to_list() == [10, 20, 20]


def test_age_is_counted_from_the_fact_and_not_from_its_arrival():
    frame = reports((0, "binance", 10.0, 1000.0)).with_columns(
        known_at=pl.Series([START + 30 * MINUTE], dtype=SCHEMA["time"])
    )
    assert aggregate(frame, 30 * MINUTE, 20 * MINUTE)["amount"].to_list() == [None]


def test_nothing_gives_nothing():
    empty = reports()
    assert aggregate(empty, HOUR, HOUR).height == 0


histories = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.sampled_from(["binance", "bybit", "okx"]),
        st.floats(0, 1e6) | st.none(),
        st.floats(0, 1e9) | st.none(),
    ),
    min_size=1,
    max_size=25,
    unique_by=lambda row: row[:2],
)


@given(histories)
@settings(max_examples=60)
def test_the_sum_is_that_of_a_plain_search(rows):
    total = aggregate(reports(*rows), 7 * MINUTE, 15 * MINUTE)
    for row in total.iter_rows(named=True):
        minute = (row["time"] - START) // MINUTE
        ever = {exchange for at, exchange, *_ in rows if at <= minute}
        last = {
            name: max((r for r in rows if r[1] == name and r[0] <= minute), key=lambda r: r[0])
            for name in ever
        }
        fresh = [r[2] for r in last.values() if minute - r[0] <= 15 and r[2] is not None]
        assert row["coverage"] == pytest.approx(len(fresh) / len(ever))
        assert row["amount"] == (pytest.approx(sum(fresh), abs=1e-6) if fresh else None)


@given(histories, st.integers(0, 120))
@settings(max_examples=60)
def test_cutting_off_the_future_changes_nothing_before_it(rows, cut):
    past = [row for row in rows if row[0] <= cut]
    then = START + cut * MINUTE
    for measure in (snapshots, aggregate):
        full = measure(reports(*rows), 7 * MINUTE, 15 * MINUTE)
        seen = measure(reports(*past), 7 * MINUTE, 15 * MINUTE)
        assert full.filter(pl.col("time") <= then).head(seen.height).equals(seen)


def test_change_is_in_coins_and_as_a_fraction():
    frame = reports((0, "binance", 10.0, None), (60, "binance", 12.0, None))
    changed = change(frame, HOUR)
    assert changed["change"].to_list() == [None, 2]
    assert changed["relative_change"].to_list() == [None, pytest.approx(0.2)]
    assert changed.columns == [*frame.columns, "change", "relative_change"]


def test_change_across_another_coverage_is_unknown():
    frame = reports(
        (0, "binance", 10.0, None), (0, "bybit", 5.0, None), (60, "binance", 10.0, None)
    )
    assert change(aggregate(frame, HOUR, 30 * MINUTE), HOUR)["change"].to_list() == [None, None]


def test_change_when_a_venue_joins_is_unknown():
    frame = reports(
        (0, "binance", 10.0, None), (60, "binance", 10.0, None), (60, "bybit", 5.0, None)
    )
    total = aggregate(frame, HOUR, HOUR)
    assert total["coverage"].to_list() == [1, 1]
    assert change(total, HOUR)["change"].to_list() == [None, None]


def test_change_keeps_markets_apart():
    frame = reports(
        (0, "binance", 10.0, None),
        (0, "bybit", 100.0, None),
        (60, "binance", 11.0, None),
        (60, "bybit", 90.0, None),
    )
    assert change(frame, HOUR)["change"].to_list() == [None, None, 1, -10]


def test_robust_z_of_the_textbook_sample():
    assert robust_z(OUTLIER, 5)[-1] == pytest.approx(ROBUST_Z, abs=0.005)


thousandths = st.integers(-(10**9), 10**9).map(lambda number: number / 1_000)


@given(
    st.lists(thousandths | st.just(float("nan")), min_size=5, max_size=40),
    st.integers(3, 9),
)
def test_robust_z_is_that_of_each_window(values, window):
    scores = robust_z(values, window)
    for index, score in enumerate(scores):
        sample = np.array(values[max(0, index + 1 - window) : index + 1])
        known = sample[~np.isnan(sample)]
        if index + 1 < window or 2 * known.size < window or np.isnan(values[index]):
            assert np.isnan(score)
            continue
        spread = 1.4826 * stats.median_abs_deviation(known)
        if spread == 0:
            spread = 1.2533 * np.abs(known - np.median(known)).mean()
        if spread == 0:
            assert np.isnan(score)
        else:
            assert score == pytest.approx((values[index] - np.median(known)) / spread, rel=1e-9)


def test_robust_z_falls_back_to_the_mean_deviation_and_then_to_nothing():
    # Four fives and a ten: the mean deviation is 1, so 5 / 1.2533.
    assert robust_z([5, 5, 5, 5, 10], 5)[-1] == pytest.approx(5 / 1.2533)
    assert np.isnan(robust_z([5, 5, 5, 5, 5], 5)[-1])


def test_robust_z_never_looks_ahead():
    values = np.random.default_rng(1).normal(size=50)
    assert np.array_equal(robust_z(values, 9)[:30], robust_z(values[:30], 9), equal_nan=True)


def test_robust_z_needs_a_window_with_a_spread():
    with pytest.raises(ValueError, match="a window of 2 has no spread"):
        robust_z([1, 2, 3], 2)


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="the market data beside the repository is absent")
def test_real_open_interest_is_read_off_unchanged_where_one_venue_reports():
    frame = pl.read_parquet(SHARED / "real" / "open_interest_5m_binance.parquet").filter(
        pl.col("symbol") == "BTC/USDT:USDT"
    )
    total = aggregate(frame, HOUR, 5 * MINUTE)
    hourly = frame.filter(pl.col("time").dt.minute() == 0).sort("time")
    assert total["time"].to_list() == hourly["time"].to_list()
    assert total["amount"].to_list() == hourly["amount"].to_list()
    assert total["coverage"].min() == 1
