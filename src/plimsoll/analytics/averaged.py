"""Several inventories moved through the same bars, and their mean: what a fitted map is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.flows import believed
from plimsoll.analytics.inventory import Grid, Inventory, Parameters, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["Averaged"]


class Averaged:
    """Inventories of one grid, moved together.

    Parameters
    ----------
    parts : sequence of (float, Parameters)
        How much each counts, summing to one; of the same tiers and age classes.
    bars : ndarray, shape (bars, 7)
        As `inventory_state.matrix` makes them.
    crossing : ndarray, shape (bars, 2), or None
        As `inventory_state.marks` makes them.
    interval : timedelta
        The length of a bar.
    grid : Grid
    brackets : ndarray of int, shape (bars,), or None
        As `margins.in_force` makes them.
    """

    def __init__(
        self,
        parts: Sequence[tuple[float, Parameters]],
        bars: Floats,
        crossing: Floats | None,
        *,
        interval: timedelta,
        grid: Grid,
        brackets: Ints | None = None,
    ) -> None:
        self.inventories = [
            (share, Inventory(one, interval=interval, grid=grid)) for share, one in parts
        ]
        self._bars = [believed(bars, one, interval) for _, one in parts]
        self._crossing, self._brackets, self._done = crossing, brackets, 0

    def advance(
        self, shown: NDArray[np.bool_], view: Grid | None = None, *, by_tier: bool = False
    ) -> Record:
        """Move all through the bars that follow, and return the mean of what they record.

        Parameters
        ----------
        shown : ndarray of bool, shape (bars,)
            As many bars as are moved through: at which to write a column.
        view : Grid, optional
        by_tier : bool
            See `Inventory.advance`.
        """
        span = slice(self._done, self._done + len(shown))
        crossing = None if self._crossing is None else self._crossing[span]
        brackets = None if self._brackets is None else self._brackets[span]
        mean: Record | None = None
        for (share, inventory), bars in zip(self.inventories, self._bars, strict=True):
            record = inventory.advance(
                bars[span],
                crossing=crossing,
                brackets=brackets,
                shown=shown,
                view=view,
                by_tier=by_tier,
            )
            mean = _added(mean, record, share)
        self._done = span.stop
        if mean is None:
            raise ValueError("the mean of no inventory is asked for")
        return mean

    def require(self, brackets: int) -> None:
        """Change the maintenance from now on; see `Inventory.require`."""
        for _, one in self.inventories:
            one.require(brackets)

    @property
    def coverage(self) -> float:
        """How much of what can be liquidated has a known entry."""
        return float(sum(share * one.coverage for share, one in self.inventories))

    def standing(self, price: float) -> Floats:
        """Return what stands at a price; see `Inventory.standing`."""
        parts = [share * one.standing(price) for share, one in self.inventories]
        found: Floats = np.sum(parts, axis=0)
        return found


def _added(mean: Record | None, record: Record, share: float) -> Record:
    """Return a sum with one more record in it; what is not a number is the first one's.

    In place, for records are large.
    """
    if mean is None and share == 1.0:
        return record
    for at, values in enumerate(record):
        if values.dtype.kind == "f":
            np.multiply(values, share, out=values)
            if mean is not None:
                np.add(mean[at], values, out=mean[at])
    return record if mean is None else mean
