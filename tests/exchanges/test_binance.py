"""Binance's own messages, each beside what it says, worked out by hand from its documentation."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.binance import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    OptionQuote,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_791_835_800_000 * MS
MINUTE, FIVE = 60_000, 300_000


def listing(native: str, category: str, symbol: str, size: str = "1", hours: float | None = None):
    return Listing(
        native=native,
        category=category,
        instrument=Instrument(exchange="binance", symbol=symbol, contract_size=Decimal(size)),
        interval_hours=hours,
    )


LINEAR = listing("BTCUSDT", "linear", "BTC/USDT:USDT", hours=8)
INVERSE = listing("BTCUSD_PERP", "inverse", "BTC/USD:BTC", "100", hours=8)
DATED = listing("BTCUSD_200925", "inverse", "BTC/USD:BTC-200925", "100")
SPOT = listing("BTCUSDT", "spot", "BTC/USDT")
BITCOIN = listing("BTC-251219-89000-C", "option", "BTC/USDT:USDT-251219-89000-C")
RIPPLE = listing("XRP-251219-2.05-P", "option", "XRP/USDT:USDT-251219-2.05-P", "100")
LISTINGS = [LINEAR, INVERSE, DATED, SPOT, BITCOIN, RIPPLE]


def read(message: object, request: Request | None = None, received: int = RECEIVED) -> list[Any]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, received, request)


def about(symbol: str, time: int) -> dict[str, Any]:
    return {"exchange": "binance", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def history(kind: str, one: Listing, days: int = 1) -> Request:
    return EXCHANGE.history(kind, one, RECEIVED - days * 86_400_000 * MS, RECEIVED)


def force(symbol: str = "BTCUSDT", **changed: object) -> dict[str, Any]:
    order = {
        "s": symbol,
        "S": "BUY",
        "o": "LIMIT",
        "f": "IOC",
        "q": "0.014",
        "p": "4793.91",
        "ap": "4706.04",
        "X": "FILLED",
        "l": "0.015",
        "z": "0.014",
        "T": 1584059031421,
    }
    data = {"e": "forceOrder", "E": 1584059031426, "o": order | changed}
    return {"stream": "!forceOrder@arr", "data": data}


def test_a_forced_purchase_liquidates_a_short() -> None:
    assert read(force()) == [
        Liquidation(
            **about("BTC/USDT:USDT", 1584059031421),
            side="short",
            price=4706.04,  # filled at, not p, the limit at bankruptcy
            amount=0.014,  # z, all that was filled, not l, the last fill
            value_usd=pytest.approx(65.88456),  # 4706.04 * 0.014
            price_kind="fill",
            completeness="throttled",
        )
    ]
    (found,) = read(force(S="SELL"))
    assert found.side == "long"


def test_contracts_of_coin_m_come_on_the_same_stream() -> None:
    (found,) = read(force("BTCUSD_200925", ps="BTCUSD", S="SELL", ap="9500", z="19", q="19"))
    assert (found.symbol, found.side, found.price) == ("BTC/USD:BTC-200925", "long", 9500)
    assert found.amount == pytest.approx(0.2)  # 19 contracts of 100 dollars, at 9500
    assert found.value_usd == pytest.approx(1900)


def aggregate(**changed: object) -> dict[str, Any]:
    data = {
        "e": "aggTrade",
        "E": 1568693103463,
        "a": 5933014,
        "s": "BTCUSDT",
        "p": "10223.74",
        "q": "0.236",
        "f": 181349,
        "l": 181349,
        "T": 1568693103463,
        "m": False,
    }
    return {"stream": "btcusdt@aggTrade", "data": data | changed}


def test_aggregates_of_a_future_and_of_spot_differ_by_one_field() -> None:
    common = {"id": 5933014, "price": 10223.74, "amount": 0.236, "grain": "aggregate"}
    assert read(aggregate()) == [
        Trade(**about("BTC/USDT:USDT", 1568693103463), side="buy", **common)
    ]
    assert read(aggregate(m=True, M=True)) == [
        Trade(**about("BTC/USDT", 1568693103463), side="sell", **common)
    ]
    (found,) = read(aggregate(s="BTCUSD_PERP", p="20000", q="50", st=2))
    assert (found.symbol, found.amount) == ("BTC/USD:BTC", 0.25)  # 50 * 100 dollars at 20000


def test_an_option_trade_is_made_one_of_coins() -> None:
    data = {
        "e": "trade",
        "E": 1765983420778,
        "T": 1765983420778,
        "s": "XRP-251219-2.05-P",
        "t": 200,
        "p": "19.5",
        "q": "1.5",
        "X": "MARKET",
        "S": "SELL",
        "m": True,
    }
    assert read({"stream": "xrpusdt@optionTrade", "data": data}) == [
        Trade(
            **about("XRP/USDT:USDT-251219-2.05-P", 1765983420778),
            id=200,
            side="sell",
            price=pytest.approx(0.195),  # a contract is of 100 coins
            amount=150,
            origin="screen",
        )
    ]
    (block,) = read({"stream": "xrpusdt@optionTrade", "data": {**data, "X": "BLOCK"}})
    assert block.origin == "block"
    unmarked = {name: value for name, value in data.items() if name != "X"}
    (unknown,) = read({"stream": "xrpusdt@optionTrade", "data": unmarked})
    assert unknown.origin is None
    with pytest.raises(UnreadableMessage):
        read({"stream": "xrpusdt@optionTrade", "data": {**data, "X": "OTHER"}})


def test_a_streamed_chain_has_all_but_open_interest_which_comes_apart() -> None:
    row = {
        "s": "XRP-251219-2.05-P",
        "mp": "19.0314",
        "E": 1765983420260,
        "e": "markPrice",
        "i": "1.96239445",
        "P": "0.0000",
        "bo": "18.5",
        "ao": "0.0000",
        "bq": "3.00",
        "aq": "0.00",
        "b": "2.5",
        "a": "-1.0",
        "vo": "2.6",
        "rf": "0.0",
        "d": "-0.56213899",
        "t": "-0.04023754",
        "g": "1.12832706",
        "v": "0.00052941",
    }
    unknown = {**row, "s": "XRP-301219-9-P"}
    assert read({"stream": "xrpusdt@optionMarkPrice", "data": [row, unknown]}) == [
        OptionQuote(
            **about("XRP/USDT:USDT-251219-2.05-P", 1765983420260),
            index_price=1.96239445,
            mark_price=pytest.approx(0.190314),
            bid_price=pytest.approx(0.185),
            bid_amount=300,
            ask_price=None,  # nobody asks
            ask_amount=0,
            bid_iv=2.5,
            mark_iv=2.6,
            delta=-0.56213899,
            theta=-0.04023754,
            gamma=1.12832706,
            vega=0.00052941,
        )
    ]
    held = {"e": "openInterest", "E": 1765983420500, "s": BITCOIN.native, "o": "123.45"}
    held["h"] = "11025678.90"
    assert read({"stream": "btcusdt@optionOpenInterest@251219", "data": [held]}) == [
        OptionQuote(
            **about("BTC/USDT:USDT-251219-89000-C", 1765983420500),
            open_interest=123.45,
            open_interest_usd=11_025_678.9,
        )
    ]


def test_a_polled_chain_is_made_of_three_answers() -> None:
    mark, ticker, held, _ = (one.request for one in EXCHANGE.polls("option_quote", LISTINGS))
    name, symbol = BITCOIN.native, BITCOIN.symbol
    received = 1_765_983_420_000 * MS
    stamped = {"exchange": "binance", "symbol": symbol, "received": received}
    row = {
        "symbol": name,
        "markPrice": "2012",
        "bidIV": "0.60236275",
        "askIV": "0",
        "markIV": "0.6125176",
        "delta": "0.39111646",
        "theta": "-32.13948531",
        "gamma": "0.00004656",
        "vega": "51.70062218",
    }
    assert read([row, {**row, "symbol": "NEW"}], mark, received) == [
        OptionQuote(
            **stamped,
            time=received,  # the answer bears no time
            mark_price=2012,
            bid_iv=0.60236275,
            mark_iv=0.6125176,
            delta=0.39111646,
            theta=-32.13948531,
            gamma=0.00004656,
            vega=51.70062218,
        )
    ]
    row = {
        "symbol": name,
        "lastPrice": "2750",
        "volume": "6.83",
        "amount": "201.44",
        "bidPrice": "4880",
        "askPrice": "0",
        "exercisePrice": "63944.09893617",
    }
    quote = {"bid_price": 4880, "last_price": 2750, "volume": 6.83, "volume_usd": 201.44}
    assert read([row], ticker, received) == [
        OptionQuote(**stamped, time=received, index_price=63944.09893617, **quote)
    ]
    late = 1_766_128_500_000 * MS  # 2025-12-19 07:15, when the settlement is estimated already
    (found,) = read([row], ticker, late)
    assert found.index_price is None
    assert held.query == {"underlyingAsset": "BTC", "expiration": "251219"}
    row = {"symbol": name, "sumOpenInterest": "4.01", "sumOpenInterestUsd": "4880.5"}
    assert read([row | {"timestamp": "1765983360000"}], held, received) == [
        OptionQuote(
            **stamped, time=1765983360000 * MS, open_interest=4.01, open_interest_usd=4880.5
        )
    ]


PREMIUM = {
    "symbol": "BTCUSDT",
    "markPrice": "45802.81129892",
    "indexPrice": "45745.47701915",
    "estimatedSettlePrice": "45133.91753671",
    "lastFundingRate": "0.00063521",
    "interestRate": "0.00010000",
    "nextFundingTime": 1621267200000,
    "time": 1621252344001,
}


def test_the_premium_index_has_marks_and_predicted_funding() -> None:
    stamp = about("BTC/USDT:USDT", 1621252344001)
    assert read([PREMIUM], poll("mark_price", LINEAR)) == [
        MarkPrice(**stamp, mark_price=45802.81129892, index_price=45745.47701915)
    ]
    assert read([PREMIUM], poll("funding", LINEAR)) == [
        Funding(
            **stamp,
            rate=0.00063521,
            interval_hours=8,
            status="predicted",
            settles=1621267200000 * MS,
        )
    ]


def test_what_is_unknown_unmarked_or_dated_is_passed_over() -> None:
    dated = {**PREMIUM, "symbol": "BTCUSD_200925", "lastFundingRate": "", "nextFundingTime": 0}
    new = {**PREMIUM, "symbol": "NEWUSD_PERP"}
    idle = {**PREMIUM, "symbol": "BTCUSD_PERP", "markPrice": "0.0"}
    assert read([dated, new], poll("funding", INVERSE)) == []
    (found,) = read([dated, idle], poll("mark_price", INVERSE))
    assert found.symbol == "BTC/USD:BTC-200925"


def test_open_interest_is_coins_or_contracts_of_dollars() -> None:
    now = {"symbol": "BTCUSDT", "openInterest": "10659.509", "time": 1589437530011}
    assert read(now, poll("open_interest", LINEAR)) == [
        OpenInterest(**about("BTC/USDT:USDT", 1589437530011), amount=10659.509)
    ]
    (found,) = read({**now, "openInterest": "26542436"}, poll("open_interest", INVERSE))
    assert (found.amount, found.value_usd) == (None, 2_654_243_600)
    row = {"sumOpenInterest": "20403.637", "sumOpenInterestValue": "150570784.0781"}
    stamp = about("BTC/USDT:USDT", 1583127900000)
    assert read([row | {"timestamp": "1583127900000"}], history("open_interest", LINEAR)) == [
        OpenInterest(**stamp, amount=20403.637, value_usd=150570784.0781)
    ]
    row = {"sumOpenInterest": "13069401", "sumOpenInterestValue": "15796.96988405"}
    (found,) = read([row | {"timestamp": 1791835200000}], history("open_interest", INVERSE))
    assert (found.amount, found.value_usd) == (15796.96988405, 1_306_940_100)


def test_settled_funding_is_known_when_it_settles() -> None:
    row = {"symbol": "BTCUSDT", "fundingRate": "-0.0375", "fundingTime": 1570608000000}
    time = 1570608000000
    assert read([row], history("funding", LINEAR)) == [
        Funding(**about("BTC/USDT:USDT", time), known_at=time * MS, rate=-0.0375)
    ]


def candle(time: int) -> list[Any]:
    # As documented for COIN-M, with 9640.7 as the lowest price for brevity.
    return [time, "9640.7", "9642.4", "9640.6", "9642.0", "206", time + 59_999, "2.13660389", 48,
            "119", "1.23424865", "0"]  # fmt: skip


def test_candles_have_taker_volume_and_are_told_when_over() -> None:
    now = RECEIVED // MS
    rows = [candle(now - 2 * MINUTE), candle(now - MINUTE + 1)]
    stamp, end = now - 2 * MINUTE, (now - MINUTE) * MS
    common = {"interval": 60, "open": 9640.7, "high": 9642.4, "low": 9640.6, "close": 9642.0}
    assert read(rows, poll("candle", LINEAR)) == [
        Candle(
            **about("BTC/USDT:USDT", stamp),
            known_at=end,
            **common,
            volume=206,
            quote_volume=2.13660389,
            trades=48,
            taker_buy_volume=119,
            taker_buy_quote_volume=1.23424865,
        )
    ]
    assert read(rows, poll("candle", INVERSE)) == [
        Candle(
            **about("BTC/USD:BTC", stamp),
            known_at=end,
            **common,
            volume=2.13660389,
            quote_volume=20_600,  # 206 contracts of 100 dollars
            trades=48,
            taker_buy_volume=1.23424865,
            taker_buy_quote_volume=11_900,
        )
    ]
    assert read(rows, poll("candle", SPOT))[0].symbol == "BTC/USDT"


def test_ratios_of_three_populations() -> None:
    requests = [one.request for one in EXCHANGE.polls("long_short_ratio", [LINEAR, INVERSE, DATED])]
    assert len(requests) == 6  # the dated contract has none of its own
    row = {"longShortRatio": "1.4342", "longAccount": "0.5891", "shortAccount": "0.4108"}
    row["timestamp"] = "1583139600000"
    stamp = about("BTC/USDT:USDT", 1583139600000)
    found = [event for request in requests[:3] for event in read([row], request)]
    assert found == [
        LongShortRatio(**stamp, population=population, ratio=1.4342, long_share=0.5891)
        for population in ("accounts", "top_accounts", "top_positions")
    ]
    assert requests[5].query["pair"] == "BTCUSD"
    row = {"pair": "BTCUSD", "longShortRatio": "0.7869", "longPosition": "0.4404"}
    (ratio,) = read([{**row, "timestamp": 1592870400000}], requests[5])
    assert (ratio.population, ratio.long_share) == ("top_positions", 0.4404)


def test_taker_volume_is_told_when_its_bucket_is_over() -> None:
    over = RECEIVED // MS - FIVE
    row = {"buySellRatio": "1.5586", "buyVol": "387.33", "sellVol": "248.503"}
    rows = [{**row, "timestamp": str(over)}, {**row, "timestamp": str(over + 1)}]
    assert read(rows, poll("taker_volume", LINEAR)) == [
        TakerVolume(
            **about("BTC/USDT:USDT", over),
            interval=300,
            buy_amount=387.33,
            sell_amount=248.503,
            ratio=pytest.approx(1.5586, abs=1e-4),  # 387.33 / 248.503
        )
    ]
    row = {"takerBuyVol": "387", "takerSellVol": "248", "timestamp": over}
    row |= {"takerBuyVolValue": "2342.5", "takerSellVolValue": "0"}
    (found,) = read([row], poll("taker_volume", INVERSE))
    assert (found.buy_amount, found.sell_amount, found.ratio) == (2342.5, 0, None)


TICK = {"filterType": "PRICE_FILTER", "minPrice": "1", "tickSize": "0.10"}
FUTURE = {
    "symbol": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "filters": [TICK],
}


def listed(kind: str, at: int, rows: list[object], *known: Listing) -> list[Any]:
    request = EXCHANGE.instruments()[at]
    payload = json.dumps({kind: rows} if kind else rows).encode()
    return EXCHANGE.decoder(known).read(payload, RECEIVED, request)


def test_listings_of_every_market() -> None:
    (found,) = listed(
        "symbols",
        0,
        [
            FUTURE,
            {**FUTURE, "status": "SETTLING"},
            {**FUTURE, "symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"},
            {**FUTURE, "symbol": "ABUSDT", "baseAsset": "A", "quoteAsset": "BUSDT"},
        ],
    )
    assert (found.native, found.category, found.symbol) == ("BTCUSDT", "linear", "BTC/USDT:USDT")
    assert (str(found.instrument.tick), found.interval_hours) == ("0.10", None)
    coin = {**FUTURE, "symbol": "BTCUSD_PERP", "quoteAsset": "USD", "contractSize": 100}
    (found,) = listed("symbols", 1, [{**coin, "contractStatus": "TRADING"}])
    assert (found.symbol, found.instrument.contract_size) == ("BTC/USD:BTC", 100)
    pair = {**FUTURE, "symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC", "filters": []}
    (found,) = listed("symbols", 2, [pair])
    assert (found.category, found.symbol, found.instrument.tick) == ("spot", "ETH/BTC", None)
    option = {"symbol": "DOGE-231006-0.06-C", "unit": 1000, "quoteAsset": "USDT"}
    option |= {"status": "TRADING", "underlying": "DOGEUSDT", "filters": [TICK]}
    (found,) = listed("optionSymbols", 3, [option])
    assert (found.symbol, found.instrument.contract_size) == ("DOGE/USDT:USDT-231006-0.06-C", 1000)
    assert found.instrument.tick == Decimal("0.0001")  # of one coin: 0.10 / 1000


def test_an_interval_is_unknown_until_told_and_eight_hours_when_left_out() -> None:
    other = listing("BLZUSDT", "linear", "BLZ/USDT:USDT")
    row = {"symbol": "BLZUSDT", "fundingIntervalHours": 4, "disclaimer": False}
    found = listed("", 4, [row], LINEAR, other, SPOT, INVERSE)
    assert [(one.native, one.interval_hours) for one in found] == [("BTCUSDT", 8), ("BLZUSDT", 4)]
    # The same decoder remembers what it read before, and keeps an interval when asked again.
    decoder = EXCHANGE.decoder()
    listings, intervals = EXCHANGE.instruments()[0], EXCHANGE.instruments()[4]
    payload = json.dumps({"symbols": [FUTURE]}).encode()
    assert decoder.read(payload, RECEIVED, listings)[0].interval_hours is None
    row = {"symbol": "BTCUSDT", "fundingIntervalHours": 4}
    assert decoder.read(json.dumps([row]).encode(), RECEIVED, intervals)[0].interval_hours == 4
    assert decoder.read(payload, RECEIVED, listings)[0].interval_hours == 4


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("trade", LISTINGS)
    assert [(channel.url, channel.topic) for channel in channels] == [
        ("wss://fstream.binance.com/market/stream", "btcusdt@aggTrade"),
        ("wss://dstream.binance.com/stream", "btcusd_perp@aggTrade"),
        ("wss://dstream.binance.com/stream", "btcusd_200925@aggTrade"),
        ("wss://stream.binance.com:9443/stream", "btcusdt@aggTrade"),
        ("wss://fstream.binance.com/public/stream", "btcusdt@optionTrade"),
        ("wss://fstream.binance.com/public/stream", "xrpusdt@optionTrade"),
    ]
    (all_of_them,) = EXCHANGE.channels("liquidation", LISTINGS)
    assert all_of_them.url == "wss://fstream.binance.com/market/stream"
    assert (all_of_them.topic, all_of_them.symbol) == ("!forceOrder@arr", None)
    assert EXCHANGE.channels("liquidation", [SPOT]) == []
    assert [channel.topic for channel in EXCHANGE.channels("option_quote", LISTINGS)] == [
        "btcusdt@optionMarkPrice",
        "xrpusdt@optionMarkPrice",
        "btcusdt@optionOpenInterest@251219",
        "xrpusdt@optionOpenInterest@251219",
    ]
    (frame,) = EXCHANGE.subscribe(channels[:1])
    sent = {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}
    assert json.loads(frame) == sent
    assert read({"result": None, "id": 1}) == [Acknowledged()]
    refused = {"code": 2, "msg": "Invalid request: too many parameters"}
    assert read(refused) == [Refused("", "code 2: Invalid request: too many parameters")]
    assert read({"error": refused, "id": 1}) == read(refused)


def page(rows: list[Any]) -> bytes:
    return json.dumps(rows).encode()


def test_candles_and_funding_are_paged_forwards() -> None:
    request = EXCHANGE.history("candle", LINEAR, 1_600_000_000_000 * MS, RECEIVED)
    assert request.query["startTime"] == "1600000000000"
    assert request.query["endTime"] == str(RECEIVED // MS - 1)  # until is not included
    rows = [[1_600_000_020_000 + MINUTE * n] for n in range(1000)]
    following = EXCHANGE.following(request, page(rows))
    assert following.query["startTime"] == "1600059960001"  # 1600000020000 + 999 minutes, and one
    assert EXCHANGE.following(following, page(rows[:10])) is None
    funding = EXCHANGE.history("funding", LINEAR, 0, RECEIVED)
    assert funding.limit == "binance-funding"
    settled = [{"fundingTime": 1_570_608_000_000 + n} for n in range(1000)]
    following = EXCHANGE.following(funding, page(settled))
    assert following.query["startTime"] == "1570608001000"
    settled = [{"fundingTime": RECEIVED // MS - 1}] * 1000
    assert EXCHANGE.following(funding, page(settled)) is None
    assert EXCHANGE.following(poll("candle", LINEAR), page(rows)) is None


def test_candles_of_coin_m_are_paged_backwards_until_there_are_none() -> None:
    request = history("candle", INVERSE)
    end = RECEIVED // MS - 1
    span = {"startTime": str(end - 1000 * MINUTE + 1), "endTime": str(end)}
    assert request.query | span == request.query
    following = EXCHANGE.following(request, page([candle(0)]))
    first = RECEIVED // MS - 86_400_000
    span = {"startTime": str(first), "endTime": str(end - 1000 * MINUTE)}
    assert following.query | span == following.query  # 440 minutes are left of the day
    assert EXCHANGE.following(following, page([candle(0)])) is None
    assert EXCHANGE.following(request, page([])) is None


def test_statistics_are_paged_backwards_for_thirty_days_and_every_population() -> None:
    request = EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)
    pages, last = 0, request
    while request is not None:
        pages, last = pages + 1, request
        request = EXCHANGE.following(request, page([]))
    assert pages == 18  # 719 hours of 12 buckets are 8,628, of 500 a page
    assert int(last.query["startTime"]) == RECEIVED // MS - 1 - 719 * 3_600_000
    request = history("long_short_ratio", INVERSE)
    paths = []
    while request is not None:
        paths.append(request.url.rpartition("/")[2])
        request = EXCHANGE.following(request, page([]))
    assert paths == [
        "globalLongShortAccountRatio",
        "topLongShortAccountRatio",
        "topLongShortPositionRatio",
    ]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[1]",
        b"{}",
        b"\xff\xfe",
        json.dumps(force()).encode()[:-9],
        {"result": ["btcusdt@aggTrade"], "id": 3},
        {"stream": "btcusdt@depth", "data": {"e": "depthUpdate"}},
        force("NOPE"),
        force(S="LONG"),
        force(z="NaN"),
        force(ap="0"),
        force(ap=None),
        force(T=17),
        aggregate(q="inf"),
        aggregate(p="0"),
        aggregate(M=True, s="BTCUSD_PERP"),
        aggregate(m=None),
        {"stream": "btcusdt@optionMarkPrice", "data": [{"s": BITCOIN.native, "e": "new"}]},
        # As it was told until 2025-12, with another form of side.
        {"stream": "x@trade", "data": {"e": "trade", "s": BITCOIN.native, "S": "-1", "t": "1"}},
    ],
)
def test_what_is_not_documented_is_unreadable(payload: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(payload)


def test_an_answer_lacking_a_field_is_unreadable_and_an_added_one_changes_nothing() -> None:
    request = poll("mark_price", LINEAR)
    assert read([{**PREMIUM, "new": {"a": 1}}], request) == read([PREMIUM], request)
    renamed = {("mark" if name == "markPrice" else name): PREMIUM[name] for name in PREMIUM}
    for wrong in ([renamed], [{**PREMIUM, "markPrice": "NaN"}], PREMIUM, [7]):
        with pytest.raises(UnreadableMessage):
            read(wrong, request)
    with pytest.raises(UnreadableMessage, match="code -1121: Invalid symbol"):
        read({"code": -1121, "msg": "Invalid symbol."}, request)
    with pytest.raises(UnreadableMessage, match="is not listed"):
        read([], poll("candle", listing("ETHUSDT", "linear", "ETH/USDT:USDT")))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="liquidation_total is not published"):
        EXCHANGE.offer("liquidation_total")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    for kind, one in (("trade", LINEAR), ("open_interest", DATED), ("candle", BITCOIN)):
        with pytest.raises(Unsupported, match="has no history"):
            EXCHANGE.history(kind, one, 0, 1)


SERVED = {"aggTrade", "forceOrder", "optionTrade", "optionMarkPrice", "optionOpenInterest"}
# Books, tickers and marks that are not subscribed to, and the names of options until 2025-12.
PASSED = {
    "bookTicker",
    "depth",
    "depth100",
    "depth20",
    "depthSnapshot",
    "indexPrice",
    "markPrice",
    "openInterest",
    "ticker",
    "trade",
}


def lacks_number(data: Any) -> bool:
    """Whether it is an aggregate of 2019, recorded without a number of its own."""
    return isinstance(data, dict) and data["e"] == "aggTrade" and "a" not in data


@pytest.mark.real
def test_recorded_frames_are_read(real: Path) -> None:
    more = [listing("BTC-251218-89000-P", "option", "BTC/USDT:USDT-251218-89000-P")]
    decoder, found = EXCHANGE.decoder([*LISTINGS, *more]), []
    frames = real.parent / "raw_messages" / "frames"
    for path in sorted(frames.glob("binance*.jsonl")):
        for line in path.read_text().splitlines():
            message = json.loads(line)["message"]
            name = message.get("stream", "").split("@")[1:2]
            if name and (name[0] in PASSED or lacks_number(message["data"])):
                continue
            events = decoder.read(json.dumps(message).encode(), RECEIVED)
            assert events
            if name:
                assert name[0] in SERVED
                found += events
            else:
                assert events == [Acknowledged()]
    assert all(isinstance(event, Event) for event in found)
    kinds = [type(event).__name__ for event in found]
    assert sorted(set(kinds)) == ["Liquidation", "OptionQuote", "Trade"]


@pytest.mark.real
def test_recorded_answers_are_read(real: Path) -> None:
    samples = real.parent / "raw_messages/adapter_samples/tests/integration_tests/adapters/binance"
    ratios = [one.request for one in EXCHANGE.polls("long_short_ratio", [LINEAR])]
    requests = {
        "futures_market_exchange_info": EXCHANGE.instruments()[0],
        "spot_market_exchange_info": EXCHANGE.instruments()[2],
        "futures_market_open_interest": poll("open_interest", LINEAR),
        "futures_market_open_interest_historical": history("open_interest", LINEAR),
        "futures_market_funding_rate": history("funding", LINEAR),
        "futures_market_klines": poll("candle", LINEAR),
        "spot_market_klines": poll("candle", SPOT),
        "futures_market_global_long_short_account_ratio": ratios[0],
        "futures_market_top_long_short_account_ratio": ratios[1],
        "futures_market_top_long_short_position_ratio": ratios[2],
        "futures_market_taker_long_short_ratio": poll("taker_volume", LINEAR),
    }
    for name, request in requests.items():
        payload = (samples / f"resources/http_responses/http_{name}.json").read_bytes()
        assert EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request), name
    answers = samples / "resources/http_responses"
    payload = (answers / "http_futures_market_premium_index.json").read_bytes()
    for kind in ("mark_price", "funding"):
        assert read(b"[" + payload + b"]", poll(kind, LINEAR))  # recorded when one is asked for
    payload = (samples / "resources/ws_messages/ws_spot_agg_trade.json").read_bytes()
    ether = listing("ETHUSDT", "spot", "ETH/USDT")
    (trade,) = EXCHANGE.decoder([ether]).read(payload, RECEIVED)
    assert (trade.id, trade.side, trade.price, trade.amount) == (226532, "buy", 1632.46, 0.34305)
