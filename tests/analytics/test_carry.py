"""What carry earned: cases by hand, cases in which prices cancel, and no look ahead."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.carry import Leg, carry, exact_sums, outcome

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIME = pl.Datetime("us", "UTC")
RATES = st.lists(st.floats(-0.02, 0.02), min_size=3, max_size=30)


def prices(pairs):
    times, values = zip(*pairs, strict=True) if pairs else ((), ())
    return pl.DataFrame(
        {
            "time": pl.Series([START + hour * HOUR for hour in times], dtype=TIME),
            "price": pl.Series(values, dtype=pl.Float64),
        }
    )


def settlements(pairs, interval=8.0):
    times, values = zip(*pairs, strict=True) if pairs else ((), ())
    return pl.DataFrame(
        {
            "time": pl.Series([START + hour * HOUR for hour in times], dtype=TIME),
            "rate": pl.Series(values, dtype=pl.Float64),
            "interval_hours": pl.Series([interval] * len(values), dtype=pl.Float64),
        }
    )


def spot(pairs, fee=0.0):
    return Leg("spot", prices(pairs), settlements([]), fee)


def perpetual(pairs, rates, kind="linear", fee=0.0):
    return Leg(kind, prices(pairs), settlements(rates), fee)


def test_a_linear_carry_by_hand():
    """Bought at 100, sold at 101; 110 and 110.5 at the end; two settlements of 0.1 %."""
    bought = spot([(0, 100), (8, 105), (16, 110)], fee=0.001)
    sold = perpetual(
        [(0, 101), (8, 106), (16, 110.5)], [(0, 0.5), (8, 0.001), (16, 0.001)], fee=0.0005
    )
    earned = carry(bought, sold)
    assert earned["time"].to_list() == [START, START + 8 * HOUR, START + 16 * HOUR]
    last = earned.row(-1, named=True)
    assert last["settlements"] == 2
    assert last["missing"] == 0
    assert last["rates"] == 0.002
    # 0.001 · 1.06 + 0.001 · 1.105 of the 100 paid.
    assert last["funding"] == pytest.approx(0.002165, abs=1e-15)
    # The gap closed from 1 to 0.5.
    assert last["basis"] == pytest.approx(0.005, abs=1e-15)
    # 0.1 % of 100 and 110, 0.05 % of 101 and 110.5.
    assert last["fees"] == pytest.approx(0.0021 + 0.0010575, abs=1e-15)
    assert last["net"] == pytest.approx(0.002165 + 0.005 - 0.0031575, abs=1e-15)
    # Opened and closed at once it would have cost four trades.
    assert earned["net"][0] == pytest.approx(-(0.002 + 0.0005 * 2.02))


def test_an_inverse_carry_by_hand():
    """A coin at 100 held against 101 contracts of a dollar sold at 101, until 300 and 302.

    The contracts take 101 · (1 / 101 - 1 / 302) = 0.6655629 coins; the rest is worth 100.3311, so
    that 0.3311 of the 101 dollars sold is won: the gap that closed from 1 to 2 / 3 of a percent.
    """
    bought = spot([(0, 100), (8, 300)], fee=0.001)
    sold = perpetual([(0, 101), (8, 302)], [(0, 0.5), (8, 0.001)], "inverse", fee=0.0005)
    last = carry(bought, sold).row(-1, named=True)
    assert last["funding"] == last["rates"] == 0.001
    assert last["basis"] == pytest.approx(0.3311 / 101, abs=1e-6)
    # 0.1 % of 100 and of 100.3311, and 0.05 % of 101 twice, of 101 dollars.
    assert last["fees"] == pytest.approx((0.1003311 + 0.1 + 0.101) / 101, abs=1e-9)


def test_two_inverse_perpetuals_by_hand():
    """A hundred contracts each, long from 100 to 300 and short from 100 to 303.

    The long ones bring 1 - 1 / 3 coins, the short ones take 1 - 100 / 303: 0.0033003 coins are
    lost, worth 300 each: 0.990099 of a hundred dollars, and not the 3 by which the prices differ.
    """
    long = perpetual([(0, 100), (8, 300)], [(0, 0.0), (8, 0.0)], "inverse", fee=0.0005)
    short = perpetual([(0, 100), (8, 303)], [(0, 0.0), (8, 0.0)], "inverse", fee=0.0005)
    last = carry(long, short).row(-1, named=True)
    assert last["basis"] == pytest.approx(-0.00990099, abs=1e-8)
    assert last["fees"] == pytest.approx(0.002)


def test_two_perpetuals_pay_each_other():
    long = perpetual([(0, 100), (8, 100), (16, 100)], [(0, 0.0), (8, 0.0001), (16, 0.0001)])
    short = perpetual([(0, 100), (8, 100), (16, 100)], [(0, 0.0), (8, 0.0003), (16, -0.0001)])
    earned = carry(long, short)
    assert earned["rate"].to_list() == [None, pytest.approx(0.0002), pytest.approx(-0.0002)]
    assert earned["settlements"].to_list() == [0, 2, 4]
    assert earned["rates"].to_list() == pytest.approx([0, 0.0002, 0], abs=1e-18)


@given(RATES)
def test_where_prices_cancel_carry_is_the_sum_of_settlements_to_the_last_digit(rates):
    hours = range(0, 8 * len(rates), 8)
    path = [(hour, 100.0 + hour) for hour in hours]
    exact = float(sum(Fraction(rate) for rate in rates[1:]))
    inverse = carry(spot(path), perpetual(path, list(zip(hours, rates, strict=True)), "inverse"))
    assert inverse["net"][-1] == inverse["rates"][-1] == exact
    assert (inverse["basis"] == 0).all()
    still = [(hour, 100.0) for hour in hours]
    linear = carry(spot(still), perpetual(still, list(zip(hours, rates, strict=True))))
    assert linear["net"][-1] == linear["rates"][-1] == exact


@given(st.lists(st.floats(-1e6, 1e6), max_size=60))
def test_running_sums_are_rounded_once(values):
    exact = [float(sum(map(Fraction, values[: n + 1]))) for n in range(len(values))]
    assert list(exact_sums(values)) == exact


@given(RATES, st.lists(st.floats(0.9, 1.1), min_size=30, max_size=30), st.data())
def test_carry_never_looks_ahead(rates, moves, data):
    hours = [8 * n for n in range(len(rates))]
    path = [(hour, 100 * moves[n]) for n, hour in enumerate(hours)]
    other = [(hour, 100 * moves[-n - 1]) for n, hour in enumerate(hours)]
    known = data.draw(st.integers(2, len(rates)))
    paid = list(zip(hours, rates, strict=True))
    full = carry(spot(path), perpetual(other, paid))
    seen = carry(spot(path[:known]), perpetual(other[:known], paid[:known]))
    assert seen.equals(full.head(known))


def test_a_settlement_that_is_not_stored_is_counted_as_missing():
    hours = [0, 8, 16, 24, 32]
    path = [(hour, 100.0) for hour in hours]
    paid = [(0, 0.0), (8, 0.001), (32, 0.001)]
    last = carry(spot(path), perpetual(path, paid)).row(-1, named=True)
    assert (last["settlements"], last["missing"]) == (2, 2)
    assert last["funding"] == pytest.approx(0.002)


def test_a_settlement_without_a_price_of_the_day_is_missing_too():
    path = [(0, 100.0), (80, 100.0)]
    paid = [(hour, 0.001) for hour in range(0, 88, 8)]
    last = carry(spot(path), perpetual(path, paid)).row(-1, named=True)
    # Three settlements lie within a day of the first price, and the last upon the second.
    assert (last["settlements"], last["missing"]) == (4, 6)
    assert last["funding"] == last["rates"] == pytest.approx(0.004)


def test_an_interval_that_changes_misses_nothing():
    hours = [0, 8, 16, 20, 24, 26, 28]
    path = [(hour, 100.0) for hour in hours]
    paid = settlements([(hour, 0.0001) for hour in hours]).with_columns(
        interval_hours=pl.Series([8.0, 8.0, 8.0, 4.0, 4.0, 2.0, 2.0])
    )
    last = carry(spot(path), Leg("linear", prices(path), paid, 0.0)).row(-1, named=True)
    assert (last["settlements"], last["missing"]) == (6, 0)
    assert last["rates"] == math.fsum([0.0001] * 6)


def test_a_venue_that_leaves_is_closed_at_its_last_price():
    path = [(8 * n, 100.0) for n in range(10)]
    earned = outcome(carry(spot(path), perpetual(path[:4], [(8 * n, 0.001) for n in range(4)])))
    assert earned["until"] == START + 24 * HOUR
    assert earned["days"] == 1
    assert earned["settlements"] == 3
    assert earned["reason"] is None


def test_without_common_prices_nothing_is_said():
    sold = perpetual([(0, 100), (8, 100)], [(0, 0.001), (8, 0.001)])
    earned = carry(spot([(4, 100), (12, 100)]), sold)
    assert earned.height == 0
    told = outcome(earned)
    assert told["net"] is None
    assert "known together at no two instants" in told["reason"]


def test_stamps_that_are_late_settle_on_the_hour():
    path = [(0, 100.0), (8, 100.0)]
    last = carry(spot(path), perpetual(path, [(0.001, 0.5), (8.002, 0.001)])).row(-1, named=True)
    assert (last["settlements"], last["rates"]) == (1, 0.001)


@pytest.mark.parametrize(
    ("long", "short"), [("spot", "spot"), ("linear", "inverse"), ("inverse", "linear")]
)
def test_sides_that_do_not_keep_one_size_are_refused(long, short):
    path, paid = [(0, 100.0), (8, 100.0)], [(0, 0.0), (8, 0.0)]
    with pytest.raises(ValueError, match="no carry is earned"):
        carry(perpetual(path, paid, long), perpetual(path, paid, short))
