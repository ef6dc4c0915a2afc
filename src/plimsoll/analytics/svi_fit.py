r"""Fitting the curves of `svi` to quotes, compiled.

For a given vertex :math:`m` and width :math:`s` the curve is linear in what remains,

.. math:: w = a + d y + c \sqrt{y^2 + 1}, \qquad y = (k - m) / s, \quad c = b s, \quad d = \rho b s,

and the best of it, within :math:`|d| < c` and Lee's bound :math:`c + |d| \le 2 s`, is found
without search: inside, or else on one of four edges. Search goes over :math:`m` and :math:`\ln s`
alone [1]_, by triangles [2]_ from the best places of a grid.

A curve with a butterfly, or one that crosses that of the expiry before, is searched for again:
each that is tried is raised until it no longer crosses, and butterflies are penalized.

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

__all__ = ["FEWEST", "check", "crossing", "fit", "lowest", "refit"]

FEWEST = 6
"""Quotes that a curve of its own is fitted to."""

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
_SETTLED = 1e-7
_TURNS = 240
_SIDES = (0.25, 0.35)
"""Of the first triangle, in standard deviations and their logarithms."""


@njit(cache=True, nogil=True)
def fit(k: Floats, w: Floats, weight: Floats, start: Ints, scale: Floats, curves: Floats) -> None:
    """Write the best curve of each slice.

    Parameters
    ----------
    k : ndarray, shape (quotes,), log of strike over forward
    w : ndarray, shape (quotes,), variance to expiry
    weight : ndarray, shape (quotes,)
        Of a squared error of `w`; the loss is the sum.
    start : ndarray of int, shape (slices + 1,)
        Where the quotes of each slice begin, and the last end.
    scale : ndarray, shape (slices,), standard deviation to expiry
        Of a typical quote; distances are measured in it.
    curves : ndarray, shape (slices, 5)
        Written: a, b, ρ, m, s; left alone where quotes are fewer than `FEWEST`.
    """
    nothing = np.full(7, math.nan)
    for i in range(len(curves)):
        quotes = slice(start[i], start[i + 1])
        if start[i + 1] - start[i] < FEWEST:
            continue
        _fit((k[quotes], w[quotes], weight[quotes], scale[i], nothing, 0.0, curves[i]))


@njit(cache=True, nogil=True)
def refit(
    k: Floats,
    w: Floats,
    weight: Floats,
    start: Ints,
    scale: Floats,
    shared: Floats,
    curves: Floats,
) -> None:
    """Write curves anew that have a butterfly, or cross the one before; not those of few quotes.

    Parameters
    ----------
    k, w, weight, start, scale : ndarray
        As for `fit`.
    shared : ndarray, shape (slices, 2), log of strike over forward
        Between which a slice and the one before are compared; NaN where none is before.
    curves : ndarray, shape (slices, 5)
        Read and written.
    """
    for i in range(len(curves)):
        before = np.append(curves[i - 1], shared[i]) if i > 0 else np.full(7, math.nan)
        free = lowest(curves[i]) >= 0.0 and not crossing(curves[i], before) > 0.0
        if free or start[i + 1] - start[i] < FEWEST:
            continue
        quotes = slice(start[i], start[i + 1])
        for strength in _STRENGTHS:
            _fit((k[quotes], w[quotes], weight[quotes], scale[i], before, strength, curves[i]))
            if lowest(curves[i]) >= 0.0 and not crossing(curves[i], before) > 0.0:
                break


@njit(cache=True, nogil=True)
def check(curves: Floats, quoted: Floats, shared: Floats, found: Floats) -> None:
    """Write what arbitrage each curve has.

    Parameters
    ----------
    curves : ndarray, shape (slices, 5)
    quoted : ndarray, shape (slices, 2), log of strike over forward
        The lowest and the highest strike.
    shared : ndarray, shape (slices, 2)
        As for `refit`.
    found : ndarray, shape (slices, 3)
        Written: the least g (`svi.butterfly`) anywhere, the least within the strikes, and
        `crossing`.
    """
    for i in range(len(curves)):
        before = np.append(curves[i - 1], shared[i]) if i > 0 else np.full(7, math.nan)
        found[i, 0] = lowest(curves[i])
        found[i, 1] = math.inf
        for u in _LINE:
            k = quoted[i, 0] + (quoted[i, 1] - quoted[i, 0]) * (1.0 + u) / 2.0
            found[i, 1] = min(found[i, 1], _g(curves[i], k))
        found[i, 2] = crossing(curves[i], before)


@njit(cache=True, nogil=True)
def lowest(curve: Floats) -> float:
    """Return the least g of a curve, on a line of points dense about the vertex.

    Parameters
    ----------
    curve : ndarray, shape (5,)

    Returns
    -------
    float
        Negative where there is a butterfly; the line reaches far beyond all strikes.
    """
    m, s = curve[3], curve[4]
    least = math.inf
    for u in _LINE:
        away = s * u / (1.0 - (1.0 - s / _TAIL) * abs(u))
        least = min(least, _g(curve, m + away))
    return least


@njit(cache=True, nogil=True)
def crossing(curve: Floats, before: Floats) -> float:
    """Return how far a curve is below that of the expiry before, where it is most.

    Parameters
    ----------
    curve : ndarray, shape (5,)
    before : ndarray, shape (7,)
        The other curve, and between which log moneynesses they are compared.

    Returns
    -------
    float
        Fraction of the other's variance; not above zero where they do not cross, NaN where they
        share no strikes.
    """
    low, high = before[5], before[6]
    if not low < high:
        return math.nan
    most = -math.inf
    for i in range(_SHARED):
        k = low + (high - low) * i / (_SHARED - 1)
        most = max(most, 1.0 - _variance(curve, k) / _variance(before, k))
    return most


@njit(cache=True, nogil=True)
def _g(curve: Floats, k: float) -> Any:
    _, b, rho, m, s = curve
    away = k - m
    root = math.sqrt(away * away + s * s)
    w = _variance(curve, k)
    if not w > 0.0:
        return -math.inf
    slope = b * (rho + away / root)
    level = 1.0 - k * slope / (2.0 * w)
    bend = b * s * s / (root * root * root)
    return level * level - slope * slope / 4.0 * (1.0 / w + 0.25) + bend / 2.0


@njit(cache=True, nogil=True)
def _variance(curve: Floats, k: float) -> Any:
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
    for _ in range(_STARTS):
        i = int(losses.argmin())
        losses[i] = math.inf
        loss = _descend(places[i], problem)
        if loss < best:
            best, at = loss, places[i]
    _loss(at, problem)


@njit(cache=True, nogil=True)
def _loss(x: Floats, problem: Any) -> Any:
    """Write the best curve of a vertex and a width; return its error and what butterflies cost."""
    k, w, weight, _, before, strength, curve = problem
    _best(x, problem)
    deep = 0.0
    if strength > 0.0:
        curve[0] += max(0.0, _short(curve, before))
        deep = max(0.0, _MARGIN - lowest(curve))
    error = 0.0
    for i in range(len(k)):
        error += weight[i] * (_variance(curve, k[i]) - w[i]) ** 2
    return error + strength * deep * deep


@njit(cache=True, nogil=True)
def _short(curve: Floats, before: Floats) -> float:
    """Return by how much variance a curve must rise not to cross the one before."""
    most = -math.inf
    low, high = before[5], before[6]
    for i in range(_SHARED if low < high else 0):
        k = low + (high - low) * i / (_SHARED - 1)
        most = max(most, (1.0 + _MARGIN) * _variance(before, k) - _variance(curve, k))
    return most


@njit(cache=True, nogil=True)
def _best(x: Floats, problem: Any) -> None:
    k, w, weight, scale, _, _, curve = problem
    m = scale * min(_FARTHEST, max(-_FARTHEST, x[0]))
    s = scale * math.exp(min(_WIDEST, max(_NARROWEST, x[1])))
    y, z = np.empty(len(k)), np.empty(len(k))
    total, mean_y, mean_z, mean_w = 0.0, 0.0, 0.0, 0.0
    for i in range(len(k)):
        y[i] = (k[i] - m) / s
        z[i] = math.sqrt(y[i] * y[i] + 1.0)
        total += weight[i]
        mean_y += weight[i] * y[i]
        mean_z += weight[i] * z[i]
        mean_w += weight[i] * w[i]
    mean_y, mean_z, mean_w = mean_y / total, mean_z / total, mean_w / total
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
def _descend(x: Floats, problem: Any) -> Any:
    """Move x to where the loss is least nearby, and return that."""
    corners, losses = np.empty((3, 2)), np.empty(3)
    for i in range(3):
        corners[i] = x
        if i > 0:
            corners[i, i - 1] += _SIDES[i - 1]
        losses[i] = _loss(corners[i], problem)
    for _ in range(_TURNS):
        best, worst = losses.argmin(), losses.argmax()
        if losses[worst] - losses[best] <= _SETTLED * losses[best]:
            break
        _turn(corners, losses, best, worst, problem)
    x[:] = corners[losses.argmin()]
    return losses.min()


@njit(cache=True, nogil=True)
def _turn(corners: Floats, losses: Floats, best: Any, worst: Any, problem: Any) -> None:
    """Replace the worst corner of a triangle, or draw all to the best."""
    between = 3 - best - worst
    center = (corners[best] + corners[between]) / 2.0
    away = center - corners[worst]
    tried = center + away
    loss = _loss(tried, problem)
    if loss < losses[best]:
        farther = center + 2.0 * away
        far_loss = _loss(farther, problem)
        if far_loss < loss:
            tried, loss = farther, far_loss
    elif loss >= losses[between]:
        limit = min(loss, losses[worst])
        tried = center + (0.5 if loss < losses[worst] else -0.5) * away
        loss = _loss(tried, problem)
        if loss >= limit:
            for i in (between, worst):
                corners[i] = (corners[i] + corners[best]) / 2.0
                losses[i] = _loss(corners[i], problem)
            return
    corners[worst], losses[worst] = tried, loss
