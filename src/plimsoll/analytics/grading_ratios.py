"""What a month of reports says of each market's longs per short: a grade, with reasons.

Accounts are compared with accounts, top accounts with top accounts, their positions with positions;
one population says nothing of another. Levels differ between exchanges, since each counts in its
own way: only changes are held against those of others.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics import detectors
from plimsoll.analytics.positioning import on_grid
from plimsoll.analytics.verdict import (
    GRADES,
    Verdict,
    heard,
    last,
    late,
    middle,
    spread,
    standing,
)

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["SPAN", "ratio_grades"]

SPAN = timedelta(days=30)
"""Of how much history a grade is."""
_STEP = timedelta(hours=1)
_MAX_AGE = timedelta(hours=2)
_MARKET = ["exchange", "symbol"]
_DAY = 24
_FEWEST = 12
_STALE = 12.0
_LONGEST_LAG = 8
_TURN = 4
"""Hours over which changes are compared: long enough to be common, short enough to be many."""
_SURE = 3.0
_CONTRADICTS = 0.05
_FAR, _ODD = 10.0, 30.0
"""Times the others' ratio, and of longs to shorts or back, that no exchange has for long."""


class _Population(NamedTuple):
    """What markets say of one population, hour by hour; shape (hours, markets).

    Attributes
    ----------
    markets : list of tuple of str
    odds : ndarray
        The logarithm of longs per short.
    gap : ndarray
        That of the ratio told, less that of the share told; NaN where one is not.
    """

    markets: list[tuple[str, str]]
    odds: Floats
    gap: Floats


def ratio_grades(ratios: pl.DataFrame) -> pl.DataFrame:
    """Grade each market's longs per short at the last report of all, by the 30 days before.

    Parameters
    ----------
    ratios : DataFrame
        Rows of the `long_short_ratio` table, of one coin.

    Returns
    -------
    DataFrame
        A row for each market and population, with the columns of `verdict.GRADES`; of them

        - `value`, `others`: its last ratio and the median of the other markets', longs per short;
        - `z`: how far its last change of a day is from the others', in robust deviations;
        - `reported` (fraction of the hours), `unchanged_hours` (while others moved);
        - `factor`: its ratio over the others' where that is in another unit, -1 of one that is
          turned around;
        - `lag_minutes`: how late it follows the others.

        Null where it cannot be told.
    """
    if ratios.is_empty():
        return pl.DataFrame(schema=GRADES)
    end: datetime = ratios["known_at"].max()  # type: ignore[assignment]
    hours = pl.datetime_range(end - SPAN, end, _STEP, time_unit="us", eager=True)
    grid = hours.dt.truncate("1h").alias("time")
    recent = ratios.filter(pl.col("known_at") > grid[0] - _MAX_AGE)
    rows = []
    for (name,), one in recent.group_by("population", maintain_order=True):
        held = _population(one, grid)
        others = _Others(held)
        for at, (exchange, symbol) in enumerate(held.markets):
            of = {"time": grid[-1], "exchange": exchange, "symbol": symbol, "metric": "long_short"}
            rows.append(of | {"population": name} | others.graded(at))
    made = pl.DataFrame(rows, schema=GRADES).fill_nan(None)
    return made.sort("population", "exchange", "symbol")


def _population(rows: pl.DataFrame, grid: pl.Series) -> _Population:
    share = pl.col("long_share")
    by_share = pl.when(share.is_between(0, 1, closed="none")).then((share / (1 - share)).log())
    by_ratio = pl.when(pl.col("ratio") > 0).then(pl.col("ratio").log())
    told = rows.select(
        *_MARKET, "known_at", odds=pl.coalesce(by_ratio, by_share), gap=by_ratio - by_share
    )
    hourly = on_grid(told, _MARKET, grid, _MAX_AGE)
    markets = [(row[0], row[1]) for row in hourly.select(_MARKET).unique().sort(_MARKET).rows()]

    def wide(name: str) -> Floats:
        columns = [
            hourly.filter(exchange=exchange, symbol=symbol).sort("time")[name].to_numpy()
            for exchange, symbol in markets
        ]
        return np.column_stack(columns).astype(np.float64)

    return _Population(markets, wide("odds"), wide("gap"))


