"""Whether a market whose reports are wrong is found, and no other is: faults that are planted.

A fault is put into what one market of a store publishes, as exchanges have put them into theirs,
and the markets are graded as if nobody knew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import consensus, grading, turnover
from plimsoll.measures.asking import Asked, rows_of
from plimsoll.measures.interest import lots
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FAULTS", "faults", "planted"]

_MAX_AGE = timedelta(hours=2)
_BOTH = pl.col("amount", "value_usd")
FAULTS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "stale": lambda rows: rows.with_columns(_BOTH.first()),
    "contracts as coins": lambda rows: rows.with_columns(pl.col("amount") * 1_000),
    "amount and value times 1000": lambda rows: rows.with_columns(_BOTH * 1_000),
    "amount and value by 1000": lambda rows: rows.with_columns(_BOTH / 1_000),
    "both sides counted": lambda rows: rows.with_columns(_BOTH * 2),
    "an hour late": lambda rows: rows.with_columns(_BOTH.shift(12)),
}
"""What a publisher may do wrong, applied to all five-minute reports of one market."""


def planted(rows: pl.DataFrame, fault: str, exchange: str, symbol: str) -> pl.DataFrame:
    """Return reports of open interest with a fault in those of one market.

    Parameters
    ----------
    rows : DataFrame
        Rows of the `open_interest` table.
    fault : str
        One of `FAULTS`.
    exchange, symbol : str
    """
    meant = (pl.col("exchange") == exchange) & (pl.col("symbol") == symbol)
    wrong = FAULTS[fault](rows.filter(meant).sort("time"))
    return pl.concat([rows.filter(~meant), wrong])


def faults(store: Path, coin: str) -> pl.DataFrame:
    """Plant each fault in each perpetual of a simulated coin in turn, and grade all markets.

    Parameters
    ----------
    store : Path
    coin : str

    Returns
    -------
    DataFrame
        `fault` (``none`` where nothing is planted), `exchange`, `symbol`, `grade` (of the market it
        was planted in) and `reasons`, `accused` (how many others are C or D), and `error` (how far
        the sum of the last day lies from that of the sound markets, mean of absolute fractions).

    Raises
    ------
    NoSuchData
        If no open interest of the coin is stored.
    """
    reader, step = Reader(store), timedelta(minutes=5)
    rows = rows_of(reader, "open_interest", coin, Asked([]))
    last: datetime = rows["time"].max()  # type: ignore[assignment]
    recent = Asked([], since=last - grading.WINDOW)
    rows = rows.filter(pl.col("time") >= last - grading.WINDOW)
    volumes = turnover.traded(rows_of(reader, "candle", coin, recent), step)
    sizes = lots(reader, rows)

    def panel(reports: pl.DataFrame) -> grading.Panel:
        return grading.panel(reports, volumes, step, _MAX_AGE, sizes)

    def row(fault: str, exchange: str, symbol: str) -> dict[str, object]:
        clean = rows if fault == "none" else planted(rows, fault, exchange, symbol)
        held = panel(clean)
        given = grading.grades(held, ("open_interest",))
        own = (pl.col("exchange") == exchange) & (pl.col("symbol") == symbol)
        accused = given.filter(~own & pl.col("grade").is_in(["C", "D"]))
        told = given.filter(own)
        right = rows if fault == "none" else rows.filter(~own)
        return {
            "fault": fault,
            "exchange": exchange,
            "symbol": symbol,
            "grade": told["grade"].first(),
            "reasons": told["reasons"].first(),
            "accused": accused.height,
            "error": _error(held, panel(right)),
        }

    markets = rows.select("exchange", "symbol").unique().sort("exchange", "symbol")
    perpetuals = [(e, s) for e, s in markets.iter_rows() if "-" not in s]
    found = [row("none", *perpetuals[0])]
    found += [row(fault, *market) for fault in FAULTS for market in perpetuals]
    return pl.DataFrame(found, schema_overrides={"reasons": pl.List(pl.String)})


def _error(held: grading.Panel, right: grading.Panel) -> float:
    """Return how far the sum with a fault is from that of the sound markets, in the last day."""
    sums = [
        consensus.sound(one, consensus.graded(one)).select("time", "value_usd")
        for one in (held, right)
    ]
    both = sums[0].join(sums[1], on="time", suffix="_right").tail(288)
    apart = (pl.col("value_usd") / pl.col("value_usd_right") - 1).abs().mean()
    return float(both.select(apart).item())
