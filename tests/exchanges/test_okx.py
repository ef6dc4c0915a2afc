"""OKX's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.okx import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
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
RECEIVED = 1_790_551_000_000 * MS


def listing(native: str, category: str, symbol: str, size: str = "1") -> Listing:
    instrument = Instrument(exchange="okx", symbol=symbol, contract_size=Decimal(size))
    return Listing(native=native, category=category, instrument=instrument)


LISTINGS = [
    listing("BTC-USDT-SWAP", "SWAP", "BTC/USDT:USDT", "0.01"),
    listing("BTC-USD-SWAP", "SWAP", "BTC/USD:BTC", "100"),
    listing("XRP-USD-230929", "FUTURES", "XRP/USD:XRP-230929", "10"),
    listing("ETH-USD-211231-9600-C", "OPTION", "ETH/USD:ETH-211231-9600-C", "0.1"),
    listing("BSV-USDT", "SPOT", "BSV/USDT"),
    listing("BTC-USD-230224-18000-C", "OPTION", "BTC/USD:BTC-230224-18000-C", "0.01"),
    listing("BTC-USD-211224-56000-C", "OPTION", "BTC/USD:BTC-211224-56000-C", "0.01"),
]
LINEAR, INVERSE, DATED, OPTION, SPOT, _, OLD = LISTINGS


def read(message: object, request: Request | None = None, received: int = RECEIVED) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, received, request)


def answer(*rows: object) -> dict[str, object]:
    return {"code": "0", "msg": "", "data": list(rows)}


def encoded(*rows: object) -> bytes:
    return json.dumps(answer(*rows)).encode()


def poll(kind: str, *listings: Listing, path: str = "") -> Request:
    polls = EXCHANGE.polls(kind, list(listings))
    return next(one.request for one in polls if one.request.url.endswith(path))


def about(symbol: str = "BTC/USDT:USDT", time: int = 1_664_005_108_969) -> dict[str, object]:
    return {"exchange": "okx", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def forced(**changed: object) -> dict[str, object]:
    return {
        "bkLoss": "0",
        "bkPx": "0.55205",
        "ccy": "",
        "posSide": "short",
        "side": "buy",
        "sz": "39",
        "ts": "1680173247614",
        **changed,
    }


def liquidations(native: str, *details: dict[str, object]) -> dict[str, object]:
    row = {"details": list(details), "instId": native, "instType": "SWAP", "uly": "?"}
    return {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [row]}


def test_a_forced_purchase_liquidates_a_short_and_inverse_contracts_are_dollars() -> None:
    # Recorded 2023-03-30: 39 contracts of 10 dollars are 390 dollars, at 0.55205 706.4577 XRP.
    assert read(liquidations("XRP-USD-230929", forced())) == [
        Liquidation(
            **about("XRP/USD:XRP-230929", 1680173247614),
            side="short",
            price=0.55205,
            amount=pytest.approx(706.4577484),
            value_usd=pytest.approx(390),
            price_kind="bankruptcy",
            completeness="throttled",
        )
    ]


def test_every_detail_is_read_and_linear_contracts_are_coins() -> None:
    sale = forced(side="sell", posSide="long", sz="13", bkPx="50000")
    purchase = forced(side="buy", posSide="net", sz="500", bkPx="40000", ts="1680173247615")
    found = read(liquidations("BTC-USDT-SWAP", sale, purchase))
    # 13 × 0.01 = 0.13 coins, × 50,000 = 6,500; 500 × 0.01 = 5 coins, × 40,000 = 200,000.
    assert [(e.side, e.amount, e.value_usd) for e in found] == [
        ("long", pytest.approx(0.13), pytest.approx(6_500)),
        ("short", pytest.approx(5), pytest.approx(200_000)),
    ]
    inverse = forced(side="sell", posSide="long", sz="13", bkPx="50000")
    (event,) = read(liquidations("BTC-USD-SWAP", inverse))
    # 13 × 100 dollars = 1,300 dollars, / 50,000 = 0.026 coins.
    assert (event.side, event.amount, event.value_usd) == (
        "long",
        pytest.approx(0.026),
        pytest.approx(1_300),
    )


def test_liquidations_of_the_past_have_the_same_form() -> None:
    request = EXCHANGE.history("liquidation", LINEAR, 1_680_000_000_000 * MS, RECEIVED)
    assert request.query == {
        "instType": "SWAP",
        "uly": "BTC-USDT",
        "state": "filled",
        "before": "1679999999999",
        "after": str(RECEIVED // MS),
        "limit": "100",
    }
    data = liquidations("BTC-USDT-SWAP", forced(bkPx="50000"))["data"]
    new = liquidations("NEW-USDT-SWAP", forced())["data"]
    (event,) = read(answer(*data, *new), request)
    assert (event.side, event.amount) == ("short", pytest.approx(0.39))
    following = EXCHANGE.following(request, encoded(*data))
    assert following.query["after"] == "1680173247614"
    assert EXCHANGE.following(following, encoded()) is None


def trade(native: str, **changed: object) -> dict[str, object]:
    row = {
        "instId": native,
        "tradeId": "84834539",
        "px": "42.52",
        "sz": "3.75",
        "side": "buy",
        "ts": "1697760012017",
    }
    return {"arg": {"channel": "trades-all", "instId": native}, "data": [row | changed]}


def test_a_trade_names_the_taker_and_its_size_is_in_contracts_but_spot() -> None:
    # Recorded 2023-10-20, on spot.
    assert read(trade("BSV-USDT")) == [
        Trade(
            **about("BSV/USDT", 1697760012017),
            id=84834539,
            side="buy",
            price=42.52,
            amount=3.75,
        )
    ]
    (linear,) = read(trade("BTC-USDT-SWAP", px="30000", sz="25", side="sell"))
    assert (linear.side, linear.amount) == ("sell", 0.25)  # 25 × 0.01
    (inverse,) = read(trade("BTC-USD-SWAP", px="25000", sz="5"))
    assert inverse.amount == 0.02  # 5 × 100 / 25,000
    with pytest.raises(UnreadableMessage, match="not listed"):  # its price is in coin
        read(trade("ETH-USD-211231-9600-C"))


def test_a_trade_of_an_option_is_in_coins_and_comes_for_a_family() -> None:
    # The example of https://www.okx.com/docs-v5/en/, "WS / Option trades channel"; a contract of
    # BTC-USD is `ctVal` 1 × `ctMult` 0.01 coins.
    arg = {"channel": "option-trades", "instType": "OPTION", "instFamily": "BTC-USD"}
    row = {
        "fillVol": "0.5066007836914062",
        "fwdPx": "16469.69928595038",
        "idxPx": "16537.2",
        "instFamily": "BTC-USD",
        "instId": "BTC-USD-230224-18000-C",
        "markPx": "0.04690107010619562",
        "optType": "C",
        "px": "0.045",
        "side": "sell",
        "sz": "2",
        "tradeId": "38",
        "ts": "1672286551080",
    }
    assert read({"arg": arg, "data": [row]}) == [
        Trade(
            **about("BTC/USD:BTC-230224-18000-C", 1672286551080),
            id=38,
            side="sell",
            price=0.045,
            amount=0.02,  # 2 × 0.01
            origin=None,  # whether blocks are among them is not told
        )
    ]
    new = {**row, "instId": "BTC-USD-230224-19000-C"}  # listed since we last asked
    assert read({"arg": arg, "data": [new]}) == []
    for name in ("BTC-USDT-SWAP", "BTC-USD-230224"):
        with pytest.raises(UnreadableMessage):
            read({"arg": arg, "data": [{**row, "instId": name}]})


def test_past_trades_of_an_option_are_paged_backwards_and_none_is_passed_over() -> None:
    request = EXCHANGE.history("trade", OLD, 1_640_001_000_000 * MS, 1_640_002_000_000 * MS)
    assert request.url == "https://www.okx.com/api/v5/market/history-trades"
    page = {"instId": "BTC-USD-211224-56000-C", "type": "2", "limit": "100"}
    assert request.query == {**page, "after": "1640002000000"}
    # Recorded 2021-12-20 of the channel `trades`, whose rows are those of history.
    row = {"instId": "BTC-USD-211224-56000-C", "tradeId": "376", "px": "0.0005", "sz": "1"}
    row |= {"side": "buy", "ts": "1640001607045"}
    assert read(answer(row), request) == [
        Trade(
            **about("BTC/USD:BTC-211224-56000-C", 1640001607045),
            id=376,
            side="buy",
            price=0.0005,
            amount=0.01,  # of a contract
        )
    ]
    rows = [{**row, "tradeId": str(n), "ts": str(1640001607045 + n // 2)} for n in range(100)]
    older = EXCHANGE.following(request, encoded(*rows))
    assert older is not None
    # The other trade of the oldest millisecond may be on the next page: it is asked for again.
    assert older.query == {**page, "after": "1640001607046"}
    moment = [{**row, "tradeId": str(n)} for n in range(100)]
    past = EXCHANGE.following(older, encoded(*moment))  # a page of one moment does not stop it
    assert past is not None
    assert past.query["after"] == "1640001607045"
    assert EXCHANGE.following(past, encoded(*moment[:99])) is None
    before = [{**one, "ts": "1640000999999"} for one in moment]
    assert EXCHANGE.following(past, encoded(*before)) is None
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("trade", LINEAR, 0, RECEIVED)


def test_open_interest_is_told_in_coins() -> None:
    row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "oi": "2125419", "oiCcy": "21254.19"}
    row |= {"ts": "1664005108969"}
    new = row | {"instId": "NEW-USDT-SWAP"}
    assert read(
        answer(row, row | {"oiUsd": "404000000.5"}, new), poll("open_interest", LINEAR)
    ) == [
        OpenInterest(**about(), amount=21254.19),
        OpenInterest(**about(), amount=21254.19, value_usd=404000000.5),
    ]
    past = ["1790550000000", "2800476.45", "28006.5419", "2360916466.88"]
    request = EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)
    assert read(answer(past), request) == [
        OpenInterest(**about(time=1790550000000), amount=28006.5419, value_usd=2360916466.88)
    ]


def test_a_mark_price() -> None:
    row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "markPx": "84660.1"}
    request = poll("mark_price", DATED, LINEAR)
    assert request.query == {"instType": "FUTURES"}
    assert read(answer(row | {"ts": "1664005108969"}), poll("mark_price", LINEAR)) == [
        MarkPrice(**about(), mark_price=84660.1)
    ]


FUNDING = {
    # Recorded 2026-08-04, on another instrument.
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "fundingRate": "-0.0004270396398519",
    "fundingTime": "1785888000000",
    "method": "current_period",
    "nextFundingRate": "",
    "nextFundingTime": "1785916800000",
    "premium": "-0.0008949500017283",
    "prevFundingTime": "1785873600000",
    "settFundingRate": "-0.0001996513270201",
    "settState": "settled",
    "ts": "1785870855692",
}


def test_funding_is_predicted_for_the_span_that_is_being_settled() -> None:
    request = poll("funding", LINEAR)
    assert request.query == {"instId": "ANY"}
    expected = {
        **about(time=1785870855692),
        "rate": -0.0004270396398519,
        "status": "predicted",
        "premium": -0.0008949500017283,
        "settles": 1785888000000 * MS,
    }
    # 1785888000 − 1785873600 = 14,400 seconds; the next span is 28,800.
    assert read(answer(FUNDING), request) == [Funding(**expected, interval_hours=4)]
    for unknown in ({"prevFundingTime": ""}, {"prevFundingTime": "0"}):
        assert read(answer(FUNDING | unknown), request) == [Funding(**expected, interval_hours=8)]
    assert EXCHANGE.polls("funding", [DATED, OPTION, SPOT]) == []


def test_settled_funding_is_the_rate_realized() -> None:
    row = {
        "instType": "SWAP",
        "instId": "BTC-USDT-SWAP",
        "fundingRate": "0.018",
        "realizedRate": "0.017",
        "fundingTime": "1597026383085",
    }
    request = EXCHANGE.history("funding", LINEAR, 0, RECEIVED)
    time = 1597026383085
    assert read(answer(row), request) == [
        Funding(**about(time=time), known_at=time * MS, rate=0.017)
    ]


def test_a_candle_is_told_when_it_is_over() -> None:
    over = ["1678928700000", "24324.1", "24347.6", "24321.7", "24341.4", "2565", "10.5401"]
    running = [["1678928760000", *over[1:], "256500", "0"], ["1790550990000", *over[1:], "9", "1"]]
    expected = Candle(
        **about("BTC/USD:BTC", 1678928700000),
        known_at=1678928760000 * MS,
        interval=60,
        open=24324.1,
        high=24347.6,
        low=24321.7,
        close=24341.4,
        volume=10.5401,
        quote_volume=256500,  # 2,565 contracts of 100 dollars
    )
    rows = [*running, [*over, "256500", "1"]]
    for request in (poll("candle", INVERSE), EXCHANGE.history("candle", INVERSE, 0, RECEIVED)):
        assert read(answer(*rows), request) == [expected]


def test_three_populations_stand_long_for_each_short() -> None:
    requests = [one.request for one in EXCHANGE.polls("long_short_ratio", LISTINGS[:1])]
    found = [read(answer(["1729323600000", "0.9398"]), request)[0] for request in requests]
    populations = ("accounts", "top_accounts", "top_positions")
    assert found == [
        LongShortRatio(**about(time=1729323600000), population=population, ratio=0.9398)
        for population in populations
    ]


def test_taker_volume_names_sales_first_and_passes_over_the_running_bucket() -> None:
    rows = [
        ["1790550900000", "1", "1"],
        ["1790550600000", "200", "500"],
        ["1790550300000", "0", "1"],
    ]
    request = poll("taker_volume", LINEAR)
    assert request.query["unit"] == "0"
    expected = [
        TakerVolume(
            **about(time=1790550600000), interval=300, buy_amount=500, sell_amount=200, ratio=2.5
        ),
        TakerVolume(**about(time=1790550300000), interval=300, buy_amount=1, sell_amount=0),
    ]
    assert read(answer(*rows), request) == expected


def test_an_option_has_volatilities_and_greeks_in_dollars() -> None:
    row = {
        "askVol": "0",
        "bidVol": "",
        "delta": "0.5105464486882039",
        "deltaBS": "0.7325502184143025",
        "fwdPx": "37675.80158694987186",
        "gamma": "-0.13183515090501083",
        "gammaBS": "0.000024139685826358558",
        "instId": "ETH-USD-211231-9600-C",
        "markVol": "0.5916253554539876",
        "theta": "-0.0004202992014012855",
        "thetaBS": "-18.52354631567909",
        "ts": "1664005108969",
        "vega": "0.0020207455080045846",
        "vegaBS": "",
    }
    request = poll("option_quote", OPTION, path="opt-summary")
    assert request.query["instFamily"] == "ETH-USD"
    assert read(answer(row, row | {"instId": "NEW"}), request) == [
        OptionQuote(
            **about("ETH/USD:ETH-211231-9600-C"),
            underlying_price=37675.80158694987,
            mark_iv=0.5916253554539876,
            delta=0.7325502184143025,
            gamma=0.000024139685826358558,
            theta=-18.52354631567909,
        )
    ]


def test_an_option_has_quotes_in_coin_and_sizes_of_a_tenth() -> None:
    # Recorded 2021-12-20 and 2021-12-22: 36 contracts of 0.1 ETH.
    symbol = "ETH/USD:ETH-211231-9600-C"
    row = {
        "instType": "OPTION",
        "instId": "ETH-USD-211231-9600-C",
        "last": "0.006",
        "askPx": "0.0005",
        "askSz": "111",
        "bidPx": "",
        "bidSz": "",
        "volCcy24h": "0",
        "vol24h": "20",
        "ts": "1640001603301",
    }
    assert read(answer(row), poll("option_quote", OPTION, path="tickers")) == [
        OptionQuote(
            **about(symbol, 1640001603301),
            last_price=0.006,
            ask_price=0.0005,
            ask_amount=pytest.approx(11.1),
            volume=2,
        )
    ]
    row = {"instId": "ETH-USD-211231-9600-C", "instType": "OPTION", "oi": "36", "oiCcy": "3.6"}
    row |= {"oiUsd": "3.6", "ts": "1640183217591"}
    assert read(answer(row), poll("option_quote", OPTION, path="open-interest")) == [
        OptionQuote(**about(symbol, 1640183217591), open_interest=3.6)
    ]


def instrument(native: str, **changed: object) -> dict[str, object]:
    row = {"ctVal": "0.1", "ctMult": "1", "ctValCcy": "ETH", "ctType": "linear", "tickSz": "0.01"}
    return {"instId": native, **row, **changed}


def test_instruments_and_the_size_of_their_contracts() -> None:
    requests = {one.query["instType"]: one for one in EXCHANGE.instruments()}
    assert list(requests) == ["OPTION", "SWAP", "FUTURES", "SPOT"]
    inverse = {"ctVal": "100", "ctValCcy": "USD", "ctType": "inverse"}
    option = {"ctVal": "1", "ctMult": "0.01", "ctValCcy": "BTC", "ctType": ""}
    spot = {"ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": "", "tickSz": ""}
    expected = {
        "SWAP": [("ETH-USDT-SWAP", {}, "ETH/USDT:USDT", "0.1")],
        "FUTURES": [("BTC-USD-241220", inverse, "BTC/USD:BTC-241220", "100")],
        "OPTION": [("BTC-USD-241217-92000-C", option, "BTC/USD:BTC-241217-92000-C", "0.01")],
        "SPOT": [("ETH-USDT", spot, "ETH/USDT", "1")],
    }
    for category, [(name, changed, symbol, size)] in expected.items():
        (found,) = read(answer(instrument(name, **changed)), requests[category])
        assert (found.native, found.category, found.symbol) == (name, category, symbol)
        assert found.instrument.contract_size == Decimal(size)
    (swap,) = read(answer(instrument("ETH-USDT-SWAP")), requests["SWAP"])
    assert swap.instrument.tick == Decimal("0.01")
    # An X-Perp has no unified name; one is not open yet; one counts in what we do not expect.
    others = [
        instrument("BTC-USD_UM_XPERP-310404", **inverse),
        instrument("ETH-USDT-SWAP", ctVal=""),
        instrument("ETH-USDT-SWAP", ctValCcy="USDT"),
    ]
    assert read(answer(*others), requests["SWAP"]) == []


def test_subscriptions_are_made_and_answered() -> None:
    forced, sold = EXCHANGE.channels("liquidation", LISTINGS), EXCHANGE.channels("trade", LISTINGS)
    topics = ["liquidation-orders:FUTURES", "liquidation-orders:SWAP"]
    assert [channel.topic for channel in forced] == topics
    assert [channel.symbol for channel in forced] == [None, None]
    assert forced[0].url == "wss://ws.okx.com:8443/ws/v5/public"
    assert sold[0].url == "wss://ws.okx.com:8443/ws/v5/business"
    futures = [one.native for one in LISTINGS if one.category != "OPTION"]
    assert [channel.topic.partition(":")[2] for channel in sold] == [*futures, "BTC-USD", "ETH-USD"]
    assert sold[-1].url == "wss://ws.okx.com:8443/ws/v5/public"
    assert sold[-1].symbol is None
    args = [
        {"channel": "liquidation-orders", "instType": "SWAP"},
        {"channel": "trades-all", "instId": "BTC-USDT-SWAP"},
        {"channel": "option-trades", "instType": "OPTION", "instFamily": "ETH-USD"},
    ]
    (frame,) = EXCHANGE.subscribe([forced[1], sold[0], sold[-1]])
    assert json.loads(frame) == {"op": "subscribe", "args": args}
    assert [read({"event": "subscribe", "arg": arg, "connId": "a4d3ae55"}) for arg in args] == [
        [Acknowledged(("liquidation-orders:SWAP",))],
        [Acknowledged(("trades-all:BTC-USDT-SWAP",))],
        [Acknowledged(("option-trades:ETH-USD",))],
    ]
    assert [len(json.loads(part)["args"]) for part in EXCHANGE.subscribe(sold * 30)] == [100, 80]


def test_a_refusal_tells_its_topic_and_a_notice_is_no_data() -> None:
    message = "Wrong URL or channel:trades-all,instId:X-USDT-SWAP doesn't exist. Please use the "
    refused = {"event": "error", "code": "60018", "msg": message, "connId": "a4d3ae55"}
    assert read(refused) == [Refused("trades-all:X-USDT-SWAP", f"60018 {message}")]
    message = "Wrong URL or channel:option-trades,instType:OPTION,instFamily:X-USD doesn't exist."
    assert read({**refused, "msg": message}) == [Refused("option-trades:X-USD", f"60018 {message}")]
    assert read({"event": "error", "code": "60012", "msg": "Invalid request"}) == [
        Refused("", "60012 Invalid request")
    ]
    assert read(b"pong") == []
    assert read({"event": "notice", "code": "64008", "msg": "will soon be closed"}) == []


@pytest.mark.parametrize(
    ("kind", "older", "row"),
    [
        ("funding", "after", {"fundingTime": "1672041600000", "realizedRate": "0"}),
        ("candle", "after", ["1672041600000"]),
        ("open_interest", "end", ["1672041600000"]),
        ("taker_volume", "end", ["1672041600000"]),
    ],
)
def test_history_goes_on_until_there_is_no_more(kind: str, older: str, row: object) -> None:
    since = 1_672_041_600_000
    request = EXCHANGE.history(kind, LINEAR, (since - 1) * MS, RECEIVED)
    assert request.query[older] == str(RECEIVED // MS)  # both ends are exclusive
    assert {"before": since - 2, "begin": since - 2}.items() & {
        (name, int(request.query.get(name, 0))) for name in ("before", "begin")
    }
    following = EXCHANGE.following(request, encoded(row))
    assert following.query == request.query | {older: str(since)}
    assert EXCHANGE.following(following, encoded()) is None
    reached = EXCHANGE.history(kind, LINEAR, since * MS, RECEIVED)
    assert EXCHANGE.following(reached, encoded(row)) is None


def test_history_of_ratios_goes_on_with_the_next_population() -> None:
    request = EXCHANGE.history("long_short_ratio", LINEAR, 0, RECEIVED)
    full = [[str(1_790_000_000_000 - n), "1"] for n in range(100)]
    page = EXCHANGE.following(request, encoded(*full))
    assert (page.url, page.query["end"]) == (request.url, "1789999999901")
    asked = [request]
    while (page := EXCHANGE.following(page, encoded(full[0]))) is not None:
        asked.append(page)
        assert page.query == request.query
    assert [read(answer(full[0]), one)[0].population for one in asked] == [
        "accounts",
        "top_accounts",
        "top_positions",
    ]
    assert EXCHANGE.following(request, encoded()) is None


def broken(**changed: object) -> bytes:
    return json.dumps(liquidations("BTC-USDT-SWAP", forced(**changed))).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"ping",
        b"\xff\xfe",
        b"{}",
        b'{"event":"login"}',
        b'{"arg":{"channel":"trades-all","instId":"BTC-USDT-SWAP"}}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"data":[]}',
        json.dumps(liquidations("NOPE-USDT-SWAP", forced())).encode(),
        broken()[:-9],
        broken().replace(b"bkPx", b"price"),
        broken().replace(b"details", b"orders"),
        broken(side="long"),
        broken(posSide="long"),  # a purchase cannot close it
        broken(posSide="both"),
        broken(sz="NaN"),
        broken(sz="0"),
        broken(bkPx="0"),
        broken(bkPx="inf"),
        broken(bkPx=""),
        broken(ts="17"),
        json.dumps(trade("BTC-USDT-SWAP", tradeId="x")).encode(),
        json.dumps(trade("BTC-USDT-SWAP", side="BUY")).encode(),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("funding", {name: text for name, text in FUNDING.items() if name != "ts"}),
        ("funding", FUNDING | {"fundingRate": ""}),
        ("funding", FUNDING | {"prevFundingTime": FUNDING["nextFundingTime"]}),
        ("mark_price", {"instId": "BTC-USDT-SWAP", "markPx": "0", "ts": "1664005108969"}),
        ("open_interest", {"instId": "BTC-USDT-SWAP", "oi": "1", "ts": "1664005108969"}),
        ("candle", ["1678928700000", "1", "1", "1", "1", "1", "1", "1", "2"]),
        ("candle", ["1678928700000", "1", "1", "1", "NaN", "1", "1", "1", "1"]),
        ("taker_volume", ["1678928700000", "1"]),
    ],
)
def test_an_answer_of_another_form_is_unreadable(kind: str, row: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(answer(row), poll(kind, LINEAR))


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    added = forced(new={"a": 1}, bkPx="50000")
    assert read(liquidations("BTC-USDT-SWAP", added))
    assert read(answer(FUNDING | {"new": 1}), poll("funding", LINEAR))
    with pytest.raises(UnreadableMessage, match="code 50011: Too Many Requests"):
        read({"code": "50011", "msg": "Too Many Requests", "data": []}, poll("candle", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="volatility_index is not published"):
        EXCHANGE.offer("volatility_index")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("trade", LINEAR, 0, 1)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("candle", OPTION, 0, 1)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)


def test_every_request_counts_against_a_limit_that_is_named() -> None:
    polled = (kind for kind, offer in EXCHANGE.offers.items() if offer.poll)
    polls = [one.request for kind in polled for one in EXCHANGE.polls(kind, LISTINGS)]
    past = (kind for kind, offer in EXCHANGE.offers.items() if offer.history)
    of = {"trade": OLD}
    asked = [EXCHANGE.history(kind, of.get(kind, LINEAR), 0, RECEIVED) for kind in past]
    used = {request.limit for request in [*polls, *asked, *EXCHANGE.instruments()]}
    assert used | {one.limit for one in asked} == {limit.name for limit in EXCHANGE.limits}


PASSED_OVER = {"books-l2-tbt", "bbo-tbt", "price-limit", "trades"}
"""Channels of the fifth API that we do not subscribe to, and whose rows no answer shares."""
SHARED = {"mark-price": "mark_price", "funding-rate": "funding"}
"""Channels whose rows are those of answers that we ask for."""


def recorded(message: dict[str, object]) -> Request | None:
    """Return which answer a recorded row belongs in, or None if it is of our channels."""
    channel, row = message["arg"]["channel"], message["data"][0]
    if row.get("instType") == "OPTION":
        return poll("option_quote", OPTION, path=channel)
    if channel in SHARED:
        return poll(SHARED[channel], DATED if row["instType"] == "FUTURES" else LINEAR, LINEAR)
    return None


@pytest.mark.real
def test_recorded_messages_are_read(real: Path) -> None:
    seen: dict[str, int] = {}
    for path in sorted((real.parent / "raw_messages" / "frames").glob("okex*.jsonl")):
        for line in path.read_text().splitlines():
            message = json.loads(line)["message"]
            if "table" in message or message["arg"].get("generated"):
                continue  # the third API, closed in 2022; and what the recorder made up
            channel, row = message["arg"]["channel"], message["data"][0]
            spot_ticker = channel == "tickers" and row["instType"] != "OPTION"
            if channel in PASSED_OVER or spot_ticker:
                continue
            if channel == "funding-rate" and "ts" not in row:
                continue  # the form of 2021
            request, listed = recorded(message), LISTINGS
            if request is not None:
                # Recorded on an instrument we do not name here, so that it is given another's.
                names = {"OPTION": OPTION, "FUTURES": LINEAR}
                one = names.get(row["instType"], LINEAR)
                category = request.about["category"]
                listed = [
                    Listing(native=row["instId"], category=category, instrument=one.instrument)
                ]
                message = answer(*message["data"])
            events = EXCHANGE.decoder(listed).read(json.dumps(message).encode(), RECEIVED, request)
            assert events
            assert all(event.exchange == "okx" for event in events)
            seen[channel] = seen.get(channel, 0) + 1
    assert seen == {
        "funding-rate": 1,
        "liquidation-orders": 1,
        "mark-price": 3,
        "open-interest": 1,
        "tickers": 1,
        "trades-all": 1,
    }


@pytest.mark.real
def test_recorded_answers_are_read(real: Path) -> None:
    samples = real.parent / "raw_messages" / "adapter_samples" / "crates" / "adapters" / "okx"

    def sample(name: str, request: Request) -> list[object]:
        return read((samples / "test_data" / f"http_get_{name}.json").read_bytes(), request)

    requests = {one.query["instType"]: one for one in EXCHANGE.instruments()}
    for category, request in requests.items():
        listings = sample(f"instruments_{category.lower()}", request)
        assert listings
        assert {one.category for one in listings} == {category}
    swaps = {one.native: one for one in sample("instruments_swap", requests["SWAP"])}
    assert swaps["BTC-USDT-SWAP"].instrument.contract_size == Decimal("0.01")
    candles = sample("candlesticks_full", poll("candle", LINEAR))
    assert [(one.close, one.volume) for one in candles] == [
        (102820.4, 10.4037),
        (102806.1, 71.6404),
    ]
    settled = sample("funding_rate_history", EXCHANGE.history("funding", LINEAR, 0, RECEIVED))
    assert [one.rate for one in settled] == [0.00015, -0.00002]
    assert sample("mark_price", poll("mark_price", LINEAR))
