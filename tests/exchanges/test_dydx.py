"""dYdX's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.dydx import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request
from plimsoll.market.events import (
    Candle,
    Event,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Trade,
)
from plimsoll.market.instrument import Bracket, Brackets, Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_765_210_320_000 * MS  # 2025-12-08 16:12:00 UTC


def listing(native: str, symbol: str) -> Listing:
    instrument = Instrument(exchange="dydx", symbol=symbol)
    return Listing(native=native, category="perpetual", instrument=instrument, interval_hours=1)


LISTINGS = [listing("BTC-USD", "BTC/USDC:USDC"), listing("AVAX-USD", "AVAX/USDC:USDC")]
BTC, AVAX = LISTINGS


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def about(symbol: str = "BTC/USDC:USDC", time: int = RECEIVED // MS) -> dict[str, object]:
    return {"exchange": "dydx", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def poll(kind: str) -> Request:
    return EXCHANGE.polls(kind, LISTINGS)[0].request


def history(kind: str, since: int = 0) -> Request:
    return EXCHANGE.history(kind, BTC, since, RECEIVED)


PRINT = {
    "id": "0165e5e30000000200000002",
    "size": "79.2",
    "price": "25.22",
    "side": "BUY",
    "createdAt": "2024-08-22T23:59:58.855Z",
    "type": "LIMIT",
}
PRINTED = 1_724_371_198_855  # 2024-08-22 23:59:58.855 in milliseconds
FORCED = {
    **PRINT,
    "id": "014f495a0000000200000005",
    "side": "SELL",
    "size": "3.9",
    "price": "22.87",
    "type": "LIQUIDATED",
}


def frame(*prints: object, **changed: object) -> dict[str, object]:
    return {
        "type": "channel_data",
        "connection_id": "2ddf629d-ee78-4cf3-8278-fe0900b59537",
        "message_id": 99,
        "id": "AVAX-USD",
        "channel": "v4_trades",
        "version": "2.1.0",
        "contents": {"trades": list(prints)},
    } | changed


BOUGHT = Trade(
    **about("AVAX/USDC:USDC", PRINTED),
    id=0x200000002,  # the last 15 of 24 digits: 0000002 00000002
    side="buy",
    price=25.22,
    amount=79.2,
)


def test_a_trade_names_the_taker() -> None:
    assert read(frame(PRINT)) == [BOUGHT]  # recorded 2024-08-23


def test_a_forced_sale_is_a_trade_and_the_liquidation_of_a_long() -> None:
    at = about("AVAX/USDC:USDC", PRINTED)
    assert read(frame(FORCED)) == [
        Trade(**at, id=0x200000005, side="sell", price=22.87, amount=3.9),
        Liquidation(
            **at,
            side="long",
            price=22.87,
            amount=3.9,
            value_usd=pytest.approx(89.193),  # 3.9 × 22.87
            price_kind="fill",
            completeness="complete",
            id="014f495a0000000200000005",
        ),
    ]


def test_a_forced_purchase_is_the_liquidation_of_a_short() -> None:
    trade, liquidation = read(frame({**FORCED, "side": "BUY"}))
    assert (trade.side, liquidation.side) == ("buy", "short")


def test_deleveraging_is_a_trade_and_no_liquidation() -> None:
    (trade,) = read(frame({**FORCED, "type": "DELEVERAGED"}))
    assert isinstance(trade, Trade)


def test_batches_are_read_whole() -> None:
    contents = [{"trades": [PRINT]}, {"trades": [FORCED, PRINT]}]
    found = read(frame(type="channel_batch_data", contents=contents))
    assert [type(event).__name__ for event in found] == ["Trade", "Trade", "Liquidation", "Trade"]


MARKET = {  # recorded 2025-12-08
    "clobPairId": "0",
    "ticker": "BTC-USD",
    "status": "ACTIVE",
    "oraclePrice": "89919.2",
    "volume24H": "247500844.6834",
    "trades24H": 63065,
    "nextFundingRate": "0.00000254545454545455",
    "initialMarginFraction": "0.02",
    "maintenanceMarginFraction": "0.012",
    "openInterest": "381.7348",
    "tickSize": "1",
    "marketType": "CROSS",
    "openInterestLowerCap": "0",
    "openInterestUpperCap": "0",
    "baseOpenInterest": "782.0931",
    "defaultFundingRate1H": "0",
}


def markets(**changed: object) -> dict[str, object]:
    other = {**MARKET, "ticker": "NEW-USD"}
    return {"markets": {"BTC-USD": MARKET | changed, "NEW-USD": other}}


def test_markets_tell_what_stands_now() -> None:
    assert read(markets(), poll("open_interest")) == [
        # 381.7348 × 89919.2
        OpenInterest(**about(), amount=381.7348, value_usd=pytest.approx(34_325_287.83))
    ]
    assert read(markets(), poll("mark_price")) == [
        MarkPrice(**about(), mark_price=89919.2, index_price=89919.2)
    ]
    assert read(markets(), poll("funding")) == [
        Funding(**about(), rate=0.00000254545454545455, interval_hours=1, status="predicted")
    ]


def test_a_market_without_price_has_no_value() -> None:
    assert read(markets(oraclePrice=None), poll("mark_price")) == []
    (interest,) = read(markets(oraclePrice=None), poll("open_interest"))
    assert (interest.amount, interest.value_usd) == (381.7348, None)


def test_one_answer_has_listings_and_brackets() -> None:
    rows = {
        "BTC-USD": MARKET,
        "OLD-USD": {**MARKET, "ticker": "OLD-USD", "status": "FINAL_SETTLEMENT"},
        "X,uniswap_v3,0xab-USD": {**MARKET, "ticker": "X,uniswap_v3,0xab-USD"},
    }
    (request,) = EXCHANGE.instruments()
    assert request.url == "https://indexer.dydx.trade/v4/perpetualMarkets"
    listed, brackets = read({"markets": rows}, request)
    assert (listed.native, listed.symbol, listed.interval_hours) == ("BTC-USD", BTC.symbol, 1)
    assert (str(listed.instrument.tick), listed.instrument.contract_size) == ("1", 1)
    assert listed.turnover_usd == 247500844.6834
    only = Bracket(
        floor=0, cap=sys.float_info.max, maintenance_rate=0.012, max_leverage=50, cum=0
    )  # 1 / 0.02
    since = datetime(2025, 12, 8, 16, 12, tzinfo=UTC)
    assert brackets == Brackets(exchange="dydx", symbol=BTC.symbol, since=since, brackets=(only,))


def test_history_of_funding() -> None:
    row = {
        "ticker": "BTC-USD",
        "rate": "0.000002375",
        "price": "89993.8",
        "effectiveAtHeight": "66622979",
        "effectiveAt": "2025-12-08T16:00:00.219Z",
    }
    request = history("funding")
    assert request.url == "https://indexer.dydx.trade/v4/historicalFunding/BTC-USD"
    assert request.query == {"limit": "100", "effectiveBeforeOrAt": "2025-12-08T16:11:59.999Z"}
    time = 1_765_209_600_219
    assert read({"historicalFunding": [row]}, request) == [
        Funding(**about(time=time), known_at=time * MS, rate=0.000002375, interval_hours=1)
    ]


ROW = {
    "startedAt": "2025-12-08T16:10:00.000Z",
    "ticker": "BTC-USD",
    "resolution": "1MIN",
    "low": "89900",
    "high": "90043",
    "open": "90042",
    "close": "89931",
    "baseTokenVolume": "3.9023",
    "usdVolume": "351009.0795",
    "trades": 72,
    "startingOpenInterest": "382.3498",
    "orderbookMidPriceOpen": "89958.25",
    "orderbookMidPriceClose": "89969.75",
}
STARTED = 1_765_210_200_000  # 2025-12-08 16:10


def test_a_candle_is_told_when_it_is_over() -> None:
    running = {**ROW, "startedAt": "2025-12-08T16:11:00.001Z"}
    closed = {**ROW, "startedAt": "2025-12-08T16:11:00.000Z"}  # over at 16:12, now
    found = read({"candles": [running, closed, ROW]}, poll("candle"))
    assert found[1] == Candle(
        **about(time=STARTED),
        known_at=(STARTED + 60_000) * MS,
        interval=60,
        open=90042,
        high=90043,
        low=89900,
        close=89931,
        volume=3.9023,
        quote_volume=351009.0795,
        trades=72,
    )
    assert [event.time for event in found] == [(STARTED + 60_000) * MS, STARTED * MS]
    assert poll("candle").query == {"resolution": "1MIN", "limit": "3"}


def test_open_interest_of_the_past_is_what_candles_start_with() -> None:
    request = history("open_interest", (STARTED - 600_000) * MS)
    assert request.query == {
        "resolution": "5MINS",
        "fromISO": "2025-12-08T16:00:00.000Z",
        "toISO": "2025-12-08T16:12:00.000Z",
        "limit": "1000",
    }
    assert read({"candles": [{**ROW, "resolution": "5MINS"}]}, request) == [
        OpenInterest(**about(time=STARTED), amount=382.3498)
    ]


def test_history_of_trades_and_of_liquidations_is_one() -> None:
    page = {"trades": [{**FORCED, "createdAtHeight": "105573154"}, PRINT]}
    trades, forced = history("trade"), history("liquidation")
    assert trades.url == "https://indexer.dydx.trade/v4/trades/perpetualMarket/BTC-USD"
    assert (trades.url, trades.query) == (forced.url, forced.query)
    assert [event.side for event in read(page, trades)] == ["sell", "buy"]
    assert [event.side for event in read(page, forced)] == ["long"]


def test_subscriptions_are_made_and_answered() -> None:
    channels = EXCHANGE.channels("liquidation", LISTINGS)
    assert channels == EXCHANGE.channels("trade", LISTINGS)
    assert [channel.topic for channel in channels] == ["v4_trades/BTC-USD", "v4_trades/AVAX-USD"]
    sent = json.loads(EXCHANGE.subscribe(channels)[1])
    assert sent == {"type": "subscribe", "channel": "v4_trades", "id": "AVAX-USD"}
    assert read({"type": "connected", "connection_id": "004a1efa", "message_id": 0}) == []
    told = frame(PRINT, type="subscribed")
    assert read(told) == [Acknowledged(("v4_trades/AVAX-USD",)), BOUGHT]
    assert read(frame(type="unsubscribed")) == []
    why = "Invalid subscription id for channel: (v4_trades-NO-USD)"
    refused = {"type": "error", "message": why, "connection_id": "004a1efa", "message_id": 1}
    assert read(refused) == [Refused("v4_trades/NO-USD", why)]
    why = "Internal error, could not fetch data for subscription: v4_trades."
    refused |= {"message": why, "channel": "v4_trades", "id": "BTC-USD"}
    assert read(refused) == [Refused("v4_trades/BTC-USD", why)]
    why = "Invalid subscription: channel 'invalid_channel' not found"
    assert read({"type": "error", "message": why}) == [Refused("", why)]


def following(request: Request, name: str, rows: list[object]) -> Request | None:
    return EXCHANGE.following(request, json.dumps({name: rows}).encode())


def test_history_of_trades_asks_again_for_a_block_that_a_page_may_cut() -> None:
    request = history("trade", PRINTED * MS)
    newer = {**PRINT, "createdAt": "2024-08-22T23:59:59.900Z"}
    older = {**PRINT, "createdAt": "2024-08-22T23:59:58.900Z"}
    page = [newer] * 600 + [older] * 400
    assert following(request, "trades", page[:999]) is None
    after = following(request, "trades", page)
    assert after.query["createdBeforeOrAt"] == "2024-08-22T23:59:58.900Z"
    # A page of one block only would come again and again.
    after = following(after, "trades", [older] * 1000)
    assert after.query["createdBeforeOrAt"] == "2024-08-22T23:59:58.899Z"
    # As old as what is asked for: there may be more of it. Older: that is all.
    assert following(after, "trades", [older] * 999 + [PRINT]) is not None
    older = {**PRINT, "createdAt": "2024-08-22T23:59:58.854Z"}
    assert following(after, "trades", [PRINT] * 999 + [older]) is None


def test_history_of_funding_and_candles_goes_on_until_there_is_no_more() -> None:
    request = history("funding")
    rows = [{"effectiveAt": f"2025-12-08T15:00:00.{n:03d}Z"} for n in range(586, 686)]
    after = following(request, "historicalFunding", rows)
    assert after.query["effectiveBeforeOrAt"] == "2025-12-08T15:00:00.585Z"
    assert following(after, "historicalFunding", rows[1:]) is None
    request = history("candle", (STARTED - 60_000) * MS)
    rows = [{"startedAt": "2025-12-08T16:11:00.000Z"}] * 999
    after = following(request, "candles", [*rows, ROW])
    assert after.query["toISO"] == "2025-12-08T16:10:00.000Z"
    assert after.query["fromISO"] == "2025-12-08T16:09:00.000Z"
    first = {**ROW, "startedAt": "2025-12-08T16:09:00.000Z"}
    assert following(after, "candles", [*rows, first]) is None
    assert EXCHANGE.following(poll("candle"), json.dumps({"candles": [ROW] * 3}).encode()) is None


def trades(**changed: object) -> bytes:
    return json.dumps(frame(PRINT | changed)).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        trades()[:-9],
        json.dumps(frame(PRINT, channel="v4_orderbook")).encode(),
        json.dumps(frame(PRINT, type="channel_news")).encode(),
        json.dumps(frame(PRINT, id="NOPE-USD")).encode(),
        json.dumps(frame(contents={"prints": []})).encode(),
        json.dumps(frame(contents=[])).encode(),
        json.dumps(frame(type="channel_batch_data")).encode(),
        json.dumps(frame({"id": PRINT["id"], "side": "BUY"})).encode(),
        trades(side="buy"),
        trades(type="FORCED"),
        trades(price="NaN"),
        trades(price="0"),
        trades(size="-1"),
        trades(size=None),
        trades(id="trade-001"),
        trades(createdAt="2024-08-22T23:59:58.855"),
        trades(createdAt="1970-01-01T00:00:00Z"),
        trades(createdAt="yesterday"),
        trades(createdAt=1724371198855),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("open_interest", {"errors": [{"msg": "Too many requests"}]}),
        ("open_interest", markets(openInterest="NaN")),
        ("open_interest", markets(openInterest=None)),
        ("mark_price", markets(oraclePrice="0")),
        ("mark_price", {"markets": {"BTC-USD": {"oracle": "1"}}}),
        ("mark_price", {"markets": []}),
        ("funding", markets(nextFundingRate="")),
        ("candle", {"candles": [{**ROW, "resolution": "1HOUR"}]}),
        ("candle", {"candles": [{**ROW, "high": "inf"}]}),
        ("candle", {"candles": [{"startedAt": ROW["startedAt"]}]}),
    ],
)
def test_an_answer_of_another_form_is_unreadable(kind: str, message: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(message, poll(kind))


@pytest.mark.parametrize("changed", [{"maintenanceMarginFraction": "0"}, {"tickSize": "small"}])
def test_a_listing_of_another_form_is_unreadable(changed: dict[str, object]) -> None:
    (request,) = EXCHANGE.instruments()
    with pytest.raises(UnreadableMessage):
        read(markets(**changed), request)


def test_an_added_field_changes_nothing() -> None:
    assert read(trades(new={"a": 1})) == [BOUGHT]
    assert read(markets(new=[1]), poll("mark_price")) == read(markets(), poll("mark_price"))


def test_what_it_does_not_publish_is_said() -> None:
    for kind in ("long_short_ratio", "taker_volume", "option_quote", "position"):
        with pytest.raises(Unsupported, match=f"{kind} is not published"):
            EXCHANGE.offer(kind)
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("mark_price", BTC, 0, RECEIVED)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("trade", LISTINGS)


@pytest.mark.real
def test_recorded_messages_are_read(real: Path) -> None:
    raw = real.parent / "raw_messages"
    lines = (raw / "frames" / "dydx-v4.jsonl").read_text().splitlines()
    frames = [json.loads(line)["message"] for line in lines]
    prints = [one for one in frames if one["channel"] == "v4_trades"]
    for one in prints:  # of the other channels, none is subscribed to
        events = read(one)
        assert events
        assert all(isinstance(event, Event) for event in events)
    assert len(prints) == 1
    samples = raw / "adapter_samples" / "crates" / "adapters" / "dydx" / "test_data"

    def count(name: str, request: Request) -> int:
        answer = json.loads((samples / f"http_get_{name}.json").read_bytes())["result"]
        return len(read(answer, request))

    assert count("trades", history("trade")) == 3
    assert count("candles", history("candle")) == 3
    assert count("candles", history("open_interest")) == 3
    assert count("historical_funding", history("funding")) == 3
    for kind in ("open_interest", "mark_price", "funding"):
        assert count("perpetual_markets", poll(kind)) == 1  # of three, one is listed here
    assert count("perpetual_markets", EXCHANGE.instruments()[0]) == 2 * 3
