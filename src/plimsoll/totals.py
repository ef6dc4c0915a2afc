"""All coins together: what is open, what it costs, what was closed by force, and the stress."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import polars as pl

from plimsoll.analytics.bursts import Rule
from plimsoll.analytics.concentration import concentration
from plimsoll.analytics.liquidations import added
from plimsoll.errors import NoSuchData
from plimsoll.measures import carry, interest, options
from plimsoll.measures import liquidations as closed
from plimsoll.measures.consensus import grades as grades_of
from plimsoll.overview import SPAN, overview

if TYPE_CHECKING:
    from collections.abc import Callable

    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["Market", "market", "together"]

P = ParamSpec("P")
T = TypeVar("T")
_DAY = timedelta(days=1)
_FRESH = timedelta(days=7)
"""How much older than the newest a coin's open interest may be and still be added."""
_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)
_BELIEVED = ("A", "B")

_WHOLE: dict[str, Any] = {
    "time": pl.Datetime("us", "UTC"),
    "oldest": pl.Datetime("us", "UTC"),
    "coins": pl.Int64,
    "absent": pl.List(pl.String),
    "open_interest_usd": pl.Float64,
    "open_interest_change": pl.Float64,
    "exchanges": pl.Int64,
    "hhi": pl.Float64,
    "effective": pl.Float64,
    "believed": pl.Float64,
    "load": pl.Float64,
    "funding_apr": pl.Float64,
    "funding_spread": pl.Float64,
    "funding_at_cap": pl.Float64,
    "long_short": pl.Float64,
    "liquidated_long_usd": pl.Float64,
    "liquidated_short_usd": pl.Float64,
    "liquidated_long_most_usd": pl.Float64,
    "liquidated_short_most_usd": pl.Float64,
    "liquidated_completeness": pl.String,
    "bursts": pl.Int64,
    "put_call": pl.Float64,
}


class Market(NamedTuple):
    """The market: each coin, and all of them together.

    Attributes
    ----------
    coins : DataFrame
        What `Session.overview` returns.
    whole : DataFrame
        One row, of the coins whose open interest is not a week older than the newest: the newest
        `time` and the `oldest`, `coins` (how many), and `absent`, the others;
        `open_interest_usd`, and `open_interest_change` (of a day, as if each price had stood
        still); `exchanges`, with `hhi` and `effective` (how many equal ones would be as
        concentrated); `believed`, the share of open interest graded A or B; `load`, an estimate,
        as of a coin; `funding_apr` and `funding_spread` (highest less lowest market of a coin),
        both weighted by open interest, and `funding_at_cap`, the share of settlements of 30 days,
        the mean of markets whose cap is known; `long_short`, the median of coins;
        `liquidated_long_usd` to `liquidated_short_most_usd`, of a day, at least and at most, with
        the weakest `liquidated_completeness`; `bursts` of liquidations in that day; and
        `put_call`, puts over calls by the worth of what they are on. Null where nothing is known.
    """

    coins: pl.DataFrame
    whole: pl.DataFrame


def market(reader: Reader, asked: Asked) -> Market:
    """Return each coin and all together; see `Session.market`."""
    coins = overview(reader, asked)
    newest = coins["time"].max()
    fresh = pl.col("time") >= newest - _FRESH  # type: ignore[operator]
    known = coins.filter(fresh)
    row = {
        "absent": coins.filter(~fresh)["coin"].to_list(),
        **together(known),
        **_concentration(reader, known, asked),
        **_funding(reader, known, asked),
        **_liquidated(reader, known, asked),
        "put_call": _put_call(reader, known, asked),
    }
    return Market(coins, pl.DataFrame([row], schema=_WHOLE))


def together(coins: pl.DataFrame) -> dict[str, Any]:
    """Return the sums and means over coins of what `overview` says of each.

    Parameters
    ----------
    coins : DataFrame
        A row for each coin, not empty.

    Returns
    -------
    dict
        `time`, `oldest`, `coins`, `open_interest_usd`, `open_interest_change`, `funding_apr` and
        `load` (weighted by open interest) and `long_short` (median). What is not known of a coin
        is left out, of the weights as well.
    """
    left = pl.when(pl.col("open_interest_change") > -1).then(1 + pl.col("open_interest_change"))
    before = pl.col("open_interest_usd") / left
    now = pl.when(before.is_not_null()).then(pl.col("open_interest_usd")).sum()
    return coins.select(
        time=pl.col("time").max(),
        oldest=pl.col("time").min(),
        coins=pl.len(),
        open_interest_usd=_known(pl.col("open_interest_usd")),
        open_interest_change=pl.when(before.sum() > 0).then(now / before.sum() - 1),
        funding_apr=_weighted("funding_apr"),
        load=_weighted("load"),
        long_short=pl.col("long_short").median(),
    ).row(0, named=True)


