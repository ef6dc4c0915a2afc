"""Scenarios by name, and the coins they are played on."""

from __future__ import annotations

from msgspec.structs import replace

from plimsoll.simulation.parameters import Coin, Crowd, Options, Scenario, Shock, Value, Venue

__all__ = ["COINS", "SCENARIOS", "coins", "scenario"]

COINS = {
    coin.name: coin
    for coin in (
        Coin(name="BTC", price=94_000, open_interest=30e9, dated=True, options=True),
        Coin(
            name="ETH",
            price=3_350,
            open_interest=15e9,
            volatility=1.4,
            dated=True,
            options=True,
        ),
        Coin(name="SOL", price=190, open_interest=6e9, volatility=1.8),
        Coin(name="XRP", price=2.1, open_interest=3e9, volatility=1.8),
        Coin(name="DOGE", price=0.32, open_interest=2e9, volatility=2.0),
    )
}
"""Coins with about the size they had on 2025-01-01."""

VENUES = (
    Venue(
        name="sim-a",
        share=0.45,
        lag=5,
        liquidations="throttled",
        spot=True,
    ),
    Venue(
        name="sim-b",
        settlement="inverse",
        share=0.3,
        funding_hours=4,
        interest_delay=2,
        price_kind="bankruptcy",
        fee=0.00055,
        lag=10,
        leverage=(2, 3, 5, 10, 20, 25, 50, 100),
        mix=(0.15, 0.18, 0.22, 0.23, 0.10, 0.06, 0.05, 0.01),
    ),
    Venue(
        name="sim-c",
        share=0.25,
        insurance=0.0001,
        funding_hours=1,
        cap=0.04,
        transparent=0.1,
        fee=0.00045,
        lag=15,
        brackets=((5e-3, 0.0125, 40), (float("inf"), 0.025, 20)),
        leverage=(2, 3, 5, 10, 20, 25, 40),
        mix=(0.18, 0.20, 0.24, 0.22, 0.09, 0.04, 0.03),
        cross=0.6,
    ),
)
"""A large exchange with a throttled feed, one of coin-margined contracts, and a transparent one."""

SCENARIOS = {
    made.name: made
    for made in (
        Scenario(
            name="calm",
            summary="quiet, balanced, little borrowed",
            venues=VENUES,
            value=Value(volatility=0.013),
        ),
        Scenario(
            name="bull",
            summary="a rise that crowds longs and keeps funding above neutral for weeks",
            venues=VENUES,
            value=Value(volatility=0.02, drift=0.006),
            crowd=Crowd(mood=1.0),
        ),
        Scenario(
            name="crash",
            summary="crowded longs, a shock on thin books, a cascade; shaped on 2025-10-10",
            venues=VENUES,
            value=Value(volatility=0.02, drift=0.004),
            crowd=Crowd(mood=1.0, thrill=0.5),
            shock=Shock(at=0.8, minutes=30, move=-0.08, depth=0.08, mood=-0.5),
        ),
        Scenario(
            name="squeeze",
            summary="a fall that crowds shorts, then a shock upwards",
            venues=VENUES,
            value=Value(volatility=0.02, drift=-0.004),
            crowd=Crowd(mood=-1.0, thrill=0.5),
            shock=Shock(at=0.8, minutes=30, move=0.08, depth=0.08, mood=0.5),
        ),
        Scenario(
            name="institutional",
            summary="carry desks set the price of leverage: smooth funding, low leverage",
            venues=tuple(
                replace(
                    venue,
                    mix=tuple(
                        weight
                        for weight in ((0.3, 0.3, 0.25, 0.1, 0.05, 0.0, 0.0, 0.0)[: len(venue.mix)])
                    ),
                )
                for venue in VENUES
            ),
            value=Value(volatility=0.015, fast=0.25, slow=0.25),
            crowd=Crowd(mood=0.5, desk_capacity=1.0, hurdle=0.06, herding=0.2, thrill=0.0),
            options=Options(overwriting=3.0, speculation=1.0),
        ),
        Scenario(
            name="outage",
            summary="one exchange goes dark for three hours in a restless market",
            venues=VENUES,
            value=Value(volatility=0.03),
            outage=("sim-b", 0.7, 180),
        ),
    )
}
"""Scenarios by name."""


def scenario(name: str) -> Scenario:
    """Return a scenario.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in SCENARIOS:
        raise ValueError(f"there is no scenario {name!r}; known: {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def coins(names: tuple[str, ...]) -> tuple[Coin, ...]:
    """Return coins by name.

    Raises
    ------
    ValueError
        If one is not known or named twice, or none is named.
    """
    if unknown := [name for name in names if name not in COINS]:
        raise ValueError(f"there is no coin {unknown[0]!r}; known: {', '.join(COINS)}")
    if not names or len(set(names)) != len(names):
        raise ValueError(f"name each coin once, and one at least; got {', '.join(names) or 'none'}")
    return tuple(COINS[name] for name in names)
