"""How well the estimate of entry prices meets the entries of a market whose positions are known."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll import maps
from plimsoll.analytics.entries import entries
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["entered"]

_WIDTH = 0.01
_WEEK = timedelta(days=7)


def entered(store: Path, coin: str) -> pl.DataFrame:
    """Score entry prices of a simulated coin's linear perpetuals at the end of its days.

    Parameters
    ----------
    store : Path
        A store that was simulated.
    coin : str

    Returns
    -------
    DataFrame
        `scenario`, `exchange`, `side`, `overlap`: the share of dollars in the right bucket of 1 %,
        market makers' left out; and `volume`, that of a guess which knows no position: that all
        was entered where the volume of the last week was traded.

    Raises
    ------
    NoSuchData
        If the store was not simulated, or not this coin.
    """
    truth, reader = Truth(store), Reader(store)
    positions = truth.read(coin, "positions").filter(pl.col("owner") != "market_maker")
    last: datetime = positions["time"].max()  # type: ignore[assignment]
    symbol, rows = f"{coin}/USDT:USDT", []
    for venue in truth.note["parameters"]["scenario"]["venues"]:
        if venue["settlement"] == "inverse":
            continue
        name = venue["name"]
        held = positions.filter(pl.col("time") == last, exchange=name, symbol=symbol)
        span: Any = (None, None, None)
        found, _ = maps.standing(reader, symbol, [name], span=span, interval=None, parameters=None)
        told = entries(found, _WIDTH)
        asked = Asked([name], since=last - _WEEK)
        traded = _shares(_traded(rows_of(reader, "candle", symbol, asked)))
        for side, sign in (("long", 1), ("short", -1)):
            real = _shares(_really(held.filter(side=sign)))
            guess = _shares(told.select(price="price_low", usd=f"{side}_usd"))
            rows.append(
                {
                    "scenario": truth.note["scenario"],
                    "exchange": name,
                    "side": side,
                    "overlap": _overlap(real, guess),
                    "volume": _overlap(real, traded),
                }
            )
    return pl.DataFrame(rows)


def _really(positions: pl.DataFrame) -> pl.DataFrame:
    lots = pl.col("lots") * pl.col("lot")
    return positions.select(price=pl.col("cost") / pl.col("unit") / lots, usd=lots)


def _traded(candles: pl.DataFrame) -> pl.DataFrame:
    return candles.filter(pl.col("price_kind") == "trade").select(price="close", usd="volume")


def _shares(frame: pl.DataFrame) -> pl.DataFrame:
    """Return shares by bucket; a price at the edge of one, rounded, belongs to it."""
    bucket = ((pl.col("price").log() + 1e-9) / _WIDTH).floor().cast(pl.Int64)
    sums = frame.group_by(bucket=bucket).agg(pl.col("usd").sum())
    return sums.with_columns(share=pl.col("usd") / pl.col("usd").sum()).drop("usd")


def _overlap(real: pl.DataFrame, guess: pl.DataFrame) -> float:
    both = real.join(guess, on="bucket", suffix="_guess")
    return float(both.select(pl.min_horizontal("share", "share_guess").sum()).item())
