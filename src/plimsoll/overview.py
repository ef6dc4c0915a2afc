"""A market, and all markets, at a glance: open interest, what it costs, and the load."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from plimsoll import maps
from plimsoll.analytics.basis import BAND
from plimsoll.analytics.bursts import Rule
from plimsoll.analytics.liquidations import dollars, weakest
from plimsoll.analytics.positioning import long_short
from plimsoll.analytics.provenance import nearest
from plimsoll.errors import NoSuchData
from plimsoll.measures import basis, carry, interest, macro, options, positioning
from plimsoll.measures import liquidations as closed
from plimsoll.measures.asking import Asked, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from plimsoll.analytics.provenance import Standing
    from plimsoll.store.reader import Reader

__all__ = ["NEAR", "SPAN", "overview", "show"]

NEAR = 0.05
"""How far from the price the load is counted, fraction."""
SPAN = timedelta(days=30)
"""How much history a sparkline shows."""
_LARGE = 0.5
"""A cluster is large from this share of the largest of its side on."""
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)

_OVERVIEW: dict[str, Any] = {
    "coin": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "price": pl.Float64,
    "price_change": pl.Float64,
    "open_interest_usd": pl.Float64,
    "open_interest_change": pl.Float64,
    "coverage": pl.Float64,
    "funding_apr": pl.Float64,
    "long_short": pl.Float64,
    "load": pl.Float64,
    "map_coverage": pl.Float64,
    "long_cluster_price": pl.Float64,
    "long_cluster_usd": pl.Float64,
    "short_cluster_price": pl.Float64,
    "short_cluster_usd": pl.Float64,
    "liquidated_usd": pl.Float64,
    "liquidated_completeness": pl.String,
    "exchanges": pl.Int64,
    "price_history": pl.List(pl.Float64),
    "open_interest_history": pl.List(pl.Float64),
    "funding_history": pl.List(pl.Float64),
}


def overview(reader: Reader, asked: Asked) -> pl.DataFrame:
    """Return a row for each coin with open interest; see `Session.overview`."""
    coins = {series.coin for series in reader.series("open_interest", asked.exchanges)}
    if not coins:
        raise NoSuchData("no open interest is stored, so there is no market to look at")
    rows = [_coin(reader, coin, asked) for coin in sorted(coins)]
    frame = pl.DataFrame(rows, schema=_OVERVIEW)
    return frame.sort("open_interest_usd", descending=True, nulls_last=True)


def _coin(reader: Reader, coin: str, asked: Asked) -> dict[str, object]:
    """Return what is known of a coin at its last open interest."""
    last = _last_time(reader, coin, asked)
    recent = asked._replace(since=last - SPAN)
    valued = interest.prices(reader, coin, recent, _HOUR)
    held = interest.open_interest(reader, coin, recent, _HOUR).join(
        valued, on="time", how="left", maintain_order="left"
    )
    now = held.row(-1, named=True)
    before = held.filter(pl.col("time") == now["time"] - _DAY)["price"].first()
    cost = _or_none(lambda: carry.weighted_funding(reader, coin, recent, 8 * _HOUR))
    value, covers = _liquidated(reader, coin, asked, last)
    return {
        "coin": coin,
        "time": last,
        "price": now["price"],
        "price_change": now["price"] / before - 1 if now["price"] and before else None,
        "open_interest_usd": now["value_usd"],
        "open_interest_change": now["relative_change"],
        "coverage": now["coverage"],
        "exchanges": now["exchanges"],
        "funding_apr": _recent_cost(cost, last),
        "long_short": _long_short(reader, coin, asked, last),
        "liquidated_usd": value,
        "liquidated_completeness": covers,
        **_load(_standing(reader, coin, asked), last, now["value_usd"]),
        "price_history": held["price"].to_list(),
        "open_interest_history": held["value_usd"].to_list(),
        "funding_history": [] if cost is None else cost["apr"].to_list(),
    }


def _recent_cost(cost: pl.DataFrame | None, last: datetime) -> float | None:
    """Return the funding of now: none that is older than two of the longest intervals."""
    if cost is None:
        return None
    fresh = cost.filter(pl.col("time") >= last - 16 * _HOUR)["apr"].drop_nulls()
    return fresh[-1] if len(fresh) else None


def _last_time(reader: Reader, coin: str, asked: Asked) -> datetime:
    held = rows_of(reader, "open_interest", coin, asked)
    if not held.height:
        raise NoSuchData(f"no open interest of {coin} is stored in that span of time")
    last: datetime = held["time"].max()  # type: ignore[assignment]
    return last


def _standing(reader: Reader, coin: str, asked: Asked) -> list[Standing]:
    """Return what stands now in each market of a coin that can be mapped."""
    try:
        found, _ = maps.standing(
            reader,
            coin,
            asked.exchanges,
            span=(None, asked.until, asked.as_of),
            interval=None,
            parameters=None,
        )
    except (NoSuchData, ValueError):
        return []  # without a price: it is missing from `map_coverage`
    return found


def _load(
    standing: list[Standing], last: datetime, held_usd: float | None
) -> dict[str, float | None]:
    """Return what stands near the price, of all that is held, and the nearest large clusters."""
    now = [one for one in standing if one.is_of(last)]
    if not now or not held_usd:
        return {}
    placed = sum(one.open_interest_usd * one.coverage for one in now)
    near = sum(one.within(NEAR) for one in now)
    found: dict[str, float | None] = {"load": near / held_usd, "map_coverage": placed / held_usd}
    for row in nearest(now, _LARGE).iter_rows(named=True):
        found[f"{row['side']}_cluster_price"] = row["price"]
        found[f"{row['side']}_cluster_usd"] = row["value_usd"]
    return found


def _long_short(reader: Reader, coin: str, asked: Asked, last: datetime) -> float | None:
    """Return the median over markets of the latest ratio of accounts."""
    rows = _or_none(
        lambda: rows_of(reader, "long_short_ratio", coin, asked._replace(since=last - _DAY)).filter(
            pl.col("population") == "accounts"
        )
    )
    if rows is None:
        return None
    told = long_short(rows)
    latest = told.sort("time").group_by("exchange", "symbol").agg(pl.col("ratio").last())
    ratio: float | None = latest["ratio"].median()  # type: ignore[assignment]
    return ratio


def _liquidated(
    reader: Reader, coin: str, asked: Asked, last: datetime
) -> tuple[float | None, str | None]:
    """Return dollars liquidated in the last day, and the weakest completeness of the feeds.

    Null where nothing was told, never zero: a quiet day cannot be told from a feed that stopped.
    """
    if not reader.series("liquidation", asked.exchanges, coin=coin):
        return None, None
    day = asked._replace(since=last - _DAY)
    rows = rows_of(reader, "liquidation", coin, day)
    if rows.is_empty():
        return None, None
    return rows.select(_WORTH.alias("usd"), weakest()).row(0)


_WORTH = pl.when(dollars().count() > 0).then(dollars().sum())
"""Dollars of those whose dollars are known; null where none are."""


def show(
    reader: Reader, symbol: str, exchanges: list[str], as_of: datetime | None
) -> dict[str, pl.DataFrame | None]:
    """Return the load on one market at a glance; see `Session.show`."""
    asked, coin = Asked(exchanges, as_of=as_of), symbol.split("/", maxsplit=1)[0]

    def ratios() -> pl.DataFrame:
        latest = _latest(
            rows_of(reader, "long_short_ratio", symbol, asked), "exchange", "population"
        )
        return latest.select("time", "exchange", "population", "ratio", "long_share")

    questions: dict[str, Callable[[], pl.DataFrame]] = {
        "open_interest": lambda: interest.open_interest(reader, symbol, asked, _HOUR).tail(1),
        "quadrant": lambda: _state(reader, symbol, asked),
        "crowding": lambda: positioning.crowding(reader, symbol, asked, _HOUR).tail(1),
        "funding": lambda: _latest(carry.funding(reader, symbol, asked), "exchange", "symbol"),
        "basis": lambda: basis.term_structure(reader, coin, asked, None, BAND).filter(
            pl.col("simple").is_not_null()
        ),
        "long_short": ratios,
        "liquidations": lambda: _last_day(reader, symbol, asked),
        "bursts": lambda: closed.bursts(reader, symbol, asked, _MINUTE, Rule()).tail(1),
        "options": lambda: options.glance(reader, coin, asked),
        "macro": lambda: _beyond(reader, coin, asked),
        "load": lambda: _near(reader, symbol, asked),
    }
    return {name: _or_none(question) for name, question in questions.items()}


def _state(reader: Reader, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return what price and open interest of the last day say together."""
    state = interest.quadrant(reader, symbol, asked, _HOUR, _DAY).tail(1)
    return state.with_columns(pl.col("evidence").list.join("; "))


