"""Gate's order books, for `gate`, by the second version of its channel.

Traps: a snapshot may come at any time; a change may have no levels, only numbers; the channel
before this one sends no snapshot, and is not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert

from plimsoll.exchanges.books import Told, offers
from plimsoll.exchanges.reading import nanoseconds

if TYPE_CHECKING:
    from plimsoll.exchanges.reading import Listing

__all__ = ["CHANNEL", "LEVELS", "OFFERS", "contract", "told", "topic"]

CHANNEL = "futures.obu"
LEVELS = 400
OFFERS = offers("400 levels a side", "documented")

_BEGIN, _END = "ob.", f".{LEVELS}"


class _Book(Struct):
    t: int
    s: str
    u: int
    U: int | None = None
    full: bool = False
    b: list[tuple[float, float]] = []
    a: list[tuple[float, float]] = []


def topic(native: str) -> str:
    """Return what to subscribe to, after the channel's name."""
    return f"{CHANNEL}.{_BEGIN}{native}{_END}"


def contract(data: Any) -> str:
    """Return whose book a message is of."""
    return str(data["s"]).removeprefix(_BEGIN).removesuffix(_END)


def told(data: Any, listing: Listing) -> Told:
    """Return what a message says of a book."""
    book = convert(data, _Book, strict=False)
    if not book.full and book.U is None:
        raise ValueError("a change does not say what it follows")
    return Told(
        topic=topic(listing.native),
        listing=listing,
        time=nanoseconds(book.t),
        id=book.u,
        follows=None if book.full or book.U is None else book.U - 1,
        bids=book.b,
        asks=book.a,
    )
