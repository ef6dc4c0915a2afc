"""Exchanges: what to ask each, and what its messages say. One file each; no input, no output."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from plimsoll.errors import Unsupported

if TYPE_CHECKING:
    from plimsoll.exchanges.base import Exchange

__all__ = ["EXCHANGES", "exchange"]

EXCHANGES = {
    "binance": "plimsoll.exchanges.binance",
    "bybit": "plimsoll.exchanges.bybit",
    "okx": "plimsoll.exchanges.okx",
    "deribit": "plimsoll.exchanges.deribit",
    "bitget": "plimsoll.exchanges.bitget",
    "gate": "plimsoll.exchanges.gate",
    "hyperliquid": "plimsoll.exchanges.hyperliquid",
    "kraken": "plimsoll.exchanges.kraken",
    "htx": "plimsoll.exchanges.htx",
    "dydx": "plimsoll.exchanges.dydx",
    "kucoin": "plimsoll.exchanges.kucoin",
    "coinbase": "plimsoll.exchanges.coinbase",
    "mexc": "plimsoll.exchanges.mexc",
    "bingx": "plimsoll.exchanges.bingx",
    "defillama": "plimsoll.exchanges.defillama",
    "cftc": "plimsoll.exchanges.cftc",
}
"""Each exchange's module, whose `EXCHANGE` it is; imported on first use."""


def exchange(name: str) -> Exchange:
    """Return an exchange.

    Raises
    ------
    ValueError
        If there is none of that name.
    Unsupported
        If it is one that is read through ccxt, of which there is nothing but history.
    """
    if name.startswith("ccxt:"):
        raise Unsupported(name, "what is not history", "is not read through ccxt")
    if name not in EXCHANGES:
        raise ValueError(f"unknown exchange {name!r}; known: {', '.join(EXCHANGES)}")
    found: Exchange = import_module(EXCHANGES[name]).EXCHANGE
    return found
