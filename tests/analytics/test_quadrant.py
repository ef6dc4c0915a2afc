"""Price and open interest together: labels only where all the evidence agrees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plimsoll.analytics.quadrant import STATES, quadrant, seasonal_z
from truths.interest import OUTLIER, ROBUST_Z

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def made(prices, changes, bought, sold):
    return pl.DataFrame(
        {
            "time": [START + n * DAY for n in range(len(prices))],
            "price": prices,
            "interest_change": changes,
            "bought": bought,
            "sold": sold,
        },
        schema_overrides={
            "time": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("price", "interest_change", "bought", "sold"), pl.Float64),
        },
        strict=False,
    )


def test_z_is_that_of_the_same_hour_of_the_days_before():
    # At noon the textbook's outlier; at any other hour, 100 is nothing new.
    rows = [
        (START + day * DAY + hour * HOUR, value if hour == 12 else 100.0 + day)
        for day, value in enumerate(OUTLIER)
        for hour in range(24)
    ]
    frame = pl.DataFrame(rows, schema=["time", "x"], orient="row")
    z = frame.with_columns(z=seasonal_z(frame, "x", HOUR, days=5)).filter(pl.col("z").is_not_null())
    assert z["time"].min() == START + 4 * DAY
    assert z.filter(pl.col("x") == 100)["z"].to_list() == [pytest.approx(ROBUST_Z, abs=0.005)]
    assert z.filter(pl.col("x") == 104)["z"].unique().to_list() == [pytest.approx(2 / 1.4826)]


def last_state(price_up, interest_up, takers):
    """Five quiet days, then one with a move of each."""
    quiet = [100.0, 100.1, 100.0, 100.1, 100.0, 100.1]
    prices = [*quiet, 110.0 if price_up else 90.0]
    changes = [0.001, -0.001, 0.0, 0.001, -0.001, 0.0, 0.2 if interest_up else -0.2]
    frame = quadrant(made(prices, changes, [5.0] * 6 + [5.0 + takers], [5.0] * 7), DAY, DAY, days=5)
    return frame.row(-1, named=True)


@pytest.mark.parametrize(
    ("price_up", "interest_up", "state"),
    [
        (True, True, "longs opened"),
        (True, False, "shorts closed"),
        (False, True, "shorts opened"),
        (False, False, "longs closed"),
    ],
)
def test_the_aggressor_is_named_where_takers_agree(price_up, interest_up, state):
    agreeing = last_state(price_up, interest_up, 1.0 if price_up else -1.0)
    assert (agreeing["state"], agreeing["evidence"]) == (state, [])
    assert abs(agreeing["price_z"]) > 1
    against = last_state(price_up, interest_up, -1.0 if price_up else 1.0)
    assert against["state"] == "mixed"
    assert against["evidence"] == ["takers were on the other side"]


def test_a_move_no_larger_than_usual_is_mixed_and_says_so():
    prices = [100.0, 110.0, 100.0, 110.0, 100.0, 110.0, 100.0, 110.0]
    changes = [0.2, -0.2, 0.2, -0.2, 0.2, -0.2, 0.2, 0.2]
    row = quadrant(made(prices, changes, [6.0] * 8, [5.0] * 8), DAY, DAY, days=5).row(
        -1, named=True
    )
    assert row["state"] == "mixed"
    assert "the price moved no more than usual" in row["evidence"]
    assert "open interest moved no more than usual" in row["evidence"]


def test_what_is_not_known_makes_no_state():
    prices, changes = [100.0] * 6 + [110.0], [0.0, 0.001, -0.001, 0.0, 0.001, -0.001, 0.2]
    row = quadrant(made(prices, changes, [None] * 7, [None] * 7), DAY, DAY, days=5)
    assert row["state"].to_list() == [None] * 7
    assert "takers are not known" in row["evidence"][-1].to_list()
    assert "too little is known of the price" in row["evidence"][0].to_list()
    assert quadrant(made([], [], [], []), DAY, DAY).height == 0


@given(st.integers(0, 10_000), st.integers(6, 60), st.floats(1e-3, 1e3))
@settings(max_examples=30)
def test_neither_the_future_nor_the_unit_has_a_say(seed, cut, scale):
    draw = np.random.default_rng(seed)
    prices = 100 * np.exp(draw.normal(0, 0.02, 60).cumsum())
    rest = draw.normal(0, 0.02, 60), draw.uniform(1, 2, 60), draw.uniform(1, 2, 60)
    whole = quadrant(made(prices, *rest), DAY, 2 * DAY, days=5)
    seen = quadrant(made(prices[:cut], *(one[:cut] for one in rest)), DAY, 2 * DAY, days=5)
    assert whole.head(cut).select(seen.columns).equals(seen)
    assert set(whole["state"].drop_nulls()) <= set(STATES)
    scaled = made(prices * scale, rest[0], rest[1] * scale, rest[2] * scale)
    assert quadrant(scaled, DAY, 2 * DAY, days=5)["state"].equals(whole["state"])
