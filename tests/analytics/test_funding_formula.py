"""How rates are made of premiums, against exchanges' own examples and a real history."""

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.funding import apr, compounded, cumulative
from plimsoll.analytics.funding_formula import (
    FORMULAS,
    NEUTRAL,
    Formula,
    average_premium,
    neutral,
    predicted,
    premium_index,
    rate,
)
from truths import carry as truths

CLAMPED = ("binance", "bybit", "gate", "bitget", "bitmex", "htx", "kucoin", "okx", "hyperliquid")
PREMIUMS = st.floats(-0.1, 0.1)
MADE = st.builds(
    Formula,
    interest=st.sampled_from([0.0, 0.0001]),
    band=st.sampled_from([0.0, 0.00025, 0.0005]),
    cap=st.sampled_from([None, 0.003, 0.02]),
)


@pytest.mark.parametrize("exchange", CLAMPED)
@pytest.mark.parametrize(("premium", "settled"), truths.CLAMPED)
def test_the_clamped_formula(exchange, premium, settled):
    assert rate(premium, FORMULAS[exchange]) == pytest.approx(settled, abs=1e-15)


@pytest.mark.parametrize(("premium", "settled"), truths.DERIBIT)
def test_deribits_damper(premium, settled):
    assert rate(premium, FORMULAS["deribit"]) == pytest.approx(settled, abs=1e-15)


@given(PREMIUMS)
def test_deribits_own_words_are_the_same_formula(premium):
    stated = max(0.00025, premium) + min(-0.00025, premium)
    assert rate(premium, FORMULAS["deribit"]) == pytest.approx(stated, abs=1e-15)


def test_hyperliquids_example():
    formula, premium = FORMULAS["hyperliquid"], truths.HYPERLIQUID_PREMIUM
    assert rate(premium, formula) == pytest.approx(truths.HYPERLIQUID_EIGHT_HOURS, abs=1e-15)
    hourly = rate(premium, formula, 1.0)
    assert hourly == pytest.approx(truths.HYPERLIQUID_HOUR, abs=1e-15)
    assert cumulative([hourly], 10 * 10_000)[0] == pytest.approx(truths.HYPERLIQUID_DOLLARS)


def test_hyperliquid_takes_no_more_than_four_percent_an_hour():
    formula = FORMULAS["hyperliquid"]
    assert rate(1.0, formula, 1.0) == pytest.approx(0.04)
    assert rate(-1.0, formula, 1.0) == pytest.approx(-0.04)


def test_dydx_and_the_old_okx_settle_the_premium_itself():
    assert rate(0.0008, FORMULAS["dydx"], 1.0) == pytest.approx(0.0001)


def test_a_year_of_rest():
    settled = rate(0.0, FORMULAS["binance"])
    assert apr(settled, 8.0) == pytest.approx(truths.NEUTRAL_SIMPLE) == NEUTRAL["binance"]
    assert round(compounded(settled, 8.0), 5) == truths.NEUTRAL_COMPOUNDED
    assert apr(settled, 4.0) == pytest.approx(truths.NEUTRAL_IN_FOUR_HOURS)
    assert NEUTRAL["deribit"] == 0
    assert "dydx" not in NEUTRAL


@given(PREMIUMS, MADE, st.sampled_from([1.0, 2.0, 4.0, 8.0]))
def test_an_interval_settles_its_share_of_eight_hours(premium, formula, hours):
    whole = rate(premium, formula)
    assert rate(premium, formula, hours) * 8 / hours == pytest.approx(whole, abs=1e-15)


@given(PREMIUMS, PREMIUMS, MADE)
def test_a_rate_rises_with_the_premium_never_faster_and_within_its_cap(one, other, formula):
    low, high = sorted((one, other))
    below, above = rate(low, formula), rate(high, formula)
    assert below <= above + 1e-15
    assert above - below <= high - low + 1e-15
    if formula.cap is not None:
        assert abs(above) <= formula.cap


