"""HTX's own messages, each beside what it says, worked out by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.htx import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Reply, Request
from plimsoll.market import native
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    Trade,
)
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
SECOND = 1000 * MS
RECEIVED = 1_781_854_870_000 * MS
NOW = 1_781_854_869_221


def listing(name: str, category: str, size: str, hours: float | None = 8) -> Listing:
    symbol = native.unified("htx", name)
    instrument = Instrument(exchange="htx", symbol=symbol, contract_size=Decimal(size))
    return Listing(native=name, category=category, instrument=instrument, interval_hours=hours)


LISTINGS = [
    listing("BTC-USDT", "linear-swap", "0.001"),
    listing("BTC-USD", "swap", "100", None),
    listing("ETH-USD", "swap", "10", None),
    listing("BTC200703", "futures", "100", None),
]
LINEAR, INVERSE, _, DATED = LISTINGS


def read(message: object, request: Request | None = None) -> list[Any]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def answer(data: object) -> dict[str, Any]:
    return {"status": "ok", "data": data, "ts": NOW}


def about(symbol: str, millis: int) -> dict[str, Any]:
    return {"exchange": "htx", "symbol": symbol, "time": millis * MS, "received": RECEIVED}


def history(kind: str, one: Listing, message: object, since: int = 0) -> list[Any]:
    return read(message, EXCHANGE.history(kind, one, since, RECEIVED))


def poll(kind: str, *listings: Listing, at: int = 0) -> Request:
    return EXCHANGE.polls(kind, list(listings))[at].request


# Recorded in December 2020.
FORCED = {
    "op": "notify",
    "topic": "public.BTC-USDT.liquidation_orders",
    "ts": 1608226502344,
    "data": [
        {
            "symbol": "BTC",
            "contract_code": "BTC-USDT",
            "direction": "sell",
            "offset": "close",
            "volume": 227,
            "price": 23350.5,
            "created_at": 1608226502284,
            "amount": 0.227,
            "trade_turnover": 5300.5635,
        }
    ],
}


def test_a_liquidated_long_is_sold() -> None:
    assert read(FORCED) == [
        Liquidation(
            **about("BTC/USDT:USDT", 1608226502284),
            side="long",
            price=23350.5,
            amount=pytest.approx(0.227),
            value_usd=pytest.approx(5300.5635),
            price_kind="bankruptcy",
            completeness="unknown",
        )
    ]


def test_a_liquidated_short_of_a_contract_in_coin_is_bought() -> None:
    # 50 contracts of 10 dollars at 250 are 2 coins; the older messages do not tell the amount.
    row = {"contract_code": "ETH-USD", "direction": "buy", "offset": "close"}
    row |= {"volume": 50, "price": 250, "created_at": 1593610492167}
    dated = {**row, "contract_code": "BTC200703", "volume": 218, "price": 10000}
    first, second = read({**FORCED, "data": [row, dated]})
    assert (first.symbol, first.side) == ("ETH/USD:ETH", "short")
    assert (first.amount, first.value_usd) == (2, 500)
    assert (second.symbol, second.amount) == ("BTC/USD:BTC-200703", 2.18)
    assert second.value_usd == pytest.approx(21_800)


TRADE = {
    "ch": "market.BTC-USDT.trade.detail",
    "ts": 1616233478594,
    "tick": {
        "id": 22419995164,
        "ts": 1616233478583,
        "data": [
            {
                "amount": 40,
                "quantity": 0.04,
                "trade_turnover": 2350.796,
                "ts": 1616233478583,
                "id": 224199951640000,
                "price": 58769.9,
                "direction": "sell",
            }
        ],
    },
}


def test_a_trade_is_counted_once_though_it_is_told_for_both_sides() -> None:
    # 40 contracts of both sides are 20 of 0.001 coins.
    assert read(TRADE) == [
        Trade(
            **about("BTC/USDT:USDT", 1616233478583),
            id=224199951640000,
            side="sell",
            price=58769.9,
            amount=pytest.approx(0.02),
        )
    ]
    row = {"amount": "8", "ts": 1592904814962, "id": 7, "price": "200", "direction": "buy"}
    (inverse,) = read({"ch": "market.BTC-USD.trade.detail", "tick": {"data": [row]}})
    assert (inverse.side, inverse.amount) == ("buy", 2)  # 4 of 100 dollars at 200


def test_open_interest_is_of_one_side() -> None:
    # Seen in 2026: an odd number, which no sum of two equal sides is.
    row = {"contract_code": "BTC-USDT", "volume": 31034739, "amount": 31034.739}
    rows = [{**row, "value": "2104319788.3167"}, {**row, "contract_code": "NEW-USDT"}]
    assert read(answer(rows), poll("open_interest", LINEAR)) == [
        OpenInterest(
            **about("BTC/USDT:USDT", NOW),
            amount=pytest.approx(31034.739),
            value_usd=2104319788.3167,
        )
    ]
    row = {"contract_code": "BTC-USD", "volume": 518018.0, "amount": 2769.6757774}
    assert read(answer([row]), poll("open_interest", INVERSE)) == [
        OpenInterest(**about("BTC/USD:BTC", NOW), amount=2769.6757774, value_usd=51_801_800)
    ]
    row = {"contract_code": "BTC200703", "volume": 118850.0, "amount": 635.5}
    request = poll("open_interest", DATED)
    assert request.url == "https://api.hbdm.com/api/v1/contract_open_interest"
    (dated,) = read(answer([row]), request)
    assert (dated.symbol, dated.amount, dated.value_usd) == (
        "BTC/USD:BTC-200703",
        635.5,
        11_885_000,
    )


def test_history_of_open_interest_is_asked_for_in_contracts() -> None:
    time = 1648220400000
    row = {"volume": "4385435.0000", "amount_type": "1", "ts": str(time), "value": "194059884.185"}
    request = EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)
    assert request.query["amount_type"] == "1"
    message = answer({"symbol": "BTC", "tick": [row], "contract_code": "BTC-USDT"})
    assert read(message, request) == [
        OpenInterest(
            **about("BTC/USDT:USDT", time), amount=pytest.approx(4385.435), value_usd=194059884.185
        )
    ]
    assert read(message, EXCHANGE.history("open_interest", LINEAR, RECEIVED - 1, RECEIVED)) == []
    row = {"volume": 19174.0, "amount_type": 1, "ts": time}
    assert history("open_interest", INVERSE, answer({"tick": [row]})) == [
        OpenInterest(**about("BTC/USD:BTC", time), value_usd=1_917_400)
    ]
    with pytest.raises(UnreadableMessage, match="not in contracts"):
        history("open_interest", INVERSE, answer({"tick": [{**row, "amount_type": 2}]}))


def test_the_running_rate_is_for_the_settlement_to_come() -> None:
    row = {"funding_rate": "0.000083024939363172", "funding_time": "1781280000000"}
    row |= {"contract_code": "BTC-USDT", "estimated_rate": None, "next_funding_time": None}
    rows = [row, {**row, "contract_code": "NEW-USDT"}]
    assert read(answer(rows), poll("funding", LINEAR)) == [
        Funding(
            **about("BTC/USDT:USDT", NOW),
            rate=0.000083024939363172,
            interval_hours=8,
            status="predicted",
            settles=1781280000000 * MS,
        )
    ]
    (zero,) = read(answer([{**row, "funding_rate": "0E-18"}]), poll("funding", LINEAR))
    assert zero.rate == 0
    assert read(answer([{**row, "funding_rate": None}]), poll("funding", LINEAR)) == []


def settled(page: int, *times: int) -> dict[str, Any]:
    row = {"funding_rate": "0.0001", "realized_rate": None, "contract_code": "BTC-USDT"}
    rows = [{**row, "avg_premium_index": "0.00015", "funding_time": str(time)} for time in times]
    return answer({"total_page": 3, "current_page": page, "total_size": 6, "data": rows})


def test_history_of_funding_knows_the_interval_of_its_neighbors() -> None:
    hour, last = 3_600_000, 1_781_251_200_000
    message = settled(1, last, last - 8 * hour, last - 12 * hour)
    first, second, third = history("funding", LINEAR, message)
    assert first == Funding(
        **about("BTC/USDT:USDT", last),
        known_at=last * MS,
        rate=0.0001,
        interval_hours=8,
        premium=0.00015,
    )
    assert (second.interval_hours, third.interval_hours) == (None, None)  # 4 hours apart
    assert history("funding", INVERSE, settled(1, last))[0].interval_hours is None


def test_history_of_funding_goes_back_page_by_page() -> None:
    last = 1_781_251_200_000
    request = EXCHANGE.history("funding", LINEAR, (last - 1) * MS, RECEIVED)
    assert request.query == {"contract_code": "BTC-USDT", "page_index": "1", "page_size": "50"}
    older = EXCHANGE.following(request, json.dumps(settled(1, last)).encode())
    assert older is not None
    assert older.query["page_index"] == "2"
    assert EXCHANGE.following(older, json.dumps(settled(2, last - 2)).encode()) is None
    assert EXCHANGE.following(older, json.dumps(settled(3, last)).encode()) is None


def test_prices_of_index_and_mark() -> None:
    row = {"index_price": 13764.07, "index_ts": 1603851876012, "contract_code": "BTC-USD"}
    request = poll("mark_price", INVERSE)
    assert request.url == "https://api.hbdm.com/swap-api/v1/swap_index"
    assert read(answer([row]), request) == [
        MarkPrice(**about("BTC/USD:BTC", 1603851876012), index_price=13764.07)
    ]
    request = poll("mark_price", LINEAR, at=1)
    assert request.url.endswith("/index/market/history/linear_swap_mark_price_kline")
    row = {"id": 1781854860, "open": "62970", "close": "62978.5", "high": "63000", "low": "62950"}
    assert read(answer([row]), request) == [
        MarkPrice(**about("BTC/USDT:USDT", NOW), mark_price=62978.5)
    ]


def test_a_candle_is_halved_and_told_when_it_is_over() -> None:
    now = RECEIVED // SECOND
    opened = now // 60 * 60 - 60
    row = {"id": opened, "open": 13076.8, "close": 13077, "high": 13080, "low": 13070, "count": 9}
    row |= {"vol": 120, "amount": 0.12, "trade_turnover": 1569.0}
    rows = [row, {**row, "id": opened + 60}]
    prices = {"open": 13076.8, "close": 13077, "high": 13080, "low": 13070, "interval": 60}
    known = (opened + 60) * SECOND
    assert read(answer(rows), poll("candle", LINEAR)) == [
        Candle(
            **about("BTC/USDT:USDT", opened * 1000),
            known_at=known,
            **prices,
            volume=0.06,
            quote_volume=784.5,
        )
    ]
    # In coin: 120 contracts of 100 dollars, of both sides, and the coins as told.
    del row["trade_turnover"]
    (inverse,) = read(answer([row]), poll("candle", INVERSE))
    assert (inverse.volume, inverse.quote_volume) == (0.06, 6000)


def test_candles_are_asked_for_in_stretches() -> None:
    begin = 1_700_000_040
    request = EXCHANGE.history("candle", LINEAR, begin * SECOND, (begin + 150_000) * SECOND)
    # 2,000 candles, the last of which opens 1,999 minutes later.
    assert (request.query["from"], request.query["to"]) == (str(begin), str(begin + 119_940))
    later = EXCHANGE.following(request, json.dumps(answer([])).encode())
    assert later is not None
    # The last to open before the end of 150,000 seconds does so 60 seconds earlier.
    assert (later.query["from"], later.query["to"]) == (str(begin + 120_000), str(begin + 149_940))
    assert EXCHANGE.following(later, json.dumps(answer([])).encode()) is None


def test_ratios_are_of_the_top_traders() -> None:
    row = {"buy_ratio": 0.6, "sell_ratio": 0.3, "locked_ratio": 0.1, "ts": 1603857300000}
    empty = {**row, "buy_ratio": None, "sell_ratio": None}
    message = answer({"list": [row, empty], "symbol": "BTC", "contract_code": "BTC-USD"})
    when = about("BTC/USD:BTC", 1603857300000)
    assert read(message, poll("long_short_ratio", INVERSE)) == [
        LongShortRatio(**when, population="top_accounts", ratio=2, long_share=0.6)
    ]
    assert read(message, poll("long_short_ratio", INVERSE, at=1)) == [
        LongShortRatio(**when, population="top_positions", ratio=2, long_share=0.6)
    ]


# From ccxt's documentation of the fifth API: here, amount is contracts.
PAST = {
    "id": "150153038758",
    "contract_code": "BTC-USDT",
    "liquidation_time": "1781849094165",
    "side": "buy",
    "position_side": "short",
    "volume": "2",
    "amount": "2",
    "bankrupt_price": "62978.5",
    "trade_turnover": "125.957",
}


def past(*rows: object) -> dict[str, Any]:
    return {"code": 200, "message": "Success", "data": rows, "ts": NOW}


def test_history_of_liquidations_is_the_same_in_other_words() -> None:
    (found,) = history("liquidation", LINEAR, past(PAST))
    assert found == Liquidation(
        **about("BTC/USDT:USDT", 1781849094165),
        side="short",
        price=62978.5,
        amount=0.002,
        value_usd=pytest.approx(125.957),
        price_kind="bankruptcy",
        completeness="unknown",
    )
    (long,) = history(
        "liquidation", LINEAR, past({**PAST, "side": "sell", "position_side": "both"})
    )
    assert long.side == "long"
    with pytest.raises(UnreadableMessage, match="buy closes no long"):
        history("liquidation", LINEAR, past({**PAST, "position_side": "long"}))


def test_history_of_liquidations_is_asked_for_by_two_hours() -> None:
    begin, hour = 1_781_840_000_000, 3_600_000
    request = EXCHANGE.history("liquidation", LINEAR, begin * MS, (begin + 3 * hour) * MS)
    stretch = (request.query["start_time"], request.query["end_time"])
    assert stretch == (str(begin), str(begin + 2 * hour - 1))
    later = EXCHANGE.following(request, json.dumps(past(PAST)).encode())
    assert later is not None
    stretch = (later.query["start_time"], later.query["end_time"])
    assert stretch == (str(begin + 2 * hour), str(begin + 3 * hour - 1))
    assert EXCHANGE.following(later, json.dumps(past()).encode()) is None
    full = [{**PAST, "liquidation_time": str(begin + n)} for n in range(100)]
    again = EXCHANGE.following(request, json.dumps(past(*full)).encode())
    assert again is not None
    assert again.query["start_time"] == str(begin + 99)


def test_instruments_and_their_sizes() -> None:
    row = {
        "symbol": "BTC",
        "contract_code": "BTC-USDT",
        "contract_size": 0.001,
        "price_tick": 0.1,
        "settlement_period": "4",
        "contract_status": 1,
    }
    rows = [
        row,
        {**row, "contract_code": "BTC-USDT-260925"},
        {**row, "contract_code": "OLD-USDT", "contract_status": 0},
        {**row, "contract_code": "odd name"},
    ]
    linear, swap, futures = EXCHANGE.instruments()
    assert linear.query == {"business_type": "all"}
    first, second = read(answer(rows), linear)
    assert (first.symbol, first.interval_hours) == ("BTC/USDT:USDT", 4)
    assert (first.instrument.contract_size, first.instrument.tick) == (
        Decimal("0.001"),
        Decimal("0.1"),
    )
    assert (second.symbol, second.interval_hours) == ("BTC/USDT:USDT-260925", None)
    coin = {**row, "contract_code": "BTC-USD", "contract_size": 100.0}
    del coin["settlement_period"]
    (inverse,) = read(answer([coin]), swap)
    assert (inverse.symbol, inverse.category, inverse.interval_hours) == (
        "BTC/USD:BTC",
        "swap",
        None,
    )
    (dated,) = read(answer([{**coin, "contract_code": "BTC260925"}]), futures)
    assert dated.symbol == "BTC/USD:BTC-260925"


def test_subscriptions_are_made_and_answered() -> None:
    trades = EXCHANGE.channels("trade", LISTINGS)
    assert [(one.url.rpartition("/")[2], one.topic) for one in trades] == [
        ("linear-swap-ws", "market.BTC-USDT.trade.detail"),
        ("swap-ws", "market.BTC-USD.trade.detail"),
        ("swap-ws", "market.ETH-USD.trade.detail"),
    ]
    forced = EXCHANGE.channels("liquidation", LISTINGS)
    assert [one.url for one in forced] == [
        "wss://api.hbdm.com/linear-swap-notification",
        "wss://api.hbdm.com/swap-notification",
        "wss://api.hbdm.com/notification",
    ]
    topic = "public.*.liquidation_orders"
    assert {(one.topic, one.symbol) for one in forced} == {(topic, None)}
    first, second = (json.loads(frame) for frame in EXCHANGE.subscribe([trades[0], forced[0]]))
    assert first == {"sub": trades[0].topic, "id": trades[0].topic}
    assert second == {"op": "sub", "cid": topic, "topic": topic}
    told = {"id": "3", "subbed": trades[0].topic, "ts": 1606780800116, "status": "ok"}
    assert read(told) == [Acknowledged((trades[0].topic,))]
    told = {"op": "sub", "cid": "14", "topic": topic, "ts": 1592904821340, "err-code": 0}
    assert read(told) == [Acknowledged((topic,))]
    told |= {"err-code": 2014, "err-msg": "Repeated subscription."}
    assert read(told) == [Refused(topic, "2014 Repeated subscription.")]
    refused = {"status": "error", "id": "x", "err-code": "bad-request", "err-msg": "invalid topic"}
    assert read(refused) == [Refused("x", "bad-request invalid topic")]


def test_both_kinds_of_pings_get_their_own_words_back() -> None:
    assert read({"ping": 1606780800116}) == [Reply(b'{"pong":1606780800116}')]
    # Seen in 2026: the notification's stamp is text, and must come back as text.
    assert read({"op": "ping", "ts": "1789676355591"}) == [
        Reply(b'{"op":"pong","ts":"1789676355591"}')
    ]
    assert read({"op": "ping", "ts": 1789676355591}) == [Reply(b'{"op":"pong","ts":1789676355591}')]
    assert read({"op": "close", "ts": "1789676385591"}) == []


def forced(**changed: object) -> bytes:
    row = {**FORCED["data"][0], **changed}
    return json.dumps({**FORCED, "data": [row]}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"null",
        b"[1]",
        b"\xff\xfe",
        json.dumps(TRADE).encode()[:-9],
        b'{"ch":"market.BTC-USDT.kline.1min","tick":{}}',
        b'{"ch":"market.BTC-USDT.trade.detail","tick":{}}',
        b'{"ch":"market.NEW-USDT.trade.detail","tick":{"data":[]}}',
        b'{"op":"notify","topic":"public.BTC-USDT.liquidation_orders"}',
        json.dumps(TRADE).replace('"sell"', '""').encode(),
        json.dumps(TRADE).replace('"amount"', '"size"').encode(),
        forced(contract_code="NEW-USDT"),
        forced(direction="long"),
        forced(offset="open"),
        forced(volume="NaN"),
        forced(price=0),
        forced(created_at=17),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    assert read({**FORCED, "new": {"a": 1}}) == read(FORCED)
    error = {"status": "error", "err_code": 1032, "err_msg": "too many", "ts": NOW}
    with pytest.raises(UnreadableMessage, match="1032"):
        read(error, poll("funding", LINEAR))
    with pytest.raises(UnreadableMessage, match="funding_rate"):
        read(answer([{"contract_code": "BTC-USDT"}]), poll("funding", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="taker_volume is not published"):
        EXCHANGE.offer("taker_volume")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("candle", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("liquidation", INVERSE, 0, 1)
    with pytest.raises(Unsupported, match="of futures in coin"):
        EXCHANGE.history("candle", DATED, 0, 1)


def unasked(message: dict[str, Any]) -> bool:
    """Whether we do not subscribe to such a message, or the recorder made it itself."""
    channel, topic = message.get("ch", ""), message.get("topic", "")
    other = (".depth.", ".bbo", ".basis.", ".contract_info")
    return message.get("generated", False) or any(one in channel + topic for one in other)


@pytest.mark.real
def test_recorded_messages_are_read(real: Path) -> None:
    sizes = {
        "linear-swap": {"BTC-USDT": "0.001", "EOS-USDT": "1"},
        "swap": {"BTC-USD": "100", "ETH-USD": "10", "BSV-USD": "10"},
        "futures": {"BTC200703": "100"},
    }
    listed = [
        listing(name, category, size)
        for category, names in sizes.items()
        for name, size in names.items()
    ]
    folder, events, sideless = real.parent / "raw_messages" / "frames", 0, 0
    for name in ("huobi-dm-linear-swap", "huobi-dm-swap", "huobi-dm"):
        for line in (folder / f"{name}.jsonl").read_text().splitlines():
            message = json.loads(line)["message"]
            if unasked(message):
                continue
            decoder, payload = EXCHANGE.decoder(listed), json.dumps(message).encode()
            if '"direction": ""' in json.dumps(message):  # seen once, in October 2022
                with pytest.raises(UnreadableMessage):
                    decoder.read(payload, RECEIVED)
                sideless += 1
                continue
            found = decoder.read(payload, RECEIVED)
            assert found
            assert all(isinstance(one, Event | Acknowledged) for one in found)
            events += sum(isinstance(one, Event) for one in found)
    assert (events, sideless) == (5, 1)
