"""What options say and what they hide, as stored."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.analytics import exposure, intent, options
from plimsoll.analytics.chain import BOOK, chain, dropped
from plimsoll.analytics.funding import percentile
from plimsoll.errors import NoSuchData
from plimsoll.measures import chains
from plimsoll.measures.asking import rows_of, since
from plimsoll.measures.chains import STALE

if TYPE_CHECKING:
    from datetime import datetime

    from plimsoll.analytics.exposure import Level
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["STEP", "OptionState", "history", "state"]

STEP = timedelta(hours=6)
"""The grid on which a state is ranked in its own history."""
RECENT = timedelta(days=30)
"""How far back trades tell what options were bought for."""
_WEEK = timedelta(days=7)
_INSTANT = timedelta(microseconds=1)
_RANKED = {
    "open_interest": "base units",
    "open_interest_change": "fraction, 7 days",
    **dict.fromkeys(options.RATIOS, "puts over calls"),
    "beyond_30": "fraction",
    "beyond_90": "fraction",
    "effective": "expiries",
    "leverage": "dimensionless",
    "elasticity": "dimensionless",
    "unsigned_usd": "US dollars per 1 %",
    "naive_usd": "US dollars per 1 %",
}
"""What a moment's measures are called, and in what they are."""


@dataclass(frozen=True)
class OptionState:
    """What the options of a coin say at one moment.

    Attributes
    ----------
    market : str
        The coin, or the underlying asked for.
    time : datetime
        When the newest quote was known; all is as of then.
    price : float or None, quote per base
        The index, median over the chain.
    summary : DataFrame
        `measure`, `value`, `unit`, `percentile` (fraction, in the market's own history up to
        then), `observations` (of that history), `coverage` (fraction of what it is of).
    by_expiry, by_tenor, by_moneyness : DataFrame
        Open interest, ratios, leverage, gamma exposure; by expiry also `max_pain`.
    by_strike : DataFrame
        `expiry`, `strike`, `calls`, `puts` (base units) and gamma exposure.
    smile : DataFrame
        Quotes out of the money: `expiry`, `days`, `strike`, `k` (log moneyness), `iv`, `delta`.
    profile : DataFrame
        Gamma exposure at other prices; see `analytics.exposure.profile`.
    naive_zero, taker_zero : Level
        Where it changes its sign, or why that is not told.
    taker_coverage : float
        Share of the open interest that trades seen explain.
    intents : DataFrame or None
        What was traded for what in the last 30 days; None where no option trade is stored.
    counts : dict of str to int
        Options `live` and, left out of all else, `stale`.
    """

    market: str
    time: datetime
    price: float | None
    summary: pl.DataFrame
    by_expiry: pl.DataFrame
    by_tenor: pl.DataFrame
    by_moneyness: pl.DataFrame
    by_strike: pl.DataFrame
    smile: pl.DataFrame
    profile: pl.DataFrame
    naive_zero: Level
    taker_zero: Level
    taker_coverage: float
    intents: pl.DataFrame | None
    counts: dict[str, int]

    def value(self, measure: str) -> float | None:
        """Return a measure of the summary."""
        found: float | None = self.summary.filter(measure=measure)["value"].item()
        return found

    def describe(self) -> dict[str, Any]:
        """Return everything as plain values: tables as columns, levels with their reason."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, pl.DataFrame):
                value = value.to_dict(as_series=False)
            found[field.name] = value._asdict() if hasattr(value, "_asdict") else value
        return found


def state(reader: Reader, market: str, asked: Asked) -> OptionState:
    """Return what options say now; see `Session.options`."""
    until = asked._replace(since=None)
    at = chains.last_known(reader, market, until)
    rows = chains.quotes(reader, market, until, at - STALE, at + _INSTANT)
    moment = pl.Series([at], dtype=pl.Datetime("us", "UTC"))
    now = chain(rows, moment, STALE)
    if not now.height:
        raise NoSuchData(f"every option on {market} has expired by {at:%Y-%m-%d %H:%M}")
    told = chains.trades(reader, now, until)
    if told is not None:
        now = exposure.taken(now, told, chains.opening(reader, market, until, told))
    return OptionState(
        market=market,
        time=at,
        summary=_summary(_levels(reader, market, until, STEP, at, closing=True)),
        counts=dropped(rows, moment, STALE).drop("at").row(0, named=True),
        intents=None if told is None else _intents(reader, market, until, told),
        **_tables(now),
    )


def _tables(now: pl.DataFrame) -> dict[str, Any]:
    """Return what a chain of one moment says, table by table."""
    exposed = exposure.exposure(now).row(0, named=True)
    price = now.select(pl.coalesce("index", "forward").median()).item()
    profile = exposure.profile(now)
    taker = exposed["taker_coverage"] or 0.0
    by_strike = exposure.exposure(now, "expiry", "strike").drop("coverage", "taker_coverage")
    pains = options.pain(now)
    return {
        "price": price,
        "by_expiry": _grouped(now, "expiry").join(pains.drop("at"), on="expiry", how="left"),
        "by_tenor": _grouped(now.with_columns(options.tenor()), "tenor"),
        "by_moneyness": _grouped(now.with_columns(options.moneyness()), "moneyness"),
        "by_strike": options.strikes(now, "expiry")
        .join(by_strike, on=["at", "expiry", "strike"], how="left", maintain_order="left")
        .drop("at"),
        "smile": _smile(now),
        "profile": profile,
        "naive_zero": exposure.zero_gamma(profile, "naive", price, exposed["coverage"]),
        "taker_zero": exposure.zero_gamma(profile, "taker", price, taker),
        "taker_coverage": taker,
    }


def _grouped(now: pl.DataFrame, by: str) -> pl.DataFrame:
    """Return ratios, leverage and gamma exposure of each group of a chain."""
    whole = now.filter(pl.col(by).is_not_null())
    days = pl.col("days").median()
    return (
        options.put_call(whole, by)
        .drop("coverage", "priced")
        .join(options.leverage(whole, by), on=["at", by], maintain_order="left")
        .join(exposure.exposure(whole, by).drop("coverage"), on=["at", by], maintain_order="left")
        .join(whole.group_by(by).agg(days), on=by, maintain_order="left")
        .select(by, "days", pl.exclude(by, "days", "at"))
    )


def _smile(now: pl.DataFrame) -> pl.DataFrame:
    """Return the quotes out of the money that have a volatility, by expiry and strike."""
    call, over = pl.col("kind") == "call", pl.col("strike") >= pl.col("forward")
    return now.filter((call == over) & pl.col("iv").is_not_null()).select(
        *BOOK,
        "expiry",
        "days",
        "strike",
        (pl.col("strike") / pl.col("forward")).log().alias("k"),
        "iv",
        "delta",
        "open_interest",
    )


def _intents(reader: Reader, market: str, asked: Asked, told: pl.DataFrame) -> pl.DataFrame:
    """Return what the trades of the last days were for."""
    start = told.select(pl.col("time").max() - RECENT).item()
    recent = told.filter(pl.col("time") > start)
    around = rows_of(reader, "option_quote", market, asked._replace(since=start - STALE))
    return intent.shares(intent.intents(recent, around, STALE))


def history(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return what options said through time; see `Session.option_history`."""
    until = asked._replace(since=None)
    whole = _levels(reader, market, until, step, chains.last_known(reader, market, until))
    ranked = [
        pl.Series(f"{name}_percentile", percentile(whole[name]), nan_to_null=True)
        for name in options.RATIOS
    ]
    return since(whole.with_columns(ranked), asked.since)


