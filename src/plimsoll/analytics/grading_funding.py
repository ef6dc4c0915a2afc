"""What a month of settlements says of each market's funding: a grade, with reasons.

All rates are compared for eight hours on one clock: what was settled for h hours is spread over
them. A market is held against what its own marks say funding should have been; where none are
known, against the other markets.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from plimsoll.analytics import detectors
from plimsoll.analytics.funding import apr, settlement_interval
from plimsoll.analytics.funding_formula import FORMULAS, Formula, rate
from plimsoll.analytics.verdict import GRADES, Verdict, heard, middle, spread, standing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Bools = NDArray[np.bool_]

__all__ = ["SPAN", "funding_grades", "hourly_premium"]

SPAN = timedelta(days=30)
"""Of how much history a grade is."""
_HOUR = timedelta(hours=1)
_MARKET = ("exchange", "symbol")
_EIGHT = 8.0
_FEWEST = 12
_FEW, _NEARER = 6, 0.7
_SHIFT = 8
"""Hours by which stamps may be wrong, either way."""
_APART = 5e-5
"""From here on, of eight hours, a rate that stands still is not where it should be."""
_ENORMOUS = 0.01
"""Of eight hours; half of a month is never settled beyond it."""
_STALE = 24.0
_HALFWAY = (8, 4)
"""BitMEX settles every 8 hours, from 4 o'clock on."""
_WAYS: dict[float, tuple[str, float | None]] = {
    -1.0: ("sign", None),
    **{float(n): ("times_large", n) for n in (2, 4, 8)},
    **{1 / n: ("times_small", n) for n in (2, 4, 8)},
    100.0: ("percent", 100),
    0.01: ("hundredth", 100),
}
"""What rates may be multiplied by, and what is said of it."""
_ALIKE, _WITHIN = 2.0, 0.8
"""What is undone must be of the size of what was due, and lie this near to it for its size."""
_HIGH = 1e-3
_SURE_WAYS = (-1.0, 8.0, 1 / 8, 100.0, 0.01)
_REST = 5e-9  # rates are published to the eighth decimal, or finer


class _Held(NamedTuple):
    """One market's settlements of the span, in order of time.

    Attributes
    ----------
    ends : ndarray of int, shape (settlements,)
        The hour of the span that each ends with, counted from one.
    hours : ndarray of int, shape (settlements,)
        For how many it was settled.
    rates : ndarray, shape (settlements,), fraction per 8 hours
    stated : ndarray, shape (settlements,), hours
        As the exchange says; NaN where it does not.
    clock : ndarray of int, shape (settlements,), hours UTC
    """

    ends: Whole
    hours: Whole
    rates: Floats
    stated: Floats
    clock: Whole


def hourly_premium(marks: pl.DataFrame) -> pl.DataFrame:
    """Return how far each market's mark price stood from its index, hour by hour.

    Parameters
    ----------
    marks : DataFrame
        Rows of the `mark_price` table.

    Returns
    -------
    DataFrame
        `time` (the end of the hour), `exchange`, `symbol`, `premium` (fraction of the index, mean).
    """
    return (
        marks.drop_nulls(["mark_price", "index_price"])
        .group_by(pl.col("time").dt.offset_by("3599999999us").dt.truncate("1h"), *_MARKET)
        .agg(premium=(pl.col("mark_price") / pl.col("index_price") - 1).mean())
        .sort(*_MARKET, "time")
    )


def funding_grades(settled: pl.DataFrame, premiums: pl.DataFrame) -> pl.DataFrame:
    """Grade each market's funding at the last settlement of all, by the 30 days before.

    Parameters
    ----------
    settled : DataFrame
        Settled rows of the `funding` table, of one coin.
    premiums : DataFrame
        As `hourly_premium` returns; of markets that are not in it, the others are asked.

    Returns
    -------
    DataFrame
        A row for each market, with the columns of `verdict.GRADES`; of them

        - `value`, `others`: its last rate and the median of the other markets over the same hours,
          simple fractions per year;
        - `z`: how far the two lie apart, in robust deviations of the span;
        - `reported` (fraction of the hours since its first settlement);
        - `unchanged_hours`: how long it has stood still where it should have moved;
        - `factor`: by what it is told, over what it should be; -1 of a sign that is turned;
        - `lag_minutes`: how late its stamps are, negative if early.

        Null where it cannot be told.
    """
    start, markets = _spans(settled)
    if not markets:
        return pl.DataFrame(schema=GRADES)
    size = round(SPAN / _HOUR)
    accrued = np.column_stack([_accrued(held, size) for held in markets.values()])
    others = detectors.leave_one_out(accrued, np.ones(accrued.shape))
    end: datetime = start + SPAN
    rows = []
    for at, (market, held) in enumerate(markets.items()):
        own = premiums.filter(exchange=market[0], symbol=market[1])
        seen = _Market(held, accrued[:, at], others[:, at], _premiums(own, start, size))
        of = {"time": end, "exchange": market[0], "symbol": market[1], "metric": "funding"}
        rows.append(of | seen.graded(FORMULAS.get(market[0])))
    return pl.DataFrame(rows, schema=GRADES).fill_nan(None).sort(*_MARKET)


