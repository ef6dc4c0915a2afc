"""Order books, exchange by exchange: each one's own messages beside the book they make."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fakes.books import STREAMS, Stream
from plimsoll.errors import UnreadableMessage
from plimsoll.exchanges import books, exchange
from plimsoll.exchanges.reading import Decoder, Listing, Resync, Synced
from plimsoll.market.events import BookDepth, BookLevel
from plimsoll.market.instrument import Instrument

MS = 1_000_000
START = 1_733_011_200_000
RECEIVED = (START + 40) * MS
STEP = books.EVERY // MS

CONTRACTS = {
    "bitget": ("BTCUSDT", "USDT-FUTURES", "BTC/USDT:USDT", 1),
    "gate": ("BTC_USDT", "usdt", "BTC/USDT:USDT", Decimal("0.0001")),
    "kraken": ("PI_XBTUSD", "futures_inverse", "BTC/USD:BTC", 1),
    "deribit": ("BTC-PERPETUAL", "inverse", "BTC/USD:BTC", 10),
    "binance": ("BTCUSDT", "linear", "BTC/USDT:USDT", 1),
    "bybit": ("BTCUSDT", "linear", "BTC/USDT:USDT", 1),
    "okx": ("BTC-USDT-SWAP", "SWAP", "BTC/USDT:USDT", Decimal("0.01")),
}


def listing(name: str) -> Listing:
    native, category, symbol, size = CONTRACTS[name]
    instrument = Instrument(exchange=name, symbol=symbol, contract_size=Decimal(size))
    return Listing(native=native, category=category, instrument=instrument)


def read(decoder: Decoder, message: Any, received: int = RECEIVED) -> list[Any]:
    return decoder.read(json.dumps(message).encode(), received)


def start(decoder: Decoder, stream: Stream, n: int, time: int, bids: Any, asks: Any) -> list[Any]:
    """Read a snapshot, as the exchange gives it: on the socket, or when asked."""
    (channel,) = exchange(stream.name).channels(books.KINDS[0], [listing(stream.name)])
    payload = json.dumps(stream.snapshot(n, time, sized(stream, bids), sized(stream, asks)))
    assert (channel.snapshot is not None) == bool(stream.path)
    return decoder.read(payload.encode(), RECEIVED, channel.snapshot)


def follow(decoder: Decoder, messages: list[Any], received: int = RECEIVED) -> list[Any]:
    return [item for message in messages for item in read(decoder, message, received)]


def decoder(stream: Stream) -> Decoder:
    return exchange(stream.name).decoder([listing(stream.name)])


def levels(items: list[Any]) -> dict[str, list[tuple[float, float]]]:
    """The levels of each side that rows tell, best first."""
    rows = [item for item in items if isinstance(item, BookLevel)]
    assert [row.level for row in rows if row.side == "bid"] == list(range(_count(rows, "bid")))
    assert [row.level for row in rows if row.side == "ask"] == list(range(_count(rows, "ask")))
    return {
        side: [(row.price, round(row.amount, 9)) for row in rows if row.side == side]
        for side in ("bid", "ask")
    }


def _count(rows: list[BookLevel], side: str) -> int:
    return sum(row.side == side for row in rows)


def sized(stream: Stream, levels: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Levels in the exchange's unit, of levels in coins."""
    return [(p, round(a * (stream.coin or p), 10)) for p, a in levels]


BIDS = [(89_999.0, 0.5), (89_990.0, 2.0), (85_000.0, 10.0)]
ASKS = [(90_001.0, 0.25), (90_010.0, 1.0), (95_500.0, 8.0)]
every = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)


