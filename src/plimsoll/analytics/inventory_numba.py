"""The inventory's engine: compiled, and lazy where a plain one would touch every cell.

Ageing, closing and scaling multiply every cell of a side by the same small lower-triangular
matrix over age classes, whatever its tier and bucket. So they are not done to the cells. With
``m`` the masses of a cell by age class, the engine stores ``c`` and keeps one matrix for a side:

    m = B c

A bar then costs a few products of size ages × ages, and only the buckets that are opened in or
crossed are written. A deposit of ``x`` into the youngest class adds ``x B⁻¹ e₀`` to ``c``.
`B`'s diagonal falls with time and its inverse loses digits with it, so before a deposit that
finds an entry below `FLUSH`, `B` is applied to the cells and reset; about three of sixteen digits
are lost at most. The rule looks at the state alone: what is displayed, or how the bars arrive,
cannot change a bit of the result.

Steps are inlined by force: the state is a tuple of ten arrays, and handing it to a function costs
more than what the function does.

`inventory` states the model; `inventory_numpy` is the same model without any of this.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from plimsoll.analytics.inventory_columns import (
    bucket_of,
    left,
    show,
    split,
    touch,
    worth,
    worth_shown,
)
from plimsoll.analytics.inventory_state import (
    CLOSE,
    HIGH,
    LONG,
    LOW,
    OPEN,
    OPEN_INTEREST,
    TAKER_BUY,
    VOLUME,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plimsoll.analytics.inventory_state import Laws, Record, State

    Floats = NDArray[np.float64]

__all__ = ["advance", "touched_cells"]

FLUSH = 1e-3
DUST = 1e-100
"""Less than this is nothing: what decays for ever would end in denormal numbers, which are slow."""


@njit(cache=True, nogil=True)
def advance(
    bars: Floats,
    reach: Floats,
    shown: NDArray[np.bool_],
    view: tuple[int, int],
    laws: Laws,
    state: State,
    record: Record,
) -> None:
    """Move the state through the bars, writing the record.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
        Columns as in `BAR`; NaN where unknown.
    reach : ndarray, shape (bars, 2), quote per base
        How far down longs are crossed, and how far up shorts; NaN with the bar's prices.
    shown : ndarray of bool, shape (bars,)
        Whether to write a column at the bar's open.
    view : (int, int)
        The columns' first bucket, and how many buckets make a row.
    laws, state, record
        Arrays of matching shapes.
    """
    column = cell = 0
    for t in range(len(bars)):
        bar = bars[t]
        if shown[t]:
            complete = state.waiting[0] == 0
            show(bar[OPEN], complete, view, laws, state, record.columns[column])
            _cover(complete and not math.isnan(bar[OPEN]), laws, state, column, record)
            if len(record.tiers):
                split(bar[OPEN], complete, view, laws, state, record.tiers[column])
            column += 1
        while cell < len(record.cells) and record.cells[cell, 0] == t:
            touch(record.cells[cell], laws, state, record.touched[cell])
            cell += 1
        priced = not math.isnan(bar[OPEN] + bar[HIGH] + bar[LOW] + bar[CLOSE])
        if priced:
            for side in range(2):
                reached = bucket_of(reach[t, side], laws.step)
                _cross(side, reached, laws, state, record.crossed[t, side])
        _age(laws, state)
        _pend(bar, state)
        if priced and not math.isnan(bar[OPEN_INTEREST]):
            record.inconsistent[t] = _trade(
                bar[CLOSE], bar[OPEN_INTEREST], laws, state, record.opened[t], record.closed[t]
            )
        for side in range(2):
            record.placed[t, side] = _standing(side, state)
            record.unplaced[t, side] = state.unplaced[side]


@njit(cache=True, nogil=True)
def touched_cells(bars: Floats, reach: Floats, step: float) -> Any:
    """Return the cells that each bar's price touches and had not touched when the bar began.

    Longs' are the buckets from how far down the bar reached up to the higher of its open and the
    close before; shorts' those above the lower of these up to how far up it did. The bucket a price
    stands in is touched.
    After bars without a price only the open counts: when the price passed the rest is not known.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
        Columns as in `BAR`.
    reach : ndarray, shape (bars, 2), quote per base
        As in `advance`.
    step : float, log price

    Returns
    -------
    ndarray of int, shape (cells, 3)
        Bar, side and bucket; in this order, and the buckets from near to far.
    """
    count = 0
    for counting in (True, False):
        cells = np.empty((0 if counting else count, 3), dtype=np.int64)
        at, before = 0, np.nan
        for t in range(len(bars)):
            bar = bars[t]
            if math.isnan(bar[OPEN] + bar[HIGH] + bar[LOW] + bar[CLOSE]):
                before = np.nan
                continue
            above, below = np.fmax(bar[OPEN], before), np.fmin(bar[OPEN], before)
            before = bar[CLOSE]
            for side in range(2):
                sign = -1 if side == LONG else 1
                bucket = bucket_of(above if side == LONG else below, step)
                last = bucket_of(reach[t, side], step)
                while (last - bucket) * sign > 0:
                    bucket += sign
                    if not counting:
                        cells[at, 0], cells[at, 1], cells[at, 2] = t, side, bucket
                    at += 1
        count = at
    return cells


@njit(forceinline=True)
def _standing(side: int, state: State) -> Any:
    """Return what stands on a side with a known entry, on the grid or off it; base units."""
    total = 0.0
    for age in range(state.known.shape[1]):
        total += _mass(side, age, state.decay, state.known)
    return total


@njit(forceinline=True)
def _mass(side: int, age: int, decay: Floats, known: Floats) -> Any:
    mass = 0.0
    for stored in range(age + 1):
        mass += decay[side, age, stored] * known[side, stored]
    return max(0.0, mass)


@njit(forceinline=True)
def _cover(complete: bool, laws: Laws, state: State, column: int, record: Record) -> None:
    """Write the open interest, and how much of it has a known entry."""
    record.open_interest[column] = state.open_interest[0] if complete else np.nan
    for side in range(2):
        total = laws.liquidatable[side] * state.open_interest[0]
        coverage = np.nan
        if complete and total > 0.0:
            coverage = min(1.0, _standing(side, state) / total)
        record.coverage[column, side] = coverage


@njit(forceinline=True)
def _cross(side: int, reached: int, laws: Laws, state: State, crossed: Floats) -> None:
    """Take out every bucket the price touches; into `crossed`, by tier, goes what was shown there.

    What attrition took before is gone as well: flows count it among the closed.
    """
    frontier = state.frontier[side]
    start, stop = (reached, frontier + 1) if side == LONG else (frontier, reached + 1)
    if start >= stop:
        return
    tiers, ages = state.cells.shape[1:3]
    factor, factors = worth(side, state.decay), worth_shown(side, laws, state)
    for tier in range(tiers):
        gone = 0.0
        for age in range(ages):
            stored = 0.0
            for row in range(start - laws.first, stop - laws.first):
                stored += state.cells[side, tier, age, row]
                state.cells[side, tier, age, row] = 0.0
                state.sums[side, age, row] = 0.0
            gone += factor[age] * stored
            crossed[tier] += factors[tier, age] * stored
            state.known[side, age] -= stored
            state.held[side, tier, age] -= stored
        state.crossed[side] += max(0.0, gone)
        crossed[tier] = max(0.0, crossed[tier] * left(side, tier, 0, laws))
    state.frontier[side] = start - 1 if side == LONG else stop


@njit(forceinline=True)
def _age(laws: Laws, state: State) -> None:
    decay = state.decay
    for side in range(2):
        for age in range(decay.shape[1] - 1, -1, -1):  # so that what came does not move on
            for stored in range(age + 1):
                decay[side, age, stored] *= 1.0 - laws.ageing[age]
                if age:
                    decay[side, age, stored] += laws.ageing[age - 1] * decay[side, age - 1, stored]


@njit(forceinline=True)
def _pend(bar: Floats, state: State) -> None:
    """Join the bar to those that wait for the next known open interest."""
    pending = state.pending
    pending[HIGH] = np.fmax(pending[HIGH], bar[HIGH])
    pending[LOW] = np.fmin(pending[LOW], bar[LOW])
    pending[VOLUME] += bar[VOLUME]
    pending[TAKER_BUY] += bar[TAKER_BUY]
    state.waiting[0] += 1


@njit(forceinline=True)
def _trade(
    close: float, open_interest: float, laws: Laws, state: State, opened: Floats, closed: Floats
) -> bool:
    """Close, open and reconcile both sides; return whether |ΔOI| exceeds the volume."""
    pending, inconsistent = state.pending, False
    if not math.isnan(state.open_interest[0]):
        change = open_interest - state.open_interest[0]
        inconsistent = abs(change) > pending[VOLUME]
        _flows(change, pending[VOLUME], pending[TAKER_BUY], laws, opened, closed)
        for side in range(2):
            _close(side, closed[side] - state.crossed[side], laws, state)
            _flush(side, state)
            _open(side, opened[side], close, laws, state)
    for side in range(2):
        _reconcile(side, laws.liquidatable[side] * open_interest, state)
    state.open_interest[0] = open_interest
    pending[HIGH] = pending[LOW] = np.nan
    pending[VOLUME] = pending[TAKER_BUY] = 0.0
    state.waiting[0] = 0
    state.crossed[:] = 0.0
    return inconsistent


@njit(forceinline=True)
def _flows(
    change: float, volume: float, taker_buy: float, laws: Laws, opened: Floats, closed: Floats
) -> None:
    """Solve the flow identities for what opened and closed on each side."""
    lean = 0.0
    if volume > 0.0 and not math.isnan(taker_buy):
        lean = laws.taker * (2.0 * taker_buy / volume - 1.0)
    kept = 0.0  # churn that outlives the bar
    if volume > abs(change):
        kept = laws.churn * (volume - abs(change))
    long_share = 1.0 / (1.0 + math.exp(-lean))
    for side in range(2):
        share = long_share if side == LONG else 1.0 - long_share
        opened[side] = laws.liquidatable[side] * (max(0.0, change) + share * kept)
        closed[side] = laws.liquidatable[side] * (max(0.0, -change) + share * kept)


@njit(forceinline=True)
def _close(side: int, amount: float, laws: Laws, state: State) -> None:
    """Take closings from all classes by mass × readiness."""
    ages = state.known.shape[1]
    mass, left = np.zeros(ages + 1), np.ones(ages + 1)
    for age in range(ages):
        mass[age] = _mass(side, age, state.decay, state.known)
    mass[ages] = state.unplaced[side]
    _leave(amount, mass, laws.closing, left)
    for age in range(ages):
        for stored in range(age + 1):
            state.decay[side, age, stored] *= left[age]
    state.unplaced[side] *= left[ages]


@njit(forceinline=True)
def _leave(amount: float, mass: Floats, readiness: Floats, left: Floats) -> None:
    """Turn `left` from ones into shares that stay; what a class cannot give, the others do."""
    while amount > 0.0:
        reach = 0.0
        for age in range(len(mass)):
            reach += left[age] * mass[age] * readiness[age]
        if reach <= 0.0:
            return
        emptied = 0.0
        for age in range(len(mass)):
            if left[age] * mass[age] > 0.0 and amount * readiness[age] >= reach:
                left[age] = 0.0
                emptied += mass[age]
        if emptied == 0.0:
            for age in range(len(mass)):
                left[age] *= max(0.0, 1.0 - amount * readiness[age] / reach)
            return
        amount -= emptied


@njit(forceinline=True)
def _flush(side: int, state: State) -> None:
    """Apply `decay` to the cells and reset it, where a deposit would lose digits."""
    ages, smallest = state.known.shape[1], 1.0
    for age in range(ages):
        smallest = min(smallest, state.decay[side, age, age])
    if smallest >= FLUSH:
        return
    decay = state.decay[side]
    for tier in range(state.cells.shape[1]):
        _apply(decay, state.cells[side, tier])
        _apply(decay, state.held[side, tier].reshape(-1, 1))
    _apply(decay, state.sums[side])
    _apply(decay, state.known[side].reshape(-1, 1))
    for age in range(ages):
        for stored in range(ages):
            decay[age, stored] = 1.0 if age == stored else 0.0


@njit(forceinline=True)
def _apply(decay: Floats, stored: Floats) -> None:
    for age in range(len(decay) - 1, -1, -1):  # from the oldest, which needs all the younger
        mass = stored[age]
        for row in range(len(mass)):
            mass[row] *= decay[age, age]
        for younger in range(age):
            for row in range(len(mass)):
                mass[row] += decay[age, younger] * stored[younger, row]
        for row in range(len(mass)):
            mass[row] = mass[row] if mass[row] > DUST else 0.0


@njit(forceinline=True)
def _open(side: int, amount: float, close: float, laws: Laws, state: State) -> None:
    """Spread openings over the pending range of entries, tier by tier."""
    touched = bucket_of(close, laws.step)
    lowest, highest = math.log(state.pending[LOW]), math.log(state.pending[HIGH])
    unit = _deposit(side, state.decay)
    cells, sums = state.cells, state.sums
    frontier, kept = state.frontier[side], 0.0
    for tier in range(laws.weight.shape[1]):
        low = (lowest + laws.shift[side, tier]) / laws.step
        high = (highest + laws.shift[side, tier]) / laws.step
        start, stop, entered = math.floor(low), math.floor(high) + 1, 0.0
        if side == LONG:
            stop = min(stop, touched)
        else:
            start = max(start, touched + 1)
        for bucket in range(start, stop):
            share = 1.0
            if high > low:
                share = (min(high, bucket + 1.0) - max(low, float(bucket))) / (high - low)
            mass = amount * laws.weight[side, tier] * share
            kept += mass
            entered += mass
            row = bucket - laws.first
            if mass > 0.0 and 0 <= row < sums.shape[2]:
                for age in range(len(unit)):
                    cells[side, tier, age, row] += mass * unit[age]
                    sums[side, age, row] += mass * unit[age]
                frontier = max(frontier, bucket) if side == LONG else min(frontier, bucket)
        for age in range(len(unit)):
            state.held[side, tier, age] += entered * unit[age]
    state.frontier[side] = frontier
    for age in range(len(unit)):
        state.known[side, age] += kept * unit[age]


@njit(forceinline=True)
def _deposit(side: int, decay: Floats) -> Any:
    """Solve B x = e₀: what to store so that one unit stands in the youngest class."""
    x = np.zeros(decay.shape[1])
    x[0] = 1.0 / decay[side, 0, 0]
    for age in range(1, len(x)):
        for younger in range(age):
            x[age] -= decay[side, age, younger] * x[younger]
        x[age] /= decay[side, age, age]
    return x


@njit(forceinline=True)
def _reconcile(side: int, total: float, state: State) -> None:
    """Hold known + unplaced to the total; known entries are never invented, only scaled down."""
    known = _standing(side, state)
    if known > total:
        for age in range(state.known.shape[1]):
            for stored in range(age + 1):
                state.decay[side, age, stored] *= total / known
    state.unplaced[side] = max(0.0, total - known)
