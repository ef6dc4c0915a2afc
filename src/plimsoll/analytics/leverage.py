r"""The leverage mix, fitted: which tiers the liquidations that really happened came from.

The inventory predicts, for each bar and side, how many dollars of each leverage tier the price
sweeps. In orders of a mean size :math:`u`, that is an exposure :math:`E_{tk}`, and the orders
counted are taken as

.. math:: n_t \sim \mathrm{NegBin}\Big(\mu_t = \sum_k \theta_k E_{tk},\ r\Big), \qquad
          \theta_k \sim \mathrm{Gamma}(a, a / s m_k).

A multiplier :math:`\theta_k = 1` says: this tier holds what the prior mix :math:`w_k` gave it, and
each of its liquidations was published. The fitted mix is :math:`w_k \theta_k / \sum_j w_j
\theta_j`; the *scale* :math:`\sum_k w_k \theta_k` is the share of open interest that can be
liquidated, relative to the one assumed, times the share of liquidations that the feed publishes.
**These two cannot be told apart by liquidations alone**, and the mix can be told apart from them
only because tiers are crossed at different times. One more column, the *background*, spreads the
liquidatable open interest evenly over the prices: if where positions stand explains nothing, it
takes all.

Fitting. A negative binomial is a Poisson variable whose mean is multiplied by a hidden
:math:`g_t \sim \mathrm{Gamma}(r, r)`, and a sum of Poisson variables can be split by tier. Both
make the step of expectation-maximisation [1]_ explicit (`fit` finds the mode so):

.. math:: \theta_k \leftarrow \frac{\theta_k \sum_t E_{tk}\, n_t / \mu_t + a}
          {\sum_t E_{tk}\, \hat g_t + a / s m_k}, \qquad \hat g_t = \frac{n_t + r}{\mu_t + r}.

Liquidations come in clusters: the information of the days, not of the bars, is what there is, so
the likelihood is tempered by the ratio of the variance of the daily scores to the model's own (at
least 1) [2]_. Whole mixes are drawn from what it says with the prior, by a random walk of
Metropolis over the logarithms of multipliers, scale and size, in steps that have the curvature at
the mode and the length at which such walks are fastest [3]_.

Most bars touch nothing that the inventory knows of. Those of one day without a liquidation, and
with like exposure to the background alone, are *joined*: a sum of negative binomials of one mean is
another, of a size as many times as large.

A tier that the price hardly ever reached keeps its prior.

References
----------
.. [1] Dempster, Laird, Rubin (1977), JRSS B 39(1); Shepp, Vardi (1982), IEEE TMI 1(2), for Poisson
   counts of a linear operator.
.. [2] Ribatet, Cooley, Davison (2012), Statistica Sinica 22(2): magnitude adjustment.
.. [3] Roberts, Gelman, Gilks (1997), Annals of Applied Probability 7(1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    _Rows = tuple[Floats, Ints, Floats]
    """Exposures, orders, and how many rows each stands for."""
    _Law = tuple[Floats, float, float]
    """Expected multipliers, the prior's shape, and the inflation."""

__all__ = ["SHAPE", "Fit", "common_size", "fit", "joined", "likeliest_size", "likelihood"]

SHAPE = 1.0
"""How sure the prior is of each multiplier: at 1, every mix of equal weights is equally likely."""
_ROUNDS, _SETTLED = 400, 1e-4
_SIZED = 20
"""So often at most the size is looked for again."""
_ALIKE = 0.01
"""Exposures of one step of this on a log scale are joined."""
_BURN, _THIN = 500, 30
_FASTEST = 2.38
"""Of a step, over the root of the dimensions and in standard deviations."""
_SIZES = (1e-3, 1e3)
_LOW, _HIGH = (math.log(bound) for bound in _SIZES)
_FLAT = 0.1
"""The least curvature that a step is made for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Multipliers of the tiers, and how sure they are.

    Attributes
    ----------
    multiplier : ndarray, shape (tiers,), dimensionless
        The mode; the last is the background's.
    draws : ndarray, shape (draws, tiers)
        Of the posterior.
    size : float
        The negative binomial's, at the mode; small is clustered. Infinite of nothing.
    rows, orders : int
        Bars and sides with exposure; orders counted in them.
    inflation : float
        By how much the daily scores vary more than the model says; the likelihood is tempered
        by it.
    prior : ndarray, shape (tiers,)
        What each multiplier was expected to be, up to a scale.
    """

    multiplier: Floats
    draws: Floats
    size: float
    rows: int
    orders: int
    inflation: float
    prior: Floats


