r"""What becomes of open positions when their exchange asks for another maintenance margin.

Exchanges apply new brackets to positions that are open [1]_. Each tier then stands where these
liquidate it (see `margins.log_factors`): it moves by one distance on the grid, each bucket's mass
over the two it then covers. At one rate for all sizes, :math:`m` before and :math:`m'` after, all
of a side moves alike, with side :math:`d = \pm 1` and fee :math:`f` by

.. math:: \frac{P'}{P} = \frac{m + f - d}{m' + f - d} \text{ (linear)}, \qquad
          \frac{P'}{P} = \frac{m' + f + d}{m + f + d} \text{ (inverse)}.

What comes to stand where the price is, the next bar crosses. New positions are opened at a leverage
as far as its initial margin exceeds the maintenance and the brackets allow it; the rest of its
weight goes to the others. Where none is allowed, as before a delisting, what opens is unplaced.

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
import polars as pl

from plimsoll.analytics.inventory_state import LONG, Record
from plimsoll.analytics.margins import in_force, smallest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.inventory_state import Laws, State

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["changes", "move", "part", "stretches"]


def stretches(brackets: Ints | None, bars: int, before: int) -> Iterator[tuple[int, int, int]]:
    """Yield first bar, end and brackets of each run of bars in which they do not change.

    Parameters
    ----------
    brackets : ndarray of int, shape (bars,), or None
        Which are in force at each bar's open; None for those before.
    bars : int
    before : int
    """
    if brackets is None:
        yield 0, bars, before
        return
    starts = np.flatnonzero(np.diff(brackets, prepend=-1))
    for start, stop in pairwise([*starts, bars]):
        yield int(start), int(stop), int(brackets[start])


def changes(bars: pl.DataFrame, parameters: Parameters) -> pl.DataFrame | None:
    """Return when other brackets came into force within some bars.

    Parameters
    ----------
    bars : DataFrame
        With `time`.
    parameters : Parameters

    Returns
    -------
    DataFrame or None
        `time` and the first bracket's rate, `maintenance`; None where they do not change.
    """
    runs = stretches(in_force(bars, parameters.maintenance), len(bars), 0)
    later = [(bars["time"][start], which) for start, _, which in runs if start]
    rates = [smallest(parameters.maintenance, which) for _, which in later]
    changed = pl.DataFrame({"time": [time for time, _ in later], "maintenance": rates})
    return changed if later else None


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
    by = (after.shift - before.shift) / after.step
    for side, cells in enumerate(state.cells):
        for tier, far in enumerate(by[side]):
            cells[tier] = _moved(cells[tier], float(far))
        state.sums[side] = cells.sum(axis=0)
        ends = after.first, after.first + rows - 1
        if side == LONG:
            state.frontier[side] = min(state.frontier[side] + math.ceil(by[side].max()), ends[1])
        else:
            state.frontier[side] = max(state.frontier[side] + math.floor(by[side].min()), ends[0])


def _moved(mass: Floats, by: float) -> Floats:
    """Return masses so many buckets farther up; what leaves the window is on no row."""
    whole = math.floor(by)
    moved, rows = np.zeros_like(mass), mass.shape[-1]
    for at, share in ((whole, 1.0 - (by - whole)), (whole + 1, by - whole)):
        kept = max(0, rows - abs(at))
        to_row, from_row = max(0, at), max(0, -at)
        moved[..., to_row : to_row + kept] += share * mass[..., from_row : from_row + kept]
    return moved
