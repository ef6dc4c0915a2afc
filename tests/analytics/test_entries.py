"""Entries: dollars are kept, and stand where they were entered by construction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.entries import entries
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.liquidation import distance_factor
from plimsoll.analytics.provenance import Standing

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def standing(rows, *, settlement="linear", exchange="binance", symbol="BTC/USDT:USDT"):
    """A market at 50,000 in which stands what rows say: side, tier, entry price, dollars."""
    chosen = Parameters(settlement=settlement)
    edges = np.exp(np.arange(np.log(20_000), np.log(120_000), chosen.step))
    usd = np.zeros((2, len(chosen.leverage), len(chosen.ages) + 1, len(edges) - 1))
    for side, tier, entry, dollars in rows:
        word = ("long", "short")[side]
        factor = distance_factor(
            chosen.leverage, chosen.maintenance, side=word, settlement=settlement, fee=chosen.fee
        )[tier]
        usd[side, tier, 0, np.searchsorted(edges, entry * factor) - 1] += dollars
    return Standing(
        time=START,
        interval=HOUR,
        price=50_000.0,
        edges=edges,
        usd=usd,
        coverage=0.75,
        open_interest_usd=float(usd[0].sum()),
        bars=pl.DataFrame(),
        parameters=chosen,
        exchange=exchange,
        symbol=symbol,
    )


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_what_was_entered_at_a_price_is_found_there(settlement):
    # Two longs entered at 49,000 with other leverages stand on other liquidation prices.
    rows = [(0, 2, 49_000, 300.0), (0, 4, 49_000, 100.0), (1, 3, 52_000, 50.0)]
    frame = entries([standing(rows, settlement=settlement)], width=0.02)
    around = (pl.col("price_low") < 49_000 * 1.002) & (pl.col("price_high") > 49_000 / 1.002)
    assert frame.filter(around)["long_usd"].sum() == pytest.approx(400)
    short = frame.filter((pl.col("price_low") < 52_104) & (pl.col("price_high") > 51_896))
    assert short["short_usd"].sum() == pytest.approx(50)
    assert frame["long_usd"].sum() == pytest.approx(400)
    assert frame["coverage"].unique().to_list() == [0.75]


def test_profit_is_that_of_a_long_since_its_entry():
    frame = entries([standing([(0, 2, 40_000, 1.0)])], width=0.001)
    assert frame["profit_long"].to_list() == pytest.approx([0.25] * frame.height, abs=3e-3)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 5), st.floats(45_000, 55_000), st.floats(1, 1e9)
        ),
        min_size=1,
        max_size=15,
    ),
    st.floats(0.001, 0.2),
)
@settings(max_examples=40)
def test_no_dollar_is_lost_or_made(rows, width):
    one = standing(rows)
    frame = entries([one], width)
    long, short = one.usd.sum(axis=(1, 2, 3))
    assert frame["long_usd"].sum() == pytest.approx(long, rel=1e-9)
    assert frame["short_usd"].sum() == pytest.approx(short, rel=1e-9)
    assert (frame["price_high"] > frame["price_low"]).all()


def test_markets_are_told_apart_and_nothing_is_nothing():
    both = [
        standing([(0, 2, 49_000, 1.0)]),
        standing([(0, 2, 49_000, 2.0)], exchange="okx"),
        standing([], exchange="bybit"),
    ]
    sums = entries(both).group_by("exchange").agg(pl.col("long_usd").sum()).sort("exchange")
    assert sums.rows() == [("binance", pytest.approx(1)), ("okx", pytest.approx(2))]
    with pytest.raises(ValueError, match="positive width"):
        entries(both, 0.0)