@every
def test_a_snapshot_and_changes_make_the_book(stream: Stream) -> None:
    made, name = decoder(stream), stream.name
    items = start(made, stream, 1, START, BIDS, ASKS)
    assert items[0] == Synced(stream.topic)
    assert levels(items) == {"bid": BIDS, "ask": ASKS}
    rows = items[1:]
    assert {(row.exchange, row.symbol, row.time, row.received) for row in rows} == {
        (name, listing(name).symbol, START * MS, RECEIVED)
    }
    # Mid 90,000: within 0.1 % lie prices from 89,910 to 90,090; the book reaches over 5 %.
    depths = {row.distance: row for row in rows if isinstance(row, BookDepth)}
    assert sorted(depths) == sorted(s * d for d in books.DISTANCES for s in (-1, 1))
    assert depths[-0.001].amount == pytest.approx(2.5)
    assert depths[-0.001].value_usd == pytest.approx(0.5 * 89_999 + 2 * 89_990)
    assert depths[0.05].amount == pytest.approx(1.25)

    change = sized(stream, [(89_999.0, 0.0), (89_995.0, 3.0)]), sized(stream, [(90_001.0, 0.75)])
    items = follow(made, stream.changes(2, START + 100, *change))
    assert items == []  # told five seconds ago at most
    items = follow(made, stream.changes(3, START + STEP, [], []))
    assert levels(items) == {
        "bid": [(89_995, 3), *BIDS[1:]],
        "ask": [(90_001, 0.75), *ASKS[1:]],
    }


@every
def test_a_missing_change_is_told_and_nothing_is_until_the_book_is_whole(stream: Stream) -> None:
    made = decoder(stream)
    start(made, stream, 1, START, BIDS, ASKS)
    follow(made, stream.changes(2, START + 100, [], sized(stream, [(90_001.0, 1.0)])), RECEIVED + 1)
    (item,) = follow(made, stream.changes(4, START + 300, [], []), RECEIVED + 2)
    assert isinstance(item, Resync)
    assert (item.topic, item.since) == (stream.topic, RECEIVED + 1)
    assert follow(made, stream.changes(5, START + STEP, [], [])) == []
    items = start(made, stream, 6, START + 2 * STEP, [], ASKS)
    assert items[0] == Synced(stream.topic)
    assert levels(items) == {"bid": [], "ask": ASKS}


@pytest.mark.parametrize(
    "stream", [stream for stream in STREAMS if not stream.path], ids=lambda stream: stream.name
)
def test_changes_without_a_snapshot_ask_for_one(stream: Stream) -> None:
    made = decoder(stream)
    (item,) = follow(made, stream.changes(2, START, sized(stream, BIDS), []))
    assert (item.topic, item.since) == (stream.topic, RECEIVED)
    assert follow(made, stream.changes(3, START, sized(stream, BIDS), [])) == []


@every
def test_a_crossed_book_is_never_told(stream: Stream) -> None:
    made = decoder(stream)
    start(made, stream, 1, START, BIDS, ASKS)
    crossing = sized(stream, [(90_001.0, 1.0)])
    (item,) = follow(made, stream.changes(2, START + STEP, crossing, []))
    assert isinstance(item, Resync)
    assert item.since == RECEIVED
    assert "bid" in item.reason


@every
@pytest.mark.parametrize("wrong", [("x", 1), (0, 1), (-1, 1), (1, "NaN"), (1, -1), (1, 1e308)])
def test_a_level_that_cannot_be_is_unreadable_and_the_next_change_tells(
    stream: Stream, wrong: Any
) -> None:
    made = decoder(stream)
    start(made, stream, 1, START, BIDS, ASKS)
    with pytest.raises(UnreadableMessage):
        follow(made, stream.changes(2, START + 100, [wrong], []))
    (item,) = follow(made, stream.changes(3, START + 200, [], []))
    assert isinstance(item, Resync)


@every
def test_both_tables_come_by_one_channel_that_can_be_had_anew(stream: Stream) -> None:
    made, known = exchange(stream.name), [listing(stream.name)]
    by_kind = [made.channels(kind, known) for kind in books.KINDS]
    assert by_kind[0] == by_kind[1]
    (channel,) = by_kind[0]
    assert (channel.topic, channel.kinds) == (stream.topic, books.KINDS)
    ended = [] if channel.snapshot is not None else made.unsubscribe([channel])
    for frame in [*made.subscribe([channel]), *ended]:
        json.loads(frame)