def _spans(settled: pl.DataFrame) -> tuple[datetime, dict[tuple[str, str], _Held]]:
    """Return when the span begins, and each market's settlements within it."""
    rows = settlement_interval(settled.with_columns(stated="interval_hours"))
    whole = rows.with_columns(pl.col("time").dt.round("1h")).drop_nulls(["interval_hours", "rate"])
    end: datetime = rows["time"].dt.round("1h").max() or datetime.max.replace(tzinfo=UTC)  # type: ignore[assignment]
    start = end - SPAN
    recent = whole.filter(pl.col("time") > start).unique(["time", *_MARKET], keep="last")
    found = {}
    for keys, one in recent.sort(*_MARKET, "time").group_by(_MARKET, maintain_order=True):
        ends = ((one["time"] - start) / _HOUR).round().cast(pl.Int64)
        eight = one["rate"] * _EIGHT / one["interval_hours"]
        hours, stated = one["interval_hours"].cast(pl.Int64), one["stated"].cast(pl.Float64)
        columns = (ends, hours, eight, stated, one["time"].dt.hour().cast(pl.Int64))
        found[str(keys[0]), str(keys[1])] = _Held(*(column.to_numpy() for column in columns))
    return start, found


def _accrued(held: _Held, size: int) -> Floats:
    """Return what each hour cost, for eight hours; NaN where nothing was settled for it."""
    made = np.full(size, np.nan)
    for end, hours, value in zip(held.ends, held.hours, held.rates, strict=True):
        made[max(0, end - hours) : end] = value
    return made


def _premiums(own: pl.DataFrame, start: datetime, size: int) -> Floats:
    """Return the premium of each hour of the span."""
    made = np.full(size, np.nan)
    at = ((own["time"] - start) / _HOUR).round().cast(pl.Int64).to_numpy() - 1
    inside = (at >= 0) & (at < size)
    made[at[inside]] = own["premium"].to_numpy()[inside]
    return made


def _over(values: Floats, held: _Held, shift: int = 0) -> Floats:
    """Return the mean over the hours of each settlement, so many hours before its stamp."""
    sums = np.concatenate([[0.0], np.cumsum(np.nan_to_num(values))])
    known = np.concatenate([[0], np.cumsum(~np.isnan(values))])
    ends = held.ends - shift
    begins = ends - held.hours
    inside = (begins >= 0) & (ends <= len(values))
    low, high = np.clip(begins, 0, len(values)), np.clip(ends, 0, len(values))
    whole = inside & (known[high] - known[low] == held.hours)
    return np.where(whole, (sums[high] - sums[low]) / held.hours, np.nan)