def fit(
    exposure: Floats,
    orders: Ints,
    day: Ints,
    many: Floats | None = None,
    *,
    prior: Floats | None = None,
    shape: float = SHAPE,
    draws: int = 200,
    seed: int = 0,
) -> Fit:
    """Fit the multipliers of tiers to counted liquidations.

    Parameters
    ----------
    exposure : ndarray, shape (rows, tiers), orders
        What the inventory predicts of each tier, the background last.
    orders : ndarray of int, shape (rows,)
        Counted liquidations.
    day : ndarray of int, shape (rows,)
        Rows of one day are taken to vary together.
    many : ndarray, shape (rows,), optional
        How many rows each stands for, where they are `joined` already.
    prior : ndarray, shape (tiers,), optional
        Expected multipliers, up to a common scale; equal by default.
    shape : float
        How sure the prior is; see `SHAPE`.
    draws : int
        Of the posterior; 0 for the mode alone.
    seed : int
        Of the sampler.

    Returns
    -------
    Fit
        With no order or no exposure at all nothing is identified, and the draws are the prior's.

    Raises
    ------
    ValueError
        If shapes disagree, or a number is negative or not finite.
    """
    exposure, orders = _checked(exposure, orders, day)
    tiers = exposure.shape[1]
    expected = np.ones(tiers) if prior is None else np.asarray(prior, dtype=np.float64)
    if expected.shape != (tiers,) or not (expected > 0).all() or not shape > 0:
        raise ValueError(f"the prior needs {tiers} positive multipliers and a positive shape")
    if many is None:
        exposure, orders, day, many = joined(exposure, orders, day)
    known = bool(orders.sum())
    if not known:
        exposure, orders, day, many = exposure[:0], orders[:0], day[:0], many[:0]
    multiplier, scale, size = _mode(exposure, orders, many, expected, shape)
    inflation = _inflation(exposure, orders, day, multiplier, size * many) if known else 1.0
    mode = np.log(np.append(multiplier, (scale, np.clip(size, *_SIZES))))
    if not draws:
        sampled = np.empty((0, tiers))
    elif not known:
        sampled = np.random.default_rng(seed).gamma(shape, expected / shape, (draws, tiers))
    else:
        rows = np.ascontiguousarray(exposure), orders, many
        law = expected, shape, inflation
        sampled = _walk(rows, law, mode, _steps(rows, law, mode), draws, seed)
    return Fit(
        multiplier=multiplier,
        draws=sampled,
        size=size,
        rows=int(many.sum()),
        orders=int(orders.sum()),
        inflation=inflation,
        prior=expected,
    )


def joined(exposure: Floats, orders: Ints, day: Ints) -> tuple[Floats, Ints, Ints, Floats]:
    """Return fewer rows that say the same: those without exposure left out, silent ones joined.

    Parameters
    ----------
    exposure, orders, day
        As in `fit`.

    Returns
    -------
    exposure, orders, day
        The same, of fewer rows.
    many : ndarray, shape (rows,)
        How many each stands for.
    """
    plain = (orders == 0) & (exposure[:, :-1] == 0).all(axis=1)
    kept, silent = ~plain & (exposure > 0).any(axis=1), plain & (exposure[:, -1] > 0)
    even, of = exposure[silent, -1], day[silent]
    alike = np.floor(np.log(even) / _ALIKE).astype(np.int64)
    _, first, at = np.unique(of * 2**32 + alike, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), exposure.shape[1]))
    sums[:, -1] = np.bincount(at, weights=even, minlength=len(first))
    return (
        np.vstack([exposure[kept], sums]),
        np.append(orders[kept], np.zeros(len(first), dtype=np.int64)),
        np.append(day[kept], of[first]),
        np.append(np.ones(np.count_nonzero(kept)), np.bincount(at, minlength=len(first))),
    )


def likelihood(exposure: Floats, orders: Ints, found: Fit, many: Floats | float = 1.0) -> float:
    """Return the log likelihood of counts at the mode of a fit, but for what depends on them only.

    Parameters
    ----------
    exposure : ndarray, shape (rows, tiers)
    orders : ndarray of int, shape (rows,)
    found : Fit
    many : ndarray, shape (rows,), optional
        As in `fit`.
    """
    mean, size = exposure @ found.multiplier, min(found.size, _SIZES[1])
    counted = (orders > 0) & (mean > 0)
    n, mu, sizes = orders[counted].astype(np.float64), mean[counted], size * many
    said = gammaln(n + size) - gammaln(size) + n * np.log(mu / (size + mu))
    return float(said.sum() - (sizes * np.log1p(mean / sizes)).sum())


