"""Kraken's own messages, each beside what it says, worked out by hand."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.kraken import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market import native
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
SECOND = 1000 * MS
RECEIVED = 1_763_339_678_000 * MS
EIGHT = 1_752_220_800  # 2025-07-11 08:00 UTC, in seconds


def listing(name: str) -> Listing:
    linear = name.startswith(("PF_", "FF_"))
    instrument = Instrument(exchange="kraken", symbol=native.unified("kraken", name))
    return Listing(
        native=name,
        category="flexible_futures" if linear else "futures_inverse",
        instrument=instrument,
        interval_hours=1,
    )


LISTINGS = [
    listing(name)
    for name in ("PF_XBTUSD", "PI_XBTUSD", "PI_XRPUSD", "PF_ETHUSD", "FI_XBTUSD_190927")
]
LINEAR, INVERSE, *_ = LISTINGS


def read(message: object, request: Request | None = None, received: int = RECEIVED) -> list[Any]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, received, request)


def about(symbol: str, time: int) -> dict[str, Any]:
    return {"exchange": "kraken", "symbol": symbol, "time": time, "received": RECEIVED}


def history(kind: str, one: Listing, message: object, since: int = 0) -> list[Any]:
    return read(message, EXCHANGE.history(kind, one, since, RECEIVED))


# From the documentation of the trade feed.
FORCED = {
    "feed": "trade",
    "product_id": "PI_XRPUSD",
    "uid": "e7f3a144-5c04-4ed6-999e-5922cd0b6160",
    "side": "sell",
    "type": "liquidation",
    "seq": 41799,
    "time": 1593561965283,
    "qty": 12000,
    "price": 0.16,
}


def test_a_liquidated_long_is_a_sale_and_also_a_trade() -> None:
    # 12,000 contracts of one dollar at 0.16 dollars are 75,000 XRP.
    when = about("XRP/USD:XRP", 1593561965283 * MS)
    assert read(FORCED) == [
        Trade(
            **when,
            id=0xE7F3A1445C044ED,
            side="sell",
            price=0.16,
            amount=75_000,
            origin="screen",
        ),
        Liquidation(
            **when,
            side="long",
            price=0.16,
            amount=75_000,
            value_usd=pytest.approx(12_000),
            price_kind="fill",
            completeness="complete",
            id="e7f3a144-5c04-4ed6-999e-5922cd0b6160",
        ),
    ]


def test_a_liquidated_short_of_a_linear_contract_is_in_coins() -> None:
    changed = {"product_id": "PF_XBTUSD", "side": "buy", "qty": 0.5, "price": 60_000.0}
    trade, forced = read({**FORCED, **changed})
    assert (trade.symbol, trade.side, trade.amount) == ("BTC/USD:USD", "buy", 0.5)
    assert (forced.side, forced.amount, forced.value_usd) == ("short", 0.5, 30_000)


def test_a_snapshot_of_trades_and_a_dated_future() -> None:
    # 15,000 dollars at 30,000 are half a coin; a termination is a trade, but no liquidation.
    row = {**FORCED, "product_id": "PI_XBTUSD", "type": "fill", "qty": 15000, "price": 30000}
    rows = [row, {**row, "type": "termination", "side": "buy"}]
    snapshot = {"feed": "trade_snapshot", "product_id": "PI_XBTUSD", "trades": rows}
    assert [(e.side, e.amount) for e in read(snapshot)] == [("sell", 0.5), ("buy", 0.5)]
    assert [e.origin for e in read(snapshot)] == ["screen", None]  # handed over, not traded
    (block,) = read({**row, "type": "block"})
    assert block.origin == "block"
    (dated,) = read({**row, "product_id": "FI_XBTUSD_190927"})
    assert dated.symbol == "BTC/USD:BTC-190927"


# Recorded in February 2023.
TICKER = {
    "time": 1676393235406,
    "product_id": "PI_XBTUSD",
    "funding_rate": -6.2604214e-11,
    "relative_funding_rate": -1.380384722222e-6,
    "relative_funding_rate_prediction": -8.047629166667e-6,
    "next_funding_rate_time": 1676394000000,
    "feed": "ticker",
    "index": 21984.54,
    "last": 21983.5,
    "tag": "perpetual",
    "openInterest": 30072580.0,
    "markPrice": 21979.68641534714,
}


def test_the_ticker_of_the_socket_tells_three_facts() -> None:
    when = about("BTC/USD:BTC", 1676393235406 * MS)
    assert read(TICKER) == [
        MarkPrice(**when, mark_price=21979.68641534714, index_price=21984.54, last_price=21983.5),
        # 30,072,580 / 21,979.68641534714 = 1,368.198774 coins
        OpenInterest(**when, amount=pytest.approx(1368.198774), value_usd=30_072_580),
        Funding(
            **when,
            rate=-1.380384722222e-6,
            interval_hours=1,
            status="predicted",
            settles=1676394000000 * MS,
        ),
    ]


def test_a_rate_that_is_left_out_is_not_told_and_one_of_four_hours_has_no_interval() -> None:
    dated = {k: v for k, v in TICKER.items() if "funding" not in k}
    assert [type(event) for event in read(dated)] == [MarkPrice, OpenInterest]
    old = {**TICKER, "time": 1676393235406, "next_funding_rate_time": 1676404800000}
    assert read(old)[2].interval_hours is None


TICKERS = {
    "result": "success",
    "serverTime": "2025-11-17T00:34:37.524Z",
    "tickers": [
        {
            "symbol": "PI_XBTUSD",
            "last": 91415.0,
            "tag": "perpetual",
            "markPrice": 91506.6009839176,
            "openInterest": 21279580.0,
            "fundingRate": -3.995839963e-09,
            "indexPrice": 91468.38,
        },
        {
            "symbol": "PF_ETHUSD",
            "last": 3200.5,
            "markPrice": 3205.25,
            "openInterest": 1000000.0,
            "fundingRate": 0.0320525,
            "indexPrice": 3202.75,
        },
        {"symbol": "in_xbtusd", "last": "40411", "lastTime": "2022-02-18T14:16:28.000Z"},
    ],
}
NOW = 1_763_339_677_524 * MS


def poll(kind: str) -> Request:
    return EXCHANGE.polls(kind, LISTINGS)[0].request


def test_the_tickers_of_the_answer_have_an_absolute_rate() -> None:
    inverse, linear = about("BTC/USD:BTC", NOW), about("ETH/USD:USD", NOW)
    # Inverse: -3.995839963e-9 coins for a dollar × 91,506.6 = -3.656457e-4.
    # Linear: 0.0320525 dollars for a coin of 3,205.25 = 1e-5.
    assert read(TICKERS, poll("funding")) == [
        Funding(
            **inverse,
            rate=pytest.approx(-3.656457e-4, rel=1e-6),
            interval_hours=1,
            status="predicted",
        ),
        Funding(**linear, rate=pytest.approx(1e-5), interval_hours=1, status="predicted"),
    ]
    assert read(TICKERS, poll("open_interest")) == [
        # 21,279,580 / 91,506.6009839176 = 232.546940
        OpenInterest(**inverse, amount=pytest.approx(232.546940), value_usd=21_279_580),
        OpenInterest(**linear, amount=1_000_000, value_usd=3_205_250_000),
    ]
    assert read(TICKERS, poll("mark_price")) == [
        MarkPrice(**inverse, mark_price=91506.6009839176, index_price=91468.38, last_price=91415),
        MarkPrice(**linear, mark_price=3205.25, index_price=3202.75, last_price=3200.5),
    ]


def test_history_of_funding_is_a_fraction_and_knows_when_it_is_hourly() -> None:
    rows = [
        {"timestamp": stamp, "fundingRate": 5.5, "relativeFundingRate": rate}
        for stamp, rate in (
            ("2025-07-11T04:00:00.000Z", 0.00003),
            ("2025-07-11T08:00:00.000Z", 0.00001),
            ("2025-07-11T09:00:00Z", -0.00002),
        )
    ]
    first, second, third = history("funding", LINEAR, {"result": "success", "rates": rows})
    time = EIGHT * SECOND
    assert third == Funding(
        **about("BTC/USD:USD", time + 3600 * SECOND),
        known_at=time + 3600 * SECOND,
        rate=-0.00002,
        interval_hours=1,
    )
    assert (second.time, second.rate) == (time, 0.00001)
    assert (first.interval_hours, second.interval_hours) == (None, None)  # 4 hours apart
    answer = {"result": "success", "rates": rows}
    assert [e.rate for e in history("funding", LINEAR, answer, since=time)] == [1e-5, -2e-5]
    request = EXCHANGE.history("funding", LINEAR, 0, RECEIVED)
    assert EXCHANGE.following(request, json.dumps(answer).encode()) is None


def test_a_candle_is_told_when_it_is_over() -> None:
    now = RECEIVED // MS
    opened = now - 60_000
    row = {"open": "91069", "high": "91373.5", "low": "90956", "close": "91045.5"}
    rows = [
        {**row, "time": opened, "volume": "319499"},
        {**row, "time": now - 30_000, "volume": "2407"},
    ]
    answer = {"candles": rows, "more_candles": False}
    prices = {"open": 91069, "high": 91373.5, "low": 90956, "close": 91045.5, "interval": 60}
    linear = about("BTC/USD:USD", opened * MS)
    assert read(answer, poll("candle")) == [
        Candle(**linear, known_at=RECEIVED, **prices, volume=319499)
    ]
    # The contracts of an inverse future are dollars.
    inverse = about("BTC/USD:BTC", opened * MS)
    assert history("candle", INVERSE, answer) == [
        Candle(**inverse, known_at=RECEIVED, **prices, quote_volume=319499)
    ]


def analytics(data: object, *stamps: int, more: bool = False) -> dict[str, Any]:
    return {"result": {"timestamp": stamps, "data": data, "more": more}, "errors": []}


def test_history_of_open_interest_is_of_the_end_of_its_bucket() -> None:
    rows = [["100", "102", "99", "101"], [101, 103, 100, 102.5]]
    answer = analytics(rows, EIGHT, EIGHT * 1000 + 300_000)  # in seconds, and in milliseconds
    assert history("open_interest", LINEAR, answer) == [
        OpenInterest(**about("BTC/USD:USD", (EIGHT + 300) * SECOND), amount=101),
        OpenInterest(**about("BTC/USD:USD", (EIGHT + 600) * SECOND), amount=102.5),
    ]
    (first, _) = history("open_interest", INVERSE, answer)
    assert (first.amount, first.value_usd) == (None, 101)


def test_the_bucket_that_is_still_filling_is_not_told() -> None:
    begun = RECEIVED // SECOND // 300 * 300
    answer = analytics([["1", "1", "1", "1"], ["2", "2", "2", "2"]], begun - 300, begun)
    assert [e.amount for e in history("open_interest", LINEAR, answer)] == [1]


def test_history_of_ratios_goes_on_with_the_top_traders() -> None:
    # 60 accounts long for 20 short: 3 to 1, or 75 percent.
    counts = {"longCount": [60], "shortCount": [20], "longPercent": ["0.6"]}
    request = EXCHANGE.history("long_short_ratio", LINEAR, EIGHT * SECOND, RECEIVED)
    payload = json.dumps(analytics(counts, EIGHT)).encode()
    when = about("BTC/USD:USD", (EIGHT + 300) * SECOND)
    assert read(payload, request) == [
        LongShortRatio(**when, population="accounts", ratio=3, long_share=0.75)
    ]
    top = EXCHANGE.following(request, payload)
    assert top is not None
    assert top.url.endswith("/analytics/PF_XBTUSD/top-traders")
    payload = json.dumps(analytics({"top20Percent": counts}, EIGHT)).encode()
    assert read(payload, top) == [
        LongShortRatio(**when, population="top_accounts", ratio=3, long_share=0.75)
    ]
    assert EXCHANGE.following(top, payload) is None


def test_history_of_taker_volume_is_of_its_own_bucket() -> None:
    answer = analytics({"buy_volume": ["1.5"], "sell_volume": ["0.5"], "cvd": ["7"]}, EIGHT)
    when = EIGHT * SECOND
    assert history("taker_volume", LINEAR, answer) == [
        TakerVolume(
            **about("BTC/USD:USD", when), interval=300, buy_amount=1.5, sell_amount=0.5, ratio=3
        )
    ]
    assert history("taker_volume", INVERSE, answer) == [
        TakerVolume(**about("BTC/USD:BTC", when), interval=300, ratio=3)
    ]
    # Seen in October 2026: columns without stamps of their own, shorter than the stamps.
    short = analytics({"buy_volume": ["1", "2"], "sell_volume": ["1"]}, EIGHT, EIGHT + 300)
    with pytest.raises(UnreadableMessage, match="1 values for 2 buckets"):
        history("taker_volume", LINEAR, short)


# From the documentation of the trade history; a price is added to make it a liquidation.
PAST = {
    "time": "2022-03-18T04:55:37.692Z",
    "trade_id": 100,
    "price": 0.8,
    "size": 1000,
    "side": "buy",
    "type": "liquidation",
    "uid": "6c5da0b0-f1a8-483f-921f-466eb0388265",
}


def test_history_of_trades_is_also_that_of_liquidations() -> None:
    answer = {"result": "success", "history": [PAST, {**PAST, "type": "fill"}]}
    when = about("BTC/USD:USD", 1647579337692 * MS)
    trade = Trade(**when, id=0x6C5DA0B0F1A8483, side="buy", price=0.8, amount=1000, origin="screen")
    assert history("trade", LINEAR, answer) == [trade, trade]
    (forced,) = history("liquidation", LINEAR, answer)
    assert (forced.side, forced.amount, forced.value_usd) == ("short", 1000, 800)


def test_trades_are_paged_backwards_and_buckets_forwards() -> None:
    request = EXCHANGE.history("trade", LINEAR, 1_640_000_000 * SECOND, 1_650_000_000 * SECOND)
    assert request.query == {"symbol": "PF_XBTUSD", "lastTime": "2022-04-15T05:20:00.000Z"}
    page = json.dumps({"result": "success", "history": [PAST] * 100}).encode()
    older = EXCHANGE.following(request, page)
    assert older is not None
    assert older.query["lastTime"] == "2022-03-18T04:55:37.693Z"
    oldest = EXCHANGE.following(older, page)  # a full page of one moment does not stop it
    assert oldest is not None
    assert oldest.query["lastTime"] == "2022-03-18T04:55:37.692Z"
    short = json.dumps({"result": "success", "history": [PAST]}).encode()
    assert EXCHANGE.following(request, short) is None

    request = EXCHANGE.history("open_interest", LINEAR, EIGHT * SECOND, RECEIVED)
    assert request.query == {"since": str(EIGHT), "to": "1763339677", "interval": "300"}
    page = json.dumps(analytics([["1", "1", "1", "1"]], EIGHT, more=True)).encode()
    later = EXCHANGE.following(request, page)
    assert later is not None
    assert later.query["since"] == str(EIGHT + 300)
    page = json.dumps(analytics([["1", "1", "1", "1"]], EIGHT)).encode()
    assert EXCHANGE.following(request, page) is None

    request = EXCHANGE.history("candle", LINEAR, EIGHT * SECOND, RECEIVED)
    page = json.dumps({"candles": [{"time": EIGHT * 1000}], "more_candles": True}).encode()
    later = EXCHANGE.following(request, page)
    assert later is not None
    assert later.query["from"] == str(EIGHT + 60)


INSTRUMENTS = {
    "result": "success",
    "instruments": [
        {
            "symbol": "PI_XBTUSD",
            "type": "futures_inverse",
            "tickSize": 0.5,
            "contractSize": 1,
            "tradeable": True,
            "marginLevels": [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
        },
        {
            "symbol": "PF_ETHUSD",
            "type": "flexible_futures",
            "tickSize": 0.1,
            "contractSize": 1,
            "tradeable": True,
            "marginLevels": [
                {"numNonContractUnits": 0.0, "initialMargin": 0.02, "maintenanceMargin": 0.01},
                {"numNonContractUnits": 2e6, "initialMargin": 0.04, "maintenanceMargin": 0.02},
            ],
        },
        {
            "symbol": "PF_OLDUSD",
            "type": "flexible_futures",
            "tickSize": 1,
            "contractSize": 1,
            "tradeable": False,
        },
        {"symbol": "rr_xbtusd", "type": "spot index", "tradeable": False},
    ],
}


def test_instruments_and_their_margin_levels() -> None:
    first, second = EXCHANGE.instruments()
    inverse, linear = read(INSTRUMENTS, first)
    assert (inverse.native, inverse.symbol) == ("PI_XBTUSD", "BTC/USD:BTC")
    assert (linear.symbol, linear.category) == ("ETH/USD:USD", "flexible_futures")
    assert (str(linear.instrument.tick), linear.interval_hours) == ("0.1", 1)
    since = datetime(2025, 11, 17, 0, 34, 38, tzinfo=UTC)
    tiers = [(2e6, 0.01, 50.0), (sys.float_info.max, 0.02, 25.0)]
    assert read(INSTRUMENTS, second) == [Brackets.build("kraken", "ETH/USD:USD", since, tiers)]


def test_subscriptions_are_made_and_answered() -> None:
    trades = EXCHANGE.channels("liquidation", LISTINGS[:2])
    assert [(one.topic, one.kinds, one.symbol) for one in trades] == [
        ("trade:PF_XBTUSD", ("trade", "liquidation"), "BTC/USD:USD"),
        ("trade:PI_XBTUSD", ("trade", "liquidation"), "BTC/USD:BTC"),
    ]
    assert trades == EXCHANGE.channels("trade", LISTINGS[:2])
    tickers = EXCHANGE.channels("funding", LISTINGS[:1])
    sent = [json.loads(frame) for frame in EXCHANGE.subscribe([*trades, *tickers])]
    assert sent == [
        {"event": "subscribe", "feed": "trade", "product_ids": ["PF_XBTUSD", "PI_XBTUSD"]},
        {"event": "subscribe", "feed": "ticker", "product_ids": ["PF_XBTUSD"]},
    ]
    told = {"event": "subscribed", "feed": "trade", "product_ids": ["PF_XBTUSD"]}
    assert read(told) == [Acknowledged(("trade:PF_XBTUSD",))]
    assert read({"event": "error", "message": "Invalid product id"}) == [
        Refused("", "Invalid product id")
    ]
    assert read({"event": "info", "version": 1}) == []
    assert read({"feed": "heartbeat", "time": 1534262350627}) == []


def forced(**changed: object) -> bytes:
    return json.dumps({**FORCED, **changed}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[1]",
        b"\xff\xfe",
        json.dumps(FORCED).encode()[:-9],
        forced(feed="book"),
        forced(product_id="PF_NEWUSD"),
        forced(side="long"),
        forced(type="unheard"),
        forced(qty=float("nan")),
        forced(qty=None),
        forced(price=0),
        forced(time=17),
        b'{"event":"unheard"}',
        b'{"feed":"trade_snapshot","product_id":"PF_XBTUSD","rows":[]}',
        json.dumps({**TICKER, "openInterest": None}).encode(),
        json.dumps({k: v for k, v in TICKER.items() if k != "markPrice"}).encode(),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    assert read({**FORCED, "new": {"a": 1}}) == read(FORCED)
    with pytest.raises(UnreadableMessage, match="apiLimitExceeded"):
        read({"result": "error", "error": "apiLimitExceeded"}, poll("funding"))
    with pytest.raises(UnreadableMessage, match="tickers"):
        read({"result": "success", "serverTime": TICKERS["serverTime"]}, poll("funding"))
    wrong = {"result": None, "errors": [{"severity": "E", "msg": "no such market"}]}
    with pytest.raises(UnreadableMessage, match="no such market"):
        history("open_interest", LINEAR, wrong)


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="liquidation_total is not published"):
        EXCHANGE.offer("liquidation_total")  # its sum does not tell longs from shorts
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("candle", LISTINGS)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("mark_price", LINEAR, 0, 1)


@pytest.mark.real
def test_recorded_messages_are_read(real: Path) -> None:
    folder = real.parent / "raw_messages"
    lines = (folder / "frames" / "cryptofacilities.jsonl").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines]
    messages = [one for one in messages if not one["feed"].startswith("book")]  # not subscribed to
    decoder = EXCHANGE.decoder(
        {one["product_id"]: listing(one["product_id"]) for one in messages}.values()
    )
    for message in messages:
        found = decoder.read(json.dumps(message).encode(), RECEIVED)
        assert found
        assert all(isinstance(event, Event) for event in found)
    assert len(messages) == 5

    samples = folder / "adapter_samples" / "crates" / "adapters" / "kraken" / "test_data"

    def sample(name: str, request: Request) -> list[Any]:
        return read((samples / f"http_futures_{name}.json").read_bytes(), request)

    instrument, brackets = EXCHANGE.instruments()
    assert len(sample("instruments", instrument)) >= 3
    assert sample("instruments", brackets)
    for kind in ("funding", "open_interest", "mark_price"):
        assert len(sample("tickers", poll(kind))) == 2
    assert len(sample("candles_trade", EXCHANGE.history("candle", INVERSE, 0, RECEIVED))) == 3
    rates = EXCHANGE.history("funding", INVERSE, 0, RECEIVED)
    assert len(sample("historical_funding_rates", rates)) == 3
