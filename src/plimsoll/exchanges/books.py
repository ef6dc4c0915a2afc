"""Order books as exchanges stream them: a snapshot, then changes that name what they follow.

Whatever an exchange calls its numbers, each change says which one it follows; where that is not the
one before, something was missed, the book is forgotten, and a `Resync` says so. Of a book that is
known, rows are told when it changes, but not more often than once in `EVERY`.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plimsoll.exchanges.base import Offer
from plimsoll.exchanges.reading import Resync, Synced
from plimsoll.market.book import Book
from plimsoll.market.events import BookDepth, BookLevel
from plimsoll.market.interval import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plimsoll.exchanges.reading import Listing
    from plimsoll.market.book import Level
    from plimsoll.market.events import Event

    _Items = list[Event | Resync | Synced]

__all__ = ["DISTANCES", "EVERY", "KINDS", "LEVELS", "Books", "Told", "offers"]

KINDS = ("book_depth", "book_level")
"""The tables that a book becomes rows of."""
EVERY = 5 * SECOND
"""Of the exchange's clock: a book is told of at most once in each stretch of this, nanoseconds."""
LEVELS = 20
"""So many of the best levels of each side are told."""
DISTANCES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
"""From the mid price, to either side; fractions of it."""
WAITING = 2_000
"""So many changes at most wait for their snapshot; if more came, it cannot be joined to them."""


class Told(NamedTuple):
    """What one message says of a book.

    Attributes
    ----------
    topic : str
        Of the channel it came by.
    listing : Listing
    time : int, UTC nanoseconds
        The exchange's.
    id : int
        The number of this state of the book.
    follows : int or None
        The number of the state that it changes; None for a snapshot.
    bids, asks : sequence of (price, size)
        Sizes in the exchange's unit; zero takes a level away.
    """

    topic: str
    listing: Listing
    time: int
    id: int
    follows: int | None
    bids: Sequence[Sequence[float]]
    asks: Sequence[Sequence[float]]


class _Kept:
    """A book, and up to which message it is known."""

    def __init__(self, book: Book, told: Told, received: int, *, is_joined: bool) -> None:
        self.book, self.id = book, told.id
        self.heard = self.told = received
        self.is_joined = is_joined
        self.stretch = -1
        self.reach = (0.0, 0.0) if book.mid is None else book.reach()


def offers(note: str, checked: Literal["recorded", "documented"]) -> dict[str, Offer]:
    """Return what an exchange offers that streams books, by kind."""
    told = f"once in 5 s; {note}"
    return dict.fromkeys(
        KINDS, Offer(stream=True, completeness="sampled", checked=checked, note=told)
    )


def contracts(listing: Listing) -> tuple[float, bool]:
    """Return the size of one contract, and whether that is in dollars."""
    instrument = listing.instrument
    return float(instrument.contract_size), instrument.settlement == "inverse"


