"""Bybit's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.bybit import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    OptionQuote,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument

MS = 1_000_000
RECEIVED = 1_740_480_208_000 * MS


def listing(native: str, category: str, symbol: str, hours: float | None = 8) -> Listing:
    instrument = Instrument(exchange="bybit", symbol=symbol)
    return Listing(native=native, category=category, instrument=instrument, interval_hours=hours)


LISTINGS = [
    listing("BTCUSDT", "linear", "BTC/USDT:USDT"),
    listing("PIPPINUSDT", "linear", "PIPPIN/USDT:USDT"),
    listing("BTCUSD", "inverse", "BTC/USD:BTC"),
    listing("BTC-3FEB23-24250-C", "option", "BTC/USDC:USDC-230203-24250-C", None),
    listing("BTC-28APR23-29500-C", "option", "BTC/USDC:USDC-230428-29500-C", None),
]
LINEAR, _, INVERSE, *_ = LISTINGS


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def answer(rows: list[object], time: int = 1_672_376_496_682) -> dict[str, object]:
    return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": time}


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def test_a_liquidated_short_is_sell() -> None:
    # Recorded 2025-02-25; documentation: "Buy: a long position has been liquidated".
    message = {
        "topic": "allLiquidation.PIPPINUSDT",
        "type": "snapshot",
        "ts": 1740480207578,
        "data": [{"T": 1740480207110, "s": "PIPPINUSDT", "S": "Sell", "v": "2846", "p": "0.02456"}],
    }
    assert read(message) == [
        Liquidation(
            exchange="bybit",
            symbol="PIPPIN/USDT:USDT",
            time=1740480207110 * MS,
            received=RECEIVED,
            side="short",
            price=0.02456,
            amount=2846,
            value_usd=pytest.approx(69.89776),
            price_kind="bankruptcy",
            completeness="complete",
        )
    ]


def test_a_batch_of_liquidations_is_read_whole_and_inverse_sizes_are_dollars() -> None:
    rows = [
        {"T": 1740480207110, "s": "BTCUSD", "S": "Buy", "v": "25000", "p": "50000"},
        {"T": 1740480207111, "s": "BTCUSD", "S": "Sell", "v": "100", "p": "40000"},
    ]
    found = read({"topic": "allLiquidation.BTCUSD", "type": "snapshot", "ts": 1, "data": rows})
    assert [(e.side, e.amount, e.value_usd) for e in found] == [
        ("long", 0.5, 25_000.0),
        ("short", 0.0025, 100.0),
    ]


def test_a_trade_names_the_taker() -> None:
    message = {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": 1672304486868,
        "data": [
            {
                "T": 1672304486865,
                "s": "BTCUSDT",
                "S": "Buy",
                "v": "0.001",
                "p": "16578.50",
                "L": "PlusTick",
                "i": "20f43950-d8dd-5b31-9112-a178eb6023af",
                "BT": False,
            }
        ],
    }
    assert read(message) == [
        Trade(
            exchange="bybit",
            symbol="BTC/USDT:USDT",
            time=1672304486865 * MS,
            received=RECEIVED,
            id=0x20F43950D8DD5B3,
            side="buy",
            price=16578.5,
            amount=0.001,
            origin="screen",
        )
    ]


def taken(**more: object) -> dict[str, object]:
    row = {"p": "985", "v": "0.01", "i": "0404c393-8419-5bac-95c3-5fea28404754"}
    row |= {"T": 1680652922081, "BT": False, "s": "BTC-28APR23-29500-C", "S": "Sell"}
    return {
        "id": "publicTrade.BTC-3414637898-1680652922102",
        "topic": "publicTrade.BTC",
        "ts": 1680652922102,
        "data": [{**row, **more}],
        "type": "snapshot",
    }


def test_a_trade_of_an_option_is_in_coins_and_comes_for_a_coin() -> None:
    # Recorded 2023-04-05: a hundredth of a coin was sold for 985 dollars a coin.
    expected = Trade(
        exchange="bybit",
        symbol="BTC/USDC:USDC-230428-29500-C",
        time=1680652922081 * MS,
        received=RECEIVED,
        id=0x0404C39384195BA,
        side="sell",
        price=985,
        amount=0.01,
        origin="screen",
    )
    assert read(taken()) == [expected]
    (bought,) = read(taken(S="Buy", v="2.5"))
    assert (bought.side, bought.amount) == ("buy", 2.5)
    assert read(taken(s="BTC-28APR23-30000-C")) == []  # listed since we last asked
    assert read(taken(s="BTC-28APR23-30000-C-USDT")) == []
    for name in ("BTCUSDT", "BTC-28APR23"):
        with pytest.raises(UnreadableMessage, match="BTC"):
            read(taken(s=name))


def test_a_block_trade_is_told_by_its_flag_and_without_one_nothing_is() -> None:
    assert [trade.origin for trade in read(taken(BT=True))] == ["block"]
    unmarked = taken()
    del unmarked["data"][0]["BT"]
    assert [trade.origin for trade in read(unmarked)] == [None]


def test_options_are_subscribed_by_coin_and_answered_in_another_form() -> None:
    trades = EXCHANGE.channels("trade", LISTINGS)
    urls = {channel.topic: channel.url.rpartition("/")[2] for channel in trades}
    assert urls == {
        "publicTrade.BTCUSDT": "linear",
        "publicTrade.PIPPINUSDT": "linear",
        "publicTrade.BTCUSD": "inverse",
        "publicTrade.BTC": "option",
    }
    assert [channel.symbol for channel in trades][-1] is None
    (frame,) = EXCHANGE.subscribe(trades[-1:])
    assert json.loads(frame)["args"] == ["publicTrade.BTC"]
    # The form is that of https://bybit-exchange.github.io/docs/v5/ws/connect, of options.
    told: dict[str, object] = {"success": True, "conn_id": "aa01fbfffe80af37-00000001"}
    told |= {"data": {"failTopics": [], "successTopics": ["publicTrade.BTC"]}}
    told |= {"type": "COMMAND_RESP"}
    assert read(told) == [Acknowledged(("publicTrade.BTC",))]
    failed = {"failTopics": ["publicTrade.X"], "successTopics": ["publicTrade.BTC"]}
    assert read({**told, "data": failed}) == [
        Acknowledged(("publicTrade.BTC",)),
        Refused("publicTrade.X", "is refused"),
    ]
    nothing = {"success": False, "ret_msg": "3303001", "type": "COMMAND_RESP"}
    assert read(nothing) == [Refused("", "3303001")]
    assert read({"args": ["1672916271846"], "op": "pong"}) == []


TICKER = {
    "symbol": "BTCUSDT",
    "lastPrice": "17216.00",
    "indexPrice": "17227.36",
    "markPrice": "17217.33",
    "openInterest": "68744.761",
    "openInterestValue": "1183601235.91",
    "fundingRate": "-0.000212",
    "nextFundingTime": "1673280000000",
    "fundingIntervalHour": "8",
}


def about(symbol: str = "BTC/USDT:USDT", time: int = 1_672_376_496_682) -> dict[str, object]:
    return {"exchange": "bybit", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def test_a_ticker_tells_what_stands_now() -> None:
    assert read(answer([TICKER]), poll("open_interest", LINEAR)) == [
        OpenInterest(**about(), amount=68744.761, value_usd=1183601235.91)
    ]
    assert read(answer([TICKER]), poll("mark_price", LINEAR)) == [
        MarkPrice(**about(), mark_price=17217.33, index_price=17227.36, last_price=17216.0)
    ]
    assert read(answer([TICKER]), poll("funding", LINEAR)) == [
        Funding(
            **about(),
            rate=-0.000212,
            interval_hours=8,
            status="predicted",
            settles=1673280000000 * MS,
        )
    ]


def test_open_interest_of_an_inverse_contract_is_dollars() -> None:
    row = {**TICKER, "symbol": "BTCUSD", "markPrice": "20000", "openInterest": "500000000"}
    assert read(answer([row]), poll("open_interest", INVERSE)) == [
        OpenInterest(**about("BTC/USD:BTC"), amount=25_000, value_usd=500_000_000)
    ]


def test_a_dated_future_has_no_funding_and_an_unknown_one_is_passed_over() -> None:
    dated = {**TICKER, "fundingRate": "", "nextFundingTime": "0"}
    new = {**TICKER, "symbol": "NEWUSDT"}
    assert read(answer([dated, new]), poll("funding", LINEAR)) == []


def test_history_of_open_interest_funding_and_ratio() -> None:
    until = RECEIVED

    def history(kind: str, one: Listing, row: object) -> list[object]:
        return read(answer([row]), EXCHANGE.history(kind, one, 0, until))

    row = {"openInterest": "461134384.0", "timestamp": "1669571400000"}
    assert history("open_interest", INVERSE, row) == [
        OpenInterest(**about("BTC/USD:BTC", 1669571400000), value_usd=461134384.0)
    ]
    row = {"symbol": "BTCUSDT", "fundingRate": "0.0001", "fundingRateTimestamp": "1672041600000"}
    assert history("funding", LINEAR, row) == [
        Funding(**about(time=1672041600000), known_at=1672041600000 * MS, rate=0.0001)
    ]
    row = {"symbol": "BTCUSDT", "buyRatio": "0.5707", "sellRatio": "0.4293"}
    found = history("long_short_ratio", LINEAR, {**row, "timestamp": "1729123200000"})
    assert found == [
        LongShortRatio(
            **about(time=1729123200000),
            population="accounts",
            ratio=pytest.approx(1.32937, abs=1e-5),
            long_share=0.5707,
        )
    ]


def test_a_candle_is_told_when_it_is_over() -> None:
    now = RECEIVED // MS
    closed, running = now - 120_000, now - 30_000
    rows = [
        [str(running), "2", "3", "1", "2", "5", "10"],
        [str(closed), "17071", "17073", "17027", "17055.5", "268611", "15.74462667"],
    ]
    candle = {"interval": 60, "open": 17071, "high": 17073, "low": 17027, "close": 17055.5}
    known = (closed + 60_000) * MS
    assert read(answer(rows), poll("candle", INVERSE)) == [
        Candle(
            **about("BTC/USD:BTC", closed),
            known_at=known,
            **candle,
            volume=15.74462667,  # an inverse contract's turnover is in coin
            quote_volume=268611,
        )
    ]
    (linear,) = read(answer(rows[1:]), poll("candle", LINEAR))
    assert (linear.volume, linear.quote_volume) == (268611, 15.74462667)


def test_an_option_quote_has_its_greeks_and_volatilities() -> None:
    row = {
        "symbol": "BTC-3FEB23-24250-C",
        "bid1Price": "0",
        "bid1Size": "0",
        "bid1Iv": "0",
        "ask1Price": "5",
        "ask1Size": "0.1",
        "ask1Iv": "1.0098",
        "lastPrice": "10",
        "markPrice": "0.56",
        "indexPrice": "23500.1",
        "markIv": "0.5634",
        "underlyingPrice": "23510.52",
        "openInterest": "12.3",
        "turnover24h": "980.5",
        "volume24h": "0.2",
        "delta": "0.01",
        "gamma": "0.0002",
        "vega": "0.1",
        "theta": "-10.5",
    }
    (quote,) = read(answer([row]), poll("option_quote"))
    assert quote == OptionQuote(
        **about("BTC/USDC:USDC-230203-24250-C"),
        underlying_price=23510.52,
        index_price=23500.1,
        bid_price=0,
        bid_amount=0,
        bid_iv=0,
        ask_price=5,
        ask_amount=0.1,
        ask_iv=1.0098,
        mark_price=0.56,
        last_price=10,
        mark_iv=0.5634,
        open_interest=12.3,
        volume=0.2,
        volume_usd=980.5,
        delta=0.01,
        gamma=0.0002,
        vega=0.1,
        theta=-10.5,
    )


def test_instruments_and_their_intervals() -> None:
    rows = [
        {
            "symbol": "BTCUSDT",
            "contractType": "LinearPerpetual",
            "fundingInterval": 480,
            "priceFilter": {"tickSize": "0.10"},
        },
        {"symbol": "BTC-27DEC24", "priceFilter": {"tickSize": "0.5"}, "fundingInterval": 0},
    ]
    first, second = read(answer(rows), EXCHANGE.instruments()[0])
    assert (first.native, first.symbol, first.interval_hours) == ("BTCUSDT", "BTC/USDT:USDT", 8)
    assert str(first.instrument.tick) == "0.10"
    assert first.instrument.contract_size == 1
    assert (second.symbol, second.interval_hours) == ("BTC/USDC:USDC-241227", None)


def test_risk_limits_become_brackets() -> None:
    row = {"symbol": "BTCUSDT", "maintenanceMargin": "0.005", "maxLeverage": "100.00"}
    rows = [
        {**row, "riskLimitValue": "4000000", "maintenanceMargin": "0.01", "maxLeverage": "50"},
        {**row, "riskLimitValue": "2000000"},
    ]
    request = next(r for r in EXCHANGE.instruments() if r.kind == "brackets")
    assert read(answer(rows), request) == [
        Brackets.build(
            "bybit",
            "BTC/USDT:USDT",
            datetime(2025, 2, 25, 10, 43, 28, tzinfo=UTC),
            [(2e6, 0.005, 100), (4e6, 0.01, 50)],
        )
    ]


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("liquidation", LISTINGS)
    assert [channel.topic for channel in channels] == [
        "allLiquidation.BTCUSDT",
        "allLiquidation.PIPPINUSDT",
        "allLiquidation.BTCUSD",
    ]
    assert channels[2].url == "wss://stream.bybit.com/v5/public/inverse"
    (frame,) = EXCHANGE.subscribe(channels[:2])
    sent = json.loads(frame)
    assert sent["op"] == "subscribe"
    assert sent["args"] == ["allLiquidation.BTCUSDT", "allLiquidation.PIPPINUSDT"]
    told = {"success": True, "ret_msg": "", "req_id": sent["req_id"], "op": "subscribe"}
    assert read(told) == [Acknowledged(tuple(sent["args"]))]
    refused = {
        "success": False,
        "ret_msg": "Invalid topic: invalid.topic.BTCUSDT",
        "op": "subscribe",
    }
    (found,) = read(refused)
    assert found == Refused("invalid.topic.BTCUSDT", refused["ret_msg"])
    assert read({"success": True, "ret_msg": "pong", "op": "ping"}) == []


def test_history_goes_on_until_there_is_no_more() -> None:
    request = EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)
    page = {"retCode": 0, "result": {"list": [], "nextPageCursor": "next"}}
    following = EXCHANGE.following(request, json.dumps(page).encode())
    assert following.query["cursor"] == "next"
    page["result"]["nextPageCursor"] = ""
    assert EXCHANGE.following(following, json.dumps(page).encode()) is None
    request = EXCHANGE.history("funding", LINEAR, 1_600_000_000_000 * MS, RECEIVED)
    rows = [{"fundingRateTimestamp": str(1_672_041_600_000 + n)} for n in range(200)]
    following = EXCHANGE.following(request, json.dumps(answer(rows)).encode())
    assert following.query["endTime"] == str(1_672_041_599_999)
    assert EXCHANGE.following(following, json.dumps(answer(rows[:10])).encode()) is None


def liquidation(**changed: object) -> bytes:
    row = {"T": 1740480207110, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "1"} | changed
    return json.dumps({"topic": "allLiquidation.BTCUSDT", "data": [row]}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"topic":"kline.1.BTCUSDT","data":[]}',
        b'{"topic":"allLiquidation.X","data":[{"T":1,"s":"NOPE","S":"Buy","v":"1","p":"1"}]}',
        b'{"topic":"allLiquidation.X","data":[{"T":1740480207110,"s":"BTCUSDT","side":"Buy"}]}',
        liquidation(S="Long"),
        liquidation(v="NaN"),
        liquidation(p="0"),
        liquidation(T=17),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    assert read(answer([{**TICKER, "new": {"a": 1}}]), poll("mark_price", LINEAR))
    with pytest.raises(UnreadableMessage, match="retCode 10006"):
        read({"retCode": 10006, "retMsg": "Too many visits"}, poll("mark_price", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="taker_volume is not published"):
        EXCHANGE.offer("taker_volume")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("trade", LINEAR, 0, 1)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