@given(st.floats(-0.00049, 0.00049))
def test_within_the_band_the_premium_says_nothing(distance):
    assert rate(0.0001 + distance, FORMULAS["bybit"]) == pytest.approx(0.0001, abs=1e-15)


def test_arrays_series_and_expressions_are_taken_alike():
    premiums, rates = zip(*truths.CLAMPED, strict=True)
    formula = FORMULAS["gate"]
    assert rate(np.array(premiums), formula) == pytest.approx(np.array(rates), abs=1e-15)
    assert rate(pl.Series(premiums), formula).to_list() == pytest.approx(rates, abs=1e-15)
    frame = pl.DataFrame({"p": premiums}).select(rate(pl.col("p"), formula))
    assert frame["p"].to_list() == pytest.approx(rates, abs=1e-15)


@pytest.mark.parametrize(
    ("bid", "ask", "premium"),
    [(101, 102, 0.01), (98, 99, -0.01), (99, 101, 0.0), (100, 100, 0.0)],
)
def test_the_premium_index(bid, ask, premium):
    # [max(0, bid - 100) - max(0, 100 - ask)] / 100, by hand.
    assert premium_index(float(bid), float(ask), 100.0) == pytest.approx(premium)


def test_the_mean_premium_of_bybits_weights():
    # (1·1 + 2·2 + 3·6) / (1 + 2 + 3), by hand.
    assert average_premium([1, 2, 6], rising=True) == pytest.approx(23 / 6)
    assert average_premium([1, 2, 6]) == 3
    # Without the second: (1·1 + 3·6) / (1 + 3).
    assert average_premium([1, math.nan, 6], rising=True) == pytest.approx(19 / 4)
    assert math.isnan(average_premium([math.nan]))
    assert math.isnan(average_premium([]))


def test_a_prediction_weighs_by_time():
    gate, bybit = FORMULAS["gate"], FORMULAS["bybit"]
    # A quarter of the interval at 0.4 %, and now 0 %: 0.1 %, less 0.05 %.
    assert predicted(0.004, 0.0, 0.25, gate) == pytest.approx(0.0005)
    # Where later minutes weigh more a quarter has a sixteenth: 0.025 %, within the band.
    assert predicted(0.004, 0.0, 0.25, bybit) == pytest.approx(0.0001)
    assert predicted(0.004, 0.0, 1.0, gate) == pytest.approx(rate(0.004, gate))
    assert predicted(0.004, 0.001, 0.0, gate) == pytest.approx(rate(0.001, gate))


@given(st.lists(st.floats(-0.01, 0.01), min_size=4, max_size=40), st.booleans(), st.data())
def test_a_prediction_comes_true_if_the_premium_stays(premiums, rising, data):
    """What is predicted part of the way equals the mean once the rest has come, unchanged."""
    known = data.draw(st.integers(1, len(premiums)))
    now, total = premiums[known - 1], len(premiums)
    whole = [*premiums[:known], *[now] * (total - known)]
    formula = Formula(rising=rising)
    settled = rate(average_premium(whole, rising=rising), formula)
    passed = known / total if not rising else math.sqrt(known * (known + 1) / (total * (total + 1)))
    average = average_premium(premiums[:known], rising=rising)
    assert predicted(average, now, passed, formula) == pytest.approx(settled, abs=1e-14)


def test_okx_changed_its_formula_in_april_2025():
    frame = pl.DataFrame(
        {
            "time": [datetime(2025, 4, day, tzinfo=UTC) for day in (9, 12, 25)],
            "exchange": "okx",
            "symbol": "BTC/USDT:USDT",
        }
    )
    assert frame.select(neutral())["neutral"].to_list() == [0.0, None, 0.1095]


@pytest.mark.real
def test_every_rate_of_hyperliquid_follows_from_its_premium(real):
    history = pl.read_parquet(real / "funding_hyperliquid_btc.parquet")
    made = rate(history["premium"], FORMULAS["hyperliquid"], 1.0)
    # Premiums and rates are told to ten places; half of the last one is what may differ.
    assert history.height == 20_152
    assert (made - history["rate"]).abs().max() < 6e-11
