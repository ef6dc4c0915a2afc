"""OKX's order books, for `okx`.

Traps: a book says nothing for a minute if nothing changes, then repeats its number; after
maintenance numbers may fall, yet each change names the one before; the checksum is always zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert

from plimsoll.exchanges.base import Channel
from plimsoll.exchanges.books import KINDS, Told, offers
from plimsoll.exchanges.reading import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.exchanges.reading import Listing

__all__ = ["CHANNEL", "LEVELS", "OFFERS", "channels", "told"]

CHANNEL = "books"
LEVELS = 400
OFFERS = offers("400 levels a side; not of options", "documented")

_Row = tuple[float, float, int, int]


class _Book(Struct):
    bids: list[_Row]
    asks: list[_Row]
    ts: str
    seqId: int
    prevSeqId: int


def channels(url: str, listings: Sequence[Listing]) -> list[Channel]:
    """Return one channel for each instrument."""
    return [
        Channel(url=url, topic=f"{CHANNEL}:{one.native}", kinds=KINDS, symbol=one.symbol)
        for one in listings
        if one.category != "OPTION"
    ]


def told(row: Any, action: Literal["snapshot", "update"], listing: Listing) -> Told:
    """Return what a message says of a book."""
    if action not in {"snapshot", "update"}:
        raise ValueError(f"{action!r} is neither a snapshot nor an update")
    book = convert(row, _Book, strict=False)
    return Told(
        topic=f"{CHANNEL}:{listing.native}",
        listing=listing,
        time=nanoseconds(book.ts),
        id=book.seqId,
        follows=None if action == "snapshot" else book.prevSeqId,
        bids=book.bids,
        asks=book.asks,
    )
