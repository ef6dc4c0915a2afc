r"""One expiry's smile as a curve of five parameters: stochastic volatility inspired (SVI).

Total variance :math:`w = \sigma^2 T` over log moneyness :math:`k = \ln K / F` is [1]_

.. math:: w(k) = a + b \left(\rho (k - m) + \sqrt{(k - m)^2 + s^2}\right)

with :math:`b \ge 0`, :math:`|\rho| < 1`, :math:`s > 0`, no negative variance
(:math:`a + b s \sqrt{1 - \rho^2} \ge 0`) and no wing steeper than 2 (:math:`b (1 + |\rho|) \le 2`,
Lee's bound). Curves are arrays whose last axis is :math:`a, b, \rho, m, s`; the axes before it
broadcast with :math:`k` and with time to expiry.

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance
   14(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "butterfly",
    "from_jump_wings",
    "jump_wings",
    "repaired",
    "total_variance",
]


def total_variance(curve: ArrayLike, k: ArrayLike) -> Floats:
    """Return the total variance of curves.

    Parameters
    ----------
    curve : array_like, shape (…, 5)
        Parameters a, b, ρ, m, s.
    k : array_like, log of strike over forward

    Returns
    -------
    ndarray, variance to expiry

    Examples
    --------
    >>> float(total_variance([0.04, 0.4, -0.3, 0.1, 0.2], 0.0).round(6))
    0.141443
    """
    a, b, rho, m, s = _parts(curve)
    away = np.asarray(k, dtype=np.float64) - m
    return a + b * (rho * away + np.sqrt(away**2 + s**2))


def butterfly(curve: ArrayLike, k: ArrayLike) -> Floats:
    r"""Return what the density of the price at expiry is proportional to.

    .. math:: g(k) = \left(1 - \frac{k w'}{2 w}\right)^2
              - \frac{w'^2}{4} \left(\frac{1}{w} + \frac{1}{4}\right) + \frac{w''}{2}

    Where it is negative, a butterfly of calls costs less than nothing.

    Parameters
    ----------
    curve, k : array_like
        As for `total_variance`.

    Returns
    -------
    ndarray, dimensionless
    """
    _, b, rho, m, s = _parts(curve)
    k = np.asarray(k, dtype=np.float64)
    away = k - m
    root = np.sqrt(away**2 + s**2)
    w = total_variance(curve, k)
    first, second = b * (rho + away / root), b * s**2 / root**3
    density: Floats = (1 - k * first / (2 * w)) ** 2 - first**2 / 4 * (1 / w + 0.25) + second / 2
    return density


def jump_wings(curve: ArrayLike, years: ArrayLike) -> Floats:
    r"""Return curves in parameters that a trader reads.

    Parameters
    ----------
    curve : array_like, shape (…, 5)
        Parameters a, b, ρ, m, s.
    years : array_like, years
        To expiry.

    Returns
    -------
    ndarray, shape (…, 5)
        Variance at the money :math:`v`, its skew :math:`\psi`, slopes of the put's wing :math:`p`
        and the call's :math:`c`, and the least variance :math:`\tilde v`; variances for a year.
    """
    a, b, rho, m, s = _parts(curve)
    years = np.asarray(years, dtype=np.float64)
    w = total_variance(curve, 0.0)
    root = np.sqrt(w)
    skew = b / (2 * root) * (rho - m / np.sqrt(m**2 + s**2))
    least = a + b * s * np.sqrt(1 - rho**2)
    wings = b * (1 - rho) / root, b * (1 + rho) / root
    return np.stack([w / years, skew, *wings, least / years], axis=-1)


def from_jump_wings(wings: ArrayLike, years: ArrayLike) -> Floats:
    """Return the curves of `jump_wings`.

    Parameters
    ----------
    wings : array_like, shape (…, 5)
    years : array_like, years

    Returns
    -------
    ndarray, shape (…, 5)
        Parameters a, b, ρ, m, s; NaN where no curve has these wings.

    Examples
    --------
    >>> curve = np.array([0.04, 0.4, -0.3, 0.1, 0.2])
    >>> from_jump_wings(jump_wings(curve, 0.5), 0.5).round(6)
    array([ 0.04,  0.4 , -0.3 ,  0.1 ,  0.2 ])
    """
    v, skew, left, right, least = _parts(wings)
    years = np.asarray(years, dtype=np.float64)
    root = np.sqrt(v * years)
    b = root / 2 * (left + right)
    rho = 1 - left * root / b
    turn = rho - 2 * skew * root / b  # m over the root of m² + s²
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.sqrt(1 - turn**2)
        radius = (v - least) * years / (b * (1 - rho * turn - flat * np.sqrt(1 - rho**2)))
    s = flat * radius
    a = least * years - b * s * np.sqrt(1 - rho**2)
    return np.stack([a, b, rho, turn * radius, s], axis=-1)


def repaired(curve: ArrayLike, years: ArrayLike) -> Floats:
    r"""Return curves of the same level, skew and left wing that no butterfly betrays.

    The right wing becomes :math:`c' = p + 2 \psi` and the least variance
    :math:`\tilde v' = 4 v p c' / (p + c')^2`, which makes of the curve one of SSVI [1]_.

    Parameters
    ----------
    curve : array_like, shape (…, 5)
        Parameters a, b, ρ, m, s.
    years : array_like, years

    Returns
    -------
    ndarray, shape (…, 5)
        NaN where the skew is too steep for the wing. Steep wings still need a look at `butterfly`.

    References
    ----------
    .. [1] Gatheral, Jacquier (2014), section 5.1.
    """
    v, skew, left, _, _ = _parts(jump_wings(curve, years))
    right = left + 2 * skew
    right = np.where(right > 0, right, np.nan)
    least = 4 * v * left * right / (left + right) ** 2
    return from_jump_wings(np.stack([v, skew, left, right, least], axis=-1), years)


def _parts(curve: ArrayLike) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    a, b, c, d, e = np.moveaxis(np.asarray(curve, dtype=np.float64), -1, 0)
    return a, b, c, d, e
