"""Measured distances as tiers, against leverages known by construction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from plimsoll.analytics.distances import LEAST, distances
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.liquidation import distance_factor, distance_leverage
from plimsoll.market.schema import TABLES

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
FREE = Parameters(maintenance=0.0)


def held(
    many: int, side: str, liquidated: float | None, usd: float, name: str = "w", **rest: Any
) -> list[dict[str, Any]]:
    """Positions of as many wallets, entered at 100."""
    return [
        {
            "exchange": "x",
            "symbol": "BTC/USDC:USDC",
            "time": START,
            "wallet": f"{name}{side}{liquidated}{n}",
            "side": side,
            "amount": usd / 100,
            "entry_price": 100.0,
            "liquidation_price": liquidated,
            "value_usd": usd,
        }
        | rest
        for n in range(many)
    ]


def table(*rows: list[dict[str, Any]]) -> pl.DataFrame:
    flat = [row for part in rows for row in part]
    return TABLES["position"].conform(pl.DataFrame(flat, infer_schema_length=None))


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_the_leverage_of_a_distance_is_the_inverse_of_the_distance_of_a_leverage(
    side: Any, settlement: Any
) -> None:
    rates: Any = {"side": side, "settlement": settlement, "fee": 0.0005}
    tiers = [1.5, 2, 10, 77, 200]
    factors = distance_factor(tiers, 0.004, **rates)
    assert distance_leverage(factors, 0.004, **rates) == pytest.approx(tiers)


def test_distances_become_the_leverages_that_have_them() -> None:
    # By hand, without maintenance: a long is at 10x 10 % away, a short at 5x 20 % away.
    found = distances(table(held(40, "long", 90.0, 100), held(40, "short", 120.0, 300)), FREE)
    assert found.parameters.leverage == pytest.approx((5, 10))
    assert found.pooled.weights == pytest.approx((0.75, 0.25))
    assert found.pooled.shorts is None
    assert found.parameters.reachable == (1, 1)
    assert found.positions == 80
    # (40 * 100 + 40 * 300)² / (40 * 100² + 40 * 300²)
    assert found.effective == pytest.approx(64)
    rows = found.tiers.select("side", "leverage", "distance", "new", "standing").rows()
    assert [row[0] for row in rows] == ["long", "short"]
    assert rows[0][1:] == pytest.approx((10, -0.1, 1, 1))
    assert rows[1][1:] == pytest.approx((5, 0.2, 1, 1))


def test_distances_of_one_market_are_the_leverages_of_another_contract() -> None:
    # By hand: an inverse long is liquidated at 80 % of its entry at 4x, a short at 4/3 at 4x; a
    # linear long at 80 % at 5x, a short at 4/3 at 3x. They are so on whichever contract is mapped.
    inverse = Parameters(maintenance=0.0, settlement="inverse")
    rows = held(40, "long", 80.0, 100), held(40, "short", 400 / 3, 100)
    coins = table(*([row | {"symbol": "BTC/USD:BTC"} for row in part] for part in rows))
    for prior in (inverse, FREE):
        assert distances(coins, prior).parameters.leverage == pytest.approx((4,))
        assert distances(table(*rows), prior).parameters.leverage == pytest.approx((3, 5))


def test_what_is_never_liquidated_has_no_tier_and_lowers_the_liquidatable_share() -> None:
    # Of 40 · $100 in a tier, 10 · $200 without a price and 10 · $200 91 % away: half can be.
    rows = table(
        held(40, "long", 90.0, 100), held(10, "long", None, 200), held(10, "long", 9.0, 200)
    )
    found = distances(rows, FREE)
    assert found.parameters.leverage == pytest.approx((10,))
    assert found.parameters.liquidatable == 0.5
    # A profit can carry a crossed wallet's liquidation price beyond its entry: no leverage can.
    beyond = distances(table(held(40, "long", 90.0, 100), held(40, "long", 103.0, 100)), FREE)
    assert beyond.parameters.leverage == pytest.approx((10,))
    assert beyond.parameters.liquidatable == 1


def test_each_position_counts_once_as_it_was_first_seen() -> None:
    again = [held(40, "long", 90.0, 100, "a", time=START + n * HOUR) for n in range(3)]
    # The margin of a position grew, which is no new one; closed and opened again it is.
    moved = [row | {"liquidation_price": 80.0, "time": START + 3 * HOUR} for row in again[0]]
    found = distances(table(*again, moved), FREE)
    assert (found.positions, found.wallets) == (40, 40)
    assert found.parameters.leverage == pytest.approx((10,))
    closed = [
        row | {"amount": 0.0, "liquidation_price": None, "time": START + 4 * HOUR}
        for row in again[0]
    ]
    anew = [row | {"liquidation_price": 80.0, "time": START + 5 * HOUR} for row in again[0]]
    found = distances(table(*again, moved, closed, anew), FREE)
    assert found.positions == 80
    assert found.pooled.weights == pytest.approx((0.5, 0.5))
    assert found.tiers["standing"].to_list() == [1, 0]  # 5x and 10x


def test_too_few_positions_tell_nothing() -> None:
    few = round(LEAST) - 1
    with pytest.raises(ValueError, match=r"as surely as 29\.0 of one size.*record more wallets"):
        distances(table(held(few, "long", 90.0, 100)), FREE)
    whale = held(1, "long", 80.0, 1e9, "whale")
    with pytest.raises(ValueError, match=r"101 measured positions .* as 1\.0 of one size"):
        distances(table(held(100, "long", 90.0, 100), whale), FREE)
    with pytest.raises(ValueError, match=r"the 0 measured positions"):
        distances(table(held(100, "long", None, 100)), FREE)


# Sides


def test_each_side_has_as_much_of_its_own_mix_as_is_no_chance() -> None:
    # By hand: 40 longs of 10x and 40 shorts of 5x; of both together 20 of each would be on either.
    # G² = 2 (40 ln(40/20) + 40 ln(40/20)) = 110.904; one degree of freedom: 1 - 1/G² = 0.99098.
    found = distances(table(held(40, "long", 90.0, 100), held(40, "short", 120.0, 100)), FREE)
    own = 1 - 1 / 110.9035
    assert found.sides["own"].to_list() == pytest.approx([own, own], rel=1e-6)
    assert found.parameters.weights == pytest.approx(((1 - own) / 2, (1 + own) / 2))
    assert found.parameters.shorts == pytest.approx(((1 + own) / 2, (1 - own) / 2))
    assert found.said.endswith("x, by side, of any age")


def test_sides_that_differ_by_chance_are_one() -> None:
    # 21 and 19 of 5x: G² = 2 · 40 · (0.525 ln 1.05 + 0.475 ln 0.95) = 0.1 on one degree of freedom.
    rows = [
        *(held(19, "long", 90.0, 100), held(21, "long", 80.0, 100)),
        *(held(21, "short", 110.0, 100), held(19, "short", 120.0, 100)),
    ]
    found = distances(table(*rows), FREE)
    assert found.sides["own"].to_list() == [0, 0]
    assert found.parameters.weights == pytest.approx((0.5, 0.5))
    assert found.parameters.shorts == pytest.approx((0.5, 0.5))
    assert found.said.endswith("x, of both sides alike, of any age")


def test_a_mirrored_panel_has_the_mirrored_model() -> None:
    one = [held(30, "long", 90.0, 100), held(30, "long", 80.0, 100), held(40, "short", 120.0, 300)]
    other = [
        [
            row
            | {
                "side": "short" if row["side"] == "long" else "long",
                "liquidation_price": 200 - row["liquidation_price"],
            }
            for row in part
        ]
        for part in one
    ]
    here, there = (distances(table(*rows), FREE).parameters for rows in (one, other))
    assert here.weights == pytest.approx(there.shorts)
    assert here.shorts == pytest.approx(there.weights)
    assert here.weights != pytest.approx(here.shorts)


def test_a_side_with_too_few_positions_has_the_mix_of_both() -> None:
    found = distances(table(held(60, "long", 90.0, 100), held(20, "short", 120.0, 100)), FREE)
    assert found.parameters.shorts == pytest.approx(found.pooled.weights) == (0.25, 0.75)
    assert found.sides["effective"].to_list() == pytest.approx([60, 20])
    assert found.sides["own"][1] == 0 < found.sides["own"][0]
    assert "by side, but shorts as all together (too few)" in found.said


def test_each_side_has_as_much_of_its_own_liquidatable_part() -> None:
    # All longs can be liquidated, half of the shorts: 40 and 40, 20 and 40 against 60 : 20.
    # G² = 2 (40 ln(40/30) + 20 ln(20/30) + 20 ln(20/10)) = 34.52.
    rows = held(40, "long", 90.0, 100), held(20, "short", 110.0, 100), held(20, "short", None, 100)
    longs, shorts = distances(table(*rows), FREE).parameters.reachable
    own = 1 - 1 / 34.5234
    assert longs == pytest.approx(own + 0.75 * (1 - own), rel=1e-5)
    assert shorts == pytest.approx(0.5 * own + 0.75 * (1 - own), rel=1e-5)


# Ages

NEW = START + timedelta(days=2)
LATER = NEW + 10 * HOUR


def panel(closed: int) -> pl.DataFrame:
    """50 longs of 5x and 50 of 10x, two days after the first look; later some 10x are gone."""
    empty = held(1, "long", None, 0.0, "first")
    low, high = (held(50, "long", price, 100, time=NEW) for price in (80.0, 90.0))
    again = [row | {"time": LATER} for row in low + high[closed:]]
    gone = [
        row | {"time": LATER, "amount": 0.0, "liquidation_price": None} for row in high[:closed]
    ]
    return table(empty, low, high, again, gone)


def hours(lows: list[float]) -> pl.DataFrame:
    """Bars from two days on, before which nothing is followed."""
    times = [NEW + n * HOUR for n in range(len(lows))]
    return pl.DataFrame({"time": times, "low": lows, "high": [101.0] * len(lows)}).with_columns(
        pl.col("time").cast(pl.Datetime("us", "UTC"))
    )


def test_a_tier_that_is_closed_sooner_lasts_less() -> None:
    # By hand: after ten hours 50 of 5x and 25 of 10x are left, of 75 as sure as 75, where 37.5 of
    # each were to be. G² = 2 (50 ln(50/37.5) + 25 ln(25/37.5)) = 8.495, of one degree: 0.8823 is no
    # chance. So r = 0.8823 · (2/3)/(1/2) + 0.1177 = 1.2941, and 0.7059.
    found = distances(panel(25), FREE, hours([99.0] * 12))
    longs, shorts = found.parameters.lasting  # type: ignore[misc]
    assert longs[0] == pytest.approx((1, 1, 1.2941, 1.2941), abs=1e-4)
    assert longs[1] == pytest.approx((1, 1, 0.7059, 0.7059), abs=1e-4)
    assert shorts == ((1, 1, 1, 1),) * 2
    told = found.ages.filter(side="long")  # type: ignore[union-attr]
    assert told["age_from"].to_list() == [0, 1, 8, 24]
    assert told["positions"].to_list() == [100, 0, 75, 0]
    assert told["effective"].to_list() == pytest.approx([100, 0, 75, 0])
    assert told["own"].to_list() == pytest.approx([0, 0, 0.8823, 0], abs=1e-4)
    assert found.said.endswith("x, by side, but shorts as all together (too few), by age")
    # Without prices nobody knows what the price took.
    assert distances(panel(25), FREE).parameters.lasting is None


def test_few_that_are_gone_may_be_chance() -> None:
    # 50 and 47 against 48.5: G² = 0.09.
    found = distances(panel(3), FREE, hours([99.0] * 12))
    assert found.parameters.lasting == (((1, 1, 1, 1),) * 2,) * 2
    assert found.said.endswith("of any age")


def test_what_the_price_took_is_not_taken_again() -> None:
    # At 85 all 10x are liquidated, as the inventory knows: that they are gone says nothing more.
    found = distances(panel(50), FREE, hours([99.0] * 5 + [85.0] + [99.0] * 6))
    assert found.parameters.lasting == (((1, 1, 1, 1),) * 2,) * 2
    calm = distances(panel(50), FREE, hours([99.0] * 12)).parameters.lasting
    assert calm is not None
    assert calm[0][1][2] < 0.1


def test_prices_after_the_last_look_tell_nothing() -> None:
    one, other = hours([99.0] * 10), hours([99.0] * 10 + [50.0] * 5)
    assert (
        distances(panel(25), FREE, one).parameters == distances(panel(25), FREE, other).parameters
    )


def test_positions_that_may_be_old_are_not_followed() -> None:
    # Those of the first day; and those first seen before the first bar.
    rows = panel(25).filter(pl.col("amount") > 0)
    told = distances(rows, FREE, hours([99.0] * 12)).ages
    assert told is not None
    assert told["positions"].sum() == 0
    late = hours([99.0] * 12).filter(pl.col("time") > NEW)
    told = distances(panel(25), FREE, late).ages
    assert told is not None
    assert told["positions"].sum() == 0
