"""Maintenance by size, against exact liquidation prices of single positions and worked examples."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from plimsoll.analytics.carried import carried
from plimsoll.analytics.distances import distances
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Grid, Inventory, Parameters
from plimsoll.analytics.inventory_numpy import replay
from plimsoll.analytics.liquidation import distance_factor, distance_leverage, liquidation_price
from plimsoll.analytics.margins import (
    PARTS,
    Sizes,
    admitted,
    effective_rate,
    equal_parts,
    log_factors,
    tier_rates,
)
from plimsoll.analytics.provenance import stands
from plimsoll.analytics.sizes import sizes
from plimsoll.market.instrument import Brackets
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MILLION = 1_000_000
# Binance BTCUSDT, October 2024, as kept by freqtrade: cap, rate, highest leverage.
BTCUSDT = [
    (50_000, 0.004, 125),
    (600_000, 0.005, 100),
    (3 * MILLION, 0.0065, 75),
    (12 * MILLION, 0.01, 50),
    (70 * MILLION, 0.02, 25),
    (100 * MILLION, 0.025, 20),
    (230 * MILLION, 0.05, 10),
    (480 * MILLION, 0.10, 5),
]
SOME_BTC = [(1.0, 0.004, 125), (10.0, 0.01, 50), (100.0, 0.05, 10), (1_000.0, 0.125, 4)]


def table(tiers=BTCUSDT, since=START):
    return Brackets.build("x", "BTC/USDT:USDT", since, tiers)


def measured(*notional):
    return Sizes(notional=notional, positions=100)


def tier(leverage, *notional, tiers=BTCUSDT, **rest):
    known = measured(*notional) if notional else None
    return Parameters(
        leverage=(leverage,), weights=(1.0,), maintenance=(table(tiers),), sizes=known, **rest
    )


def test_published_examples_of_one_position():
    # Twenty bitcoin bought at 60,000, twentyfold: in the third bracket at 0.65 %, less 950, the
    # equity 60,000 + 20 (P - 60,000) is 0.13 P - 950 at 57,325.113; of a short at 62,640.338.
    long, short = 60_000 * np.exp(log_factors(tier(20, 1.2 * MILLION)))[:, 0]
    assert 60_000 + 20 * (long - 60_000) == pytest.approx(20 * long * 0.0065 - 950)
    assert (long, short) == pytest.approx((57_325.113236, 62_640.337804))
    # freqtrade tests/exchange/test_exchange.py: 1 @ 10, fivefold, 1 %, 0.01 deducted.
    small = [(2, 0.005, 125), (1_000, 0.01, 100)]
    prices = 10 * np.exp(log_factors(tier(5, 10.0, tiers=small)))[:, 0]
    assert prices == pytest.approx((8.070707070707071, 11.89108910891089))


@settings(max_examples=60)
@given(
    st.floats(1.5, 9.9),
    st.floats(0.01, 200.0),
    st.sampled_from(["linear", "inverse"]),
    st.sampled_from([0.0, 0.0005]),
)
def test_a_tier_of_one_size_is_where_that_position_is_liquidated(leverage, size, settlement, fee):
    # Sizes are quote of a linear position and base of an inverse one, both entered at 50,000.
    entry = 50_000.0
    tiers = SOME_BTC if settlement == "inverse" else [(n * entry, m, lev) for n, m, lev in SOME_BTC]
    notional = size if settlement == "inverse" else size * entry
    chosen = tier(leverage, notional, tiers=tiers, settlement=settlement, fee=fee)
    found = entry * np.exp(log_factors(chosen))[:, 0]
    amount = size * entry if settlement == "inverse" else size
    allowed = next(most for cap, _, most in SOME_BTC if size < cap) >= leverage
    for price, side in zip(found, ("long", "short"), strict=True):
        exact = liquidation_price(
            entry,
            amount if allowed else amount * 1e-9,  # what may not be is as the smallest
            notional / leverage * (1 if allowed else 1e-9),
            table([*tiers[:-1], (math.inf, *tiers[-1][1:])]),
            side=side,
            settlement=settlement,
            fee=fee,
        )
        assert price == pytest.approx(float(exact), rel=1e-9)


def test_a_tier_stands_at_the_mean_of_what_its_brackets_allow():
    # At 50x the brackets allow up to $12m: of four equal parts, $50m is too large.
    sizes_of = (10_000.0, 100_000.0, 5 * MILLION, 50 * MILLION)
    chosen = tier(50, *sizes_of)
    assert admitted(chosen).tolist() == [0.75]
    one_by_one = [log_factors(tier(50, one))[:, 0] for one in sizes_of[:3]]
    assert log_factors(chosen)[:, 0] == pytest.approx(np.mean(one_by_one, axis=0))
    # By hand, maintenance over notional: 0.4 %, 0.5 % less 50, 1 % less 11,450.
    by_hand = (0.004 + 450 / 100_000 + 38_550 / (5 * MILLION)) / 3
    assert tier_rates(chosen)[0] == pytest.approx(by_hand)
    assert log_factors(tier(50))[:, 0] == pytest.approx(one_by_one[0])
    assert effective_rate([100_000, 1e12], (table(),)) == pytest.approx([0.0045, 0.1], abs=1e-4)


def test_the_initial_margin_must_exceed_the_maintenance_of_that_size():
    # Up to 100x in both brackets, but 1/80 is less than the 2 % of the second.
    lax = [(1_000.0, 0.004, 100), (1e9, 0.02, 100)]
    assert admitted(tier(80, 500.0, 1e8, tiers=lax)).tolist() == [0.5]
    assert admitted(tier(40, 500.0, 1e8, tiers=lax)).tolist() == [1]
    assert admitted(tier(80, 500.0, tiers=lax, fee=0.008)).tolist() == [1]
    assert admitted(tier(80, 900.0, 1_100.0, tiers=lax, fee=0.0075)).tolist() == [0.5]


def test_sizes_are_kept_in_parts_of_equal_dollars():
    rng = np.random.default_rng(1)
    notional = rng.lognormal(12, 2, 20_000)
    kept = np.array(equal_parts(notional, notional))
    below = np.array([notional[notional <= one].sum() for one in kept]) / notional.sum()
    assert below == pytest.approx((np.arange(PARTS) + 0.5) / PARTS, abs=0.01)
    # As many parts as dollars: a third of them in the small ones.
    assert equal_parts([5, 1], [1, 2]).count(1.0) == PARTS * 2 // 3


def still(hours, price=60_000.0, opened=400.0):
    """Hours at one price; open interest rises in the second."""
    interest = 1_000 + opened * (np.arange(hours) > 0)
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


MIXED = Parameters(
    leverage=(3, 10, 50),
    weights=(0.3, 0.5, 0.2),
    maintenance=(table(), table([(cap, 2 * rate, lev / 3) for cap, rate, lev in BTCUSDT])),
    sizes=measured(10_000.0, 200_000.0, 8 * MILLION, 60 * MILLION),
)


def test_the_map_puts_positions_where_the_exchange_liquidates_them():
    chosen = replace(MIXED, maintenance=MIXED.maintenance[:1], sizes=measured(8.0 * MILLION))
    drawn = liquidation_map(still(3), chosen, low=30_000.0, high=90_000.0)
    found = stands(still(3), chosen)
    for side, usd in (("long", drawn.long_usd[-1]), ("short", drawn.short_usd[-1])):
        rows = np.flatnonzero(usd)
        prices = liquidation_price(
            60_000.0,
            8 * MILLION / 60_000,
            8 * MILLION / np.array(chosen.leverage),
            table(),
            side=side,
        )
        where = np.searchsorted(drawn.edges, np.sort(prices)) - 1
        assert rows.tolist() == where.tolist()
        # The way back is the entry.
        parts = found.make_up(30_000.0, 100_000.0).filter(pl.col("side") == side)
        assert (parts["entry_low"] <= 60_000.01).all()
        assert (parts["entry_high"] >= 59_999.99).all()


def test_other_brackets_move_each_tier_by_its_own_distance():
    window = Grid.covering(20_000, 200_000, 0.001)
    chosen = replace(
        MIXED,
        maintenance=(table(), table(SHARPER, START + 2 * HOUR)),
        sizes=measured(9.0 * MILLION),
    )
    stood, stays = (Inventory(chosen, interval=HOUR, grid=window) for _ in range(2))
    stays.update(still(2))
    stood.update(still(3))
    assert stood.brackets == 1
    rows = (np.arange(window.rows) + window.first + 0.5) * window.step
    for side, name in enumerate(("long", "short")):
        moved = []
        for at, leverage in enumerate(chosen.leverage):
            old, new = (
                liquidation_price(60_000.0, 150.0, 9 * MILLION / leverage, table(tiers), side=name)
                for tiers in (BTCUSDT, SHARPER)
            )
            before, after = (one.cells[side, at].sum(axis=0) for one in (stays, stood))
            assert after.sum() == pytest.approx(before.sum())
            by = float(rows @ after / after.sum() - rows @ before / before.sum())
            assert by == pytest.approx(math.log(float(new / old)), abs=1e-9)
            moved.append(by)
        assert len(set(np.round(moved, 5))) == 3
        whole = stood.column(60_000.0)[side].sum()
        assert whole == pytest.approx(200.0)


SHARPER = [(cap, 1.6 * rate, lev) for cap, rate, lev in BTCUSDT]


@settings(max_examples=10)
@given(
    st.integers(0, 50),
    st.sampled_from(["linear", "inverse"]),
    st.lists(st.integers(0, 2), min_size=1, max_size=4),
    st.booleans(),
)
def test_the_plain_engine_puts_sizes_alike(seed, settlement, changes, sized):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.006, 40)))
    opens = np.append(100.0, close[:-1])
    wick = np.exp(rng.exponential(0.002, 40))
    volume = rng.exponential(80, 40)
    interest = 1_000 + np.cumsum(rng.normal(0, 20, 40))
    prices = [opens, np.maximum(opens, close) * wick, np.minimum(opens, close) / wick, close]
    rows = np.stack([*prices, volume, volume / 3, interest], axis=1)
    grid = Grid.covering(50.0, 200.0, 0.005)
    forbidding = table([(cap, 3 * rate, lev / 3) for cap, rate, lev in BTCUSDT])
    known = MIXED.sizes if sized else None
    chosen = replace(
        MIXED,
        maintenance=(table(), table(SHARPER), forbidding),
        sizes=known,
        settlement=settlement,
        step=grid.step,
    )
    which = np.repeat(changes, -(-len(rows) // len(changes)))[: len(rows)]
    fast = Inventory(chosen, interval=HOUR, grid=grid).advance(
        rows, brackets=which, by_tier=True, touched=True
    )
    plain = replay(rows, chosen, HOUR, grid, which)
    for name, ours, theirs in zip(fast._fields, fast, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6, err_msg=name)


def test_a_leverage_that_fewer_sizes_may_have_is_opened_less():
    # 50x: of the four parts three before, and after (a third of each leverage) the first alone
    # would have 41x; so its weight goes to 3x and 10x. At 10x three of four remain (60m has 8.3x).
    changed = replace(
        MIXED,
        maintenance=(MIXED.maintenance[0], replace(MIXED.maintenance[1], since=START + HOUR)),
    )
    window = Grid.covering(20_000, 200_000, 0.001)
    subject = Inventory(changed, interval=HOUR, grid=window)
    subject.update(still(2))
    opened = subject.cells[0].sum(axis=(1, 2))
    ten = 0.5 * 0.75
    assert opened == pytest.approx([200 * 0.3 / (0.3 + ten), 200 * ten / (0.3 + ten), 0])


def position(n, side, leverage, notional, entry=60_000.0, **rest):
    """A wallet's isolated position, liquidated where Binance's brackets do."""
    price = liquidation_price(entry, notional / entry, notional / leverage, table(), side=side)
    return {
        "exchange": "x",
        "symbol": "BTC/USDT:USDT",
        "time": START,
        "wallet": f"w{n}",
        "side": side,
        "amount": notional / entry,
        "entry_price": entry,
        "liquidation_price": float(price),
        "value_usd": notional,
    } | rest


def wallets(rows):
    return TABLES["position"].conform(pl.DataFrame(rows, infer_schema_length=None))


def test_measured_distances_are_kept_whatever_the_sizes():
    rng = np.random.default_rng(4)
    rows = [
        position(n, ("long", "short")[n % 2], lev, size)
        for n, (lev, size) in enumerate(
            zip(rng.uniform(2, 20, 800), rng.lognormal(13, 1.5, 800), strict=True)
        )
    ]
    found = distances(wallets(rows), replace(MIXED, maintenance=(table(),)))
    assert found.parameters.sizes is None
    by_tier = np.exp(log_factors(found.parameters)) - 1
    for side, place in (("long", 0), ("short", 1)):
        told = found.tiers.filter(side=side)
        modelled = [by_tier[place, found.parameters.leverage.index(x)] for x in told["leverage"]]
        assert told["distance"].to_numpy() == pytest.approx(modelled, rel=0.06)


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_positions_measured_elsewhere_have_the_brackets_of_the_market_mapped(settlement):
    # The same leverage and size, liquidated by other brackets: of inverse contracts, in base.
    inverse = settlement == "inverse"
    strict = [(1.0 if inverse else 60_000.0, 0.01, 50), (1e9, 0.05, 15)]
    there = replace(MIXED, maintenance=(table(strict),), settlement=settlement)
    chosen = [
        (side, lev, size)
        for side in ("long", "short")
        for lev in (3, 12)
        for size in (1_000.0, 90_000.0, 5e6)
    ]
    rows = wallets([position(n, *one) for n, one in enumerate(chosen)])
    moved = carried(rows, {MARKET: table()}, there).sort(NUMBER)
    for (side, lev, size), found in zip(chosen, moved["liquidation_price"], strict=True):
        price = liquidation_price(
            60_000.0,
            size if inverse else size / 60_000,
            (size / 60_000 if inverse else size) / lev,
            table(strict),
            side=side,
            settlement=settlement,
        )
        factor = found / 60_000
        if inverse:  # told as of a linear position of the same leverage, at the least rate
            told = distance_leverage(factor, 0.01, side=side)
            factor = distance_factor(told, 0.01, side=side, settlement="inverse")
        assert 60_000 * float(factor) == pytest.approx(float(price))
    # Under the same brackets it stays, and where either are not known.
    told = rows["liquidation_price"].to_list()
    stayed = carried(rows, {MARKET: table()}, replace(MIXED, maintenance=(table(),)))
    assert stayed.sort(NUMBER)["liquidation_price"].to_list() == pytest.approx(told)
    assert carried(rows, {}, there).sort(NUMBER)["liquidation_price"].to_list() == told
    assert carried(rows, {MARKET: table()}, Parameters()).equals(rows)


def test_what_cannot_be_carried_over_is_left_or_has_no_price():
    near = position(0, "long", 10, 1_000.0) | {"liquidation_price": 61_000.0}
    never = position(1, "short", 2, 1_000.0) | {"liquidation_price": None}
    closed = position(2, "long", 10, 1_000.0) | {"amount": 0.0, "value_usd": 0.0}
    there = replace(MIXED, maintenance=(table([(1e9, 0.02, 20)]),), leverage=(3, 10, 40))
    found = carried(wallets([near, never, closed]), {MARKET: table()}, there).sort("wallet")
    prices = found["liquidation_price"].to_list()
    assert prices[0] == pytest.approx(61_000)
    assert prices[1] is None
    assert prices[2] == pytest.approx(60_000 * 0.9 / 0.98)


MARKET = ("x", "BTC/USDT:USDT")
NUMBER = pl.col("wallet").str.slice(1).cast(pl.Int64)


def test_sizes_are_measured_where_wallets_are_read():
    far = {"liquidation_price": None}
    rows = [position(n, "long", 5, 1_000.0 * (n % 4 + 1)) for n in range(200)]
    rows += [position(n, "short", 2, 1e9, **far) for n in range(200, 300)]
    found = sizes(wallets(rows), "linear")
    assert (found.positions, found.exchanges) == (200, ("x",))
    # A tenth, two, three and four tenths of the dollars; of an inverse market it is coins.
    shares = [found.notional.count(1_000.0 * n) / PARTS for n in (1, 2, 3, 4)]
    assert shares == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=1 / PARTS)
    coins = sizes(wallets(rows), "inverse").notional
    assert coins == pytest.approx([one / 60_000 for one in found.notional])
    assert sizes(wallets(rows[:20]), "linear") is None
    assert sizes(wallets(rows[200:]), "linear") is None


def test_the_map_says_whose_maintenance_it_takes():
    first = liquidation_map(still(3), replace(MIXED, maintenance=(table(),), sizes=None))
    assert "; maintenance of the first bracket for all sizes;" in first.said
    assert first.describe()["sizes"] is None
    drawn = liquidation_map(still(3), replace(MIXED, maintenance=(table(),)))
    assert "; maintenance by notional from 100 measured positions;" in drawn.said
    told = drawn.describe()
    assert told["maintenance"] == 0.004
    assert told["sizes"] == {"positions": 100, "exchanges": ()}
    assert told["maintenance_rates"] == tier_rates(drawn.parameters).tolist()
    with pytest.raises(ValueError, match="sizes of positions must be positive"):
        replace(MIXED, sizes=replace(MIXED.sizes, notional=(1.0, 0.0)))
