r"""Where a leveraged position is closed by force, and where it is bankrupt.

A position is liquidated at the price where its equity falls to its maintenance
margin. With side :math:`d = \pm 1`, amount :math:`q` in base (linear) or face
:math:`N` in quote (inverse), entry :math:`E`, wallet :math:`W`, maintenance rate
:math:`m`, amount deducted :math:`c` and closing fee :math:`f`:

=======  ============================  ===========================  ==========================
\        equity                        maintenance, with fee        liquidated at
=======  ============================  ===========================  ==========================
linear   :math:`W + d q (P - E)`       :math:`q P (m + f) - c`      (W + c - dqE) / q(m + f - d)
inverse  :math:`W + d N (1/E - 1/P)`   :math:`N (m + f) / P - c`    N(d + m + f) / (W + c + dN/E)
=======  ============================  ===========================  ==========================

Prices are floats; NaN stands for null: no price above zero liquidates the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from plimsoll.market.instrument import Brackets

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "bankruptcy_price",
    "distance_factor",
    "distance_leverage",
    "liquidation_price",
    "maintenance_margin",
]

PositionSide = Literal["long", "short"]
Margining = Literal["linear", "inverse"]

_SIGN = {"long": 1.0, "short": -1.0}
# Two neighboring brackets agree at their border but for rounding.
_SLACK = 1e-12


def liquidation_price(
    entry: ArrayLike,
    amount: ArrayLike,
    margin: ArrayLike,
    maintenance: ArrayLike | Brackets,
    *,
    side: PositionSide,
    settlement: Margining = "linear",
    cum: ArrayLike = 0.0,
    fee: float = 0.0,
    other_maintenance: ArrayLike = 0.0,
    other_pnl: ArrayLike = 0.0,
) -> Floats:
    """Return the mark prices at which positions are liquidated.

    With brackets, each is tried, and the price is accepted in whose own bracket
    the position then is.

    Parameters
    ----------
    entry : array_like, shape (n,), quote per base
        Average entry prices.
    amount : array_like, shape (n,), base units (linear) or quote units of face (inverse)
        Sizes, positive for either side.
    margin : array_like, shape (n,), quote units (linear) or base units (inverse)
        What stands behind each position: its own margin if isolated, the
        wallet balance if crossed.
    maintenance : array_like, shape (n,), fraction of notional, or Brackets
        Maintenance rates, or the brackets they follow from.
    side : {"long", "short"}
        Which side all positions are on.
    settlement : {"linear", "inverse"}
        Whether margin and profit are in quote or in base.
    cum : array_like, shape (n,), unit of `margin`
        What the rate overstates; brackets bring their own.
    fee : float, fraction of notional
        Closing fee, for exchanges that ask for it on top of the maintenance.
    other_maintenance, other_pnl : array_like, shape (n,), unit of `margin`
        Maintenance margin and unrealized profit of the other positions that
        share a crossed wallet.

    Returns
    -------
    ndarray, shape (n,), quote per base
        NaN where the position has no margin, where no positive and finite price
        liquidates it, and where it would outgrow the last bracket.

    Raises
    ------
    ValueError
        If a price or size is not positive, a rate or fee is negative, the two
        reach one, or `cum` is given beside brackets.

    Notes
    -----
    Brackets whose `cum` makes maintenance continuous have exactly one price.
    Where `cum` is zero throughout (the rate of the bracket then holds for the
    whole position) maintenance jumps; the price is the first on the way against
    the position, which may be a border between brackets.

    References
    ----------
    .. [1] Binance Support, "How to Calculate Liquidation Price of USDⓈ-M
       Futures Contracts" and "... of COIN-M Futures Contracts".

    Examples
    --------
    One bitcoin bought at 100,000 with twenty-fold leverage, maintenance 1.25 %:

    >>> float(liquidation_price(100_000, 1, 5_000, 0.0125, side="long").round(2))
    96202.53
    """
    entry, amount = _positive("entry", entry), _positive("amount", amount)
    margin = np.asarray(margin, dtype=np.float64)
    equity = margin - np.asarray(other_maintenance) + np.asarray(other_pnl)
    wallet = np.where(margin > 0, equity, np.nan)
    sign = _SIGN[side]
    if not isinstance(maintenance, Brackets):
        rate = _rate(maintenance, fee)
        return _root(entry, amount, wallet + np.asarray(cum), rate, sign, settlement)
    if np.any(np.asarray(cum) != 0):
        raise ValueError("cum is given beside brackets, which bring their own: leave it out")
    return _bracketed(entry, amount, wallet, maintenance, fee, sign, settlement)


def _root(
    entry: Floats, amount: Floats, wallet: Floats, rate: Floats, sign: float, settlement: Margining
) -> Floats:
    if settlement == "linear":
        over, under = wallet - sign * amount * entry, amount * (rate - sign)
    else:
        over, under = amount * (sign + rate), wallet + sign * amount / entry
    with np.errstate(divide="ignore", invalid="ignore"):
        price = over / under
    return np.where((price > 0) & np.isfinite(price), price, np.nan)


def _bracketed(
    entry: Floats,
    amount: Floats,
    wallet: Floats,
    brackets: Brackets,
    fee: float,
    sign: float,
    settlement: Margining,
) -> Floats:
    linear = settlement == "linear"
    # On the way to liquidation the notional of some positions grows and of others shrinks: the
    # brackets are met in that order. A growing one can fall over the step at a bracket's floor.
    grows = (sign < 0) == linear
    price = np.full(np.broadcast_shapes(entry.shape, amount.shape, wallet.shape), np.nan)
    for bracket in brackets.brackets if grows else reversed(brackets.brackets):
        rate = _rate(bracket.maintenance_rate, fee)
        root = _root(entry, amount, wallet + bracket.cum, rate, sign, settlement)
        notional = amount * root if linear else amount / root
        if grows:
            notional = np.maximum(notional, bracket.floor)
        inside = (notional >= bracket.floor * (1 - _SLACK)) & (notional <= bracket.cap)
        with np.errstate(divide="ignore"):
            found = notional / amount if linear else amount / notional
        price = np.where(np.isnan(price) & inside, found, price)
    return price


def maintenance_margin(notional: ArrayLike, brackets: Brackets) -> Floats:
    """Return what positions must hold not to be liquidated.

    Parameters
    ----------
    notional : array_like, shape (n,), quote units (linear) or base units (inverse)
        Sizes at the mark price.
    brackets : Brackets

    Returns
    -------
    ndarray, shape (n,), unit of `notional`
        NaN beyond the last bracket, and where the notional is negative.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> tiers = [(50_000, 0.004, 125), (600_000, 0.005, 100)]
    >>> brackets = Brackets.build("binance", "BTC/USDT:USDT", datetime(2024, 10, 1, tzinfo=UTC),
    ...                           tiers)
    >>> maintenance_margin([50_000, 100_000, 1e9], brackets)
    array([200., 450.,  nan])
    """
    notional = np.asarray(notional, dtype=np.float64)
    table = brackets.brackets
    floors = np.array([bracket.floor for bracket in table])
    rates = np.array([bracket.maintenance_rate for bracket in table])
    cums = np.array([bracket.cum for bracket in table])
    index = np.maximum(np.searchsorted(floors, notional, side="right") - 1, 0)
    margin = notional * rates[index] - cums[index]
    return np.where((notional >= 0) & (notional < table[-1].cap), margin, np.nan)


def bankruptcy_price(
    entry: ArrayLike,
    leverage: ArrayLike,
    *,
    side: PositionSide,
    settlement: Margining = "linear",
) -> Floats:
    """Return the prices at which isolated positions have lost all their margin.

    Parameters
    ----------
    entry : array_like, shape (n,), quote per base
        Average entry prices.
    leverage : array_like, shape (n,), dimensionless
        Notional at entry over margin.
    side : {"long", "short"}
        Which side all positions are on.
    settlement : {"linear", "inverse"}
        Whether margin and profit are in quote or in base.

    Returns
    -------
    ndarray, shape (n,), quote per base
        NaN where the margin cannot be lost: linear longs and inverse shorts
        with a leverage of one or less.

    Raises
    ------
    ValueError
        If a price or leverage is not positive.

    Examples
    --------
    >>> bankruptcy_price(50_000, [1, 10], side="long")
    array([   nan, 45000.])
    """
    entry, leverage = _positive("entry", entry), _positive("leverage", leverage)
    margin = _unit_margin(entry, leverage, settlement)
    size = np.ones_like(margin)
    return _root(entry, size, margin, np.zeros_like(margin), _SIGN[side], settlement)


def distance_factor(
    leverage: ArrayLike,
    maintenance: ArrayLike,
    *,
    side: PositionSide,
    settlement: Margining = "linear",
    fee: float = 0.0,
) -> Floats:
    """Return liquidation price over entry price of isolated positions.

    The factor does not depend on price or size, so that a map needs it once for
    each leverage.

    Parameters
    ----------
    leverage : array_like, shape (n,), dimensionless
        Notional at entry over margin.
    maintenance : array_like, shape (n,), fraction of notional
        Maintenance rates; amounts deducted count as none.
    side : {"long", "short"}
        Which side all positions are on.
    settlement : {"linear", "inverse"}
        Whether margin and profit are in quote or in base.
    fee : float, fraction of notional
        Closing fee, where the exchange asks for it on top of the maintenance.

    Returns
    -------
    ndarray, shape (n,), dimensionless
        Below one for longs, above one for shorts. NaN where no price liquidates,
        and where a position cannot be opened because its margin does not exceed
        maintenance and fee (1/L ≤ m + f).

    Raises
    ------
    ValueError
        If a leverage is not positive, a rate or fee is negative, or they reach one.

    Examples
    --------
    >>> distance_factor([5, 20, 125], 0.01, side="long").round(4)
    array([0.8081, 0.9596,    nan])
    """
    leverage = _positive("leverage", leverage)
    rate = _rate(maintenance, fee)
    one = np.ones(np.broadcast_shapes(leverage.shape, rate.shape))
    factor = _root(one, one, one / leverage, rate, _SIGN[side], settlement)
    return np.where(1 / leverage > rate, factor, np.nan)


def distance_leverage(
    factor: ArrayLike,
    maintenance: ArrayLike,
    *,
    side: PositionSide,
    settlement: Margining = "linear",
    fee: float = 0.0,
) -> Floats:
    """Return the leverage at which positions are liquidated at a multiple of their entry price.

    The inverse of `distance_factor`.

    Parameters
    ----------
    factor : array_like, shape (n,), dimensionless
        Liquidation price over entry price.
    maintenance : array_like, shape (n,), fraction of notional
    side : {"long", "short"}
    settlement : {"linear", "inverse"}
    fee : float, fraction of notional
        As in `distance_factor`.

    Returns
    -------
    ndarray, shape (n,), dimensionless
        NaN where no position could be opened so near its liquidation price, or beyond it.

    Raises
    ------
    ValueError
        If a factor is not positive, a rate or fee is negative, or they reach one.

    Examples
    --------
    >>> distance_leverage([0.95, 1.05], 0.01, side="short").round(4)
    array([    nan, 16.5289])
    """
    factor, rate, sign = _positive("factor", factor), _rate(maintenance, fee), _SIGN[side]
    if settlement == "linear":
        margin = sign - factor * (sign - rate)
    else:
        margin = (sign + rate) / factor - sign
    return 1 / np.where(margin > rate, margin, np.nan)


def _unit_margin(entry: Floats, leverage: Floats, settlement: Margining) -> Floats:
    return entry / leverage if settlement == "linear" else 1 / (entry * leverage)


def _positive(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if np.any(array <= 0):
        raise ValueError(f"{name} must be positive; got {array.min()}")
    return array


def _rate(maintenance: ArrayLike, fee: float) -> Floats:
    rate = np.asarray(maintenance, dtype=np.float64)
    if fee < 0 or np.any(rate < 0) or np.any(rate + fee >= 1):
        raise ValueError(
            f"maintenance and fee are fractions of notional, zero or more and below one together; "
            f"got maintenance {rate} and fee {fee}"
        )
    return rate + fee
