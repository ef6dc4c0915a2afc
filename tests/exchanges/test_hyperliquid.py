"""Hyperliquid's own messages, each beside what it says, written by hand from its documentation."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from plimsoll.errors import UnreadableMessage, Unsupported
from plimsoll.exchanges.hyperliquid import EXCHANGE
from plimsoll.exchanges.reading import Acknowledged, Listing, Refused, Request, Synced
from plimsoll.market.events import (
    BookLevel,
    Candle,
    Event,
    Funding,
    MarkPrice,
    OpenInterest,
    Position,
    Trade,
)
from plimsoll.market.instrument import Bracket, Brackets, Instrument

if TYPE_CHECKING:
    from pathlib import Path

MS = 1_000_000
RECEIVED = 1_761_786_500_000 * MS  # 2025-10-30 01:08:20 UTC


def listing(native: str) -> Listing:
    instrument = Instrument(exchange="hyperliquid", symbol=f"{native}/USDC:USDC")
    return Listing(native=native, category="perp", instrument=instrument, interval_hours=1)


LISTINGS = [listing(native) for native in ("BTC", "ETH", "FXS", "kPEPE")]
BTC, ETH, *_ = LISTINGS
WALLET = "0x31ca8395cf837de08b24da3f660e77761dfb974b"


def read(message: object, request: Request | None = None) -> list[object]:
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    return EXCHANGE.decoder(LISTINGS).read(payload, RECEIVED, request)


def about(symbol: str = "BTC/USDC:USDC", time: int = RECEIVED // MS) -> dict[str, object]:
    return {"exchange": "hyperliquid", "symbol": symbol, "time": time * MS, "received": RECEIVED}


def poll(kind: str) -> Request:
    return EXCHANGE.polls(kind, LISTINGS)[0].request


def body(request: Request) -> dict[str, object]:
    return json.loads(request.body)


PRINT = {
    "coin": "FXS",
    "side": "A",
    "px": "1.9008",
    "sz": "10.5",
    "time": 1730160015113,
    "hash": "0xdde3d6b67214c97cb88704156eee8e016e010eb52dcf2a855bdaea517a5b45a9",
    "tid": 611279506717453,
    "users": ["0xaa", "0xbb"],
}


def test_a_trade_names_the_taker_by_b_for_buyer_and_a_for_seller() -> None:
    # Recorded 2024-10-29, then without users. The documentation: "A" is ask, "B" is bid.
    bought = {**PRINT, "coin": "kPEPE", "side": "B", "px": "0.0089", "sz": "1000", "tid": 7}
    assert read({"channel": "trades", "data": [PRINT, bought]}) == [
        Trade(
            **about("FXS/USDC:USDC", 1730160015113),
            id=611279506717453,
            side="sell",
            price=1.9008,
            amount=10.5,
        ),
        Trade(
            **about("kPEPE/USDC:USDC", 1730160015113),
            id=7,
            side="buy",
            price=0.0089,
            amount=1000,
        ),
    ]


def test_wallets_are_named_with_their_dollars() -> None:
    rows = [
        {**PRINT, "px": "2", "sz": "10", "users": ["0xaa", "0xbb"]},  # 20 dollars
        {**PRINT, "px": "3", "sz": "5", "users": ["0xcc", "0xaa"]},  # 15 dollars
    ]
    frame = json.dumps({"channel": "trades", "data": rows}).encode()
    assert EXCHANGE.wallets(frame) == [("0xaa", 35.0), ("0xbb", 20.0), ("0xcc", 15.0)]
    assert EXCHANGE.wallets(b'{"channel":"pong"}') == []


@pytest.mark.parametrize(
    "payload",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"channel":"trades","data":[{"px":"2","sz":"10"}]}',
        b'{"channel":"trades","data":[{"px":"2","sz":"10","users":["0xaa"]}]}',
        b'{"channel":"trades","data":[{"px":"NaN","sz":"10","users":["0xaa","0xbb"]}]}',
    ],
)
def test_wallets_that_cannot_be_read_are_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        EXCHANGE.wallets(payload)
    assert caught.value.payload == payload


CONTEXT = {  # BTC, recorded in 2026
    "funding": "-0.0000015186",
    "openInterest": "27353.17682",
    "prevDayPx": "76317.0",
    "dayNtlVlm": "1516669192.1953897476",
    "premium": "-0.0005927453",
    "oraclePx": "77605.0",
    "markPx": "77562.0",
    "midPx": "77558.5",
    "impactPxs": ["77558.0", "77559.0"],
    "dayBaseVlm": "19707.77457",
}
DEAD = {**CONTEXT, "premium": None, "midPx": None, "impactPxs": None, "dayNtlVlm": "0.0"}
META = {
    "universe": [
        {"szDecimals": 5, "name": "BTC", "maxLeverage": 40, "marginTableId": 56},
        {"szDecimals": 1, "name": "MATIC", "maxLeverage": 20, "marginTableId": 20},
        {"szDecimals": 2, "name": "ATOM", "maxLeverage": 5, "marginTableId": 5},
    ],
    "marginTables": [
        [
            56,
            {
                "description": "tiered 40x",
                "marginTiers": [
                    {"lowerBound": "0.0", "maxLeverage": 40},
                    {"lowerBound": "150000000.0", "maxLeverage": 20},
                ],
            },
        ],
    ],
    "collateralToken": 0,
}


def market(**changed: object) -> list[object]:
    return [META, [{**CONTEXT, **changed}, DEAD, CONTEXT]]


def test_what_stands_now_is_told_of_all_that_is_listed() -> None:
    # MATIC and ATOM are not among the listings, and so passed over.
    assert read(market(), poll("open_interest")) == [
        # 27353.17682 coins at 77562 dollars: 2,121,567,100.515
        OpenInterest(**about(), amount=27353.17682, value_usd=pytest.approx(2_121_567_100.51))
    ]
    assert read(market(), poll("mark_price")) == [
        MarkPrice(**about(), mark_price=77562.0, index_price=77605.0)
    ]
    assert read(market(), poll("funding")) == [
        Funding(
            **about(),
            rate=-0.0000015186,
            interval_hours=1,
            status="predicted",
            premium=-0.0005927453,
        )
    ]


def test_a_market_without_trade_has_no_premium() -> None:
    (funding,) = read(market(premium=None), poll("funding"))
    assert funding.premium is None


def test_one_answer_has_listings_and_brackets() -> None:
    meta = {**META, "universe": [dict(one) for one in META["universe"]]}
    meta["universe"][1]["isDelisted"] = True
    meta["universe"].append({"name": "xyz:TSLA", "maxLeverage": 10, "marginTableId": 10})
    (request,) = EXCHANGE.instruments()
    found = read([meta, [CONTEXT, DEAD, CONTEXT, CONTEXT]], request)
    listed = found[:2]
    assert [(one.native, one.symbol, one.interval_hours) for one in listed] == [
        ("BTC", "BTC/USDC:USDC", 1),
        ("ATOM", "ATOM/USDC:USDC", 1),
    ]
    assert listed[0].turnover_usd == 1516669192.1953897476
    # Rates are half of 1/40, 1/20 and 1/5. What the second tier overstates: 150e6 × 0.0125.
    since = datetime(2025, 10, 30, 1, 8, 20, tzinfo=UTC)
    first = Bracket(floor=0, cap=150e6, maintenance_rate=0.0125, max_leverage=40, cum=0)
    end = sys.float_info.max
    rest = Bracket(floor=150e6, cap=end, maintenance_rate=0.025, max_leverage=20, cum=1_875_000)
    only = Bracket(floor=0, cap=end, maintenance_rate=0.1, max_leverage=5, cum=0)
    about = {"exchange": "hyperliquid", "since": since}
    assert found[2:] == [
        Brackets(**about, symbol="BTC/USDC:USDC", brackets=(first, rest)),
        Brackets(**about, symbol="ATOM/USDC:USDC", brackets=(only,)),
    ]


def test_history_of_funding() -> None:
    rows = [
        {"coin": "BTC", "fundingRate": "-0.0000081", "premium": "-0.000125", "time": 1704290400031},
        {"coin": "BTC", "fundingRate": "0.0000033", "time": 1704294000000},
    ]
    request = EXCHANGE.history("funding", BTC, 1_704_290_000_000 * MS, RECEIVED)
    assert body(request) == {
        "type": "fundingHistory",
        "coin": "BTC",
        "startTime": 1_704_290_000_000,
        "endTime": RECEIVED // MS - 1,
    }
    first, second = 1704290400031, 1704294000000
    assert read(rows, request) == [
        Funding(
            **about(time=first),
            known_at=first * MS,
            rate=-0.0000081,
            interval_hours=1,
            premium=-0.000125,
        ),
        Funding(
            **about(time=second),
            known_at=second * MS,
            rate=0.0000033,
            interval_hours=1,
        ),
    ]


def candle(opens: int, **changed: object) -> dict[str, object]:
    row = {
        "t": opens,
        "T": opens + 59_999,
        "s": "ETH",
        "i": "1m",
        "o": "2247.9",
        "c": "2226.4",
        "h": "2248.1",
        "l": "2224.6",
        "v": "591.6427",
        "n": 46,
    }
    return row | changed


def said(opens: int, **changed: object) -> Candle:
    made = {
        **about("ETH/USDC:USDC", opens),
        "known_at": (opens + 60_000) * MS,
        "interval": 60,
        "open": 2247.9,
        "high": 2248.1,
        "low": 2224.6,
        "close": 2226.4,
        "volume": 591.6427,
        "trades": 46,
    }
    return Candle(**made | changed)


def test_history_of_candles_leaves_out_the_one_that_runs() -> None:
    now = RECEIVED // MS
    request = EXCHANGE.history("candle", ETH, (now - 600_000) * MS, RECEIVED)
    assert body(request)["req"]["interval"] == "1m"
    found = read([candle(now - 120_000), candle(now - 60_000), candle(now - 59_999)], request)
    assert found == [said(now - 120_000), said(now - 60_000)]


def test_a_candle_of_the_socket_is_over_when_the_next_begins() -> None:
    decoder = EXCHANGE.decoder(LISTINGS)

    def tell(row: object) -> list[object]:
        frame = json.dumps({"channel": "candle", "data": row}).encode()
        return decoder.read(frame, RECEIVED)

    opens = 1_704_286_800_000
    assert tell(candle(opens, c="2230.0", n=40)) == []
    assert tell(candle(opens)) == []
    assert tell(candle(opens, s="BTC")) == []  # another coin's runs beside it
    assert tell([candle(opens + 60_000)]) == [said(opens)]
    assert tell(candle(opens, n=47)) == [said(opens, trades=47)]  # late, but over


def test_a_book_has_levels_from_the_best_on() -> None:
    book = {
        "coin": "BTC",
        "time": 1761786491067,
        "levels": [
            [{"px": "110427.0", "sz": "4.11882", "n": 9}, {"px": "110426.0", "sz": "0.31694"}],
            [{"px": "110428.0", "sz": "3.72573"}],
        ],
    }
    at = about(time=1761786491067)
    # Of twenty levels the farthest lies less than 0.1 % from the price: no depth is told.
    assert read({"channel": "l2Book", "data": book}) == [
        Synced("l2Book.BTC"),
        BookLevel(**at, side="bid", level=0, price=110427.0, amount=4.11882),
        BookLevel(**at, side="bid", level=1, price=110426.0, amount=0.31694),
        BookLevel(**at, side="ask", level=0, price=110428.0, amount=3.72573),
    ]


LONG = {
    "coin": "ETH",
    "szi": "0.0335",
    "entryPx": "2986.3",
    "positionValue": "100.02765",
    "unrealizedPnl": "-0.0134",
    "returnOnEquity": "-0.0026",
    "liquidationPx": "2866.26936529",
    "marginUsed": "4.967826",
    "maxLeverage": 50,
    "leverage": {"type": "isolated", "value": 20, "rawUsd": "-95.059824"},
}
SHORT = {
    **LONG,
    "coin": "BTC",
    "szi": "-2.5",
    "entryPx": "60000",
    "positionValue": "155000",
    "liquidationPx": None,
    "marginUsed": "31000",
    "leverage": {"type": "cross", "value": 5},
}


def account(*held: dict[str, object]) -> dict[str, object]:
    rows = [{"type": "oneWay", "position": one} for one in held]
    return {"assetPositions": rows, "time": 1708622398623, "withdrawable": "13.104514"}


def test_a_wallet_tells_its_positions() -> None:
    request = EXCHANGE.position_request(WALLET.upper().replace("X", "x"))
    assert request.weight == 2
    assert body(request) == {"type": "clearinghouseState", "user": WALLET}
    closed, elsewhere = {**LONG, "szi": "0.0"}, {**LONG, "coin": "NEW"}
    assert read(account(LONG, closed, elsewhere, SHORT), request) == [
        Position(
            **about("ETH/USDC:USDC", 1708622398623),
            wallet=WALLET,
            side="long",
            amount=0.0335,
            entry_price=2986.3,
            leverage=20,
            margin=4.967826,
            margin_mode="isolated",
            liquidation_price=2866.26936529,
            value_usd=100.02765,
        ),
        Position(
            **about("BTC/USDC:USDC", 1708622398623),
            wallet=WALLET,
            side="short",
            amount=2.5,
            entry_price=60_000,
            leverage=5,
            margin=31_000,
            margin_mode="cross",
            value_usd=155_000,
        ),
    ]
    assert read(account(), request) == []


@pytest.mark.parametrize("wallet", ["", "0xbuyer", WALLET[2:], WALLET + "0"])
def test_what_is_no_wallet_is_refused(wallet: str) -> None:
    with pytest.raises(ValueError, match="is no wallet"):
        EXCHANGE.position_request(wallet)


@pytest.mark.parametrize(
    "changed",
    [
        {"entryPx": None},
        {"entryPx": "0"},
        {"szi": "NaN"},
        {"liquidationPx": "-1"},
        {"leverage": {"type": "portfolio", "value": 5}},
        {"leverage": {"type": "cross", "value": 0}},
    ],
)
def test_a_position_of_another_form_is_unreadable(changed: dict[str, object]) -> None:
    with pytest.raises(UnreadableMessage):
        read(account({**LONG, **changed}), EXCHANGE.position_request(WALLET))


def test_a_position_without_its_liquidation_price_is_unreadable() -> None:
    held = {name: value for name, value in LONG.items() if name != "liquidationPx"}
    with pytest.raises(UnreadableMessage):
        read(account(held), EXCHANGE.position_request(WALLET))


def test_subscriptions_are_made_and_answered() -> None:
    trades = EXCHANGE.channels("trade", LISTINGS)
    candles = EXCHANGE.channels("candle", [BTC])
    assert [channel.topic for channel in trades[:2]] == ["trades.BTC", "trades.ETH"]
    assert [channel.topic for channel in candles] == ["candle.BTC.1m"]
    sent = [json.loads(frame) for frame in EXCHANGE.subscribe([trades[0], *candles])]
    assert sent == [
        {"method": "subscribe", "subscription": {"type": "trades", "coin": "BTC"}},
        {
            "method": "subscribe",
            "subscription": {"type": "candle", "coin": "BTC", "interval": "1m"},
        },
    ]
    for channel, frame in zip([trades[0], *candles], sent, strict=True):
        told = {"channel": "subscriptionResponse", "data": frame}
        assert read(told) == [Acknowledged((channel.topic,))]
        why = "Error parsing JSON into valid websocket request"
        refused = {"channel": "error", "data": f"{why}: {json.dumps(frame)}"}
        assert read(refused) == [Refused(channel.topic, why)]
    doubled = {"channel": "error", "data": 'Already subscribed: {"type":"trades","coin":"BTC"}'}
    assert read(doubled) == [Refused("trades.BTC", "Already subscribed")]
    assert read({"channel": "error", "data": "Too many"}) == [Refused("", "Too many")]
    assert read({"channel": "pong"}) == []


def test_history_goes_on_until_there_is_no_more() -> None:
    start = 1_704_290_400_000
    request = EXCHANGE.history("funding", BTC, start * MS, RECEIVED)
    rows = [{"time": start + n * 3_600_000, "fundingRate": "0"} for n in range(500)]
    following = EXCHANGE.following(request, json.dumps(rows).encode())
    assert body(following)["startTime"] == start + 499 * 3_600_000 + 1
    assert body(following)["endTime"] == body(request)["endTime"]
    assert EXCHANGE.following(following, json.dumps(rows[:499]).encode()) is None
    request = EXCHANGE.history("candle", ETH, start * MS, RECEIVED)
    rows = [{"t": start + n * 60_000} for n in range(5000)]
    following = EXCHANGE.following(request, json.dumps(rows).encode())
    assert body(following)["req"]["startTime"] == start + 5000 * 60_000
    until = (start + 5000 * 60_000) * MS
    request = EXCHANGE.history("candle", ETH, start * MS, until)
    assert EXCHANGE.following(request, json.dumps(rows).encode()) is None
    (request,) = EXCHANGE.instruments()
    assert EXCHANGE.following(request, json.dumps(market()).encode()) is None


def trades(**changed: object) -> bytes:
    return json.dumps({"channel": "trades", "data": [PRINT | changed]}).encode()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[1]",
        b"\xff\xfe",
        b'{"channel":"liquidations","data":[]}',
        b'{"channel":"subscriptionResponse","data":null}',
        b'{"channel":"error","data":{"code":1}}',
        b'{"channel":"trades","data":[{"coin":"BTC","side":"A","price":"1","sz":"1"}]}',
        trades()[:-9],
        trades(coin="NOPE"),
        trades(coin="@107"),
        trades(side="buy"),
        trades(px="NaN"),
        trades(px="0"),
        trades(sz="-1"),
        trades(sz=None),
        trades(time=17),
        trades(time=1730160015113000),
        json.dumps({"channel": "candle", "data": candle(1_704_286_800_000, i="5m")}).encode(),
        json.dumps({"channel": "candle", "data": candle(1_704_286_800_000, h="inf")}).encode(),
    ],
)
def test_what_is_not_documented_is_unreadable(payload: bytes) -> None:
    with pytest.raises(UnreadableMessage) as caught:
        read(payload)
    assert caught.value.payload == payload


@pytest.mark.parametrize(
    "message",
    [
        None,
        "Failed to deserialize the JSON body into the target type",
        [META],
        [META, [CONTEXT]],  # fewer rows than names: whose they are is unknown
        market(markPx="0"),
        market(openInterest="NaN"),
        [{**META, "universe": [{"coin": "BTC"}] * 3}, [CONTEXT] * 3],
    ],
)
def test_an_answer_of_another_form_is_unreadable(message: object) -> None:
    with pytest.raises(UnreadableMessage):
        read(message, poll("open_interest"))


@pytest.mark.parametrize(
    "tables",
    [
        [],
        [[56, {"marginTiers": []}]],
        [[56, {"marginTiers": [{"lowerBound": "1.0", "maxLeverage": 40}]}]],
        [[56, {"marginTiers": [{"lowerBound": "0.0", "maxLeverage": 0}]}]],
    ],
)
def test_margin_tables_that_do_not_say_it_all_are_unreadable(tables: object) -> None:
    (request,) = EXCHANGE.instruments()
    with pytest.raises(UnreadableMessage):
        read([{**META, "marginTables": tables}, [CONTEXT, DEAD, CONTEXT]], request)


def test_an_added_field_changes_nothing() -> None:
    assert len(read(trades(new={"a": 1}))) == 1
    assert read(market(new=[1]), poll("mark_price")) == read(market(), poll("mark_price"))


def test_what_it_does_not_publish_is_said() -> None:
    for kind in ("liquidation", "long_short_ratio", "taker_volume", "option_quote"):
        with pytest.raises(Unsupported, match=f"{kind} is not published"):
            EXCHANGE.offer(kind)
    with pytest.raises(Unsupported, match="is not streamed"):
        EXCHANGE.channels("funding", LISTINGS)
    with pytest.raises(Unsupported, match="no history"):
        EXCHANGE.history("trade", BTC, 0, 1)
    with pytest.raises(Unsupported, match="cannot be asked for"):
        EXCHANGE.polls("position", LISTINGS)


@pytest.mark.real
def test_recorded_messages_are_read(real: Path) -> None:
    raw = real.parent / "raw_messages"
    lines = (raw / "frames" / "hyperliquid.jsonl").read_text().splitlines()
    frames = [json.loads(line)["message"] for line in lines]
    trades = [frame for frame in frames if frame["channel"] == "trades"]
    for frame in trades:  # of the other channels, none is subscribed to
        events = read(frame)
        assert len(events) == len(frame["data"]) > 0
        assert all(isinstance(event, Event) for event in events)
    assert len(trades) == 2
    samples = raw / "adapter_samples" / "crates" / "adapters" / "hyperliquid" / "test_data"
    book = {
        "time": RECEIVED // 1_000_000,
        **json.loads((samples / "http_l2_book_btc.json").read_bytes()),
    }
    assert len(read({"channel": "l2Book", "data": book})) == 1 + 10
    funding = EXCHANGE.history("funding", BTC, 0, RECEIVED)
    assert len(read((samples / "http_funding_history.json").read_bytes(), funding)) == 3
    contexts = json.loads((samples / "ws_all_dexs_asset_ctxs.json").read_bytes())["data"]["ctxs"]
    rows = dict(contexts)[""]  # the exchange's own; it has no names, and so they are made up
    meta = {"universe": [{"name": f"C{n}"} for n in range(len(rows))]}
    every = EXCHANGE.decoder([listing(f"C{n}") for n in range(len(rows))])
    for kind in ("open_interest", "mark_price", "funding"):
        told = every.read(json.dumps([meta, rows]).encode(), RECEIVED, poll(kind))
        assert len(told) == len(rows) > 200
