"""A map tier by tier: which leverages are shown, and what each cell holds at least and most.

A map of some tiers is what the same inventory holds of them: nothing else is moved, fitted or
rescaled. Its limits are those that `bands` says of the tiers shown alone. What is uneven about a
cell is taken to be so for all its tiers alike: the orders of some are then a negative binomial of
the same size, about their own mean; and of the mix only the draws of these tiers count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plimsoll.analytics.bands import LEVELS, bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from plimsoll.analytics.averaged import Averaged
    from plimsoll.analytics.fitting import Fitted
    from plimsoll.analytics.inventory import Grid

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

__all__ = ["Leverages", "Ranges", "among", "by_tier", "ranges", "some_of"]

Leverages = str | float | list[str] | list[float] | None
Ranges = tuple[tuple[float, float], ...]
"""From a leverage up to another one, both included."""
_PIECE = 1_000
_FIGURES = 0.005
"""Two leverages nearer than this are the same one: as near as three figures tell."""


def ranges(leverage: Leverages) -> Ranges | None:
    """Return which leverages are meant.

    Parameters
    ----------
    leverage : str, float or list of them, optional
        Leverages (``25``) and ranges (``10-25``), in text also joined by commas; None for all.

    Returns
    -------
    tuple of (float, float), or None
        The lowest and the highest leverage of each; None for all.

    Raises
    ------
    ValueError
        If one is neither.

    Examples
    --------
    >>> ranges("25,50-100")
    ((25.0, 25.0), (50.0, 100.0))
    """
    if leverage is None:
        return None
    several = leverage if isinstance(leverage, list) else [leverage]
    words = [word.strip() for one in several for word in str(one).split(",")]
    return tuple(_range(word) for word in words)


def _range(word: str) -> tuple[float, float]:
    low, dash, high = word.partition("-")
    try:
        found = float(low), float(high if dash else low)
    except ValueError:
        found = (np.nan, np.nan)
    if not 0 <= found[0] <= found[1] < np.inf:
        raise ValueError(f"a leverage is a number or a range, such as 25 or 10-25; got {word!r}")
    return found


def among(tiers: Sequence[float], meant: Ranges | None) -> Mask:
    """Return which tiers are meant.

    Parameters
    ----------
    tiers : sequence of float, dimensionless
    meant : tuple of (float, float), or None
        As `ranges` returns it.

    Returns
    -------
    ndarray of bool, shape (tiers,)
    """
    held = np.asarray(tiers, dtype=np.float64)
    found: Mask = np.full(len(held), meant is None)
    for low, high in meant or ():
        found |= (held >= low * (1 - _FIGURES)) & (held <= high * (1 + _FIGURES))
    return found


def some_of(markets: Sequence[Sequence[float]], meant: Ranges | None) -> None:
    """Refuse leverages of which no market has a tier.

    Raises
    ------
    ValueError
    """
    if not any(among(tiers, meant).any() for tiers in markets):
        known = sorted({f"{tier:.3g}" for tiers in markets for tier in tiers}, key=float)
        raise ValueError(f"no tier of this map has such a leverage; it has {', '.join(known)}")


def by_tier(
    moved: Averaged, shown: Mask, view: Grid, price: Floats, kept: Mask, fit: Fitted | None
) -> tuple[Floats, NDArray[np.float32] | None]:
    """Return what cells hold of some tiers, and at three levels, from a run of its own.

    It goes in pieces: columns by tier are large, and only their sums are kept.

    Parameters
    ----------
    moved : Averaged
        Before its first bar.
    shown : ndarray of bool, shape (bars,)
        At which bars' open to write a column.
    view : Grid
    price : ndarray, shape (bars,), US dollars
        Of one unit of the inventory.
    kept : ndarray of bool, shape (tiers,)
    fit : Fitted or None
        What the mix was fitted to.

    Returns
    -------
    ndarray, shape (columns, sides, rows), US dollars
        A column that is not known is NaN.
    ndarray of float32, shape (levels, columns, sides, rows), US dollars, or None
        None where nothing was fitted to any liquidation, or no tier is kept.
    """
    columns = np.count_nonzero(shown)
    usd = np.empty((columns, 2, view.rows))
    fitted = fit if fit is not None and fit.orders and kept.any() else None
    limits = None if fitted is None else np.empty((len(LEVELS), *usd.shape), dtype=np.float32)
    done = 0
    for start in range(0, len(shown), _PIECE):
        piece = slice(start, start + _PIECE)
        seen = shown[piece]
        record = moved.advance(seen, view, by_tier=True)
        at = price[piece][seen]
        written = slice(done, done + len(at))
        held = np.ascontiguousarray(record.tiers[:, :, kept])
        usd[written] = held.sum(axis=2) * at[:, None, None]
        usd[written][np.isnan(record.columns)] = np.nan
        if fitted is not None and limits is not None:
            draws = np.ascontiguousarray(fitted.draws[:, kept])
            found = limits[:, written]
            found[:] = bands(held, draws, fitted.cell_size, fitted.unit / at)
            found *= at[None, :, None, None].astype(np.float32)
        done += len(at)
    return usd, limits
