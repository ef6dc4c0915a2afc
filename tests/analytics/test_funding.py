"""Funding: intervals read from real stamps, and rates in one unit."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.analytics.funding import (
    apr,
    compounded,
    cumulative,
    excess,
    history,
    percentile,
    settlement_interval,
    streak,
    ties,
)

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIME = pl.Datetime("us", "UTC")
NAN = float("nan")


def settlements(hours, rates=None, exchange="binance"):
    return pl.DataFrame(
        {
            "time": pl.Series([START + hour * HOUR for hour in hours], dtype=TIME),
            "exchange": pl.Series([exchange] * len(hours), dtype=pl.String),
            "symbol": pl.Series(["BTC/USDT:USDT"] * len(hours), dtype=pl.String),
            "rate": pl.Series(rates or [0.0001] * len(hours), dtype=pl.Float64),
        }
    )


def intervals(hours):
    return settlement_interval(settlements(hours))["interval_hours"].to_list()


@pytest.mark.parametrize("interval", [1, 2, 4, 8])
def test_a_steady_interval_holds_for_every_row(interval):
    assert intervals(range(0, 10 * interval, interval)) == [interval] * 10


def test_real_changes_of_interval_are_kept():
    hours = [0, 8, 16, 24, 28, 32, 36, 38, 40, 42, 43, 44, 45]
    assert intervals(hours) == [8, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1]


@pytest.mark.parametrize("odd", [[10, 16], [5, 8], [11, 16], [6, 16], [9, 16], [3, 8]])
def test_a_settlement_out_of_turn_takes_the_prevailing_interval(odd):
    # HTX settled 3 to 11 hours after the last, and was back in step with the next.
    hours = [-24, -16, -8, 0, *odd, 24, 32, 40]
    assert set(intervals(hours)) == {8}


def test_a_missing_settlement_is_no_change():
    assert intervals([0, 1, 2, 4, 5, 6]) == [1] * 6
    assert intervals([0, 4, 8, 16, 20, 24]) == [4] * 6


def test_a_hole_of_months_is_no_interval():
    assert intervals([0, 8, 16, 768, 776, 784]) == [8] * 6


def test_the_first_row_after_a_hole_takes_the_next_step():
    assert intervals([0, 2, 4, 6, 366, 374, 382]) == [2, 2, 2, 2, 8, 8, 8]


def test_stamps_that_are_late_are_rounded_to_the_hour():
    # Hyperliquid stamped one settlement a quarter of an hour late.
    hours = [0, 1.0002, 2.25, 3.03, 4, 5.00001]
    assert intervals(hours) == [1] * 6


def test_one_settlement_stamped_twice_is_one():
    assert intervals([0, 8, 8.001, 16, 24]) == [8] * 5


def test_markets_are_told_apart_and_rows_keep_their_order():
    frame = pl.concat([settlements([0, 8, 16]), settlements([0, 1, 2], exchange="dydx")])
    shuffled = frame[[4, 0, 5, 2, 1, 3]]
    read = settlement_interval(shuffled)
    assert read["interval_hours"].to_list() == [1, 8, 1, 8, 8, 1]
    assert read.drop("interval_hours").equals(shuffled)


def test_a_history_of_one_settlement_has_no_interval():
    assert intervals([0]) == [None]
    assert intervals([0, 8]) == [8, 8]
    assert intervals([]) == []


def test_predictions_keep_what_was_stated():
    frame = settlements([0, 8, 12, 16]).with_columns(
        interval_hours=pl.Series([1.0, 1.0, 4.0, 1.0]),
        status=pl.Series(["settled", "settled", "predicted", "settled"]),
    )
    assert settlement_interval(frame)["interval_hours"].to_list() == [8, 8, 4, 8]


@given(st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 8, 10, 24, 400]), min_size=4, max_size=40))
def test_later_settlements_change_only_the_newest_run(steps):
    hours = np.cumsum([0, *steps]).tolist()
    full = intervals(hours)
    for known in range(4, len(hours)):
        seen = intervals(hours[:known])
        # Two rows may still wait for the step that makes a run: the newest, and one that
        # opens the run. Before any run nothing else is to be had than a later one.
        runs = [i for i in range(1, known - 1) if steps[i - 1] == steps[i] in {1, 2, 4, 8}]
        since = runs[0] if runs else known
        assert seen[since : known - 2] == full[since : known - 2]


@pytest.mark.parametrize(("rate", "hours", "simple"), [(0.0001, 8.0, 0.1095), (0.0001, 4.0, 0.219)])
def test_annual_rates_are_simple(rate, hours, simple):
    assert apr(rate, hours) == pytest.approx(simple)


def test_compounding_is_for_display():
    # Hyperliquid's documentation calls 0.01% every eight hours 11.6% a year: (1.0001)^1095 - 1.
    assert compounded(0.0001, 8.0) == pytest.approx(0.11571, abs=5e-6)


def test_annual_rates_work_on_arrays_and_columns():
    rates, hours = np.array([0.0001, NAN]), np.array([8.0, 8.0])
    assert apr(rates, hours) == pytest.approx([0.1095, NAN], nan_ok=True)
    frame = pl.DataFrame({"rate": [0.0001, None], "hours": [8.0, 8.0]})
    both = frame.select(
        simple=apr(pl.col("rate"), pl.col("hours")),
        reinvested=compounded(pl.col("rate"), pl.col("hours")),
    )
    assert both["simple"].to_list() == [pytest.approx(0.1095), None]
    assert both["reinvested"].to_list() == [pytest.approx(0.11571, abs=5e-6), None]


def test_hyperliquid_example_of_a_payment():
    # Hyperliquid docs, "Funding": 0.11875% an hour on 10 BTC at an oracle price of 10,000.
    assert cumulative([0.0011875], notional=10 * 10_000) == pytest.approx([118.75])


def test_what_follows_an_unknown_payment_is_unknown():
    assert cumulative([0.1, NAN, 0.1]) == pytest.approx([0.1, NAN, NAN], nan_ok=True)


def test_a_streak_ends_at_a_change_of_sign_at_zero_and_at_the_unknown():
    rates = [0.1, 0.2, 0.3, -0.1, -0.1, 0.0, 0.0, -0.1, NAN, -0.1, 0.2]
    expected = [1, 2, 3, -1, -2, 0, 0, -1, NAN, -1, 1]
    assert streak(rates) == pytest.approx(expected, nan_ok=True)
    assert streak([]).size == 0


@given(st.lists(st.sampled_from([0.0, 0.0001, -0.0002, 0.0003, NAN]), max_size=30))
def test_percentile_is_the_mean_rank_among_values_so_far(values):
    shares = percentile(values)
    for index, value in enumerate(values):
        if np.isnan(value):
            assert np.isnan(shares[index])
            continue
        history = [v for v in values[: index + 1] if not np.isnan(v)]
        expected = stats.percentileofscore(history, value, kind="mean") / 100
        assert shares[index] == pytest.approx(expected)


@given(st.lists(st.floats(-1, 1), max_size=30), st.integers(1, 8))
def test_percentile_of_a_window_forgets_what_is_older(values, window):
    shares = percentile(values, window)
    for index in range(len(values)):
        recent = values[max(0, index + 1 - window) : index + 1]
        assert shares[index] == pytest.approx(percentile(recent)[-1])


def test_percentile_of_a_constant_is_the_middle():
    assert percentile([0.0001] * 4).tolist() == [0.5] * 4
    with pytest.raises(ValueError, match="one value or more, not 0"):
        percentile([1.0], 0)


def test_excess_is_over_where_the_venue_rests():
    frame = pl.DataFrame(
        {
            "time": [START] * 4,
            "symbol": ["BTC/USDT:USDT"] * 4,
            "exchange": ["binance", "deribit", "binance", "elsewhere"],
            "rate": [0.0001, 0.0, 0.0002, 0.0001],
            "interval_hours": [8.0] * 4,
        }
    )
    assert excess(frame)["excess"].to_list() == [
        pytest.approx(0, abs=1e-12),
        0,
        pytest.approx(0.1095),
        None,
    ]


def test_ties_count_what_is_equal_so_far():
    assert ties([0.1, 0.2, 0.1, NAN, 0.1]).tolist()[:3] == [1, 0.5, pytest.approx(2 / 3)]
    assert np.isnan(ties([0.1, NAN])[1])
    assert ties([0.1, NAN, 0.1])[2] == 1


def test_history_says_how_much_of_it_is_rest():
    told = history(settlements([0, 8, 16, 24], [0.0001, 0.0001, 0.0003, 0.0001]))
    assert told["ties"].to_list() == [1, 1, pytest.approx(1 / 3), 0.75]
    assert told["excess"].to_list() == pytest.approx([0, 0, 0.219, 0])


def real(name):
    return pl.read_parquet(SHARED / "real" / f"{name}.parquet")


needs_data = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the market data beside the repository is absent"
)


@pytest.mark.real
@needs_data
@pytest.mark.parametrize(
    ("name", "exchange", "symbol", "interval"),
    [
        ("funding_8h_binance_bitmex", "binance", "BTC/USDT:USDT", 8),
        ("funding_8h_binance_bitmex", "binance", "ETH/USDT:USDT", 8),
        ("funding_8h_binance_bitmex", "binance", "BNB/USDT:USDT", 8),
        ("funding_8h_binance_bitmex", "bitmex", "BTC/USD:BTC", 8),
        ("funding_seven_venues", "gate", "BTC/USDT:USDT", 8),
        ("funding_seven_venues", "htx", "BTC/USDT:USDT", 8),
        ("funding_seven_venues", "kucoin", "BTC/USDT:USDT", 8),
        ("funding_seven_venues", "dydx", "BTC/USD:USD", 1),
        ("funding_binance_bybit_2025", "bybit", "SOL/USDT:USDT", 8),
        ("funding_hyperliquid_btc", "hyperliquid", "BTC/USDC:USDC", 1),
    ],
)
def test_real_intervals_hold_on_every_row(name, exchange, symbol, interval):
    frame = real(name).filter(exchange=exchange, symbol=symbol)
    assert settlement_interval(frame)["interval_hours"].unique().to_list() == [interval]


@pytest.mark.real
@needs_data
def test_real_solana_settled_every_two_hours_in_november_2022():
    frame = real("funding_8h_binance_bitmex").filter(symbol="SOL/USDT:USDT").sort("time")
    runs = (
        settlement_interval(frame)
        .group_by(pl.col("interval_hours").rle_id().alias("run"), maintain_order=True)
        .agg(
            pl.col("interval_hours").first(),
            pl.len(),
            pl.col("time").first().dt.date().cast(pl.String).alias("since"),
        )
    )
    assert runs.drop("run").rows() == [
        (8, 2360, "2020-09-14"),
        (4, 3, "2022-11-09"),
        (2, 70, "2022-11-10"),
        (8, 1415, "2022-12-01"),
    ]
