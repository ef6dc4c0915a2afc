"""What no instrument, listing, bracket or event can be."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from msgspec.structs import replace

from plimsoll.exchanges.reading import Listing
from plimsoll.market.events import Trade
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.schema import flaw, rows

SINCE = datetime(2025, 1, 1, tzinfo=UTC)
BTC = Instrument(exchange="bybit", symbol="BTC/USDT:USDT")


@pytest.mark.parametrize("size", ["0", "-1", "NaN", "Infinity", "1e400", "1e-400"])
def test_a_size_and_a_tick_are_positive_and_finite(size: str) -> None:
    with pytest.raises(ValueError, match="contract size must be positive and finite"):
        Instrument(exchange="okx", symbol="BTC/USDT:USDT", contract_size=Decimal(size))
    with pytest.raises(ValueError, match="tick must be positive and finite"):
        Instrument(exchange="okx", symbol="BTC/USDT:USDT", tick=Decimal(size))


@pytest.mark.parametrize("hours", [0, -8, float("nan"), float("inf")])
def test_funding_is_settled_after_some_hours(hours: float) -> None:
    with pytest.raises(ValueError, match="cannot be settled every"):
        Listing(native="BTCUSDT", category="linear", instrument=BTC, interval_hours=hours)


@pytest.mark.parametrize("turnover", [-1, float("nan"), float("inf")])
def test_a_turnover_is_finite(turnover: float) -> None:
    with pytest.raises(ValueError, match="cannot be traded in a day"):
        Listing(native="BTCUSDT", category="linear", instrument=BTC, turnover_usd=turnover)


@pytest.mark.parametrize(
    ("cap", "rate", "leverage"),
    [
        (1e6, -0.01, 100),
        (1e6, 1.5, 100),
        (1e6, float("nan"), 100),
        (1e6, 0.01, 0),
        (1e6, 0.01, float("inf")),
        (float("nan"), 0.01, 100),
        (0, 0.01, 100),
    ],
)
def test_a_bracket_has_a_cap_a_rate_and_a_leverage(
    cap: float, rate: float, leverage: float
) -> None:
    with pytest.raises(ValueError, match="bracket"):
        Brackets.build("bybit", "BTC/USDT:USDT", SINCE, [(cap, rate, leverage)])


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_whole_number_fits_into_64_bits(number: int) -> None:
    trade = Trade(
        exchange="bybit",
        symbol="BTC/USDT:USDT",
        time=1_740_480_208_000_000_000,
        id=number,
        side="buy",
        price=1.0,
        amount=1.0,
    )
    assert flaw(trade) == f"id cannot be {number}"
    with pytest.raises(ValueError, match="id has a value that is none of its column"):
        rows([trade])
    with pytest.raises(ValueError, match="time has a value"):
        rows([replace(trade, time=10**40)])