def _checked(exposure: Floats, orders: Ints, day: Ints) -> tuple[Floats, Ints]:
    exposure = np.asarray(exposure, dtype=np.float64)
    if exposure.ndim != 2 or exposure.shape[1] < 1 or not len(exposure) == len(orders) == len(day):
        raise ValueError(
            f"exposure needs a row for each count and day; got {exposure.shape}, {len(orders)} "
            f"and {len(day)}"
        )
    if not np.isfinite(exposure).all() or (exposure < 0).any():
        raise ValueError("exposures must be finite and not negative; leave out what is not known")
    counts = np.asarray(orders)
    if not (np.isfinite(counts) & (counts == np.floor(counts)) & (counts >= 0)).all():
        raise ValueError("orders must be whole and not negative: divide dollars by a mean order")
    return exposure, counts.astype(np.int64)


def _mode(
    exposure: Floats, orders: Ints, many: Floats, expected: Floats, shape: float
) -> tuple[Floats, float, float]:
    """Return the multipliers, their scale, and the size, where the posterior is highest."""
    total = float((exposure @ expected).sum())
    scale = float(orders.sum()) / total if total > 0 else 1.0
    theta, size = expected * scale, math.inf
    if not len(orders):
        return theta, scale, size
    for _ in range(_SIZED):
        before, size = size, likeliest_size(orders, exposure @ theta, many)
        theta, scale = _climb(exposure, orders, size * many, expected, shape, (theta, scale))
        if abs(size / before - 1) < 10 * _SETTLED:
            break
    return theta, scale, size


def _climb(
    exposure: Floats,
    orders: Ints,
    sizes: Floats,
    expected: Floats,
    shape: float,
    start: tuple[Floats, float],
) -> tuple[Floats, float]:
    """Return the multipliers and their scale where the posterior is highest, given the sizes."""
    theta, scale = start
    counted = orders > 0
    some, n = exposure[counted], orders[counted]
    for _ in range(_ROUNDS):
        mean = exposure @ theta
        split = (n / mean[counted]) @ some
        hidden = ((orders + sizes) / (mean + sizes)) @ exposure
        before = theta
        theta = (theta * split + shape) / (hidden + shape / (scale * expected))
        scale = float(np.mean(theta / expected))
        if np.max(np.abs(theta / before - 1)) < _SETTLED:
            break
    return theta, scale


def likeliest_size(orders: Ints, mean: Floats, many: Floats | float = 1.0) -> float:
    """Return the negative binomial's likeliest size from 0.001 to 1,000.

    Parameters
    ----------
    orders : ndarray of int, shape (n,)
    mean : ndarray, shape (n,)
        Positive where something was counted.
    many : ndarray, shape (n,), optional
        How many each stands for; one where something was counted.

    Returns
    -------
    float
        Infinite where nothing was counted.
    """
    counted = orders > 0
    if not counted.any():
        return math.inf
    times = np.broadcast_to(np.asarray(many, dtype=np.float64), mean.shape)[~counted]
    rows = (orders[counted].astype(np.float64), mean[counted], mean[~counted], times)
    found = minimize_scalar(
        _unlikely, bounds=(_LOW, _HIGH), args=rows, method="bounded", options={"xatol": _SETTLED}
    )
    return math.exp(found.x)


@njit(cache=True, nogil=True)
def _unlikely(log_size: float, n: Floats, mean: Floats, silent: Floats, times: Floats) -> float:
    """Return minus the log likelihood of a size, of counts above zero and of silent rows."""
    size = math.exp(log_size)
    said, one = 0.0, math.lgamma(size)
    for row in range(len(n)):
        said += math.lgamma(n[row] + size) - one - size * math.log1p(mean[row] / size)
        said += n[row] * math.log(mean[row] / (size + mean[row]))
    for row in range(len(silent)):
        sizes = size * times[row]
        said -= sizes * math.log1p(silent[row] / sizes)
    return -said


def common_size(orders: Ints, mean: Floats, evenness: Floats, size: float) -> float:
    r"""Return the size of what cells touched together vary alike; the rest each varies by itself.

    A sum of cells of means :math:`m_i` and size :math:`r` then varies, beyond Poisson, by
    :math:`(1/r - 1/c) \sum m_i^2 + (\sum m_i)^2 / c`.

    Parameters
    ----------
    orders : ndarray of int, shape (n,)
        Counted in the cells of a bar and side together.
    mean : ndarray, shape (n,)
        Positive.
    evenness : ndarray, shape (n,)
        The sum of the cells' squared means over the square of their sum.
    size : float
        Of a cell.

    Returns
    -------
    float
        :math:`c`, from `size` to 1,000 times as much; what is likeliest.
    """
    n = orders.astype(np.float64)

    def unlikely(log_size: float) -> float:
        common = math.exp(log_size)
        r = 1 / ((1 / size - 1 / common) * evenness + 1 / common)
        said = gammaln(n + r) - gammaln(r) + n * np.log(mean / (r + mean)) - r * np.log1p(mean / r)
        return -float(said.sum())

    lowest = math.log(size)
    bounds = (lowest, lowest + math.log(1_000))
    return float(math.exp(minimize_scalar(unlikely, bounds=bounds, method="bounded").x))


