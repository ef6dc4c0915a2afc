"""Deribit's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.deribit import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Reply, Request
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    OptionQuote,
    Trade,
    VolatilityIndex,
)
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
HOUR = 3_600_000
RECEIVED = 1_740_480_208_000 * MS


def listing(native: str, category: str, symbol: str) -> Listing:
    instrument = Instrument(exchange="deribit", symbol=symbol)
    return Listing(native=native, category=category, instrument=instrument)


LISTINGS = [
    listing("BTC-PERPETUAL", "inverse", "BTC/USD:BTC"),
    listing("ETH_USDC-PERPETUAL", "linear", "ETH/USDC:USDC"),
    listing("BTC-29SEP23", "inverse", "BTC/USD:BTC-230929"),
    listing("BTC-27SEP24-40000-C", "option", "BTC/USD:BTC-240927-40000-C"),
]
INVERSE, LINEAR, DATED, OPTION = LISTINGS
DVOL = Listing(
    native="btc_usd",
    category="index",
    instrument=Instrument(exchange="deribit", symbol="BTC"),
    is_market=False,
)


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder([*LISTINGS, DVOL]).read(payload, RECEIVED, request)


def told(channel: str, data: object) -> dict[str, object]:
    params = {"channel": channel, "data": data}
    return {"jsonrpc": "2.0", "method": "subscription", "params": params}


def answer(result: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": result, "usOut": 1740480207000000, "testnet": False}


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def about(symbol: str, time: int) -> dict[str, object]:
    return {"exchange": "deribit", "symbol": symbol, "time": time * MS, "received": RECEIVED}


# Recorded in March 2020, when 1,120 dollars of a long were sold at 4,469.5.
PRINT = {
    "trade_seq": 40781986,
    "trade_id": "66460463",
    "timestamp": 1584058044032,
    "tick_direction": 3,
    "price": 4469.5,
    "liquidation": "T",
    "instrument_name": "BTC-PERPETUAL",
    "index_price": 4805.41,
    "direction": "sell",
    "amount": 1120,
}
PLAIN = {name: value for name, value in PRINT.items() if name != "liquidation"}
TRADES = "trades.BTC-PERPETUAL.100ms"


def test_a_taker_who_was_liquidated_selling_was_long() -> None:
    one = about("BTC/USD:BTC", 1584058044032)
    coins = pytest.approx(0.250587, abs=1e-6)  # 1,120 / 4,469.5
    assert read(told(TRADES, [PRINT])) == [
        Trade(**one, id=66460463, side="sell", price=4469.5, amount=coins, origin="screen"),
        Liquidation(
            **one,
            side="long",
            price=4469.5,
            amount=coins,
            value_usd=1120,
            price_kind="fill",
            completeness="complete",
            id="66460463",
        ),
    ]


@pytest.mark.parametrize(
    ("flag", "direction", "sides"),
    [
        ("T", "sell", ["long"]),
        ("T", "buy", ["short"]),
        ("M", "sell", ["short"]),  # the maker bought: a short was closed
        ("M", "buy", ["long"]),
        ("MT", "sell", ["long", "short"]),
        ("MT", "buy", ["short", "long"]),
    ],
)
def test_the_flag_tells_whose_position_was_liquidated(
    flag: str, direction: str, sides: list[str]
) -> None:
    row = {**PRINT, "liquidation": flag, "direction": direction}
    trade, *liquidations = read(told(TRADES, [row]))
    assert trade.side == direction
    assert [one.side for one in liquidations] == sides


def test_a_linear_contract_is_counted_in_coins_and_its_ids_have_a_prefix() -> None:
    row = {**PRINT, "instrument_name": "ETH_USDC-PERPETUAL", "trade_id": "ETH_USDC-34066"}
    row |= {"price": 2000.0, "amount": 1.5, "liquidation": "M"}
    trade, liquidation = read(told("trades.ETH_USDC-PERPETUAL.100ms", [row]))
    assert (trade.symbol, trade.id, trade.side) == ("ETH/USDC:USDC", 34066, "sell")
    assert (trade.price, trade.amount) == (2000, 1.5)
    assert (liquidation.amount, liquidation.value_usd) == (1.5, 3000)  # 1.5 × 2,000


TICKER = {
    "timestamp": 1564617604229,
    "stats": {"volume": 24618.46, "low": 9569.5, "high": 10131.5},
    "state": "open",
    "open_interest": 66128281,
    "mark_price": 10094.1,
    "last_price": 10095.5,
    "instrument_name": "BTC-PERPETUAL",
    "index_price": 10091.15,
    "funding_8h": 0.00016281,
    "current_funding": 0.00004,
    "best_bid_price": 10095,
    "best_bid_amount": 7000,
    "best_ask_price": 10095.5,
    "best_ask_amount": 250,
}


def test_a_ticker_tells_prices_open_interest_and_the_rate_of_this_moment() -> None:
    one = about("BTC/USD:BTC", 1564617604229)
    assert read(told("ticker.BTC-PERPETUAL.agg2", TICKER)) == [
        MarkPrice(**one, mark_price=10094.1, index_price=10091.15, last_price=10095.5),
        OpenInterest(
            **one,
            amount=pytest.approx(6551.1815, abs=1e-3),  # 66,128,281 / 10,094.1
            value_usd=66128281,
        ),
        Funding(**one, rate=0.00004, interval_hours=8, status="predicted"),
    ]
    dated = {name: value for name, value in TICKER.items() if "funding" not in name}
    found = read(told("ticker.BTC-29SEP23.agg2", {**dated, "instrument_name": "BTC-29SEP23"}))
    assert [type(event) for event in found] == [MarkPrice, OpenInterest]


SUMMARY = {
    "high": 93099.5,
    "low": 81773.0,
    "last": 87197.0,
    "instrument_name": "BTC-PERPETUAL",
    "bid_price": 87083.0,
    "ask_price": 87149.5,
    "open_interest": 871020100,
    "mark_price": 87102.01,
    "creation_timestamp": 1763674177068,
    "volume": 7377.18657991,
    "volume_usd": 661040250.0,
    "current_funding": 0.00012966,
    "funding_8h": -0.00081069,
}


def test_a_summary_tells_what_stands_now_of_all_futures_of_a_currency() -> None:
    one = about("BTC/USD:BTC", 1763674177068)
    request = poll("open_interest", INVERSE, LINEAR, OPTION)
    assert request.query == {"currency": "BTC", "kind": "future"}
    linear = {**SUMMARY, "instrument_name": "ETH_USDC-PERPETUAL"}
    linear |= {"open_interest": 100.5, "mark_price": 2000}
    new = {**SUMMARY, "instrument_name": "BTC-FS-25DEC26_PERP"}
    assert read(answer([SUMMARY, linear, new]), request) == [
        # 871,020,100 / 87,102.01 = 10,000; 100.5 × 2,000 = 201,000
        OpenInterest(**one, amount=10_000, value_usd=871020100),
        OpenInterest(**one | {"symbol": "ETH/USDC:USDC"}, amount=100.5, value_usd=201_000),
    ]
    assert read(answer([SUMMARY]), poll("mark_price", INVERSE)) == [
        MarkPrice(**one, mark_price=87102.01, last_price=87197.0)
    ]
    dated = {**SUMMARY, "instrument_name": "BTC-29SEP23"}
    assert read(answer([SUMMARY, dated]), poll("funding", INVERSE)) == [
        Funding(**one, rate=0.00012966, interval_hours=8, status="predicted")
    ]


GREEKS = {"rho": 130.6, "theta": -13.5, "vega": 141.9, "gamma": 0.00002, "delta": 0.6}
QUOTE = {
    "best_bid_amount": 0.2,
    "best_ask_amount": 9.1,
    "best_bid_price": 0.214,
    "best_ask_price": 0.219,
    "open_interest": 368.8,
    "last_price": 0.215,
    "bid_iv": 60.5,
    "ask_iv": 62.0,
    "mark_iv": 61.25,
    "underlying_price": 38992.71,
    "mark_price": 0.2168,
    "instrument_name": "BTC-27SEP24-40000-C",
    "index_price": 36552.72,
    "greeks": GREEKS,
    "stats": {"volume_usd": 100453.9, "volume": 12.0},
    "timestamp": 1699578548021,
}


def test_an_options_ticker_has_greeks_and_its_volatilities_are_percent() -> None:
    channel = "ticker.BTC-27SEP24-40000-C.agg2"
    expected = OptionQuote(
        **about("BTC/USD:BTC-240927-40000-C", 1699578548021),
        underlying_price=38992.71,
        index_price=36552.72,
        bid_price=0.214,
        bid_amount=0.2,
        bid_iv=0.605,
        ask_price=0.219,
        ask_amount=9.1,
        ask_iv=0.62,
        mark_price=0.2168,
        last_price=0.215,
        mark_iv=0.6125,
        open_interest=368.8,
        volume=12,
        volume_usd=100453.9,
        rho=130.6,
        theta=-13.5,
        vega=141.9,
        gamma=0.00002,
        delta=0.6,
    )
    assert read(told(channel, QUOTE)) == [expected]
    none = {"best_bid_price": 0, "best_bid_amount": 0, "bid_iv": 0, "last_price": None}
    (found,) = read(told(channel, QUOTE | none))
    assert (found.bid_price, found.bid_amount, found.bid_iv) == (None, None, None)
    assert (found.last_price, found.ask_price) == (None, 0.219)


# As Deribit documents a trade of an option; the last was part of a block, and of a straddle.
TAKEN = {
    "trade_seq": 3,
    "trade_id": "430612",
    "timestamp": 1699578548021,
    "tick_direction": 1,
    "price": 0.2155,
    "mark_price": 0.2168,
    "iv": 60.9,
    "instrument_name": "BTC-27SEP24-40000-C",
    "index_price": 36552.72,
    "direction": "buy",
    "amount": 12.5,
    "contracts": 12.5,
}
BLOCK = {**TAKEN, "trade_id": "430613", "direction": "sell", "block_trade_id": "BLOCK-282155"}
BLOCK |= {"block_trade_leg_count": 2, "combo_id": "BTC-STRD-27SEP24-40000"}


def test_a_trade_tells_whether_it_was_made_in_the_book() -> None:
    # Fields as https://docs.deribit.com lists them for trades: each is there where it applies.
    block = {"block_trade_id": "BLOCK-282155", "block_trade_leg_count": 2}
    combo = {"combo_id": "BTC-STRD-27SEP24-40000", "combo_trade_id": 282155}
    quoted = {"block_rfq_id": 50510}
    plain = {name: value for name, value in TAKEN.items() if not name.startswith("block")}
    kinds = [({}, "screen"), (combo, "combo"), (block, "block"), (block | combo, "block")]
    for more, origin in [*kinds, (quoted | block, "block"), (quoted, "block")]:
        option = told("trades.option.BTC.100ms", [plain | more])
        future = told(TRADES, [{**PRINT, "liquidation": None} | more])
        found = [event.origin for message in (option, future) for event in read(message)]
        assert found == [origin, origin]


def test_trades_of_options_are_in_coins_and_come_for_a_currency() -> None:
    about_it = about("BTC/USD:BTC-240927-40000-C", 1699578548021)
    expected = [
        Trade(**about_it, id=430612, side="buy", price=0.2155, amount=12.5, origin="screen"),
        Trade(**about_it, id=430613, side="sell", price=0.2155, amount=12.5, origin="block"),
    ]
    new = {**TAKEN, "instrument_name": "BTC-27SEP24-41000-C"}  # listed since we last asked
    assert read(told("trades.option.BTC.100ms", [TAKEN, new, BLOCK])) == expected
    request = EXCHANGE.history("trade", OPTION, 0, RECEIVED)
    assert request.query["instrument_name"] == "BTC-27SEP24-40000-C"
    assert read(answer({"trades": [TAKEN, BLOCK], "has_more": False}), request) == expected
    for name in ("BTC-PERPETUAL", "BTC-STRD-27SEP24-40000"):
        with pytest.raises(UnreadableMessage):
            read(told("trades.option.BTC.100ms", [{**TAKEN, "instrument_name": name}]))


def test_options_settled_in_dollars_have_the_channel_of_their_settlement() -> None:
    one = listing("XRP_USDC-30JUN23-0d52-C", "option", "XRP/USDC:USDC-230630-0.52-C")
    (channel,) = EXCHANGE.channels("trade", [one])
    assert channel.topic == "trades.option.USDC.100ms"
    row = {**TAKEN, "instrument_name": one.native, "price": 0.0105, "amount": 1000}
    payload = json.dumps(told(channel.topic, [row | {"trade_id": "XRP_USDC-77"}])).encode()
    (trade,) = EXCHANGE.decoder([one]).read(payload, RECEIVED)
    assert (trade.id, trade.price, trade.amount) == (77, 0.0105, 1000)


def test_the_index_of_volatility_is_listed_with_its_options_and_streamed() -> None:
    row = {"instrument_name": "BTC-27SEP24-40000-C", "settlement_currency": "BTC"}
    row |= {"contract_size": 1, "tick_size": 0.0001}
    found = read(answer([row]), EXCHANGE.instruments()[1])
    assert [(one.category, one.symbol, one.is_market) for one in found] == [
        ("option", "BTC/USD:BTC-240927-40000-C", True),
        ("index", "BTC", False),
    ]
    assert found[1].native == DVOL.native
    (channel,) = EXCHANGE.channels("volatility_index", [*LISTINGS, DVOL])
    assert (channel.topic, channel.symbol) == ("deribit_volatility_index.btc_usd", "BTC")
    # The documentation's own example.
    data = {"volatility": 129.36, "timestamp": 1619777946007, "index_name": "btc_usd"}
    assert read(told(channel.topic, data)) == [
        VolatilityIndex(**about("BTC", 1619777946007), value=pytest.approx(1.2936))
    ]


def test_the_indexs_history_is_of_minutes_that_are_over_and_goes_backwards() -> None:
    now = RECEIVED // MS
    request = EXCHANGE.history("volatility_index", DVOL, (now - HOUR) * MS, now * MS)
    assert request.query == {
        "currency": "BTC",
        "resolution": "60",
        "start_timestamp": str(now - HOUR),
        "end_timestamp": str(now - 1),
    }
    rows = [[now - 90_000, 54.1, 54.4, 54.0, 54.25], [now - 30_000, 54.25, 54.3, 54.2, 54.3]]
    page = {"data": rows, "continuation": now - HOUR // 2}
    assert read(answer(page), request) == [
        VolatilityIndex(
            **about("BTC", now - 30_000), known_at=(now - 30_000) * MS, value=pytest.approx(0.5425)
        )
    ]
    second = following(request, page)
    assert second.query == {**request.query, "end_timestamp": str(now - HOUR // 2)}
    assert following(second, page) is None  # it would be the same page again
    assert following(second, {**page, "continuation": None}) is None
    assert following(second, {**page, "continuation": now - 2 * HOUR}) is None


def test_a_summary_of_options_has_no_greeks() -> None:
    row = {
        "volume_usd": 11045.12,
        "creation_timestamp": 1711100949273,
        "underlying_price": 73742.14,
        "volume": 4.0,
        "open_interest": 274.2,
        "ask_price": 0.042,
        "bid_price": None,
        "instrument_name": "BTC-27SEP24-40000-C",
        "mark_price": 0.04007735,
        "mark_iv": 61.25,
        "last": 0.04,
    }
    request = poll("option_quote", *LISTINGS)
    assert request.query == {"currency": "BTC", "kind": "option"}
    assert read(answer([row]), request) == [
        OptionQuote(
            **about("BTC/USD:BTC-240927-40000-C", 1711100949273),
            underlying_price=73742.14,
            ask_price=0.042,
            mark_price=0.04007735,
            mark_iv=0.6125,
            last_price=0.04,
            open_interest=274.2,
            volume=4,
            volume_usd=11045.12,
        )
    ]


def test_settled_funding_is_that_of_the_hour() -> None:
    row = {
        "timestamp": 1569891600000,
        "index_price": 8222.87,
        "prev_index_price": 8305.72,
        "interest_8h": -0.00009234260068476106,
        "interest_1h": -0.0000004739622041017375,
    }
    request = EXCHANGE.history("funding", INVERSE, 1569888000000 * MS, 1569895200000 * MS)
    assert request.url == "https://www.deribit.com/api/v2/public/get_funding_rate_history"
    assert request.query == {
        "instrument_name": "BTC-PERPETUAL",
        "start_timestamp": "1569888000000",
        "end_timestamp": "1569895199999",
    }
    assert read(answer([row]), request) == [
        Funding(
            **about("BTC/USD:BTC", 1569891600000),
            known_at=1569891600000 * MS,
            rate=-0.0000004739622041017375,
            interval_hours=1,
        )
    ]


def test_a_candle_is_told_when_it_is_over_and_its_volume_is_in_coins() -> None:
    now = RECEIVED // MS
    result = {
        "volume": [3.668, 0],
        "ticks": [now - 120_000, now - 30_000],
        "status": "ok",
        "open": [7834, 7833],
        "low": [7833, 7833],
        "high": [7839.5, 7833],
        "cost": [28740, 0],
        "close": [7839, 7833],
    }
    request = EXCHANGE.history("candle", INVERSE, 0, RECEIVED)
    assert read(answer(result), request) == [
        Candle(
            **about("BTC/USD:BTC", now - 120_000),
            known_at=(now - 60_000) * MS,
            interval=60,
            open=7834,
            high=7839.5,
            low=7833,
            close=7839,
            volume=3.668,
            quote_volume=28740,
        )
    ]
    short = {**result, "cost": [28740]}
    with pytest.raises(UnreadableMessage):
        read(answer(short), request)


def test_history_of_trades_and_of_liquidations_is_one_answer() -> None:
    since, until = 1584058044000 * MS, 1584058045000 * MS
    page = answer({"trades": [PLAIN, PRINT], "has_more": False})
    trades = read(page, EXCHANGE.history("trade", INVERSE, since, until))
    assert [type(event) for event in trades] == [Trade, Trade]
    (liquidation,) = read(page, EXCHANGE.history("liquidation", INVERSE, since, until))
    assert (liquidation.side, liquidation.value_usd) == ("long", 1120)


def following(request: Request, result: object) -> Request | None:
    return EXCHANGE.following(request, json.dumps(answer(result)).encode())


def test_trades_follow_by_time_and_then_from_the_main_host() -> None:
    start = 1584058044000
    first = EXCHANGE.history("liquidation", INVERSE, start * MS, (start + HOUR) * MS)
    old = "https://history.deribit.com/api/v2/public/"
    assert first.url == f"{old}get_last_trades_by_instrument_and_time"
    assert first.query == {
        "instrument_name": "BTC-PERPETUAL",
        "start_timestamp": str(start),
        "end_timestamp": str(start + HOUR - 1),
        "count": "1000",
        "sorting": "asc",
        "include_old": "true",
    }
    page = [PLAIN, {**PLAIN, "trade_seq": 40781987, "timestamp": start + 500}]
    second = following(first, {"trades": page, "has_more": True})
    assert second.url == first.url
    assert second.query == {**first.query, "start_timestamp": str(start + 500)}
    newest = following(second, {"trades": page[1:], "has_more": False})
    assert newest.url.startswith("https://www.deribit.com/api/v2/public/get_last_trades")
    assert newest.query["start_timestamp"] == str(start + 500)
    assert "include_old" not in newest.query
    assert following(newest, {"trades": [], "has_more": False}) is None


def test_a_page_of_one_millisecond_is_followed_by_number() -> None:
    start = 1584058044032
    first = EXCHANGE.history("trade", INVERSE, start * MS, (start + HOUR) * MS)
    second = following(first, {"trades": [PLAIN], "has_more": True})
    assert second.url.endswith("/get_last_trades_by_instrument")
    assert (second.query["start_seq"], second.query["end_seq"]) == ("40781987", "40782986")
    later = {**PLAIN, "trade_seq": 40781987, "timestamp": start + 7}
    (trade,) = read(answer({"trades": [later], "has_more": False}), second)
    assert trade.time == (start + 7) * MS
    third = following(second, {"trades": [later], "has_more": False})
    assert third.url == first.url
    assert third.query["start_timestamp"] == str(start + 7)
    assert following(second, {"trades": [], "has_more": False}) is None


def test_other_history_follows_by_spans_of_what_one_answer_holds() -> None:
    start = 1_600_000_000_000
    first = EXCHANGE.history("funding", INVERSE, start * MS, (start + 1000 * HOUR) * MS)
    assert first.query["end_timestamp"] == str(start + 743 * HOUR)  # 744 hours, both ends counted
    second = following(first, [])
    assert second.query["start_timestamp"] == str(start + 743 * HOUR + 1)
    assert second.query["end_timestamp"] == str(start + 1000 * HOUR - 1)
    assert following(second, []) is None
    minutes = EXCHANGE.history("candle", LINEAR, start * MS, (start + 1000 * HOUR) * MS)
    assert minutes.query["resolution"] == "1"
    assert minutes.query["end_timestamp"] == str(start + 4999 * 60_000)


def test_instruments_are_listed_with_the_size_of_a_contract() -> None:
    perpetual = {
        "instrument_name": "BTC-PERPETUAL",
        "kind": "future",
        "instrument_type": "reversed",
        "settlement_currency": "BTC",
        "contract_size": 10,
        "tick_size": 0.5,
    }
    linear = perpetual | {"instrument_name": "ETH_USDC-PERPETUAL", "settlement_currency": "USDC"}
    linear |= {"contract_size": 0.001, "tick_size": 0.05}
    option = perpetual | {"instrument_name": "XRP_USDC-30JUN23-0d52-C", "kind": "option"}
    option |= {"settlement_currency": "USDC", "contract_size": 1000, "tick_size": 0.0001}
    combination = perpetual | {"instrument_name": "BTC-FS-25DEC26_PERP"}
    odd = perpetual | {"instrument_name": "SOL-PERPETUAL", "settlement_currency": "USDC"}
    rows = [perpetual, linear, option, combination, odd]
    requests = EXCHANGE.instruments()
    assert [one.query["kind"] for one in requests] == ["future", "option"]
    found = read(answer(rows), requests[0])
    assert [(one.category, one.symbol, str(one.instrument.contract_size)) for one in found] == [
        ("inverse", "BTC/USD:BTC", "10"),
        ("linear", "ETH/USDC:USDC", "0.001"),
        ("option", "XRP/USDC:USDC-230630-0.52-C", "1000"),
    ]
    assert str(found[1].instrument.tick) == "0.05"


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("liquidation", LISTINGS)
    topics = [
        "trades.BTC-PERPETUAL.100ms",
        "trades.ETH_USDC-PERPETUAL.100ms",
        "trades.BTC-29SEP23.100ms",
    ]
    assert [channel.topic for channel in channels] == topics
    # One subscription brings both, and one of a currency the trades of its options.
    *both, options = EXCHANGE.channels("trade", [*LISTINGS, OPTION])
    assert both == channels
    assert (options.topic, options.symbol) == ("trades.option.BTC.100ms", None)
    funding = EXCHANGE.channels("funding", LISTINGS)
    assert [one.symbol for one in funding] == ["BTC/USD:BTC", "ETH/USDC:USDC"]
    (option,) = EXCHANGE.channels("option_quote", LISTINGS)
    assert option.topic == "ticker.BTC-27SEP24-40000-C.agg2"
    (frame,) = EXCHANGE.subscribe(channels)
    sent = json.loads(frame)
    assert (sent["method"], sent["params"]) == ("public/subscribe", {"channels": topics})
    back = {"jsonrpc": "2.0", "id": sent["id"]}
    assert read({**back, "result": topics}) == [Acknowledged(tuple(topics))]
    assert read({**back, "result": topics[:2]}) == [
        Acknowledged(tuple(topics[:2])),
        Refused(topics[2], "is not in the answer"),
    ]
    error = {"code": -32602, "message": "Invalid params"}
    assert read({**back, "error": error}) == [
        Refused(topic, "-32602: Invalid params") for topic in topics
    ]
    assert len(EXCHANGE.subscribe(channels * 20)) == 2  # 60 topics, 50 a frame


def test_heartbeats_are_answered() -> None:
    beat = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
    (reply,) = read(beat)
    assert isinstance(reply, Reply)
    assert json.loads(reply.payload)["method"] == "public/test"
    assert read({**beat, "params": {"type": "heartbeat"}}) == []
    pong = {"jsonrpc": "2.0", "id": "test", "result": {"version": "1.2.26"}}
    assert read(pong) == []


def changed(**changed: object) -> bytes:
    return json.dumps(told(TRADES, [PRINT | changed])).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"{}",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"jsonrpc":"2.0","error":{"code":10028,"message":"too_many_requests"}}',
        b'{"jsonrpc":"2.0","id":"test","error":{"code":10028}}',
        json.dumps(told("book.BTC-PERPETUAL.100ms", {})).encode(),
        json.dumps(told(TRADES, [{**PLAIN, "qty": 1} | {"amount": None}])).encode(),
        json.dumps(told("ticker.X.agg2", {**TICKER, "mark_price": None})).encode(),
        json.dumps(told("ticker.X.agg2", {**TICKER, "mark_price": 0})).encode(),
        json.dumps(told("ticker.X.agg2", {**QUOTE, "greeks": None})).encode(),
        json.dumps(told(TRADES, [PRINT])).encode()[:-9],
        changed(instrument_name="NOPE-PERPETUAL"),
        changed(instrument_name="BTC-27SEP24-40000-C"),  # an option's price is in coins
        changed(liquidation="L"),
        changed(direction="SELL"),
        changed(amount="NaN"),
        changed(amount=0),
        changed(price=0),
        changed(timestamp=17),
        changed(trade_id="none"),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize("gone", ["open_interest", "mark_price", "creation_timestamp"])
def test_a_renamed_field_of_an_answer_is_unreadable(gone: str) -> None:
    row = {name if name != gone else "renamed": value for name, value in SUMMARY.items()}
    with pytest.raises(UnreadableMessage):
        read(answer([row]), poll("open_interest", INVERSE))


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    request = poll("mark_price", INVERSE)
    assert read(answer([{**SUMMARY, "new": {"a": 1}}]), request)
    assert read(told(TRADES, [{**PRINT, "new": [1]}])) == read(told(TRADES, [PRINT]))
    error = {"code": 10028, "message": "too_many_requests"}
    with pytest.raises(UnreadableMessage, match="10028: too_many_requests"):
        read({"jsonrpc": "2.0", "error": error}, request)
    with pytest.raises(UnreadableMessage, match="no result"):
        read({"jsonrpc": "2.0"}, request)


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="long_short_ratio is not published"):
        EXCHANGE.offer("long_short_ratio")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("candle", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    unkept = [("open_interest", INVERSE), ("funding", DATED), ("liquidation", OPTION)]
    for kind, one in [*unkept, ("trade", DVOL), ("volatility_index", INVERSE)]:
        with pytest.raises(Unsupported, match="no history"):
            EXCHANGE.history(kind, one, 0, 1)


@pytest.mark.real
def test_recorded_messages_are_read_whole(real: Path) -> None:
    options = {
        "BTC-8JUN20-8750-P": "BTC/USD:BTC-200608-8750-P",
        "ETH-5JUN20-310-P": "ETH/USD:ETH-200605-310-P",
    }
    listings = [INVERSE, *(listing(name, "option", symbol) for name, symbol in options.items())]
    combinations = ("ticker.BTC-STRD-", "ticker.BTC-CSR12-")
    counted = 0
    path = real.parent / "raw_messages" / "frames" / "deribit.jsonl"
    for line in path.read_text().splitlines():
        message = json.loads(line)["message"]
        channel = message["params"]["channel"]
        if channel.startswith(("book.", *combinations)):
            continue  # changes of books, which are not subscribed to, and what has no symbol
        found = EXCHANGE.decoder(listings).read(json.dumps(message).encode(), RECEIVED)
        assert found
        assert all(isinstance(event, Event) for event in found)
        counted += 1
    assert counted >= 5