BINANCE = next(stream for stream in STREAMS if stream.name == "binance")
NEAR = (
    [(90_000 - tick / 10, 1.0) for tick in range(1, 1_001)],
    [(90_000 + tick / 10, 1.0) for tick in range(1, 1_001)],
)
"""A thousand levels a side: they end 100 dollars, or 0.11 %, from the price."""


def moved(dollars: int) -> tuple[Any, Any]:
    """What changes when the price rises so far."""
    gone = [(price, 0.0) for price, _ in NEAR[1][: dollars * 10]]
    return [(price, 1.0) for price, _ in gone[:-1]], gone


def test_beyond_its_snapshot_a_book_is_not_known() -> None:
    made = decoder(BINANCE)
    items = start(made, BINANCE, 1, START, *NEAR)
    assert sorted(row.distance for row in items if isinstance(row, BookDepth)) == [-0.001, 0.001]
    follow(made, BINANCE.changes(2, START + 1, [(89_000.0, 500.0)], []))
    items = follow(made, BINANCE.changes(3, START + STEP, *moved(20)))
    # The mid is 90,020 now; the asks that are known end at 90,100, which is 0.089 % from it.
    depths = {row.distance: row.amount for row in items if isinstance(row, BookDepth)}
    assert depths == {-0.001: 899}  # bids from 90,019.9 down to 89,929.98, all of one coin
    assert not any(isinstance(item, Resync) for item in items)


def test_a_snapshot_is_asked_for_anew_as_the_price_nears_its_end_and_nothing_is_missed() -> None:
    made = decoder(BINANCE)
    start(made, BINANCE, 1, START, *NEAR)
    *rows, item = follow(made, BINANCE.changes(2, START + STEP, *moved(60)))
    assert (item.topic, item.since) == (BINANCE.topic, None)
    assert len(rows) > 40
    assert follow(made, BINANCE.changes(3, START + STEP + 1, [], [(90_060.5, 7.0)])) == []
    farther = [(price + 60, 1.0) for price, _ in NEAR[1]]
    items = start(made, BINANCE, 2, START + STEP, NEAR[0], farther)
    assert items == [Synced(BINANCE.topic)]
    items = follow(made, BINANCE.changes(4, START + 2 * STEP, [], []))
    assert levels(items)["ask"][4] == (90_060.5, 7)  # what came before the answer is kept
    assert not any(isinstance(item, Resync) for item in items)


def test_a_price_that_left_the_snapshot_behind_is_told() -> None:
    made = decoder(BINANCE)
    start(made, BINANCE, 1, START, *NEAR)
    follow(made, BINANCE.changes(2, START + 1, *moved(100)), RECEIVED + 1)
    (item,) = follow(made, BINANCE.changes(3, START + STEP, [], []), RECEIVED + 2)
    assert (item.since, "the price left" in item.reason) == (RECEIVED, True)


def test_a_price_that_left_before_the_answer_came_is_known_when_it_comes() -> None:
    made = decoder(BINANCE)
    start(made, BINANCE, 1, START, *NEAR)
    follow(made, BINANCE.changes(2, START + STEP, *moved(60)))  # a snapshot is asked for
    follow(made, BINANCE.changes(3, START + STEP + 1, *moved(100)))
    (item,) = follow(made, BINANCE.changes(4, START + 2 * STEP, [(90_099.0, 9.0)], []))
    assert "the price left" in item.reason
    bids = [(price + 60, 1.0) for price, _ in NEAR[0]]
    items = start(made, BINANCE, 2, START + STEP, bids, [(p + 60, 1.0) for p, _ in NEAR[1]])
    assert items[0] == Synced(BINANCE.topic)
    assert not any(isinstance(item, Resync) and item.since is not None for item in items)
    now = [one for one in items if isinstance(one, BookLevel) and one.time > (START + STEP) * MS]
    assert levels(now)["bid"][9] == (90_099, 9)


