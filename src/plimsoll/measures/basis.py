"""Dated and perpetual futures against spot, as stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics import basis
from plimsoll.analytics.fair_value import fair_values
from plimsoll.errors import NoSuchData
from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import rows_of, since
from plimsoll.measures.prices import closes, spot_of

if TYPE_CHECKING:
    from datetime import datetime

    from plimsoll.measures.asking import Asked
    from plimsoll.store.layout import Series
    from plimsoll.store.reader import Reader

__all__ = ["fair_value", "term_structure"]

STALE = timedelta(hours=8)
_DAY = timedelta(days=1)
_LATELY = timedelta(days=32)
_QUOTE = {
    "time": pl.Datetime("us", "UTC"),
    "known_at": pl.Datetime("us", "UTC"),
    "exchange": pl.String(),
    "symbol": pl.String(),
    "price": pl.Float64(),
    "spot": pl.Float64(),
    "source": pl.String(),
}


def term_structure(
    reader: Reader, market: str, asked: Asked, every: timedelta | None, band: float
) -> pl.DataFrame:
    """Return curves of dated futures; see `Session.basis`."""
    if every is None:
        asked = asked._replace(since=_lately(reader, market, asked))
    dated = _quotes_of_futures(reader, market, asked)
    told = _quotes_of_options(reader, market, asked)
    quotes = pl.concat([dated, told.join(dated, on=["exchange", "symbol"], how="anti")])
    if not quotes.height:
        raise NoSuchData(
            f"no dated future of {market} is stored, nor an option that says its forward; "
            "name a coin, or a contract without its expiry"
        )
    if every is None:
        return basis.structure(basis.latest(quotes, STALE), band)
    return basis.structure(basis.on_grid(quotes, every, STALE), band)


def _stored(reader: Reader, market: str, asked: Asked) -> list[Series]:
    """Return the series that tell of dated futures of the coin, or contract, asked for."""
    found = []
    for kind in ("mark_price", "candle", "option_quote"):
        for series in reader.series(kind, asked.exchanges):
            name, _, expiry = series.symbol.partition("-")
            wanted = market == (name if "/" in market else name.split("/")[0])
            if wanted and (expiry or kind == "option_quote"):
                found.append(series)
    return found


def _lately(reader: Reader, market: str, asked: Asked) -> datetime | None:
    """Return from when on rows matter if only each exchange's newest are wanted."""
    if asked.since is not None:
        return asked.since
    ends: dict[str, datetime] = {}
    for series in _stored(reader, market, asked):
        span = reader.span(series.kind, [series.exchange], series.symbol)
        if span is not None:
            ends[series.exchange] = max(span[1], ends.get(series.exchange, span[1]))
    known = [end for end in (asked.until, asked.as_of, *ends.values()) if end is not None]
    return min(known) - _LATELY if known else None


