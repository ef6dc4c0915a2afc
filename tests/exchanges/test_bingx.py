"""BingX's own messages, each beside what it says, written by hand from its documentation.

None was recorded, so that no test reads recorded messages.
"""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.bingx import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Reply, Request
from plimsoll.market.events import Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument

MS = 1_000_000
NOW = 1_790_127_596_258
RECEIVED = NOW * MS


def listing(native: str, symbol: str) -> Listing:
    instrument = Instrument(exchange="bingx", symbol=symbol, listed=date(2026, 9, 1))
    return Listing(native=native, category="linear", instrument=instrument)


LISTINGS = [listing("BTC-USDT", "BTC/USDT:USDT"), listing("BTC-USDC", "BTC/USDC:USDC")]
LINEAR, _ = LISTINGS


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def answer(data: object) -> dict[str, object]:
    return {"code": 0, "msg": "", "data": data}


def poll(kind: str) -> Request:
    return EXCHANGE.polls(kind, [LINEAR])[0].request


def about(time: int = NOW) -> dict[str, object]:
    return {"exchange": "bingx", "symbol": "BTC/USDT:USDT", "time": time * MS, "received": RECEIVED}


def trades(**changed: object) -> dict[str, object]:
    rows = [
        {"q": "0.1006", "p": "58035.5", "T": 1725205512424, "m": False, "s": "BTC-USDT"},
        {"q": "0.0003", "p": "58035.4", "T": 1725205512424, "m": True, "s": "BTC-USDT"} | changed,
    ]
    return {"code": 0, "dataType": "BTC-USDT@trade", "data": rows}


def test_trades_of_one_millisecond_are_counted() -> None:
    base = about(1725205512424)
    decoder = EXCHANGE.decoder(LISTINGS)
    assert decoder.read(json.dumps(trades()).encode(), RECEIVED) == [
        Trade(**base, id=0, side="buy", price=58035.5, amount=0.1006),
        Trade(**base, id=1, side="sell", price=58035.4, amount=0.0003),
    ]
    # The first of each frame is of that millisecond: the third, the fifth, the sixth.
    for time, place in ((1725205512424, 3), (1725205512000, 0), (1725205512424, 6)):
        *_, last = decoder.read(json.dumps(trades(T=time)).encode(), RECEIVED)
        assert (last.time, last.id) == (time * MS, place)
    usdc = trades(s="BTC-USDC")
    *_, last = decoder.read(json.dumps(usdc).encode(), RECEIVED)
    assert (last.symbol, last.id) == ("BTC/USDC:USDC", 0)


PREMIUM = {
    "symbol": "BTC-USDT",
    "markPrice": "16884.5",
    "indexPrice": "16886.9",
    "lastFundingRate": "-0.00001300",
    "fundingIntervalHours": 8,
    "nextFundingTime": 1790150400000,
    "updateTime": 1790121600000,
}


def test_marks_and_rates_are_stamped_on_receipt() -> None:
    rows = [PREMIUM, {**PREMIUM, "symbol": "NEW-USDT"}]
    assert read(answer(rows), poll("mark_price")) == [
        MarkPrice(**about(), mark_price=16884.5, index_price=16886.9)
    ]
    assert read(answer(rows), poll("funding")) == [
        Funding(
            **about(),
            rate=-0.000013,
            interval_hours=8,
            status="predicted",
            settles=1790150400000 * MS,
        )
    ]
    (unknown,) = read(answer([{**PREMIUM, "indexPrice": "0.0"}]), poll("mark_price"))
    assert unknown.index_price is None


def test_open_interest_is_dollars() -> None:
    data = {"openInterest": "3289641547.10", "symbol": "BTC-USDT", "time": 1672026617364}
    assert read(answer(data), poll("open_interest")) == [
        OpenInterest(**about(1672026617364), value_usd=3289641547.1)
    ]


def test_a_candle_is_told_when_it_is_over() -> None:
    closed, running = 1_790_127_480_000, 1_790_127_540_000
    row = {"open": "19396.8", "close": "19394.4", "high": "19397.5", "low": "19385.7"}
    rows = [{**row, "volume": "110.05", "time": t} for t in (running, closed)]
    assert (
        read(answer(rows), poll("candle"))
        == [
            Candle(
                **about(closed),
                known_at=running * MS,
                interval=60,
                open=19396.8,
                high=19397.5,
                low=19385.7,
                close=19394.4,
                volume=110.05,
            )
        ]
        or running + 60_000 <= NOW
    )


def test_settled_funding() -> None:
    rows = [{"symbol": "BTC-USDT", "fundingRate": "0.0001", "fundingTime": 1585684800000}]
    time = 1585684800000
    assert read(answer(rows), EXCHANGE.history("funding", LINEAR, 0, RECEIVED)) == [
        Funding(**about(time), known_at=time * MS, rate=0.0001)
    ]


