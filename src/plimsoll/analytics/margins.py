r"""What positions of a leverage must hold as maintenance margin: by their size, where it is known.

Brackets ask more of larger positions, :math:`M(n) = n m_b - c_b` of a notional :math:`n` in bracket
:math:`b`, and cap the leverage of large ones. A position of notional :math:`n` at its entry, side
:math:`d = \pm 1` and leverage :math:`L` is liquidated at :math:`x` times its entry price, where

.. math:: \frac{1}{L} + d\,(x - 1) = \frac{M(x n)}{n} + x f \text{ (linear)}, \qquad
          \frac{1}{L} + d\,\Bigl(1 - \frac{1}{x}\Bigr)
          = \frac{M(n / x)}{n} + \frac{f}{x} \text{ (inverse)}.

Size and leverage are taken to be independent but for what the brackets forbid. A tier then has the
mean of :math:`\log x` over the dollars that may stand in it: those in a bracket that allows
:math:`L`, with :math:`1/L > M(n)/n + f`. Where no size is known, all positions are as the smallest.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from plimsoll.analytics.liquidation import liquidation_price, maintenance_margin
from plimsoll.analytics.statements import english

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import ArrayLike, NDArray

    from plimsoll.analytics.inventory import Parameters
    from plimsoll.market.instrument import Brackets

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = [
    "Sizes",
    "admitted",
    "described",
    "effective_rate",
    "equal_parts",
    "in_force",
    "log_factors",
    "said",
    "smallest",
    "statement",
    "tier_rates",
]

PARTS = 24
"""In how many parts of equal dollars sizes are kept."""
_SMALL = 1e-6
_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")


class Sizes(Struct, frozen=True, kw_only=True):
    """How large positions are when they are opened.

    Attributes
    ----------
    notional : tuple of float, quote (linear) or base units (inverse)
        Sizes in which equal parts of the dollars stand.
    positions : int
        How many were measured.
    exchanges : tuple of str
        Where.
    """

    notional: tuple[float, ...]
    positions: int
    exchanges: tuple[str, ...] = ()


def equal_parts(notional: ArrayLike, usd: ArrayLike) -> tuple[float, ...]:
    """Return the sizes in the middle of equal parts of the dollars.

    Parameters
    ----------
    notional : array_like, shape (n,), any unit
    usd : array_like, shape (n,), US dollars
        What each counts; not all zero.

    Examples
    --------
    >>> set(equal_parts([10, 1_000], [1, 2])) == {10.0, 1_000.0}
    True
    """
    sizes, weights = np.asarray(notional, dtype=np.float64), np.asarray(usd, dtype=np.float64)
    order = np.argsort(sizes, kind="stable")
    below = np.cumsum(weights[order])
    middles = (np.arange(PARTS) + 0.5) / PARTS * below[-1]
    return tuple(sizes[order][np.searchsorted(below, middles)].tolist())


def in_force(bars: pl.DataFrame, maintenance: float | tuple[Brackets, ...]) -> Ints | None:
    """Return which brackets are in force at each bar's open.

    Parameters
    ----------
    bars : DataFrame
        With `time`, where brackets change.
    maintenance : float or tuple of Brackets
        As of `Parameters`; the first count before their own date as well.

    Returns
    -------
    ndarray of int, shape (bars,), or None
        None where they never change.

    Raises
    ------
    ValueError
        If they change and bars have no time.
    """
    if not isinstance(maintenance, tuple) or len(maintenance) < 2:
        return None
    if "time" not in bars.columns:
        raise ValueError("brackets change with time: the bars need a column `time`")
    since = [int(one.since.timestamp() * 1_000_000) for one in maintenance[1:]]
    found: Ints = np.searchsorted(since, bars["time"].dt.epoch("us").to_numpy(), side="right")
    return found


def smallest(maintenance: float | tuple[Brackets, ...], at: int = 0) -> float:
    """Return the rate of the smallest positions, of the brackets at a place."""
    if isinstance(maintenance, tuple):
        return maintenance[at].brackets[0].maintenance_rate
    return maintenance


def effective_rate(
    notional: ArrayLike, maintenance: float | tuple[Brackets, ...], at: int = 0
) -> Floats:
    """Return maintenance margin over notional.

    Parameters
    ----------
    notional : array_like, any shape, quote (linear) or base units (inverse)
        Beyond the last bracket, its rate goes on.
    maintenance : float or tuple of Brackets
    at : int
        Which of them.

    Returns
    -------
    ndarray, fraction of notional

    Examples
    --------
    >>> effective_rate([100, 200], 0.004)
    array([0.004, 0.004])
    """
    held = np.maximum(np.asarray(notional, dtype=np.float64), _SMALL)
    if not isinstance(maintenance, tuple):
        return np.full(held.shape, maintenance)
    rate: Floats = maintenance_margin(held, _endless(maintenance[at])) / held
    return rate


def admitted(parameters: Parameters, at: int = 0) -> Floats:
    """Return what share of the dollars some brackets let stand in each tier; shape (tiers,).

    Parameters
    ----------
    parameters : Parameters
    at : int
        Which of its brackets.
    """
    share: Floats = _allowed(parameters, _sizes(parameters, at), at).mean(axis=1)
    return share


def log_factors(parameters: Parameters, at: int = 0) -> Floats:
    """Return the mean log of liquidation price over entry price; shape (sides, tiers).

    Of a leverage that no size may have any longer, it is that of the smallest.

    Parameters
    ----------
    parameters : Parameters
    at : int
        Which of its brackets.
    """
    leverage = np.asarray(parameters.leverage, dtype=np.float64)[:, None]
    sizes, brackets = _sizes(parameters, at), parameters.maintenance
    allowed = _allowed(parameters, sizes, at)
    none = ~allowed.any(axis=1)
    sizes[none], allowed[none] = _smallest(brackets, at), True
    price = [
        liquidation_price(
            1.0,
            sizes,
            sizes / leverage,
            _endless(brackets[at]) if isinstance(brackets, tuple) else brackets,
            side=side,
            settlement=parameters.settlement,
            fee=parameters.fee,
        )
        for side in _SIDES
    ]
    log = np.where(allowed, np.log(np.stack(price)), 0.0)
    mean: Floats = log.sum(axis=2) / allowed.sum(axis=1)
    return mean


def tier_rates(parameters: Parameters, at: int = 0) -> Floats:
    """Return the mean rate of each tier when its positions are opened; fraction of notional.

    Parameters
    ----------
    parameters : Parameters
    at : int
        Which of its brackets.
    """
    sizes = _sizes(parameters, at)
    allowed = _allowed(parameters, sizes, at)
    rates = effective_rate(sizes, parameters.maintenance, at)
    mean: Floats = np.where(allowed, rates, 0.0).sum(axis=1) / np.maximum(1, allowed.sum(axis=1))
    return np.where(allowed.any(axis=1), mean, smallest(parameters.maintenance, at))


def said(parameters: Parameters) -> str:
    """Return whose maintenance is taken, in words."""
    return english([statement(parameters)])[0]


def statement(parameters: Parameters, market: str = "") -> dict[str, object]:
    """Return whose maintenance is taken, of which market; see `statements.MAPPED`."""
    sizes, brackets = parameters.sizes, parameters.maintenance
    if not isinstance(brackets, tuple):
        return {"code": "maintenance_flat", "rate": brackets, "market": market}
    if sizes is None:
        return {"code": "maintenance_first", "market": market}
    told = {"positions": sizes.positions, "market": market}
    if not sizes.exchanges:
        return {"code": "maintenance_sizes", **told}
    return {"code": "maintenance_sizes_of", **told, "exchanges": ", ".join(sizes.exchanges)}


def described(parameters: Parameters) -> dict[str, object]:
    """Return what a reader has to know of the maintenance: the first bracket's and each tier's."""
    sizes, by_size = parameters.sizes, isinstance(parameters.maintenance, tuple)
    known = sizes if by_size else None
    return {
        "maintenance": smallest(parameters.maintenance),
        "maintenance_said": said(parameters),
        "maintenance_rates": tier_rates(parameters).tolist(),
        "sizes": None
        if known is None
        else {"positions": known.positions, "exchanges": known.exchanges},
    }


def _sizes(parameters: Parameters, at: int) -> Floats:
    """Return notionals by tier; shape (tiers, sizes). Where none is known, it is the smallest."""
    brackets, known = parameters.maintenance, parameters.sizes
    if known is None or not isinstance(brackets, tuple):
        return np.full((len(parameters.leverage), 1), _smallest(brackets, at))
    return np.tile(known.notional, (len(parameters.leverage), 1))


def _smallest(maintenance: float | tuple[Brackets, ...], at: int) -> float:
    """Return a notional that stays in the first bracket."""
    return _SMALL * maintenance[at].brackets[0].cap if isinstance(maintenance, tuple) else 1.0


def _allowed(parameters: Parameters, sizes: Floats, at: int) -> NDArray[np.bool_]:
    """Return which sizes may stand in each tier: by their margin, and by their bracket if known."""
    leverage, brackets = np.asarray(parameters.leverage)[:, None], parameters.maintenance
    allowed: NDArray[np.bool_] = 1 / leverage > effective_rate(sizes, brackets, at) + parameters.fee
    if isinstance(brackets, tuple) and parameters.sizes:
        table = brackets[at].brackets
        place = np.searchsorted([one.floor for one in table], sizes, side="right") - 1
        allowed &= leverage <= np.array([one.max_leverage for one in table])[place]
    return allowed


def _endless(brackets: Brackets) -> Brackets:
    """Return brackets whose last has no cap: a position may outgrow it."""
    *first, last = brackets.brackets
    return replace(brackets, brackets=(*first, replace(last, cap=sys.float_info.max)))
