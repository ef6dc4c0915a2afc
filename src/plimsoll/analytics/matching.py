"""How alike two columns of dollars by price are: in which bands, and how much in each.

Dollars are put into bands of 0.5 % of log price, within 20 % of a price. Two figures compare them:

- *rank correlation*, Spearman's: does the one know which bands of the other hold more?
- *overlap*, the share of mass in the right band: with both scaled to one, the sum over bands of
  the lesser of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BAND", "REACH", "banded", "overlap", "rank_correlation"]

BAND = 0.005
REACH = 0.20


def banded(price: Floats, usd: Floats, mark: float) -> Floats:
    """Return dollars by band of log price around a mark price.

    Parameters
    ----------
    price : ndarray, shape (n,), quote per base
    usd : ndarray, shape (n,), US dollars
    mark : float, quote per base

    Returns
    -------
    ndarray, shape (bands,), US dollars
        From −20 % to 20 % of log price, in bands of 0.5 %; what lies beyond is left out.

    Examples
    --------
    >>> banded(np.array([99.9, 99.8, 150.0]), np.array([1.0, 2.0, 4.0]), 100.0)[39:41]
    array([3., 0.])
    """
    bands = round(2 * REACH / BAND)
    edges = np.linspace(-REACH, REACH, bands + 1)
    return np.histogram(np.log(price / mark), bins=edges, weights=usd)[0]


def rank_correlation(guess: Floats, real: Floats) -> float:
    """Return Spearman's rank correlation; ties share their mean rank.

    Parameters
    ----------
    guess, real : ndarray, shape (n,)

    Returns
    -------
    float
        NaN where one of them is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 30.0]))
    1.0
    """
    frame = pl.DataFrame({"guess": guess, "real": real})
    return float(frame.select(pl.corr("guess", "real", method="spearman")).item())


def overlap(guess: Floats, real: Floats) -> float:
    """Return the share of mass that stands in the right band, both scaled to one.

    Parameters
    ----------
    guess, real : ndarray, shape (n,)
        Not negative.

    Returns
    -------
    float
        From 0 to 1; NaN where one of them is nothing.

    Examples
    --------
    >>> overlap(np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    0.75
    """
    if guess.sum() <= 0 or real.sum() <= 0:
        return float("nan")
    return float(np.minimum(guess / guess.sum(), real / real.sum()).sum())