def _quotes_of_futures(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    parts = [pl.DataFrame(schema=_QUOTE)]
    stored = _stored(reader, market, asked)
    dated = {(s.exchange, s.symbol) for s in stored if s.kind != "option_quote"}
    for exchange, symbol in sorted(dated):
        parts.append(_beside_spot(reader, exchange, symbol, asked))
    return pl.concat(parts)


def _beside_spot(reader: Reader, exchange: str, symbol: str, asked: Asked) -> pl.DataFrame:
    found = _marks(reader, exchange, symbol, asked)
    if not found.height:
        found = _trades(reader, exchange, symbol, asked)
    return found.select(list(_QUOTE))


def _marks(reader: Reader, exchange: str, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return mark prices with the index of the same moment."""
    if not reader.series("mark_price", [exchange], symbol):
        return pl.DataFrame(schema=_QUOTE)
    rows = rows_of(reader, "mark_price", symbol, asked._replace(exchanges=[exchange]))
    return rows.drop_nulls(["mark_price", "index_price"]).with_columns(
        price="mark_price", spot="index_price", source=pl.lit("mark")
    )


def _trades(reader: Reader, exchange: str, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return closes, with those of spot on the same exchange at the same moment."""
    last = closes(reader, exchange, symbol, asked)
    spot = spot_of(reader, exchange, symbol)
    if spot is None:
        beside = last.select("time", spot=pl.lit(None, dtype=pl.Float64))
    else:
        beside = closes(reader, exchange, spot, asked).rename({"price": "spot"})
    return last.join(beside, on="time", how="left").with_columns(
        exchange=pl.lit(exchange),
        symbol=pl.lit(symbol),
        known_at="time",
        source=pl.lit("trade"),
    )


def _quotes_of_options(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return the forward of each expiry that the exchange prices its options on."""
    parts = [pl.DataFrame(schema=_QUOTE)]
    chains = [s for s in _stored(reader, market, asked) if s.kind == "option_quote"]
    for series in chains:
        here = asked._replace(exchanges=[series.exchange])
        rows = rows_of(reader, "option_quote", series.symbol, here)
        whole = rows.drop_nulls(["underlying_price", "index_price"])
        future = pl.col("symbol").str.extract(r"^([^-]+-\d{6})-")
        ratio = pl.col("underlying_price") / pl.col("index_price")
        parts.append(
            whole.group_by("time", "exchange", symbol=future)
            .agg(
                known_at=pl.col("known_at").max(),
                price=pl.col("underlying_price").median(),
                spot=pl.col("underlying_price").median() / ratio.median(),
            )
            .with_columns(source=pl.lit("option"))
            .select(list(_QUOTE))
        )
    return pl.concat(parts).sort("exchange", "symbol", "time")


def fair_value(
    reader: Reader, market: str, asked: Asked, every: timedelta, rate: float | None
) -> pl.DataFrame:
    """Return how far perpetuals lie from what is fair; see `Session.fair_value`."""
    start = None if asked.since is None else asked.since - STALE
    quotes = _quotes_of_perpetuals(reader, market, asked._replace(since=start))
    known = since(basis.on_grid(quotes, every, STALE), asked.since)
    if not known.height:
        raise NoSuchData(
            f"no perpetual of {market} is stored with its index, or with spot, in that span of time"
        )
    if rate is not None:
        return fair_values(known.with_columns(cost=pl.lit(rate)))
    cost = _costs(reader, market.split("/", maxsplit=1)[0], asked)
    return fair_values(known.sort("time").join_asof(cost, on="time", tolerance=_DAY))


def _quotes_of_perpetuals(reader: Reader, market: str, asked: Asked) -> pl.DataFrame:
    """Return prices of perpetuals that settle in their coin or quote, beside the index or spot."""
    held = {
        (series.exchange, series.symbol)
        for kind in ("mark_price", "candle")
        for series in reader.series(kind, asked.exchanges)
        if market in {series.symbol, series.symbol.split("/")[0]}
    }
    parts = [pl.DataFrame(schema=_QUOTE)]
    for exchange, symbol in sorted(held):
        contract = Symbol.parse(symbol)
        if contract.kind == "perpetual" and contract.settlement != "quanto":
            parts.append(_beside_spot(reader, exchange, symbol, asked))
    return pl.concat(parts)


def _costs(reader: Reader, coin: str, asked: Asked) -> pl.DataFrame:
    """Return what holding a coin costs, by day: the median log basis of 30 days of all curves."""
    start = None if asked.since is None else asked.since - 2 * _DAY
    anywhere = asked._replace(exchanges=[], since=start)
    try:
        curves = term_structure(reader, coin, anywhere, _DAY, basis.BAND)
    except NoSuchData:
        return pl.DataFrame(schema={"time": pl.Datetime("us", "UTC"), "cost": pl.Float64})
    month = curves.filter((pl.col("kind") == "constant") & (pl.col("maturity") == "30d"))
    return month.drop_nulls("log").group_by("time").agg(cost=pl.col("log").median()).sort("time")