def test_what_it_lists() -> None:
    row = {
        "contractId": "100",
        "symbol": "BTC-USDT",
        "size": "0.0001",
        "quantityPrecision": 4,
        "pricePrecision": 1,
        "currency": "USDT",
        "asset": "BTC",
        "status": 1,
        "launchTime": 1788220800000,
    }
    rows = [
        row,
        {**row, "symbol": "BTC-USDC", "launchTime": 0},
        {**row, "symbol": "NCCOCOFFEE2USD-USDT", "status": 25},
        {**row, "symbol": "what is this"},
    ]
    first, second = read(answer(rows), EXCHANGE.instruments()[0])
    tick, day = Decimal("0.1"), date(2026, 9, 1)
    assert first == Listing(
        native="BTC-USDT",
        category="linear",
        instrument=Instrument(exchange="bingx", symbol="BTC/USDT:USDT", tick=tick, listed=day),
    )
    assert (second.symbol, second.instrument.listed) == ("BTC/USDC:USDC", None)


def test_history_goes_backwards_by_windows() -> None:
    until = 1_790_000_000_000
    since = until - 2000 * 60_000
    first = EXCHANGE.history("candle", LINEAR, since * MS, until * MS)
    assert first.url == "https://open-api.bingx.com/openApi/swap/v3/quote/klines"
    assert first.query == {
        "symbol": "BTC-USDT",
        "interval": "1m",
        "limit": "1440",
        "startTime": str(until - 1440 * 60_000),
        "endTime": str(until - 1),
    }
    empty, full = json.dumps(answer([])).encode(), json.dumps(answer([1])).encode()
    assert EXCHANGE.following(first, empty) is None
    second = EXCHANGE.following(first, full)
    assert second.query["startTime"] == str(since)
    assert second.query["endTime"] == str(until - 1440 * 60_000 - 1)
    assert EXCHANGE.following(second, full) is None
    funding = EXCHANGE.history("funding", LINEAR, 0, until * MS)
    assert funding.url == "https://open-api.bingx.com/openApi/swap/v2/quote/fundingRate"
    # Before it was listed, on 2026-09-01, there is nothing to ask for.
    assert funding.query["startTime"] == "1788220800000"
    assert EXCHANGE.following(poll("candle"), full) is None


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("trade", LISTINGS)
    assert [channel.topic for channel in channels] == ["BTC-USDT@trade", "BTC-USDC@trade"]
    first, _ = EXCHANGE.subscribe(channels)
    sent = json.loads(first)
    assert (sent["reqType"], sent["dataType"]) == ("sub", "BTC-USDT@trade")
    told = {"id": sent["id"], "code": 0, "msg": "", "dataType": "", "data": None}
    assert read(told) == [Acknowledged(("BTC-USDT@trade",))]
    refused = {**told, "code": 80015, "msg": "dataType not support"}
    assert read(refused) == [Refused("BTC-USDT@trade", "80015: dataType not support")]


def test_its_ping_is_answered() -> None:
    assert read(b"Ping") == [Reply(b"Pong")]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b"ping",
        b'{"code":0,"dataType":"BTC-USDT@depth20","data":{}}',
        b'{"code":1,"dataType":"","data":null}',
        json.dumps(trades(s="NOPE-USDT")).encode(),
        json.dumps(trades(p="NaN")).encode(),
        json.dumps(trades(p="0")).encode(),
        json.dumps(trades(q="Infinity")).encode(),
        json.dumps(trades(T=17)).encode(),
        json.dumps(trades(m="maybe")).encode(),
        json.dumps(trades()).replace('"m"', '"maker"').encode(),
    ],
)
def test_a_frame_that_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mark_price", {"code": 109425, "msg": "NOPE-USDT not exist"}),
        ("mark_price", answer(None)),
        ("mark_price", answer([{**PREMIUM, "markPrice": "-1"}])),
        ("funding", answer([{"symbol": "BTC-USDT", "fundingRate": "0.0001"}])),
        ("funding", answer([{**PREMIUM, "nextFundingTime": 8_192_636}])),
        ("open_interest", answer({"symbol": "BTC-USDT", "openInterest": "1"})),
        ("candle", answer([{"time": 1_790_127_480_000, "open": "0"}])),
    ],
)
def test_an_answer_that_is_not_documented_is_unreadable(kind: str, message: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(message, poll(kind))


def test_an_added_field_changes_nothing() -> None:
    assert read(answer([{**PREMIUM, "new": {"a": 1}}]), poll("mark_price"))
    assert len(read(trades(new=1) | {"more": 2})) == 2


def test_what_it_does_not_publish_is_said() -> None:
    for kind in ("liquidation", "long_short_ratio", "brackets", "book_level"):
        with pytest.raises(Unsupported, match=f"{kind} is not published"):
            EXCHANGE.offer(kind)
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("open_interest", LINEAR, 0, 1)
