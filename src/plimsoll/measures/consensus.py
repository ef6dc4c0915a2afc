"""Whose reports can be believed, as stored: a grade for each market and metric, and the sum."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from plimsoll.analytics import consensus as agreed
from plimsoll.analytics import grading, turnover
from plimsoll.analytics import grading_funding as rates
from plimsoll.analytics import grading_ratios as crowds
from plimsoll.analytics.verdict import GRADES, METRICS
from plimsoll.errors import NoSuchData
from plimsoll.measures.asking import since, stored
from plimsoll.measures.interest import STALE, lots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["Consensus", "consensus", "grades"]

_MARKED = timedelta(days=14)
"""How far back marks are read: they are streamed each second."""


class Consensus(NamedTuple):
    """Which markets can be believed, and the sum of those.

    Attributes
    ----------
    grades : DataFrame
        A row for each market and metric, as `analytics.grading.grades`,
        `analytics.grading_funding.funding_grades` and `analytics.grading_ratios.ratio_grades`
        return.
    total : DataFrame
        What `analytics.consensus.sound` returns: open interest through time, without that graded D.
    markets : DataFrame
        `time`, `exchange`, `symbol` and `value_usd`: what each reported, on the same grid.
    """

    grades: pl.DataFrame
    total: pl.DataFrame
    markets: pl.DataFrame


def consensus(
    reader: Reader,
    market: str,
    asked: Asked,
    step: timedelta,
    metrics: Sequence[str] = METRICS,
) -> Consensus:
    """Return whose reports can be believed, and their sum; see `Session.consensus`."""
    every = stored(reader, "open_interest", market, asked._replace(since=None))
    held, start = _panel(reader, market, asked, step, every)
    parts = [grading.grades(held, [name for name in grading.METRICS if name in metrics])]
    if "funding" in metrics:
        parts.append(_funding(reader, market, asked))
    if "long_short" in metrics:
        ratios = stored(reader, "long_short_ratio", market, asked._replace(since=None))
        parts.append(crowds.ratio_grades(ratios))
    made = pl.concat(parts)
    if made.is_empty():
        raise NoSuchData(f"no open interest, funding or ratio of {market} is stored for that time")
    total = agreed.sound(held, agreed.graded(held))
    return Consensus(made, since(total, start), since(held.reports(), start))


def grades(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return whose open interest can be believed at the end: those grades of `consensus` alone."""
    every = stored(reader, "open_interest", market, asked._replace(since=None))
    held, _ = _panel(reader, market, asked, step, every)
    return grading.grades(held, ("open_interest",))


def _panel(
    reader: Reader, market: str, asked: Asked, step: timedelta, every: pl.DataFrame
) -> tuple[grading.Panel, datetime | None]:
    """Return open interest on its grid, and from when on the sum is told."""
    last: datetime | None = every["time"].max()  # type: ignore[assignment]
    start = asked.since or (None if last is None else last - grading.WINDOW)
    before = None if start is None else start - grading.WINDOW
    rows = since(every, before)
    if len(every) and not len(rows):
        raise NoSuchData(f"no open interest of {market} is stored in that span of time")
    candles = stored(reader, "candle", market, asked._replace(since=before))
    volumes = turnover.traded(candles.filter(pl.col("price_kind") == "trade"), step)
    held = grading.panel(rows, volumes, step, max(STALE, 2 * step), lots(reader, rows))
    if len(rows) and not len(held.time):
        raise NoSuchData(f"no step of {step} begins where reports are stored: ask for shorter ones")
    return held, start


def _funding(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return the grades of funding, held against marks where those are stored."""
    rows = stored(reader, "funding", market, asked._replace(since=None))
    settled = rows.filter(pl.col("status") == "settled")
    if settled.is_empty():
        return pl.DataFrame(schema=GRADES)
    last: datetime = settled["time"].max()  # type: ignore[assignment]
    marks = stored(reader, "mark_price", market, asked._replace(since=last - _MARKED))
    return rates.funding_grades(settled, rates.hourly_premium(marks))
