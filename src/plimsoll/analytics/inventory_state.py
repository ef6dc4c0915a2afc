"""What the inventory's engine works on: bars as an array, laws, state, and what it writes down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "BAR",
    "CLOSE",
    "HIGH",
    "LONG",
    "LOW",
    "OPEN",
    "OPEN_INTEREST",
    "SHORT",
    "TAKER_BUY",
    "VOLUME",
    "Laws",
    "Record",
    "State",
]

LONG, SHORT = 0, 1
OPEN, HIGH, LOW, CLOSE, VOLUME, TAKER_BUY, OPEN_INTEREST = range(7)
BAR = ("open", "high", "low", "close", "volume", "taker_buy", "open_interest")
"""The columns of a bar, in the order of the constants above."""


class Laws(NamedTuple):
    """What stays the same from bar to bar.

    Attributes
    ----------
    step : float, log price
        The width of a bucket.
    first : int
        The bucket of row 0.
    shift : ndarray, shape (sides, tiers), log price
        Liquidation price over entry price.
    weight : ndarray, shape (tiers,), fraction
    liquidatable, churn, taker : float
        See `Parameters`.
    ageing : ndarray, shape (ages,), fraction
        What moves on to the next class in one bar; zero for the last.
    closing : ndarray, shape (ages + 1,), dimensionless
        How readily each class closes; the last is the unplaced.
    """

    step: float
    first: int
    shift: Floats
    weight: Floats
    liquidatable: float
    churn: float
    taker: float
    ageing: Floats
    closing: Floats


class State(NamedTuple):
    """What changes, in place. Amounts are base units; see the module for `B`.

    Attributes
    ----------
    cells : ndarray, shape (sides, tiers, ages, rows)
        Stored masses ``c``.
    sums : ndarray, shape (sides, ages, rows)
        `cells` summed over tiers.
    known : ndarray, shape (sides, ages)
        `cells` summed over tiers and over all buckets, off the grid as well.
    decay : ndarray, shape (sides, ages, ages)
        ``B``.
    unplaced : ndarray, shape (sides,)
        Positions whose entry is not known.
    frontier : ndarray of int, shape (sides,)
        No long stands in a higher bucket, no short in a lower one.
    open_interest : ndarray, shape (1,)
        As last known; NaN before that.
    pending : ndarray, shape (6,)
        High, low, volume and taker buys of the bars since then, placed as in a bar.
    waiting : ndarray of int, shape (1,)
        How many bars those are.
    crossed : ndarray, shape (sides,)
        What was crossed in them.
    """

    cells: Floats
    sums: Floats
    known: Floats
    decay: Floats
    unplaced: Floats
    frontier: NDArray[np.int64]
    open_interest: Floats
    pending: Floats
    waiting: NDArray[np.int64]
    crossed: Floats


class Record(NamedTuple):
    """What a run writes down; NaN where it is not known. Base units.

    Attributes
    ----------
    columns : ndarray, shape (columns, sides, view rows)
    coverage : ndarray, shape (columns, sides), fraction
        How much of what can be liquidated has a known entry.
    open_interest : ndarray, shape (columns,)
    crossed : ndarray, shape (bars, sides, tiers)
    opened, closed, placed, unplaced : ndarray, shape (bars, sides)
    inconsistent : ndarray of bool, shape (bars,)
    tiers : ndarray of float32, shape (columns, sides, tiers, view rows)
        The columns by tier; of length zero where nobody asks.
    cells : ndarray of int, shape (cells, 3)
        Bar, side and bucket of every cell that the price newly touched; see `touched_cells`.
    touched : ndarray, shape (cells, tiers)
        What stood in them when they were touched. Both of length zero where nobody asks.
    """

    columns: Floats
    coverage: Floats
    open_interest: Floats
    crossed: Floats
    opened: Floats
    closed: Floats
    placed: Floats
    unplaced: Floats
    inconsistent: NDArray[np.bool_]
    tiers: NDArray[np.float32]
    cells: NDArray[np.int64]
    touched: Floats
