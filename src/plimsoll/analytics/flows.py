"""What of published open interest and volume an inventory should believe.

Open interest is stamped, rounded and late, and much of the volume is market makers' round trips.
Two assumptions, off unless chosen, and chosen by how well a map explains past liquidations (see
`fitting`):

- *memory*: open interest is followed slowly, as an exponential mean over so many hours;
- *moves*: what of the volume outlives a bar is in proportion to how far the bar moved the price,
  against the mean move of the week before.

Both look back only: a later bar changes nothing of an earlier one.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.inventory_state import CLOSE, OPEN, OPEN_INTEREST, TAKER_BUY, VOLUME

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Parameters

    Floats = NDArray[np.float64]

__all__ = ["believed", "moves"]

_WEEK = 168.0


def believed(bars: Floats, parameters: Parameters, interval: timedelta) -> Floats:
    """Return bars with the open interest and the volume that an inventory is to believe.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
        As `inventory.matrix` makes them.
    parameters : Parameters
        Its `memory` and `moves`.
    interval : timedelta
        The length of a bar.

    Returns
    -------
    ndarray, shape (bars, 7)
        The same array where there is nothing to change.
    """
    if not parameters.memory and not parameters.moves:
        return bars
    changed = bars.copy()
    hours = interval.total_seconds() / 3_600
    if parameters.memory:
        changed[:, OPEN_INTEREST] = _followed(bars[:, OPEN_INTEREST], hours / parameters.memory)
    if parameters.moves:
        share = moves(bars, max(1, round(_WEEK / hours)))
        changed[:, VOLUME] *= share
        changed[:, TAKER_BUY] *= share
    return changed


def moves(bars: Floats, width: int) -> Floats:
    """Return how far each bar moved, against the mean of the bars before it.

    Parameters
    ----------
    bars : ndarray, shape (bars, 7)
    width : int
        Bars of that mean at most.

    Returns
    -------
    ndarray, shape (bars,), dimensionless
        One where nothing is known to compare with, or of the bar.
    """
    move = np.abs(np.log(bars[:, CLOSE] / bars[:, OPEN]))
    known = ~np.isnan(move)
    sums = np.cumsum(np.concatenate([[0.0], np.where(known, move, 0.0)]))
    counts = np.cumsum(np.concatenate([[0], known]))
    at = np.arange(len(bars))
    start = np.maximum(0, at - width)
    total, many = sums[at] - sums[start], counts[at] - counts[start]
    mean = np.divide(total, many, out=np.zeros(len(bars)), where=many > 0)
    share = np.divide(move, mean, out=np.ones(len(bars)), where=known & (mean > 0))
    compared: Floats = share
    return compared


def _followed(values: Floats, step: float) -> Floats:
    """Return an exponential mean, of what is known; a bar is so many time constants."""
    found = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    found[known[:1]] = values[known[:1]]
    for before, at in pairwise(known):
        found[at] = found[before] - math.expm1(-step * (at - before)) * (values[at] - found[before])
    return found
