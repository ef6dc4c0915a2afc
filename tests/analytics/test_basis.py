"""Basis and term structure: a published example, curves that are known, and nulls with reasons."""

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plimsoll.analytics.basis import MATURITIES, annualised, at_maturity, latest, on_grid, structure
from truths import carry as truths

NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)
TIME = pl.Datetime("us", "UTC")
DAY = timedelta(days=1)


def symbol(days, contract="BTC/USD:BTC"):
    return f"{contract}-{NOW + days * DAY:%y%m%d}"


def quotes(rows, exchange="deribit", time=NOW, contract="BTC/USD:BTC"):
    """Rows are days left, price and spot."""
    return pl.DataFrame(
        [(time, exchange, symbol(days, contract), price, spot) for days, price, spot in rows],
        schema={
            "time": TIME,
            "exchange": pl.String,
            "symbol": pl.String,
            "price": pl.Float64,
            "spot": pl.Float64,
        },
        orient="row",
    ).with_columns(source=pl.lit("mark"))


def curve(rows, **where):
    return structure(latest(quotes(rows, **where), DAY))


def told(frame, maturity):
    (row,) = frame.filter(pl.col("maturity") == maturity).iter_rows(named=True)
    return row


def test_the_example_three_ways():
    made = annualised(truths.FUTURE, truths.SPOT, truths.DAYS)
    assert [round(value, 6) for value in made] == [truths.SIMPLE, truths.LOG, truths.COMPOUNDED]


def test_the_example_as_a_curve():
    found = curve([(90, truths.FUTURE, truths.SPOT)])
    row = told(found, f"{NOW + 90 * DAY:%Y-%m-%d}")
    assert row["days"] == 90
    assert row["basis"] == pytest.approx(0.025)
    assert [round(row[name], 6) for name in ("simple", "log", "compounded")] == [
        truths.SIMPLE,
        truths.LOG,
        truths.COMPOUNDED,
    ]
    assert row["state"] == "contango"
    # A constant maturity of 90 days is that very expiry.
    constant = told(found, "90d")
    for name in ("simple", "log", "compounded", "basis"):
        assert constant[name] == pytest.approx(row[name], abs=1e-12)


@pytest.mark.parametrize(("price", "spot", "days"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, -3)])
def test_what_cannot_be_annualised_is_refused(price, spot, days):
    with pytest.raises(ValueError, match="must be positive"):
        annualised(price, spot, days)


def test_between_two_expiries_log_basis_is_a_straight_line():
    rows = [(20, 100 * math.exp(0.01), 100.0), (60, 100 * math.exp(0.05), 100.0)]
    # A quarter of the way from 0.01 to 0.05.
    assert told(curve(rows), "30d")["log"] == pytest.approx(0.02 * 365 / 30)


@given(st.floats(-0.5, 0.5))
def test_a_flat_curve_is_flat_at_every_maturity(rate):
    rows = [(d, 100 * math.exp(rate * d / 365), 100.0) for d in (8, 14, 40, 100, 250)]
    found = curve(rows)
    fixed = found.filter(pl.col("kind") == "constant")
    assert fixed["log"].to_list() == pytest.approx([rate] * 4, abs=1e-9)
    expiries = found.filter(pl.col("kind") == "expiry")
    assert expiries["roll_yield"].to_list() == pytest.approx([-rate] * 5, abs=1e-9)
    assert told(found, "90d-30d")["log"] == pytest.approx(0, abs=1e-9)


@given(
    st.lists(st.tuples(st.integers(7, 400), st.floats(-0.2, 0.2)), min_size=1, max_size=8),
    st.integers(1, 400),
)
def test_interpolation_stays_between_its_neighbours(points, maturity):
    days, basis = zip(*sorted(dict(points).items()), strict=True)
    value = at_maturity(days, basis, maturity)
    if maturity > days[-1] or days[0] > 2 * maturity:
        assert math.isnan(value)
        return
    near = [b for d, b in zip(days, basis, strict=True) if d <= maturity][-1:] or [0.0]
    far = next(b for d, b in zip(days, basis, strict=True) if d >= maturity)
    assert min(near[0], far) - 1e-12 <= value <= max(near[0], far) + 1e-12


def test_the_slope_is_ninety_less_thirty_days():
    rows = [
        (30, 100 * math.exp(0.10 * 30 / 365), 100.0),
        (90, 100 * math.exp(0.06 * 90 / 365), 100),
    ]
    slope = told(curve(rows), "90d-30d")
    assert slope["log"] == pytest.approx(-0.04)
    assert slope["kind"] == "slope"


