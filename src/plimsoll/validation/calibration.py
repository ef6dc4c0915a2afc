"""Whether predicted counts are as large, and as uncertain, as they say they are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import special

from plimsoll.validation.scores import cells, log_probability
from plimsoll.validation.significance import Interval, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "Calibration",
    "Reliability",
    "calibration",
    "coverage",
    "pit_distance",
    "randomised_pit",
    "reliability",
]

_ROUNDS = 100
_CLOSE = 1e-8
"""A step of Newton's that is smaller is the last: its error is about the square of that."""


class Calibration(NamedTuple):
    """The line log E[n] = a + b log μ.

    Attributes
    ----------
    a, b : float, dimensionless
        b is one of a map that tells small risks from large as it should; with b = 1, exp(a) is the
        share of what was predicted that came.
    a_error, b_error : float, dimensionless
        Standard errors.
    """

    a: float
    b: float
    a_error: float
    b_error: float


class Reliability(NamedTuple):
    """What was predicted and what came, in classes of the prediction.

    Attributes
    ----------
    mu, n : ndarray, shape (classes,), liquidations per cell
        Means over each class.
    cells : ndarray of int, shape (classes,)
    """

    mu: Floats
    n: Floats
    cells: NDArray[np.int64]


def calibration(n: Floats, mu: Floats, group: NDArray[Any] | None = None) -> Calibration:
    """Return the line log E[n] = a + b log μ by Poisson's likelihood.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, which need not be whole, and predicted, more than nothing.
    group : ndarray, shape (cells,), optional
        Cells of one group, such as a day, may depend on each other; each stands alone if not given.

    Returns
    -------
    Calibration
        NaN where no line is the likeliest: nothing came, all means are equal, or all that came
        did so at the largest mean, or at the smallest. Errors are NaN of a single group.

    Raises
    ------
    ValueError
        If cells cannot be scored (`scores.cells`), a mean is zero, or groups are not as many as
        cells.

    Notes
    -----
    Iteratively reweighted least squares, which are Newton's steps here; one that would lower the
    likelihood is halved. Errors are the robust sandwich, summed by group, times
    groups / (groups − 1): they hold whatever the counts' variance is.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., 1989, ch. 2.
    .. [2] K.-Y. Liang and S. L. Zeger, "Longitudinal data analysis using generalized linear
       models", *Biometrika* 73, 1986, 13–22.

    Examples
    --------
    >>> found = calibration(np.array([3.0, 3.0, 12.0, 12.0]), np.array([1.0, 1.0, 2.0, 2.0]))
    >>> round(math.exp(found.a), 6), round(found.b, 6)
    (3.0, 2.0)
    """
    n, mu = cells(n, mu)
    if not mu.all():
        raise ValueError("a mean of zero has no logarithm; leave out cells that predict nothing")
    labels = np.arange(len(n)) if group is None else np.asarray(group)
    if labels.shape != n.shape:
        raise ValueError(f"each cell needs its group; got {labels.shape} for {n.shape}")
    x = np.log(mu)
    came = x[n > 0]
    if not len(came) or came.max() == x.min() or came.min() == x.max():
        return Calibration(math.nan, math.nan, math.nan, math.nan)
    middle = float(n @ x / n.sum())  # around which the two parameters hardly depend on each other
    design = np.column_stack((np.ones(len(x)), x - middle))
    line = _line(n, design)
    spread = _covariance(n, design, line, np.unique(labels, return_inverse=True)[1])
    back = np.array([[1, -middle], [0, 1]])
    errors = np.sqrt(np.diag(back @ spread @ back.T))
    return Calibration(*(back @ line).tolist(), *errors.tolist())


def _line(n: Floats, design: Floats) -> Floats:
    """Return the likeliest line, looked for from a flat one; NaN if it is not found."""
    line = np.array([math.log(n.mean()), 0.0])
    for _ in range(_ROUNDS):
        mean = np.exp(design @ line)
        step = np.linalg.solve(design.T @ (design * mean[:, None]), design.T @ (n - mean))
        if np.abs(step).max() < _CLOSE:
            return line + step
        now = _likelihood(n, design @ line)
        while _likelihood(n, design @ (line + step)) < now and np.abs(step).max() > _CLOSE:
            step = step / 2
        line = line + step
    return np.full(2, math.nan)


def _likelihood(n: Floats, log_mean: Floats) -> float:
    with np.errstate(over="ignore"):  # a step much too long: minus infinity is what it deserves
        return float(n @ log_mean - np.exp(log_mean).sum())


def _covariance(n: Floats, design: Floats, line: Floats, group: NDArray[np.int64]) -> Floats:
    groups = int(group.max()) + 1
    if groups < 2:
        return np.full((2, 2), math.nan)
    mean = np.exp(design @ line)
    bread = np.linalg.inv(design.T @ (design * mean[:, None]))
    pull = [np.bincount(group, column * (n - mean)) for column in design.T]
    meat = np.inner(pull, pull) * groups / (groups - 1)
    covariance: Floats = bread @ meat @ bread
    return covariance


