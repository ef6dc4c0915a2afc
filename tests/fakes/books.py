"""How each exchange streams the book of Bitcoin: a snapshot, and changes, number by number.

Messages are modelled on each exchange's documentation, and made here, not by our adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STREAMS", "Levels", "Stream"]

Levels = list[tuple[float, float]]
"""Prices, and sizes in the exchange's own unit."""


@dataclass(frozen=True)
class Stream:
    """How an exchange streams a book.

    Attributes
    ----------
    name : str
        The exchange's.
    topic : str
    coin : float or None
        How many of the exchange's units are one bitcoin; None where a unit is a dollar.
    snapshot : callable
        Returns message number n: (n, milliseconds, bids, asks).
    change : callable
        Returns message number n, which follows number n - 1, or the messages that it is told by.
    path : str
        How the path ends that is asked for the snapshot; empty where that is streamed.
    is_whole : bool
        Whether all levels are told of, if they are few, so that every distance is known.
    """

    name: str
    topic: str
    coin: float | None
    snapshot: Callable[[int, int, Levels, Levels], Any]
    change: Callable[[int, int, Levels, Levels], Any]
    path: str = ""
    is_whole: bool = False

    def changes(self, n: int, time: int, bids: Levels, asks: Levels) -> list[Any]:
        """Return the messages of change number n."""
        made = self.change(n, time, bids, asks)
        return made if isinstance(made, list) else [made]


def _texts(levels: Levels, *more: str) -> list[list[str]]:
    return [[str(price), str(size), *more] for price, size in levels]


def _bybit(kind: str) -> Callable[[int, int, Levels, Levels], Any]:
    return lambda n, time, bids, asks: {
        "topic": "orderbook.1000.BTCUSDT",
        "type": kind,
        "ts": time + 2,
        "data": {
            "s": "BTCUSDT",
            "b": _texts(bids),
            "a": _texts(asks),
            "u": 20_254_869 + n,
            "seq": 130_020_238_981 + 17 * n,
        },
        "cts": time,
    }


def _okx(kind: str) -> Callable[[int, int, Levels, Levels], Any]:
    return lambda n, time, bids, asks: {
        "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"},
        "action": kind,
        "data": [
            {
                "asks": _texts(asks, "0", "13"),
                "bids": _texts(bids, "0", "1"),
                "ts": str(time),
                "checksum": 0,
                "prevSeqId": -1 if kind == "snapshot" else 123_456 + 13 * (n - 1),
                "seqId": 123_456 + 13 * n,
            }
        ],
    }


