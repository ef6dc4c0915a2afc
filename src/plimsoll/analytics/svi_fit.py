r"""Fitting the curves of `svi` to quotes, compiled.

For a given vertex :math:`m` and width :math:`s` the curve is linear in what remains,

.. math:: w = a + d y + c \sqrt{y^2 + 1}, \qquad y = (k - m) / s, \quad c = b s, \quad d = \rho b s,

and the best of it, within :math:`|d| < c` and Lee's bound :math:`c + |d| \le 2 s`, is found
without search: inside, or else on one of four edges. Search goes over :math:`m` and :math:`\ln s`
alone [1]_, by simplexes [2]_ from the best places of a grid.

A curve with a butterfly, or one that crosses that of the expiry before, is searched for again in
all five parameters, from its own best fit and from its repair, with a penalty on both.

References
----------
.. [1] De Marco, Martini (2009), "Quasi-explicit calibration of Gatheral's SVI model", Zeliade.
.. [2] Nelder, Mead (1965), The Computer Journal 7(4).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["crossing", "fit", "lowest", "refit"]

_RHO = 0.999
"""The most that skew can be: at 1 a wing is flat."""
_MIDDLES = np.array([-3.0, -1.5, -0.75, -0.25, 0.0, 0.25, 0.75, 1.5, 3.0])
_WIDTHS = np.log(np.array([0.1, 0.3, 0.6, 1.0, 2.0, 4.0, 10.0]))
"""Where vertex and width are looked for first, in standard deviations."""
_STARTS = 3
_FARTHEST, _NARROWEST, _WIDEST = 6.0, math.log(0.02), math.log(30.0)
_LINE = np.linspace(-1.0, 1.0, 161)
_TAIL = 4.0
"""Butterflies are looked for as far from the vertex, in log moneyness."""
_SHARED = 41
"""Points on which two expiries are compared."""
_MARGIN = 1e-3
"""A penalty begins this far before the border."""
_STRENGTHS = (1.0, 1e4)
_FORBIDDEN = 1e30
_SETTLED = 1e-7
_EVALUATIONS = 120
"""Of a search, for each parameter."""


@njit(cache=True, nogil=True)
def fit(k: Floats, w: Floats, weight: Floats, start: Ints, curves: Floats) -> None:
    """Write the best curve of each slice.

    Parameters
    ----------
    k : ndarray, shape (quotes,), log of strike over forward
    w : ndarray, shape (quotes,), variance to expiry
    weight : ndarray, shape (quotes,)
        Of a squared error of `w`; the loss is the sum.
    start : ndarray of int, shape (slices + 1,)
        Where the quotes of each slice begin, and the last end.
    curves : ndarray, shape (slices, 5)
        Written: a, b, ρ, m, s.
    """
    nothing = np.empty(0)
    for i in range(len(curves)):
        quotes = slice(start[i], start[i + 1])
        scale = math.sqrt(np.median(w[quotes]))
        _fit((k[quotes], w[quotes], weight[quotes], scale, nothing, 0.0, curves[i]))


@njit(cache=True, nogil=True)
def refit(
    quotes: tuple[Floats, Floats, Floats],
    start: Ints,
    shared: Floats,
    repairs: Floats,
    curves: Floats,
) -> None:
    """Write curves anew that have a butterfly, or cross the one before.

    Parameters
    ----------
    quotes : tuple of ndarray
        `k`, `w` and `weight`, as for `fit`.
    start : ndarray of int, shape (slices + 1,)
    shared : ndarray, shape (slices, 2), log of strike over forward
        Between which a slice and the one before are compared; NaN where none is before.
    repairs : ndarray, shape (slices, 5)
        Curves to search from as well; NaN for none.
    curves : ndarray, shape (slices, 5)
        Read and written.
    """
    k, w, weight = quotes
    for i in range(len(curves)):
        before = np.empty(0)
        if shared[i, 0] < shared[i, 1]:
            before = np.append(curves[i - 1], shared[i])
        if lowest(curves[i]) >= 0.0 and crossing(curves[i], before) <= 0.0:
            continue
        one = slice(start[i], start[i + 1])
        scale = math.sqrt(np.median(w[one]))
        for strength in _STRENGTHS:
            problem = (k[one], w[one], weight[one], scale, before, strength, curves[i])
            _fit(problem)
            if lowest(curves[i]) >= 0.0 and crossing(curves[i], before) <= 0.0:
                break


@njit(cache=True, nogil=True)
def lowest(curve: Floats) -> float:
    """Return the least g of a curve, which is negative where it has a butterfly.

    Parameters
    ----------
    curve : ndarray, shape (5,)

    Returns
    -------
    float
        On a line of points that are dense about the vertex.
    """
    a, b, rho, m, s = curve
    least = math.inf
    for u in _LINE:
        away = s * u / (1.0 - (1.0 - s / _TAIL) * abs(u))
        root = math.sqrt(away * away + s * s)
        w = a + b * (rho * away + root)
        if w <= 0.0:
            return -math.inf
        slope = b * (rho + away / root)
        level = 1.0 - (away + m) * slope / (2.0 * w)
        bend = b * s * s / (root * root * root)
        g = level * level - slope * slope / 4.0 * (1.0 / w + 0.25) + bend / 2.0
        least = min(least, g)
    return least


@njit(cache=True, nogil=True)
def crossing(curve: Floats, before: Floats) -> float:
    """Return how far a curve is below that of the expiry before, where it is most.

    Parameters
    ----------
    curve : ndarray, shape (5,)
    before : ndarray, shape (7,) or (0,)
        The other curve, and between which log moneyness they are compared; empty for none.

    Returns
    -------
    float
        Fraction of the other's variance; not above zero where they do not cross.
    """
    if len(before) == 0:
        return -math.inf
    most = -math.inf
    low, high = before[5], before[6]
    for i in range(_SHARED):
        k = low + (high - low) * i / (_SHARED - 1)
        most = max(most, 1.0 - _variance(curve, k) / _variance(before, k))
    return most


@njit(cache=True, nogil=True)
def _variance(curve: Floats, k: float) -> float:
    away = k - curve[3]
    return curve[0] + curve[1] * (curve[2] * away + math.sqrt(away * away + curve[4] ** 2))


@njit(cache=True, nogil=True)
def _fit(problem: Any) -> None:
    """Search from the best places of the grid, and write the best curve."""
    losses = np.empty(len(_MIDDLES) * len(_WIDTHS))
    places = np.empty((len(losses), 2))
    for i in range(len(losses)):
        places[i, 0] = _MIDDLES[i // len(_WIDTHS)]
        places[i, 1] = _WIDTHS[i % len(_WIDTHS)]
        losses[i] = _loss(places[i], problem)
    best, at = math.inf, places[0]
    for i in np.argsort(losses)[:_STARTS]:
        loss = _descend(places[i], np.array([0.25, 0.35]), problem)
        if loss < best:
            best, at = loss, places[i]
    _loss(at, problem)


@njit(cache=True, nogil=True)
def _loss(x: Floats, problem: Any) -> float:
    """Return the squared error of a curve, and what its arbitrage costs it."""
    _, _, _, _, before, strength, curve = problem
    error = _best(x, problem)
    if strength == 0.0:
        return error
    deep = max(0.0, _MARGIN - lowest(curve))
    crossed = max(0.0, _MARGIN + crossing(curve, before))
    return error + strength * (deep * deep + crossed * crossed)


@njit(cache=True, nogil=True)
def _best(x: Floats, problem: Any) -> float:
    """Write the best curve of a vertex and a width, and return its error."""
    k, w, weight, scale, _, _, curve = problem
    m = scale * min(_FARTHEST, max(-_FARTHEST, x[0]))
    s = scale * math.exp(min(_WIDEST, max(_NARROWEST, x[1])))
    total = weight.sum()
    y, z = np.empty(len(k)), np.empty(len(k))
    for i in range(len(k)):
        y[i] = (k[i] - m) / s
        z[i] = math.sqrt(y[i] * y[i] + 1.0)
    mean_y, mean_z, mean_w = (
        (weight * y).sum() / total,
        (weight * z).sum() / total,
        (weight * w).sum() / total,
    )
    moments = np.zeros(5)
    for i in range(len(k)):
        one, two, rest = y[i] - mean_y, z[i] - mean_z, weight[i] * (w[i] - mean_w)
        moments[0] += weight[i] * one * one
        moments[1] += weight[i] * one * two
        moments[2] += weight[i] * two * two
        moments[3] += one * rest
        moments[4] += two * rest
    d, c = _inside(moments, s)
    a = max(mean_w - d * mean_y - c * mean_z, -math.sqrt(max(0.0, c * c - d * d)))
    curve[:] = a, c / s, (d / c if c > 0.0 else 0.0), m, s
    error = 0.0
    for i in range(len(k)):
        error += weight[i] * (a + d * y[i] + c * z[i] - w[i]) ** 2
    return error


@njit(cache=True, nogil=True)
def _inside(moments: Floats, s: float) -> tuple[float, float]:
    """Return the best d and c that the bounds allow."""
    yy, yz, zz, yw, zw = moments
    det = yy * zz - yz * yz
    if det > 1e-14 * yy * zz:
        d, c = (yw * zz - zw * yz) / det, (zw * yy - yw * yz) / det
        if abs(d) <= _RHO * c and c + abs(d) <= 2.0 * s:
            return d, c
    steep = 2.0 * s / (1.0 + _RHO)
    corners = ((0.0, 0.0), (_RHO * steep, steep), (0.0, 2.0 * s), (-_RHO * steep, steep))
    best, at = math.inf, corners[0]
    for i in range(4):
        (d, c), (to_d, to_c) = corners[i], corners[(i + 1) % 4]
        along_d, along_c = to_d - d, to_c - c
        bend = along_d * (along_d * yy + along_c * yz) + along_c * (along_d * yz + along_c * zz)
        rise = along_d * (yw - d * yy - c * yz) + along_c * (zw - d * yz - c * zz)
        part = min(1.0, max(0.0, rise / bend)) if bend > 0.0 else 0.0
        d, c = d + part * along_d, c + part * along_c
        loss = d * d * yy + 2.0 * d * c * yz + c * c * zz - 2.0 * (d * yw + c * zw)
        if loss < best:
            best, at = loss, (d, c)
    return at


@njit(cache=True, nogil=True)
def _descend(x: Floats, steps: Floats, problem: Any) -> float:
    """Move x to where the loss is least nearby, and return that."""
    size = len(x)
    corners, losses = np.empty((size + 1, size)), np.empty(size + 1)
    for i in range(size + 1):
        corners[i] = x
        if i > 0:
            corners[i, i - 1] += steps[i - 1]
        losses[i] = _loss(corners[i], problem)
    for _ in range(_EVALUATIONS * size):
        order = np.argsort(losses)
        corners, losses = corners[order], losses[order]
        if losses[size] - losses[0] <= _SETTLED * losses[0]:
            break
        _turn(corners, losses, problem)
    at = np.argmin(losses)
    x[:] = corners[at]
    return losses[at]


@njit(cache=True, nogil=True)
def _turn(corners: Floats, losses: Floats, problem: Any) -> None:
    """Replace the worst corner of a simplex, or draw all to the best; they are in order."""
    size = len(corners) - 1
    center = corners[:size].sum(axis=0) / size
    away = center - corners[size]
    tried = center + away
    loss = _loss(tried, problem)
    if loss < losses[0]:
        farther = center + 2.0 * away
        far_loss = _loss(farther, problem)
        if far_loss < loss:
            tried, loss = farther, far_loss
    elif loss >= losses[size - 1]:
        tried = center + 0.5 * away if loss < losses[size] else center - 0.5 * away
        limit = min(loss, losses[size])
        loss = _loss(tried, problem)
        if loss >= limit:
            for i in range(1, size + 1):
                corners[i] = (corners[i] + corners[0]) / 2.0
                losses[i] = _loss(corners[i], problem)
            return
    corners[size] = tried
    losses[size] = loss
