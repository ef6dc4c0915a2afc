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
ratio of the variance of the daily scores to the model's own (at least 1) [3]_. In the sampler, what
is hidden then varies around its mean by as much more.

Most bars touch nothing that the inventory knows of. Those of one day without a liquidation, and
with like exposure to the background alone, are *joined*: a sum of negative binomials of one mean is
another, of a size as many times as large.

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
    Ints = NDArray[np.int64]

__all__ = ["SHAPE", "Fit", "fit", "joined", "likeliest_size", "likelihood"]

SHAPE = 2.0
"""How sure the prior is of each multiplier: at 2, nine of ten lie between 0.18 and 2.4 of it."""
_ROUNDS, _SETTLED = 400, 1e-4
_SIZED = 20
"""So often at most the size is looked for again."""
_ALIKE = 0.01
"""Exposures of one step of this on a log scale are joined."""
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
    sampled = _draw(
        (np.ascontiguousarray(exposure), orders, many),
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
    """Return the negative binomial's likeliest size from 0.001 to 1,000, by golden section.

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
    n, mu = orders[counted].astype(np.float64), mean[counted]
    count, often = np.unique(n, return_counts=True)
    silent = mean[~counted]
    times = np.broadcast_to(many, mean.shape)[~counted]

    def unlikely(log_size: float) -> float:
        r = math.exp(log_size)
        ways = often @ (gammaln(count + r) - gammaln(r))
        said = n @ np.log(mu / (r + mu)) - r * np.log1p(mu / r).sum()
        return float(r * (times @ np.log1p(silent / (r * times))) - ways - said)

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


@njit(cache=True, nogil=True)
def _draw(
    counted: tuple[Floats, Ints, Floats],
    prior: tuple[Floats, float],
    start: tuple[Floats, float, float],
    inflation: float,
    draws: int,
    seed: int,
) -> Floats:
    """Return posterior draws of the multipliers by Gibbs sampling; shape (draws, tiers).

    `counted` holds exposures, orders, and how many rows each stands for; `prior` the shape over
    each expected multiplier, and the shape; `start` the mode: multipliers, scale, size.
    """
    np.random.seed(seed)  # noqa: NPY002 (compiled code has its own generator of this kind)
    exposure, orders, many = counted
    rows, tiers = exposure.shape
    rates, shape = prior
    theta, scale, size = start[0].copy(), start[1], min(start[2], 1e3)
    found = np.empty((draws, tiers))
    wide = math.sqrt(inflation)
    for turn in range(_BURN + draws * _THIN if draws else 0):
        taken, exposed = np.zeros(tiers), np.zeros(tiers)
        for row in range(rows):
            _augment(exposure[row], orders[row], theta, size * many[row], wide, taken, exposed)
        for tier in range(tiers):
            rate = max(0.0, exposed[tier]) / inflation + rates[tier] / scale
            told = max(0.0, taken[tier]) / inflation
            theta[tier] = np.random.gamma(shape + told) / rate  # noqa: NPY002
        pull = 0.0
        for tier in range(tiers):
            pull += theta[tier] * rates[tier]
        if rows:  # with nothing counted, it would wander off
            scale = pull / np.random.gamma(tiers * shape)  # noqa: NPY002
        if rows and turn % 3 == 0:
            size = _step(exposure, orders, many, theta, size, inflation)
        if turn >= _BURN and (turn - _BURN) % _THIN == 0:
            found[(turn - _BURN) // _THIN] = theta
    return found


@njit(cache=True, nogil=True)
def _augment(
    exposure: Floats,
    orders: int,
    theta: Floats,
    size: float,
    wide: float,
    taken: Floats,
    exposed: Floats,
) -> None:
    """Draw what is hidden of a row: its common factor, and which tier each order came from.

    Both lie so many times as wide around their means.
    """
    mean = 0.0
    for tier in range(len(theta)):
        mean += theta[tier] * exposure[tier]
    middle = (orders + size) / (mean + size)
    drawn = np.random.gamma(orders + size) / (mean + size)  # noqa: NPY002
    hidden = middle + wide * (drawn - middle)
    left, rest = orders, mean
    for tier in range(len(theta)):
        exposed[tier] += exposure[tier] * hidden
        part = theta[tier] * exposure[tier]
        if orders == 0 or part <= 0.0:
            continue
        share = part / rest if rest > part else 1.0
        split = np.random.binomial(left, share)  # noqa: NPY002
        fair = orders * part / mean
        taken[tier] += fair + wide * (split - fair)
        left -= split
        rest -= part


@njit(cache=True, nogil=True)
def _step(
    exposure: Floats, orders: Ints, many: Floats, theta: Floats, size: float, inflation: float
) -> float:
    """Return the size after one Metropolis step on its logarithm."""
    other = size * math.exp(0.2 * np.random.normal())  # noqa: NPY002
    if not 1e-3 < other < 1e3:
        return size
    gain = 0.0
    for row in range(len(orders)):
        mean = 0.0
        for tier in range(exposure.shape[1]):
            mean += theta[tier] * exposure[row, tier]
        n, times = orders[row], many[row]
        gain += times * size * math.log1p(mean / (times * size))
        gain -= times * other * math.log1p(mean / (times * other))
        if n:
            gain += math.lgamma(n + other) - math.lgamma(other) - n * math.log(other + mean)
            gain -= math.lgamma(n + size) - math.lgamma(size) - n * math.log(size + mean)
    if math.log(np.random.random()) < gain / inflation:  # noqa: NPY002
        return other
    return size
