"""How near predicted counts of liquidations come to those that happened, as single figures.

A cell is what is predicted and counted: a bucket of price on one side of a market that the price
reached in one bar. Of each cell the map had said a mean count μ, and n liquidations came. Counts
are Poisson's, or negative binomial's with mean μ and size r, whose variance is μ + μ² / r: the
smaller the size, the more liquidations come in clusters. A size of infinity is Poisson's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "cells",
    "crps_nb",
    "dispersion",
    "earth_movers",
    "log_probability",
    "log_score",
    "nb_deviance",
    "poisson_deviance",
    "skill",
    "unit_deviance",
]

BASIS_POINTS = 1e4
SMALLEST, LARGEST = 1e-6, 1e6
"""The sizes among which the likeliest is looked for."""
WIDEST = 1e3
"""The largest size whose ranked probability score is computed as such."""


def cells(n: Floats, mu: Floats, *, whole: bool = False) -> tuple[Floats, Floats]:
    """Return counts and means as floats, once they can be scored.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, and predicted.
    whole : bool
        Whether counts must be whole numbers.

    Raises
    ------
    ValueError
        If shapes differ, or a number is negative, unknown, infinite or, where it must be, not
        whole.

    Examples
    --------
    >>> cells(np.array([1, 0]), np.array([0.5, 0.1]))[0]
    array([1., 0.])
    """
    counted, mean = np.asarray(n, dtype=np.float64), np.asarray(mu, dtype=np.float64)
    if counted.ndim != 1 or counted.shape != mean.shape:
        raise ValueError(
            f"scores need one count and one mean for each cell; got the shapes {counted.shape} "
            f"and {mean.shape}"
        )
    for name, values in (("counts", counted), ("means", mean)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(
                f"{name} must be known, finite and not negative; leave out the other cells"
            )
    if whole and (counted != np.floor(counted)).any():
        raise ValueError("counts must be whole numbers; count liquidations, not their size")
    return counted, mean


def _checked(size: float) -> float:
    if not size > 0:
        raise ValueError(f"the size must be positive, infinite for Poisson counts; got {size}")
    return float(size)


def unit_deviance(n: Floats, mu: Floats, size: float = math.inf) -> Floats:
    """Return what each cell adds to the deviance.

    It is 2 (n log(n / μ) − (n − μ)) of Poisson counts, and with a size r

    ::

        2 (n log(n / μ) − (n + r) log((n + r) / (μ + r)))

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, which need not be whole, and predicted.
    size : float, dimensionless

    Returns
    -------
    ndarray, shape (cells,), dimensionless
        Zero where both are equal; infinite where something came and nothing was predicted.

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or the size is not positive.

    References
    ----------
    .. [1] P. McCullagh and J. A. Nelder, *Generalized Linear Models*, 2nd ed., 1989, ch. 2 and 11.

    Examples
    --------
    >>> unit_deviance(np.array([0.0, 2.0, 1.0]), np.array([1.5, 2.0, 0.0]))
    array([ 3.,  0., inf])
    """
    n, mu = cells(n, mu)
    size = _checked(size)
    if math.isinf(size):
        half = special.kl_div(n, mu)
    else:
        half = special.rel_entr(n, mu) - (n + size) * np.log1p((n - mu) / (mu + size))
    deviance: Floats = 2 * np.maximum(half, 0)  # rounding may leave a little less than nothing
    return deviance


def poisson_deviance(n: Floats, mu: Floats) -> float:
    """Return the deviance of Poisson counts: the sum of `unit_deviance` over all cells.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations

    Returns
    -------
    float, dimensionless

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`).

    Examples
    --------
    >>> round(poisson_deviance(np.array([0.0, 2.0]), np.array([0.5, 1.0])), 4)
    1.7726
    """
    return float(unit_deviance(n, mu).sum())


def nb_deviance(n: Floats, mu: Floats, size: float) -> float:
    """Return the deviance of negative-binomial counts: `unit_deviance` over all cells.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
    size : float, dimensionless

    Returns
    -------
    float, dimensionless

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or the size is not positive.

    Examples
    --------
    >>> round(nb_deviance(np.array([0.0, 2.0]), np.array([0.5, 1.0]), 1.0), 4)
    1.1507
    """
    return float(unit_deviance(n, mu, size).sum())


def skill(deviance: float, reference: float) -> float:
    """Return the share of a reference's deviance that a forecast removes, 1 − D / D_ref.

    Parameters
    ----------
    deviance, reference : float, dimensionless

    Returns
    -------
    float, fraction
        One is perfect, zero no better than the reference; NaN where the reference is perfect.

    Raises
    ------
    ValueError
        If one of them is negative.

    Examples
    --------
    >>> skill(30.0, 40.0)
    0.25
    """
    if deviance < 0 or reference < 0:
        raise ValueError(f"a deviance is not negative; got {deviance} and {reference}")
    return 1 - deviance / reference if reference else math.nan


def log_probability(n: Floats, mu: Floats, size: float) -> Floats:
    """Return the logarithm of the probability that each count had.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, in whole numbers, and predicted.
    size : float, dimensionless

    Returns
    -------
    ndarray, shape (cells,), nats
        Minus infinity where something came and nothing was predicted.

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or the size is not positive.

    Notes
    -----
    Γ(n + r) / (Γ(r) n!) is taken as one over (n + r) B(n + 1, r), which keeps its digits at any
    size.

    Examples
    --------
    >>> log_probability(np.array([0, 1]), np.array([1.0, 1.0]), math.inf)
    array([-1., -1.])
    """
    n, mu = cells(n, mu, whole=True)
    size = _checked(size)
    if math.isinf(size):
        found: Floats = special.xlogy(n, mu) - mu - special.gammaln(n + 1)
    else:
        found = special.xlogy(n, mu / (mu + size)) - size * np.log1p(mu / size)
        found -= np.log(n + size) + special.betaln(n + 1, size)
    return found


def log_score(n: Floats, mu: Floats, size: float) -> float:
    """Return the mean logarithm of the probability that counts had; more is better.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, in whole numbers, and predicted.
    size : float, dimensionless

    Returns
    -------
    float, nats per cell
        NaN without a cell.

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or the size is not positive.

    References
    ----------
    .. [1] T. Gneiting and A. E. Raftery, "Strictly proper scoring rules, prediction, and
       estimation", *Journal of the American Statistical Association* 102, 2007, 359–378.

    Examples
    --------
    >>> log_score(np.array([0, 1]), np.array([1.0, 1.0]), math.inf)
    -1.0
    """
    found = log_probability(n, mu, size)
    return float(found.mean()) if found.size else math.nan


def dispersion(n: Floats, mu: Floats) -> float:
    """Return the size under which negative-binomial counts are likeliest, the means given.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, in whole numbers, and predicted.

    Returns
    -------
    float, dimensionless
        From 1e-6 to 1e6; infinite where no size makes the counts likelier than Poisson's does,
        and NaN where nothing came at all.

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or something came where nothing was predicted.

    Notes
    -----
    The search is Brent's over log r. What of the likelihood depends on the count alone is computed
    once for each count that occurs.

    Examples
    --------
    >>> dispersion(np.array([1, 1, 2, 2]), np.array([1.5, 1.5, 1.5, 1.5]))
    inf
    """
    n, mu = cells(n, mu, whole=True)
    if (n[mu == 0] > 0).any():
        raise ValueError("something came where nothing was predicted: no size explains that")
    if not n.any():
        return math.nan
    count, often = np.unique(n, return_counts=True)
    total = float(n.sum())

    def loss(log_size: float) -> float:
        size = math.exp(log_size)
        ways = often @ (-np.log(count + size) - special.betaln(count + 1, size))
        return float((n + size) @ np.log1p(mu / size) + total * log_size - ways)

    found = optimize.minimize_scalar(
        loss,
        bounds=(math.log(SMALLEST), math.log(LARGEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    poisson = float(mu.sum() + often @ special.gammaln(count + 1))
    return math.exp(found.x) if found.fun < poisson else math.inf


def crps_nb(n: Floats, mu: Floats, size: float) -> float:
    """Return the mean continuous ranked probability score of counts; less is better.

    It is the sum over k of (F(k) − 1[n ≤ k])², with F the predicted distribution: in liquidations,
    and the absolute error where a forecast is certain.

    Parameters
    ----------
    n, mu : ndarray, shape (cells,), liquidations
        Counted, in whole numbers, and predicted.
    size : float, dimensionless

    Returns
    -------
    float, liquidations
        NaN without a cell.

    Raises
    ------
    ValueError
        If cells cannot be scored (`cells`), or the size is not positive.

    Notes
    -----
    The sums have closed forms. That of the negative binomial holds a hypergeometric function of
    large negative argument, which Pfaff's transformation brings between zero and one. It loses
    digits at large sizes: above 1,000, the score is interpolated in 1 / r towards Poisson's.

    References
    ----------
    .. [1] W. Wei and L. Held, "Calibration tests for count data", *TEST* 23, 2014, 787–805.

    Examples
    --------
    >>> crps_nb(np.array([3.0]), np.array([0.0]), 1.0)
    3.0
    """
    n, mu = cells(n, mu, whole=True)
    size = _checked(size)
    if not n.size:
        return math.nan
    if math.isinf(size):
        return float(_crps_poisson(n, mu).mean())
    share = min(1.0, WIDEST / size)
    score = _crps(n, mu, min(size, WIDEST))
    if share < 1:
        score = share * score + (1 - share) * _crps_poisson(n, mu)
    return float(score.mean())


def _crps(n: Floats, mu: Floats, size: float) -> Floats:
    miss, reach = mu / (mu + size), size + 2 * mu
    below = special.betaincc(n + 1, size, miss)
    wider = np.where(n > 0, special.betaincc(np.maximum(n, 1), size + 1, miss), 0)
    shape = special.hyp2f1(1 - size, 0.5, 2, 4 * mu * (size + mu) / reach**2) * size / reach
    score: Floats = n * (2 * below - 1) - mu * (2 * wider - 1 + (size + mu) / size * shape)
    return score


def _crps_poisson(n: Floats, mu: Floats) -> Floats:
    below = special.gammaincc(n + 1, mu)
    chance = np.exp(special.xlogy(n, mu) - mu - special.gammaln(n + 1))
    spread = special.i0e(2 * mu) + special.i1e(2 * mu)
    score: Floats = (n - mu) * (2 * below - 1) + mu * (2 * chance - spread)
    return score


def earth_movers(x: Floats, p: Floats, q: Floats) -> float:
    """Return how far, on average, mass must be moved to make one distribution the other.

    Parameters
    ----------
    x : ndarray, shape (n,), log price
        Where mass stands, in any order.
    p, q : ndarray, shape (n,)
        What stands there, not negative; each is scaled to one.

    Returns
    -------
    float, basis points
        NaN where one of them is nothing.

    Raises
    ------
    ValueError
        If shapes differ, a place is not finite, or a mass is negative or not finite.

    References
    ----------
    .. [1] Y. Rubner, C. Tomasi and L. J. Guibas, "The earth mover's distance as a metric for image
       retrieval", *International Journal of Computer Vision* 40, 2000, 99–121.

    Examples
    --------
    >>> earth_movers(np.array([0.0, 0.01]), np.array([1.0, 0.0]), np.array([1.0, 1.0]))
    50.0
    """
    x, p, q = (np.asarray(values, dtype=np.float64) for values in (x, p, q))
    if x.ndim != 1 or not x.shape == p.shape == q.shape:
        raise ValueError(
            f"places and masses must be of one length; got the shapes {x.shape}, {p.shape} "
            f"and {q.shape}"
        )
    if not (np.isfinite(x) & np.isfinite(p) & np.isfinite(q) & (p >= 0) & (q >= 0)).all():
        raise ValueError("places must be finite, masses finite and not negative")
    if not (p.any() and q.any()):
        return math.nan
    order = np.argsort(x, kind="stable")
    ahead = np.cumsum(p[order] / p.sum() - q[order] / q.sum())[:-1]
    return float(np.abs(ahead) @ np.diff(x[order])) * BASIS_POINTS
