"""Options on a forward: prices, greeks, and the volatility a price implies."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vollib import lets_be_rational

from plimsoll.analytics import black
from truths import black as truths

NAN = math.nan
prices = st.floats(1e-3, 1e6)
moneyness = st.floats(-1, 1)
times = st.floats(1 / 8760, 3)
volatilities = st.floats(0.05, 4)
calls = st.booleans()


def jaeckel(price, forward, strike, years, is_call):
    """What vollib's own transcription of Jäckel's algorithm finds, one by one."""
    solve = lets_be_rational.implied_volatility_from_a_transformed_rational_guess
    sign = np.where(is_call, 1.0, -1.0)
    rows = zip(price, forward, strike, years, sign, strict=True)
    return np.array([solve(*map(float, row)) for row in rows])


def test_a_month_s_call_is_priced_as_quantlib_prices_it():
    price = black.price(*truths.MONTH)
    assert float(price) == pytest.approx(truths.MONTH_PRICE, abs=5e-7)
    assert float(black.in_coin(price, 60_000)) == pytest.approx(truths.MONTH_COIN, abs=5e-8)


def test_call_and_put_keep_parity_in_coin_and_in_quote_units():
    call, put = black.price(*truths.MONTH[:4], [True, False])
    coin_call, coin_put = black.in_coin([call, put], 60_000)
    assert coin_put == pytest.approx(truths.MONTH_PUT_COIN, abs=5e-8)
    assert coin_call - coin_put == pytest.approx(truths.MONTH_PARITY, abs=5e-8)
    assert coin_call - coin_put == pytest.approx(1 - 65_000 / 60_000, rel=1e-12)
    assert call - put == pytest.approx(60_000 - 65_000, rel=1e-12)


def test_the_month_s_greeks():
    assert float(black.delta(*truths.MONTH)) == pytest.approx(truths.MONTH_DELTA, abs=5e-7)
    adjusted = float(black.delta(*truths.MONTH, premium_adjusted=True))
    assert adjusted == pytest.approx(truths.MONTH_DELTA_PREMIUM_ADJUSTED, abs=5e-7)
    assert adjusted == pytest.approx(truths.MONTH_DELTA - truths.MONTH_COIN, abs=1e-6)
    assert float(black.gamma(*truths.MONTH[:4])) == pytest.approx(truths.MONTH_GAMMA, abs=5e-12)
    found = float(black.elasticity(*truths.MONTH))
    assert found == pytest.approx(truths.MONTH_ELASTICITY, abs=5e-5)


def test_gamma_a_week_from_expiry():
    assert float(black.gamma(*truths.WEEK[:4])) == pytest.approx(truths.WEEK_GAMMA, abs=5e-12)


def test_the_greeks_of_py_vollib():
    """Those discount: price, delta, gamma, vega by exp(-rT), theta by that less what r earns."""
    option, rate = truths.HULL, truths.HULL_RATE
    discount = math.exp(-rate * option.years)
    assert discount * float(black.delta(*option)) == pytest.approx(truths.HULL_DELTA, abs=1e-15)
    gamma, vega = (discount * float(one(*option[:4])) for one in (black.gamma, black.vega))
    assert gamma == pytest.approx(truths.HULL_GAMMA, abs=5e-14)
    assert vega == pytest.approx(truths.HULL_VEGA, abs=5e-13)
    decay = float(black.theta(*option[:4]))
    for is_call, wanted in ((True, truths.HULL_THETA_CALL), (False, truths.HULL_THETA_PUT)):
        earned = rate * float(black.price(*option[:4], is_call)) / 365
        assert discount * (decay + earned) == pytest.approx(wanted, abs=5e-15)


def test_a_price_of_py_vollib():
    discount = math.exp(-truths.CENTURY_RATE * truths.CENTURY.years)
    found = discount * float(black.price(*truths.CENTURY))
    assert found == pytest.approx(truths.CENTURY_PRICE, abs=2e-14)


def test_the_month_s_volatility_comes_back():
    found = float(black.implied_volatility(truths.MONTH_PRICE, *truths.MONTH[:3], True))
    assert found == pytest.approx(0.6, abs=1e-9)


def test_a_grid_of_options_against_jaeckel():
    """Where a rounding of the price moves volatility by less than 1e-11."""
    random = np.random.default_rng(20_261_126)
    size = 20_000
    forward = np.exp(random.uniform(-3, 12, size))
    strike = forward * np.exp(random.normal(0, 0.5, size))
    years = np.exp(random.uniform(np.log(1 / 8760), np.log(3), size))
    volatility = np.exp(random.uniform(np.log(0.05), np.log(5), size))
    is_call = random.random(size) < 0.5
    price = black.price(forward, strike, years, volatility, is_call)
    vega = 100 * black.vega(forward, strike, years, volatility)
    posed = (price > 1e-250) & (2 * np.spacing(price) < 1e-11 * vega)
    assert posed.mean() > 0.5
    options = tuple(one[posed] for one in (price, forward, strike, years, is_call))
    found = black.implied_volatility(*options)
    assert np.abs(found - jaeckel(*options)).max() <= 1e-10
    assert (black.why_none(*options) == "").all()


@given(prices, moneyness, times, volatilities)
def test_parity(forward, log_strike, years, volatility):
    strike = forward * math.exp(log_strike)
    call, put = black.price(forward, strike, years, volatility, [True, False])
    assert call - put == pytest.approx(forward - strike, abs=1e-12 * (forward + strike))
    forwards = [
        black.parity_forward(call / forward, put / forward, strike, inverse=True),
        black.parity_forward(call, put, strike, inverse=False),
    ]
    assert np.allclose(forwards, forward, rtol=1e-9)


@given(prices, moneyness, times, volatilities, calls, st.floats(1.001, 2))
def test_a_price_rises_with_volatility_within_its_bounds(
    forward, log_strike, years, volatility, is_call, more
):
    strike = forward * math.exp(log_strike)
    low, high = black.price(forward, strike, years, [volatility, more * volatility], is_call)
    intrinsic = max(0.0, forward - strike if is_call else strike - forward)
    slack = 1e-12 * (forward + strike)
    assert intrinsic - slack <= low <= high + slack
    assert high <= (forward if is_call else strike)


@given(prices, moneyness, times, volatilities, calls)
def test_a_call_falls_and_a_put_rises_with_the_strike(
    forward, log_strike, years, volatility, is_call
):
    strike = forward * math.exp(log_strike)
    near, far = black.price(forward, [strike, 1.01 * strike], years, volatility, is_call)
    assert (near - far) * (1 if is_call else -1) >= -1e-12 * (forward + strike)


@given(prices, moneyness, times, volatilities, calls, st.floats(1e-3, 1e3))
def test_prices_scale_with_the_currency_and_deltas_do_not(
    forward, log_strike, years, volatility, is_call, scale
):
    strike = forward * math.exp(log_strike)
    here = (forward, strike, years, volatility, is_call)
    there = (scale * forward, scale * strike, years, volatility, is_call)
    slack = 1e-12 * scale * (forward + strike)
    assert black.price(*there) == pytest.approx(scale * black.price(*here), abs=slack)
    assert black.delta(*there) == pytest.approx(black.delta(*here), abs=1e-12)


@given(moneyness, times, volatilities, calls)
def test_greeks_are_the_slopes_of_the_price(log_strike, years, volatility, is_call):
    """Against central differences, whose own error is the bound."""
    forward, strike, step = 1.0, math.exp(log_strike), 1e-5 * min(1.0, volatility * years**0.5)

    def slope(below, above, width):
        return (black.price(*above, is_call) - black.price(*below, is_call)) / width

    here = (forward, strike, years, volatility)
    moved = ((forward - step, *here[1:]), (forward + step, *here[1:]))
    assert float(black.delta(*here, is_call)) == pytest.approx(
        float(slope(*moved, 2 * step)), abs=1e-6
    )
    deltas = [float(black.delta(*one, is_call)) for one in moved]
    gamma = (deltas[1] - deltas[0]) / (2 * step)
    assert float(black.gamma(*here)) == pytest.approx(gamma, rel=1e-4, abs=1e-6)
    small = 1e-5 * volatility
    vega = slope((*here[:3], volatility - small), (*here[:3], volatility + small), 2 * small)
    assert 100 * float(black.vega(*here)) == pytest.approx(float(vega), abs=1e-6)
    short = 1e-5 * years
    longer = (forward, strike, years + short, volatility)
    shorter = (forward, strike, years - short, volatility)
    decay = slope(longer, shorter, 2 * short)
    assert 365 * float(black.theta(*here)) == pytest.approx(float(decay), rel=1e-5, abs=1e-4)


@given(prices, moneyness, times, volatilities, calls)
def test_volatility_comes_back_where_the_price_tells_it(
    forward, log_strike, years, volatility, is_call
):
    strike = forward * math.exp(log_strike)
    price = float(black.price(forward, strike, years, volatility, is_call))
    vega = 100 * float(black.vega(forward, strike, years, volatility))
    if 4 * np.spacing(forward + strike) < 1e-9 * vega:
        found = black.implied_volatility(price, forward, strike, years, is_call)
        assert float(found) == pytest.approx(volatility, abs=1e-9)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ((NAN, 100, 100, 0.5, True), "the price is missing"),
        ((0.0, 100, 120, 0.5, True), "the price is zero"),
        ((-1.0, 100, 120, 0.5, True), "the price is negative"),
        ((9.0, 110, 100, 0.5, True), "the price is below intrinsic value"),
        ((10.0, 110, 100, 0.5, True), "the price is intrinsic value alone"),
        ((100.0, 100, 120, 0.5, True), "the price is at the bound or above"),
        ((120.0, 100, 120, 0.5, False), "the price is at the bound or above"),
        ((5.0, NAN, 120, 0.5, True), "the forward is missing"),
        ((5.0, 0.0, 120, 0.5, True), "the forward is missing"),
        ((5.0, 100, 0.0, 0.5, True), "the strike is not above zero"),
        ((5.0, 100, 120, 0.0, True), "the option has expired"),
        ((5.0, 100, 120, -0.5, True), "the option has expired"),
        ((5.0, 100, 120, NAN, True), "the option has expired"),
    ],
)
def test_where_there_is_no_volatility_the_reason_is_said(option, reason):
    assert math.isnan(black.implied_volatility(*option))
    assert black.why_none(*option) == reason


def test_a_bad_row_spoils_no_other():
    found = black.implied_volatility([5.0, NAN, 5.0], [100, 100, NAN], 120, 0.5, True)
    assert np.isnan(found).tolist() == [False, True, True]


def test_unusable_inputs_give_no_greeks():
    bad = [(NAN, 100, 1, 0.5), (100, -1, 1, 0.5), (100, 100, -1, 0.5), (100, 100, 1, 0)]
    for option in bad:
        for greek in (black.gamma, black.vega, black.theta):
            assert math.isnan(greek(*option))
        for greek in (black.price, black.delta, black.elasticity):
            assert math.isnan(greek(*option, True))


def test_crossed_prices_have_no_forward():
    assert math.isnan(black.parity_forward(1.2, 0.1, 100, inverse=True))
    assert math.isnan(black.parity_forward(0.0, 120.0, 100, inverse=False))
    assert math.isnan(black.parity_forward(NAN, 0.1, 100, inverse=True))


def test_years_end_at_eight_in_the_morning():
    time = np.datetime64("2026-01-01T08:00", "us")
    assert float(black.years(time, np.datetime64("2026-12-25"))) == 358 / 365
    assert float(black.years(time, np.datetime64("2026-01-02T08:00", "s"))) == 1 / 365
    stamps = pl.Series([datetime(2026, 1, 1, 20, tzinfo=UTC)])
    assert black.years(stamps, np.datetime64("2026-01-02")).tolist() == [0.5 / 365]


def test_the_last_hour_counts_whole_and_what_is_past_does_not_count():
    end = np.datetime64("2026-01-02T08:00", "s")
    seconds = np.array([7200, 3600, 1800, 1, 0, -1]).astype("timedelta64[s]")
    found = black.years(end - seconds, end) * 8760
    assert found[:4] == pytest.approx([2, 1, 1, 1])
    assert np.isnan(found[4:]).all()


def test_numbers_are_no_stamps():
    with pytest.raises(TypeError, match="give datetime64 in UTC"):
        black.years(1.0, np.datetime64("2026-01-02"))
