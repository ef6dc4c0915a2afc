"""What options say and what they hide, as stored."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll.analytics import exposure, intent, options, skew, smile, surface, volatility_index
from plimsoll.analytics.chain import BOOK, chain, looked_at
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

__all__ = ["OptionState", "glance", "history", "state"]

_STEP = timedelta(days=1)
"""The grid on which a state is ranked in its own history."""
RECENT = timedelta(days=30)
"""How far back trades tell what options were bought for."""
_WEEK = timedelta(days=7)
_MONTH = 30.0
_SMILES = ("atm_30", "risk_reversal_30", "strangle_30")
_BULLISH = 0.7
"""Puts over calls that are commonly read as bullish from there down."""
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
    "index_30": "fraction, a year",
    "stated_index": "fraction, a year",
}
"""What a moment's measures are called, and in what they are."""
_TRADED = "fraction traded, 30 days"
_UNTOLD = (
    "No option trade of 30 days tells whether it was arranged outside the book: what takers bought "
    "and sold, and what for, may be block trades in part."
)
_SUMMARY = {
    "measure": pl.String(),
    "value": pl.Float64(),
    "unit": pl.String(),
    "percentile": pl.Float64(),
    "observations": pl.Int64(),
    "coverage": pl.Float64(),
    "z": pl.Float64(),
}


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
        then), `observations` (of that history), `coverage` (fraction of what it is of), and of
        the smile at 30 days `z` (robust deviations, of 90 days).
    by_expiry, by_tenor, by_moneyness : DataFrame
        Open interest, ratios, leverage, gamma exposure; by expiry also `max_pain`.
    by_strike : DataFrame
        `expiry`, `strike`, `calls`, `puts` (base units) and gamma exposure.
    smile : DataFrame
        Options out of the money: `expiry`, `days`, `strike`, `k` (log moneyness), `iv`, `fitted`
        (null beyond the strikes quoted), `delta`, `open_interest`; of the largest market alone,
        which `exchange` and `family` name.
    curves : DataFrame
        What is fitted: `expiry`, `k`, `volatility` (fraction), between the strikes quoted.
    term : DataFrame
        By expiry, what `analytics.surface.fit` returns of that market.
    maturities : DataFrame
        `days`, `atm`, `risk_reversal` and `strangle` (fractions) at constant maturities, each
        with its z, percentile and observations among its own of 90 days; see
        `analytics.skew.ranked`.
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
    curves: pl.DataFrame
    term: pl.DataFrame
    maturities: pl.DataFrame
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

    @property
    def said(self) -> list[str]:
        """What the figures can mean, in words; a level, not a signal."""
        return [*self._of_puts(), *self._of_blocks()]

    def _of_puts(self) -> list[str]:
        """Return what the put/call ratio can mean."""
        ratio, change = self.value("put_call_open_interest"), self.value("open_interest_change")
        if ratio is None:
            return ["Puts or calls are missing, so there is no ratio of the two."]
        low = ratio < _BULLISH
        found = [
            f"Puts over calls by open interest are {ratio:.2f}: "
            + (f"below {_BULLISH}, which is commonly read as bullish." if low else "not low.")
            + " It is ambiguous: calls sold against coins, and puts sold, look the same as bets."
        ]
        if low and change is not None and change > 0:
            found.append(
                f"Open interest rose by {change:.1%} in a week while the ratio is low: that can be "
                "calls becoming crowded rather than confidence."
            )
        return found

    def _of_blocks(self) -> list[str]:
        """Return how far trades tell whether they were made in the book."""
        if self.intents is None:
            return []
        block, told = self.value("block_share"), self.summary.filter(measure="block_share")
        known = told["coverage"].item()
        if block is None:
            return [_UNTOLD]
        counted = f"Block trades are {block:.0%} of what was traded in 30 days"
        if known < 1:
            counted += f", not counting the {1 - known:.0%} of which it is not told"
        return [f"{counted}. They are kept apart, and not counted as bought or sold by takers."]

    def describe(self) -> dict[str, Any]:
        """Return everything as plain values: tables as columns, levels with their reason."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, pl.DataFrame):
                value = value.to_dict(as_series=False)
            found[field.name] = value._asdict() if hasattr(value, "_asdict") else value
        return {**found, "said": self.said}


def state(reader: Reader, market: str, asked: Asked) -> OptionState:
    """Return what options say now; see `Session.options`."""
    until = asked._replace(since=None)
    at = chains.last_known(reader, market, until)
    rows = chains.quotes(reader, market, until, at, at + _INSTANT)
    moment = pl.Series([at], dtype=pl.Datetime("us", "UTC"))
    now, counts = looked_at(rows, moment, STALE)
    if not now.height:
        raise NoSuchData(f"every option on {market} has expired by {at:%Y-%m-%d %H:%M}")
    told = chains.trades(reader, now, until)
    if told is not None:
        now = exposure.taken(now, told, chains.opening(reader, market, until, told))
    tables = _tables(now)
    recent = None if told is None else _recent(told)
    past = _levels(reader, market, until, _STEP, at, closing=True)
    tables["maturities"] = _maturities(reader, market, until, now)
    return OptionState(
        market=market,
        time=at,
        summary=pl.concat([_summary(past, now, tables), _arranged(recent)]),
        counts=counts.drop("at").row(0, named=True),
        intents=None if recent is None else _intents(reader, market, until, recent),
        **tables,
    )


def _tables(now: pl.DataFrame) -> dict[str, Any]:
    """Return what a chain of one moment says, table by table."""
    exposed = exposure.exposure(now).row(0, named=True)
    price = now.select(pl.coalesce("index", "forward").median()).item()
    profile = exposure.profile(now)
    taker = exposed["taker_coverage"] or 0.0
    by_strike = exposure.exposure(now, "expiry", "strike").drop("coverage", "taker_coverage")
    pains = options.pain(now)
    largest = smile.largest(now)
    slices = surface.fit(largest)
    return {
        "price": price,
        "by_expiry": _grouped(now, "expiry").join(pains.drop("at"), on="expiry", how="left"),
        "by_tenor": _grouped(now.with_columns(options.tenor()), "tenor"),
        "by_moneyness": _grouped(now.with_columns(options.moneyness()), "moneyness"),
        "by_strike": options.strikes(now, "expiry")
        .join(by_strike, on=["at", "expiry", "strike"], how="left", maintain_order="left")
        .drop("at"),
        "smile": smile.quoted(largest, slices),
        "curves": smile.curves(slices),
        "term": slices.with_columns(days=pl.col("years") * 365).drop("at", *BOOK),
        "profile": profile,
        "naive_zero": exposure.zero_gamma(profile, "naive", price, exposed["coverage"]),
        "taker_zero": exposure.zero_gamma(profile, "taker", price, taker),
        "taker_coverage": taker,
    }


def _maturities(reader: Reader, market: str, asked: Asked, now: pl.DataFrame) -> pl.DataFrame:
    """Return the smile of the largest market at constant maturities, ranked among past days'."""
    largest = smile.largest(now)
    at: datetime = now["at"][0]
    found = [largest]
    for start, end in chains.pieces(reader, market, asked):
        days = pl.datetime_range(start, end, "1d", time_unit="us", eager=True).dt.truncate("1d")
        within = days.filter((days >= start) & (days < min(end, at)) & (days > at - skew.SPAN))
        if len(within):
            rows = chains.quotes(reader, market, asked, within[0], within[-1] + _INSTANT)
            past, _ = looked_at(rows, within, STALE)
            found.append(past.join(largest.select(BOOK).unique(), on=BOOK))
    slices = surface.fit(pl.concat(found, how="diagonal"))
    return skew.ranked(surface.term_structure(slices)).drop("at", *BOOK)


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


