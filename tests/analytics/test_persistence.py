"""How long funding stays as it is."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from plimsoll.analytics.funding import settlement_interval
from plimsoll.analytics.persistence import (
    autocorrelation,
    half_life,
    interval_changes,
    persistence,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIME = pl.Datetime("us", "UTC")


def settled(hours, rates, exchange="binance", symbol="BTC/USDT:USDT"):
    return settlement_interval(
        pl.DataFrame(
            {
                "time": pl.Series([START + hour * HOUR for hour in hours], dtype=TIME),
                "exchange": pl.Series([exchange] * len(rates), dtype=pl.String),
                "symbol": pl.Series([symbol] * len(rates), dtype=pl.String),
                "rate": pl.Series(rates, dtype=pl.Float64),
            }
        )
    )


def only(frame):
    assert frame.height == 1
    return frame.row(0, named=True)


def test_shares_are_counted():
    rates = [0.0001, 0.0001, 0.0002, -0.0003, 0.0, -0.0001, -0.0001, 0.0001]
    row = only(persistence(settled(range(0, 64, 8), rates)))
    assert (row["settlements"], row["interval_hours"], row["interval_changes"]) == (8, 8, 0)
    assert (row["positive"], row["negative"], row["at_neutral"]) == (0.5, 3 / 8, 3 / 8)
    assert row["longest_streak"] == 3
    # The rates sum to zero over 64 hours.
    assert row["mean_apr"] == pytest.approx(0, abs=1e-12)
    assert row["at_cap"] is None
    assert row["half_life_hours"] is None
    assert row["reason"].startswith("fewer than 30 pairs")


def test_neutral_is_of_the_exchange_the_market_and_the_interval():
    hours = range(0, 32, 4)
    assert only(persistence(settled(hours, [0.00005] * 8)))["at_neutral"] == 1
    assert only(persistence(settled(hours, [0.00005] * 8, "deribit")))["at_neutral"] == 0
    assert only(persistence(settled(hours, [0.0] * 8, "deribit")))["at_neutral"] == 1
    bnb = persistence(settled(hours, [0.0] * 8, symbol="BNB/USDT:USDT"))
    assert only(bnb)["at_neutral"] == 1
    assert only(persistence(settled(hours, [0.00005] * 8, "kraken")))["at_neutral"] is None


def test_an_extreme_that_repeats_is_a_cap():
    rates = [0.00375, 0.0001, -0.00375, 0.00375, 0.002, 0.0001, 0.00375, -0.00375, 0.0, -0.00375]
    assert only(persistence(settled(range(0, 80, 8), rates)))["at_cap"] == 0.6
    # The neutral rate is the highest of a quiet market, and no cap.
    quiet = persistence(settled(range(0, 80, 8), [0.0001] * 8 + [0.00002, 0.00003]))
    assert only(quiet)["at_cap"] is None
    below = persistence(settled(range(0, 80, 8), [0.0001] * 6 + [0.00009] * 3 + [0.00002]))
    assert only(below)["at_cap"] is None


def test_the_mean_is_weighted_by_time():
    # 8 hours at 0.08 %, then four settlements of 2 hours at 0.01 %: 0.0012 of 24 hours.
    frame = settled([0, 8, 16, 18, 20, 22, 24], [0.0008, 0.0008, 0.0008, *[0.0001] * 4])
    row = only(persistence(frame))
    assert row["interval_changes"] == 1
    assert row["mean_apr"] == pytest.approx((3 * 0.0008 + 4 * 0.0001) / (3 * 8 + 4 * 2) * 8760)


def test_changes_of_interval_are_told():
    frame = settled([0, 8, 16, 20, 24, 28, 30, 32], [0.0001] * 8)
    changes = interval_changes(frame)
    assert changes.select("time", "interval_before", "interval_hours").rows() == [
        (START + 20 * HOUR, 8, 4),
        (START + 30 * HOUR, 4, 2),
    ]


@given(st.lists(st.floats(-1, 1), min_size=40, max_size=80))
def test_the_autocorrelation_is_a_regression_slope(values):
    series = np.round(np.array(values), 6)
    if np.ptp(series[:-1]) < 1e-3:
        assert math.isnan(autocorrelation(np.zeros(50)))
        return
    slope = stats.linregress(series[:-1], series[1:]).slope
    assert autocorrelation(series) == pytest.approx(slope, abs=1e-9)


def test_the_half_life_of_a_simulated_process():
    draw = np.random.default_rng(7)
    values = np.zeros(20_000)
    for n in range(1, values.size):
        values[n] = 0.8 * values[n - 1] + draw.normal()
    # The standard error of the slope is √((1 - 0.64) / 20,000) = 0.0042.
    kept = autocorrelation(values)
    assert kept == pytest.approx(0.8, abs=0.017)
    assert (
        half_life(0.8)
        == pytest.approx(math.log(0.5) / math.log(0.8))
        == pytest.approx(3.1063, abs=1e-4)
    )


@pytest.mark.parametrize("kept", [0.0, -0.3, 1.0, 1.2, math.nan])
def test_what_does_not_decay_has_no_half_life(kept):
    assert math.isnan(half_life(kept))


def test_pairs_lie_within_one_interval_and_beside_each_other():
    """A hole and a change of interval make no pair."""
    values = np.tile([1.0, 2.0, 3.0], 20)
    follows = np.ones(60, dtype=bool)
    follows[30] = False
    slope = stats.linregress(np.delete(values[:-1], 29), np.delete(values[1:], 29)).slope
    assert autocorrelation(values, follows) == pytest.approx(slope)
    draw = np.random.default_rng(1)
    rates = draw.normal(0, 1e-4, 60)
    straight = persistence(settled(range(0, 480, 8), rates))
    holed = [*range(0, 240, 8), *range(800, 1040, 8)]
    assert (
        only(straight)["autocorrelation"]
        != only(persistence(settled(holed, rates)))["autocorrelation"]
    )
    alone = stats.linregress(np.delete(rates[:-1], 29), np.delete(rates[1:], 29)).slope
    found = only(persistence(settled(holed, rates)))["autocorrelation"]
    assert found == pytest.approx(alone)


def test_half_lives_are_in_hours():
    draw = np.random.default_rng(3)
    rates = np.zeros(400)
    for n in range(1, 400):
        rates[n] = 0.7 * rates[n - 1] + draw.normal(0, 1e-4)
    daily, hourly = (
        only(persistence(settled(range(0, 400 * step, step), rates))) for step in (8, 1)
    )
    assert daily["half_life_hours"] == pytest.approx(8 * hourly["half_life_hours"])
    assert daily["reason"] is None


def test_one_settlement_has_no_interval():
    row = only(persistence(settled([0], [0.0001])))
    assert (row["interval_hours"], row["mean_apr"]) == (None, None)
    assert row["reason"] == "one settlement says no interval"


def test_years_are_told_apart():
    rates = [0.0001] * 6 + [-0.0001] * 6
    frame = settled(range(-48, 48, 8), rates)
    years = persistence(frame, by_year=True)
    assert years["year"].to_list() == [2025, 2026]
    assert years["positive"].to_list() == [1, 0]
    assert persistence(frame)["year"].to_list() == [None]
