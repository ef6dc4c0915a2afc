"""Measured positions as another market's brackets would liquidate them.

A position's ratio of liquidation price to entry price, and the maintenance its own size has in the
brackets of the market it was measured on, say what leverage it has there. A position of that size
and leverage is liquidated elsewhere where other brackets ask for more. What is returned has the
price that `distances` makes of it again: at the maintenance of the other market's smallest
position, settled as it was measured. What was measured without known brackets, or is nearer to its
liquidation than it can have been opened, is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from plimsoll.analytics.liquidation import distance_factor, distance_leverage, liquidation_price
from plimsoll.analytics.margins import effective_rate, endless, smallest
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from plimsoll.analytics.inventory import Parameters
    from plimsoll.analytics.liquidation import Margining
    from plimsoll.market.instrument import Brackets

    Floats = NDArray[np.float64]

__all__ = ["carried"]

_LEAST = 1e-9
"""The size that a closed position is given, so that it has a price at all; US dollars."""
_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")


def carried(
    positions: pl.DataFrame, known: Mapping[tuple[str, str], Brackets], to: Parameters
) -> pl.DataFrame:
    """Return positions with the liquidation prices that another market would give them.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table.
    known : mapping of (exchange, symbol) to Brackets
        Of the markets they were measured on.
    to : Parameters
        Of the other market; its first brackets count.

    Returns
    -------
    DataFrame
        The same rows in another order; `liquidation_price` is null where no price would liquidate
        the position, or its size is more than its leverage allows there.
    """
    if not isinstance(to.maintenance, tuple):
        return positions
    parts = []
    markets = positions.partition_by("exchange", "symbol", as_dict=True)
    for (exchange, symbol), rows in markets.items():
        brackets = known.get((exchange, symbol))
        if brackets is None:
            parts.append(rows)
            continue
        parts += [_moved(rows.filter(side=side), side, brackets, to) for side in _SIDES]
    return pl.concat(parts) if parts else positions


def _moved(
    rows: pl.DataFrame, side: Literal["long", "short"], brackets: Brackets, to: Parameters
) -> pl.DataFrame:
    entry = rows["entry_price"].to_numpy()
    usd = rows.select(pl.coalesce("value_usd", pl.col("amount") * pl.col("entry_price")))
    size = np.maximum(usd.to_series().to_numpy(), _LEAST)
    ratio = rows.select(pl.col("liquidation_price").cast(pl.Float64)).to_series().to_numpy() / entry
    measured = _settlement(brackets.symbol)
    left = size * ratio if measured == "linear" else size / entry / ratio
    rate = effective_rate(left, (brackets,))
    leverage = distance_leverage(ratio, rate, side=side, settlement=measured)
    told = ~np.isnan(leverage)
    notional = size if to.settlement == "linear" else size / entry
    there = liquidation_price(
        1.0,
        notional,
        notional / np.where(told, leverage, 1.0),
        endless(to.maintenance[0]),  # type: ignore[index]  # `carried` has looked
        side=side,
        settlement=to.settlement,
        fee=to.fee,
    )
    if measured != to.settlement:
        there = _as(there, measured, side, to)
    price = pl.Series(np.where(told, there, ratio) * entry, nan_to_null=True)
    return rows.with_columns(liquidation_price=price)


def _as(
    ratio: Floats, settlement: Margining, side: Literal["long", "short"], to: Parameters
) -> Floats:
    """Return the ratios that positions of another settlement have at the same leverage."""
    rate = smallest(to.maintenance)
    leverage = distance_leverage(ratio, rate, side=side, settlement=to.settlement, fee=to.fee)
    told = ~np.isnan(leverage)
    other = distance_factor(
        np.where(told, leverage, 1.0), rate, side=side, settlement=settlement, fee=to.fee
    )
    return np.where(told, other, ratio)


def _settlement(symbol: str) -> Margining:
    return "inverse" if Symbol.parse(symbol).settlement == "inverse" else "linear"
