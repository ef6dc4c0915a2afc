"""How large positions are, measured where wallets can be read.

Each position counts once, as it was when it was first seen, with its dollars. Only those count that
are liquidated at some price: the rest stands on no map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.distances import FARTHEST, LEAST
from plimsoll.analytics.margins import Sizes, equal_parts
from plimsoll.analytics.positions import opened

if TYPE_CHECKING:
    from plimsoll.analytics.liquidation import Margining

__all__ = ["sizes"]


def sizes(positions: pl.DataFrame, settlement: Margining) -> Sizes | None:
    """Return the sizes of measured positions.

    Parameters
    ----------
    positions : DataFrame
        Rows of the `position` table, of one coin; give none that were not known yet.
    settlement : {"linear", "inverse"}
        Of the market whose brackets they meet: whose notional is in quote, or in base.

    Returns
    -------
    Sizes or None
        None if they are worth fewer than `distances.LEAST` positions of one size.
    """
    worth = pl.coalesce("value_usd", pl.col("amount") * pl.col("entry_price"))
    away = (pl.col("liquidation_price") / pl.col("entry_price") - 1).abs()
    rows = opened(positions).with_columns(usd=worth).filter((away < FARTHEST) & (pl.col("usd") > 0))
    usd = rows["usd"].to_numpy()
    if not len(usd) or usd.sum() ** 2 / (usd**2).sum() < LEAST:
        return None
    notional = usd if settlement == "linear" else usd / rows["entry_price"].to_numpy()
    return Sizes(
        notional=equal_parts(notional, usd),
        positions=len(usd),
        exchanges=tuple(rows["exchange"].unique().sort()),
    )
