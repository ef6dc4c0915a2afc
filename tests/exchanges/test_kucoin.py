"""KuCoin's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.kucoin import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import BookLevel, Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
HOUR = 3_600_000
NOW = 1_790_113_407_364  # 2026-09-22 21:43:27.364
SETTLES = 1_790_121_600_000  # 8,192,636 ms later: midnight
RECEIVED = (NOW + 120) * MS


def listing(native: str, category: str, symbol: str, size: str) -> Listing:
    instrument = Instrument(
        exchange="kucoin", symbol=symbol, contract_size=Decimal(size), listed=date(2026, 9, 1)
    )
    return Listing(native=native, category=category, instrument=instrument)


LISTINGS = [
    listing("XBTUSDTM", "linear", "BTC/USDT:USDT", "0.001"),
    listing("XBTUSDM", "inverse", "BTC/USD:BTC", "1"),
    listing("XBTMZ26", "inverse", "BTC/USD:BTC-261225", "1"),
]
LINEAR, INVERSE, DATED = LISTINGS

ROW = {
    "symbol": "XBTUSDTM",
    "type": "FFWCSX",
    "firstOpenDate": 1585555200000,
    "tickSize": 0.1,
    "multiplier": 0.001,
    "isInverse": False,
    "status": "Open",
    "fundingFeeRate": -0.000081,
    "predictedFundingFeeRate": None,
    "fundingRateGranularity": 28800000,
    "openInterest": "8033200",
    "turnoverOf24h": 659795309.25,
    "markPrice": 67193.5,
    "indexPrice": 67184.81,
    "lastTradePrice": 67191.8,
    "nextFundingRateTime": SETTLES - NOW,
    "nextFundingRateDateTime": SETTLES,
}
OTHER = {**ROW, "symbol": "XBTUSDM", "isInverse": True, "multiplier": -1.0, "markPrice": 50000}
# A dated future has none of the fields of funding.
FUTURE = {k: v for k, v in OTHER.items() if "unding" not in k} | {"symbol": "XBTMZ26"}


def read(data: object, request: Request, received: int = RECEIVED) -> list[object]:
    answer = {"code": "200000", "data": data}
    payload = data if isinstance(data, bytes) else json.dumps(answer).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, received, request)


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def about(symbol: str = "BTC/USDT:USDT", time: int = NOW) -> dict[str, object]:
    return {"exchange": "kucoin", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def told(**changed: object) -> list[object]:
    """Read a frame of the documentation's example of a match."""
    frame = {
        "topic": "/contractMarket/execution:XBTUSDTM",
        "type": "message",
        "subject": "match",
        "sn": 1794100537695,
        "data": {
            "symbol": "XBTUSDTM",
            "sequence": 1794100537695,
            "side": "buy",
            "size": 2,
            "price": "90503.9",
            "takerOrderId": "247822202957807616",
            "makerOrderId": "247822167163555840",
            "tradeId": "1794100537695",
            "ts": 1731898619520000000,
            **changed,
        },
    }
    return EXCHANGE.decoder(LISTINGS).read(json.dumps(frame).encode(), RECEIVED)


def heard(said: object) -> list[object]:
    return EXCHANGE.decoder().read(json.dumps(said).encode(), RECEIVED)


def test_a_match_names_the_taker_and_counts_lots() -> None:
    said = {"id": 1794100537695, "side": "buy", "price": 90503.9, "amount": 0.002}
    assert told() == [Trade(**about(time=1731898619520), **said)]
    # Two lots of an inverse contract are two dollars; the stamp is in nanoseconds.
    (sold,) = told(symbol="XBTUSDM", side="sell", price="50000", ts=1731898619520686578)
    assert (sold.symbol, sold.side, sold.amount) == ("BTC/USD:BTC", "sell", 0.00004)
    assert sold.time == 1731898619520686578


@pytest.mark.parametrize(
    "changed", [{"symbol": "NEWUSDTM"}, {"size": 0}, {"side": "long"}, {"price": "0"}, {"ts": 1}]
)
def test_what_no_match_can_be_is_unreadable(changed: dict[str, object]) -> None:
    with pytest.raises(UnreadableMessage):
        told(**changed)


