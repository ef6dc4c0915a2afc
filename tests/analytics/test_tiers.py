"""A map of some of its leverage tiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from plimsoll.analytics.averaged import Averaged
from plimsoll.analytics.bands import LEVELS
from plimsoll.analytics.clusters import clusters
from plimsoll.analytics.heatmap import Parameters, liquidation_map
from plimsoll.analytics.inventory import Grid
from plimsoll.analytics.inventory_state import matrix
from plimsoll.analytics.provenance import stands
from plimsoll.analytics.tiers import among, by_tier, ranges

HOUR = timedelta(hours=1)
TIERS = Parameters().leverage


def market(n=120, seed=1):
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, n)))
    opened = np.append(100.0, close[:-1])
    return pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, tzinfo=UTC) + i * HOUR for i in range(n)],
            "open": opened,
            "high": np.maximum(opened, close) * 1.002,
            "low": np.minimum(opened, close) * 0.998,
            "close": close,
            "volume": random.exponential(2_000.0, n),
            "taker_buy": None,
            "open_interest": 60_000 * np.exp(np.cumsum(random.normal(0, 0.01, n))),
        },
        schema_overrides={"time": pl.Datetime("us", "UTC"), "taker_buy": pl.Float64},
    )


def still(n=2):
    """Bars whose price stands at 100: of the second's new contracts half can be liquidated."""
    same = dict.fromkeys(("open", "high", "low", "close"), 100.0) | {"volume": None}
    return market(n).with_columns(
        **{name: pl.lit(value, pl.Float64) for name, value in same.items()},
        open_interest=pl.Series([1_000.0, *[1_400.0] * (n - 1)]),
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (None, None),
        (25, ((25.0, 25.0),)),
        ("25, 50", ((25.0, 25.0), (50.0, 50.0))),
        (["2-5", "100"], ((2.0, 5.0), (100.0, 100.0))),
        ([10.0, 20.0], ((10.0, 10.0), (20.0, 20.0))),
    ],
)
def test_leverages_are_numbers_and_ranges(said, meant):
    assert ranges(said) == meant


@pytest.mark.parametrize("said", ["", "x", "50-10", "-5", "nan", "inf", "10-20-30", ["25", ""]])
def test_what_is_neither_is_refused_with_an_example(said):
    with pytest.raises(ValueError, match="such as 25 or 10-25"):
        ranges(said)


def test_a_range_has_both_its_ends_and_a_number_the_tier_it_rounds_to():
    assert np.flatnonzero(among(TIERS, ranges("10-25"))).tolist() == [3, 4, 5]
    assert among((18.372, 18.6), ranges("18.4")).tolist() == [True, False]
    assert among(TIERS, None).all()
    assert not among(TIERS, ranges("7")).any()


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(TIERS), min_size=1), st.integers(0, 50))
def test_tiers_and_the_others_are_the_whole_map(some, seed):
    bars, others = market(seed=seed), [one for one in TIERS if one not in some]
    whole = liquidation_map(bars)
    part = liquidation_map(bars, leverage=ranges([float(one) for one in some]))
    rest = liquidation_map(bars, leverage=ranges(list(map(float, others))))
    for side in ("long_usd", "short_usd"):
        held = getattr(part, side) + getattr(rest, side)
        np.testing.assert_allclose(held, getattr(whole, side), rtol=1e-5, atol=1.0)
        crossed = part.crossed[side] + rest.crossed[side]
        assert crossed.to_list() == pytest.approx(whole.crossed[side].to_list())
    assert part.coverage.tolist() == pytest.approx(whole.coverage.tolist(), nan_ok=True)


def test_one_tier_stands_where_its_leverage_says_and_holds_its_weight():
    # 400 new contracts at 100, half of which can be liquidated: 200 a side, 25 % of them at 10x.
    # A long of 10x entered at 100 is liquidated at 100 (1 - 1/10) / (1 - 0.004) = 90.36.
    drawn = liquidation_map(still(3), leverage=ranges(10), low=50, high=200)
    row = int(np.searchsorted(drawn.edges, 90.36)) - 1
    assert np.flatnonzero(drawn.long_usd[-1]).tolist() == [row]
    assert drawn.long_usd[-1, row] == pytest.approx(0.25 * 200 * 100)
    assert "only leverage 10 of it" in drawn.said
    assert drawn.describe()["leverage_shown"] == (10.0,)


def test_a_whole_map_says_nothing_of_tiers():
    drawn = liquidation_map(market(), leverage=ranges("1-1000"))
    assert drawn.shown is None
    assert "only leverage" not in drawn.said


def test_the_limits_of_some_tiers_are_those_of_their_own_draws():
    # The same market: 50 contracts at 10x and 20 at 20x (10 %), in orders of 1,000 dollars. Each
    # stands in a row of its own, so that its limits are of one multiplier: of mean m and variance
    # v, size r, the negative binomial has 1/r' = 1/r + v / m².
    draws = np.abs(np.random.default_rng(3).normal(1.0, 0.5, (400, len(TIERS))))
    fit = SimpleNamespace(orders=9, draws=draws, cell_size=4.0, unit=1_000.0)
    grid = Grid.covering(50, 200, 0.001)
    bars = matrix(still(3))
    for tier, contracts in ((10, 50.0), (20, 20.0)):
        kept = among(TIERS, ranges(tier))
        moved = Averaged([(1.0, Parameters())], bars, None, interval=HOUR, grid=grid)
        usd, limits = by_tier(moved, np.ones(3, np.bool_), grid, np.full(3, 100.0), kept, fit)
        (row,) = np.flatnonzero(usd[-1, 0])
        assert usd[-1, 0, row] == pytest.approx(contracts * 100, rel=1e-6)
        own = draws[:, TIERS.index(tier)]
        mean = own.mean() * contracts * 100 / 1_000
        size = 1 / (1 / 4.0 + own.var() / own.mean() ** 2)
        expected = stats.nbinom.ppf(LEVELS, size, size / (size + mean)) * 1_000
        assert limits[:, -1, 0, row].tolist() == pytest.approx(expected.tolist())


def test_limits_of_no_tier_or_of_nothing_fitted_are_not_known():
    grid, shown, price = Grid.covering(50, 200, 0.001), np.ones(3, np.bool_), np.full(3, 100.0)
    bars = matrix(still(3))
    for kept, orders in ((among(TIERS, ranges(7)), 9), (among(TIERS, None), 0)):
        fit = SimpleNamespace(orders=orders, draws=np.ones((2, len(TIERS))), cell_size=1.0, unit=1)
        moved = Averaged([(1.0, Parameters())], bars, None, interval=HOUR, grid=grid)
        usd, limits = by_tier(moved, shown, grid, price, kept, fit)
        assert limits is None
        assert np.isnan(usd[0]).all()  # the first column knows no open interest yet
        assert (usd[2].sum() > 0) == kept.any()


def test_what_stands_at_some_leverages_clusters_alone():
    standing = stands(market(), Parameters())
    few = standing.only(ranges("50-100"))
    assert set(few.make_up(0.0, 1e9)["leverage"]) == {50.0, 100.0}
    assert few.usd.sum() < standing.usd.sum()
    near = clusters(few.profile(), few.price, reach=0.5)
    assert near["distance"].max() < 0.2  # a position of 50x cannot be liquidated far off
    assert standing.only(None).usd.tolist() == standing.usd.tolist()
