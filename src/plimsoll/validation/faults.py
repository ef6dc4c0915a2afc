"""Whether a market whose reports are wrong is found, and no other is: faults that are planted.

A fault is put into what one market of a store publishes, as exchanges have put them into theirs,
and the markets are graded as if nobody knew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

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
_DAY = 288
_LAST_DAY = pl.int_range(pl.len()) >= pl.len() - _DAY
FAULTS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "stale": lambda rows: rows.with_columns(_BOTH.first()),
    "stale since a day": lambda rows: rows.with_columns(
        pl.when(_LAST_DAY).then(_BOTH.get(-_DAY)).otherwise(_BOTH).name.keep()
    ),
    "contracts as coins": lambda rows: rows.with_columns(pl.col("amount") * 1_000),
    "amount and value times 1000": lambda rows: rows.with_columns(_BOTH * 1_000),
    "amount and value by 1000": lambda rows: rows.with_columns(_BOTH / 1_000),
    "both sides counted": lambda rows: rows.with_columns(_BOTH * 2),
    "both sides counted since a day": lambda rows: rows.with_columns(
        pl.when(_LAST_DAY).then(_BOTH * 2).otherwise(_BOTH).name.keep()
    ),
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
        was planted in) and `reasons`, `accused` (how many others are C or D), `hours` from the
        start of the fault to the first D (null if there was none), and `error`: how far the last
        sum lies from what the markets in it really held, an absolute fraction.

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

    markets = rows.select("exchange", "symbol").unique().sort("exchange", "symbol")
    perpetuals = [(e, s) for e, s in markets.iter_rows() if "-" not in s]
    real = panel(rows)
    found = [_found(real, real, "none", perpetuals[0])]
    found += [
        _found(panel(planted(rows, fault, *market)), real, fault, market)
        for fault in FAULTS
        for market in perpetuals
    ]
    return pl.DataFrame(found, schema_overrides=_TYPES)


_TYPES: dict[str, Any] = {"reasons": pl.List(pl.String), "hours": pl.Float64}


def _found(
    held: grading.Panel, real: grading.Panel, fault: str, market: tuple[str, str]
) -> dict[str, Any]:
    """Return what the grades say of a market with a fault, and of the others."""
    own = (pl.col("exchange") == market[0]) & (pl.col("symbol") == market[1])
    given, again = grading.grades(held, ("open_interest",)), consensus.graded(held)
    first: datetime | None = again.filter(own, pl.col("grade") == "D")["time"].min()  # type: ignore[assignment]
    last: datetime = held.time[-1]
    begun: datetime = last - timedelta(days=1) if "since" in fault else held.time[0]
    told = consensus.sound(held, again).row(-1, named=True)
    name = pl.format("{} {}", "exchange", "symbol")
    right = real.reports().filter(pl.col("time") == last, ~name.is_in(told["left_out"]))
    return {
        "fault": fault,
        "exchange": market[0],
        "symbol": market[1],
        "grade": given.filter(own)["grade"].first(),
        "reasons": given.filter(own)["reasons"].first(),
        "accused": given.filter(~own & pl.col("grade").is_in(["C", "D"])).height,
        "hours": None if first is None else (first - begun) / timedelta(hours=1),
        "error": abs(told["value_usd"] / right["value_usd"].sum() - 1),
    }
