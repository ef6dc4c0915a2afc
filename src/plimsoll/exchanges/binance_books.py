"""Order books of Binance's futures, for `binance`: changes are streamed, snapshots asked for.

Traps: a change names the last number of the one before (``pu``), and its own first number need not
be the next; changes are of all prices, a snapshot of a thousand a side, so that nothing beyond is
known; the stream has a path of its own since 2026-04-23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert

from plimsoll.exchanges.base import Channel
from plimsoll.exchanges.books import KINDS, Told, offers
from plimsoll.exchanges.reading import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plimsoll.exchanges.reading import Listing, Request

__all__ = ["LEVELS", "OFFERS", "PATH", "WEIGHT", "change", "channels", "snapshot"]

PATH = "depth"
LEVELS, WEIGHT = 1_000, 20
OFFERS = offers("1,000 levels a side; futures only", "recorded")
SOCKETS = {
    "linear": "wss://fstream.binance.com/public/stream",
    "inverse": "wss://dstream.binance.com/stream",
}

_Levels = list[tuple[float, float]]


class _Snapshot(Struct):
    lastUpdateId: int
    T: int
    bids: _Levels
    asks: _Levels


class _Change(Struct):
    T: int
    u: int
    pu: int
    b: _Levels
    a: _Levels


def channels(listings: Sequence[Listing], asked: Callable[[Listing], Request]) -> list[Channel]:
    """Return one channel for each future, with the request for its snapshot."""
    return [
        Channel(
            url=SOCKETS[one.category],
            topic=_topic(one),
            kinds=KINDS,
            symbol=one.symbol,
            snapshot=asked(one),
        )
        for one in listings
        if one.category in SOCKETS
    ]


def _topic(listing: Listing) -> str:
    return f"{listing.native.lower()}@depth@500ms"


def snapshot(row: Any, listing: Listing) -> Told:
    """Return what the answer with a whole book says."""
    book = convert(row, _Snapshot, strict=False)
    return Told(
        topic=_topic(listing),
        listing=listing,
        time=nanoseconds(book.T),
        id=book.lastUpdateId,
        follows=None,
        bids=book.bids,
        asks=book.asks,
    )


def change(row: Any, listing: Listing) -> Told:
    """Return what a message says of a book."""
    book = convert(row, _Change, strict=False)
    return Told(
        topic=_topic(listing),
        listing=listing,
        time=nanoseconds(book.T),
        id=book.u,
        follows=book.pu,
        bids=book.b,
        asks=book.a,
    )
