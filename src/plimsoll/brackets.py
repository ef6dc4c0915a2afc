"""What a store holds of maintenance: the brackets of a market by date, and how large positions are.

Sizes are those of wallets that can be read, of the market itself or else of its coin, known by a
moment. Without enough of them the brackets are applied as to the smallest position: how large those
of other markets are nobody publishes, and a guess would move the map by more than it mends.
"""

from __future__ import annotations

import math
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import polars as pl
from msgspec import structs

from plimsoll.analytics.carried import carried
from plimsoll.analytics.inventory import Parameters
from plimsoll.analytics.margins import admitted, smallest
from plimsoll.analytics.sizes import sizes
from plimsoll.errors import NoSuchData
from plimsoll.market.instrument import Brackets
from plimsoll.market.symbols import Symbol
from plimsoll.store.catalogue import Catalogue

if TYPE_CHECKING:
    from datetime import datetime

    from plimsoll.analytics.margins import Sizes
    from plimsoll.store.reader import Reader

    Span = tuple[datetime, datetime]
    Seen = tuple[datetime, datetime, datetime | None]
    Market = tuple[str, str]

__all__ = ["measured", "priors"]


def priors(reader: Reader, market: Market, span: Span, seen: Seen) -> Parameters:
    """Return the priors of a market's map, with its settlement, brackets and sizes.

    Parameters
    ----------
    reader : Reader
    market : (str, str)
        Exchange and symbol.
    span : (datetime, datetime)
        Of the first and the last bar: which brackets count. Before the first that are stored the
        rate is the prior's, for all sizes.
    seen : (datetime, datetime, datetime or None)
        Since when and until when wallets count, and `as_of`.

    Returns
    -------
    priors : Parameters
        Without the leverages that the first brackets forbid. Of the others, a weight is lower the
        more of the dollars are too large for it.

    Raises
    ------
    ValueError
        If the first brackets forbid every leverage.
    """
    inverse = Symbol.parse(market[1]).settlement == "inverse"
    assumed = Parameters(settlement="inverse" if inverse else "linear")
    with closing(Catalogue(reader.layout, read_only=True)) as catalogue:
        known = catalogue.brackets(*market, span[0])
        later = catalogue.changes(*market, *span)
    if known is None:
        if not later:
            return assumed
        rate = smallest(assumed.maintenance)
        known = Brackets.build(*market, span[0], [(math.inf, rate, 1 / rate)])
    measured = _sizes(reader, market, seen, inverse=inverse)
    return _allowed(assumed, _changes([known, *later], measured), measured)


def measured(
    reader: Reader, positions: pl.DataFrame, market: Market, prior: Parameters
) -> pl.DataFrame:
    """Return the positions to learn a market's distances from.

    Parameters
    ----------
    reader : Reader
    positions : DataFrame
        Rows of the `position` table, of its coin.
    market : (str, str)
        Exchange and symbol.
    prior : Parameters
        Of that market.

    Returns
    -------
    DataFrame
        Its own where it has any; else all of them, as its brackets would liquidate them.
    """
    own = positions.filter(exchange=market[0], symbol=market[1])
    if not own.is_empty():
        return own
    sources = positions.group_by("exchange", "symbol").agg(pl.col("time").min()).rows()
    with closing(Catalogue(reader.layout, read_only=True)) as catalogue:
        known = {one[:2]: catalogue.brackets(*one) for one in sources}
    return carried(positions, {one: table for one, table in known.items() if table}, prior)


def _changes(tables: list[Brackets], measured: Sizes | None) -> tuple[Brackets, ...]:
    """Return brackets without those that change nothing."""

    def told(one: Brackets) -> object:
        first = one.brackets[0]
        return one.brackets if measured else (first.maintenance_rate, first.max_leverage)

    kept = tables[:1]
    for one in tables[1:]:
        if told(one) != told(kept[-1]):
            kept.append(one)
    return tuple(kept)


def _allowed(
    assumed: Parameters, tables: tuple[Brackets, ...], measured: Sizes | None
) -> Parameters:
    """Return the priors with brackets, without the leverages that the first of them forbid."""
    mix = dict(zip(assumed.leverage, assumed.weights, strict=True))
    first = tables[0].brackets[0]
    margin = {tier: 1 / tier > first.maintenance_rate for tier in mix}
    mix = {tier: w for tier, w in mix.items() if margin[tier] and tier <= first.max_leverage}
    mix = _whole(mix, tables[0])
    chosen = structs.replace(
        assumed,
        maintenance=tables,
        sizes=measured,
        leverage=tuple(mix),
        weights=tuple(mix.values()),
    )
    shares = zip(mix.items(), admitted(chosen).tolist(), strict=True)
    mix = _whole({tier: w * share for (tier, w), share in shares if share}, tables[0])
    return structs.replace(chosen, leverage=tuple(mix), weights=tuple(mix.values()))


def _whole(mix: dict[float, float], table: Brackets) -> dict[float, float]:
    total = math.fsum(mix.values())
    if not total:
        raise ValueError(
            f"the brackets of {table.exchange} {table.symbol} since {table.since:%Y-%m-%d} allow "
            "none of the leverages of the priors"
        )
    return {tier: weight / total for tier, weight in mix.items()}


def _sizes(reader: Reader, market: Market, seen: Seen, *, inverse: bool) -> Sizes | None:
    """Return the sizes measured in this market, or else in all markets of the coin."""
    exchange, symbol = market
    coin = symbol.split("/")[0]
    found = []
    for series in reader.series("position", []):
        if series.symbol.split("/")[0] == coin:
            with suppress(NoSuchData):
                found.append(_positions(reader, series.exchange, series.symbol, seen))
    if not found:
        return None
    rows = pl.concat(found)
    own = rows.filter(exchange=exchange, symbol=symbol)
    return sizes(rows if own.is_empty() else own, "inverse" if inverse else "linear")


def _positions(reader: Reader, exchange: str, symbol: str, seen: Seen) -> pl.DataFrame:
    since, until, as_of = seen
    return reader.read(
        "position",
        exchanges=[exchange],
        symbol=symbol,
        since=since,
        until=until,
        as_of=until if as_of is None else min(as_of, until),
    )
