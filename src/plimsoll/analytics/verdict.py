"""A grade of what a market reports, with the words for it, whatever the metric.

A nothing is wrong, B a blemish, C doubtful, D not to be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plimsoll.analytics.statements import FINDING, english

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["GRADES", "METRICS", "Verdict", "heard", "last", "late", "middle", "spread", "standing"]

METRICS = ("open_interest", "price", "funding", "long_short")
GRADES: dict[str, Any] = {
    "time": pl.Datetime("us", "UTC"),
    "exchange": pl.String,
    "symbol": pl.String,
    "metric": pl.String,
    "population": pl.String,
    "grade": pl.String,
    "reasons": pl.List(pl.String),
    "value": pl.Float64,
    "others": pl.Float64,
    "value_usd": pl.Float64,
    "z": pl.Float64,
    "reported": pl.Float64,
    "unchanged_hours": pl.Float64,
    "factor": pl.Float64,
    "price_ratio": pl.Float64,
    "contracts_step": pl.Int64,
    "impossible": pl.Float64,
    "turnover_ratio": pl.Float64,
    "lag_minutes": pl.Float64,
    "findings": pl.List(FINDING),
}
"""Columns of the grades; what is no evidence of a metric is null."""
_LATE, _LAGGING = 60, 15


class Verdict:
    """The worst grade of several findings."""

    def __init__(self) -> None:
        self.grade = "A"
        self.findings: list[dict[str, Any]] = []

    def say(
        self, grade: str, code: str, figure: float | None = None, named: str | None = None
    ) -> None:
        """Note a finding: its code in `statements.GRADED`, its number, and what it names."""
        self.grade = max(self.grade, grade)
        told = None if figure is None else float(figure)
        self.findings.append({"code": code, "figure": told, "named": named})

    def of(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return a row of evidence with its grade, and why."""
        why = {"reasons": english(self.findings), "findings": self.findings}
        return {**found, "grade": self.grade, **why}


def heard(verdict: Verdict, values: Floats, span: str = "week") -> None:
    """Tell silence, now or before.

    Parameters
    ----------
    verdict : Verdict
    values : ndarray, shape (instants,)
        NaN where nothing is reported.
    span : str
        What the instants fill, in words.
    """
    share = float(np.mean(~np.isnan(values)))
    if np.isnan(values[-1]):
        verdict.say("D", "silent")
    elif share < 0.5:
        verdict.say("C", "reported", share, span)
    elif share < 0.95:
        verdict.say("B", "reported", share, span)


def standing(verdict: Verdict, runs: Floats, limit: float, span: str = "week") -> None:
    """Tell a value that stands still, now or before.

    Parameters
    ----------
    verdict : Verdict
    runs : ndarray, shape (instants,), hours
        For how long it has not moved while others did.
    limit : float, hours
        What is no accident any more.
    span : str
    """
    if runs[-1] > limit:
        verdict.say("D", "stale", runs[-1])
        return
    stood = float(np.mean(runs > limit))
    if stood > 0.1:
        verdict.say("C", "stale_share", stood, span)
    elif stood > 0:
        verdict.say("B", "stood", runs.max())


def late(verdict: Verdict, minutes: float) -> None:
    """Tell a lag; NaN is none."""
    if minutes >= _LATE:
        verdict.say("D", "lagging", minutes)
    elif minutes > 0:
        verdict.say("C" if minutes >= _LAGGING else "B", "lagging", minutes)


def middle(values: Floats) -> float:
    """Return the median of what is known; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else np.nan


def last(values: Floats) -> float:
    """Return the last value that is known; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else np.nan


def spread(apart: Floats, fewest: int) -> float:
    """Return how far the last value lies from the median, in robust deviations.

    Parameters
    ----------
    apart : ndarray, shape (instants,)
        In order of time; NaN where unknown.
    fewest : int
        Values that it takes to say something.

    Returns
    -------
    float
        (x − median) / (1.4826 · median absolute deviation); NaN where that cannot be said.
    """
    known = apart[~np.isnan(apart)]
    if len(known) < fewest or np.isnan(apart[-1]):
        return np.nan
    deviation = 1.4826 * float(np.median(np.abs(known - np.median(known))))
    return float((apart[-1] - np.median(known)) / deviation) if deviation > 0 else np.nan
