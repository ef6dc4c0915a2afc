"""What a market last traded at, as stored, and which spot market it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from plimsoll.market.symbols import Symbol
from plimsoll.measures.asking import rows_of

if TYPE_CHECKING:
    from plimsoll.measures.asking import Asked
    from plimsoll.store.reader import Reader

__all__ = ["closes", "spot_markets", "spot_of"]

_DOLLARS = ("USDT", "USDC", "USD")
"""Quotes in which a dollar is a dollar, those most traded first."""
_PRICE = {"time": pl.Datetime("us", "UTC"), "price": pl.Float64()}


def closes(reader: Reader, exchange: str, symbol: str, asked: Asked) -> pl.DataFrame:
    """Return last prices, `price`, at the `time` from which each was known.

    Closes of candles of any length; where a market has none, the mark prices of each minute.
    """
    until = pl.col("time") <= asked.until if asked.until is not None else pl.lit(value=True)
    here = asked._replace(exchanges=[exchange])
    if reader.series("candle", [exchange], symbol):
        rows = rows_of(reader, "candle", symbol, here)
        made = (
            rows.filter(pl.col("price_kind") == "trade")
            .sort("interval")
            .select(time=pl.col("time") + pl.duration(seconds="interval"), price="close")
        )
    elif reader.series("mark_price", [exchange], symbol):
        rows = rows_of(reader, "mark_price", symbol, here)
        minute = pl.col("time").dt.offset_by("59999999us").dt.truncate("1m")
        last = rows.drop_nulls("mark_price").sort("time", descending=True)
        made = last.select(time=minute, price="mark_price")
    else:
        return pl.DataFrame(schema=_PRICE)
    return made.unique("time", keep="first", maintain_order=True).filter(until).sort("time")


def spot_markets(reader: Reader, coin: str, exchanges: list[str]) -> list[tuple[str, str]]:
    """Return exchange and symbol of each spot market of a coin in dollars, as stored."""
    found = []
    for kind in ("candle", "mark_price"):
        for series in reader.series(kind, exchanges):
            base, _, quote = series.symbol.partition("/")
            if base == coin and quote in _DOLLARS:
                found.append((series.exchange, series.symbol))
    return sorted(set(found), key=lambda one: (one[0], _DOLLARS.index(one[1].split("/")[1])))


def spot_of(reader: Reader, exchange: str, symbol: str) -> str | None:
    """Return the spot market beside a contract: in its own quote, else in another dollar."""
    contract = Symbol.parse(symbol)
    held = [name for _, name in spot_markets(reader, contract.base, [exchange])]
    own = f"{contract.base}/{contract.quote}"
    return own if own in held else next(iter(held), None)
