r"""The volatility a price implies: the search, compiled.

What a price is above intrinsic value is the price of the option out of the money. Over
:math:`\sqrt{F K}` it depends on :math:`x = -|\ln F / K|` and :math:`s = \sigma \sqrt T` alone:

.. math:: b(s) = e^{x/2} N(h + t) - e^{-x/2} N(h - t), \qquad h = x / s, \quad t = s / 2

from 0 to :math:`e^{x/2}`, and is steepest at :math:`s = \sqrt{2 |x|}`. Steps of third order, kept
in brackets, are taken on a function of it that is almost straight [1]_: :math:`1 / \ln b` below
the steepest point, :math:`b` itself above it, and the logarithm of what lacks to the bound where
that is near.

References
----------
.. [1] Jäckel (2015), "Let's be rational", Wilmott 2015(75): the three functions, and Householder's
   step on them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["solve"]

_STEPS = 64
_SETTLED = 1e-7
"""Of s: the error after a step is about the fourth power of that before."""
_NEAR = 0.5
"""Below this part of the bound, what lacks is solved for."""
_LONGEST = 100.0
"""No double tells a longer deviation from an endless one."""
_SQRT_HALF = math.sqrt(0.5)
_DENSITY = 1.0 / math.sqrt(2.0 * math.pi)


@njit(cache=True, nogil=True)
def solve(
    price: Floats,
    forward: Floats,
    strike: Floats,
    years: Floats,
    is_call: NDArray[np.bool_],
    found: Floats,
) -> None:
    """Write each option's volatility, NaN where it has none.

    Parameters
    ----------
    price : ndarray, shape (n,), quote units per base
        Without discount.
    forward, strike : ndarray, shape (n,), quote per base
    years : ndarray, shape (n,), years
    is_call : ndarray of bool, shape (n,)
    found : ndarray, shape (n,), fraction per square root of a year
        Written.
    """
    for i in range(len(found)):
        found[i] = _volatility(price[i], forward[i], strike[i], years[i], is_call[i])


@njit(cache=True, nogil=True)
def _volatility(price: float, forward: float, strike: float, years: float, is_call: bool) -> float:
    bound = forward if is_call else strike
    over = price - max(0.0, forward - strike if is_call else strike - forward)
    lacking = bound - price
    # A NaN anywhere fails these.
    if not (over > 0.0 and lacking > 0.0 and 0.0 < years < math.inf):
        return math.nan
    if not (0.0 < forward < math.inf and 0.0 < strike < math.inf):
        return math.nan
    scale = math.sqrt(forward) * math.sqrt(strike)
    x = -abs(math.log(forward / strike))
    return _deviation(x, over / scale, lacking / scale) / math.sqrt(years)


@njit(cache=True, nogil=True)
def _deviation(x: float, over: float, lacking: float) -> float:
    """Return s where b is `over`, which is `lacking` below its bound."""
    steepest = math.sqrt(-2.0 * x)
    middle = _out_of_the_money(x, steepest) if steepest > 0.0 else 0.0
    if over < middle:
        low, high, near = 0.0, steepest, False
        s = min(steepest, -x / math.sqrt(-2.0 * math.log(over)))
    else:
        low, high, near = steepest, _LONGEST, lacking < _NEAR * (over + lacking)
        s = steepest + (over - middle) / _slope(x, steepest)
    for _ in range(_STEPS):
        if near:
            short, step = _above(x, s, lacking)
        elif over < middle:
            short, step = _below(x, s, over)
        else:
            short, step = _between(x, s, over)
        low, high = (s, high) if short else (low, s)
        if abs(step) <= _SETTLED * s:
            return s + step
        s = s + step if low < s + step < high else (low + high) / 2.0
    return math.nan


@njit(cache=True, nogil=True)
def _below(x: float, s: float, over: float) -> tuple[bool, float]:
    """Return whether s is too short, and the step to take on 1 / ln b."""
    b = _out_of_the_money(x, s)
    if not 0.0 < b < 1.0:
        return b < over, math.nan
    log, wanted, rate = math.log(b), math.log(over), _slope(x, s) / b
    curved, third = _curvature(x, s)
    bend = 1.0 + 2.0 / log
    newton = log * (wanted - log) / wanted / rate
    second = curved - bend * rate
    third += rate * (rate * (bend * bend + bend + 2.0 / log**2) - 3.0 * bend * curved)
    return b < over, _householder(newton, second, third)


@njit(cache=True, nogil=True)
def _between(x: float, s: float, over: float) -> tuple[bool, float]:
    """Return whether s is too short, and the step to take on b."""
    b = _out_of_the_money(x, s) if s > 0.0 else 0.0
    second, third = _curvature(x, s)
    return b < over, _householder((over - b) / _slope(x, s), second, third)


@njit(cache=True, nogil=True)
def _above(x: float, s: float, lacking: float) -> tuple[bool, float]:
    """Return whether s is too short, and the step to take on the logarithm of what lacks."""
    h, t = x / s, s / 2.0
    lacks = math.exp(x / 2.0) * _normal(-h - t) + math.exp(-x / 2.0) * _normal(h - t)
    rate = _slope(x, s) / lacks
    curved, third = _curvature(x, s)
    second = curved + rate
    third += rate * (2.0 * rate + 3.0 * curved)
    return lacks > lacking, _householder(math.log(lacks / lacking) / rate, second, third)


@njit(cache=True, nogil=True)
def _householder(newton: float, second: float, third: float) -> float:
    """Return the step of third order, of Newton's and of derivatives over the first."""
    return newton * (1.0 + second * newton / 2.0) / (1.0 + newton * (second + third * newton / 6.0))


@njit(cache=True, nogil=True)
def _out_of_the_money(x: float, s: float) -> float:
    h, t = x / s, s / 2.0
    return math.exp(x / 2.0) * _normal(h + t) - math.exp(-x / 2.0) * _normal(h - t)


@njit(cache=True, nogil=True)
def _slope(x: float, s: float) -> float:
    h, t = (x / s if s > 0.0 else 0.0), s / 2.0
    return _DENSITY * math.exp(-(h * h + t * t) / 2.0)


@njit(cache=True, nogil=True)
def _curvature(x: float, s: float) -> tuple[float, float]:
    """Return the second and third derivative of b over its first."""
    square = (x / s) ** 2 if s > 0.0 else 0.0
    over = square / s if s > 0.0 else 0.0
    second = over - s / 4.0
    return second, second * second - (3.0 * over / s if s > 0.0 else 0.0) - 0.25


@njit(cache=True, nogil=True)
def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x * _SQRT_HALF)
