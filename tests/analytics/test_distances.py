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
    assert found.parameters.weights == pytest.approx((0.75, 0.25))
    assert found.parameters.liquidatable == 1
    assert found.positions == 80
    # (40 * 100 + 40 * 300)² / (40 * 100² + 40 * 300²)
    assert found.effective == pytest.approx(64)
    rows = found.tiers.select("side", "leverage", "distance", "new", "standing").rows()
    assert [row[0] for row in rows] == ["long", "short"]
    assert rows[0][1:] == pytest.approx((10, -0.1, 1, 1))
    assert rows[1][1:] == pytest.approx((5, 0.2, 1, 1))


def test_distances_of_one_market_are_the_leverages_of_another_contract() -> None:
    # By hand: an inverse long is liquidated at 80 % of its entry at 4x, a short at 4/3 at 4x.
    inverse = Parameters(maintenance=0.0, settlement="inverse")
    rows = table(held(40, "long", 80.0, 100), held(40, "short", 400 / 3, 100))
    assert distances(rows, inverse).parameters.leverage == pytest.approx((4,))
    assert distances(rows, FREE).parameters.leverage == pytest.approx((3, 5))


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
    assert found.parameters.weights == pytest.approx((0.5, 0.5))
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
