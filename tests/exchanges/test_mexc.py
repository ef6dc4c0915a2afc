"""MEXC's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.mexc import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import BookLevel, Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_789_455_552_000 * MS


def listing(native: str, category: str, symbol: str, size: str) -> Listing:
    instrument = Instrument(exchange="mexc", symbol=symbol, contract_size=Decimal(size))
    return Listing(native=native, category=category, instrument=instrument)


LISTINGS = [
    listing("BTC_USDT", "linear", "BTC/USDT:USDT", "0.0001"),
    listing("BTC_USD", "inverse", "BTC/USD:BTC", "100"),
]
LINEAR, INVERSE = LISTINGS


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def answer(data: object) -> dict[str, object]:
    return {"success": True, "code": 0, "data": data}


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def about(symbol: str, time: int) -> dict[str, object]:
    return {"exchange": "mexc", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def deals(symbol: str = "BTC_USDT", **changed: object) -> dict[str, object]:
    deal = {"p": 115309.8, "v": 55, "T": 2, "O": 3, "M": 1, "t": 1755487578276, "i": "13064218826"}
    return {"symbol": symbol, "data": [deal | changed], "channel": "push.deal", "ts": 1755487578276}


def test_a_trade_names_the_taker_and_counts_contracts() -> None:
    # Recorded 2025-08-18.
    assert read(deals()) == [
        Trade(
            **about("BTC/USDT:USDT", 1755487578276),
            id=13064218826,
            side="sell",
            price=115309.8,
            amount=pytest.approx(0.0055),  # 55 contracts of 0.0001 coins
        )
    ]
    (bought,) = read(deals("BTC_USD", T=1, p=50000, v=25))
    assert (bought.symbol, bought.side) == ("BTC/USD:BTC", "buy")
    assert bought.amount == pytest.approx(0.05)  # 25 contracts of 100 dollars


FUNDING = {
    "symbol": "BTC_USDT",
    "fundingRate": 0.000067,
    "maxFundingRate": 0.0018,
    "minFundingRate": -0.0018,
    "collectCycle": 8,
    "nextSettleTime": 1789459200000,
    "timestamp": 1789455551670,
    "idxPrice": 77271.6,
    "fairPrice": 77240.4,
}


def test_one_answer_tells_marks_and_rates() -> None:
    rows = [FUNDING, {**FUNDING, "symbol": "MX_USDT"}, {**FUNDING, "symbol": "BTC_USD"}]
    rows[2] |= {"idxPrice": 0, "fundingRate": -0.0001}
    assert read(answer(rows), poll("mark_price", LINEAR)) == [
        MarkPrice(**about("BTC/USDT:USDT", 1789455551670), mark_price=77240.4, index_price=77271.6),
        MarkPrice(**about("BTC/USD:BTC", 1789455551670), mark_price=77240.4),
    ]
    first, second = read(answer(rows), poll("funding", LINEAR))
    assert first == Funding(
        **about("BTC/USDT:USDT", 1789455551670),
        rate=0.000067,
        interval_hours=8,
        status="predicted",
        settles=1789459200000 * MS,
    )
    assert second.rate == -0.0001


def test_open_interest_is_counted_in_contracts() -> None:
    row = {"symbol": "BTC_USDT", "holdVol": 55102960, "fairPrice": 31000, "lastPrice": 31199}
    row |= {"timestamp": 1609831334016}
    rows = [row, {**row, "symbol": "BTC_USD", "holdVol": 1000, "fairPrice": 50000}]
    assert read(answer(rows), poll("open_interest", LINEAR)) == [
        OpenInterest(
            **about("BTC/USDT:USDT", 1609831334016),
            amount=pytest.approx(5510.296),
            value_usd=pytest.approx(170819176),  # 5510.296 × 31,000
        ),
        OpenInterest(
            **about("BTC/USD:BTC", 1609831334016),
            amount=2,  # 1,000 contracts of 100 dollars at 50,000 dollars
            value_usd=100_000,
        ),
    ]


def test_a_candle_is_told_when_it_is_over() -> None:
    closed, running = 1789455480, 1789455540  # two minutes, the second begun twelve seconds ago
    data = {
        "time": [closed, running],
        "open": [3492.2, 3491.3],
        "close": [3491.3, 3495.65],
        "high": [3495.85, 3496.55],
        "low": [3491.15, 3490.9],
        "vol": [1740.0, 351.0],
        "amount": [607.93623, 12260.4885],
    }
    prices = {"open": 3492.2, "high": 3495.85, "low": 3491.15, "close": 3491.3}
    known = {"known_at": (closed + 60) * 1000 * MS, "interval": 60}
    assert read(answer(data), poll("candle", LINEAR)) == [
        Candle(
            **about("BTC/USDT:USDT", closed * 1000),
            **known,
            **prices,
            volume=pytest.approx(0.174),  # 1,740 contracts of 0.0001 coins
            quote_volume=607.93623,
        )
    ]
    (inverse,) = read(answer(data), poll("candle", INVERSE))
    # 1,740 contracts of 100 dollars; what an inverse contract calls its amount is coins.
    assert (inverse.volume, inverse.quote_volume) == (607.93623, 174_000)
    assert read(answer({name: [] for name in data}), poll("candle", LINEAR)) == []


def test_a_book_has_its_best_prices_first() -> None:
    data = {
        "asks": [[50000, 500, 1]],
        "bids": [[40000, 379, 4], [39999, 914, 3]],
        "version": 2827730444,
        "timestamp": 1634117846232,
    }
    first, second, third = read(answer(data), poll("book_level", LINEAR))
    base = about("BTC/USDT:USDT", 1634117846232)
    amount = pytest.approx(0.0379)
    assert first == BookLevel(**base, side="bid", level=0, price=40000, amount=amount)
    assert (second.side, second.level) == ("bid", 1)
    assert third == BookLevel(**base, side="ask", level=0, price=50000, amount=pytest.approx(0.05))
    *_, ask = read(answer(data), poll("book_level", INVERSE))
    assert ask.amount == 1  # 500 contracts of 100 dollars


def test_what_it_lists() -> None:
    row = {
        "symbol": "BTC_USDT",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "contractSize": 0.0001,
        "priceUnit": 0.5,
        "state": 0,
    }
    rows = [
        row,
        {**row, "symbol": "BTC_USD", "quoteCoin": "USD", "settleCoin": "BTC", "contractSize": 100},
        {**row, "symbol": "BTC_USD1", "quoteCoin": "USD1", "settleCoin": "USD1"},
    ]
    first, second = read(answer(rows), EXCHANGE.instruments()[0])
    tick, size = Decimal("0.5"), Decimal("0.0001")
    assert first.instrument == Instrument(
        exchange="mexc", symbol="BTC/USDT:USDT", contract_size=size, tick=tick
    )
    assert (second.symbol, second.category) == ("BTC/USD:BTC", "inverse")
    assert second.instrument.contract_size == 100


def settled(page: int, *times: int) -> dict[str, object]:
    rows = [{"symbol": "BTC_USDT", "fundingRate": 0.000266, "settleTime": time} for time in times]
    return answer({"pageSize": 2, "totalPage": 11, "currentPage": page, "resultList": rows})


def test_funding_is_paged_and_cut_to_what_is_asked_for() -> None:
    newest, older = 1609804800000, 1609776000000
    request = EXCHANGE.history("funding", LINEAR, older * MS, newest * MS)
    assert request.query == {"symbol": "BTC_USDT", "page_num": "1", "page_size": "1000"}
    assert read(settled(1, newest, older), request) == [
        Funding(**about("BTC/USDT:USDT", older), known_at=older * MS, rate=0.000266)
    ]
    following = EXCHANGE.following(request, json.dumps(settled(1, newest)).encode())
    assert following.query["page_num"] == "2"
    for last in (settled(11, newest), settled(2), settled(2, older)):
        assert EXCHANGE.following(following, json.dumps(last).encode()) is None


def test_candles_go_backwards_by_windows() -> None:
    until = 1_789_000_000
    since = until - 3000 * 60
    first = EXCHANGE.history("candle", LINEAR, since * 1000 * MS, until * 1000 * MS)
    assert first.url == "https://api.mexc.com/api/v1/contract/kline/BTC_USDT"
    start = str(until - 2000 * 60)
    assert first.query == {"interval": "Min1", "start": start, "end": str(until - 1)}
    second = EXCHANGE.following(first, b"")
    assert (second.query["start"], second.query["end"]) == (str(since), str(int(start) - 1))
    assert EXCHANGE.following(second, b"") is None
    assert EXCHANGE.following(poll("candle", LINEAR), b"") is None


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("trade", LISTINGS)
    assert {channel.url for channel in channels} == {"wss://contract.mexc.com/edge"}
    first, second = map(json.loads, EXCHANGE.subscribe(channels))
    assert first == {"method": "sub.deal", "param": {"symbol": "BTC_USDT", "compress": False}}
    assert second["param"]["symbol"] == "BTC_USD"
    assert read({"channel": "rs.sub.deal", "data": "success", "ts": 1}) == [Acknowledged()]
    reason = "Contract [NOPE_USDT] not exists"
    found = read({"channel": "rs.error", "data": reason, "ts": 1789498321790})
    assert found == [Refused("sub.deal NOPE_USDT", reason)]
    unnamed = "Contract doesn't exist!"
    assert read({"channel": "rs.error", "data": unnamed}) == [Refused("", unnamed)]
    assert read({"channel": "pong", "data": 1587453241453}) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"channel":"push.kline","data":{}}',
        b'{"channel":"rs.sub.deal","data":"failure"}',
        json.dumps(deals("NOPE_USDT")).encode(),
        json.dumps(deals(T=3)).encode(),
        json.dumps(deals(p="NaN")).encode(),
        json.dumps(deals(p=0)).encode(),
        json.dumps(deals(v="nan")).encode(),
        json.dumps(deals(t=17)).encode(),
        json.dumps(deals()).replace('"i"', '"id"').encode(),
        json.dumps(deals()).replace("[", "").replace("]", "").encode(),  # before 2025, one each
    ],
)
def test_a_frame_that_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("mark_price", {"success": False, "code": 510, "message": "Requests are too frequent"}),
        ("mark_price", answer([{**FUNDING, "fairPrice": -1}])),
        ("funding", answer([{**FUNDING, "collectCycle": 0}])),
        ("funding", answer([{**FUNDING, "nextSettleTime": 0}])),
        ("open_interest", answer([FUNDING])),
        ("candle", answer({"time": [1789455480], "open": []})),
    ],
)
def test_an_answer_that_is_not_documented_is_unreadable(kind: str, message: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(message, poll(kind, LINEAR))


def test_an_added_field_changes_nothing() -> None:
    assert read(answer([{**FUNDING, "new": {"a": 1}}]), poll("mark_price", LINEAR))
    assert read(deals(new=1) | {"more": 2})


def test_what_it_does_not_publish_is_said() -> None:
    for kind in ("liquidation", "long_short_ratio", "brackets"):
        with pytest.raises(Unsupported, match=f"{kind} is not published"):
            EXCHANGE.offer(kind)
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("open_interest", LINEAR, 0, 1)


@pytest.mark.real
def test_recorded_trades_are_read(real: Path) -> None:
    path = real.parent / "raw_messages" / "frames" / "mexc-futures.jsonl"
    frames = [json.loads(line)["message"] for line in path.read_text().splitlines()]
    count = 0
    for frame in frames:
        if frame["channel"] != "push.deal":
            # Depth, fair price and funding rate: never subscribed to.
            assert frame["channel"].startswith(("push.depth", "push.fair", "push.funding"))
            continue
        found = read(frame)
        assert all(isinstance(event, Trade) for event in found)
        count += len(found)
    assert count >= 2
