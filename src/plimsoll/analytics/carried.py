"""Measured positions as another market would liquidate them.

A position's ratio of liquidation price to entry price, and the maintenance its own size has in the
brackets of the market it was measured on, say what leverage it has there. A position of that size
and leverage is liquidated elsewhere where other brackets ask for more. What was measured without
known brackets, or is nearer to its liquidation than it can have been opened, is left as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from plimsoll.analytics.liquidation import distance_leverage, liquidation_price
from plimsoll.analytics.margins import effective_rate, endless
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plimsoll.analytics.inventory import Parameters
    from plimsoll.market.instrument import Brackets

__all__ = ["carried"]

_LEAST = 1e-9
"""The size that a closed position is given, so that it has a price at all; US dollars."""
_SIDES: tuple[Literal["long"], Literal["short"]] = ("long", "short")


def carried(
    positions: pl.DataFrame, known: Mapping[tuple[str, str], Brackets], to: Parameters
) -> pl.DataFrame:
    """Return positions with the liquidation prices they would have on another market.

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
    inverse = Symbol.parse(brackets.symbol).settlement == "inverse"
    left = size / entry / ratio if inverse else size * ratio
    leverage = distance_leverage(
        ratio,
        effective_rate(left, (brackets,)),
        side=side,
        settlement="inverse" if inverse else "linear",
    )
    notional = size if to.settlement == "linear" else size / entry
    told = ~np.isnan(leverage)
    there = liquidation_price(
        1.0,
        notional,
        notional / np.where(told, leverage, 1.0),
        endless(to.maintenance[0]),  # type: ignore[index]  # `carried` has looked
        side=side,
        settlement=to.settlement,
        fee=to.fee,
    )
    price = pl.Series(np.where(told, there, ratio) * entry, nan_to_null=True)
    return rows.with_columns(liquidation_price=price)