def _binance_snapshot(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    return {
        "lastUpdateId": 5_123_107_852_948 + 400 * n,
        "E": time + 8,
        "T": time,
        "bids": _texts(bids),
        "asks": _texts(asks),
    }


def _binance_change(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    last = 5_123_107_852_948 + 400 * n
    return {
        "stream": "btcusdt@depth@500ms",
        "data": {
            "e": "depthUpdate",
            "E": time + 1,
            "T": time,
            "s": "BTCUSDT",
            "U": last - 331,
            "u": last,
            "pu": last - 400,
            "b": _texts(bids),
            "a": _texts(asks),
        },
    }


def _deribit(kind: str) -> Callable[[int, int, Levels, Levels], Any]:
    def rows(levels: Levels) -> list[list[Any]]:
        words = {True: "new" if kind == "snapshot" else "change", False: "delete"}
        return [[words[_is_some(size)], price, size] for price, size in levels]

    return lambda n, time, bids, asks: {
        "jsonrpc": "2.0",
        "method": "subscription",
        "params": {
            "channel": "book.BTC-PERPETUAL.100ms",
            "data": {
                "type": kind,
                "timestamp": time,
                "instrument_name": "BTC-PERPETUAL",
                "change_id": 123_456_789 + 7 * n,
                **({} if kind == "snapshot" else {"prev_change_id": 123_456_782 + 7 * n}),
                "bids": rows(bids),
                "asks": rows(asks),
            },
        },
    }


def _is_some(size: Any) -> bool:
    return size != 0


def _kraken_snapshot(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    sides = [[{"price": price, "qty": size} for price, size in side] for side in (bids, asks)]
    return {
        "feed": "book_snapshot",
        "product_id": "PI_XBTUSD",
        "timestamp": time,
        "seq": 326_072_249 + 4 * n,
        "tickSize": None,
        "bids": sides[0],
        "asks": sides[1],
    }


def _kraken_change(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    """Return four messages of one level each; the last alone bears the time."""
    levels = [("buy", *level) for level in bids] + [("sell", *level) for level in asks]
    levels += [("buy", 1.0, 0)] * (4 - len(levels))  # takes away what is not there
    return [
        {
            "feed": "book",
            "product_id": "PI_XBTUSD",
            "side": side,
            "seq": 326_072_246 + 4 * n + at,
            "price": price,
            "qty": size,
            "timestamp": time if at == 3 else time - 1_000,
        }
        for at, (side, price, size) in enumerate(levels)
    ]


def _bitget(action: str) -> Callable[[int, int, Levels, Levels], Any]:
    return lambda n, time, bids, asks: {
        "action": action,
        "arg": {"instType": "usdt-futures", "topic": "books", "symbol": "BTCUSDT"},
        "data": [
            {
                "a": _texts(asks),
                "b": _texts(bids),
                "checksum": 0,
                "seq": 483_415_077_719 + 7_993 * n,
                **({} if action == "snapshot" else {"pseq": 483_415_069_726 + 7_993 * n}),
                "ts": str(time),
            }
        ],
        "ts": time + 1,
    }


def _gate_snapshot(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    last = 125_033_675_974 + 29 * n
    return _gate(
        time,
        {"full": True, "u": last, "b": _texts(bids), "a": _texts(asks)},
    )


def _gate_change(n: int, time: int, bids: Levels, asks: Levels) -> Any:
    last = 125_033_675_974 + 29 * n
    levels = {"b": _texts(bids), "a": _texts(asks)}
    some = {side: rows for side, rows in levels.items() if rows}
    return _gate(time, {"U": last - 28, "u": last, **some})


def _gate(time: int, result: dict[str, Any]) -> Any:
    return {
        "time": time // 1_000,
        "time_ms": time + 9,
        "channel": "futures.obu",
        "event": "update",
        "result": {"t": time, "s": "ob.BTC_USDT.400", **result},
    }


STREAMS = [
    Stream(
        name="binance",
        topic="btcusdt@depth@500ms",
        coin=1,
        snapshot=_binance_snapshot,
        change=_binance_change,
        path="depth",
        is_whole=True,
    ),
    Stream(
        name="bybit",
        topic="orderbook.1000.BTCUSDT",
        coin=1,
        snapshot=_bybit("snapshot"),
        change=_bybit("delta"),
    ),
    Stream(
        name="okx",
        topic="books:BTC-USDT-SWAP",
        coin=100,
        snapshot=_okx("snapshot"),
        change=_okx("update"),
    ),
    Stream(
        name="deribit",
        topic="book.BTC-PERPETUAL.100ms",
        coin=None,
        snapshot=_deribit("snapshot"),
        change=_deribit("change"),
        is_whole=True,
    ),
    Stream(
        name="kraken",
        topic="book:PI_XBTUSD",
        coin=None,
        snapshot=_kraken_snapshot,
        change=_kraken_change,
    ),
    Stream(
        name="bitget",
        topic="usdt-futures.books.BTCUSDT",
        coin=1,
        snapshot=_bitget("snapshot"),
        change=_bitget("update"),
    ),
    Stream(
        name="gate",
        topic="futures.obu.ob.BTC_USDT.400",
        coin=10_000,
        snapshot=_gate_snapshot,
        change=_gate_change,
    ),
]