class Books:
    """The books of one connection.

    Parameters
    ----------
    exchange : str
    most : int, optional
        Levels a side that the exchange tells of; all if left out.
    unit : callable
        Returns the size of one unit that an instrument's sizes are counted in, base units, or
        dollars, and whether it is dollars.
    is_asked : bool
        Whether snapshots are asked for over HTTP, beside the changes: these wait until they can be
        joined to one.
    """

    def __init__(
        self,
        exchange: str,
        *,
        most: int | None = None,
        unit: Callable[[Listing], tuple[float, bool]] = contracts,
        is_asked: bool = False,
    ) -> None:
        self._exchange, self._most, self._unit, self._is_asked = exchange, most, unit, is_asked
        self._kept: dict[str, _Kept] = {}
        # Of topics whose snapshot is on the way: changes that may come after it.
        self._waiting: dict[str, deque[tuple[Told, int]]] = {}

    def read(self, told: Told, received: int) -> _Items:
        """Return what a message makes known: rows now and then, or that the book was lost.

        Raises
        ------
        ValueError
            If a level cannot be one.
        """
        if told.follows is None:
            return self._begin(told, received)
        kept = self._kept.get(told.topic)
        if kept is None and self._is_asked:
            self._waiting.setdefault(told.topic, deque(maxlen=WAITING))
        if told.topic in self._waiting:
            if self._is_asked:
                self._waiting[told.topic].append((told, received))
        elif kept is None:
            return [self._lose(told, received, "changes came before the book")]
        return [] if kept is None else self._change(kept, told, received)

    def _begin(self, told: Told, received: int) -> _Items:
        """Keep a book from its snapshot on."""
        bids, asks = self._levels(told)
        within = (0.0, math.inf)
        if self._is_asked and self._most is not None:
            # Changes come of every price, but what rests beyond the snapshot is not known.
            low = min(bids)[0] if len(bids) >= self._most else 0.0
            within = low, max(asks)[0] if len(asks) >= self._most else math.inf
        book = Book(bids, asks, most=None if self._is_asked else self._most, within=within)
        kept = _Kept(book, told, received, is_joined=not self._is_asked)
        if (old := self._kept.get(told.topic)) is not None:
            kept.stretch = old.stretch
        self._kept[told.topic] = kept
        waiting = self._waiting.pop(told.topic, ())
        items: _Items = [Synced(told.topic), *self._sample(kept, told, received)]
        for later, came in waiting:
            items += self.read(later, came)
        return items

    def _change(self, kept: _Kept, told: Told, received: int) -> _Items:
        follows = told.follows or 0
        if not kept.is_joined:
            if told.id < kept.id:
                return []  # the snapshot has it already
            kept.is_joined = follows <= kept.id
            follows = kept.id if kept.is_joined else follows
        if follows != kept.id:
            why = f"a change follows {follows}, the book is at {kept.id}"
            return [self._lose(told, kept.heard, why)]
        kept.book.change(*self._levels(told))
        kept.id, kept.heard = told.id, received
        return self._sample(kept, told, received)

    def _sample(self, kept: _Kept, told: Told, received: int) -> _Items:
        """Return the book as rows, if it was not told in this stretch of time."""
        stretch = told.time // EVERY
        if stretch <= kept.stretch:
            return []
        if kept.book.is_crossed:
            return [self._lose(told, kept.told, "a bid is as high as an ask")]
        if self._is_asked and kept.book.mid is None and 0 not in kept.reach:
            waiting = self._waiting.get(told.topic)
            lost = self._lose(told, kept.told, "the price left what its snapshot reached")
            if waiting is not None:  # nothing is missing: the answer on its way will join these
                self._waiting[told.topic] = waiting
            return [lost]
        kept.stretch, kept.told = stretch, received
        about = {
            "exchange": self._exchange,
            "symbol": told.listing.symbol,
            "time": told.time,
            "received": received,
        }
        return [*_rows(kept.book, told.listing, about), *self._renewed(kept, told)]

    def _renewed(self, kept: _Kept, told: Told) -> _Items:
        """Have the snapshot asked for anew when the price nears an end of what it reaches."""
        if not self._is_asked or told.topic in self._waiting or 0 in kept.reach:
            return []
        reach = kept.book.reach()
        if all(now >= had / 2 for now, had in zip(reach, kept.reach, strict=True)):
            return []
        self._waiting[told.topic] = deque(maxlen=WAITING)
        return [Resync(told.topic, None, "the price nears the end of what the book reaches")]

    def _lose(self, told: Told, since: int, reason: str) -> Resync:
        self._kept.pop(told.topic, None)
        first = [(told, since)] if self._is_asked else []
        self._waiting[told.topic] = deque(first, maxlen=WAITING)
        return Resync(told.topic, since, f"book of {told.listing.native}: {reason}")

    def _levels(self, told: Told) -> tuple[list[Level], list[Level]]:
        """Return levels in base units."""
        size, is_dollars = self._unit(told.listing)
        bids, asks = (
            [(row[0], row[1] * size / row[0] if is_dollars else row[1] * size) for row in side]
            for side in (told.bids, told.asks)
        )
        return bids, asks


def _rows(book: Book, listing: Listing, about: dict[str, Any]) -> list[Event]:
    """Return a book's depths and its best levels."""
    is_dollars = listing.instrument.parts.quote.startswith("USD")
    depths = [
        BookDepth(
            **about,
            distance=depth.distance,
            amount=depth.amount,
            value_usd=depth.value if is_dollars else None,
        )
        for depth in book.depth(DISTANCES)
    ]
    sides: tuple[Literal["bid", "ask"], ...] = ("bid", "ask")
    levels = [
        BookLevel(**about, side=side, level=level, price=price, amount=amount)
        for side, rests in zip(sides, (book.bids(LEVELS), book.asks(LEVELS)), strict=True)
        for level, (price, amount) in enumerate(rests)
    ]
    return [*depths, *levels]
