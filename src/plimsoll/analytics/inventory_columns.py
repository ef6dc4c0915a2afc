"""What an inventory shows of itself: compiled, and read by `inventory_numba` as it moves.

What stands in a cell is what was stored there, aged and closed (see `inventory_numba`), times what
is left of it: positions leave as the price comes nearer to where they would be liquidated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from plimsoll.analytics.inventory_state import LONG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.inventory_state import Laws, State

    Floats = NDArray[np.float64]

__all__ = ["bucket_of", "show", "split", "touch", "worth"]


@njit(cache=True, nogil=True)
def show(
    price: float, complete: bool, view: tuple[int, int], laws: Laws, state: State, column: Floats
) -> None:
    """Write what stands, but not in the row the price stands in; NaN where not known.

    Part of that row is on the wrong side of the price.

    Parameters
    ----------
    price : float, quote per base
    complete : bool
        Whether the state knows all up to now.
    view : (int, int)
        The column's first bucket, and how many buckets make a row.
    laws, state
    column : ndarray, shape (sides, view rows), base units
        Written to.
    """
    if math.isnan(price) or not complete:
        column[:] = np.nan
        return
    column[:] = 0.0
    touched = bucket_of(price, laws.step)
    for side in range(2):
        stored, factor = state.sums[side], worth(side, state.decay)
        start = max(laws.first, view[0])
        stop = min(laws.first + stored.shape[1], view[0] + view[1] * column.shape[1])
        at = view[0] + (touched - view[0]) // view[1] * view[1]  # the row the price stands in
        if side == LONG:
            stop = min(stop, at)
        else:
            start = max(start, at + view[1])
        row, part = divmod(start - view[0], view[1])
        for place in range(start - laws.first, stop - laws.first):
            mass = 0.0
            if abs(place + laws.first - touched) < laws.left.shape[2]:
                for tier in range(laws.left.shape[1]):
                    held = 0.0
                    for age in range(len(factor)):
                        held += factor[age] * state.cells[side, tier, age, place]
                    mass += held * laws.left[side, tier, abs(place + laws.first - touched)]
            else:
                for age in range(len(factor)):
                    mass += factor[age] * stored[age, place]
            column[side, row] += max(0.0, mass)
            part += 1
            if part == view[1]:
                row, part = row + 1, 0


@njit(forceinline=True)
def split(
    price: float,
    complete: bool,
    view: tuple[int, int],
    laws: Laws,
    state: State,
    tiers: NDArray[np.float32],
) -> None:
    """Write what `show` writes, tier by tier; shape (sides, tiers, view rows)."""
    if math.isnan(price) or not complete:
        tiers[:] = np.nan
        return
    tiers[:] = 0.0
    stored = state.cells
    touched = bucket_of(price, laws.step)
    at = (touched - view[0]) // view[1]
    for side in range(2):
        factor = worth(side, state.decay)
        start = max(laws.first, view[0])
        stop = min(laws.first + stored.shape[3], view[0] + view[1] * tiers.shape[2])
        for this in range(start, stop):
            row, place = (this - view[0]) // view[1], this - laws.first
            if row < at if side == LONG else row > at:
                for tier in range(stored.shape[1]):
                    mass = 0.0
                    for age in range(len(factor)):
                        mass += factor[age] * stored[side, tier, age, place]
                    mass *= _left(side, tier, abs(this - touched), laws)
                    tiers[side, tier, row] += max(0.0, mass)


@njit(forceinline=True)
def touch(cell: NDArray[np.int64], laws: Laws, state: State, mass: Floats) -> None:
    """Write what stands in a cell, tier by tier; nothing does outside the window."""
    side, row = cell[1], cell[2] - laws.first
    if 0 <= row < state.cells.shape[3]:
        factor = worth(side, state.decay)
        for tier in range(state.cells.shape[1]):
            for age in range(len(factor)):
                mass[tier] += factor[age] * state.cells[side, tier, age, row]
            mass[tier] = max(0.0, mass[tier] * _left(side, tier, 0, laws))


@njit(forceinline=True)
def _left(side: int, tier: int, away: int, laws: Laws) -> Any:
    """Return what part of a tier is left so many buckets from its liquidation."""
    return laws.left[side, tier, away] if away < laws.left.shape[2] else 1.0


@njit(forceinline=True)
def bucket_of(price: float, step: float) -> int:
    """Return the bucket of a price."""
    return math.floor(math.log(price) / step)


@njit(forceinline=True)
def worth(side: int, decay: Floats) -> Any:
    """Return what one stored unit of each class is worth, over all classes."""
    total = np.zeros(decay.shape[1])
    for age in range(len(total)):
        for stored in range(age + 1):
            total[stored] += decay[side, age, stored]
    return total
