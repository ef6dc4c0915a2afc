"""Order books of Deribit's engine, for `deribit`: all levels, each change saying what became of it.

Traps: amounts are dollars on inverse contracts, coins on others; what becomes of a level comes
before its price, and an amount of zero stands beside ``delete``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert

from plimsoll.exchanges.books import Told, offers
from plimsoll.exchanges.reading import nanoseconds

if TYPE_CHECKING:
    from plimsoll.exchanges.reading import Listing

__all__ = ["OFFERS", "instrument", "told", "topic", "unit"]

OFFERS = offers("all levels; futures", "documented")

_Row = tuple[Literal["new", "change", "delete"], float, float]


class _Book(Struct):
    type: Literal["snapshot", "change"]
    instrument_name: str
    timestamp: int
    change_id: int
    bids: list[_Row]
    asks: list[_Row]
    prev_change_id: int | None = None


def topic(native: str) -> str:
    """Return what to subscribe to."""
    return f"book.{native}.100ms"


def instrument(data: Any) -> str:
    """Return whose book a message is of."""
    return str(data["instrument_name"])


def unit(listing: Listing) -> tuple[float, bool]:
    """Return what amounts are counted in: one dollar, or one coin."""
    return 1.0, listing.category == "inverse"


def told(data: Any, listing: Listing) -> Told:
    """Return what a message says of a book."""
    book = convert(data, _Book)
    if book.type == "change" and book.prev_change_id is None:
        raise ValueError("a change does not say what it follows")
    return Told(
        topic=topic(book.instrument_name),
        listing=listing,
        time=nanoseconds(book.timestamp),
        id=book.change_id,
        follows=book.prev_change_id if book.type == "change" else None,
        bids=[_level(row) for row in book.bids],
        asks=[_level(row) for row in book.asks],
    )


def _level(row: _Row) -> tuple[float, float]:
    what, price, amount = row
    return price, 0.0 if what == "delete" else amount