def test_an_expiry_within_a_week_is_not_annualised():
    found = curve([(6, 101.0, 100.0), (30, 101.0, 100.0)])
    near = told(found, f"{NOW + 6 * DAY:%Y-%m-%d}")
    assert near["basis"] == pytest.approx(0.01)
    for name in ("simple", "log", "compounded", "roll_yield"):
        assert near[name] is None
    assert near["reason"] == "less than 7 days are left"
    # It is no point of the curve either: 30 days are reached from zero at zero days.
    assert told(found, f"{NOW + 30 * DAY:%Y-%m-%d}")["roll_yield"] == pytest.approx(
        -math.log(1.01) * 365 / 30
    )
    assert told(found, "7d")["reason"] == "the first expiry is 30 days away"


def test_what_lies_beyond_the_curve_is_null_with_a_reason():
    found = curve([(100, 102.0, 100.0)])
    reasons = {f"{d}d": told(found, f"{d}d")["reason"] for d in MATURITIES}
    assert reasons == {
        "7d": "the first expiry is 100 days away",
        "30d": "the first expiry is 100 days away",
        "90d": None,
        "180d": "the last expiry is 100 days away",
    }
    assert told(found, "90d-30d")["reason"] == "30 or 90 days are not on the curve"
    assert told(found, "180d")["log"] is None


def test_without_spot_nothing_is_said():
    found = curve([(30, 101.0, None), (90, 102.0, None)])
    expiry = told(found, f"{NOW + 30 * DAY:%Y-%m-%d}")
    assert (expiry["basis"], expiry["state"]) == (None, None)
    assert expiry["reason"] == "no index or spot price was known then"
    assert told(found, "30d")["reason"] == "no expiry with 7 days or more and a spot price"


def test_what_has_expired_is_no_longer_on_the_curve():
    found = curve([(0, 100.0, 100.0), (-3, 100.0, 100.0), (30, 101.0, 100.0)])
    assert found.filter(pl.col("kind") == "expiry").height == 1


@pytest.mark.parametrize(
    ("price", "state"),
    [(100.31, "contango"), (100.29, "flat"), (99.71, "flat"), (99.69, "backwardation")],
)
def test_within_the_fees_a_curve_is_flat(price, state):
    found = curve([(30, price, 100.0)])
    assert told(found, f"{NOW + 30 * DAY:%Y-%m-%d}")["state"] == state
    assert told(found, "30d")["state"] == state


def test_exchanges_and_contracts_have_curves_of_their_own():
    found = structure(
        latest(
            pl.concat(
                [
                    quotes([(30, 101.0, 100.0)]),
                    quotes([(90, 105.0, 100.0)], exchange="okx"),
                    quotes([(60, 103.0, 100.0)], contract="BTC/USDT:USDT"),
                ]
            ),
            DAY,
        )
    )
    assert found.filter(pl.col("kind") == "expiry").height == 3
    # Each has but one expiry, so none is interpolated between two of them.
    deribit = found.filter(
        (pl.col("exchange") == "deribit") & (pl.col("contract") == "BTC/USD:BTC")
    )
    assert told(deribit, "90d")["reason"] == "the last expiry is 30 days away"


def test_the_newest_quote_of_each_future_counts_unless_it_is_old():
    old = quotes([(30, 90.0, 100.0), (60, 95.0, 100.0)], time=NOW - 2 * DAY)
    new = quotes([(30, 101.0, 100.0)])
    kept = latest(pl.concat([old, new]), DAY)
    assert kept["price"].to_list() == [101]


@given(st.lists(st.floats(0.9, 1.1), min_size=8, max_size=8), st.integers(1, 7))
def test_a_history_never_looks_ahead(ratios, known):
    rows = pl.concat(
        [
            quotes([(40, 100 * ratio, 100.0), (120, 101 * ratio, 100.0)], time=NOW + n * DAY)
            for n, ratio in enumerate(ratios)
        ]
    )
    cut = NOW + known * DAY
    full = structure(on_grid(rows, DAY, DAY)).filter(pl.col("time") <= cut)
    seen = structure(on_grid(rows.filter(pl.col("time") <= cut), DAY, DAY))
    assert seen.equals(full.filter(pl.col("time") <= seen["time"].max()))
    assert full.filter(pl.col("time") > seen["time"].max()).height == 0


def test_a_quote_that_was_known_later_counts_later():
    late = quotes([(40, 101.0, 100.0)]).with_columns(known_at=pl.lit(NOW + 5 * DAY, dtype=TIME))
    early = quotes([(120, 103.0, 100.0)]).with_columns(known_at=pl.lit(NOW, dtype=TIME))
    last = early.with_columns(time=NOW + 8 * DAY, known_at=pl.lit(NOW + 8 * DAY, dtype=TIME))
    grid = on_grid(pl.concat([late, early, last]), DAY, 30 * DAY)
    first = grid.filter(pl.col("symbol") == symbol(40))
    midnight = NOW - timedelta(hours=8)
    assert first["time"].to_list() == [midnight + n * DAY for n in (6, 7, 8)]
    assert set(first["quoted"]) == {NOW}
