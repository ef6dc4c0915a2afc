"""Order books of Kraken's futures, for `kraken`: each change is of one level, and is numbered.

Traps: numbers are a product's own and rise by one; how many levels a snapshot has is documented
nowhere, so that nothing is known beyond its farthest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from plimsoll.exchanges.books import Told, offers
from plimsoll.exchanges.reading import decode, nanoseconds

if TYPE_CHECKING:
    from plimsoll.exchanges.reading import Listing

__all__ = ["FEED", "LEVELS", "OFFERS", "told"]

FEED = "book"
LEVELS = sys.maxsize
OFFERS = offers("as far as it is sent", "recorded")


class _Level(Struct):
    price: float
    qty: float


class _Snapshot(Struct):
    product_id: str
    timestamp: int
    seq: int
    bids: list[_Level]
    asks: list[_Level]


class _Change(Struct):
    product_id: str
    timestamp: int
    seq: int
    side: Literal["buy", "sell"]
    price: float
    qty: float


def told(payload: bytes, feed: str, listing: Listing) -> Told:
    """Return what a message says of a book."""
    book: _Change | _Snapshot
    book = decode(payload, _Change) if feed == FEED else decode(payload, _Snapshot)
    if isinstance(book, _Change):
        level = [(book.price, book.qty)]
        bids, asks = (level, []) if book.side == "buy" else ([], level)
    else:
        bids, asks = ([(one.price, one.qty) for one in side] for side in (book.bids, book.asks))
    return Told(
        topic=f"{FEED}:{book.product_id}",
        listing=listing,
        time=nanoseconds(book.timestamp),
        id=book.seq,
        follows=book.seq - 1 if isinstance(book, _Change) else None,
        bids=bids,
        asks=asks,
    )