def test_a_topic_is_acknowledged_by_the_name_it_was_asked_for_under() -> None:
    (channel,) = EXCHANGE.channels("trade", [LINEAR])
    (frame,) = EXCHANGE.subscribe([channel])
    topic = "/contractMarket/execution:XBTUSDTM"
    assert json.loads(frame) == {
        "id": topic,
        "type": "subscribe",
        "topic": topic,
        "privateChannel": False,
        "response": True,
    }
    assert heard({"id": topic, "type": "ack"}) == [Acknowledged((topic,))]
    assert heard({"id": "hQvf8jkno", "type": "welcome"}) == []
    assert heard({"id": "ping", "type": "pong", "timestamp": 1731898619520}) == []
    refused = {"id": topic, "type": "error", "code": 404, "data": "topic does not exist"}
    assert heard(refused) == [Refused(topic, "404 topic does not exist")]
    with pytest.raises(UnreadableMessage, match="unknown topic"):
        heard({"type": "message", "topic": "/contract/announcement", "data": {}})
    with pytest.raises(Unsupported):
        EXCHANGE.channels("liquidation", [LINEAR])


TICKET: dict[str, Any] = {
    "code": "200000",
    "data": {
        "token": "2neAiuYvAU61ZDXA==.b==",
        "instanceServers": [
            {
                "endpoint": "wss://ws-api-futures.kucoin.com/",
                "encrypt": True,
                "protocol": "websocket",
                "pingInterval": 18000,
                "pingTimeout": 10000,
            }
        ],
    },
}


def test_a_ticket_gives_the_socket() -> None:
    asked = EXCHANGE.ticket()
    assert (asked.method, asked.url) == (
        "POST",
        "https://api-futures.kucoin.com/api/v1/bullet-public",
    )
    url, ping = EXCHANGE.entrance(json.dumps(TICKET).encode())
    assert url == "wss://ws-api-futures.kucoin.com/?token=2neAiuYvAU61ZDXA%3D%3D.b%3D%3D"
    assert ping.every == 6  # three times within the 18 seconds
    assert json.loads(ping.payload or b"") == {"id": "ping", "type": "ping"}


def ticket(**changed: object) -> dict[str, object]:
    """Return the documented answer with its server changed."""
    (server,) = TICKET["data"]["instanceServers"]
    return {**TICKET, "data": {**TICKET["data"], "instanceServers": [{**server, **changed}]}}


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "429000", "msg": "too many requests"},
        {"code": "200000", "data": {"token": "a", "instanceServers": []}},
        ticket(endpoint="ws://ws-api-futures.kucoin.com/"),
        ticket(pingInterval=0),
        ticket(pingInterval=1e9),
    ],
)
def test_a_ticket_that_gives_none(answer: object) -> None:
    with pytest.raises((ValueError, LookupError)):
        EXCHANGE.entrance(json.dumps(answer).encode())


def test_what_it_lists() -> None:
    rows = [ROW, OTHER, FUTURE, {**ROW, "symbol": "what is this"}]
    first, second, third = read(rows, EXCHANGE.instruments()[0])
    assert first == Listing(
        native="XBTUSDTM",
        category="linear",
        instrument=Instrument(
            exchange="kucoin",
            symbol="BTC/USDT:USDT",
            contract_size=Decimal("0.001"),
            tick=Decimal("0.1"),
            listed=date(2020, 3, 30),
        ),
        interval_hours=8,
        turnover_usd=659795309.25,
    )
    assert (second.symbol, second.category, second.turnover_usd) == ("BTC/USD:BTC", "inverse", None)
    assert second.instrument.contract_size == 1
    assert (third.symbol, third.interval_hours) == ("BTC/USD:BTC-261225", None)


