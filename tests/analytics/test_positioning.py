"""Who is long: an exchange's own worked ratio, percentiles and agreement counted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.positioning import (
    TERMS,
    agreement,
    crowding,
    long_short,
    on_grid,
    ranked,
)
from plimsoll.market.schema import TABLES
from truths.interest import LONG_ACCOUNT, LONG_SHORT_RATIO

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC = "BTC/USDT:USDT"


def ratios(*rows):
    """Rows of (hour, exchange, population, ratio, share)."""
    return TABLES["long_short_ratio"].conform(
        pl.DataFrame(
            [(START + h * HOUR, e, BTC, p, r, s) for h, e, p, r, s in rows],
            schema={
                "time": pl.Datetime("us", "UTC"),
                "exchange": pl.String,
                "symbol": pl.String,
                "population": pl.String,
                "ratio": pl.Float64,
                "long_share": pl.Float64,
            },
            orient="row",
        )
    )


def test_the_documented_share_has_the_documented_ratio():
    told = ratios(
        (0, "binance", "accounts", None, LONG_ACCOUNT),
        (0, "okx", "accounts", LONG_SHORT_RATIO, None),
    )
    for row in long_short(told).iter_rows(named=True):
        assert row["ratio"] == pytest.approx(LONG_SHORT_RATIO, abs=5e-5)
        assert row["long_share"] == pytest.approx(LONG_ACCOUNT, abs=5e-5)


def test_all_long_has_no_ratio_and_the_unknown_stays_unknown():
    found = long_short(ratios((0, "a", "accounts", None, 1.0), (1, "a", "accounts", None, None)))
    assert found["ratio"].to_list() == [None, None]
    assert found["long_share"].to_list() == [1, None]


def test_the_gap_is_top_positions_less_all_accounts_as_known_then():
    found = long_short(
        ratios(
            (0, "a", "accounts", None, 0.60),
            (1, "a", "top_positions", None, 0.52),
            (6, "a", "top_positions", None, 0.52),  # the accounts are too old
            (1, "b", "top_positions", None, 0.52),  # another market
        )
    ).filter(population="top_positions")
    assert found.sort("exchange", "time")["gap"].to_list() == [pytest.approx(-0.08), None, None]


def test_a_percentile_needs_thirty_values_and_counts_ties_half():
    frame = pl.DataFrame(
        {
            "time": [START + h * HOUR for h in range(31)],
            "x": [0.5] * 29 + [0.4, 0.6],
            "name": "a",
        }
    )
    ranks = ranked(frame, "x", ["name"])["x_percentile"].to_list()
    assert ranks[:29] == [None] * 29
    assert ranks[29] == pytest.approx(0.5 / 30)
    assert ranks[30] == pytest.approx(30.5 / 31)


def test_a_row_stands_for_the_present_until_it_is_too_old():
    frame = pl.DataFrame({"known_at": [START, START + 5 * HOUR], "name": "a", "x": [1.0, 2.0]})
    grid = pl.Series("time", [START + h * HOUR for h in (0, 2, 3, 5)])
    assert on_grid(frame, ["name"], grid, 2 * HOUR)["x"].to_list() == [1, 1, None, 2]


def test_exchanges_that_agree_are_counted():
    frame = pl.DataFrame(
        {
            "time": START,
            "exchange": ["a", "a", "b", "c", "d"],
            "percentile": [0.95, 0.75, 0.1, None, 0.5],  # the median of a is 0.85
        }
    )
    assert agreement(frame).row(0) == (START, 3, 1, 1)


def terms(count, **values):
    times = [START + h * HOUR for h in range(count)]
    return {name: pl.DataFrame({"time": times, "value": v}) for name, v in values.items()}


def test_crowding_is_the_mean_of_what_its_terms_say():
    rising, falling = np.arange(40.0), -np.arange(40.0)
    row = crowding(terms(40, accounts=rising, funding=rising)).row(-1, named=True)
    # The last of forty is at (39 + 0.5) / 40 = 0.9875, so 100 (2 p - 1) = 97.5.
    assert row["crowding"] == pytest.approx(97.5)
    assert (row["terms"], row["accounts"], row["accounts_percentile"]) == (2, 39, 0.9875)
    assert row["takers"] is None
    against = crowding(terms(40, accounts=rising, funding=falling)).row(-1, named=True)
    assert against["crowding"] == pytest.approx(0, abs=1e-9)


def test_one_term_is_no_crowd():
    frame = crowding(terms(40, accounts=np.arange(40.0)))
    assert frame["crowding"].null_count() == 40
    assert frame["terms"][-1] == 1


@given(st.integers(0, 1_000), st.integers(1, 80))
@settings(max_examples=25)
def test_the_score_is_bounded_turns_with_its_terms_and_does_not_look_ahead(seed, cut):
    draw = np.random.default_rng(seed)
    values = {name: draw.normal(size=80) for name in TERMS}
    whole = crowding(terms(80, **values))
    assert whole["crowding"].drop_nulls().is_between(-100, 100).all()
    turned = crowding(terms(80, **{name: -v for name, v in values.items()}))
    summed = (whole["crowding"] + turned["crowding"]).drop_nulls()
    assert summed.abs().max() == pytest.approx(0, abs=1e-9)
    seen = crowding(terms(cut, **{name: v[:cut] for name, v in values.items()}))
    assert whole.head(cut).equals(seen)
