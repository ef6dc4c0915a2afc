r"""One form for the smiles of all expiries, for those that too few quotes tell (SSVI).

With total variance :math:`\theta` at the money,

.. math:: w(k) = \frac{\theta}{2} \left(1 + \rho \varphi k
          + \sqrt{(\varphi k + \rho)^2 + 1 - \rho^2}\right), \qquad
          \varphi = \frac{\eta}{\theta^\gamma (1 + \theta)^{1 - \gamma}}

is free of butterflies for :math:`0 < \gamma \le 1/2` and :math:`\eta (1 + |\rho|) \le 2`, and
expiries do not cross where :math:`\theta` rises with them [1]_: nothing else is looked for.

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance
   14(1), sections 4 and 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit

from plimsoll.analytics import svi

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["curve", "fit"]

_BEGIN = (-0.1, 0.0, 0.0)
_REACH = 12.0
"""Beyond this a logistic says nothing new."""


def curve(theta: ArrayLike, rho: ArrayLike, phi: ArrayLike) -> Floats:
    """Return the curves of SSVI, in the parameters of `svi`.

    Parameters
    ----------
    theta : array_like, variance to expiry
        At the money.
    rho : array_like, dimensionless
        Skew, in (-1, 1).
    phi : array_like, per unit of log moneyness
        How curved the smile is.

    Returns
    -------
    ndarray, shape (…, 5)
        Parameters a, b, ρ, m, s.

    Examples
    --------
    >>> float(svi.total_variance(curve(0.04, -0.3, 5.0), 0.0).round(6))
    0.04
    """
    theta, rho, phi = (np.asarray(one, dtype=np.float64) for one in (theta, rho, phi))
    flat = np.sqrt(1 - rho**2)
    parts = theta / 2 * flat**2, theta * phi / 2, rho, -rho / phi, flat / phi
    return np.stack(np.broadcast_arrays(*parts), axis=-1)


def fit(k: Floats, w: Floats, weight: Floats, of: Ints, theta: Floats) -> Floats:
    """Return the curves of expiries that share one form.

    Parameters
    ----------
    k : ndarray, shape (quotes,), log of strike over forward
    w : ndarray, shape (quotes,), variance to expiry
    weight : ndarray, shape (quotes,)
        Of a squared error of `w`.
    of : ndarray of int, shape (quotes,)
        Which expiry each quote is of.
    theta : ndarray, shape (expiries,), variance to expiry
        At the money where it is known; NaN is fitted.

    Returns
    -------
    ndarray, shape (expiries, 5)
        Parameters a, b, ρ, m, s.
    """
    unknown = np.flatnonzero(np.isnan(theta))
    levels = [np.log(np.median(w[of == one])) for one in unknown]

    def curves(x: Floats) -> Floats:
        whole = theta.copy()
        whole[unknown] = np.exp(x[3:])
        rho, gamma = np.tanh(x[0]), 0.5 * expit(x[2])
        eta = 2 * expit(x[1]) / (1 + abs(rho))
        return curve(whole, rho, eta / (whole**gamma * (1 + whole) ** (1 - gamma)))

    def errors(x: Floats) -> Floats:
        return np.sqrt(weight) * (svi.total_variance(curves(x)[of], k) - w)

    begin = np.array([*_BEGIN, *levels])
    reach = np.append(np.full(3, _REACH), np.full(len(levels), 30.0))
    return curves(least_squares(errors, begin, bounds=(-reach, reach), x_scale="jac").x)