def _levels(
    reader: Reader,
    market: str,
    asked: Asked,
    step: timedelta,
    last: datetime,
    *,
    closing: bool = False,
) -> pl.DataFrame:
    """Return measures on a grid of time up to the last quote; if `closing`, also at that moment."""
    found = []
    for start, end in chains.pieces(reader, market, asked):
        rows = chains.quotes(reader, market, asked, start, end)
        grid = pl.datetime_range(start, end, step, closed="left", eager=True).dt.truncate(step)
        ends = [last] if closing and start <= last < end else []
        moments = grid.append(pl.Series(ends, dtype=grid.dtype))
        within = moments.filter((moments >= start) & (moments <= last))
        if len(within) and rows.height:
            found.append(_measured(rows, within))
    whole = pl.concat(found).rename({"at": "time"})
    seen = (pl.col("live") + pl.col("stale")).cum_sum() > 0
    return _changed(whole.filter(seen), step)


def _measured(rows: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
    """Return the measures of a chain at some moments; null where no option is live."""
    whole = chain(rows, moments, STALE)
    price = whole.group_by("at").agg(price=pl.coalesce("index", "forward").median())
    parts = [
        price,
        options.put_call(whole),
        options.spread(whole),
        options.leverage(whole).drop("priced"),
        exposure.exposure(whole).select("at", "unsigned_usd", "naive_usd"),
    ]
    made = dropped(rows, moments, STALE)
    for part in parts:
        made = made.join(part, on="at", how="left", maintain_order="left")
    fresh = pl.col("live") / (pl.col("live") + pl.col("stale"))
    return made.with_columns(coverage=pl.col("coverage") * fresh)


def _changed(whole: pl.DataFrame, step: timedelta) -> pl.DataFrame:
    """Add by how much open interest has changed over a week, in base units."""
    held = whole.select(pl.col("time").alias("_then"), pl.col("open_interest").alias("_before"))
    before = whole.with_columns(_then=pl.col("time") - _WEEK).join_asof(
        held, on="_then", tolerance=step
    )
    change = pl.col("open_interest") / pl.col("_before") - 1
    return before.with_columns(
        open_interest_change=pl.when(pl.col("_before") > 0).then(change)
    ).drop("_then", "_before")


def _summary(past: pl.DataFrame) -> pl.DataFrame:
    """Return the last moment's measures, each ranked in its own history up to then."""
    now = past.row(-1, named=True)
    of = dict.fromkeys(("put_call_premium", "put_call_delta", "leverage"), "priced")
    rows = []
    for name, unit in _RANKED.items():
        value = now[name]
        rank = float(percentile(past[name])[-1]) if value is not None else None
        count = past[name].count()
        rows.append((name, value, unit, rank, count, now[of.get(name, "coverage")]))
    schema = {
        "measure": pl.String,
        "value": pl.Float64,
        "unit": pl.String,
        "percentile": pl.Float64,
        "observations": pl.Int64,
        "coverage": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
