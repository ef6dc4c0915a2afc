"""What leverage cost, and what carrying it earned, as stored."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

import polars as pl

from plimsoll.analytics import carry as earned
from plimsoll.analytics import funding as cost
from plimsoll.analytics import funding_venues as venues
from plimsoll.analytics import persistence as lasting
from plimsoll.analytics.carry import Leg
from plimsoll.errors import NoSuchData
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import rows_of, since
from plimsoll.measures.prices import closes, spot_markets, spot_of

if TYPE_CHECKING:
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["arbitrage", "carry", "dispersion", "funding", "persistence", "weighted_funding"]

STALE = timedelta(hours=2)
Weight = Literal["open_interest", "volume"]
_ARBITRAGE = {
    **dict.fromkeys(("long", "short"), pl.String()),
    **dict.fromkeys(("since", "until"), pl.Datetime("us", "UTC")),
    "days": pl.Float64(),
    **dict.fromkeys(("settlements", "missing"), pl.Int64()),
    **dict.fromkeys(("rates", "funding", "basis", "fees", "net"), pl.Float64()),
    "reason": pl.String(),
}


def funding(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return what each settlement cost; see `Session.funding`."""
    settled = _settled(reader, market, asked._replace(since=None))
    return since(cost.history(settled), asked.since)


def persistence(reader: Reader, market: str, asked: Asked, *, by_year: bool) -> pl.DataFrame:
    """Return how long funding stays as it is; see `Session.funding_persistence`."""
    settled = cost.settlement_interval(_settled(reader, market, asked._replace(since=None)))
    return lasting.persistence(since(settled, asked.since), by_year=by_year)


def dispersion(reader: Reader, market: str, asked: Asked, step: timedelta) -> pl.DataFrame:
    """Return how far apart markets' funding lies; see `Session.funding_dispersion`."""
    settled = cost.settlement_interval(_settled(reader, market, asked._replace(since=None)))
    return since(venues.dispersion(settled, step), asked.since)


def weighted_funding(
    reader: Reader, market: str, asked: Asked, step: timedelta, weight: Weight = "open_interest"
) -> pl.DataFrame:
    """Return annual funding weighted by open interest or volume; see `Session.weighted_funding`."""
    whole = asked._replace(since=None)
    settled = cost.settlement_interval(_settled(reader, market, whole))
    if weight == "open_interest":
        held = rows_of(reader, "open_interest", market, whole)
        return since(venues.oi_weighted(settled, held, step, STALE), asked.since)
    traded = venues.turnover(rows_of(reader, "candle", market, whole))
    weighted = venues.volume_weighted(settled, traded, step, timedelta(days=1))
    return since(weighted, asked.since)


def _settled(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    rows = rows_of(reader, "funding", market, asked)
    settled = rows.filter(pl.col("status") == "settled")
    if not rows.height:
        raise NoSuchData(f"no funding of {market} is stored in that span of time")
    if not settled.height:
        raise NoSuchData(f"no settled funding is stored for {market}, only predictions")
    return settled


def carry(
    reader: Reader,
    market: tuple[str, str],
    spot: str | None,
    asked: Asked,
    fees: dict[str, float],
) -> pl.DataFrame:
    """Return what cash and carry earned up to each settlement; see `Session.carry`."""
    exchange, symbol = market
    spot = spot or spot_of(reader, exchange, symbol)
    if spot is None:
        coin = Symbol.parse(symbol).base
        raise NoSuchData(
            f"no spot market of {coin} in dollars is stored on {exchange}: import its candles"
        )
    bought = _leg(reader, (exchange, spot), asked, fees)
    made = earned.carry(bought, _leg(reader, market, asked, fees))
    if not made.height:
        raise NoSuchData(f"{symbol} and {spot}: {earned.outcome(made)['reason']}")
    return made


def arbitrage(reader: Reader, coin: str, asked: Asked, fees: dict[str, float]) -> pl.DataFrame:
    """Return what each pair of markets earned; see `Session.arbitrage`."""
    spots = [(one, True) for one in spot_markets(reader, coin, asked.exchanges)]
    contracts = _perpetuals(reader, coin, asked)
    longs = [one for one, priced in [*spots, *contracts] if priced]
    rows: list[dict[str, object]] = []

    @cache
    def found(market: tuple[str, str]) -> Leg:
        return _leg(reader, market, asked, fees)

    for short, priced in contracts:
        if not priced:
            rows.append({"short": " ".join(short), "reason": earned.UNPRICED})
            continue
        for long in longs:
            if long != short and found(long).kind in {"spot", found(short).kind}:
                names = {"long": " ".join(long), "short": " ".join(short)}
                made = earned.carry(found(long), found(short))
                rows.append(names | earned.outcome(made))
    if not contracts:
        raise NoSuchData(f"no funding of a perpetual of {coin} is stored")
    if not rows:
        raise NoSuchData(f"a pair needs two markets of {coin}: import candles of spot, or another")
    return pl.DataFrame(rows, schema=_ARBITRAGE).sort("net", descending=True, nulls_last=True)


def _perpetuals(reader: Reader, coin: str, asked: Asked) -> list[tuple[tuple[str, str], bool]]:
    """Return exchange and symbol of each perpetual with funding, and whether it has prices."""
    found = []
    for series in reader.series("funding", asked.exchanges):
        if not series.symbol.startswith(f"{coin}/"):
            continue
        if Symbol.parse(series.symbol).settlement != "quanto":
            kinds = ("candle", "mark_price")
            held = any(reader.series(k, [series.exchange], series.symbol) for k in kinds)
            found.append(((series.exchange, series.symbol), held))
    return found


def _leg(reader: Reader, market: tuple[str, str], asked: Asked, fees: dict[str, float]) -> Leg:
    exchange, symbol = market
    contract = Symbol.parse(symbol)
    prices = closes(reader, exchange, symbol, asked)
    if contract.kind == "spot":
        none = pl.DataFrame(schema=_SETTLED)
        return Leg("spot", prices, none, fees["spot"])
    if contract.kind != "perpetual" or contract.settlement == "quanto":
        raise ValueError(f"{symbol} is no perpetual settled in its own coin or quote")
    rows = _settled(reader, symbol, asked._replace(exchanges=[exchange]))
    settled = cost.settlement_interval(rows).select(list(_SETTLED))
    kind: Literal["linear", "inverse"] = "inverse" if contract.settlement == "inverse" else "linear"
    return Leg(kind, prices, settled, fees["perpetual"])


_SETTLED = {
    "time": pl.Datetime("us", "UTC"),
    "rate": pl.Float64(),
    "interval_hours": pl.Float64(),
}
