"""Whether the bounds of what was closed by force hold, on a market whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.market.symbols import Symbol
from plimsoll.measures import liquidations as closed
from plimsoll.measures.asking import Asked
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

__all__ = ["bounded"]

_KEYS = ("time", "exchange", "symbol")
_SIDES = {"long": 1, "short": -1}
_ROUNDED = 1e-6
"""What rounding a price to its tick may add or take, fraction."""


def bounded(store: Path, coin: str, exchange: str, every: timedelta) -> pl.DataFrame:
    """Count how often what was really closed by force lies within its bounds.

    Parameters
    ----------
    store : Path
        A store that was simulated.
    coin : str
    exchange : str
        The exchange whose feed lets through a part.
    every : timedelta
        The length of a step.

    Returns
    -------
    DataFrame
        For each `side`: `steps` (count) in which something was closed or told; `above` and
        `below` (fractions of them): the truth is at least what was told, and at most what can
        have been; `told_usd`, `true_usd` and `most_usd` (US dollars) in all of them.
    """
    asked = Asked([exchange])
    told = closed.liquidations(Reader(store), coin, asked, every, "market", whole=False)
    both = told.join(
        _true(Truth(store), coin, exchange, every), on=_KEYS, how="full", coalesce=True
    )
    return pl.DataFrame([_side(both, side) for side in _SIDES])


def _side(both: pl.DataFrame, side: str) -> dict[str, object]:
    told, most, true = (pl.col(f"{side}_{what}") for what in ("usd", "most_usd", "true_usd"))
    frame = both.with_columns(true.fill_null(0)).filter((told > 0) | (true > 0))
    return frame.select(
        pl.lit(side).alias("side"),
        pl.len().alias("steps"),
        (told.fill_null(0) <= true * (1 + _ROUNDED)).mean().alias("above"),
        (true <= most * (1 + _ROUNDED)).fill_null(value=False).mean().alias("below"),
        told.sum().alias("told_usd"),
        true.sum().alias("true_usd"),
        most.sum().alias("most_usd"),
    ).row(0, named=True)


def _true(truth: Truth, coin: str, exchange: str, every: timedelta) -> pl.DataFrame:
    """Return the dollars that were really closed by force, at the price they were closed at."""
    lots = truth.read(coin, "positions").group_by("exchange", "symbol").agg(pl.col("lot").first())
    rows = (
        truth.read(coin, "liquidations")
        .filter(pl.col("exchange") == exchange)
        .join(lots, on=("exchange", "symbol"))
    )
    settled = {s: Symbol.parse(s).settlement == "inverse" for s in rows["symbol"].unique()}
    inverse = pl.col("symbol").replace_strict(settled, return_dtype=pl.Boolean)
    usd = pl.col("lots") * pl.col("lot") * pl.when(inverse).then(1.0).otherwise(pl.col("filled"))
    return (
        rows.with_columns(pl.col("time").dt.truncate(every), usd=usd)
        .group_by(_KEYS)
        .agg(
            pl.col("usd").filter(pl.col("side") == sign).sum().alias(f"{side}_true_usd")
            for side, sign in _SIDES.items()
        )
    )
