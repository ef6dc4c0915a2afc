r"""What becomes of open positions when their exchange asks for another maintenance margin.

Exchanges apply new brackets to positions that are open [1]_. A position entered at :math:`E` with
leverage :math:`L` is then liquidated elsewhere, by a factor that depends on neither: with side
:math:`d = \pm 1`, fee :math:`f`, and the rate :math:`m` before, :math:`m'` after,

.. math:: \frac{P'}{P} = \frac{m + f - d}{m' + f - d} \text{ (linear)}, \qquad
          \frac{P'}{P} = \frac{m' + f + d}{m + f + d} \text{ (inverse)}.

So all of a side moves by one distance on the grid, each bucket's mass over the two it then covers.
What comes to stand where the price is, the next bar crosses. New positions are not opened at a
leverage whose initial margin no longer exceeds the maintenance; its weight goes to the others.

References
----------
.. [1] Binance Futures, announcements of leverage and margin tiers, such as that of IMXUSDT of 21
   September 2023: positions opened before the change are affected by it.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import LONG, Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory_state import Laws, State

    Floats = NDArray[np.float64]

__all__ = ["move", "part", "stretches"]


def stretches(rates: Floats | None, bars: int, before: float) -> Iterator[tuple[int, int, float]]:
    """Yield first bar, end and rate of each run of bars with one maintenance rate.

    Parameters
    ----------
    rates : ndarray, shape (bars,), fraction of notional, or None
        In force at each bar's open; NaN, and None, for no news.
    bars : int
    before : float
        In force before the first.
    """
    if rates is None:
        yield 0, bars, before
        return
    at = np.maximum.accumulate(np.where(np.isnan(rates), -1, np.arange(bars)))
    known = np.where(at < 0, before, rates[at])
    starts = np.flatnonzero(np.diff(known, prepend=np.nan) != 0)
    for start, stop in pairwise([*starts, bars]):
        yield int(start), int(stop), float(known[start])


def part(record: Record, shown: NDArray[np.bool_], start: int, stop: int) -> Record:
    """Return what some of the bars write of a record; all but the cells are views.

    Parameters
    ----------
    record : Record
    shown : ndarray of bool, shape (bars,)
        At which bars a column is written.
    start, stop : int
        Bars.
    """
    of_columns = slice(np.count_nonzero(shown[:start]), np.count_nonzero(shown[:stop]))
    of_cells = slice(*np.searchsorted(record.cells[:, 0], [start, stop]))
    columns = {"columns", "coverage", "open_interest", "tiers"}
    chosen = {
        name: values[of_columns if name in columns else slice(start, stop)]
        for name, values in record._asdict().items()
    }
    cells = record.cells[of_cells] - np.array([start, 0, 0])
    return Record(**chosen | {"cells": cells, "touched": record.touched[of_cells]})


def move(state: State, before: Laws, after: Laws) -> None:
    """Move what stands to where it is liquidated from now on, in place.

    Parameters
    ----------
    state : State
    before, after : Laws
        Of one grid.
    """
    rows = state.sums.shape[2]
    for side in range(2):
        by = float(after.shift[side, 0] - before.shift[side, 0]) / after.step
        for held in (state.cells[side], state.sums[side]):
            held[:] = _moved(held, by)
        ends = after.first, after.first + rows - 1
        if side == LONG:
            state.frontier[side] = min(state.frontier[side] + math.ceil(by), ends[1])
        else:
            state.frontier[side] = max(state.frontier[side] + math.floor(by), ends[0])


def _moved(mass: Floats, by: float) -> Floats:
    """Return masses so many buckets farther up; what leaves the window is on no row."""
    whole = math.floor(by)
    moved, rows = np.zeros_like(mass), mass.shape[-1]
    for at, share in ((whole, 1.0 - (by - whole)), (whole + 1, by - whole)):
        kept = max(0, rows - abs(at))
        to_row, from_row = max(0, at), max(0, -at)
        moved[..., to_row : to_row + kept] += share * mass[..., from_row : from_row + kept]
    return moved
