"""Trades of options on Bybit and OKX, recorded from a loopback exchange that answers as they do."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.recorder import live, run, until
from fakes.venues import VENUES
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.server import Fake

BYBIT, OKX = (next(v for v in VENUES if v.name == name) for name in ("bybit", "okx"))
NOW = 1_790_000_000_000  # 2026-09-21
BYBIT_OPTION, OKX_OPTION = "BTC-25DEC26-90000-C", "BTC-USD-261225-90000-C"


def bybit_lists(query: dict[str, str], _body: bytes) -> Any:
    row = {"symbol": BYBIT_OPTION, "priceFilter": {"tickSize": "5"}}
    rows = [row] if query.get("baseCoin") == "BTC" else []
    return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": NOW}


def bybit_answers(sent: Any) -> list[Any]:
    """Return the answer of the options' socket, which repeats no `req_id`."""
    if sent["op"] == "ping":
        return [{"args": [str(NOW)], "op": "pong"}]
    topics = {"failTopics": [], "successTopics": sent["args"]}
    return [{"success": True, "conn_id": "aa01", "data": topics, "type": "COMMAND_RESP"}]


def bybit_trade(number: int, side: str, *, block: bool) -> Any:
    row = {"T": NOW, "s": BYBIT_OPTION, "S": side, "v": "0.5", "p": "1250", "BT": block}
    data = [{**row, "i": f"{number:08d}-8419-5bac-95c3-5fea28404754"}]
    about = {"id": f"publicTrade.BTC-{number}", "topic": "publicTrade.BTC", "type": "snapshot"}
    return {**about, "ts": NOW, "data": data}


def okx_lists(query: dict[str, str], _body: bytes) -> Any:
    size = {"ctVal": "1", "ctMult": "0.01", "ctValCcy": "BTC", "ctType": "", "tickSz": "0.0001"}
    rows = [{"instId": OKX_OPTION, "instType": "OPTION", **size}]
    return {"code": "0", "msg": "", "data": rows if query.get("instFamily") == "BTC-USD" else []}


def okx_trade(number: int, side: str) -> Any:
    arg = {"channel": "option-trades", "instType": "OPTION", "instFamily": "BTC-USD"}
    row = {"instId": OKX_OPTION, "px": "0.015", "sz": "50", "side": side, "tradeId": str(number)}
    return {"arg": arg, "data": [{**row, "instFamily": "BTC-USD", "ts": str(NOW)}]}


def recorded(folder: Path, venue: Any, lists: Any, frames: list[Any]) -> list[dict[str, Any]]:
    """Return the trades stored after an exchange has told of some."""
    recording = Recording()

    async def play(fake: Fake) -> None:
        fake.serve("instruments-info" if venue is BYBIT else "instruments", lists)
        if venue is BYBIT:
            fake.greeting = bybit_answers
        session = plimsoll.open(folder / "store")
        wanted = [Wanted(exchange=venue.name, symbols=("BTC",), kinds=("trade",))]
        task = asyncio.ensure_future(
            session.record_exchanges(wanted, recording, address=fake.address)
        )
        await until(lambda: live(recording) or task.done())
        for frame in frames:
            await fake.send(frame)
        await until(lambda: recording.kept == len(frames))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(venue, play)
    assert sum(one.unreadable for one in recording.health) == 0
    return plimsoll.open(folder / "store").read("trade").sort("id").to_dicts()


def test_bybit_tells_of_options_by_coin_and_of_blocks(tmp_path: Path) -> None:
    frames = [bybit_trade(1, "Buy", block=False), bybit_trade(2, "Sell", block=True)]
    bought, sold = recorded(tmp_path, BYBIT, bybit_lists, frames)
    assert bought["symbol"] == "BTC/USDC:USDC-261225-90000-C"
    assert (bought["side"], bought["price"], bought["amount"]) == ("buy", 1250, 0.5)
    assert (sold["side"], sold["origin"], bought["origin"]) == ("sell", "block", "screen")


def test_okx_tells_of_options_by_family_in_contracts(tmp_path: Path) -> None:
    frames = [okx_trade(7, "buy"), okx_trade(8, "sell")]
    bought, sold = recorded(tmp_path, OKX, okx_lists, frames)
    assert bought["symbol"] == "BTC/USD:BTC-261225-90000-C"
    assert (bought["side"], bought["price"]) == ("buy", 0.015)
    assert bought["amount"] == pytest.approx(0.5)  # 50 × 0.01
    assert (sold["side"], sold["origin"]) == ("sell", None)
