"""Positions whose exchange changes the maintenance, against liquidation prices worked out alone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Grid, Inventory, Parameters
from plimsoll.analytics.inventory_numpy import replay
from plimsoll.analytics.liquidation import liquidation_price
from plimsoll.analytics.provenance import stands
from plimsoll.market.instrument import Brackets

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
CHANGE = START + 2 * HOUR
GRID = Grid.covering(20.0, 500.0, 0.001)
COARSE = Grid.covering(50.0, 200.0, 0.005)
TIERS = Parameters(leverage=(3, 10, 40), weights=(0.3, 0.5, 0.2), maintenance=0.004)


def flat(rate, since=START):
    """Brackets that ask the same of all sizes."""
    return Brackets.build("x", "A/B:B", since, [(math.inf, rate, 1_000)])


def dated(rates, chosen=TIERS):
    """Parameters whose maintenance is of these rates, an hour each."""
    tables = [flat(rate, START + n * HOUR) for n, rate in enumerate(rates)]
    return replace(chosen, maintenance=tuple(tables))


def still(hours, opened=(400.0, 0.0), price=100.0):
    """Hours at one price; open interest rises in the second and third."""
    interest = 1_000 + np.cumsum([0.0, *opened, *[0.0] * (hours - len(opened) - 1)])
    return pl.DataFrame(
        {
            "time": [START + n * HOUR for n in range(hours)],
            **dict.fromkeys(("open", "high", "low", "close"), [price] * hours),
            "volume": 0.0,
            "taker_buy": 0.0,
            "open_interest": interest,
            "open_interest_usd": interest * price,
        },
        schema_overrides={"time": pl.Datetime("us", "UTC")},
    )


def moved(frame, parameters):
    subject = Inventory(parameters, interval=HOUR, grid=GRID)
    return subject, subject.update(frame)


def middle(subject, side, tier):
    """The mean log price of what stands, and how much that is."""
    mass = subject.cells[side, tier].sum(axis=0)
    at = (np.arange(GRID.rows) + GRID.first + 0.5) * GRID.step
    return float(mass @ at / mass.sum()), float(mass.sum())


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
@pytest.mark.parametrize("after", [0.001, 0.01, 0.02])
def test_what_stands_moves_to_where_the_exchange_now_liquidates_it(settlement, after):
    chosen = replace(TIERS, settlement=settlement, fee=0.0005)
    before, _ = moved(still(3), chosen)
    subject, _ = moved(still(3), dated([0.004, 0.004, after], chosen))
    for side, name in enumerate(("long", "short")):
        for tier, leverage in enumerate(chosen.leverage):
            # The engine knows buckets: from the middle of the old one, all go the exact distance.
            margin = 100 / leverage if settlement == "linear" else 1 / (100 * leverage)
            old, new = (
                liquidation_price(
                    100.0, 1.0, margin, rate, side=name, settlement=settlement, fee=0.0005
                )
                for rate in (0.004, after)
            )
            stood, held = middle(before, side, tier)
            stands_now, kept = middle(subject, side, tier)
            assert kept == pytest.approx(held)
            assert stands_now - stood == pytest.approx(math.log(float(new / old)), abs=1e-9)


def test_new_positions_are_liquidated_at_the_new_rate():
    frame = still(4, opened=(0.0, 400.0))
    subject, _ = moved(frame, dated([0.004, 0.004, 0.01, 0.01]))
    alone, _ = moved(frame, replace(TIERS, maintenance=0.01))
    np.testing.assert_allclose(subject.cells, alone.cells, atol=1e-9)


def test_a_leverage_that_is_no_longer_allowed_is_closed_and_opened_no_more():
    # 1/40 = 0.025: at 3 % of maintenance its longs, opened at 100, are liquidated above 100.
    frame = still(4, opened=(400.0, 400.0))
    subject, record = moved(frame, dated([0.004, 0.004, 0.03, 0.03]))
    assert record.crossed[2].sum(axis=1) == pytest.approx([40.0, 40.0])  # 0.2 · half of 400
    assert subject.cells[:, 2].sum() == 0
    # The second 200 go to 3x and 10x by 0.3 and 0.5.
    assert subject.cells[0].sum(axis=(1, 2)) == pytest.approx([60 + 75, 100 + 125, 0])
    # At 40 % no leverage is left: all is liquidated, and nobody knows where the second 200 stand.
    none, record = moved(frame, dated([0.004, 0.004, 0.4, 0.4]))
    assert record.crossed[2].sum(axis=1) == pytest.approx([200.0, 200.0])
    np.testing.assert_allclose(record.placed[2:], 0, atol=1e-9)
    np.testing.assert_allclose(none.unplaced, record.placed[1] + record.unplaced[1] + 200)
    with pytest.raises(ValueError, match="need a column `time`"):
        moved(still(3).drop("time"), dated([0.004, 0.01]))


def walk(seed, n=120):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.006, n)))
    opens = np.append(100.0, close[:-1])
    interest = 1_000 + np.cumsum(rng.normal(0, 20, n))
    wick = np.exp(rng.exponential(0.002, n))
    rows = [opens, np.maximum(opens, close) * wick, np.minimum(opens, close) / wick, close]
    volume = rng.exponential(80, n)
    return np.stack([*rows, volume, volume / 3, interest], axis=1)


rates = st.lists(st.sampled_from([0.002, 0.004, 0.01, 0.03, 0.4]), min_size=1, max_size=5)


@settings(max_examples=12)
@given(st.integers(0, 50), rates, st.sampled_from(["linear", "inverse"]))
def test_the_plain_engine_moves_alike(seed, changes, settlement):
    rows = walk(seed, 50)
    chosen = replace(TIERS, settlement=settlement, attrition=0.5, step=COARSE.step)
    chosen = dated([0.004, *changes], chosen)
    asked = np.repeat(np.arange(len(changes)) + 1, -(-len(rows) // len(changes)))[: len(rows)]
    fast = Inventory(chosen, interval=HOUR, grid=COARSE).advance(
        rows, brackets=asked, by_tier=True, touched=True
    )
    plain = replay(rows, chosen, HOUR, COARSE, asked)
    for name, ours, theirs in zip(fast._fields, fast, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=name)


@settings(max_examples=20)
@given(st.integers(0, 50), st.integers(1, 119), st.integers(1, 119))
def test_any_split_of_the_bars_gives_the_same_bits(seed, cut, change):
    rows = walk(seed)
    asked = (np.arange(len(rows)) >= change).astype(int)
    chosen = dated([0.004, 0.01])
    whole = Inventory(chosen, interval=HOUR, grid=GRID)
    pieces = Inventory(chosen, interval=HOUR, grid=GRID)
    once = whole.advance(rows, brackets=asked)
    first = pieces.advance(rows[:cut], brackets=asked[:cut])
    second = pieces.advance(rows[cut:], brackets=asked[cut:])
    assert np.array_equal(whole.cells, pieces.cells)
    columns = np.concatenate([first.columns, second.columns])
    assert np.array_equal(once.columns, columns, equal_nan=True)
    # Nor does a change to come move a bit of the past.
    before = Inventory(TIERS, interval=HOUR, grid=GRID).advance(rows[:change])
    assert np.array_equal(once.columns[:change], before.columns, equal_nan=True)


def test_the_map_says_that_brackets_changed_and_where_positions_were_entered():
    frame, chosen = still(4), replace(TIERS, maintenance=(flat(0.004), flat(0.01, CHANGE)))
    drawn = liquidation_map(frame, chosen, low=50.0, high=200.0)
    assert drawn.maintenance.rows() == [(CHANGE, 0.01)]
    assert "maintenance 0.01 from 2026-01-01 02:00 on, of open positions too" in drawn.said
    assert drawn.describe()["maintenance_changes"] == drawn.maintenance.to_dicts()
    assert liquidation_map(frame, TIERS).maintenance is None
    found = stands(frame, chosen)
    assert found.brackets == 1
    parts = found.make_up(50.0, 200.0)
    # All of it was opened at 100, and the new rate leads from where it stands back to there.
    assert (parts["entry_low"] <= 100.2).all()
    assert (parts["entry_high"] >= 99.8).all()
    for tier, leverage in enumerate(TIERS.leverage):
        long = parts.filter(side="long", leverage=leverage)["value_usd"].sum()
        assert long == pytest.approx(100 * 200 * TIERS.weights[tier])
