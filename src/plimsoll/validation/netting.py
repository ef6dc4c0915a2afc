"""How well takers' net longs and shorts are recovered from flows, where the truth is known.

In the simulated market every order of an account is a taker's, and a market maker is on the other
side, so that the longs and shorts of all accounts are what `cvd.net_positions` estimates.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.measures import positioning
from plimsoll.measures.asking import Asked
from plimsoll.simulation.truth import Truth
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["netting"]


def netting(store: Path, coin: str) -> pl.DataFrame:
    """Score the net positions of a simulated coin's perpetuals against the truth, hour by hour.

    Parameters
    ----------
    store : Path
        A store that was simulated.
    coin : str

    Returns
    -------
    DataFrame
        `scenario`, `exchange`, `symbol`, `hours`; `within` (share of hours in which the truth of
        the longs lies within its bounds), `width` (the mean width of the bounds over the mean
        absolute hourly change of the true longs); and correlations of hourly changes with the
        truth: `net` (longs less shorts), `longs`, `shorts`, and `naive`, of the longs with the
        change of open interest alone.

    Raises
    ------
    NoSuchData
        If the store was not simulated, or not this coin.
    """
    truth, reader = Truth(store), Reader(store)
    minutes, positions = truth.read(coin, "minutes"), truth.read(coin, "positions")
    rows = []
    for venue in truth.note["parameters"]["scenario"]["venues"]:
        inverse = venue["settlement"] == "inverse"
        symbol = f"{coin}/USD:{coin}" if inverse else f"{coin}/USDT:USDT"
        named = {"exchange": venue["name"], "symbol": symbol}
        lot = float(positions.filter(**named)["lot"][0])
        real = _real(minutes.filter(**named), lot, inverse=inverse)
        asked = Asked([venue["name"]])
        told = positioning.flow(reader, symbol, asked, timedelta(hours=1))
        scored = _scores(told.join(real, on="time", suffix="_real").drop_nulls("longs"))
        rows.append({"scenario": truth.note["scenario"], **named, **scored})
    return pl.DataFrame(rows)


def _real(minutes: pl.DataFrame, lot: float, *, inverse: bool) -> pl.DataFrame:
    """Return by how much the accounts' longs and shorts, and open interest, grew in each hour."""
    size = pl.lit(lot) / pl.col("mark_close") if inverse else pl.lit(lot)
    return (
        minutes.sort("time")
        .with_columns(pl.col("time").dt.offset_by("1m"))
        .filter(pl.col("time").dt.minute() == 0)
        .select(
            "time",
            *(
                (pl.col(name).diff() * size).alias(name)
                for name in ("longs", "shorts", "open_interest")
            ),
        )
    )


def _scores(both: pl.DataFrame) -> dict[str, Any]:
    real = both["longs_real"]
    inside = (real >= both["longs_low"] - 1e-6) & (real <= both["longs_high"] + 1e-6)
    width = (both["longs_high"] - both["longs_low"]).to_numpy()

    def correlation(left: pl.Series, right: pl.Series) -> float:
        return float(np.corrcoef(left.to_numpy(), right.to_numpy())[0, 1])

    return {
        "hours": both.height,
        "within": float(inside.to_numpy().mean()),
        "width": float(width.mean() / np.abs(real.to_numpy()).mean()),
        "net": correlation(both["net"], real - both["shorts_real"]),
        "longs": correlation(both["longs"], real),
        "shorts": correlation(both["shorts"], both["shorts_real"]),
        "naive": correlation(both["open_interest"], real),
    }
