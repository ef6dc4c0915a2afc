"""Quotes and trades of options as stored, a month at a time, so that no more is held."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from plimsoll.analytics.chain import BOOK, FORGOTTEN
from plimsoll.errors import NoSuchData
from plimsoll.market.symbols import Symbol, family
from plimsoll.measures.asking import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["STALE", "last_known", "opening", "pieces", "quotes", "traded", "trades"]

STALE = timedelta(hours=12)
"""How old a quote may be to stand for the present: chains are collected every few hours."""
_MARKET = ("exchange", "symbol")
_IS_OPTION = pl.col("symbol").str.contains(r"-[CP]$")


def pieces(reader: Reader, market: str, asked: Asked) -> list[tuple[datetime, datetime]]:
    """Return the months in which quotes are stored, the last cut at the end of what is asked.

    Raises
    ------
    NoSuchData
        If no quote of an option is stored.
    ValueError
        If the market is one option.
    """
    if "/" in market and Symbol.parse(market).kind == "option":
        raise ValueError(f"{market} is one option; ask for its coin, or for {family(market)}")
    spans = [
        reader.span("option_quote", [series.exchange], series.symbol)
        for series in reader.series("option_quote", asked.exchanges)
        if market in {series.symbol, series.symbol.split("/")[0]}
    ]
    known = [span for span in spans if span is not None]
    if not known:
        raise NoSuchData(f"no quote of an option on {market} is stored")
    first, last = min(span[0] for span in known), max(span[1] for span in known)
    return _cut(first, last, asked.until)


def quotes(
    reader: Reader, market: str, asked: Asked, since: datetime, until: datetime
) -> pl.DataFrame:
    """Return quotes that were fresh, or missed, in a stretch, and known in it or before."""
    stretch = asked._replace(since=since - FORGOTTEN * STALE, until=until)
    rows = rows_of(reader, "option_quote", market, stretch)
    return rows.filter(pl.coalesce("known_at", "time") < until)


def last_known(reader: Reader, market: str, asked: Asked) -> datetime:
    """Return when the newest quote was known.

    Raises
    ------
    NoSuchData
        If there is none in the span asked about.
    """
    for since, until in reversed(pieces(reader, market, asked)):
        rows = quotes(reader, market, asked, since, until)
        found: datetime | None = rows.select(pl.coalesce("known_at", "time").max()).item()
        if found is not None:
            return found
    raise NoSuchData(f"no quote of an option on {market} is stored in that span of time")


def trades(reader: Reader, chain: pl.DataFrame, asked: Asked) -> pl.DataFrame | None:
    """Return trades of options in the markets of a chain, None where none is stored."""
    found = list(traded(reader, chain.select(BOOK).unique().sort(BOOK).iter_rows(), asked))
    whole = pl.concat(found) if found else None
    return whole if whole is not None and whole.height else None


def traded(
    reader: Reader, books: Iterable[tuple[str, ...]], asked: Asked
) -> Iterator[pl.DataFrame]:
    """Yield trades of options, a month of one market at a time.

    Parameters
    ----------
    reader : Reader
    books : iterable of tuple of str
        Exchange and name of each family of options.
    asked : Asked
        Its end and `as_of` count.
    """
    for exchange, symbol in books:
        span = reader.span("trade", [exchange], symbol)
        for since, until in () if span is None else _cut(*span, asked.until):
            rows = reader.read(
                "trade",
                exchanges=[exchange],
                symbol=symbol,
                since=since,
                until=until,
                as_of=asked.as_of,
            )
            yield rows.filter(_IS_OPTION)


def opening(reader: Reader, market: str, asked: Asked, told: pl.DataFrame) -> pl.DataFrame:
    """Return what stood open of each option when trades began to be seen on its exchange.

    The newest quote by then tells it; of an option that had none yet, the first one after.

    Parameters
    ----------
    reader : Reader
    market : str
    asked : Asked
    told : DataFrame
        Trades of options.

    Returns
    -------
    DataFrame
        `exchange`, `symbol`, `opening` (base units).
    """
    began = told.group_by("exchange").agg(began=pl.col("time").min())
    first = told.select(pl.col("time").min()).item()
    nearest = pl.DataFrame()
    for since, until in pieces(reader, market, asked):
        if until <= first:
            continue
        rows = quotes(reader, market, asked, since, until)
        found = (
            rows.filter(pl.col("open_interest").is_not_null())
            .join(began, on="exchange")
            .select(
                *_MARKET,
                pl.col("open_interest").alias("opening"),
                after=pl.col("time") > pl.col("began"),
                gap=(pl.col("time") - pl.col("began")).abs(),
            )
        )
        nearest = pl.concat([nearest, found] if nearest.height else [found])
        nearest = nearest.sort("after", "gap").unique(_MARKET, keep="first")
    return nearest.select(*_MARKET, "opening")


def _cut(
    first: datetime, last: datetime, until: datetime | None
) -> list[tuple[datetime, datetime]]:
    """Return the months of a span that begins with one, cut at the end of what is asked."""
    starts = pl.datetime_range(first, last, "1mo", closed="left", eager=True).to_list()
    end = last if until is None else min(last, until)
    return [
        (start, min(after, end))
        for start, after in zip(starts, [*starts[1:], last], strict=True)
        if start < end
    ]
