"""Whether a map gives the higher figures to the cells where liquidations came.

Only the order of the scores counts here, not their size: any figure that grows with risk can be
ranked, a mean count as well as another publisher's index.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from plimsoll.validation.significance import Interval, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Labels = NDArray[Any]

__all__ = ["auc", "auc_within", "precision_at"]


def auc(score: Floats, hit: Flags, weight: Floats | None = None) -> float:
    """Return the chance that a hit has a higher score than a miss; a tie counts one half.

    This is the area under the receiver operating characteristic.

    Parameters
    ----------
    score : ndarray, shape (cells,)
        Infinity is a score like another.
    hit : ndarray of bool, shape (cells,)
        Whether anything came, as `n > 0`.
    weight : ndarray, shape (cells,), optional
        How much a cell counts, not negative; all alike if not given.

    Returns
    -------
    float, fraction
        One half is chance; NaN where there is no hit, or no miss.

    Raises
    ------
    ValueError
        If shapes differ, a score is NaN, hits are not booleans, or a weight is negative or not
        finite.

    References
    ----------
    .. [1] J. A. Hanley and B. J. McNeil, "The meaning and use of the area under a receiver
       operating characteristic (ROC) curve", *Radiology* 143, 1982, 29–36.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    score, hit = _ranked(score, hit)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, dtype=np.float64)
    if weight.shape != score.shape or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError("weights must be one for each cell, finite and not negative")
    return _share(*_pairs(score, hit, weight, np.zeros(len(score), dtype=np.int64)))


def auc_within(score: Floats, hit: Flags, group: Labels) -> float:
    """Return the mean of `auc` inside each group, weighted by the pairs it has.

    Inside a day the map cannot score by knowing that the day was wild.

    Parameters
    ----------
    score : ndarray, shape (cells,)
    hit : ndarray of bool, shape (cells,)
    group : ndarray, shape (cells,)
        Such as the day of each cell.

    Returns
    -------
    float, fraction
        Groups without both hits and misses are left out; NaN if that leaves none.

    Raises
    ------
    ValueError
        If shapes differ, a score is NaN, or hits are not booleans.

    Examples
    --------
    >>> score, hit = np.array([1.0, 2.0, 8.0, 9.0]), np.array([False, True, False, True])
    >>> auc(score, hit), auc_within(score, hit, np.array([1, 1, 2, 2]))
    (0.75, 1.0)
    """
    score, hit = _ranked(score, hit)
    labels = np.asarray(group)
    if labels.shape != score.shape:
        raise ValueError(f"each cell needs its group; got {labels.shape} for {score.shape}")
    which = np.unique(labels, return_inverse=True)[1]
    return _share(*_pairs(score, hit, np.ones(len(score)), which))


def precision_at(score: Floats, hit: Flags, share: float = 0.10) -> Interval:
    """Return the share of hits among the cells of the highest scores.

    Where cells of equal score stand at the limit, as many of them are taken as have room, and
    their hits counted in proportion, as a draw by lot would have it on average.

    Parameters
    ----------
    score : ndarray, shape (cells,)
    hit : ndarray of bool, shape (cells,)
    share : float, fraction
        Of all cells, how many are looked at; at least one cell is.

    Returns
    -------
    Interval, fraction
        With Wilson's limits; chance is the share of hits among all cells. NaN without a cell.

    Raises
    ------
    ValueError
        If shapes differ, a score is NaN, hits are not booleans, or `share` is not in (0, 1].

    Examples
    --------
    >>> precision_at(np.arange(20.0), np.arange(20) > 18, share=0.1).value
    0.5
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share must be above zero and at most one; got {share}")
    score, hit = _ranked(score, hit)
    if not len(score):
        return wilson(0, 0)
    top = max(1, round(share * len(score)))
    limit = np.partition(score, -top)[-top]
    above, tied = score > limit, score == limit
    room = top - np.count_nonzero(above)
    found = np.count_nonzero(hit & above) + room * float(hit[tied].mean())
    return wilson(min(float(found), top), top)


def _ranked(score: Floats, hit: Flags) -> tuple[Floats, Flags]:
    score, hit = np.asarray(score, dtype=np.float64), np.asarray(hit)
    if score.ndim != 1 or score.shape != hit.shape:
        raise ValueError(
            f"a ranking needs one score and one hit for each cell; got the shapes {score.shape} "
            f"and {hit.shape}"
        )
    if np.isnan(score).any():
        raise ValueError("a cell without a score cannot be ranked; leave it out")
    if hit.dtype != np.bool_:
        raise ValueError(f"hits must be booleans, such as n > 0; got {hit.dtype}")
    return score, hit


def _pairs(score: Floats, hit: Flags, weight: Floats, group: Labels) -> tuple[Floats, Floats]:
    """Return of each group the pairs of a hit and a miss that the hit wins, and all pairs."""
    order = np.lexsort((score, group))
    score, group = score[order], group[order]
    hits, misses = np.where(hit, weight, 0)[order], np.where(hit, 0, weight)[order]
    new = np.ones(len(score), dtype=np.bool_)
    new[1:] = (score[1:] != score[:-1]) | (group[1:] != group[:-1])
    tie = np.cumsum(new) - 1
    hits, misses, of = np.bincount(tie, hits), np.bincount(tie, misses), group[new]
    missed = np.bincount(of, misses)
    earlier = np.cumsum(missed) - missed
    below = np.cumsum(misses) - misses - earlier[of]
    won: Floats = np.bincount(of, hits * (below + misses / 2)).astype(np.float64)
    return won, (np.bincount(of, hits) * missed).astype(np.float64)


def _share(won: Floats, pairs: Floats) -> float:
    return float(won.sum() / pairs.sum()) if pairs.any() else math.nan
