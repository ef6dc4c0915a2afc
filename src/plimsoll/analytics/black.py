r"""Options on a forward: price, greeks and implied volatility (Black, 1976).

With forward :math:`F`, strike :math:`K`, volatility :math:`\sigma`, time :math:`T` in years and
sign :math:`q = \pm 1` of a call or put, the price without discount is

.. math:: C = q \, [F N(q d_1) - K N(q d_2)], \qquad
          d_{1,2} = \frac{\ln F / K}{\sigma \sqrt T} \pm \frac{\sigma \sqrt T}{2}

in quote units per base. An option that is settled in coin (inverse) is worth :math:`c = C / F`
coins, and parity between call and put reads :math:`c - p = 1 - K / F` in coin and
:math:`C - P = F - K` in quote units.

All arguments broadcast. NaN stands for null, and follows from a missing input and from one that
is not above zero: an expired option has no greeks, and none without a forward has a price.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from plimsoll.analytics.implied import solve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "delta",
    "elasticity",
    "gamma",
    "implied_volatility",
    "in_coin",
    "parity_forward",
    "price",
    "theta",
    "vega",
    "why_none",
    "years",
]

_YEAR = 365 * 86_400.0
_SHORTEST = 3_600.0
_EXPIRES = np.timedelta64(8, "h")
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


def years(time: ArrayLike, expiry: ArrayLike) -> Floats:
    """Return the time to expiry, in years of 365 days.

    Parameters
    ----------
    time : array_like of datetime64, UTC
    expiry : array_like of datetime64, UTC
        Moments, or days (`datetime64[D]`), which expire at 08:00.

    Returns
    -------
    ndarray, years
        At least an hour: what is less is counted as one. NaN at expiry and after.

    Raises
    ------
    TypeError
        If stamps carry no time.

    Examples
    --------
    >>> time = np.array(["2026-01-01T08:00", "2026-01-31T07:59"], dtype="datetime64[s]")
    >>> (years(time, np.datetime64("2026-01-31")) * 365).round(4)
    array([30.    ,  0.0417])
    """
    now, end = np.asarray(time), np.asarray(expiry)
    for name, stamps in (("time", now), ("expiry", end)):
        if stamps.dtype.kind != "M":
            raise TypeError(f"{name} is {stamps.dtype}, not stamps: give datetime64 in UTC")
    if np.datetime_data(end.dtype)[0] == "D":
        end = end + _EXPIRES
    seconds = (end - now) / np.timedelta64(1, "s")
    return np.where(seconds > 0, np.maximum(seconds, _SHORTEST) / _YEAR, np.nan)


def price(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Return what options are worth, without discount.

    Parameters
    ----------
    forward, strike : array_like, quote per base
    years : array_like, years
        To expiry; see `years`.
    volatility : array_like, fraction per square root of a year
    is_call : array_like of bool
        Put where false.

    Returns
    -------
    ndarray, quote units per base
        For coin, see `in_coin`.

    References
    ----------
    .. [1] Black (1976), "The pricing of commodity contracts", J. Financial Economics 3.

    Examples
    --------
    >>> float(price(60_000, 65_000, 30 / 365, 0.6, True).round(6))
    2237.868155
    """
    forward, strike, deviation, d1 = _terms(forward, strike, years, volatility)
    sign = _sign(is_call)
    gained = forward * _normal(sign * d1) - strike * _normal(sign * (d1 - deviation))
    return np.maximum(sign * gained, 0.0)


def in_coin(price: ArrayLike, forward: ArrayLike) -> Floats:
    """Return prices of inverse options in coin, of prices in quote units.

    Parameters
    ----------
    price : array_like, quote units per base
    forward : array_like, quote per base

    Returns
    -------
    ndarray, coins per base
    """
    return np.asarray(price, dtype=np.float64) / _positive(forward)


def delta(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
    *,
    premium_adjusted: bool = False,
) -> Floats:
    r"""Return how many forwards hedge options.

    Parameters
    ----------
    forward, strike, years, volatility, is_call : array_like
        As for `price`.
    premium_adjusted : bool
        Whether the premium is paid in coin and counts: :math:`\Delta - c = q (K / F) N(q d_2)`.

    Returns
    -------
    ndarray, base units per base

    Examples
    --------
    >>> float(delta(60_000, 65_000, 30 / 365, 0.6, True).round(6))
    0.352226
    """
    forward, strike, deviation, d1 = _terms(forward, strike, years, volatility)
    sign = _sign(is_call)
    if premium_adjusted:
        return sign * strike / forward * _normal(sign * (d1 - deviation))
    return sign * _normal(sign * d1)


def gamma(forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike) -> Floats:
    """Return how much delta changes with the forward.

    Parameters
    ----------
    forward, strike, years, volatility : array_like
        As for `price`.

    Returns
    -------
    ndarray, delta per quote unit of the forward
    """
    forward, _, deviation, d1 = _terms(forward, strike, years, volatility)
    return _density(d1) / (forward * deviation)


def vega(forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike) -> Floats:
    """Return how much the price changes with volatility.

    Parameters
    ----------
    forward, strike, years, volatility : array_like
        As for `price`.

    Returns
    -------
    ndarray, quote units per point (0.01) of volatility
    """
    root = np.sqrt(_positive(years))
    forward, _, _, d1 = _terms(forward, strike, years, volatility)
    return forward * _density(d1) * root / 100


