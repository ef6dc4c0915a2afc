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
          {\sum_t E_{tk}\, \hat g_t + a / s m_k}, \qquad \hat g_t = \frac{n_t + r}{\mu_t + r},

and give every conditional distribution in closed form, from which a Gibbs sampler [2]_ draws whole
mixes. The size :math:`r` is moved by Metropolis steps. Liquidations come in clusters: the
information of the days, not of the bars, is what there is, so the likelihood is tempered by the
ratio of the variance of the daily scores to the model's own (at least 1) [3]_.

A tier that the price hardly ever reached keeps its prior.

References
----------
.. [1] Dempster, Laird, Rubin (1977), JRSS B 39(1); Shepp, Vardi (1982), IEEE TMI 1(2), for Poisson
   counts of a linear operator.
.. [2] Gelfand, Smith (1990), JASA 85(410).
.. [3] Ribatet, Cooley, Davison (2012), Statistica Sinica 22(2): magnitude adjustment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["SHAPE", "Fit", "fit", "likeliest_size", "likelihood"]

SHAPE = 2.0
"""How sure the prior is of each multiplier: at 2, nine of ten lie between 0.18 and 2.4 of it."""
_ROUNDS, _SETTLED = 400, 1e-4
_BURN, _THIN = 100, 3
_SIZES = (1e-3, 1e3)


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
        The negative binomial's, at the mode; small is clustered.
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
    orders: NDArray[np.int64],
    day: NDArray[np.int64],
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
    touched = exposure.sum(axis=1) > 0
    exposure, orders, day = exposure[touched], orders[touched], day[touched]
    known = bool(orders.sum())
    if not known:
        exposure, orders, day = exposure[:0], orders[:0], day[:0]
    multiplier, scale, size = _mode(exposure, orders, expected, shape)
    inflation = _inflation(exposure, orders, day, multiplier, size) if known else 1.0
    sampled = _draw(
        np.ascontiguousarray(exposure),
        orders,
        (shape / expected, shape),
        (multiplier, scale, size),
        inflation,
        draws,
        seed,
    )
    return Fit(
        multiplier=multiplier,
        draws=sampled,
        size=size,
        rows=len(orders),
        orders=int(orders.sum()),
        inflation=inflation,
        prior=expected,
    )


def likelihood(exposure: Floats, orders: NDArray[np.int64], found: Fit) -> float:
    """Return the log likelihood of counts at the mode of a fit, but for what depends on them only.

    Parameters
    ----------
    exposure : ndarray, shape (rows, tiers)
    orders : ndarray of int, shape (rows,)
    found : Fit
    """
    touched = exposure.sum(axis=1) > 0
    n, mean = orders[touched], exposure[touched] @ found.multiplier
    size = min(found.size, _SIZES[1])
    counted = n > 0
    some, mu = n[counted].astype(np.float64), mean[counted]
    said = gammaln(some + size) - gammaln(size) + some * np.log(mu / (size + mu))
    return float(said.sum() - size * np.log1p(mean / size).sum())


def _checked(
    exposure: Floats, orders: NDArray[np.int64], day: NDArray[np.int64]
) -> tuple[Floats, NDArray[np.int64]]:
    exposure = np.asarray(exposure, dtype=np.float64)
    if exposure.ndim != 2 or exposure.shape[1] < 1 or not len(exposure) == len(orders) == len(day):
        raise ValueError(
            f"exposure needs a row for each count and day; got {exposure.shape}, {len(orders)} "
            f"and {len(day)}"
        )
    if not np.isfinite(exposure).all() or (exposure < 0).any():
        raise ValueError("exposures must be finite and not negative; leave out what is not known")
    counts = np.asarray(orders)
    if not np.array_equal(counts, np.floor(counts)) or (counts < 0).any():
        raise ValueError("orders must be whole and not negative: divide dollars by a mean order")
    return exposure, counts.astype(np.int64)


def _mode(
    exposure: Floats, orders: NDArray[np.int64], expected: Floats, shape: float
) -> tuple[Floats, float, float]:
    """Return the multipliers, their scale, and the size, where the posterior is highest."""
    total = float((exposure @ expected).sum())
    scale = float(orders.sum()) / total if total > 0 else 1.0
    theta, size = expected * scale, math.inf
    for turn in range(_ROUNDS):
        mean = exposure @ theta
        if turn % 5 == 0:
            size = likeliest_size(orders, mean)
        hidden = np.ones(len(mean)) if math.isinf(size) else (orders + size) / (mean + size)
        ratio = np.divide(orders, mean, out=np.zeros(len(mean)), where=mean > 0)
        before = theta
        theta = (theta * (exposure.T @ ratio) + shape) / (
            exposure.T @ hidden + shape / (scale * expected)
        )
        scale = float(np.mean(theta / expected)) if len(mean) else 1.0
        if np.max(np.abs(theta / before - 1)) < _SETTLED:
            break
    return theta, scale, size