def test_a_snapshot_that_changes_do_not_join_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(books, "WAITING", 3)
    made = decoder(BINANCE)
    for n in range(2, 8):  # of these the last three are kept
        assert follow(made, BINANCE.changes(n, START + n, [], [])) == []
    items = start(made, BINANCE, 3, START, BIDS, ASKS)
    assert items[0] == Synced(BINANCE.topic)
    assert isinstance(items[-1], Resync)
    assert items[-1].since == RECEIVED
    items = start(made, BINANCE, 6, START + 7, BIDS, ASKS)
    assert not any(isinstance(item, Resync) for item in items)


# Each exchange's own messages, recorded or from its documentation, cut down to a few levels.
RECORDED: dict[str, tuple[Listing, list[Any], dict[str, list[tuple[float, float]]]]] = {
    # Recorded 2024-12-01 with 500 levels; the second message came 2 ms after the first.
    "bybit": (
        Listing(
            native="XRPUSDT",
            category="linear",
            instrument=Instrument(exchange="bybit", symbol="XRP/USDT:USDT"),
        ),
        [
            {
                "topic": "orderbook.1000.XRPUSDT",
                "type": "snapshot",
                "ts": 1733011200691,
                "data": {
                    "s": "XRPUSDT",
                    "b": [["1.9531", "6203"], ["1.9530", "2409"], ["1.9529", "680"]],
                    "a": [["1.9532", "10480"], ["1.9533", "13701"]],
                    "u": 20254869,
                    "seq": 130020238981,
                },
                "cts": 1733011200589,
            },
            {
                "topic": "orderbook.1000.XRPUSDT",
                "type": "delta",
                "ts": 1733011205693,
                "data": {
                    "s": "XRPUSDT",
                    "b": [["1.9531", "6198"], ["1.9529", "2080"]],
                    "a": [],
                    "u": 20254870,
                    "seq": 130020239261,
                },
                "cts": 1733011205691,
            },
        ],
        {
            "bid": [(1.9531, 6198), (1.953, 2409), (1.9529, 2080)],
            "ask": [(1.9532, 10480), (1.9533, 13701)],
        },
    ),
    # Recorded 2024-08-08, cut down; the snapshot is asked for, and the changes around it are of
    # other prices: the first was in it already.
    "binance": (
        listing("binance"),
        [
            {
                "stream": "btcusdt@depth@500ms",
                "data": {
                    "e": "depthUpdate",
                    "E": 1723161256299,
                    "T": 1723161256298,
                    "s": "BTCUSDT",
                    "U": 5123107832006,
                    "u": 5123107837557,
                    "pu": 5123107831937,
                    "b": [["61800.00", "0.014"]],
                    "a": [],
                },
            },
            {
                "lastUpdateId": 5123107852948,
                "E": 1723161256501,
                "T": 1723161256493,
                "bids": [["61800.20", "2.909"], ["61800.10", "0.696"], ["61800.00", "20.004"]],
                "asks": [["61800.30", "1.000"]],
            },
            {
                "stream": "btcusdt@depth@500ms",
                "data": {
                    "e": "depthUpdate",
                    "E": 1723161261299,
                    "T": 1723161261298,
                    "s": "BTCUSDT",
                    "U": 5123107842700,
                    "u": 5123107853001,
                    "pu": 5123107842679,
                    "b": [["61800.20", "0.000"]],
                    "a": [["61800.20", "1.500"]],
                },
            },
        ],
        {
            "bid": [(61_800.1, 0.696), (61_800, 20.004)],
            "ask": [(61_800.2, 1.5), (61_800.3, 1)],
        },
    ),
    # From documentation, ten minutes on; amounts of this inverse perpetual are dollars.
    "deribit": (
        listing("deribit"),
        [
            {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {
                    "channel": "book.BTC-PERPETUAL.100ms",
                    "data": {
                        "type": "snapshot",
                        "timestamp": 1554373962454,
                        "instrument_name": "BTC-PERPETUAL",
                        "change_id": 297217,
                        "bids": [["new", 5000.0, 30], ["new", 4999.5, 40]],
                        "asks": [["new", 5001.0, 20]],
                    },
                },
            },
            {
                "jsonrpc": "2.0",
                "method": "subscription",
                "params": {
                    "channel": "book.BTC-PERPETUAL.100ms",
                    "data": {
                        "type": "change",
                        "timestamp": 1554374562454,
                        "prev_change_id": 297217,
                        "instrument_name": "BTC-PERPETUAL",
                        "change_id": 297218,
                        "bids": [["delete", 4999.5, 0], ["change", 5000.0, 250]],
                        "asks": [["new", 5002.5, 5002.5]],
                    },
                },
            },
        ],
        {"bid": [(5_000, 0.05)], "ask": [(5_001, 0.003999200), (5_002.5, 1)]},
    ),
    # Recorded on two days of 2019, put together; a contract is a dollar.
    "kraken": (
        Listing(
            native="PI_LTCUSD",
            category="futures_inverse",
            instrument=Instrument(exchange="kraken", symbol="LTC/USD:LTC"),
        ),
        [
            {
                "feed": "book_snapshot",
                "product_id": "PI_LTCUSD",
                "timestamp": 1567296000518,
                "seq": 361431,
                "bids": [{"price": 64.24, "qty": 2978}, {"price": 64, "qty": 6400}],
                "asks": [{"price": 64.5, "qty": 129}, {"price": 65, "qty": 9216}],
                "tickSize": None,
            },
            {
                "feed": "book",
                "product_id": "PI_LTCUSD",
                "side": "buy",
                "seq": 361432,
                "price": 64.24,
                "qty": 0,
                "timestamp": 1567296042131,
            },
        ],
        {"bid": [(64, 100)], "ask": [(64.5, 2), (65, round(9216 / 65, 9))]},
    ),
    # From documentation, then a change recorded 2026-04-28, its prices and number fitted.
    "bitget": (
        listing("bitget"),
        [
            {
                "action": "snapshot",
                "arg": {"instType": "usdt-futures", "topic": "books", "symbol": "BTCUSDT"},
                "data": [
                    {
                        "a": [["76642.1", "23.9774"], ["76643", "1"]],
                        "b": [["76598.9", "0.0128"], ["76596.4", "2"]],
                        "checksum": 0,
                        "seq": 483415077719,
                        "ts": "1777358870000",
                    }
                ],
                "ts": 1777358870001,
            },
            {
                "action": "update",
                "arg": {"instType": "usdt-futures", "topic": "books", "symbol": "BTCUSDT"},
                "data": [
                    {
                        "a": [["76642", "0"], ["76642.1", "0"]],
                        "b": [["76598.9", "0.0783"], ["76596.4", "0"]],
                        "checksum": -431745958,
                        "seq": 483415085712,
                        "pseq": 483415077719,
                        "ts": "1777358880000",
                    }
                ],
                "ts": 1777358880001,
            },
        ],
        {"bid": [(76_598.9, 0.0783)], "ask": [(76_643, 1)]},
    ),
    # In the form of documentation; a contract is 0.0001 bitcoin. The second has numbers only.
    "gate": (
        listing("gate"),
        [
            {
                "channel": "futures.obu",
                "result": {
                    "t": 1743673026995,
                    "full": True,
                    "s": "ob.BTC_USDT.400",
                    "u": 79072179673,
                    "b": [["83705.9", "30166"]],
                    "a": [["83706", "4208"]],
                },
                "event": "update",
                "time_ms": 1743673026999,
            },
            {
                "channel": "futures.obu",
                "result": {
                    "t": 1743673027005,
                    "s": "ob.BTC_USDT.400",
                    "U": 79072179674,
                    "u": 79072179680,
                },
                "event": "update",
                "time_ms": 1743673027007,
            },
            {
                "channel": "futures.obu",
                "result": {
                    "t": 1743673037017,
                    "s": "ob.BTC_USDT.400",
                    "U": 79072179681,
                    "u": 79072179684,
                    "b": [["83702.2", "62"], ["83705.9", "0"]],
                },
                "event": "update",
                "time_ms": 1743673037020,
            },
        ],
        {"bid": [(83_702.2, 0.0062)], "ask": [(83_706, 0.4208)]},
    ),
    # From documentation; a contract of this swap is 0.01 bitcoin.
    "okx": (
        listing("okx"),
        [
            {
                "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
                "action": "snapshot",
                "data": [
                    {
                        "asks": [["8476.98", "415", "0", "13"], ["8477", "7", "0", "2"]],
                        "bids": [["8476.97", "256", "0", "12"], ["8475.55", "101", "0", "1"]],
                        "ts": "1597026383085",
                        "checksum": -855196043,
                        "prevSeqId": -1,
                        "seqId": 123456,
                    }
                ],
            },
            {  # nothing changed for a minute
                "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
                "action": "update",
                "data": [
                    {
                        "asks": [],
                        "bids": [],
                        "ts": "1597026443085",
                        "checksum": 0,
                        "prevSeqId": 123456,
                        "seqId": 123456,
                    }
                ],
            },
            {  # after maintenance
                "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
                "action": "update",
                "data": [
                    {
                        "asks": [["8477", "0", "0", "0"]],
                        "bids": [["8476.97", "12", "0", "1"]],
                        "ts": "1597026453085",
                        "checksum": 0,
                        "prevSeqId": 123456,
                        "seqId": 3,
                    }
                ],
            },
        ],
        {"bid": [(8476.97, 0.12), (8475.55, 1.01)], "ask": [(8476.98, 4.15)]},
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_an_exchange_s_own_messages_make_the_book_they_say(name: str) -> None:
    known, messages, expected = RECORDED[name]
    made = exchange(name).decoder([known])
    (channel,) = exchange(name).channels("book_level", [known])
    items = [
        made.read(
            json.dumps(message).encode(),
            1_790_000_000_000 * MS,
            channel.snapshot if "lastUpdateId" in message else None,
        )
        for message in messages
    ]
    assert levels(items[-1]) == expected
    assert not any(isinstance(item, Resync) for each in items for item in each)


def test_all_that_rests_is_known_where_all_levels_are_told() -> None:
    stream = next(stream for stream in STREAMS if stream.name == "deribit")
    items = start(decoder(stream), stream, 1, START, BIDS[:1], ASKS[:1])
    depths = {row.distance: row.amount for row in items if isinstance(row, BookDepth)}
    assert sorted(depths) == sorted(s * d for d in books.DISTANCES for s in (-1, 1))
    assert depths[-0.05] == pytest.approx(0.5)


def test_a_book_of_dollars_is_told_in_coins() -> None:
    # An inverse contract of Bybit is one dollar: 4,500 of them at 90,000 are 0.05 bitcoin.
    instrument = Instrument(exchange="bybit", symbol="BTC/USD:BTC")
    inverse = Listing(native="BTCUSD", category="inverse", instrument=instrument)
    message = {
        "topic": "orderbook.1000.BTCUSD",
        "type": "snapshot",
        "ts": START,
        "data": {"s": "BTCUSD", "b": [["90000", "4500"]], "a": [["90100", "9010"]], "u": 1},
    }
    items = read(exchange("bybit").decoder([inverse]), message)
    assert levels(items) == {"bid": [(90_000, 0.05)], "ask": [(90_100, 0.1)]}
    # The one level of each side lies 0.056 % from the mid, and nothing is known beyond it.
    assert [item for item in items if isinstance(item, BookDepth)] == []