def test_the_countdown_tells_the_time() -> None:
    rows = [ROW, OTHER, FUTURE, {**ROW, "symbol": "NEWUSDTM"}]
    linear, inverse, dated = read(rows, poll("open_interest", LINEAR))
    # 8,033,200 lots of 0.001 coins are 8033.2 coins, at 67193.5 each.
    assert linear == OpenInterest(**about(), amount=8033.2, value_usd=pytest.approx(539778824.2))
    # Lots of one dollar, at 50,000 dollars a coin.
    coins = pytest.approx(160.664)
    assert inverse == OpenInterest(**about("BTC/USD:BTC"), amount=coins, value_usd=8033200)
    assert dated == OpenInterest(**about("BTC/USD:BTC-261225"), amount=coins, value_usd=8033200)


def test_marks_and_what_is_not_traded_yet() -> None:
    rows = [ROW, {**OTHER, "lastTradePrice": 0, "indexPrice": None}]
    assert read(rows, poll("mark_price", LINEAR)) == [
        MarkPrice(**about(), mark_price=67193.5, index_price=67184.81, last_price=67191.8),
        MarkPrice(**about("BTC/USD:BTC"), mark_price=50000),
    ]


def test_the_running_rate_is_for_the_next_settlement() -> None:
    assert read([ROW, FUTURE], poll("funding", LINEAR)) == [
        Funding(
            **about(),
            rate=-0.000081,
            interval_hours=8,
            status="predicted",
            settles=SETTLES * MS,
        )
    ]


def test_for_a_minute_after_a_settlement_the_rate_shown_is_the_one_before() -> None:
    def after(seconds: int) -> list[object]:
        left = 8 * HOUR - seconds * 1000
        row = {**ROW, "nextFundingRateTime": left, "nextFundingRateDateTime": SETTLES}
        return read([row], poll("funding", LINEAR), (SETTLES - left) * MS)

    assert after(75) == []
    assert len(after(91)) == 1


def test_history_of_funding_and_open_interest() -> None:
    rows = [{"symbol": "XBTUSDTM", "fundingRate": 0.000226, "timepoint": 1702296000000}]
    time = 1702296000000
    assert read(rows, EXCHANGE.history("funding", LINEAR, 0, RECEIVED)) == [
        Funding(**about(time=time), known_at=time * MS, rate=0.000226)
    ]
    rows = [{"symbol": "XBTUSDTM", "openInterest": "8053960", "ts": 1774007467050}]
    assert read(rows, EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)) == [
        OpenInterest(**about(time=1774007467050), amount=8053.96)
    ]
    (inverse,) = read(rows, EXCHANGE.history("open_interest", INVERSE, 0, RECEIVED))
    assert (inverse.amount, inverse.value_usd) == (None, 8053960)


def test_a_candle_is_told_when_it_is_over() -> None:
    closed, running = 1_790_113_320_000, 1_790_113_380_000  # 21:42 and 21:43
    rows = [
        [closed, 4779.3, 4792.1, 4768.7, 4770.3, 78051, 1.0],
        [running, 4770.25, 4778.55, 4757.55, 4777.25, 80164],
    ]
    prices = {"open": 4779.3, "high": 4792.1, "low": 4768.7, "close": 4770.3}
    known = {"known_at": (closed + 60_000) * MS, "interval": 60}
    assert read(rows, poll("candle", LINEAR)) == [
        Candle(**about(time=closed), **known, **prices, volume=pytest.approx(78.051))
    ]
    assert read(rows, poll("candle", INVERSE)) == [
        Candle(**about("BTC/USD:BTC", closed), **known, **prices, quote_volume=78051)
    ]


def test_a_book_has_its_best_prices_first() -> None:
    data = {
        "symbol": "XBTUSDM",
        "sequence": 100,
        "asks": [[5000.0, 1000], [6000.0, 1983]],
        "bids": [["3200.0", 800]],
        "ts": 1604643655040584408,
    }
    base = about("BTC/USD:BTC", 1604643655040)
    assert read(data, poll("book_level", INVERSE)) == [
        BookLevel(**base, side="bid", level=0, price=3200, amount=0.25),  # 800 dollars
        BookLevel(**base, side="ask", level=0, price=5000, amount=0.2),
        BookLevel(**base, side="ask", level=1, price=6000, amount=0.3305),
    ]
    (bid, *_) = read(data, poll("book_level", LINEAR))
    assert bid.amount == pytest.approx(0.8)  # 800 lots of 0.001 coins


