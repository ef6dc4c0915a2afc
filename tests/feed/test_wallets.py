"""Wallets found in trades, looked at by turns, and how much of a market they show."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.server import Fake
from plimsoll.feed import wallets as directory
from plimsoll.feed.wallets import Wallets
from plimsoll.market.events import Position
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_790_000_000.0
TIME = 1_767_225_600_000


def held(wallet: str, side: str = "long", amount: float = 1.0) -> Position:
    return Position(
        exchange="x",
        symbol="BTC/USDC:USDC",
        time=1,
        wallet=wallet,
        side=side,
        amount=amount,
        entry_price=10,
        value_usd=amount * 10,
    )


def test_the_most_active_are_looked_at_first_and_none_twice_in_a_minute() -> None:
    known = Wallets()
    known.traded([("small", 5.0), ("large", 500.0), ("small", 1.0)])
    assert len(known) == 2
    assert known.following(NOW) == "large"
    known.looked("large", [], NOW)
    assert known.following(NOW + 1) == "small"
    known.looked("small", [held("small")], NOW + 1)
    assert known.following(NOW + 30) is None
    # What holds nothing and has not traded since is worth nothing; what holds is looked at again.
    assert known.following(NOW + 61) in {"small", "large"}
    assert known.following(NOW + 3_600) == "small"


def test_a_position_that_is_gone_is_told_once_with_no_amount() -> None:
    known = Wallets()
    assert known.looked("w", [held("w"), held("w", "short", 2.0)], NOW) == [
        held("w"),
        held("w", "short", 2.0),
    ]
    (gone,) = known.looked("w", [held("w", "short", 2.0)], NOW + 61)[1:]
    assert (gone.side, gone.amount, gone.value_usd) == ("long", 0, 0)
    assert known.looked("w", [], NOW + 122)[0].side == "short"
    assert known.looked("w", [], NOW + 183) == []


def test_whoever_holds_much_is_not_forgotten_for_a_small_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory, "_MOST", 10)
    known = Wallets()
    known.looked("whale", [held("whale", amount=1_000.0)], NOW)
    known.traded((f"w{n}", 300.0) for n in range(30))
    known.traded((f"x{n}", 300.0) for n in range(30))
    (gone,) = known.looked("whale", [], NOW + 61)
    assert gone.amount == 0


def test_a_wallet_that_could_not_be_read_waits_and_loses_nothing() -> None:
    known = Wallets()
    known.looked("w", [held("w")], NOW)
    known.skipped("w", NOW + 61)
    assert known.following(NOW + 62) is None
    (gone,) = known.looked("w", [], NOW + 122)
    assert (gone.side, gone.amount) == ("long", 0)


def test_the_least_active_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory, "_MOST", 100)
    known = Wallets()
    known.traded((f"w{n}", float(n)) for n in range(101))
    assert len(known) == 91
    assert known.following(NOW) == "w100"


WALLETS = [f"0x{n:040x}" for n in range(1, 4)]


def answer(_query: dict[str, str], body: bytes) -> Any:
    """What the exchange answers to a question, by its type."""
    asked = json.loads(body)
    if asked["type"] == "metaAndAssetCtxs":
        context = {
            "funding": "0.0000125",
            "openInterest": "100.0",
            "prevDayPx": "90000",
            "dayNtlVlm": "1000000",
            "premium": "0.0001",
            "oraclePx": "90000",
            "markPx": "90010",
            "midPx": "90010",
            "impactPxs": ["90000", "90020"],
            "dayBaseVlm": "10",
        }
        universe = [{"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 40}]
        return [{"universe": universe, "marginTables": [], "collateralToken": 0}, [context]]
    number = WALLETS.index(asked["user"]) + 1
    position = {
        "coin": "BTC",
        "szi": str(number if number < 3 else -number),
        "leverage": {"type": "cross", "value": 20},
        "entryPx": "85000.0",
        "positionValue": str(90_010 * number),
        "unrealizedPnl": "1.0",
        "returnOnEquity": "0.1",
        "liquidationPx": "80000.0",
        "marginUsed": "4500.5",
        "maxLeverage": 40,
    }
    return {
        "assetPositions": [{"type": "oneWay", "position": position}],
        "time": TIME,
        "withdrawable": "1.0",
    }


def test_wallets_are_found_in_trades_and_their_positions_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_LEAST", 0.3)

    async def play() -> None:
        async with Fake() as fake:
            fake.serve("info", answer)
            fake.greeting = lambda sent: (
                [{"channel": "subscriptionResponse", "data": sent}]
                if sent["method"] == "subscribe"
                else [{"channel": "pong"}]
            )
            told = Recording()
            session = plimsoll.open(tmp_path / "store")
            wanted = Wanted(exchange="hyperliquid", symbols=("BTC",), kinds=("position",))
            task = asyncio.ensure_future(
                session.record_exchanges([wanted], told, address=fake.address)
            )
            while not fake.subscribed and not task.done():
                await asyncio.wait({task}, timeout=0.05)
            trade = {
                "coin": "BTC",
                "side": "B",
                "px": "90000",
                "sz": "0.5",
                "time": TIME,
                "hash": "0x0",
                "tid": 1,
            }
            rows = [
                {**trade, "users": WALLETS[:2]},
                {**trade, "tid": 2, "users": WALLETS[1:]},
            ]
            await fake.send({"channel": "trades", "data": rows})
            while told.kept < 3 and not task.done():
                await asyncio.wait({task}, timeout=0.05)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert told.problems == []

    asyncio.run(play())
    rows = plimsoll.open(tmp_path / "store").read("position")
    newest = rows.unique("wallet", keep="last").sort("wallet")
    assert newest["wallet"].to_list() == WALLETS
    assert newest["side"].to_list() == ["long", "long", "short"]
    assert newest["amount"].to_list() == [1, 2, 3]
    assert newest["leverage"].to_list() == [20, 20, 20]
    assert newest["liquidation_price"].to_list() == [80_000] * 3
    with pytest.raises(plimsoll.errors.NoSuchData):
        plimsoll.open(tmp_path / "store").read("trade")
