"""Bitget's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.bitget import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_777_358_897_200 * MS
USDT, COIN = "USDT-FUTURES", "COIN-FUTURES"


def listing(native: str, category: str, symbol: str) -> Listing:
    instrument = Instrument(exchange="bitget", symbol=symbol)
    return Listing(native=native, category=category, instrument=instrument, interval_hours=8)


LISTINGS = [
    listing("BTCUSDT", USDT, "BTC/USDT:USDT"),
    listing("APEUSDT", USDT, "APE/USDT:USDT"),
    listing("BTCPERP", "USDC-FUTURES", "BTC/USDC:USDC"),
    listing("BTCUSD", COIN, "BTC/USD:BTC"),
]
LINEAR, _, _, INVERSE = LISTINGS


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def answer(data: object, time: int = 1_761_659_449_917) -> dict[str, object]:
    return {"code": "00000", "msg": "success", "requestTime": time, "data": data}


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def about(symbol: str = "BTC/USDT:USDT", time: int = 1_761_659_449_917) -> dict[str, object]:
    return {"exchange": "bitget", "symbol": symbol, "time": time * MS, "received": RECEIVED}


ORDER = {
    "symbol": "APEUSDT",
    "side": "buy",
    "price": "0.1649",
    "amount": "13.70319",
    "ts": "1777358886549",
}


def push(topic: str, rows: object, kind: str = "usdt-futures", **more: str) -> dict[str, object]:
    arg = {"instType": kind, "topic": topic, **more}
    return {"action": "update", "arg": arg, "data": rows, "ts": 1777358897167}


def test_a_liquidated_long_is_buy_and_its_amount_is_quote() -> None:
    # Recorded by others 2026-04-28. 13.70319 dollars / 0.1649 are 83.1 coins.
    assert read(push("liquidation", [ORDER])) == [
        Liquidation(
            **about("APE/USDT:USDT", 1777358886549),
            side="long",
            price=0.1649,
            amount=pytest.approx(83.1),
            value_usd=13.70319,
            price_kind="bankruptcy",
            completeness="aggregated",
        )
    ]


def test_a_liquidated_short_is_sell_and_an_inverse_one_is_in_dollars_too() -> None:
    rows = [
        {**ORDER, "symbol": "BTCUSD", "side": "sell", "price": "50000", "amount": "25000"},
        {**ORDER, "symbol": "BTCUSD", "side": "buy", "price": "40000", "amount": "100"},
    ]
    found = read(push("liquidation", rows, "coin-futures"))
    assert [(e.symbol, e.side, e.amount, e.value_usd) for e in found] == [
        ("BTC/USD:BTC", "short", 0.5, 25_000.0),
        ("BTC/USD:BTC", "long", 0.0025, 100.0),
    ]


PRINT = {
    "i": "1432912492051054592",
    "p": "76631.3",
    "v": "0.01",
    "S": "buy",
    "T": "1777358881008",
    "L": "1432912492051054593",
    "isRPI": "no",
}


def test_a_trade_names_the_taker() -> None:
    # Recorded 2026-04-28.
    assert read(push("publicTrade", [PRINT], symbol="BTCUSDT")) == [
        Trade(
            **about(time=1777358881008),
            id=1432912492051054592,
            side="buy",
            price=76631.3,
            amount=0.01,
        )
    ]
    row = {**PRINT, "S": "sell", "v": "100", "p": "50000"}
    (found,) = read(push("publicTrade", [row], "coin-futures", symbol="BTCUSD"))
    assert (found.symbol, found.side, found.amount) == ("BTC/USD:BTC", "sell", 0.002)


TICKER = {
    "symbol": "BTCUSDT",
    "lastPr": "104823.8",
    "ts": "1750332210370",
    "indexPrice": "104881.953125",
    "fundingRate": "-0.000014",
    "holdingAmount": "7452.6421",
    "deliveryTime": None,
    "markPrice": "104824.2",
}


def test_a_ticker_tells_what_stands_now() -> None:
    request = poll("open_interest", LINEAR)
    assert request.query == {"productType": USDT}
    assert read(answer([TICKER]), request) == [
        OpenInterest(
            **about(time=1750332210370),
            amount=7452.6421,
            value_usd=pytest.approx(781217246.01882),  # 7452.6421 × 104824.2
        )
    ]
    assert read(answer([TICKER]), poll("mark_price", LINEAR)) == [
        MarkPrice(
            **about(time=1750332210370),
            mark_price=104824.2,
            index_price=104881.953125,
            last_price=104823.8,
        )
    ]


def test_open_interest_of_an_inverse_contract_is_coins() -> None:
    row = {**TICKER, "symbol": "BTCUSD", "holdingAmount": "25", "markPrice": "20000"}
    (found,) = read(answer([row]), poll("open_interest", INVERSE))
    assert (found.symbol, found.amount, found.value_usd) == ("BTC/USD:BTC", 25, 500_000)


def test_what_is_unknown_is_left_out() -> None:
    new = {**TICKER, "symbol": "NEWUSDT"}
    unlaunched = {**TICKER, "markPrice": "0", "indexPrice": "", "lastPr": "0"}
    assert read(answer([new, unlaunched]), poll("mark_price", LINEAR)) == []
    (found,) = read(answer([unlaunched]), poll("open_interest", LINEAR))
    assert (found.amount, found.value_usd) == (7452.6421, None)


def test_funding_is_predicted_with_its_interval() -> None:
    row = {
        "symbol": "BTCUSDT",
        "fundingRate": "-0.000024",
        "fundingRateInterval": "8",
        "nextUpdate": "1761667200000",
        "minFundingRate": "-0.003",
        "maxFundingRate": "0.003",
    }
    dated = {**row, "fundingRateInterval": "", "nextUpdate": ""}
    assert read(answer([row, dated]), poll("funding", LINEAR)) == [
        Funding(
            **about(),
            rate=-0.000024,
            interval_hours=8,
            status="predicted",
            settles=1761667200000 * MS,
        )
    ]


def test_funding_was_settled() -> None:
    row = {
        "symbol": "BTCUSDT",
        "fundingRate": "-0.000017",
        "fundingRateTimestamp": "1750431600000",
    }
    request = EXCHANGE.history("funding", LINEAR, 0, RECEIVED)
    assert read(answer({"resultList": [row]}), request) == [
        Funding(**about(time=1750431600000), known_at=1750431600000 * MS, rate=-0.000017)
    ]


def test_the_ratio_comes_from_the_shares() -> None:
    row = {
        "longAccountRatio": "0.58",
        "shortAccountRatio": "0.42",
        "longShortAccountRatio": "0.0138",
        "ts": "1729312200000",
    }
    request = poll("long_short_ratio", INVERSE, LINEAR)  # the inverse one cannot be asked for
    assert request.query == {"symbol": "BTCUSDT", "period": "5m"}
    assert request.limit == "bitget statistics"
    assert read(answer([row]), request) == [
        LongShortRatio(
            **about(time=1729312200000),
            population="accounts",
            ratio=pytest.approx(1.380952, abs=1e-6),  # 0.58 / 0.42
            long_share=0.58,
        )
    ]


def test_of_takers_the_ratio_is_known() -> None:
    time = RECEIVED // MS - 300_000
    rows = [
        {"buyVolume": "0.01", "sellVolume": "0.04", "ts": str(time)},
        {"buyVolume": "0.01", "sellVolume": "0.04", "ts": str(time + 1)},  # not over yet
    ]
    known = (time + 300_000) * MS
    assert read(answer(rows), poll("taker_volume", LINEAR)) == [
        TakerVolume(**about(time=time), known_at=known, interval=300, ratio=0.25)
    ]


def test_a_candle_is_told_when_it_is_over() -> None:
    closed, running = RECEIVED // MS - 60_000, RECEIVED // MS - 59_999
    rows = [
        [str(closed), "39406", "39407", "39374.5", "39379", "35.526", "1399132.341"],
        [str(running), "2", "3", "1", "2", "5", "10"],
    ]
    known = (closed + 60_000) * MS
    candle = {"interval": 60, "open": 39406, "high": 39407, "low": 39374.5, "close": 39379}
    for one in (LINEAR, INVERSE):
        assert read(answer(rows), poll("candle", one)) == [
            Candle(
                **about(one.symbol, closed),
                known_at=known,
                **candle,
                volume=35.526,
                quote_volume=1399132.341,
            )
        ]


def test_instruments_and_their_intervals() -> None:
    linear, _, inverse = EXCHANGE.instruments()[:3]
    assert linear.query == {"category": USDT}
    row = {"symbol": "BTCUSDT", "priceMultiplier": "0.1", "fundInterval": "8"}
    (found,) = read(answer([row, {**row, "symbol": "BTC-USDT"}]), linear)
    assert (found.native, found.category, found.symbol) == ("BTCUSDT", USDT, "BTC/USDT:USDT")
    assert (str(found.instrument.tick), found.instrument.contract_size) == ("0.1", 1)
    assert found.interval_hours == 8
    rows = [{**row, "symbol": "BTCUSD", "fundInterval": ""}, {**row, "symbol": "BTCUSDZ24"}]
    first, second = read(answer(rows), inverse)
    assert (first.symbol, first.interval_hours) == ("BTC/USD:BTC", None)
    assert (second.symbol, second.interval_hours) == ("BTC/USD:BTC-241227", None)


def test_tiers_become_brackets() -> None:
    rows = [
        {
            "tier": "2",
            "minTierValue": "150000",
            "maxTierValue": "1000000",
            "leverage": "100",
            "mmr": "0.005",
        },
        {
            "tier": "1",
            "minTierValue": "0",
            "maxTierValue": "150000",
            "leverage": "125",
            "mmr": "0.004",
        },
    ]
    requests = [r for r in EXCHANGE.instruments() if r.kind == "brackets"]
    assert requests[0].query == {"category": USDT, "symbol": "BTCUSDT"}
    assert read(answer(rows), requests[0]) == [
        Brackets.build(
            "bitget",
            "BTC/USDT:USDT",
            datetime(2026, 4, 28, 6, 48, 17, tzinfo=UTC),
            [(150_000, 0.004, 125), (1e6, 0.005, 100)],
        )
    ]
    assert read(answer(rows), requests[1]) == []  # not listed here


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("liquidation", LISTINGS)
    assert [(c.topic, c.symbol) for c in channels] == [
        ("coin-futures.liquidation", None),
        ("usdc-futures.liquidation", None),
        ("usdt-futures.liquidation", None),
    ]
    trades = EXCHANGE.channels("trade", LISTINGS)
    assert trades[0].topic == "usdt-futures.publicTrade.BTCUSDT"
    (frame,) = EXCHANGE.subscribe([channels[2], trades[0]])
    sent = json.loads(frame)
    assert sent == {
        "op": "subscribe",
        "args": [
            {"instType": "usdt-futures", "topic": "liquidation"},
            {"instType": "usdt-futures", "topic": "publicTrade", "symbol": "BTCUSDT"},
        ],
    }
    first, second = sent["args"]
    told = {"event": "subscribe", "arg": first, "connId": "1"}
    assert read(told) == [Acknowledged((channels[2].topic,))]
    assert read({**told, "arg": second}) == [Acknowledged((trades[0].topic,))]
    refused = {"event": "error", "arg": second, "code": 30001, "msg": "doesn't exist"}
    assert read(refused) == [Refused(trades[0].topic, "doesn't exist")]
    assert read(b"pong") == []
    assert len(EXCHANGE.subscribe(trades * 10)) == 2
    assert max(len(one) for one in EXCHANGE.subscribe(trades * 10)) < 4096


def test_candles_go_on_forwards_until_the_end() -> None:
    start, end = 1_700_000_000_000, 1_700_000_000_000 + 100 * 60_000
    request = EXCHANGE.history("candle", LINEAR, start * MS, end * MS)
    assert request.query == {
        "category": USDT,
        "symbol": "BTCUSDT",
        "interval": "1m",
        "limit": "100",
        "startTime": "1700000000000",
        "endTime": "1700005940000",  # 99 minutes on
    }
    last = EXCHANGE.following(request, b"")
    assert (last.query["startTime"], last.query["endTime"]) == ("1700005940000", "1700006000000")
    assert EXCHANGE.following(last, b"") is None
    assert EXCHANGE.following(poll("candle", LINEAR), b"") is None


def test_settlements_go_on_backwards_by_page() -> None:
    since = 1_700_000_000_000
    request = EXCHANGE.history("funding", LINEAR, since * MS, RECEIVED)

    def page(oldest: int, rows: int = 100) -> bytes:
        found = [{"fundingRateTimestamp": str(oldest + n)} for n in range(rows)]
        return json.dumps(answer({"resultList": found})).encode()

    following = EXCHANGE.following(request, page(since + 1))
    assert following.query["cursor"] == "2"
    assert EXCHANGE.following(following, page(since + 1, 99)) is None
    assert EXCHANGE.following(following, page(since)) is None


def liquidation(**changed: object) -> bytes:
    row = {key: value for key, value in (ORDER | changed).items() if value is not None}
    return json.dumps(push("liquidation", [row])).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"ping",
        b"\xff\xfe",
        liquidation()[:-5],
        json.dumps(push("books", [])).encode(),
        json.dumps(push("publicTrade", [PRINT])).encode(),  # of no instrument
        json.dumps(push("liquidation", [ORDER], "spot")).encode(),
        json.dumps(push("liquidation", None)).encode(),
        # the second API's trades, which name a channel
        b'{"action":"update","arg":{"instType":"USDT-FUTURES","channel":"trade"},"data":[]}',
        liquidation(symbol="NOPEUSDT"),
        liquidation(amount=None, size="1"),
        liquidation(side="long"),
        liquidation(amount="NaN"),
        liquidation(amount="0"),
        liquidation(price="0"),
        liquidation(ts="17"),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    assert read(answer([{**TICKER, "new": {"a": 1}}]), poll("mark_price", LINEAR))
    assert read(liquidation(new=[1]))
    with pytest.raises(UnreadableMessage, match="code 429"):
        read({"code": "429", "msg": "Too many requests"}, poll("mark_price", LINEAR))
    with pytest.raises(UnreadableMessage):
        read(answer([{**TICKER, "holdingAmount": "Infinity"}]), poll("open_interest", LINEAR))
    renamed = {key: value for key, value in TICKER.items() if key != "holdingAmount"}
    with pytest.raises(UnreadableMessage, match="holdingAmount"):
        read(answer([renamed]), poll("open_interest", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="option_quote is not published"):
        EXCHANGE.offer("option_quote")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("liquidation", LINEAR, 0, 1)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)


@pytest.mark.real
def test_recorded_trades_are_read(real: Path) -> None:
    lines = (real.parent / "raw_messages/frames/bitget-futures.jsonl").read_text().splitlines()
    seen = 0
    for line in lines:
        message = json.loads(line)["message"]
        if "topic" not in message["arg"]:
            continue  # of the second API, which names channels
        if message["arg"]["topic"] not in {"publicTrade", "liquidation"}:
            continue  # not subscribed to
        found = read(message)
        assert len(found) == len(message["data"])
        assert all(isinstance(event, Event) for event in found)
        seen += len(found)
    assert seen >= 1
