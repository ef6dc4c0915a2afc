"""Coinbase International's messages since it runs on Deribit's engine, and what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.coinbase import EXCHANGE
from plimsoll.exchanges.reading import Listing, Request
from plimsoll.market.events import Candle, Funding, Liquidation, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument
from plimsoll.market.native import EXCHANGES

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_788_868_400_000 * MS
BTC = Listing(
    native="BTC_USDC-PERPETUAL",
    category="linear",
    instrument=Instrument(exchange="coinbase", symbol="BTC/USDC:USDC"),
)


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder([BTC]).read(payload, RECEIVED, request)


def about(time: int) -> dict[str, object]:
    one = {"exchange": "coinbase", "symbol": "BTC/USDC:USDC"}
    return {**one, "time": time * MS, "received": RECEIVED}


def told(channel: str, data: object) -> dict[str, object]:
    params = {"channel": channel, "data": data}
    return {"jsonrpc": "2.0", "method": "subscription", "params": params}


def answer(result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": result, "usOut": 1788868358451883, "testnet": False}


PRINT = {
    "trade_seq": 12,
    "trade_id": "USDC-374491",
    "timestamp": 1788868357984,
    "price": 78400.0,
    "instrument_name": "BTC_USDC-PERPETUAL",
    "direction": "buy",
    "amount": 0.5,
    "liquidation": "T",
}


def test_its_name_and_hosts_are_its_own() -> None:
    assert EXCHANGE.name in EXCHANGES
    (channel,) = EXCHANGE.channels("trade", [BTC])
    assert channel.url == "wss://streams.drb.coinbase.com/ws/api/v2"
    assert channel.topic == "trades.BTC_USDC-PERPETUAL.100ms"
    for request in EXCHANGE.instruments():
        assert request.url == "https://drb.coinbase.com/api/v2/public/get_instruments"
        assert request.limit == "coinbase"
    assert json.loads(EXCHANGE.ping.payload)["method"] == "public/test"
    assert {offer.checked for offer in EXCHANGE.offers.values()} == {"documented"}
    assert "option_quote" not in EXCHANGE.offers
    assert EXCHANGE.offer("liquidation").history == "24 hours"


def test_trades_and_liquidations_are_in_coins() -> None:
    assert read(told("trades.BTC_USDC-PERPETUAL.100ms", [PRINT])) == [
        Trade(
            **about(1788868357984),
            id=374491,
            side="buy",
            price=78400,
            amount=0.5,
            origin="screen",
        ),
        Liquidation(
            **about(1788868357984),
            side="short",  # who was made to buy was short
            price=78400,
            amount=0.5,
            value_usd=39_200,  # 0.5 × 78,400
            price_kind="fill",
            completeness="complete",
            id="USDC-374491",
        ),
    ]
    maker = {**PRINT, "liquidation": "M"}
    _, liquidation = read(told("trades.BTC_USDC-PERPETUAL.100ms", [maker]))
    assert liquidation.side == "long"


def test_a_ticker_and_a_summary_tell_what_stands_now() -> None:
    row = {
        "timestamp": 1788867258984,
        "index_price": 78451.93,
        "instrument_name": "BTC_USDC-PERPETUAL",
        "last_price": 78469.0,
        "mark_price": 78450.0,
        "open_interest": 20.0,
        "current_funding": 0.0001,
    }
    time = 1788867258984
    interest = OpenInterest(**about(time), amount=20, value_usd=1_569_000)  # 20 × 78,450
    funding = Funding(**about(time), rate=0.0001, interval_hours=8, status="predicted")
    assert read(told("ticker.BTC_USDC-PERPETUAL.agg2", row)) == [
        MarkPrice(**about(time), mark_price=78450, index_price=78451.93, last_price=78469),
        interest,
        funding,
    ]
    request = EXCHANGE.polls("open_interest", [BTC])[0].request
    assert request.query == {"currency": "USDC", "kind": "future"}
    assert read(answer([{**row, "creation_timestamp": time}]), request) == [interest]


def test_history_comes_from_one_host() -> None:
    since, until = 1788850000000 * MS, 1788868400000 * MS
    request = EXCHANGE.history("liquidation", BTC, since, until)
    url = "https://drb.coinbase.com/api/v2/public/get_last_trades_by_instrument_and_time"
    assert request.url == url
    assert "include_old" not in request.query
    page = answer({"trades": [PRINT], "has_more": False})
    assert [type(event) for event in read(page, request)] == [Liquidation]
    assert EXCHANGE.following(request, json.dumps(page).encode()) is None
    page = answer({"trades": [PRINT], "has_more": True})
    second = EXCHANGE.following(request, json.dumps(page).encode())
    assert (second.url, second.query["start_timestamp"]) == (url, "1788868357984")


def test_settled_funding_and_candles() -> None:
    row = {"timestamp": 1786269600000, "interest_8h": 0.0008, "interest_1h": 0.0001}
    request = EXCHANGE.history("funding", BTC, 1786200000000 * MS, 1786300000000 * MS)
    known = {"known_at": 1786269600000 * MS}
    assert read(answer([row]), request) == [
        Funding(**about(1786269600000), **known, rate=0.0001, interval_hours=1)
    ]
    result = {
        "volume": [0.0168],
        "ticks": [1788853440000],
        "status": "ok",
        "open": [78444.0],
        "low": [78441.0],
        "high": [78444.5],
        "cost": [1317.8151],
        "close": [78441.5],
    }
    request = EXCHANGE.history("candle", BTC, 1788853440000 * MS, 1788853500000 * MS)
    assert read(answer(result), request) == [
        Candle(
            **about(1788853440000),
            known_at=1788853500000 * MS,
            interval=60,
            open=78444,
            high=78444.5,
            low=78441,
            close=78441.5,
            volume=0.0168,
            quote_volume=1317.8151,
        )
    ]


def test_instruments_have_its_name() -> None:
    row = {
        "instrument_name": "BTC_USDC-PERPETUAL",
        "kind": "future",
        "settlement_currency": "USDC",
        "contract_size": 0.0001,
        "tick_size": 1,
    }
    (found,) = read(answer([row]), EXCHANGE.instruments()[0])
    assert (found.symbol, found.category) == ("BTC/USDC:USDC", "linear")
    assert (found.instrument.exchange, str(found.instrument.contract_size)) == (
        "coinbase",
        "0.0001",
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"\xff\xfe",
        b'{"sequence":101,"channel":"MATCH","type":"UPDATE","product_id":"SOL-PERP"}',
        json.dumps(told("trades.X.100ms", [{**PRINT, "instrument_name": "BTC-PERP"}])).encode(),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage, match="coinbase"):
        read(payload)


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="coinbase"):
        EXCHANGE.offer("option_quote")


@pytest.mark.real
def test_all_that_was_recorded_is_of_the_older_interface(real: Path) -> None:
    path = real.parent / "raw_messages" / "frames" / "coinbase-international.jsonl"
    messages = [json.loads(line)["message"] for line in path.read_text().splitlines()]
    retired = [one for one in messages if "product_id" in one and "jsonrpc" not in one]
    assert messages == retired
    for message in retired:
        with pytest.raises(UnreadableMessage):
            read(message)
