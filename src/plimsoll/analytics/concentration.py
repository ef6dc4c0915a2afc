"""How open interest is divided: over exchanges, symbols, expiries, and what margin is paid in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics.open_interest import listed
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from datetime import timedelta

    from numpy.typing import ArrayLike

__all__ = ["By", "Concentration", "concentration", "divided", "part", "spread"]

By = Literal["exchange", "margin", "symbol", "expiry", "coin"]
"""What open interest can be divided by."""


class Concentration(NamedTuple):
    """How a total is spread over its holders.

    Attributes
    ----------
    hhi : float
        Herfindahl-Hirschman index, the sum of squared shares, in [1/n, 1].
    effective : float
        How many equal holders would have the same index.
    gini : float
        Gini coefficient, 0 where all are equal; it depends on how many small
        holders are listed, which `effective` hardly does.
    """

    hhi: float
    effective: float
    gini: float


def concentration(values: ArrayLike) -> Concentration:
    r"""Return how concentrated a total is.

    .. math:: H = \sum s_i^2, \quad
              G = \frac{2 \sum i\, x_{(i)}}{n \sum x} - \frac{n + 1}{n}

    Parameters
    ----------
    values : array_like, shape (n,)
        Shares, or amounts in any unit.

    Returns
    -------
    Concentration
        All NaN where a value is unknown or the total is zero.

    Raises
    ------
    ValueError
        If a value is negative, or there is none.

    Examples
    --------
    >>> concentration([40, 30, 20, 10]).gini
    0.25
    """
    held = np.sort(np.asarray(values, dtype=np.float64))
    if held.size == 0 or np.any(held < 0):
        raise ValueError("concentration needs one value or more, none of them negative")
    total, count = held.sum(), held.size
    if not total > 0:
        return Concentration(np.nan, np.nan, np.nan)
    hhi = float(((held / total) ** 2).sum())
    ranks = np.arange(1, count + 1)
    gini = float(2 * (ranks * held).sum() / (count * total) - (count + 1) / count)
    return Concentration(hhi=hhi, effective=1 / hhi, gini=gini)


def part(symbol: str, by: By) -> str:
    """Return which part of open interest a contract belongs to.

    Parameters
    ----------
    symbol : str
        A unified symbol.
    by : {"margin", "symbol", "expiry", "coin"}
        ``margin`` tells ``coin`` (the base itself), ``dollars``, ``stablecoin`` and ``other``;
        ``expiry`` the day, or ``perpetual``.

    Raises
    ------
    ValueError
        If it cannot be divided so.

    Examples
    --------
    >>> part("BTC/USD:BTC", "margin"), part("BTC/USDT:USDT-261225", "expiry")
    ('coin', '2026-12-25')
    """
    parts = Symbol.parse(symbol)
    match by:
        case "symbol":
            return symbol
        case "coin":
            return parts.base
        case "expiry":
            return parts.expiry.isoformat() if parts.expiry else "perpetual"
        case "margin":
            settle = parts.settle or ""
            if settle in {parts.base, "USD"}:
                return "coin" if settle == parts.base else "dollars"
            return "stablecoin" if "USD" in settle or settle == "DAI" else "other"
    known = "exchange, margin, symbol, expiry or coin"
    raise ValueError(f"open interest is divided by {known}; not {by!r}")


def divided(frame: pl.DataFrame, by: By, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    """Return open interest by its parts, through time.

    Parameters
    ----------
    frame : DataFrame
        Rows of the `open_interest` table.
    by : {"exchange", "margin", "symbol", "expiry", "coin"}
    every : timedelta
        The step of the grid.
    max_age : timedelta
        How old a report may be to stand for the present.

    Returns
    -------
    DataFrame
        By time and part: `time`, `part`, `amount` (base units), `value_usd`, `share` (of the
        dollars of all parts then), `coverage_usd` (fraction of the part's markets that are in its
        dollars) and `markets` (count of those). Null where none reports.
    """
    amount, value = pl.col("amount"), pl.col("value_usd")
    return (
        _parted(frame, by, every, max_age)
        .group_by("time", "part")
        .agg(
            pl.when(amount.count() > 0).then(amount.sum()).alias("amount"),
            pl.when(value.count() > 0).then(value.sum()).alias("value_usd"),
            (value.count() / pl.len()).alias("coverage_usd"),
            value.count().cast(pl.Int64).alias("markets"),
        )
        .sort("time", "part")
        .with_columns(share=_share().over("time"))
        .select("time", "part", "amount", "value_usd", "share", "coverage_usd", "markets")
    )


def _share() -> pl.Expr:
    total = pl.col("value_usd").sum()
    return pl.when(total > 0).then(pl.col("value_usd") / total)


def _parted(frame: pl.DataFrame, by: By, every: timedelta, max_age: timedelta) -> pl.DataFrame:
    rows = listed(frame, every, max_age)
    if by == "exchange":
        return rows.with_columns(part="exchange")
    names = {symbol: part(symbol, by) for symbol in frame["symbol"].unique()}
    return rows.with_columns(part=pl.col("symbol").replace_strict(names, return_dtype=pl.String))


def spread(
    frame: pl.DataFrame, every: timedelta, max_age: timedelta, by: By = "exchange"
) -> pl.DataFrame:
    """Return how concentrated open interest is, through time.

    Parameters
    ----------
    frame : DataFrame
        Rows of the `open_interest` table, of any coins, with `value_usd`.
    every : timedelta
        The step of the grid.
    max_age : timedelta
        How old a report may be to stand for the present.
    by : {"exchange", "margin", "symbol", "expiry", "coin"}

    Returns
    -------
    DataFrame
        `time`, `hhi`, `effective` and `gini` as in `Concentration`, over the
        parts present; `coverage` (fraction) of the markets that have ever
        reported, and `parts` (count). Null where none is present.
    """
    parts = (
        _parted(frame, by, every, max_age)
        .group_by("time", "part")
        .agg(
            pl.col("value_usd").sum().alias("held"),
            pl.col("value_usd").count().alias("present"),
            pl.len().alias("markets"),
        )
        .sort("time", "held")
    )
    held = pl.col("held").filter(pl.col("present") > 0)
    rank, count = pl.int_range(1, held.len() + 1), held.len()
    hhi = ((held / held.sum()) ** 2).sum()
    gini = 2 * (rank * held).sum() / (count * held.sum()) - (count + 1) / count
    some = held.sum() > 0
    return parts.group_by("time", maintain_order=True).agg(
        pl.when(some).then(hhi).alias("hhi"),
        pl.when(some).then(1 / hhi).alias("effective"),
        pl.when(some).then(gini).alias("gini"),
        (pl.col("present").sum() / pl.col("markets").sum()).alias("coverage"),
        count.alias("parts"),
    )
