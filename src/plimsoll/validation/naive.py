r"""The plain map of liquidations that public programs draw: the baseline a better one must beat.

Whenever open interest rises over a bar, the rise is seeded on both sides, in equal parts over a
fixed list of leverages, at the bar's close price times :math:`1 \mp 1/L`; there is no maintenance
margin. What the price touches leaves, and nothing else does. Longs and shorts are kept in buckets
of 0.05 % of log price; a bucket the bar's low or high lies in is emptied whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LEVERAGE", "kernel", "swept"]

LEVERAGE = (5.0, 10.0, 25.0, 50.0, 100.0)
STEP = 0.0005


def swept(marks: Floats, seeds: Floats, days: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return what each bar's price sweeps off the map, longs and shorts.

    Parameters
    ----------
    marks : ndarray, shape (bars + 1,), quote per base
        The price where the first bar opens, then each bar's close.
    seeds : ndarray, shape (bars,), US dollars
        What each bar opens on either side.
    days : ndarray of int, shape (bars,)
        The day of each bar, not falling.

    Returns
    -------
    all, old : ndarray, shape (bars, 2), US dollars
        All that is swept, and the part of it that stood when the bar's day began.

    Examples
    --------
    >>> marks = np.array([100.0, 100.0, 98.9, 97.5])
    >>> gone, old = swept(marks, np.array([5.0, 0.0, 0.0]), np.array([0, 0, 1]))
    >>> gone[:, 0], old[:, 0]
    (array([0., 1., 1.]), array([0., 0., 1.]))
    """
    places = 1 + np.outer([-1.0, 1.0], 1 / np.array(LEVERAGE))
    first = _bucket(np.array([marks.min() * places.min()]))[0]
    last = _bucket(np.array([marks.max() * places.max()]))[0]
    seeded = _bucket(marks[1:, None, None] * places) - first
    lows = _bucket(np.minimum(marks[1:], marks[:-1])) - first
    highs = _bucket(np.maximum(marks[1:], marks[:-1])) - first
    mass = np.zeros((2, last - first + 1))
    midnight, begun = mass.copy(), np.diff(days, prepend=days[0] - 1) > 0
    gone, old = np.zeros((len(seeds), 2)), np.zeros((len(seeds), 2))
    for bar, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if begun[bar]:
            midnight = mass.copy()
        for side, touched in enumerate((slice(low, None), slice(0, high + 1))):
            gone[bar, side], old[bar, side] = (
                mass[side, touched].sum(),
                midnight[side, touched].sum(),
            )
            mass[side, touched] = midnight[side, touched] = 0
            np.add.at(mass[side], seeded[bar, side], seeds[bar] / len(LEVERAGE))
    return gone, old


def kernel(marks: Floats) -> Floats:
    """Return what a path sweeps off a map that knows only where it begins.

    Parameters
    ----------
    marks : ndarray, shape (n,), quote per base

    Returns
    -------
    ndarray, shape (2,), fraction
        The share of leverages whose longs, and whose shorts, would be liquidated.

    Examples
    --------
    >>> kernel(np.array([100.0, 97.5, 101.5]))
    array([0.4, 0.2])
    """
    away = 1 / np.array(LEVERAGE)
    fall, rise = 1 - marks.min() / marks[0], marks.max() / marks[0] - 1
    return np.array([np.mean(away <= fall), np.mean(away <= rise)])


def _bucket(price: Floats) -> NDArray[np.int64]:
    return np.floor(np.log(price) / STEP).astype(np.int64)