def _inflation(exposure: Floats, orders: Ints, day: Ints, theta: Floats, sizes: Floats) -> float:
    """Return how much more the scores of days vary than the model says; at least one."""
    mean = np.maximum(exposure @ theta, 1e-300)
    spread = mean * (1 + mean / sizes)
    score = exposure * ((orders - mean) / spread)[:, None] * theta  # of the log multipliers
    information = (exposure**2 / spread[:, None]).sum(axis=0) * theta**2
    _, at = np.unique(day, return_inverse=True)
    daily = np.zeros((at.max() + 1, exposure.shape[1]))
    np.add.at(daily, at, score)
    told = information > 1.0  # a tier of which less than one order is known says nothing here
    if len(daily) < 3 or not told.any():
        return 1.0
    ratio = (daily[:, told] ** 2).sum(axis=0) / information[told]
    return max(1.0, float(np.average(ratio, weights=information[told])))


def _steps(rows: _Rows, law: _Law, mode: Floats) -> Floats:
    """Return by what standard normal numbers become a step; shape (tiers + 2, tiers + 2)."""
    exposure, _, many = rows
    expected, shape, inflation = law
    tiers = exposure.shape[1]
    theta, scale, size = np.exp(mode[:tiers]), math.exp(mode[-2]), math.exp(mode[-1])
    mean = exposure @ theta
    swept = exposure * theta / np.sqrt(mean * (1 + mean / (size * many)))[:, None]
    held = shape * theta / (scale * expected)  # by the prior
    curvature = np.zeros((tiers + 2, tiers + 2))
    curvature[:tiers, :tiers] = swept.T @ swept / inflation + np.diag(held)
    curvature[:tiers, tiers] = curvature[tiers, :tiers] = -held
    curvature[tiers, tiers] = held.sum()
    near = np.tile(mode, (3, 1))
    near[:, -1] = np.clip(mode[-1], _LOW + 0.1, _HIGH - 0.1) + np.linspace(-0.1, 0.1, 3)
    high = np.array([_posterior(one, rows, law) for one in near])
    curvature[-1, -1] = max(1.0, -float(np.diff(high, 2)[0]) / 0.01)
    covariance = np.linalg.inv(curvature + _FLAT * np.eye(tiers + 2))
    steps: Floats = np.linalg.cholesky(covariance) * (_FASTEST / math.sqrt(tiers + 2))
    return steps


@njit(cache=True, nogil=True)
def _walk(rows: _Rows, law: _Law, mode: Floats, steps: Floats, draws: int, seed: int) -> Floats:
    """Return draws of the multipliers by a random walk from the mode; shape (draws, tiers)."""
    np.random.seed(seed)  # noqa: NPY002 (compiled code has its own generator of this kind)
    found = np.empty((draws, len(mode) - 2))
    at, here = mode, _posterior(mode, rows, law)
    for turn in range(-_BURN, draws * _THIN):
        other = at + steps @ np.random.standard_normal(len(mode))  # noqa: NPY002
        there = _posterior(other, rows, law)
        if math.log(np.random.random()) < there - here:  # noqa: NPY002
            at, here = other, there
        if turn >= 0:
            found[turn // _THIN] = np.exp(at[:-2])
    return found


@njit(cache=True, nogil=True)
def _posterior(at: Floats, rows: _Rows, law: _Law) -> float:
    """Return the logarithm of the tempered posterior, of logarithms of multipliers, scale, size."""
    if not _LOW <= at[-1] <= _HIGH:
        return -math.inf
    exposure, orders, many = rows
    expected, shape, inflation = law
    theta, size = np.exp(at[:-2]), math.exp(at[-1])
    said, one = 0.0, math.lgamma(size)
    for row in range(len(orders)):
        mean = 0.0
        for tier in range(len(theta)):
            mean += theta[tier] * exposure[row, tier]
        n, sizes = orders[row], size * many[row]
        said -= sizes * math.log1p(mean / sizes)
        if n:
            said += math.lgamma(n + size) - one + n * math.log(mean / (size + mean))
    said /= inflation
    for tier in range(len(theta)):
        over = at[tier] - at[-2] - math.log(expected[tier])
        said += shape * (over - math.exp(over))
    return said