class _Market:
    """A market's settlements beside what they should have been.

    Parameters
    ----------
    held : _Held
    accrued, others, premium : ndarray, shape (hours,)
        What its hours cost, what they cost on the other markets (fractions per 8 hours), and how
        far its mark price stood from the index (fraction).
    """

    def __init__(self, held: _Held, accrued: Floats, others: Floats, premium: Floats) -> None:
        self.held, self.accrued, self.others, self.premium = held, accrued, others, premium

    def graded(self, formula: Formula | None) -> dict[str, Any]:
        """Return the evidence, and the grade with its reasons; the formula is None if unknown."""
        expected, marked = self._expected(formula or Formula())
        told = np.abs(self.held.rates - expected[0])
        factor, shift = (
            self._factor(expected[0], told, marked=marked),
            self._shift(expected, told, marked=marked),
        )
        theirs = _over(self.others, self.held)
        runs = self._runs(expected[0], self._resting(formula, marked=marked))
        found = {
            "value": apr(float(self.held.rates[-1]), _EIGHT),
            "others": apr(float(theirs[-1]), _EIGHT),
            "z": spread(self.held.rates - theirs, _FEWEST),
            "reported": float(np.mean(~np.isnan(self._since()))),
            "unchanged_hours": float(runs[-1]),
            "factor": factor,
            "lag_minutes": np.nan if shift is None else 60.0 * shift,
        }
        verdict = Verdict()
        heard(verdict, self._since(), "month")
        standing(verdict, runs, _STALE, "month")
        self._unit(verdict, factor)
        self._clock(verdict, shift)
        return verdict.of(found)

    def _since(self) -> Floats:
        """Return what the hours cost since the first, but for those a settlement may yet fill."""
        open_yet = int(2 * self.held.hours[-1] - 1)
        first = int(np.flatnonzero(~np.isnan(self.accrued))[0])
        since = self.accrued[first:]
        known = np.flatnonzero(~np.isnan(since))[-1] + 1
        return since[:known] if len(since) - known <= open_yet else since

    def _expected(self, formula: Formula) -> tuple[dict[int, Floats], bool]:
        """Return what was due, were the stamps so many hours late; and if its own marks say so."""
        shifts = range(-_SHIFT, _SHIFT + 1)
        made = {by: rate(_over(self.premium, self.held, by), formula) for by in shifts}
        if np.sum(~np.isnan(made[0])) >= _FEWEST:
            return made, True
        return {by: _over(self.others, self.held, by) for by in shifts}, False

    def _factor(self, expected: Floats, told: Floats, *, marked: bool) -> float | None:
        """Return by what all is told over what was due; others pay twice as much at times."""
        if np.sum(~np.isnan(told)) < _FEWEST:
            return None
        size = float(np.nanmean(np.abs(expected)))
        undone = {}
        for way in _WAYS if marked else _SURE_WAYS:
            rates = self.held.rates / way
            after = np.abs(rates - expected)
            alike = 1 / _ALIKE < np.mean(np.abs(rates)) / size < _ALIKE
            if alike and np.nanmean(after) < _WITHIN * size:
                undone[str(way)] = after
        found = detectors.better(told, undone)
        return None if found is None else float(found)

    def _shift(self, expected: dict[int, Floats], told: Floats, *, marked: bool) -> int | None:
        """Return by how many hours all is late: surely, or likely where the clock says so too."""
        undone = {by: np.abs(self.held.rates - one) for by, one in expected.items() if by}
        found = detectors.better(told, {str(by): after for by, after in undone.items()})
        if found is not None:
            return int(found)
        hours, late = self._off()
        if not (late and marked):
            return None
        for by in (late, late - hours):
            changed = np.abs(undone[by] - told) > _REST
            after, before = undone[by][changed], told[changed]
            if len(after) >= _FEW and after.mean() < _NEARER * before.mean():
                return by
        return None

    def _resting(self, formula: Formula | None, *, marked: bool) -> Bools:
        """Return which rates may well repeat: at the cap, or where only its marks could object."""
        rates = self.held.rates
        highest = np.abs(rates).max()
        capped: Bools = np.isclose(np.abs(rates), max(highest, _HIGH), rtol=0.0, atol=_REST)
        values, counts = np.unique(rates, return_counts=True)
        rest = values[counts.argmax()] if formula is None else formula.interest
        rests: Bools = np.isclose(rates, rest, rtol=0.0, atol=_REST)
        return capped if marked else np.logical_or(capped, rests)

    def _runs(self, expected: Floats, resting: Bools) -> Floats:
        """Return for how many hours each rate has stood where it should not have stood."""
        rates, hours = self.held.rates, self.held.hours
        moved = np.diff(rates, prepend=np.nan) != 0
        apart = (np.abs(np.nan_to_num(rates - expected)) > _APART) & ~resting
        runs, run = np.zeros(len(rates)), 0.0
        for at in range(len(rates)):
            run = 0.0 if moved[at] else run + float(hours[at] * apart[at])
            runs[at] = run
        return runs

    def _unit(self, verdict: Verdict, factor: float | None) -> None:
        held = self.held
        if factor is not None:
            verdict.say("D", *_WAYS[factor])
        elif middle(np.abs(held.rates)) > _ENORMOUS:
            verdict.say("D", "enormous", _ENORMOUS)
        other = np.flatnonzero((held.stated != held.hours) & ~np.isnan(held.stated))
        if len(other) > len(held.rates) / 2:
            stated, read = held.stated[other[-1]], held.hours[other[-1]]
            verdict.say("C", "interval", read, f"{stated:g}")

    def _clock(self, verdict: Verdict, shift: int | None) -> None:
        """Tell stamps that are not of what was settled then, or off the hours of the others."""
        hours, late = self._off()
        if shift is not None:
            verdict.say("D", "shifted_late" if shift > 0 else "shifted_early", abs(shift))
        elif late:
            verdict.say("B", "off_clock", late, f"{hours}")

    def _off(self) -> tuple[int, int]:
        """Return the interval, and how many hours after the hours of day it settles."""
        hours = int(self.held.hours[-1])
        late = int(np.bincount(self.held.clock % hours).argmax())
        return hours, 0 if (hours, late) == _HALFWAY else late
