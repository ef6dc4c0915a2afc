"""What is wrong with one of several series that tell of the same thing.

Arrays are of shape (instants, markets), in order of time, NaN where unknown. Nothing looks ahead:
each answer is of a window that ends now.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

__all__ = [
    "better",
    "common_step",
    "lag",
    "leave_one_out",
    "nearest_unit",
    "unchanged",
    "weighted_median",
    "weights",
]

_HEAVIEST, _LIGHTEST = 4 / 3, 2 / 3
"""Of three markets, no one outvotes the two others: 4/3 < 1 + 2/3, and so it stays with more."""


def weights(sizes: ArrayLike) -> Floats:
    """Return how much each market counts in a consensus.

    A market counts with its size over the median size, but at least two thirds and at most four
    thirds: with its size alone, a series in a wrong unit would outvote all others.

    Parameters
    ----------
    sizes : array_like, shape (..., markets)
        In one unit; NaN where unknown.

    Returns
    -------
    ndarray, shape (..., markets), dimensionless
        NaN where the size is unknown.
    """
    size = np.asarray(sizes, dtype=np.float64)
    middle = _median(size)[..., None]
    ratio = np.divide(size, middle, out=np.full(size.shape, np.nan), where=middle > 0)
    counted: Floats = np.clip(ratio, _LIGHTEST, _HEAVIEST)
    return counted


def _median(values: Floats) -> Floats:
    """Return the median of what is known along the last axis; NaN of nothing."""
    return weighted_median(values, np.ones(values.shape))


def weighted_median(values: ArrayLike, weight: ArrayLike) -> Floats:
    """Return the value below and above which at most half of the weight lies.

    Parameters
    ----------
    values, weight : array_like, shape (..., n)
        A NaN in either leaves that entry out.

    Returns
    -------
    ndarray, shape (...)
        The mean of two where the weight below and above divides equally; NaN of nothing.

    References
    ----------
    .. [1] F. Y. Edgeworth, "On a new method of reducing observations relating to several
       quantities", *Philosophical Magazine* 25, 1888.

    Examples
    --------
    >>> weighted_median([1.0, 2.0, 3.0, 4.0, 5.0], [0.15, 0.1, 0.2, 0.3, 0.25]).item()
    4.0
    """
    value, mass = np.broadcast_arrays(
        np.asarray(values, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    )
    if not value.shape[-1]:
        return np.full(value.shape[:-1], np.nan)
    _, ordered, sums = _ranked(value, mass)
    return _halfway(ordered, sums)


def _ranked(value: Floats, mass: Floats) -> tuple[Whole, Floats, Floats]:
    """Return the order of values along the last axis, the values in it, and weights summed."""
    known = ~(np.isnan(value) | np.isnan(mass))
    order = np.argsort(np.where(known, value, np.inf), axis=-1)
    ordered = np.take_along_axis(np.where(known, value, np.nan), order, axis=-1)
    sums = np.take_along_axis(np.where(known, mass, 0.0), order, axis=-1).cumsum(axis=-1)
    return order, ordered, sums


def _halfway(ordered: Floats, sums: Floats) -> Floats:
    """Return where half of the summed weight is reached; the mean of two where it divides there."""
    half = sums[..., -1:] / 2
    slack = 1e-12 * half
    low = np.argmax(sums >= half - slack, axis=-1)[..., None]
    high = np.argmax(sums > half + slack, axis=-1)[..., None]
    ends = [np.take_along_axis(ordered, at, axis=-1) for at in (low, high)]
    found: Floats = np.where(half > 0, (ends[0] + ends[1]) / 2, np.nan)[..., 0]
    return found


def leave_one_out(values: ArrayLike, weight: ArrayLike) -> Floats:
    """Return what the others say: for each market the weighted median without it.

    Parameters
    ----------
    values, weight : array_like, shape (instants, markets)

    Returns
    -------
    ndarray, shape (instants, markets)
        NaN where no other market is known.
    """
    value = np.asarray(values, dtype=np.float64)
    mass = np.broadcast_to(np.asarray(weight, dtype=np.float64), value.shape)
    found = np.full(value.shape, np.nan)
    if value.shape[1] < 2:
        return found
    order, ordered, sums = _ranked(value, mass)
    ranks, places = np.argsort(order, axis=1), np.arange(value.shape[1])
    own = np.nan_to_num(np.where(np.isnan(value), 0.0, mass))
    for market in places:
        # Without its weight the sums reach half elsewhere, and never at its own place.
        after = places >= ranks[:, market, None]
        found[:, market] = _halfway(ordered, sums - after * own[:, market, None])
    return found


def unchanged(values: ArrayLike, traded: ArrayLike) -> Whole:
    """Return for how many instants in a row each market has not moved while others did.

    Parameters
    ----------
    values : array_like, shape (instants, markets)
        Counts of contracts, which stay the same while nobody trades.
    traded : array_like, shape (instants, markets)
        Volume since the instant before; a market that did not trade need not move, and one whose
        volume is unknown (NaN) is taken to have traded.

    Returns
    -------
    ndarray of int, shape (instants, markets)
        A run is not broken by an instant at which the market is unknown, or at which more than
        half of the others stood still too; such instants are not counted.
    """
    value = np.asarray(values, dtype=np.float64)
    volume = np.asarray(traded, dtype=np.float64)
    step = np.diff(value, axis=0, prepend=np.nan)
    known, moved = ~np.isnan(step), np.abs(np.nan_to_num(step)) > 0
    others_known = known.sum(axis=1, keepdims=True) - known
    others_moved = moved.sum(axis=1, keepdims=True) - moved
    awake = (others_moved > 0) & (2 * others_moved >= others_known)
    still = known & ~moved & awake & ~(volume == 0)
    runs = np.zeros(value.shape, dtype=np.int64)
    run = np.zeros(value.shape[1], dtype=np.int64)
    for at in range(len(value)):
        run = np.where(moved[at], 0, run + still[at])
        runs[at] = run
    return runs


def nearest_unit(
    ratio: float, units: Mapping[str, float], tolerance: float = 0.03
) -> tuple[str, float] | None:
    """Return which known factor a ratio is near to, by name.

    Parameters
    ----------
    ratio : float
    units : mapping of str to float
        Factors that series are wrong by, such as the size of a contract or the price.
    tolerance : float
        In logarithms.

    Returns
    -------
    tuple of str and float, or None
        The nearest factor, ``1/name`` for an inverse; None if none is so near.

    Examples
    --------
    >>> nearest_unit(0.00101, {"contract size": 0.001, "both sides": 2.0})
    ('contract size', 0.001)
    """
    if not (ratio > 0 and math.isfinite(ratio)):
        return None
    candidates = dict(units) | {f"1/{name}": 1 / unit for name, unit in units.items() if unit > 0}
    name = min(candidates, key=lambda one: abs(math.log(ratio / candidates[one])), default=None)
    if name is None or abs(math.log(ratio / candidates[name])) > tolerance:
        return None
    return name, candidates[name]


def common_step(counts: ArrayLike, least: int = 30) -> int | None:
    """Return the greatest number that divides all of many counts of contracts.

    Contracts come one by one. Where all counts are even, and not all are of a coarser step that
    a publisher may have rounded to, each contract has been counted for its buyer and its seller.

    Parameters
    ----------
    counts : array_like, shape (n,)
        Whole numbers; NaN where unknown.
    least : int
        How many different counts it takes to say something. By chance, thirty are all even once
        in a thousand million times.

    Returns
    -------
    int or None
        None where there are too few, or they are not whole.

    Examples
    --------
    >>> common_step([12, 8, 6, 30, 2], least=5)
    2
    """
    count = np.asarray(counts, dtype=np.float64)
    known = np.unique(count[~np.isnan(count)])
    if len(known) < least or np.any(np.abs(known - np.rint(known)) > _WHOLE):
        return None
    return int(np.gcd.reduce(np.rint(known).astype(np.int64)))


_WHOLE = 1e-3


def better(told: ArrayLike, undone: Mapping[str, ArrayLike]) -> str | None:
    """Return which undoing of a fault brings a series clearly nearer to what it should be.

    An undoing is better where it halves the mean distance, and is the nearer in four of five
    instants, both among those at which it changes the distance at all: a dozen at least.

    Parameters
    ----------
    told : array_like, shape (n,)
        Distances to what is expected, as the series is told; NaN where unknown.
    undone : mapping of str to array_like, shape (n,)
        Distances after each undoing.

    Returns
    -------
    str or None
        The one with the least mean distance; None if none is better.

    Examples
    --------
    >>> better([9.0] * 12, {"by ten": [1.0] * 12, "by two": [4.0] * 12})
    'by ten'
    >>> better([9.0] * 12, {"by a tenth": [8.0] * 12}) is None
    True
    """
    before = np.asarray(told, dtype=np.float64)
    found = {}
    for name, distances in undone.items():
        after = np.asarray(distances, dtype=np.float64)
        changed = np.abs(after - before) > _SAME
        if changed.sum() < _DOZEN:
            continue
        old, new = before[changed], after[changed]
        if np.mean(new < old) >= _MOSTLY and new.mean() <= _HALF * old.mean():
            found[name] = float(np.nanmean(after))
    return min(found, key=lambda name: found[name], default=None)


_SAME, _DOZEN = 1e-9, 12
_MOSTLY, _HALF = 0.8, 0.5


def lag(late: ArrayLike, early: ArrayLike, most: int) -> tuple[int, float, float]:
    """Return by how many steps one series follows another.

    The lag is that of the greatest correlation, early(t) with late(t + lag); it is taken for none
    unless it is greater than that without a lag by six standard errors.

    Parameters
    ----------
    late, early : array_like, shape (n,)
        Changes, or sizes of changes, on one grid; NaN where unknown.
    most : int
        The longest lag tried, steps.

    Returns
    -------
    steps : int
        0 where there is none, or too little is known.
    correlation : float
        At that lag; NaN where it is not known.
    gain : float
        By how many standard errors (of Fisher's transform) it exceeds that without a lag.

    References
    ----------
    .. [1] R. A. Fisher, "On the probable error of a coefficient of correlation deduced from a
       small sample", *Metron* 1, 1921.
    """
    follower, leader = (np.asarray(one, dtype=np.float64) for one in (late, early))
    found = [_correlation(follower[k:], leader[: len(leader) - k]) for k in range(most + 1)]
    known = [(value, count) for value, count in found if not math.isnan(value)]
    if len(known) < 2 or math.isnan(found[0][0]):
        return 0, math.nan, 0.0
    best = max(range(most + 1), key=lambda k: -2 if math.isnan(found[k][0]) else found[k][0])
    value, count = found[best]
    gain = (_fisher(value) - _fisher(found[0][0])) * math.sqrt((count - 3) / 2)
    if best == 0 or gain < _SURE:
        return 0, found[0][0], max(gain, 0.0)
    return best, value, gain


_SURE = 6.0
_FEWEST = 50


def _correlation(left: Floats, right: Floats) -> tuple[float, int]:
    known = ~(np.isnan(left) | np.isnan(right))
    count = int(known.sum())
    if count < _FEWEST:
        return math.nan, count
    a, b = left[known] - left[known].mean(), right[known] - right[known].mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return (float(a @ b) / scale if scale > 0 else math.nan), count


def _fisher(correlation: float) -> float:
    return math.atanh(min(max(correlation, -0.999999), 0.999999))