def _last_day(reader: Reader, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return what was closed by force in the last day with any, by exchange."""
    last = rows_of(reader, "liquidation", symbol, asked).select(pl.col("time").max()).item()
    if last is None:
        raise NoSuchData(f"no liquidations of {symbol} were known by then")
    day = asked._replace(since=last - _DAY)
    return closed.liquidations(reader, symbol, day, _HOUR, "exchange", whole=True)


def _beyond(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return the last known figure of each part of `Session.macro`, with its time."""
    parts = macro.macro(reader, coin, asked)
    told = []
    for words, part, column, of in _BEYOND:
        frame = parts[part]
        if frame is not None:
            wanted = [pl.col(name) == value for name, value in of.items()]
            known = frame.filter(pl.col(column).is_not_null(), *wanted).tail(1)
            told += [(time, words, value) for time, value in known.select("time", column).rows()]
    schema: dict[str, Any] = {"time": _TIME, "figure": pl.String, "value": pl.Float64}
    return pl.DataFrame(told, schema=schema, orient="row")


_TIME = pl.Datetime("us", "UTC")
_BEYOND: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("stablecoins, growth in 7 days", "stablecoins", "growth_7d", {"symbol": "TOTAL"}),
    ("stablecoins, growth in 30 days", "stablecoins", "growth_30d", {"symbol": "TOTAL"}),
    ("open interest on chains", "chains", "share", {}),
    ("asset managers, net", "commitments", "net_share", {"category": "asset_manager"}),
    ("leveraged funds, net", "commitments", "net_share", {"category": "leveraged_funds"}),
    ("how institutional, percentile", "institutional", "score", {}),
)
"""What is said of what lies beyond a market, fractions all: part, column, and of which rows."""


def _near(reader: Reader, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return what the maps of all asked exchanges hold near the price now."""
    found = []
    for series in reader.series("open_interest", asked.exchanges, symbol):
        rows = reader.read(
            "open_interest", symbol=symbol, exchanges=[series.exchange], as_of=asked.as_of
        )
        since = rows.select(pl.col("time").max() - _DAY).item()
        drawn = maps.heatmap(
            reader,
            symbol,
            [series.exchange],
            span=(since, None, asked.as_of),
            interval=None,
            rows=None,
            parameters=None,
        )
        near = drawn.within((0.02, 0.05, 0.10))
        found.append(near.with_columns(exchange=pl.lit(series.exchange)))
    return pl.concat(found) if found else pl.DataFrame()


def _latest(frame: pl.DataFrame, *by: str) -> pl.DataFrame:
    return frame.sort("time").unique(by, keep="last", maintain_order=True)


def _or_none(question: Callable[[], pl.DataFrame]) -> pl.DataFrame | None:
    """Return an answer, None where nothing is stored or too little to compute it."""
    try:
        answer = question()
    except (NoSuchData, ValueError):
        return None
    return answer if answer.height else None
