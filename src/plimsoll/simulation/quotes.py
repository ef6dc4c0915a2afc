"""What the option exchange of a simulated market publishes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from plimsoll.simulation.columns import scaled, times
from plimsoll.simulation.market import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from plimsoll.simulation.market import Chunk, Market

    Floats = NDArray[np.float64]

__all__ = ["option_trades", "quotes"]

_MINUTE = 60_000_000
_TICK = 1e-6


def quotes(market: Market, chunk: Chunk) -> tuple[str, pl.DataFrame]:
    """Return the quotes of the option market."""
    rows, lot = chunk.quotes, float(market.law.option_lot)
    mark, spread = rows["mark"], np.maximum(0.0005, 0.02 * rows["mark"])
    interest = scaled(rows["open_interest"], lot)
    volume = scaled(rows["volume"], lot)
    rounded: dict[str, Callable[[], Floats]] = {
        "underlying_price": lambda: np.round(rows["forward"], 4),
        "index_price": lambda: np.round(rows["index"], 4),
        "bid_price": lambda: np.round(np.maximum(mark - spread, 0), 4),
        "ask_price": lambda: np.round(mark + spread, 4),
        "mark_price": lambda: np.round(mark, 6),
        "mark_iv": lambda: np.round(rows["iv"], 4),
        "open_interest": lambda: interest,
        "open_interest_usd": lambda: np.round(interest * rows["index"], 2),
        "volume": lambda: volume,
        "volume_usd": lambda: np.round(volume * rows["index"] * mark, 2),
        "delta": lambda: np.round(rows["delta"], 5),
        "gamma": lambda: np.round(rows["gamma"], 10),
        "vega": lambda: np.round(rows["vega"], 5),
        "theta": lambda: np.round(rows["theta"], 5),
    }
    frame = pl.DataFrame(
        {
            "exchange": pl.repeat(market.scenario.options.name, len(rows), eager=True),
            "symbol": symbols(market, rows),
            "time": times(rows["minute"] * _MINUTE),
            **{name: column() for name, column in rounded.items()},
        }
    )
    return "option_quote", frame.sort("time", "symbol")


def option_trades(market: Market, chunk: Chunk) -> tuple[str, pl.DataFrame]:
    """Return the trades of options: clients are the takers, the writers their makers."""
    rows = chunk.option_trades
    frame = pl.DataFrame(
        {
            "exchange": pl.repeat(market.scenario.options.name, len(rows), eager=True),
            "symbol": symbols(market, rows),
            "time": times(rows["minute"] * _MINUTE),
            "id": trade_ids(rows),
            "side": np.where(rows["lots"] > 0, "buy", "sell"),
            "price": np.maximum(np.round(rows["price"], 6), _TICK),
            "amount": scaled(np.abs(rows["lots"]), float(market.law.option_lot)),
            "grain": pl.repeat("single", len(rows), eager=True),
            "origin": pl.repeat("screen", len(rows), eager=True),
        }
    )
    return "trade", frame.sort("time", "id")


def symbols(market: Market, rows: NDArray[np.void]) -> pl.Series:
    """Return the unified symbol of each row's option."""
    coin = market.coin.name
    expiry = {int(e): f"{EPOCH + timedelta(minutes=int(e)):%y%m%d}" for e in set(rows["expiry"])}
    names = [
        f"{coin}/USD:{coin}-{expiry[int(e)]}-{strike:.10g}-{'P' if put else 'C'}"
        for e, strike, put in zip(rows["expiry"], rows["strike"], rows["is_put"], strict=True)
    ]
    return pl.Series(names, dtype=pl.String)


def trade_ids(rows: NDArray[np.void]) -> pl.Series:
    """Return numbers for option trades: by minute, then as they came in it."""
    starts = np.flatnonzero(np.diff(rows["minute"], prepend=-1))
    sizes = np.diff(np.append(starts, len(rows)))
    within = np.arange(len(rows)) - np.repeat(starts, sizes)
    return pl.Series(rows["minute"] * 100_000 + within, dtype=pl.Int64)