class _Others:
    """The markets of one population, each beside the others.

    Parameters
    ----------
    held : _Population
    """

    def __init__(self, held: _Population) -> None:
        self.held, odds = held, held.odds
        alike = np.ones(odds.shape)
        self.levels = detectors.leave_one_out(odds, alike)
        self.runs = detectors.unchanged(odds, np.full(odds.shape, np.nan)).astype(np.float64)
        self.changes = {hours: _changed(odds, hours) for hours in (1, _TURN, _DAY)}
        self.theirs = {
            hours: detectors.leave_one_out(change, alike) for hours, change in self.changes.items()
        }

    def graded(self, at: int) -> dict[str, Any]:
        """Return the evidence, and the grade with its reasons."""
        own, verdict = self.held.odds[:, at], Verdict()
        since = own[np.argmin(np.isnan(own)) :]
        steps, correlation, _ = detectors.lag(
            self.changes[1][:, at], self.theirs[1][:, at], _LONGEST_LAG
        )
        found = {
            "value": float(np.exp(last(own))),
            "others": float(np.exp(last(self.levels[:, at]))),
            "z": spread(self.changes[_DAY][:, at] - self.theirs[_DAY][:, at], _FEWEST),
            "reported": float(np.mean(~np.isnan(since))),
            "unchanged_hours": float(self.runs[-1, at]),
            "lag_minutes": np.nan if np.isnan(correlation) else 60.0 * steps,
        }
        heard(verdict, since, "month")
        standing(verdict, self.runs[:, at], _STALE, "month")
        factor = self._unit(verdict, at)
        late(verdict, found["lag_minutes"])
        return verdict.of({**found, "factor": factor})

    def _unit(self, verdict: Verdict, at: int) -> float | None:
        """Tell a ratio that is in another unit, turned around, or at odds with its own share."""
        gaps = self.held.gap[:, at]
        apart, level = self._apart(at), middle(self.held.odds[:, at])
        if middle(np.abs(gaps)) > _CONTRADICTS:
            verdict.say("D", "contradicts", np.exp(last(gaps)))
        alone = np.isnan(apart)
        if abs(level) > np.log(_ODD) if alone else abs(apart) > np.log(_FAR):
            times = float(np.exp(level if alone else apart))
            verdict.say("D", "odd" if alone else "odd_others", times)
            return times
        if self._turned(at):
            verdict.say("D", "turned")
            return -1.0
        return None

    def _apart(self, at: int) -> float:
        """Return how far its level is from most of the others'; NaN unless there are two."""
        apart = self.held.odds[:, [at]] - np.delete(self.held.odds, at, axis=1)
        levels = sorted((middle(one) for one in apart.T if not np.isnan(one).all()), key=abs)
        return levels[(len(levels) - 1) // 2] if len(levels) > 1 else np.nan

    def _turned(self, at: int) -> bool:
        """Return whether its changes go surely against those of the others."""
        own, theirs = self.changes[_TURN][:, at], self.theirs[_TURN][:, at]
        known = ~np.isnan(own + theirs)
        alone = known.sum() / _TURN  # so many changes that do not overlap
        if alone < _FEWEST or not np.ptp(own[known]) or not np.ptp(theirs[known]):
            return False
        correlation = float(np.corrcoef(own[known], theirs[known])[0, 1])
        return bool(np.arctanh(correlation) * np.sqrt(alone - 3) < -_SURE)


def _changed(odds: Floats, hours: int) -> Floats:
    change = np.full(odds.shape, np.nan)
    change[hours:] = odds[hours:] - odds[:-hours]
    return change