def _recent(told: pl.DataFrame) -> pl.DataFrame:
    """Return the trades of the last days."""
    return told.filter(pl.col("time") > pl.col("time").max() - RECENT)


def _intents(reader: Reader, market: str, asked: Asked, recent: pl.DataFrame) -> pl.DataFrame:
    """Return what recent trades were for."""
    start = recent.select(pl.col("time").max() - RECENT).item()
    around = rows_of(reader, "option_quote", market, asked._replace(since=start - STALE))
    return intent.shares(intent.intents(recent, around, STALE))


def _arranged(recent: pl.DataFrame | None) -> pl.DataFrame:
    """Return how much of recent trades was in blocks and in combinations, as rows of a summary."""
    found = {} if recent is None else intent.arranged(recent)
    rows = [
        (f"{name}_share", found.get(name), _TRADED, None, 0, found.get("told"), None)
        for name in ("block", "combo")
    ]
    return pl.DataFrame(rows, schema=_SUMMARY, orient="row")


def glance(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return the state of options in one row, without their smiles; see `Session.show`."""
    until = asked._replace(since=None)
    at = chains.last_known(reader, market, until)
    past = _levels(reader, market, until, _STEP, at, closing=True)
    rows = chains.quotes(reader, market, until, at, at + _INSTANT)
    now = chain(rows, pl.Series([at], dtype=pl.Datetime("us", "UTC")), STALE)
    held = now.group_by("expiry").agg(pl.col("open_interest").sum())
    largest = held.join(options.pain(now), on="expiry").sort("open_interest", "expiry").tail(1)
    rank = percentile(past["put_call_open_interest"])[-1:]
    return past.tail(1).with_columns(
        pl.Series("put_call_open_interest_percentile", rank, nan_to_null=True),
        max_pain=pl.lit(largest["max_pain"].first(), pl.Float64),
        largest_expiry=pl.lit(largest["expiry"].first()),
    )


def history(
    reader: Reader, market: str, asked: Asked, step: timedelta, *, smiles: bool
) -> pl.DataFrame:
    """Return what options said through time; see `Session.option_history`."""
    until = asked._replace(since=None)
    last = chains.last_known(reader, market, until)
    whole = _levels(reader, market, until, step, last, smiles=smiles)
    ranked = [
        pl.Series(f"{name}_percentile", percentile(whole[name]), nan_to_null=True)
        for name in (*options.RATIOS, *(_SMILES if smiles else ()))
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
    smiles: bool = False,
) -> pl.DataFrame:
    """Return measures on a grid of time up to the last quote; if `closing`, also at that moment."""
    found, week_ago = [], last - _WEEK
    for start, end in chains.pieces(reader, market, asked):
        rows = chains.quotes(reader, market, asked, start, end)
        grid = pl.datetime_range(start, end + step, step, eager=True).dt.truncate(step)
        moments = grid.append(pl.Series([week_ago, last] if closing else [], dtype=grid.dtype))
        within = moments.filter((moments >= start) & (moments < end) & (moments <= last))
        if len(within) and rows.height:
            found.append(_measured(rows, within, smiles=smiles))
    if not found:
        raise NoSuchData(f"no step of {step} begins where quotes are stored: ask for shorter ones")
    whole = pl.concat(found).rename({"at": "time"})
    seen = (pl.col("live") + pl.col("stale")).cum_sum() > 0
    changed = _changed(whole.filter(seen), step)
    if closing:
        changed = changed.filter(pl.col("time") != week_ago)
    return _stated(reader, market, asked, changed)


def _measured(rows: pl.DataFrame, moments: pl.Series, *, smiles: bool) -> pl.DataFrame:
    """Return the measures of a chain at some moments; null where no option is live."""
    whole, made = looked_at(rows, moments, STALE)
    price = whole.group_by("at").agg(price=pl.coalesce("index", "forward").median())
    parts = [
        price,
        options.put_call(whole),
        options.spread(whole),
        options.leverage(whole).drop("priced"),
        exposure.exposure(whole).select("at", "unsigned_usd", "naive_usd"),
        volatility_index.index(smile.largest(whole), _MONTH).select("at", index_30="value"),
    ]
    if smiles:
        month = surface.term_structure(surface.fit(smile.largest(whole)), (_MONTH,))
        parts.append(month.select("at", **{name: name.removesuffix("_30") for name in _SMILES}))
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


def _stated(reader: Reader, market: str, asked: Asked, whole: pl.DataFrame) -> pl.DataFrame:
    """Add the exchange's own index of volatility, null where none is stored."""
    try:
        told = rows_of(reader, "volatility_index", market.split("/", maxsplit=1)[0], asked)
    except NoSuchData:
        nothing = {"stated_index": pl.lit(None, pl.Float64), "stated_by": pl.lit(None, pl.String)}
        return whole.with_columns(**nothing)
    first = told.filter(pl.col("exchange") == pl.col("exchange").min())
    known = first.select(
        pl.coalesce("known_at", "time").alias("time"), stated_index="value", stated_by="exchange"
    )
    return whole.join_asof(known.sort("time"), on="time", tolerance=STALE)


def _summary(past: pl.DataFrame, chain: pl.DataFrame, tables: dict[str, Any]) -> pl.DataFrame:
    """Return the last moment's measures, each ranked in its own history up to then."""
    now = past.row(-1, named=True)
    of = dict.fromkeys(("put_call_premium", "put_call_delta", "leverage"), "priced")
    rows: list[tuple[Any, ...]] = []
    for name, unit in _RANKED.items():
        value = now[name]
        rank = float(percentile(past[name])[-1]) if value is not None else None
        count = past[name].count()
        rows.append((name, value, unit, rank, count, now[of.get(name, "coverage")], None))
    takers = exposure.exposure(chain).row(0, named=True)
    unit, seen = _RANKED["naive_usd"], takers["taker_coverage"]
    rows.append(("taker_usd", takers["taker_usd"], unit, None, 0, seen, None))
    month = tables["maturities"].filter(days=_MONTH)
    for name in _SMILES:
        value, z, rank, count = (
            month[name.replace("_30", end)].first()
            for end in ("", "_z", "_percentile", "_observations")
        )
        rows.append((name, value, "fraction, a year", rank, count or 0, now["coverage"], z))
    return pl.DataFrame(rows, schema=_SUMMARY, orient="row")