def likeliest_size(orders: NDArray[np.int64], mean: Floats) -> float:
    """Return the negative binomial's likeliest size from 0.001 to 1,000, by golden section.

    Parameters
    ----------
    orders : ndarray of int, shape (n,)
    mean : ndarray, shape (n,)
        Positive where something was counted.

    Returns
    -------
    float
        Infinite of nothing.
    """
    if not len(mean):
        return math.inf
    counted = orders > 0
    n, mu = orders[counted].astype(np.float64), mean[counted]
    silent = mean[~counted]

    def unlikely(log_size: float) -> float:
        r = math.exp(log_size)
        said = gammaln(n + r) - gammaln(r) + n * np.log(mu / (r + mu)) - r * np.log1p(mu / r)
        return -float(said.sum() - r * np.log1p(silent / r).sum())

    low, high = (math.log(bound) for bound in _SIZES)
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = unlikely(left), unlikely(right)
    for _ in range(24):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = unlikely(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = unlikely(right)
    return math.exp((low + high) / 2)


def _inflation(
    exposure: Floats, orders: NDArray[np.int64], day: NDArray[np.int64], theta: Floats, size: float
) -> float:
    """Return how much more the scores of days vary than the model says; at least one."""
    mean = np.maximum(exposure @ theta, 1e-300)
    spread = mean * (1 + mean / size)
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


@njit(cache=True, nogil=True)
def _draw(
    exposure: Floats,
    orders: NDArray[np.int64],
    prior: tuple[Floats, float],
    start: tuple[Floats, float, float],
    inflation: float,
    draws: int,
    seed: int,
) -> Floats:
    """Return posterior draws of the multipliers by Gibbs sampling; shape (draws, tiers).

    `prior` holds the shape over each expected multiplier, and the shape; `start` the mode:
    multipliers, scale, size.
    """
    np.random.seed(seed)  # noqa: NPY002 (compiled code has its own generator of this kind)
    rows, tiers = exposure.shape
    rates, shape = prior
    theta, scale, size = start[0].copy(), start[1], min(start[2], 1e3)
    found = np.empty((draws, tiers))
    walk = 0.2
    for turn in range(_BURN + draws * _THIN if draws else 0):
        taken, exposed = np.zeros(tiers), np.zeros(tiers)
        for row in range(rows):
            _augment(exposure[row], orders[row], theta, size, taken, exposed)
        for tier in range(tiers):
            rate = exposed[tier] / inflation + rates[tier] / scale
            theta[tier] = np.random.gamma(shape + taken[tier] / inflation) / rate  # noqa: NPY002
        pull = 0.0
        for tier in range(tiers):
            pull += theta[tier] * rates[tier]
        if rows:  # with nothing counted, it would wander off
            scale = pull / np.random.gamma(tiers * shape)  # noqa: NPY002
        if rows and turn % 3 == 0:
            size = _step(exposure, orders, theta, size, inflation, walk)
        if turn >= _BURN and (turn - _BURN) % _THIN == 0:
            found[(turn - _BURN) // _THIN] = theta
    return found


@njit(cache=True, nogil=True)
def _augment(
    exposure: Floats, orders: int, theta: Floats, size: float, taken: Floats, exposed: Floats
) -> None:
    """Draw what is hidden of a row: its common factor, and which tier each order came from."""
    mean = 0.0
    for tier in range(len(theta)):
        mean += theta[tier] * exposure[tier]
    hidden = np.random.gamma(orders + size) / (mean + size)  # noqa: NPY002
    left, rest = orders, mean
    for tier in range(len(theta)):
        exposed[tier] += exposure[tier] * hidden
        part = theta[tier] * exposure[tier]
        if left == 0 or part <= 0.0:
            continue
        share = part / rest if rest > part else 1.0
        split = np.random.binomial(left, share)  # noqa: NPY002
        taken[tier] += split
        left -= split
        rest -= part


@njit(cache=True, nogil=True)
def _step(
    exposure: Floats,
    orders: NDArray[np.int64],
    theta: Floats,
    size: float,
    inflation: float,
    walk: float,
) -> float:
    """Return the size after one Metropolis step on its logarithm."""
    other = size * math.exp(walk * np.random.normal())  # noqa: NPY002
    if not 1e-3 < other < 1e3:
        return size
    gain = 0.0
    for row in range(len(orders)):
        mean = 0.0
        for tier in range(exposure.shape[1]):
            mean += theta[tier] * exposure[row, tier]
        n = orders[row]
        gain += size * math.log1p(mean / size) - other * math.log1p(mean / other)
        if n:
            gain += math.lgamma(n + other) - math.lgamma(other) - n * math.log(other + mean)
            gain -= math.lgamma(n + size) - math.lgamma(size) - n * math.log(size + mean)
    if math.log(np.random.random()) < gain / inflation:  # noqa: NPY002
        return other
    return size
