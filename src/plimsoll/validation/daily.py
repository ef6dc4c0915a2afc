r"""How much of daily liquidations a map explains, and whether its history adds to the price path.

The daily liquidation totals of coins, longs and shorts apart, are explained by what happened to the
price that day, by what a map saw swept, or both: explanations, not forecasts. A line with one
intercept for each coin and side, and one slope for each input, is fitted without a week and then
tried on it:

.. math:: R^2 = 1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2,

the mean of coin and side being that of the other weeks too. The target is :math:`\log(1 + y/u)`
with a unit :math:`u` of one dollar, or of 100,000, which keeps days near zero from ruling. Dollars
of a map enter as their logarithm after 0.01 % of open interest is added, returns after 0.05 %.

Intervals are of 95 %, from draws of whole days; lines are not fitted anew, and one day is taken to
say nothing of the next, so that they are too narrow.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.analytics.bars import bars as joined
from plimsoll.analytics.heatmap import liquidation_map
from plimsoll.analytics.inventory import Parameters
from plimsoll.errors import NoSuchData
from plimsoll.market.schema import TABLES
from plimsoll.store.reader import Reader
from plimsoll.validation.naive import kernel, swept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["DRAWS", "GAINS", "LINES", "MASSES", "UNITS", "explained", "gained", "left_out", "panel"]

UNITS = (1.0, 100_000.0)
"""US dollars; a target is log(1 + total / unit)."""
DRAWS = 4_000
_BAR = timedelta(minutes=5)
_SIDES = ("long", "short")
_FLOOR = 1e-4
_STILL = 5e-4
_STAMPS = 280
"""How many of a day's 288 stamps must be there for the day to count."""
_KEY = ["coin", "side", "day"]

MASSES = (
    "map",
    "map at midnight",
    "map of constant seeds",
    "map of returns",
    "kernel",
    "hourly kernel",
    "inventory",
    "inventory of constant volume",
    "inventory of returns",
)
"""Predictors in dollars, by what they are called."""

LINES: tuple[tuple[str, ...], ...] = (
    ("range",),
    ("drawdown",),
    ("yesterday",),
    ("range by open interest",),
    *((name,) for name in MASSES),
    ("range", "map"),
    ("range", "drawdown"),
    ("range", "drawdown", "map"),
    ("range", "drawdown", "inventory"),
)
"""The inputs of each line that is scored."""

GAINS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("map", ("range",)),
    ("map at midnight", ("range",)),
    ("map", ("drawdown",)),
    ("map", ("range", "drawdown")),
    ("map", ("range", "drawdown", "map of constant seeds")),
    ("inventory", ("range",)),
    ("inventory", ("range", "drawdown")),
    ("inventory", ("range", "drawdown", "inventory of constant volume")),
    ("inventory", ("range", "drawdown", "inventory of returns")),
)
"""Which input might add to which others."""