def test_history_goes_backwards_by_windows() -> None:
    until = 1_790_000_000_000
    since = until - 250 * 60_000
    empty, full = b'{"code":"200000","data":[]}', b'{"code":"200000","data":[1]}'
    first = EXCHANGE.history("candle", LINEAR, since * MS, until * MS)
    assert first.url == "https://api-futures.kucoin.com/api/v1/kline/query"
    assert first.query == {
        "symbol": "XBTUSDTM",
        "granularity": "1",
        "from": str(until - 200 * 60_000),
        "to": str(until - 1),
    }
    second = EXCHANGE.following(first, empty)  # a quiet contract has minutes without a candle
    assert second.query["from"] == str(since)
    assert second.query["to"] == str(until - 200 * 60_000 - 1)
    assert EXCHANGE.following(second, full) is None
    funding = EXCHANGE.history("funding", LINEAR, 0, until * MS)
    assert int(funding.query["to"]) - int(funding.query["from"]) == 100 * HOUR - 1
    assert EXCHANGE.following(funding, empty) is None
    assert EXCHANGE.following(funding, full) is not None
    # Before it was listed, on 2026-09-01, there is nothing to ask for.
    assert EXCHANGE.history("funding", LINEAR, 0, until * MS).about["since"] == "1788220800000"
    interest = EXCHANGE.history("open_interest", LINEAR, 0, until * MS)
    assert int(interest.query["endAt"]) - int(interest.query["startAt"]) == 1000 * 60_000 - 1
    assert EXCHANGE.following(poll("candle", LINEAR), full) is None


def row(**changed: object) -> bytes:
    return json.dumps({"code": "200000", "data": [{**ROW, **changed}]}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        row()[:-9],
        b"\xff\xfe",
        b'{"code":"200000","data":null}',
        b'{"code":"200000","data":[]}',
        b'{"msg":"Invalid symbol.","code":"200003"}',
        row(markPrice="NaN"),
        row(markPrice=-1),
        row(openInterest=""),
        row(multiplier=1).replace(b"openInterest", b"openInterests"),
        row(nextFundingRateTime=SETTLES),  # the countdown would make it 1970
        row(nextFundingRateTime=0),  # hours from our clock
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload, poll("open_interest", LINEAR))
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing() -> None:
    assert read([{**ROW, "new": {"a": 1}}], poll("mark_price", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    for kind in ("liquidation", "long_short_ratio", "brackets"):
        with pytest.raises(Unsupported, match=f"{kind} is not published"):
            EXCHANGE.offer(kind)
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("mark_price", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("mark_price", LINEAR, 0, 1)


@pytest.mark.real
def test_recorded_matches_are_read_and_other_topics_are_not(real: Path) -> None:
    path = real.parent / "raw_messages" / "frames" / "kucoin-futures.jsonl"
    frames = [json.loads(line)["message"] for line in path.read_text().splitlines()]
    known = [*LISTINGS, listing("SOLUSDTM", "linear", "SOL/USDT:USDT", "0.1")]
    found = []
    for frame in frames:
        payload = json.dumps(frame).encode()
        if frame["topic"].startswith("/contractMarket/execution:"):
            found += EXCHANGE.decoder(known).read(payload, RECEIVED)
            continue
        with pytest.raises(UnreadableMessage, match="unknown topic"):
            EXCHANGE.decoder(known).read(payload, RECEIVED)
    said = [(one.symbol, one.id, one.side, one.price, one.amount, one.time) for one in found]
    assert said == [
        ("SOL/USDT:USDT", 1701197946092, "sell", 93.624, 1.0, 1705708799998000000),
        ("BTC/USDT:USDT", 1728107666597, "sell", 39615.0, 0.001, 1706068863101000000),
    ]
