"""What the inventory's engine works on: bars as an array, laws, state, and what it writes down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

if TYPE_CHECKING:
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
    "covered",
    "marks",
    "matrix",
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
    weight : ndarray, shape (sides, tiers), fraction
    liquidatable : ndarray, shape (sides,), fraction
    churn, taker : float
        See `Parameters`.
    ageing : ndarray, shape (ages,), fraction
        What moves on to the next class in one bar; zero for the last.
    closing : ndarray, shape (ages + 1,), dimensionless
        How readily each class closes; the last is the unplaced.
    left : ndarray, shape (sides, tiers, buckets), fraction
        What part of a tier's positions is left when the price is so many buckets away from their
        liquidation; all are that are farther away.
    lasting : ndarray, shape (sides, tiers, ages), dimensionless
        See `Parameters`; without tiers where all last alike.
    """

    step: float
    first: int
    shift: Floats
    weight: Floats
    liquidatable: Floats
    churn: float
    taker: float
    ageing: Floats
    closing: Floats
    left: Floats
    lasting: Floats


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
    held : ndarray, shape (sides, tiers, ages)
        The same, tier by tier.
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
        What was taken out where the price came in them.
    """

    cells: Floats
    sums: Floats
    known: Floats
    held: Floats
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
        What was liquidated: what was shown where the price came, less what attrition had taken.
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


def matrix(bars: pl.DataFrame) -> Floats:
    """Return bars as an array, checked.

    Parameters
    ----------
    bars : DataFrame
        With the columns of `Inventory.update`.

    Returns
    -------
    ndarray, shape (bars, 7)
        In the order of `BAR`; NaN where unknown.

    Raises
    ------
    ValueError
        If a column is missing, a price is not positive and finite, an amount is negative, or an
        open or close lies outside low to high.
    """
    if missing := [name for name in BAR if name not in bars.columns]:
        raise ValueError(f"bars need the columns {', '.join(BAR)}; missing: {', '.join(missing)}")
    frame = bars.select(pl.col(BAR).cast(pl.Float64).fill_nan(None))
    prices, amounts = pl.col(BAR[:4]), pl.col(BAR[4:])
    broken = frame.select(
        pl.any_horizontal(
            (prices <= 0) | prices.is_infinite(),
            (amounts < 0) | amounts.is_infinite(),
            pl.col("high") < pl.max_horizontal("open", "low", "close"),
            pl.col("low") > pl.min_horizontal("open", "close"),
        ).fill_null(value=False)
    ).to_series()
    if broken.any():
        row = int(broken.arg_true()[0])
        raise ValueError(f"bar {row} cannot be: {frame.row(row, named=True)}")
    return np.ascontiguousarray(frame.to_numpy(), dtype=np.float64)


def covered(coverage: Floats, reachable: tuple[float, float]) -> Floats:
    """Return how much of what can be liquidated on either side has a known entry.

    Parameters
    ----------
    coverage : ndarray, shape (columns, sides), fraction
    reachable : (float, float), fraction
        What part of each side can be liquidated; a side of which nothing can does not count.

    Returns
    -------
    ndarray, shape (columns,), fraction
        NaN where nothing can be.
    """
    share = np.array(reachable)
    if not share.any():
        return np.full(len(coverage), math.nan)
    whole: Floats = np.average(coverage[:, share > 0], axis=1, weights=share[share > 0])
    return whole


def marks(bars: pl.DataFrame) -> Floats | None:
    """Return how far down and up the mark price of each bar went.

    Parameters
    ----------
    bars : DataFrame
        With `mark_low` and `mark_high` (quote per base), or without.

    Returns
    -------
    ndarray, shape (bars, 2), or None
        NaN where unknown; None where nothing is.

    Raises
    ------
    ValueError
        If a price is not positive and finite, or a low above its high.
    """
    names = ["mark_low", "mark_high"]
    if not set(names) <= set(bars.columns) or bars["mark_low"].null_count() == len(bars):
        return None
    found = bars.select(pl.col(names).cast(pl.Float64).fill_null(math.nan)).to_numpy()
    known = found[~np.isnan(found).any(axis=1)]
    if not (np.isfinite(known).all() and (known > 0).all() and (known[:, 0] <= known[:, 1]).all()):
        raise ValueError("a bar's mark price must be positive and finite, its low at most its high")
    return np.ascontiguousarray(np.where(np.isnan(found).any(axis=1)[:, None], math.nan, found))
