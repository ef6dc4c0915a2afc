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
    coin : float
        How many of the exchange's units are one bitcoin; None where a unit is a dollar.
    snapshot : callable
        Returns message number n: (n, milliseconds, bids, asks).
    change : callable
        Returns message number n, which follows number n - 1.
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
]
