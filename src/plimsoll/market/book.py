"""An order book: what rests at each price, kept from a snapshot and the changes after it."""

from __future__ import annotations

import heapq
import math
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Book", "Depth", "Level"]

Level = tuple[float, float]
"""A price, quote per base, and what rests there, base units."""

_ROUNDING = 1e-12
_MOST = 1e100
"""Beyond any number of a market: sums of what is below it are finite."""


class Depth(NamedTuple):
    """All that rests between the mid price and a distance from it.

    Attributes
    ----------
    distance : float, fraction of the mid price
        Negative: bids, below the mid.
    amount : float, base units
    value : float, quote currency
        At the prices it rests at.
    """

    distance: float
    amount: float
    value: float


class Book:
    """Bids and asks, and how far from the mid price all of them are known.

    Parameters
    ----------
    bids, asks : iterable of (price, amount)
        The snapshot, in any order; an amount of zero is no level.
    most : int, optional
        Only so many levels a side are told of: beyond the last of these nothing is known. All
        levels are, if left out.
    within : tuple of (float, float), quote per base
        Only between these prices all levels are known; what lies beyond is passed over.

    Raises
    ------
    ValueError
        If a price is not positive, an amount is negative, or either is no number of a market.

    Examples
    --------
    >>> book = Book([(99, 2), (98, 5)], [(101, 3)])
    >>> book.change([(99, 0), (98.5, 1)], [])
    >>> book.bids(), book.mid
    ([(98.5, 1), (98, 5)], 99.75)
    """

    def __init__(
        self,
        bids: Iterable[Level],
        asks: Iterable[Level],
        *,
        most: int | None = None,
        within: tuple[float, float] = (0.0, math.inf),
    ) -> None:
        self._most, self._within = most, within
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self.change(bids, asks)

    def change(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Set what rests at some prices; an amount of zero takes the level away.

        Raises
        ------
        ValueError
            As for a snapshot; the book is then as it was.
        """
        told = list(bids), list(asks)
        for price, amount in chain(*told):
            if not (0 < price < _MOST and 0 <= amount < _MOST):
                raise ValueError(f"{amount!r} at {price!r} cannot rest in a book")
        low, high = self._within
        for side, levels in zip((self._bids, self._asks), told, strict=True):
            for price, amount in levels:
                if amount == 0:
                    side.pop(price, None)
                elif low <= price <= high:
                    side[price] = amount
        if self._most is not None:
            # What falls out of the levels told of may go unheard, so that it is forgotten at once.
            for price in heapq.nsmallest(len(self._bids) - self._most, self._bids):
                del self._bids[price]
            for price in heapq.nlargest(len(self._asks) - self._most, self._asks):
                del self._asks[price]

    def bids(self, most: int | None = None) -> list[Level]:
        """Return the highest bids, the best first; all that are known if `most` is left out."""
        return sorted(self._bids.items(), reverse=True)[:most]

    def asks(self, most: int | None = None) -> list[Level]:
        """Return the lowest asks, the best first; all that are known if `most` is left out."""
        return sorted(self._asks.items())[:most]

    @property
    def mid(self) -> float | None:
        """Half-way between the best bid and the best ask; None if either is missing."""
        if not self._bids or not self._asks:
            return None
        return (max(self._bids) + min(self._asks)) / 2

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids as much as another asks, which no exchange lets stand."""
        return bool(self._bids and self._asks) and max(self._bids) >= min(self._asks)

    def reach(self) -> tuple[float, float]:
        """Return how far below and above the mid price all that rests is known; fractions of it.

        Raises
        ------
        ValueError
            If a side is empty.
        """
        return self._reach(self.bids(), self.asks())

    def _reach(self, bids: list[Level], asks: list[Level]) -> tuple[float, float]:
        if not bids or not asks:
            raise ValueError("a book with an empty side has no mid price")
        low, high = self._within
        if self._most is not None:
            low, high = bids[-1][0], asks[-1][0]
        mid = (bids[0][0] + asks[0][0]) / 2
        return (mid - low) / mid, (high - mid) / mid

    def depth(self, distances: Sequence[float]) -> list[Depth]:
        """Return what rests within some distances of the mid price, on either side.

        Parameters
        ----------
        distances : sequence of float, fractions of the mid price
            Positive and rising.

        Returns
        -------
        list of Depth
            Bids first. A distance beyond what is known is left out, as all are where a side is
            empty.
        """
        bids, asks = self.bids(), self.asks()
        if not bids or not asks:
            return []
        mid, found = (bids[0][0] + asks[0][0]) / 2, []
        for sign, levels, reach in zip((-1, 1), (bids, asks), self._reach(bids, asks), strict=True):
            at, amount, value = 0, 0.0, 0.0
            for distance in distances:
                if distance > reach + _ROUNDING:
                    break
                edge = mid * (distance + _ROUNDING)
                while at < len(levels) and sign * (levels[at][0] - mid) <= edge:
                    price, rests = levels[at]
                    at, amount, value = at + 1, amount + rests, value + rests * price
                found.append(Depth(sign * distance, amount, value))
        return found
