"""Exchanges through ccxt, with ccxt's own client against a loopback Delta Exchange.

The answers are modelled on Delta's documentation as ccxt quotes it; expected rows are by hand.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import plimsoll
from fakes.server import Fake
from plimsoll.errors import ConnectionLost, ExchangeError, NoSuchData, Rejected, Unsupported
from plimsoll.exchanges import exchange
from plimsoll.store.catalogue import Catalogue
from plimsoll.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
MINUTES = 2_500  # more than one page


def product(symbol: str, kind: str, quote: str, settle: str | None, size: str) -> dict[str, Any]:
    return {
        "id": abs(hash(symbol)) % 10_000,
        "symbol": symbol,
        "contract_type": kind,
        "underlying_asset": {"symbol": "BTC"},
        "quoting_asset": {"symbol": quote},
        "settling_asset": settle and {"symbol": settle},
        "contract_value": size,
        "tick_size": "0.5",
        "settlement_time": None,
        "launch_time": "2025-12-31T12:00:00Z",
        "state": "live",
        "product_specs": {},
    }


PRODUCTS = {
    "success": True,
    "result": [
        product("BTCUSDT", "perpetual_futures", "USDT", "USDT", "0.001"),
        product("BTCUSDC", "perpetual_futures", "USDC", "USDC", "1"),
        product("BTCUSD", "perpetual_futures", "USD", "BTC", "1"),
        product("BTCUSD_Q", "perpetual_futures", "USD", "ETH", "3"),
        product("BTC_USDT", "spot", "USDT", None, "0.01"),
    ],
}


def candles(query: dict[str, str], _body: bytes) -> Any:
    """Minutes from New Year on, 2,000 at most; the 8th was not traded in."""
    first, last = int(query["start"]), int(query["end"])
    times = range(max(START, first - first % 60), min(START + 60 * MINUTES, last), 60)
    rows = [
        {"time": t, "open": 10, "high": 12, "low": 9, "close": 11, "volume": 5}
        for t in times
        if t >= first
    ]
    for row in rows:
        if row["time"] == START + 7 * 60:
            row.update(open=None, high=None, low=None, close=None, volume=None)
    return {"success": True, "result": rows[:2_000]}


def run(play: Callable[[Fake], Awaitable[None]]) -> None:
    pytest.importorskip("ccxt")

    async def whole() -> None:
        async with Fake() as fake:
            fake.serve("/v2/assets", lambda _q, _b: {"success": True, "result": []})
            fake.serve("/v2/products", lambda _q, _b: PRODUCTS)
            fake.serve("/v2/history/candles", candles)
            await play(fake)

    asyncio.run(whole())


def test_candles_are_brought_page_by_page_and_their_volume_only_where_its_unit_is_known(
    tmp_path: Path,
) -> None:
    session = plimsoll.open(tmp_path / "store")
    span = {"since": "2026-01-01", "until": "2026-01-04"}

    async def play(fake: Fake) -> None:
        for symbol in ("BTC/USDT:USDT", "BTC/USDC:USDC", "BTC/USD:BTC", "BTC/USDT"):
            (reached,) = await session.backfill(
                "ccxt:delta", symbol, ["candle"], **span, address=fake.address
            )
            assert (reached.rows, reached.oldest) == (MINUTES - 1, START * 1_000_000_000)
        assert all("delta.exchange" in path for path in fake.asked)

    run(play)
    volumes = {}
    for symbol in ("BTC/USDT:USDT", "BTC/USDC:USDC", "BTC/USD:BTC", "BTC/USDT"):
        rows = session.read("candle", symbol)
        assert rows.height == MINUTES - 1
        assert set(rows["exchange"]) == {"delta"}
        assert rows["taker_buy_volume"].null_count() == rows.height
        assert rows.select("time", "known_at", "open", "high", "low", "close").row(0) == (
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 1, 0, 1, tzinfo=UTC),
            *(10, 12, 9, 11),
        )
        volumes[symbol] = rows["volume"].unique().to_list()
    assert volumes == {
        "BTC/USDT:USDT": [None],  # a thousandth: 5 contracts, or 5 coins
        "BTC/USDC:USDC": [5],
        "BTC/USD:BTC": [None],
        "BTC/USDT": [5],
    }
    assert session.audit().findings == []


def test_instruments_are_remembered_and_a_size_of_two_meanings_is_not(tmp_path: Path) -> None:
    session = plimsoll.open(tmp_path / "store")

    async def play(fake: Fake) -> None:
        found = await session.backfill("ccxt:delta", "BTC", ["instrument"], address=fake.address)
        assert sorted(one.symbol for one in found) == [
            *("BTC/USD:BTC", "BTC/USDC:USDC", "BTC/USDT", "BTC/USDT:USDT")
        ]
        assert not any("candles" in path for path in fake.asked)

    run(play)
    catalogue = Catalogue(Layout(tmp_path / "store"))
    linear = catalogue.instrument("delta", "BTC/USDT:USDT")
    assert linear is not None
    assert (float(linear.contract_size), float(linear.tick or 0)) == (0.001, 0.5)
    assert linear.settlement == "linear"
    inverse = catalogue.instrument("delta", "BTC/USD:BTC")
    assert inverse is not None
    assert (float(inverse.contract_size), inverse.settlement) == (1, "inverse")
    assert catalogue.instrument("delta", "BTC/USD:ETH") is None


def test_what_cannot_be_had_is_said(tmp_path: Path) -> None:
    session = plimsoll.open(tmp_path / "store")

    async def play(fake: Fake) -> None:
        async def bring(name: str, symbol: str = "BTC", *kinds: str) -> None:
            await session.backfill(name, symbol, kinds, address=fake.address)

        with pytest.raises(Unsupported, match="translated here: name it binance"):
            await bring("ccxt:binanceusdm")
        with pytest.raises(Unsupported, match="open_interest is not published"):
            await bring("ccxt:delta", "BTC", "open_interest")
        with pytest.raises(ValueError, match="ccxt knows no exchange 'phemix'"):
            await bring("ccxt:phemix")
        with pytest.raises(NoSuchData, match="nothing is listed for FOO"):
            await bring("ccxt:delta", "FOO")
        fake.status["products"] = [(503, {})]
        with pytest.raises(ConnectionLost):
            await bring("ccxt:delta")
        refused = {"success": False, "error": {"code": "bad_schema"}}
        fake.serve("/v2/products", lambda _q, _b: refused)
        with pytest.raises(Rejected, match="BadRequest"):
            await bring("ccxt:delta")

    run(play)
    with pytest.raises(Unsupported, match="not read through ccxt"):
        exchange("ccxt:delta")


def test_without_ccxt_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ccxt.async_support", None)
    monkeypatch.setitem(sys.modules, "ccxt", None)
    work = plimsoll.open(tmp_path / "store").backfill("ccxt:phemex", "BTC/USDT:USDT", ["candle"])
    with pytest.raises(ExchangeError, match=r"pip install 'plimsoll\[ccxt\]'"):
        asyncio.run(work)
