"""Gate's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.gate import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    LiquidationTotal,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument

if TYPE_CHECKING:
    from pathlib import Path

S = 1_000_000_000
MS = 1_000_000
RECEIVED = 1_789_000_000 * S  # 2026-09-10, after the stream became complete
BEFORE = 1_787_183_999 * S  # 2026-08-19T23:59:59, one second before it did


def listing(native: str, category: str, symbol: str, size: str) -> Listing:
    instrument = Instrument(exchange="gate", symbol=symbol, contract_size=Decimal(size))
    return Listing(native=native, category=category, instrument=instrument, interval_hours=8)


LISTINGS = [
    listing("BTC_USDT", "usdt", "BTC/USDT:USDT", "0.0001"),
    listing("ETH_USDT", "usdt", "ETH/USDT:USDT", "0.01"),
    listing("BTC_USD", "btc", "BTC/USD:BTC", "1"),
]
LINEAR, _, INVERSE = LISTINGS


def read(message: object, request: Request | None = None, received: int = RECEIVED) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, received, request)


def poll(kind: str, *listings: Listing) -> Request:
    return EXCHANGE.polls(kind, list(listings))[0].request


def about(symbol: str, time: int) -> dict[str, object]:
    return {"exchange": "gate", "symbol": symbol, "time": time, "received": RECEIVED}


def update(channel: str, rows: object) -> dict[str, object]:
    named = {"channel": channel, "event": "update"}
    return {"time": 1541505434, "time_ms": 1541505434123, **named, "result": rows}


LONG = {"price": "215.1", "size": -124, "time": 1541486601123, "contract": "BTC_USDT"}


def test_a_batch_of_liquidations_has_the_positions_sign_and_milliseconds() -> None:
    # Documented 2026-08-20. A contract is 0.0001 bitcoin: 124.5 of them are 0.01245.
    rows = [
        {"price": "215.1", "size": "-124.5", "time": 1541486601123, "contract": "BTC_USDT"},
        {"price": "215.2", "size": "10", "time": 1541486601456, "contract": "BTC_USDT"},
    ]
    short, long = read(update("futures.public_liquidates", rows))
    assert short == Liquidation(
        **about("BTC/USDT:USDT", 1541486601123 * MS),
        side="short",
        price=215.1,
        amount=pytest.approx(0.01245),
        value_usd=pytest.approx(2.677995),  # 0.01245 × 215.1
        price_kind="bankruptcy",
        completeness="complete",
    )
    assert (long.side, long.amount, long.time) == ("long", 0.001, 1541486601456 * MS)


def test_before_the_switch_the_stream_is_throttled_and_counts_seconds() -> None:
    row = {"price": "215.1", "size": -124, "time": 1541486601, "contract": "BTC_USDT"}
    message = update("futures.public_liquidates", [row])
    (found,) = read(message, received=BEFORE)
    assert (found.time, found.completeness) == (1541486601 * S, "throttled")
    (found,) = read(
        update("futures.public_liquidates", [{**row, "time_ms": 1541486601123}]), received=BEFORE
    )
    assert found.time == 1541486601123 * MS
    with pytest.raises(UnreadableMessage, match="no time in milliseconds"):
        read(message, received=BEFORE + S)


def test_a_liquidation_of_an_inverse_contract_is_in_dollars() -> None:
    row = {"price": 50_000, "size": 25_000, "time_ms": 1541486601123, "contract": "BTC_USD"}
    (found,) = read(update("futures.public_liquidates", [row]))
    assert (found.symbol, found.side) == ("BTC/USD:BTC", "long")
    assert (found.amount, found.value_usd) == (0.5, 25_000.0)


def test_a_trade_has_the_takers_sign() -> None:
    # Recorded 2026-03-25: a quarter of a contract of 0.01 ether.
    row = {
        "size": "-0.25",
        "id": 1,
        "create_time": 1774443183,
        "create_time_ms": 1774443183399,
        "price": "2171.44",
        "contract": "ETH_USDT",
    }
    assert read(update("futures.trades", [row])) == [
        Trade(
            **about("ETH/USDT:USDT", 1774443183399 * MS),
            id=1,
            side="sell",
            price=2171.44,
            amount=0.0025,
        )
    ]
    (bought,) = read(
        update("futures.trades", [{**row, "size": 100, "contract": "BTC_USD", "price": "50000"}])
    )
    assert (bought.side, bought.amount) == ("buy", 0.002)
    assert read(update("futures.trades", [{**row, "is_internal": True}])) == []


CONTRACT = {
    "name": "BTC_USDT",
    "type": "direct",
    "quanto_multiplier": "0.0001",
    "order_price_round": "0.1",
    "last_price": "38026",
    "mark_price": "37985.6",
    "index_price": "37954.92",
    "funding_rate_indicative": "0.000219",
    "funding_rate": "0.002053",
    "funding_interval": 28800,
    "funding_next_apply": 1610035200,
    "position_size": 5223816,
}


def test_one_answer_tells_what_stands_now() -> None:
    assert read([CONTRACT], poll("open_interest", LINEAR)) == [
        OpenInterest(
            **about("BTC/USDT:USDT", RECEIVED),
            amount=pytest.approx(522.3816),
            value_usd=pytest.approx(19842978.50496),  # 522.3816 × 37985.6
        )
    ]
    assert read([CONTRACT], poll("mark_price", LINEAR)) == [
        MarkPrice(
            **about("BTC/USDT:USDT", RECEIVED),
            mark_price=37985.6,
            index_price=37954.92,
            last_price=38026,
        )
    ]
    assert read([CONTRACT], poll("funding", LINEAR)) == [
        Funding(
            **about("BTC/USDT:USDT", RECEIVED),
            rate=0.002053,
            interval_hours=8,
            status="predicted",
            settles=1610035200 * S,
        )
    ]


def test_an_inverse_contract_is_one_dollar() -> None:
    row = {**CONTRACT, "name": "BTC_USD", "position_size": 500_000, "mark_price": "20000"}
    (found,) = read([row], poll("open_interest", INVERSE))
    assert (found.amount, found.value_usd) == (25, 500_000)


def test_what_is_unknown_is_left_out() -> None:
    new = {**CONTRACT, "name": "NEW_USDT"}
    unlaunched = {**CONTRACT, "mark_price": "0", "funding_next_apply": 0}
    assert read([new], poll("mark_price", LINEAR)) == []
    (found,) = read([unlaunched], poll("open_interest", LINEAR))
    assert found.value_usd is None
    (found,) = read([unlaunched], poll("mark_price", LINEAR))
    assert (found.mark_price, found.last_price) == (None, 38026)
    assert read([unlaunched], poll("funding", LINEAR)) == []


BUCKET = {
    "time": 1674057000,
    "lsr_taker": "9.3765153315902",
    "lsr_account": "3",
    "top_lsr_account": "0",
    "top_lsr_size": "0.25",
    "long_liq_size": "100",
    "short_liq_size": "0",
    "long_liq_usd": "250.5",
    "short_liq_usd": "0",
    "open_interest": "2851725",
    "open_interest_usd": "98723.867775",
    "mark_price": "0.34619",
    "long_taker_size": "400",
    "short_taker_size": "50",
}
OVER = {"known_at": (1674057000 + 300) * S}


def test_a_bucket_of_statistics_counts_liquidations() -> None:
    request = poll("liquidation_total", LINEAR)
    assert read([BUCKET], request) == [
        LiquidationTotal(
            **about("BTC/USDT:USDT", 1674057000 * S),
            **OVER,
            interval=300,
            long_usd=250.5,
            short_usd=0,
            completeness="aggregated",
        )
    ]
    newer = {**BUCKET, "long_liq_usd_new": "251", "short_liq_usd_new": 0}
    (found,) = read([newer], request)
    assert found.long_usd == 251
    (found,) = read([BUCKET], poll("liquidation_total", INVERSE))
    assert found.long_usd == 100  # contracts of one dollar


def test_a_bucket_of_statistics_has_ratios_by_their_names() -> None:
    found = read([BUCKET], poll("long_short_ratio", LINEAR))
    assert found == [
        LongShortRatio(
            **about("BTC/USDT:USDT", 1674057000 * S),
            **OVER,
            population="accounts",
            ratio=3,
            long_share=0.75,
        ),
        LongShortRatio(
            **about("BTC/USDT:USDT", 1674057000 * S),
            **OVER,
            population="top_positions",
            ratio=0.25,
            long_share=0.2,
        ),
    ]


def test_a_bucket_of_statistics_has_takers_and_open_interest() -> None:
    assert read([BUCKET], poll("taker_volume", LINEAR)) == [
        TakerVolume(
            **about("BTC/USDT:USDT", 1674057000 * S),
            **OVER,
            interval=300,
            buy_amount=0.04,
            sell_amount=0.005,
            ratio=9.3765153315902,
        )
    ]
    older = {name: value for name, value in BUCKET.items() if "taker_size" not in name}
    (found,) = read([older], poll("taker_volume", LINEAR))
    assert (found.buy_amount, found.sell_amount) == (None, None)
    request = EXCHANGE.history("open_interest", LINEAR, 0, RECEIVED)
    assert read([BUCKET], request) == [
        OpenInterest(
            **about("BTC/USDT:USDT", 1674057000 * S),
            **OVER,
            amount=pytest.approx(285.1725),
            value_usd=pytest.approx(98.723867775),  # 285.1725 × 0.34619
        )
    ]


def test_a_running_bucket_is_not_told() -> None:
    running = {**BUCKET, "time": RECEIVED // S - 299}
    assert read([running], poll("liquidation_total", LINEAR)) == []


def test_settled_funding_counts_seconds() -> None:
    request = EXCHANGE.history("funding", LINEAR, 0, RECEIVED)
    time = 1621267200 * S
    assert read([{"r": "0.00063521", "t": 1621267200}], request) == [
        Funding(**about("BTC/USDT:USDT", time), known_at=time, rate=0.00063521)
    ]
    with pytest.raises(UnreadableMessage):
        read([{"r": "0.00063521", "t": 1621267200000}], request)


def test_a_candle_is_told_when_it_is_over() -> None:
    prices = {"o": "41025", "h": "41882.17", "l": "40783.94", "c": "41776.92"}
    row = {"t": 1632873600, "v": 20_000, "sum": "82600.5", **prices}
    running = {**row, "t": RECEIVED // S - 59}
    candle = {"interval": 60, "open": 41025, "high": 41882.17, "low": 40783.94, "close": 41776.92}
    time = 1632873600 * S
    assert read([row, running], poll("candle", LINEAR)) == [
        Candle(
            **about("BTC/USDT:USDT", time),
            known_at=time + 60 * S,
            **candle,
            volume=2,  # 20,000 contracts of 0.0001
            quote_volume=82600.5,
        )
    ]
    (inverse,) = read([row], poll("candle", INVERSE))
    assert (inverse.volume, inverse.quote_volume) == (None, 20_000)


def test_instruments_their_sizes_and_intervals() -> None:
    linear, inverse = (r for r in EXCHANGE.instruments() if r.kind == "instrument")
    assert linear.url == "https://api.gateio.ws/api/v4/futures/usdt/contracts"
    (found,) = read([CONTRACT, {**CONTRACT, "name": "what?"}], linear)
    assert (found.native, found.category, found.symbol) == ("BTC_USDT", "usdt", "BTC/USDT:USDT")
    assert found.instrument.contract_size == Decimal("0.0001")
    assert found.instrument.tick == Decimal("0.1")
    assert found.interval_hours == 8
    rows = [
        {**CONTRACT, "name": "BTC_USD", "type": "inverse", "quanto_multiplier": "0"},
        {**CONTRACT, "name": "ETH_USD"},  # settled in bitcoin: a quanto
    ]
    (found,) = read(rows, inverse)
    assert (found.symbol, found.instrument.contract_size) == ("BTC/USD:BTC", 1)


def test_risk_limits_become_brackets() -> None:
    row = {"contract": "BTC_USDT", "tier": 1, "initial_rate": "0.008"}
    rows = [
        {**row, "risk_limit": "2000000", "maintenance_rate": "0.005", "leverage_max": "100"},
        {**row, "risk_limit": "1000000", "maintenance_rate": "0.004", "leverage_max": "125"},
        {**row, "contract": "NEW", "risk_limit": 1, "maintenance_rate": 1, "leverage_max": 1},
    ]
    requests = [r for r in EXCHANGE.instruments() if r.kind == "brackets"]
    assert [r.query["offset"] for r in requests[:3]] == ["0", "100", "200"]
    assert read(rows, requests[0]) == [
        Brackets.build(
            "gate",
            "BTC/USDT:USDT",
            datetime.fromtimestamp(RECEIVED // S, tz=UTC),
            [(1e6, 0.004, 125), (2e6, 0.005, 100)],
        )
    ]


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("liquidation", LISTINGS)
    assert [(c.url, c.topic, c.symbol) for c in channels] == [
        ("wss://fx-ws.gateio.ws/v4/ws/btc", "futures.public_liquidates.!all", None),
        ("wss://fx-ws.gateio.ws/v4/ws/usdt", "futures.public_liquidates.!all", None),
    ]
    trades = EXCHANGE.channels("trade", LISTINGS[:2])
    first, second = (json.loads(frame) for frame in EXCHANGE.subscribe([channels[1], *trades]))
    assert (first["channel"], first["payload"]) == ("futures.public_liquidates", ["!all"])
    assert (second["channel"], second["payload"]) == ("futures.trades", ["BTC_USDT", "ETH_USDT"])
    assert second["event"] == "subscribe"
    told = {"time": 1545405058, "channel": "futures.trades", "event": "subscribe", "error": None}
    told["result"] = {"status": "success"}
    assert read(told) == [Acknowledged(())]
    assert read({**told, "payload": second["payload"]}) == [
        Acknowledged(("futures.trades.BTC_USDT", "futures.trades.ETH_USDT"))
    ]
    error = {"code": 2, "message": "unknown contract NOPE_USDT"}
    refused = {**told, "payload": ["NOPE_USDT"], "error": error, "result": None}
    assert read(refused) == [Refused("futures.trades.NOPE_USDT", error["message"])]
    assert read({**told, "error": error}) == [Refused("futures.trades", error["message"])]
    assert read({"time": 1, "channel": "futures.pong", "event": "", "result": None}) == []


def test_history_counts_seconds_and_goes_on_until_the_end() -> None:
    start, end = 1_700_000_000, 1_700_000_000 + 150_000
    request = EXCHANGE.history("candle", LINEAR, start * S, end * S)
    assert request.query == {
        "contract": "BTC_USDT",
        "interval": "1m",
        "from": "1700000000",
        "to": "1700119999",  # 2,000 minutes, both ends counted
    }
    last = EXCHANGE.following(request, b"[]")
    assert (last.query["from"], last.query["to"]) == ("1700120000", "1700149999")
    assert EXCHANGE.following(last, b"[]") is None
    assert EXCHANGE.following(poll("candle", LINEAR), b"[]") is None


def test_history_of_statistics_goes_on_from_the_newest_row() -> None:
    start, end = 1_700_000_100, 1_700_000_100 + 900
    request = EXCHANGE.history("liquidation_total", LINEAR, start * S, end * S)
    assert (request.query["from"], request.query["limit"]) == (str(start), "100")
    page = [{"time": start + 300}, {"time": start}]
    following = EXCHANGE.following(request, json.dumps(page).encode())
    assert following.query["from"] == str(start + 600)
    assert EXCHANGE.following(following, json.dumps([{"time": start + 600}]).encode()) is None
    assert EXCHANGE.following(following, json.dumps(page).encode()) is None
    assert EXCHANGE.following(request, b"[]") is None


def liquidation(**changed: object) -> bytes:
    row = {key: value for key, value in (LONG | changed).items() if value is not None}
    return json.dumps(update("futures.public_liquidates", [row])).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        liquidation()[:-5],
        b'{"channel":"futures.order_book","event":"all","result":{}}',
        b'{"channel":"futures.trades","event":"renewed","result":{"status":"success"}}',
        b'{"channel":"futures.trades","event":"update","result":null}',
        liquidation(contract="NOPE_USDT"),
        liquidation(price=None, order_price="1"),
        liquidation(price="0"),
        liquidation(size="NaN"),
        liquidation(size=0),
        liquidation(size=True),
        liquidation(time=17),
        liquidation(time=None),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


def test_an_added_field_changes_nothing_and_an_error_is_no_answer() -> None:
    assert read([{**CONTRACT, "new": {"a": 1}}], poll("mark_price", LINEAR))
    assert read(liquidation(new=[1]))
    with pytest.raises(UnreadableMessage):
        read({"label": "TOO_MANY_REQUESTS", "message": "slow down"}, poll("mark_price", LINEAR))
    with pytest.raises(UnreadableMessage):
        read([{**BUCKET, "lsr_account": "Infinity"}], poll("long_short_ratio", LINEAR))
    renamed = {key: value for key, value in BUCKET.items() if key != "long_liq_usd"}
    with pytest.raises(UnreadableMessage, match="long_liq_usd"):
        read([renamed], poll("liquidation_total", LINEAR))


def test_what_it_does_not_publish_is_said() -> None:
    with pytest.raises(Unsupported, match="volatility_index is not published"):
        EXCHANGE.offer("volatility_index")
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("liquidation", LINEAR, 0, 1)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)


@pytest.mark.real
def test_recorded_trades_are_read(real: Path) -> None:
    lines = (real.parent / "raw_messages/frames/gate-io-futures.jsonl").read_text().splitlines()
    seen = 0
    for line in lines:
        message = json.loads(line)["message"]
        if message["channel"] != "futures.trades":
            continue  # of channels that are not subscribed to
        if "create_time_ms" not in message["result"][0]:
            continue  # of the format before 2021-03-01
        found = read(message)
        assert len(found) == len(message["result"])
        assert all(isinstance(event, Event) for event in found)
        seen += len(found)
    assert seen >= 4
