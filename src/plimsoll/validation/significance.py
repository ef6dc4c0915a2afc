"""How sure a score is: intervals and tests of means over days that depend on each other.

Liquidations come in waves, and cells of one day share one price path. So days are resampled whole,
in blocks of random length, and what a figure varies by among the samples is how unsure it is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Comparison",
    "Interval",
    "diebold_mariano",
    "mean_with_interval",
    "optimal_block_length",
    "skill_interval",
    "stationary_bootstrap",
    "wilson",
]

_QUIET = 5
"""So many lags in a row must show no correlation before the rest counts as noise."""


class Interval(NamedTuple):
    """An estimate and the limits within which it may lie."""

    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Whether two forecasts differ.

    Attributes
    ----------
    difference, error : float, as the scores
        The mean difference for a bar, and its standard error.
    p_value : float, fraction
        The chance of a difference as large, either way, if there were none.
    """

    difference: float
    error: float
    p_value: float


def wilson(k: float, n: float, z: float = 1.96) -> Interval:
    """Return the share k of n with Wilson's limits, which hold for small numbers too.

    Parameters
    ----------
    k, n : float
        Hits, and tries.
    z : float, standard deviations
        1.96 for 95 %.

    Returns
    -------
    Interval, fraction
        NaN without a try.

    Raises
    ------
    ValueError
        If k is not from zero to n, or z not positive.

    References
    ----------
    .. [1] E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
       *Journal of the American Statistical Association* 22, 1927, 209–212.

    Examples
    --------
    >>> [round(limit, 4) for limit in wilson(25, 100)]
    [0.25, 0.1755, 0.343]
    """
    if not (0 <= k <= n and z > 0):
        raise ValueError(f"hits must be from zero to tries, z positive; got {k}, {n} and {z}")
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    share, weight = k / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    half = math.sqrt(share * (1 - share) * weight + weight * weight / 4) / (1 + weight)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def stationary_bootstrap(
    length: int, block: float, draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return places of a series, resampled in blocks of random length.

    A block begins anywhere, is geometric in length, and goes on at the beginning where the series
    ends: so resampled series are stationary as well.

    Parameters
    ----------
    length : int
        Of the series, and of each that is drawn.
    block : float, places
        The mean length of a block, at least one.
    draws : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (draws, length)

    Raises
    ------
    ValueError
        If the length, the block or the number of draws is below one.

    References
    ----------
    .. [1] D. N. Politis and J. P. Romano, "The stationary bootstrap", *Journal of the American
       Statistical Association* 89, 1994, 1303–1313.

    Examples
    --------
    >>> stationary_bootstrap(3, math.inf, 2, np.random.default_rng(1))
    array([[0, 1, 2],
           [1, 2, 0]])
    """
    if length < 1 or draws < 1 or not block >= 1:
        raise ValueError(
            f"a bootstrap needs a length, a block and draws of one or more; got {length}, {block} "
            f"and {draws}"
        )
    starts = rng.random((draws, length)) < 1 / block
    starts[:, 0] = True
    place = np.arange(length)
    start = np.maximum.accumulate(np.where(starts, place, 0), axis=1)
    first = np.take_along_axis(rng.integers(length, size=(draws, length)), start, axis=1)
    drawn: NDArray[np.int64] = (first + place - start) % length
    return drawn


def optimal_block_length(x: Floats) -> float:
    """Return the mean block of the stationary bootstrap under which a mean's error is truest.

    It is (n G² / s⁴)^(1/3), with s² the long-run variance and G the sum over lags k of |k| times
    the autocovariance, both tapered beyond the lag from which on autocorrelation is noise.

    Parameters
    ----------
    x : ndarray, shape (n,)
        In the order of time.

    Returns
    -------
    float, places
        At most three roots of n, and a third of n. It may be below one: then nothing need be kept
        together. NaN where it cannot be told, because all values are equal.

    Raises
    ------
    ValueError
        If a value is not finite.

    Notes
    -----
    The lag is twice the first of five in a row that are noise, as in the programs in use; the text
    of the paper has twice the last before those.

    References
    ----------
    .. [1] D. N. Politis and H. White, "Automatic block-length selection for the dependent
       bootstrap", *Econometric Reviews* 23, 2004, 53–70.
    .. [2] A. Patton, D. N. Politis and H. White, "Correction to 'Automatic block-length selection
       for the dependent bootstrap'", *Econometric Reviews* 28, 2009, 372–375.

    Examples
    --------
    >>> round(optimal_block_length(np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])), 3)
    2.0
    """
    x = _series(x)
    n = len(x)
    if n < 2 or (x == x[0]).all():
        return math.nan
    away = x - x.mean()
    most = min(math.ceil(math.sqrt(n)) + _QUIET, n - 1)
    covariance = np.array([away[lag:] @ away[: n - lag] for lag in range(most + 1)]) / n
    noise = np.abs(covariance) < 2 * math.sqrt(math.log10(n) / n) * covariance[0]
    quiet = (lag for lag in range(1, most - _QUIET + 2) if noise[lag : lag + _QUIET].all())
    reach = min(2 * next(quiet, most), most)
    lag = np.arange(1, reach + 1)
    taper = np.minimum(1, 2 * (1 - lag / reach)) * covariance[1 : reach + 1]
    curve, variance = 2 * (lag @ taper), covariance[0] + 2 * taper.sum()
    longest = math.ceil(min(3 * math.sqrt(n), n / 3))
    if not variance:
        return float(longest)
    return float(min((n * (curve / variance) ** 2) ** (1 / 3), longest))


def mean_with_interval(
    values_by_day: Floats,
    *,
    draws: int = 2000,
    block: float | None = None,
    level: float = 0.90,
    rng: np.random.Generator | None = None,
) -> Interval:
    """Return a mean of daily values and its bootstrap interval.

    Parameters
    ----------
    values_by_day : ndarray, shape (days,)
        In the order of time; days without a value are left out.
    draws : int
    block : float, days, optional
        The mean length of a block; the optimal one (`optimal_block_length`) if not given.
    level : float, fraction
        How often the interval should hold the truth: its limits are quantiles of the draws.
    rng : Generator, optional
        If not given, one of seed 0: the same question has the same answer.

    Returns
    -------
    Interval, as the values
        NaN without a day, and limits of NaN with only one.

    Raises
    ------
    ValueError
        If a value is not finite, or draws, block or level are out of range.

    Notes
    -----
    Limits are a little too narrow where days depend on each other. Of simulated series of 400 days
    with an autocorrelation of 0.3, those of level 0.90 held the mean of 0.87; with 0.6, of 0.85.

    Examples
    --------
    >>> found = mean_with_interval(np.arange(100.0) % 7)
    >>> found.low < found.value < found.high
    True
    """
    values = _series(values_by_day)
    drawn = _ratios(values, np.ones(len(values)), draws=draws, block=block, rng=rng)
    return _interval(float(values.mean()) if len(values) else math.nan, drawn, level)


def skill_interval(
    deviance_by_day: Floats,
    reference_by_day: Floats,
    *,
    draws: int = 2000,
    block: float | None = None,
    level: float = 0.90,
    rng: np.random.Generator | None = None,
) -> Interval:
    """Return the skill over all days, 1 − ΣD / ΣD_ref, and its bootstrap interval.

    Parameters
    ----------
    deviance_by_day, reference_by_day : ndarray, shape (days,), dimensionless
        Of the forecast and of its reference, in the order of time.
    draws, block, level, rng
        As of `mean_with_interval`.

    Returns
    -------
    Interval, fraction
        NaN without a day or where the reference is perfect, and limits of NaN with one day only.

    Raises
    ------
    ValueError
        If shapes differ, a deviance is negative or not finite, or draws, block or level are out
        of range.

    Examples
    --------
    >>> found = skill_interval(np.arange(1.0, 41.0), np.arange(2.0, 42.0))
    >>> round(found.value, 4), found.low < found.value < found.high
    (0.0465, True)
    """
    ours, theirs = _series(deviance_by_day), _series(reference_by_day)
    if ours.shape != theirs.shape or (ours < 0).any() or (theirs < 0).any():
        raise ValueError("each day needs two deviances, neither of them negative")
    drawn = _ratios(ours, theirs, draws=draws, block=block, rng=rng)
    value = 1 - float(ours.sum() / theirs.sum()) if theirs.any() else math.nan
    return _interval(value, 1 - drawn, level)


def diebold_mariano(
    difference_by_bar: Floats,
    day: NDArray[Any],
    *,
    draws: int = 2000,
    block: float | None = None,
    rng: np.random.Generator | None = None,
) -> Comparison:
    """Return whether the scores of two forecasts differ by more than chance.

    Bars of a day are kept together, and days drawn in blocks; the mean difference over its
    standard error among the draws is held against the normal distribution.

    Parameters
    ----------
    difference_by_bar : ndarray, shape (bars,)
        One forecast's score less the other's.
    day : ndarray, shape (bars,)
        The day of each bar, in numbers or dates that can be sorted.
    draws, block, rng
        As of `mean_with_interval`.

    Returns
    -------
    Comparison
        NaN without a bar; error and p-value are NaN of one day only, the p-value also where all
        days are alike.

    Raises
    ------
    ValueError
        If shapes differ, a difference is not finite, or draws or block are out of range.

    References
    ----------
    .. [1] F. X. Diebold and R. S. Mariano, "Comparing predictive accuracy", *Journal of Business &
       Economic Statistics* 13, 1995, 253–263.

    Examples
    --------
    >>> bars = np.arange(400)
    >>> found = diebold_mariano(0.5 + np.sin(bars * 1.0), bars // 10)
    >>> found.difference > 0 and found.p_value < 1e-6
    True
    """
    difference, days = _series(difference_by_bar), np.asarray(day)
    if difference.shape != days.shape:
        raise ValueError(f"each bar needs its day; got {days.shape} for {difference.shape}")
    which = np.unique(days, return_inverse=True)[1]
    total = np.bincount(which, difference).astype(np.float64)
    bars = np.bincount(which).astype(np.float64)
    drawn = _ratios(total, bars, draws=draws, block=block, rng=rng)
    mean = float(difference.mean()) if len(difference) else math.nan
    error = float(np.std(drawn, ddof=1)) if len(total) > 1 else math.nan
    chance = 2 * float(special.ndtr(-abs(mean) / error)) if error > 0 else math.nan
    return Comparison(mean, error, chance)


def _series(x: Floats) -> Floats:
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError("a series must have one dimension and finite values; leave out the others")
    return x


def _ratios(
    top: Floats,
    bottom: Floats,
    *,
    draws: int,
    block: float | None,
    rng: np.random.Generator | None,
) -> Floats:
    """Return Σ top / Σ bottom of resampled days; NaN where it is not defined."""
    if not bottom.any() or len(top) < 2:
        return np.full(1, math.nan)
    if block is None:  # what a day does to the ratio decides which days belong together
        best = optimal_block_length(top - bottom * (top.sum() / bottom.sum()))
        block = max(best, 1.0) if math.isfinite(best) else 1.0
    rng = np.random.default_rng(0) if rng is None else rng
    days = stationary_bootstrap(len(top), block, draws, rng)
    below = bottom[days].sum(axis=1)
    ratio: Floats = np.divide(
        top[days].sum(axis=1), below, out=np.full(draws, math.nan), where=below > 0
    )
    return ratio


def _interval(value: float, drawn: Floats, level: float) -> Interval:
    if not 0 < level < 1:
        raise ValueError(f"the level must lie between zero and one; got {level}")
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))
