r"""What an inventory shows of itself: compiled, and read by `inventory_numba` as it moves.

What stands in a cell is what was stored there, aged and closed (see `inventory_numba`), times what
is left of it: positions leave as the price comes nearer to where they would be liquidated, and some
tiers last longer than others. With ratios :math:`r_{ka}` of tier :math:`k` in class :math:`a`, and
the masses :math:`m_{ka}` of a side on the grid and off it, shown is of a cell's mass the part

.. math:: r_{ka} \frac{\sum_j m_{ja}}{\sum_j r_{ja} m_{ja}},

which may exceed one, so that each side's classes keep their totals.
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

__all__ = [
    "bucket_of",
    "lasting",
    "left",
    "show",
    "split",
    "touch",
    "worth",
    "worth_shown",
]


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
    alike = laws.lasting.shape[1] == 0
    for side in range(2):
        stored, factor = state.sums[side], worth(side, state.decay)
        factors = worth_shown(side, laws, state)
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
            away = abs(place + laws.first - touched)
            if away < laws.left.shape[2] or not alike:
                for tier in range(len(factors)):
                    held = 0.0
                    for age in range(len(factor)):
                        held += factors[tier, age] * state.cells[side, tier, age, place]
                    mass += held * left(side, tier, away, laws)
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
        factors = worth_shown(side, laws, state)
        start = max(laws.first, view[0])
        stop = min(laws.first + stored.shape[3], view[0] + view[1] * tiers.shape[2])
        for this in range(start, stop):
            row, place = (this - view[0]) // view[1], this - laws.first
            if row < at if side == LONG else row > at:
                for tier in range(stored.shape[1]):
                    mass = 0.0
                    for age in range(stored.shape[2]):
                        mass += factors[tier, age] * stored[side, tier, age, place]
                    mass *= left(side, tier, abs(this - touched), laws)
                    tiers[side, tier, row] += max(0.0, mass)


@njit(forceinline=True)
def touch(cell: NDArray[np.int64], laws: Laws, state: State, mass: Floats) -> None:
    """Write what stands in a cell, tier by tier; nothing does outside the window."""
    side, row = cell[1], cell[2] - laws.first
    if 0 <= row < state.cells.shape[3]:
        factors = worth_shown(side, laws, state)
        for tier in range(state.cells.shape[1]):
            for age in range(state.cells.shape[2]):
                mass[tier] += factors[tier, age] * state.cells[side, tier, age, row]
            mass[tier] = max(0.0, mass[tier] * left(side, tier, 0, laws))


@njit(forceinline=True)
def left(side: int, tier: int, away: int, laws: Laws) -> Any:
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


@njit(forceinline=True)
def worth_shown(side: int, laws: Laws, state: State) -> Any:
    """Return what one stored unit of each tier and class is worth where it is shown."""
    tiers, ages = state.held.shape[1:]
    found = np.zeros((tiers, ages))
    if laws.lasting.shape[1] == 0:
        factor = worth(side, state.decay)
        for tier in range(tiers):
            found[tier] = factor
        return found
    parts = lasting(side, laws, state)
    for tier in range(tiers):
        for age in range(ages):
            for stored in range(age + 1):
                found[tier, stored] += parts[tier, age] * state.decay[side, age, stored]
    return found


@njit(cache=True, nogil=True, forceinline=True)
def lasting(side: int, laws: Laws, state: State) -> Any:
    """Return by what each tier's mass of each class is multiplied where it is shown."""
    tiers, ages = state.held.shape[1:]
    found = np.ones((tiers, ages))
    if laws.lasting.shape[1] == 0:
        return found
    for age in range(ages):
        total = weighted = 0.0
        for tier in range(tiers):
            mass = 0.0
            for stored in range(age + 1):
                mass += state.decay[side, age, stored] * state.held[side, tier, stored]
            total += max(0.0, mass)
            weighted += laws.lasting[side, tier, age] * max(0.0, mass)
        for tier in range(tiers):
            if weighted > 0.0:
                found[tier, age] = laws.lasting[side, tier, age] * total / weighted
    return found