def _known(value: pl.Expr) -> pl.Expr:
    """Return a sum that is null where nothing is known."""
    return pl.when(value.count() > 0).then(value.sum())


def _weighted(name: str) -> pl.Expr:
    weight = pl.when(pl.col(name).is_not_null()).then(pl.col("open_interest_usd"))
    return pl.when(weight.sum() > 0).then((pl.col(name) * weight).sum() / weight.sum())


def _concentration(reader: Reader, coins: pl.DataFrame, asked: Asked) -> dict[str, Any]:
    """Return over how many exchanges it is spread, and how much of it can be believed."""
    parts: list[pl.DataFrame] = []
    grades: list[pl.DataFrame] = []
    for coin, day in _days(coins, asked):
        divided, _ = interest.divided(reader, coin, "exchange", day, _HOUR)
        parts.append(divided.filter(pl.col("time") == pl.col("time").max()))
        graded = _or_none(grades_of, reader, coin, day, _HOUR)
        grades += [] if graded is None else [graded]
    held = pl.concat(parts).group_by("part").agg(pl.col("value_usd").sum())
    usd = held.filter(pl.col("value_usd") > 0)["value_usd"]
    spread = concentration(usd.to_numpy()) if len(usd) else None
    return {
        "exchanges": len(usd),
        "hhi": spread and spread.hhi,
        "effective": spread and spread.effective,
        "believed": _believed(grades),
    }


def _believed(grades: list[pl.DataFrame]) -> float | None:
    if not grades:
        return None
    good = pl.col("value_usd").filter(pl.col("grade").is_in(_BELIEVED)).sum()
    every = pl.concat(grades).select(good=good, every=pl.col("value_usd").sum()).row(0, named=True)
    return every["good"] / every["every"] if every["every"] else None


def _funding(reader: Reader, coins: pl.DataFrame, asked: Asked) -> dict[str, float | None]:
    """Return how far apart funding lies now, and how often it stood at its cap."""
    spreads: list[float | None] = []
    caps = []
    for (coin, day), last in zip(_days(coins, asked), coins["time"], strict=True):
        apart = _or_none(carry.dispersion, reader, coin, day, 8 * _HOUR)
        known = [] if apart is None else apart["spread"].drop_nulls().to_list()
        spreads.append(known[-1] if known else None)
        month = day._replace(since=last - SPAN)
        stood = _or_none(carry.persistence, reader, coin, month, by_year=False)
        caps += [] if stood is None else stood["at_cap"].drop_nulls().to_list()
    found = coins.with_columns(pl.Series("spread", spreads, dtype=pl.Float64))
    return {
        "funding_spread": found.select(_weighted("spread")).item(),
        "funding_at_cap": sum(caps) / len(caps) if caps else None,
    }


def _liquidated(reader: Reader, coins: pl.DataFrame, asked: Asked) -> dict[str, Any]:
    """Return what was closed by force in a day, by side, with its bounds, and the bursts."""
    sums, bursts = [], []
    for coin, day in _days(coins, asked):
        of_coin = _or_none(closed.liquidations, reader, coin, day, _HOUR, "market", whole=False)
        if of_coin is None:
            continue
        sums.append(of_coin)
        burst = _or_none(closed.bursts, reader, coin, day, _MINUTE, Rule())
        bursts += [] if burst is None else [burst.height]
    if not sums:
        return {}
    (row,) = added(pl.concat(sums, how="diagonal_relaxed")).iter_rows(named=True)
    ends = ("long_usd", "short_usd", "long_most_usd", "short_most_usd", "completeness")
    return {
        **{f"liquidated_{name}": row[name] for name in ends},
        "bursts": sum(bursts) if bursts else None,
    }


def _put_call(reader: Reader, coins: pl.DataFrame, asked: Asked) -> float | None:
    """Return puts over calls, by the worth of what they are on."""
    puts = calls = 0.0
    for coin, day in _days(coins, asked):
        said = _or_none(options.history, reader, coin, day, _HOUR, smiles=False)
        for row in () if said is None else said.tail(1).iter_rows(named=True):
            if None not in (row["price"], row["puts"], row["calls"]):
                puts += row["puts"] * row["price"]
                calls += row["calls"] * row["price"]
    return puts / calls if calls else None


def _days(coins: pl.DataFrame, asked: Asked) -> list[tuple[str, Asked]]:
    """Return each coin, and the question about the day before its newest open interest."""
    found = []
    for coin, last in coins.select("coin", "time").rows():
        end = last + _HOUR if asked.until is None else min(last + _HOUR, asked.until)
        found.append((coin, asked._replace(since=last - _DAY, until=end)))
    return found


def _or_none(question: Callable[P, T], *words: P.args, **named: P.kwargs) -> T | None:
    """Return an answer, None where nothing is stored or too little to compute it."""
    try:
        return question(*words, **named)
    except (NoSuchData, ValueError):
        return None
