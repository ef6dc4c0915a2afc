"""Deribit's options, recorded from a loopback exchange, and what is told of them then."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.recorder import live, run, until
from fakes.venues import VENUES
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.server import Fake

DERIBIT = next(venue for venue in VENUES if venue.name == "deribit")
NOW = int(time.time() * 1_000)
EXPIRY = (datetime.now(UTC) + timedelta(days=8)).replace(hour=8, minute=0, second=0, microsecond=0)
DAY = f"{EXPIRY.day}{EXPIRY:%b%y}".upper()
FORWARD, VOLATILITY = 60_000.0, 0.5
BOUGHT, SOLD = 62_000, 64_000
"""Strikes of the calls that a taker bought, and sold."""


def name(strike: int) -> str:
    return f"BTC-{DAY}-{strike}-C"


def told(channel: str, data: Any) -> dict[str, Any]:
    params = {"channel": channel, "data": data}
    return {"jsonrpc": "2.0", "method": "subscription", "params": params}


def ticker(strike: int, moment: int, held: float) -> dict[str, Any]:
    data = {
        "instrument_name": name(strike),
        "timestamp": moment,
        "best_bid_price": 0.019,
        "best_bid_amount": 5,
        "best_ask_price": 0.021,
        "best_ask_amount": 5,
        "bid_iv": 49,
        "ask_iv": 51,
        "mark_iv": 100 * VOLATILITY,
        "mark_price": 0.02,
        "last_price": None,
        "underlying_price": FORWARD,
        "index_price": FORWARD,
        "open_interest": held,
        "greeks": {"delta": 0.4, "gamma": 0.0001, "vega": 30, "theta": -80, "rho": 5},
        "stats": {"volume": 9, "volume_usd": 540_000},
    }
    return told(f"ticker.{name(strike)}.agg2", data)


def trade(number: int, strike: int, direction: str) -> dict[str, Any]:
    return {
        "trade_seq": number,
        "trade_id": str(number),
        "timestamp": NOW - 30_000,
        "instrument_name": name(strike),
        "price": 0.02,
        "amount": 9,
        "direction": direction,
        "iv": 100 * VOLATILITY,
    }


def listed(query: dict[str, str], _body: bytes) -> Any:
    about = {"settlement_currency": "BTC", "contract_size": 1, "tick_size": 0.0001}
    options = [{**about, "instrument_name": name(strike)} for strike in (BOUGHT, SOLD)]
    return {"jsonrpc": "2.0", "result": options if query["kind"] == "option" else []}


def gamma(strike: float, at: datetime) -> float:
    """Black's gamma, written out."""
    width = VOLATILITY * math.sqrt((EXPIRY - at) / timedelta(days=365))
    d1 = math.log(FORWARD / strike) / width + width / 2
    return math.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi) / (FORWARD * width)


def test_recorded_options_tell_what_takers_did_what_for_and_the_exchanges_index(
    tmp_path: Path,
) -> None:
    kinds = ("option_quote", "trade", "volatility_index")
    wanted = [Wanted(exchange="deribit", symbols=("BTC",), kinds=kinds)]
    recording = Recording()

    async def play(fake: Fake) -> None:
        fake.serve("get_instruments", listed)
        session = plimsoll.open(tmp_path / "store")
        going = session.record_exchanges(wanted, recording, address=fake.address)
        task = asyncio.ensure_future(going)
        await until(lambda: live(recording) or task.done())
        dvol = {"volatility": 54.5, "timestamp": NOW - 40_000, "index_name": "btc_usd"}
        taken = [trade(1, BOUGHT, "buy"), trade(2, SOLD, "sell")]
        await fake.send(told("deribit_volatility_index.btc_usd", dvol))
        for strike in (BOUGHT, SOLD):
            await fake.send(ticker(strike, NOW - 60_000, 1))
        await fake.send(told("trades.option.BTC.100ms", taken))
        await until(lambda: recording.kept == 5)
        for strike in (BOUGHT, SOLD):
            await fake.send(ticker(strike, NOW - 1_000, 10))
        await until(lambda: recording.kept == 7)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(DERIBIT, play)
    assert sum(one.unreadable for one in recording.health) == 0
    now = plimsoll.open(tmp_path / "store").options("BTC")
    assert now.counts == {"live": 2, "stale": 0}
    # Nine of ten coins were opened in trades seen; who hedges has the other side of each.
    assert now.taker_coverage == pytest.approx(1)
    held = -9 * gamma(BOUGHT, now.time) + 9 * gamma(SOLD, now.time)
    assert now.value("taker_usd") == pytest.approx(
        held * FORWARD**2 * 0.01, rel=1e-2
    )  # a minute less to run
    assert now.value("stated_index") == pytest.approx(0.545)
    assert now.intents is not None
    amounts = dict(now.intents.select("intent", "amount").iter_rows())
    assert (amounts["speculation"], amounts["overwriting"]) == (9, 9)
