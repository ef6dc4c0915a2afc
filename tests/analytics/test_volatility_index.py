"""The index without a model: a strip by hand, a flat smile, and where there is none."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from plimsoll.analytics import black, volatility_index

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def chain(days, strikes, bids, asks, *, forward=102.0, inverse=False, at=AT):
    """Calls and puts of the strikes; a pair of bids and of asks for each."""
    rows = [
        (strike, kind, bid[side], ask[side])
        for strike, bid, ask in zip(strikes, bids, asks, strict=True)
        for side, kind in enumerate(("call", "put"))
    ]
    schema = {"strike": pl.Float64, "kind": pl.String, "bid": pl.Float64, "ask": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        at=at,
        exchange=pl.lit("deribit"),
        family=pl.lit("BTC/USD:BTC"),
        expiry=at + timedelta(days=days),
        years=days / 365,
        forward=pl.lit(forward, pl.Float64),
        inverse=inverse,
    )


def flat(days, volatility, *, low=0.2, high=4.0, count=400):
    """A chain on one volatility, with strikes close together, in coin."""
    strikes = 60_000 * np.linspace(low, high, count)
    prices = [
        black.price(60_000, strikes, days / 365, volatility, call) / 60_000
        for call in (True, False)
    ]
    marks = list(zip(*prices, strict=True))
    return chain(days, strikes, marks, marks, forward=60_000.0, inverse=True)


HAND = chain(
    73,
    [80, 90, 100, 110, 120],
    [(22, 0.5), (13, 1.5), (6, 4), (2, 9), (0.5, 18)],
    [(23, 0.7), (14, 1.9), (7, 5), (3, 10), (0.7, 19)],
)


def test_a_strip_by_hand():
    """F 102, K₀ 100, T 0.2. Mids: put 0.6 at 80, put 1.7 at 90, (6.5 + 4.5) / 2 at 100, call 2.5 at
    110, call 0.6 at 120; ΔK is 10 everywhere.
    """
    strip = 10 * (0.6 / 80**2 + 1.7 / 90**2 + 5.5 / 100**2 + 2.5 / 110**2 + 0.6 / 120**2)
    expected = 2 / 0.2 * strip - (102 / 100 - 1) ** 2 / 0.2
    (row,) = volatility_index.variances(HAND).iter_rows(named=True)
    assert row["variance"] == pytest.approx(expected, rel=1e-12)
    assert (row["strikes"], row["lowest"], row["highest"]) == (5, 80, 120)


def test_beyond_two_strikes_without_a_bid_nothing_counts():
    strikes = [60, 65, 70, 80, 90, 100, 110, 120]
    puts = [(0.1, 0.2), (0, 0.2), (0, 0.3), (0.5, 0.7), (1.5, 1.9), (4, 5), (9, 10), (18, 19)]
    calls = [(41, 43), (36, 38), (31, 33), (22, 23), (13, 14), (6, 7), (2, 3), (0.5, 0.7)]
    bids = [(call[0], put[0]) for call, put in zip(calls, puts, strict=True)]
    asks = [(call[1], put[1]) for call, put in zip(calls, puts, strict=True)]
    cut = volatility_index.variances(chain(73, strikes, bids, asks))
    assert cut.equals(volatility_index.variances(HAND))


def test_a_single_strike_without_a_bid_is_passed_over():
    """Without 80 the put at 70 stands, 20 from its neighbor; ΔK at 90 is 15."""
    strikes = [70, 80, 90, 100, 110, 120]
    bids = [(32, 0.2), (22, 0), (13, 1.5), (6, 4), (2, 9), (0.5, 18)]
    asks = [(33, 0.4), (23, 0.7), (14, 1.9), (7, 5), (3, 10), (0.7, 19)]
    parts = 20 * 0.3 / 70**2 + 15 * 1.7 / 90**2 + 10 * (5.5 / 100**2 + 2.5 / 110**2 + 0.6 / 120**2)
    found = volatility_index.variances(chain(73, strikes, bids, asks))["variance"].item()
    assert found == pytest.approx(2 / 0.2 * parts - 0.02**2 / 0.2, rel=1e-12)


@pytest.mark.parametrize("volatility", [0.3, 0.6, 1.1])
def test_a_flat_smile_is_its_own_index(volatility):
    """The strip of all strikes is the variance; these are from a fifth to four times the price."""
    rows = pl.concat([flat(20, volatility), flat(50, volatility)])
    found = volatility_index.index(rows)
    assert found["value"].item() == pytest.approx(volatility, rel=2e-3)
    assert found["near"].item() == AT + timedelta(days=20)
    assert found["next"].item() == AT + timedelta(days=50)


def test_between_expiries_total_variance_is_linear():
    rows = pl.concat([flat(20, 0.5), flat(60, 0.4), flat(120, 0.9)])
    w = 0.5**2 * 20 + (0.4**2 * 60 - 0.5**2 * 20) / 4
    found = volatility_index.index(rows)["value"].item()
    assert found == pytest.approx(math.sqrt(w / 30), rel=2e-3)


def test_an_expiry_in_just_thirty_days_is_enough():
    found = volatility_index.index(pl.concat([flat(30, 0.5), flat(60, 0.9)]))
    assert found["value"].item() == pytest.approx(0.5, rel=2e-3)
    assert found["near"].item() == found["next"].item()


def test_without_expiries_around_it_there_is_no_index():
    for days in (20, 40):
        (row,) = volatility_index.index(flat(days, 0.5)).iter_rows(named=True)
        assert row["value"] is None
        assert row["why_none"] == "no two expiries have 30 days between them"


@pytest.mark.parametrize("span", [{"low": 1.01}, {"high": 0.999}])
def test_one_sided_strikes_have_no_index(span):
    rows = pl.concat([flat(20, 0.5), flat(50, 0.5, **span)])
    (row,) = volatility_index.index(rows).iter_rows(named=True)
    assert row["value"] is None
    assert row["why_none"] == "strikes are one-sided"


def test_a_missing_forward_and_a_missing_middle_are_named():
    gone = HAND.with_columns(forward=pl.lit(None, pl.Float64))
    assert volatility_index.variances(gone)["why_none"].item() == "the forward is missing"
    hollow = HAND.with_columns(bid=pl.when(pl.col("strike") != 100).then("bid"))
    found = volatility_index.variances(hollow)
    assert found["variance"].item() is None
    assert found["why_none"].item() == "no quote at the strike below the forward"


def test_crossed_and_zero_quotes_do_not_count():
    here = pl.col("strike") == 120
    crossed = HAND.with_columns(ask=pl.when(here).then(0.1).otherwise("ask"))
    zero = HAND.with_columns(bid=pl.when(here).then(0.0).otherwise("bid"))
    for rows in (crossed, zero):
        assert volatility_index.variances(rows)["strikes"].item() == 4