def theta(forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike) -> Floats:
    """Return how much the price changes with time, the forward being the same.

    Parameters
    ----------
    forward, strike, years, volatility : array_like
        As for `price`.

    Returns
    -------
    ndarray, quote units per day
        Negative: it is what an option loses.
    """
    root = np.sqrt(_positive(years))
    forward, _, _, d1 = _terms(forward, strike, years, volatility)
    yearly: Floats = forward * _density(d1) * _positive(volatility) / (2 * root)
    return -yearly / 365


def elasticity(
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    r"""Return how many percent options gain where the forward gains one: their leverage.

    .. math:: \Omega = \Delta F / C

    Parameters
    ----------
    forward, strike, years, volatility, is_call : array_like
        As for `price`.

    Returns
    -------
    ndarray, dimensionless
        Negative for puts; NaN where the price is zero.

    Examples
    --------
    >>> float(elasticity(60_000, 65_000, 30 / 365, 0.6, True).round(4))
    9.4436
    """
    worth = _positive(price(forward, strike, years, volatility, is_call))
    return delta(forward, strike, years, volatility, is_call) * _positive(forward) / worth


def parity_forward(call: ArrayLike, put: ArrayLike, strike: ArrayLike, *, inverse: bool) -> Floats:
    """Return the forward at which a call and a put of one strike agree.

    Parameters
    ----------
    call, put : array_like, coins (inverse) or quote units (linear) per base
    strike : array_like, quote per base
    inverse : bool
        Whether prices are in coin.

    Returns
    -------
    ndarray, quote per base
        NaN where prices are missing, and where no positive forward agrees.

    Examples
    --------
    >>> float(parity_forward(0.0372978, 0.1206311, 65_000, inverse=True).round())
    60000.0
    """
    gap = np.asarray(call, dtype=np.float64) - np.asarray(put, dtype=np.float64)
    strike = np.asarray(strike, dtype=np.float64)
    return _positive(strike / _positive(1 - gap) if inverse else strike + gap)


def implied_volatility(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Return the volatility at which options are worth what they cost.

    Parameters
    ----------
    price : array_like, quote units per base
        Without discount. Of an inverse option, its coins times the forward.
    forward, strike, years, is_call : array_like
        As for `price`.

    Returns
    -------
    ndarray, fraction per square root of a year
        NaN where there is none, for which `why_none` has the reasons.

    Notes
    -----
    As exact as the price lets it be: a price is rounded to some 16 digits, and deep in the money
    most of them are intrinsic value.

    Examples
    --------
    >>> float(implied_volatility(2237.868155, 60_000, 65_000, 30 / 365, True).round(7))
    0.6
    """
    price, forward, strike, years, is_call = _broadcast(price, forward, strike, years, is_call)
    found = np.empty(price.size)
    solve(price.ravel(), forward.ravel(), strike.ravel(), years.ravel(), is_call.ravel(), found)
    return found.reshape(price.shape)


def why_none(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    is_call: ArrayLike,
) -> NDArray[np.str_]:
    """Return why options have no implied volatility, in words; empty where they have one.

    Parameters
    ----------
    price, forward, strike, years, is_call : array_like
        As for `implied_volatility`.

    Returns
    -------
    ndarray of str

    Examples
    --------
    >>> why_none([900.0, 1000.0], [60_000, np.nan], 59_000, 0.1, True).tolist()
    ['the price is below intrinsic value', 'the forward is missing']
    """
    price, forward, strike, years, is_call = _broadcast(price, forward, strike, years, is_call)
    intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
    reasons = {
        "the forward is missing": ~((forward > 0) & np.isfinite(forward)),
        "the strike is not above zero": ~((strike > 0) & np.isfinite(strike)),
        "the price is missing": ~np.isfinite(price),
        "the option has expired": ~((years > 0) & np.isfinite(years)),
        "the price is negative": price < 0,
        "the price is zero": price == 0,
        "the price is below intrinsic value": price < intrinsic,
        "the price is intrinsic value alone": price == intrinsic,
        "the price is at the bound or above": price >= np.where(is_call, forward, strike),
        "the price is too small for this strike": np.isnan(
            implied_volatility(price, forward, strike, years, is_call)
        ),
    }
    return np.select(list(reasons.values()), list(reasons), "")


def _positive(value: ArrayLike) -> Floats:
    """Return values, NaN where they are not above zero."""
    value = np.asarray(value, dtype=np.float64)
    return np.where(value > 0, value, np.nan)


def _terms(
    forward: ArrayLike, strike: ArrayLike, years: ArrayLike, volatility: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats]:
    forward, strike = _positive(forward), _positive(strike)
    deviation = _positive(volatility) * np.sqrt(_positive(years))
    return forward, strike, deviation, np.log(forward / strike) / deviation + deviation / 2


def _sign(is_call: ArrayLike) -> Floats:
    return np.where(np.asarray(is_call, dtype=np.bool_), 1.0, -1.0)


def _normal(x: Floats) -> Floats:
    below: Floats = ndtr(x)
    return below


def _density(x: Floats) -> Floats:
    return _DENSITY * np.exp(-x * x / 2)


def _broadcast(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, years: ArrayLike, is_call: ArrayLike
) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
    found: Any = np.broadcast_arrays(
        *(np.asarray(one, dtype=np.float64) for one in (price, forward, strike, years)),
        np.asarray(is_call, dtype=np.bool_),
    )
    return tuple(found)