def reliability(n: Floats, mu: Floats, bins: int = 10) -> Reliability:
    """Return what was predicted and what came, in classes of equally many cells by prediction.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
    bins : int
        Ten are deciles. Cells of equal mean stay together, so that there may be fewer classes.

    Returns
    -------
    Reliability
        In the order of the means.

    Raises
    ------
    ValueError
        If cells cannot be scored (`scores.cells`), or there is no bin.

    Examples
    --------
    >>> reliability(np.array([0, 1, 2, 5]), np.array([0.2, 0.4, 2.0, 4.0]), bins=2).n
    array([0.5, 3.5])
    """
    if bins < 1:
        raise ValueError(f"reliability needs one bin or more; got {bins}")
    n, mu = cells(n, mu)
    limits = np.quantile(mu, np.arange(1, bins) / bins) if len(mu) else np.zeros(0)
    bin_of = np.searchsorted(limits, mu)
    many = np.bincount(bin_of, minlength=bins)
    held = many > 0
    total = [np.bincount(bin_of, values, minlength=bins)[held] for values in (mu, n)]
    return Reliability(total[0] / many[held], total[1] / many[held], many[held])


def randomised_pit(n: Floats, mu: Floats, size: float, rng: np.random.Generator) -> Floats:
    """Return where each count lies in its predicted distribution, from zero to one.

    It is F(n − 1) + v (F(n) − F(n − 1)) with v drawn evenly from zero to one: even itself if the
    prediction is true, heaped at both ends if it is too sure, in the middle if not sure enough.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, in whole numbers, and predicted.
    size : float, dimensionless
        See `scores`.
    rng : Generator

    Returns
    -------
    ndarray, shape (cells,), fraction

    Raises
    ------
    ValueError
        If cells cannot be scored (`scores.cells`), or the size is not positive.

    References
    ----------
    .. [1] C. Czado, T. Gneiting and L. Held, "Predictive model assessment for count data",
       *Biometrics* 65, 2009, 1254–1261.

    Examples
    --------
    >>> draw = np.random.default_rng(1)
    >>> randomised_pit(np.array([5.0]), np.array([0.0]), 1.0, draw)
    array([1.])
    """
    chance = np.exp(log_probability(n, mu, size))
    n, mu = cells(n, mu)
    below, some = np.zeros(len(n)), n > 0
    if math.isinf(size):
        below[some] = special.gammaincc(n[some], mu[some])
    else:
        below[some] = special.betaincc(n[some], size, mu[some] / (mu[some] + size))
    pit: Floats = np.minimum(below + rng.random(len(n)) * chance, 1)
    return pit


def pit_distance(pit: Floats, bins: int = 10) -> float:
    """Return how uneven a histogram is: chi-square's distance from an even one.

    It is the sum over bins of (share − 1 / bins)² · bins. Times the number of values, it is
    Pearson's statistic with bins − 1 degrees of freedom.

    Parameters
    ----------
    pit : ndarray, shape (n,), fraction
        As `randomised_pit` returns it.
    bins : int

    Returns
    -------
    float, dimensionless
        Zero is even, bins − 1 is all in one bin; NaN without a value.

    Raises
    ------
    ValueError
        If a value is not from zero to one, or there are fewer than two bins.

    Examples
    --------
    >>> pit_distance(np.array([0.1, 0.2, 0.3, 0.9]), bins=2)
    0.25
    """
    if bins < 2:
        raise ValueError(f"a histogram needs two bins or more; got {bins}")
    pit = np.asarray(pit, dtype=np.float64)
    if not ((pit >= 0) & (pit <= 1)).all():
        raise ValueError("each value must be from zero to one")
    if not pit.size:
        return math.nan
    share = np.histogram(pit, bins=bins, range=(0, 1))[0] / pit.size
    return float(((share - 1 / bins) ** 2).sum() * bins)


def coverage(value: Floats, low: Floats, high: Floats) -> Interval:
    """Return the share of values that lie within their limits, the limits included.

    Parameters
    ----------
    value, low, high : ndarray, shape (n,), one unit

    Returns
    -------
    Interval, fraction
        With Wilson's limits; NaN without a value.

    Raises
    ------
    ValueError
        If shapes differ, a number is NaN, or a lower limit is above its upper one.

    Examples
    --------
    >>> coverage(np.array([1.0, 2.0]), np.array([0.0, 0.0]), np.array([1.0, 1.0])).value
    0.5
    """
    value, low, high = (np.asarray(given, dtype=np.float64) for given in (value, low, high))
    if value.ndim != 1 or not value.shape == low.shape == high.shape:
        raise ValueError(
            f"each value needs its limits; got the shapes {value.shape}, {low.shape} "
            f"and {high.shape}"
        )
    if np.isnan(value).any() or not (low <= high).all():
        raise ValueError("values must be known, and each lower limit at most the upper one")
    return wilson(int(((low <= value) & (value <= high)).sum()), len(value))