def panel(
    store: Path,
    *,
    exchange: str = "binance",
    predicted: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Return the days that are explained, and what may explain them.

    Parameters
    ----------
    store : Path
        With daily liquidation totals of coins, and open interest every five minutes of their USDT
        perpetuals; prices are those that open interest implies.
    exchange : str
        Whose open interest.
    predicted : mapping of str to DataFrame, optional
        Further maps: `coin`, `side`, `day` and `usd`, the dollars that each saw swept on that day.

    Returns
    -------
    DataFrame
        A row for each `coin`, `side` and `day` whose eve has a total as well: its `week`, `usd`
        and `yesterday` in dollars, and every other predictor as the logarithm that enters a line.

    Raises
    ------
    NoSuchData
        If the store has no such totals or no such open interest.
    ValueError
        If a further map has the name of a predictor, or does not know each of these days.
    """
    reader = Reader(store)
    totals = _totals(reader)
    coins = totals["coin"].unique().sort()
    rows = totals.join(pl.concat(_coin(reader, coin, exchange) for coin in coins), on=_KEY)
    if rows.is_empty():
        raise NoSuchData(f"no day has both liquidation totals and open interest of {exchange}")
    for name, frame in (predicted or {}).items():
        if name in (*rows.columns, "range by open interest"):
            raise ValueError(f"give the predicted map another name than {name}")
        given = frame.select(*_KEY, pl.col("usd").alias(name))
        rows = rows.join(given, on=_KEY, how="left")
        if unknown := rows[name].null_count():
            raise ValueError(f"{name} predicts nothing for {unknown} of {len(rows)} days")
    floor, moved = _FLOOR * pl.col("open_interest_usd"), (pl.col("range") + _STILL).log()
    return rows.sort(_KEY).with_columns(
        moved,
        (pl.col("drawdown") + _STILL).log(),
        (moved + pl.col("open_interest_usd").log()).alias("range by open interest"),
        *((pl.col(name) + floor).log() for name in (*MASSES, *(predicted or {}))),
    )


def _totals(reader: Reader) -> pl.DataFrame:
    """Return the totals by coin, side and day that follow one of the day before."""
    totals = reader.read("liquidation_total", exchanges=["aggregate"]).filter(interval=86_400)
    sides = [
        totals.select(
            pl.col("symbol").alias("coin"),
            pl.lit(side).alias("side"),
            pl.col("time").dt.date().alias("day"),
            pl.col(f"{side}_usd").alias("usd"),
        )
        for side in _SIDES
    ]
    known = pl.concat(sides).drop_nulls()
    eves = known.select("coin", "side", pl.col("day").dt.offset_by("1d"), yesterday="usd")
    since = (pl.col("day") - known["day"].min()).dt.total_days()
    whole = max(1, (known.select(since.max()).item() + 1) // 7)
    week = (since // 7).clip(upper_bound=whole - 1)  # days beyond the last whole week join it
    return known.join(eves, on=_KEY).with_columns(week=week)


def _coin(reader: Reader, coin: str, exchange: str) -> pl.DataFrame:
    """Return what happened to a coin's price and maps on each day, by side."""
    held = reader.read("open_interest", exchanges=[exchange], symbol=f"{coin}/USDT:USDT")
    stamps = held.filter(pl.col("amount") > 0, pl.col("value_usd") > 0).sort("time")
    bar_days = stamps["time"].dt.offset_by("-1us").dt.date()[1:]  # a stamp ends its bar
    marks = (stamps["value_usd"] / stamps["amount"]).to_numpy()
    swept_usd = _maps(marks, stamps["amount"].to_numpy(), bar_days) | _inventories(held)
    days, first = np.unique(bar_days.to_numpy(), return_index=True)
    lengths = np.diff([*first, len(bar_days)])
    rows = []
    for day, start, length in zip(days.tolist(), first, lengths, strict=True):
        if length < _STAMPS:
            continue
        path, usd = marks[start : start + length + 1], float(stamps["value_usd"][int(start)])
        rows += [
            {"coin": coin, "side": side, "day": day, "open_interest_usd": usd}
            | path_features(path, side)
            | _kernels(path, number, usd)
            for number, side in enumerate(_SIDES)
        ]
    frame = pl.DataFrame(rows)
    for name, by_day in swept_usd.items():
        frame = frame.join(by_day.rename({"usd": name}), on=["side", "day"])
    return frame


def path_features(path: Floats, side: str) -> dict[str, float]:
    """Return how far a day's price went against a side.

    Parameters
    ----------
    path : ndarray, shape (n,), quote per base
    side : {"long", "short"}

    Returns
    -------
    dict of str to float
        `range`, the logarithm of open over low, or of high over open; `drawdown`, the greatest
        fraction by which a price stood above a later one, or below.

    Examples
    --------
    >>> path_features(np.array([100.0, 125.0, 100.0]), "long")
    {'range': 0.0, 'drawdown': 0.25}
    """
    if side == "long":
        far, worst = path[0] / path.min(), (np.maximum.accumulate(path) / path).max()
    else:
        far, worst = path.max() / path[0], (path / np.minimum.accumulate(path)).max()
    return {"range": float(np.log(far)), "drawdown": float(worst - 1)}


def _kernels(path: Floats, side: int, open_interest: float) -> dict[str, float]:
    """Return the dollars swept if all open interest were opened at midnight, or hour by hour."""
    hours = range(0, len(path) - 1, 12)
    hourly = np.mean([kernel(path[hour : hour + 13])[side] for hour in hours])
    return {
        "kernel": open_interest * float(kernel(path)[side]),
        "hourly kernel": open_interest * float(hourly),
    }


def _maps(marks: Floats, amounts: Floats, days: pl.Series) -> dict[str, pl.DataFrame]:
    """Return what the plain map, and its twins that know no open interest, saw swept."""
    opened = np.maximum(np.diff(amounts), 0) * marks[1:]
    returns = np.abs(np.diff(np.log(marks)))
    numbers = days.to_physical().cast(pl.Int64).to_numpy()
    gone, old = swept(marks, opened, numbers)
    constant, _ = swept(marks, np.full(len(opened), opened.mean()), numbers)
    moving, _ = swept(marks, returns * opened.sum() / returns.sum(), numbers)
    found = {
        "map": gone,
        "map at midnight": old,
        "map of constant seeds": constant,
        "map of returns": moving,
    }
    return {name: _by_day(days, usd) for name, usd in found.items()}


def _inventories(held: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return what our own map saw swept, and its twins whose open interest never changes."""
    first, last = held["time"].min(), held["time"].max()
    none = pl.DataFrame(schema=TABLES["candle"].schema)
    bars = joined(none, held, _BAR, first, last)  # type: ignore[arg-type]
    openings = float(np.maximum(np.diff(held["amount"].to_numpy()), 0).mean())
    constant = openings / Parameters().churn
    returns = (pl.col("close") / pl.col("open")).log().abs()
    still = bars.with_columns(
        open_interest=pl.col("open_interest").mean(), taker_buy=pl.lit(None, pl.Float64)
    )
    twins = {
        "inventory": bars,
        "inventory of constant volume": still.with_columns(volume=pl.lit(constant)),
        "inventory of returns": still.with_columns(volume=constant * returns / returns.mean()),
    }
    found = {}
    for name, table in twins.items():
        crossed = liquidation_map(table, every=len(table)).crossed
        usd = crossed.select("long_usd", "short_usd").to_numpy()
        found[name] = _by_day(crossed["time"].dt.date(), usd)
    return found


def _by_day(days: pl.Series, usd: Floats) -> pl.DataFrame:
    sides = [
        pl.DataFrame({"day": days, "usd": usd[:, number]})
        .group_by("day")
        .agg(pl.col("usd").fill_nan(None).sum())
        .with_columns(side=pl.lit(side))
        for number, side in enumerate(_SIDES)
    ]
    return pl.concat(sides)


def left_out(rows: pl.DataFrame, inputs: Iterable[str], unit: float) -> tuple[Floats, Floats]:
    """Return the squared errors of a line that has not seen the week, and of the mean.

    Parameters
    ----------
    rows : DataFrame
        As of `panel`.
    inputs : iterable of str
        Columns that enter the line.
    unit : float, US dollars
        Of the target.

    Returns
    -------
    line, mean : ndarray, shape (rows,)

    Raises
    ------
    ValueError
        If there are fewer than two weeks, or a coin and side has no day outside a week.
    """
    target = np.log1p(rows["usd"].to_numpy() / unit)
    columns = [
        np.log1p(rows[name].to_numpy() / unit) if name == "yesterday" else rows[name].to_numpy()
        for name in inputs
    ]
    matrix = np.column_stack([target, *columns])
    group = rows.select(pl.struct("coin", "side").rank("dense")).to_series().to_numpy() - 1
    week = rows["week"].to_numpy()
    if len(np.unique(week)) < 2:
        raise ValueError("a week is left out at a time: two weeks or more are needed")
    errors = np.empty((2, len(rows)))
    for left in np.unique(week):
        seen, unseen = week != left, week == left
        if not np.isin(group[unseen], group[seen]).all():
            raise ValueError(f"a coin and side has no day outside week {left}")
        members = np.equal.outer(np.arange(group.max() + 1), group[seen])
        counts = np.maximum(1, members.sum(axis=1))
        means = members @ matrix[seen] / counts[:, None]
        around = matrix[seen] - means[group[seen]]
        slopes = np.linalg.lstsq(around[:, 1:], around[:, 0], rcond=None)[0]
        away = matrix[unseen] - means[group[unseen]]
        errors[:, unseen] = (away[:, 0] - away[:, 1:] @ slopes) ** 2, away[:, 0] ** 2
    return errors[0], errors[1]


def explained(
    rows: pl.DataFrame, lines: Iterable[tuple[str, ...]] = LINES, draws: int = DRAWS
) -> pl.DataFrame:
    """Return how much each line explains out of sample.

    Parameters
    ----------
    rows : DataFrame
        As of `panel`.
    lines : iterable of tuple of str
        The inputs of each.
    draws : int
        Of the interval.

    Returns
    -------
    DataFrame
        `predictor`, `unit` of the target in US dollars, `r2`, `low`, `high`.
    """
    found = []
    for inputs in lines:
        for unit in UNITS:
            line, mean = left_out(rows, inputs, unit)
            r2 = _shares(rows["day"], mean - line, mean, draws)
            found.append({"predictor": " + ".join(inputs), "unit": unit} | r2)
    return pl.DataFrame(found).rename({"share": "r2"})


def gained(
    rows: pl.DataFrame,
    pairs: Iterable[tuple[str, tuple[str, ...]]] = GAINS,
    draws: int = DRAWS,
) -> pl.DataFrame:
    """Return how much more is explained when an input is added to others.

    Parameters
    ----------
    rows : DataFrame
        As of `panel`.
    pairs : iterable of (str, tuple of str)
        What is added, and to which inputs.
    draws : int
        Of the interval.

    Returns
    -------
    DataFrame
        `added`, `to`, `unit` of the target in US dollars, `gain` in R², `low`, `high`.
    """
    found = []
    for added, inputs in pairs:
        for unit in UNITS:
            with_it, mean = left_out(rows, (*inputs, added), unit)
            without, _ = left_out(rows, inputs, unit)
            gain = _shares(rows["day"], without - with_it, mean, draws)
            found.append({"added": added, "to": " + ".join(inputs), "unit": unit} | gain)
    return pl.DataFrame(found).rename({"share": "gain"})


def _shares(days: pl.Series, part: Floats, whole: Floats, draws: int) -> dict[str, float]:
    """Return the sum of one over that of the other, with an interval from draws of days."""
    sums = pl.DataFrame({"day": days, "part": part, "whole": whole}).group_by("day").sum()
    by_day = sums.sort("day").select("part", "whole").to_numpy()
    chance = np.random.default_rng(1)
    drawn = chance.multinomial(len(by_day), np.full(len(by_day), 1 / len(by_day)), size=draws)
    shares = (drawn @ by_day)[:, 0] / (drawn @ by_day)[:, 1]
    low, high = np.quantile(shares, (0.025, 0.975))
    return {"share": float(part.sum() / whole.sum()), "low": float(low), "high": float(high)}
