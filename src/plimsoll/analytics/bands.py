r"""How sure a map is of each cell: what it holds at the tenth, the middle and the ninth tenth.

Three things are not known. The mix: over its posterior draws (`fitting.Fitted.draws`) the mass of a
cell varies, all cells with it. How unevenly positions stand around the map's smooth mass: realised
liquidations of touched cells vary as a negative binomial of size :math:`r`, and so does what would
be liquidated in the others. And positions are whole: a cell in which half an order is expected
holds none or some, never half. So the orders of a cell are

.. math:: N \sim \mathrm{NegBin}\Big(\mu = \frac1u \sum_k \bar d_k m_k,\
          \frac1{r'} = \frac1r + \frac{\sum_{kl} \Sigma_{kl} m_k m_l}{(\sum_k \bar d_k m_k)^2}
          \Big),

with :math:`\bar d, \Sigma` the mean and covariance of the draws and :math:`u` the mean order. What
no draw can know is what the model leaves out; how often the truth lies between the limits is in
docs/theory/score.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from scipy import special

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Small = NDArray[np.float32]

__all__ = ["LEVELS", "bands", "of_range"]

LEVELS = (0.1, 0.5, 0.9)
_MANY = 200.0
"""Above so many expected orders, quantiles are a gamma variable's."""
_LEAST, _MOST = 1e-3, 1e6
"""Sizes between which they are interpolated, in the logarithm."""
_SHAPES = np.linspace(math.log(_LEAST), math.log(_MOST), 361)
_GAMMA = special.gammaincinv(np.exp(_SHAPES), np.array(LEVELS)[:, None]) / np.exp(_SHAPES)


def bands(tiers: Small, draws: Floats, size: float, order: Floats) -> Small:
    """Return what each cell holds at three levels of its distribution.

    Parameters
    ----------
    tiers : ndarray of float32, shape (columns, sides, tiers, rows)
        As `Inventory.advance` writes them.
    draws : ndarray, shape (draws, tiers)
        By what each tier is multiplied.
    size : float
        How unevenly positions stand; infinite for evenly.
    order : ndarray, shape (columns,), in the units of `tiers`
        The mean order.

    Returns
    -------
    ndarray of float32, shape (levels, columns, sides, rows)
        In the order of `LEVELS`; NaN where a column is not known.

    Raises
    ------
    ValueError
        If shapes disagree, or the size is not positive.
    """
    mean, covariance = _moments(draws, size)
    if tiers.ndim != 4 or len(mean) != tiers.shape[2] or len(order) != len(tiers):
        raise ValueError(
            f"bands need a multiplier for each tier and an order for each column; got "
            f"{tiers.shape}, {draws.shape} and {len(order)}"
        )
    found = np.empty((len(LEVELS), len(tiers), 2, tiers.shape[3]), dtype=np.float32)
    _fill(tiers, mean, covariance, float(size), np.asarray(order, dtype=np.float64), found)
    return found


def of_range(
    masses: Floats, draws: Floats, size: float, order: float, common: float = math.inf
) -> Floats:
    """Return what several cells hold together at three levels.

    Cells vary around the map, partly each by itself and partly together; and all with the mix.

    Parameters
    ----------
    masses : ndarray, shape (cells, tiers)
    draws, size
        As in `bands`.
    order : float, in the units of `masses`
    common : float
        The size of what neighbouring cells vary alike, `size` or more; infinite for nothing.

    Returns
    -------
    ndarray, shape (levels,), in the units of `masses`
        NaN where a cell is not known.

    Raises
    ------
    ValueError
        If shapes disagree, the size is not positive, or the common one is less.
    """
    mean, covariance = _moments(draws, size)
    if not common >= size:
        raise ValueError(f"cells cannot share more than they vary; got {size} and {common}")
    if masses.ndim != 2 or masses.shape[1] != len(mean):
        raise ValueError(
            f"bands need a multiplier for each tier; got {masses.shape} and {draws.shape}"
        )
    cells = masses @ mean / order
    total, sums = float(cells.sum()), masses.sum(axis=0) / order
    found = np.full(len(LEVELS), total)  # nothing, or not known
    if total > 0:
        alone = float((cells**2).sum()) * (1 / size - 1 / common)
        spread = alone + total**2 / common + float(sums @ covariance @ sums)
        _quantiles(total, _uneven(total, spread), found)
    return found * order


def _moments(draws: Floats, size: float) -> tuple[Floats, Floats]:
    if draws.ndim != 2 or not len(draws):
        raise ValueError(f"bands need draws of multipliers; got {draws.shape}")
    if not size > 0:
        raise ValueError(f"the size must be positive; got {size}")
    centred = draws - draws.mean(axis=0)
    covariance: Floats = centred.T @ centred / len(draws)
    return draws.mean(axis=0), covariance


@njit(cache=True, nogil=True)
def _fill(
    tiers: Small, mean: Floats, covariance: Floats, size: float, order: Floats, found: Small
) -> None:
    columns, sides, many, rows = tiers.shape
    levels, mass = np.zeros(3), np.zeros(many)
    for column in range(columns):
        for side in range(sides):
            for row in range(rows):
                total = 0.0
                for tier in range(many):
                    mass[tier] = tiers[column, side, tier, row]
                    total += mean[tier] * mass[tier]
                if not total > 0.0:
                    found[:, column, side, row] = total  # nothing, or not known
                    continue
                spread = total * total / size
                for tier in range(many):
                    for other in range(many):
                        spread += covariance[tier, other] * mass[tier] * mass[other]
                _quantiles(total / order[column], _uneven(total, spread), levels)
                for level in range(3):
                    found[level, column, side, row] = levels[level] * order[column]


@njit(cache=True, nogil=True)
def _uneven(total: float, spread: float) -> Any:
    """Return the size of which a total varies by a spread; none varies less than the last."""
    return total * total / spread if spread * _MOST > total * total else _MOST


@njit(cache=True, nogil=True)
def _quantiles(mean: float, size: float, levels: Floats) -> Any:
    """Write the quantiles at `LEVELS` of a negative binomial."""
    if mean > _MANY:
        shape = math.log(mean / (1 + mean / size))
        for level in range(3):
            levels[level] = mean * np.interp(shape, _SHAPES, _GAMMA[level])
        return
    chance = math.exp(-size * math.log1p(mean / size))
    total, count, step = chance, 0, mean / (mean + size)
    for level in range(3):
        while total < 0.1 + 0.4 * level and count < 100_000:
            chance *= (size + count) / (count + 1) * step
            count += 1
            total += chance
        levels[level] = count
