"""Bursts of liquidations: when many times the usual was closed by force, and the price after it.

What is usual is a median of the past at the same hour of the week, so that neither the hour nor a
crash of last month makes a burst, or hides one. Nothing here looks ahead: a liquidation counts at
the moment it was known, and what is usual is known before the hour begins.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics.liquidations import added, dollars, totals, weakest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["HORIZONS", "Rule", "bursts", "normal", "path"]

HORIZONS: Mapping[str, timedelta] = {
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
}
"""How long after a burst was known the price is looked at."""

_HOUR = timedelta(hours=1)
_DAY, _DAYS, _WEEK, _WEEKS = 24, 28, 168, 12
_LEAST_HOURS = 48
_PASTS = (
    ("hour of the week", _WEEK, _WEEK * _WEEKS, 4),
    ("hour of the day", _DAY, _DAY * _DAYS, 7),
    ("all hours", 1, _DAY * _DAYS, _LEAST_HOURS),
    ("mean", 1, _DAY * _DAYS, _LEAST_HOURS),
)
"""What is usual: of which hours, from one to the next, how far back, and how many must be known."""


class Rule(NamedTuple):
    """What makes a burst.

    Attributes
    ----------
    start : float, multiples of the usual
        What was closed within a `pause` begins a burst from here on, if it is rare too.
    rare : float, quantile
        It is rare if it is more than what came in this share of the hours of four weeks.
    stay : float, multiples of the usual
        A step with so much belongs to the burst.
    pause : timedelta
        So long without such a step ends it.
    """

    start: float = 10.0
    rare: float = 0.99
    stay: float = 3.0
    pause: timedelta = timedelta(minutes=10)


def normal(hourly: pl.DataFrame, rare: float) -> pl.DataFrame:
    """Return what was usual, and what rare, in each hour, as far as known before it began.

    Parameters
    ----------
    hourly : DataFrame
        `time`, on a grid of hours without holes, and `usd` (US dollars), null where unknown.
    rare : float, quantile

    Returns
    -------
    DataFrame
        With `usual` (US dollars an hour) and `usual_of`: the median of the same ``hour of the
        week`` over twelve weeks, where four of them are known; else of the same ``hour of the
        day`` over four weeks, where seven days are; else of ``all hours`` of four weeks, where
        48 are. A median of zero is passed over: where most hours have no liquidation, the
        ``mean`` of all hours of four weeks takes its place. Null where nothing of these is.
        And with `rare_usd`, that quantile of all hours of four weeks, where 48 are known.
    """
    usd = hourly["usd"].to_numpy().astype(np.float64)
    usual, seldom = np.full(len(usd), np.nan), np.full(len(usd), np.nan)
    source: list[str | None] = [None] * len(usd)
    for index in range(len(usd)):
        for word, step, span, least in _PASTS:
            past = usd[max(index % step, index - span) : index : step]
            known = past[~np.isnan(past)]
            center = np.mean if word == "mean" else np.median
            if len(known) >= least and (found := float(center(known))) > 0:
                usual[index], source[index] = found, word
                break
        past = usd[max(0, index - _DAY * _DAYS) : index]
        if np.count_nonzero(~np.isnan(past)) >= _LEAST_HOURS:
            seldom[index] = np.nanquantile(past, rare)
    return hourly.with_columns(
        usual=pl.Series(usual).fill_nan(None),
        usual_of=pl.Series(source, dtype=pl.String),
        rare_usd=pl.Series(seldom).fill_nan(None),
    )


def bursts(
    liquidations: pl.DataFrame,
    gaps: pl.DataFrame,
    every: timedelta = timedelta(minutes=1),
    rule: Rule | None = None,
) -> pl.DataFrame:
    """Return the bursts in what markets' feeds told together.

    Parameters
    ----------
    liquidations : DataFrame
        Rows of the `liquidation` table.
    gaps : DataFrame
        Rows of the `gap` table, of the same markets.
    every : timedelta
        The length of a step; a part of an hour.
    rule : Rule, optional

    Returns
    -------
    DataFrame
        By `start`:

        - `start`, the opening of the first step; `known_at`, the end of that with which it was
          known to be a burst; `until`, the end of the last step; `closed_at`, from when it was
          known to be over, null where it may go on;
        - `minutes`, its length; `long_usd`, `short_usd` (US dollars), `side` (the larger), `count`;
        - `multiple` of what was usual in such a time, and `peak`, that of the largest step;
          `usual` (US dollars in one step, at the start) and `usual_of`, as of `normal`;
        - `completeness`, the weakest label of its steps.

    Raises
    ------
    ValueError
        If an hour is not a multiple of the step, or a burst would end before it starts.
    """
    rule = rule or Rule()
    if _HOUR % every:
        raise ValueError(f"a step is a part of an hour, such as 1m or 5m; got {every}")
    if not 0 < rule.stay <= rule.start or not 0 < rule.rare < 1 or rule.pause < every:
        raise ValueError(
            "a burst starts at a multiple no lower than that at which it stays on, is rarer than "
            f"a quantile between 0 and 1, and pauses for a step or more; got {rule}"
        )
    rows = liquidations.with_columns(time="known_at", value_usd=dollars())
    if not rows.height:
        return pl.DataFrame(schema=_BURSTS)
    steps, usual = _steps(rows, gaps, every, rule), pl.col("usual")
    together = pl.col("usd").rolling_sum_by("time", rule.pause)
    loud = steps.with_columns(
        multiple=pl.col("usd") / usual,
        begins=(together >= rule.start * usual * (rule.pause / every))
        & (together > pl.col("rare_usd")),
        end=pl.col("time") + every,
    ).filter(pl.col("multiple") >= rule.stay)
    last = _until(rows, every)
    made = [_told(part, known, rule, last) for part, known in _apart(loud, rule)]
    return pl.DataFrame(made, schema=_BURSTS, orient="row")


def _until(rows: pl.DataFrame, every: timedelta) -> datetime:
    """Return until when is known what happened: the last whole step."""
    last: datetime = rows.select(pl.col("time").max().dt.truncate(every)).item()
    return last + every


def _steps(rows: pl.DataFrame, gaps: pl.DataFrame, every: timedelta, rule: Rule) -> pl.DataFrame:
    """Return the steps in which something was closed, with what was usual and rare by then."""
    hours = added(totals(rows, gaps, _HOUR), "time").with_columns(
        usd=pl.when(pl.col("seen") == 1).then(pl.col("long_usd") + pl.col("short_usd"))
    )
    time = pl.col("time")
    grid = hours.select(pl.datetime_range(time.min(), time.max(), _HOUR))
    usual = normal(grid.join(hours.select("time", "usd"), on="time", how="left"), rule.rare)
    known = usual.select(
        "usual_of", "rare_usd", hour="time", usual=pl.col("usual") * (every / _HOUR)
    )
    of = {side: pl.col("value_usd").filter(pl.col("side") == side) for side in ("long", "short")}
    return (
        rows.group_by(pl.col("time").dt.truncate(every))
        .agg(
            *(values.sum().alias(f"{side}_usd") for side, values in of.items()),
            pl.col("value_usd").sum().alias("usd"),
            pl.len().cast(pl.Int64).alias("count"),
            weakest(),
        )
        .sort("time")
        .with_columns(hour=pl.col("time").dt.truncate("1h"))
        .join(known, on="hour", how="left", maintain_order="left")
    )


def _apart(loud: pl.DataFrame, rule: Rule) -> Iterator[tuple[pl.DataFrame, datetime]]:
    """Yield the steps of each burst, and when it was known to be one."""
    apart = pl.col("time") - pl.col("end").shift(1) >= rule.pause
    numbered = loud.with_columns(number=apart.fill_null(value=True).cum_sum())
    for part in numbered.partition_by("number", maintain_order=True):
        begun = part.filter("begins")
        if begun.height:
            first = begun["time"][0] - rule.pause
            yield part.filter(pl.col("time") > first), begun["end"][0]


def _told(part: pl.DataFrame, known: datetime, rule: Rule, last: datetime) -> tuple[object, ...]:
    """Return a burst as a row."""
    long, short = float(part["long_usd"].sum()), float(part["short_usd"].sum())
    start, until = part["time"][0], part["end"][-1]
    steps = (until - start) / (part["end"][0] - start)
    closed = until + rule.pause
    return (
        start,
        known,
        until,
        closed if closed <= last else None,
        (until - start) / timedelta(minutes=1),
        long,
        short,
        "long" if long >= short else "short",
        part["count"].sum(),
        (long + short) / (part["usual"][0] * steps),
        part["multiple"].max(),
        part["usual"][0],
        part["usual_of"][0],
        part.select(weakest()).item(),
    )


_TIME = pl.Datetime("us", "UTC")
_BURSTS: dict[str, Any] = {
    "start": _TIME,
    "known_at": _TIME,
    "until": _TIME,
    "closed_at": _TIME,
    "minutes": pl.Float64,
    "long_usd": pl.Float64,
    "short_usd": pl.Float64,
    "side": pl.String,
    "count": pl.Int64,
    "multiple": pl.Float64,
    "peak": pl.Float64,
    "usual": pl.Float64,
    "usual_of": pl.String,
    "completeness": pl.String,
}


def path(
    found: pl.DataFrame, candles: pl.DataFrame, horizons: Mapping[str, timedelta] = HORIZONS
) -> pl.DataFrame:
    """Add how the price went on after each burst was known.

    Parameters
    ----------
    found : DataFrame
        As of `bursts`.
    candles : DataFrame
        Rows of the `candle` table, of one market and one interval.
    horizons : mapping of str to timedelta

    Returns
    -------
    DataFrame
        With `price` (quote per base), the last close known when the burst was; `move` (fraction),
        the price's change within the burst's first step and before, since the last close known
        at its start; and `after_…` (fraction) for each horizon, the change from `price` to the
        last close known then. Null where no close younger than two candles was known, or where
        the horizon lies behind the last candle.
    """
    closes = candles.select(at=pl.col("known_at"), close="close").sort("at")
    if not closes.height:
        empty = [*("price", "move"), *(f"after_{name}" for name in horizons)]
        return found.with_columns(pl.lit(None, pl.Float64).alias(name) for name in empty)
    last, fresh = closes["at"].max(), timedelta(seconds=2 * candles["interval"][0])
    frame = found.sort("start")
    priced = {"_before": frame["start"], "price": frame["known_at"]}
    priced |= {f"after_{name}": frame["known_at"] + span for name, span in horizons.items()}
    for name, when in priced.items():
        asked = pl.DataFrame({"at": when}).with_row_index().sort("at")
        known = asked.join_asof(closes, on="at", tolerance=fresh).sort("index")
        seen = pl.when(pl.col("at") <= last).then("close")
        frame = frame.with_columns(known.select(seen.alias(name)))
    return frame.with_columns(
        (pl.col("price") / pl.col("_before") - 1).alias("move"),
        *((pl.col(f"after_{name}") / pl.col("price") - 1) for name in horizons),
    ).drop("_before")
