"""Options of Deribit's engine, and its index of their volatility, for `deribit`.

Traps: prices of options settled in coin are coins for one coin, and amounts are coins; one channel
brings the trades of all options of a settlement currency, those arranged outside the book and legs
of combinations too. Volatilities are percent. The index's history comes newest first, and the end
of the next page is in the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import convert
from msgspec.structs import replace

from plimsoll.exchanges.deribit_trades import Print
from plimsoll.exchanges.reading import Listing, known, nanoseconds, number, picked, positive
from plimsoll.market import native
from plimsoll.market.events import Trade, VolatilityIndex
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plimsoll.exchanges.reading import Decoder, Request

__all__ = [
    "INDEX",
    "OPTION",
    "TRADES",
    "index",
    "index_history",
    "indices",
    "older",
    "price",
    "quoted",
    "summarized",
    "topics",
    "trades",
]

OPTION, INDEX = "option", "index"
TRADES = "trades.option."
"""How the channels of trades of all options begin."""
_INDICES = {"btc_usd": "BTC", "eth_usd": "ETH"}
"""Indices of volatility, and of which coin they are."""
_GREEKS = ("delta", "gamma", "vega", "theta", "rho")


def indices(exchange: str, listed: Iterable[Listing]) -> list[Listing]:
    """Return the indices of volatility of those coins whose options are listed."""
    coins = {one.coin for one in listed if one.category == OPTION}
    return [
        Listing(
            native=name,
            category=INDEX,
            instrument=Instrument(exchange=exchange, symbol=coin),
            is_market=False,
        )
        for name, coin in _INDICES.items()
        if coin in coins
    ]


def topics(listing: Listing) -> list[tuple[str, tuple[str, ...]]]:
    """Return the topics of an option or an index, and the kinds that each brings."""
    if listing.category == INDEX:
        return [(f"deribit_volatility_index.{listing.native}", ("volatility_index",))]
    currency = listing.instrument.parts.settle
    return [
        (f"{TRADES}{currency}.100ms", ("trade",)),
        (f"ticker.{listing.native}.agg2", ("option_quote",)),
    ]


def trades(decoder: Decoder, rows: Any, received: int) -> list[Trade]:
    """Return trades; those of an option listed a moment ago are passed over."""
    found = []
    for one in convert(rows, list[Print]):
        listing = decoder.listings.get((OPTION, one.instrument_name))
        if listing is None:
            symbol = native.unified(decoder.exchange, one.instrument_name)
            if Symbol.parse(symbol).kind != OPTION:
                raise ValueError(f"{one.instrument_name} is no option")
            continue
        found.append(
            Trade(
                **decoder.about(listing, nanoseconds(one.timestamp), received),
                id=one.number,
                side=one.direction,
                price=positive(one.price),
                amount=positive(one.amount),
                origin=one.origin,
            )
        )
    return found


def index(decoder: Decoder, row: dict[str, Any], received: int) -> VolatilityIndex:
    """Return what an index is now."""
    listing = decoder.listing(row["index_name"], INDEX)
    about = decoder.about(listing, nanoseconds(row["timestamp"]), received)
    return VolatilityIndex(**about, value=positive(row["volatility"]) / 100)


def index_history(
    decoder: Decoder, rows: list[Any], received: int, request: Request
) -> list[VolatilityIndex]:
    """Return what an index was at the end of each minute that is over."""
    listing, found = decoder.listing(request.about["native"], INDEX), []
    for start, _open, _high, _low, close in rows:
        if (end := nanoseconds(start) + MINUTE) <= received:
            about = decoder.about(listing, end, received)
            found.append(VolatilityIndex(**about, known_at=end, value=positive(close) / 100))
    return found


def older(request: Request, result: dict[str, Any]) -> Request | None:
    """Return the request for the page before one of an index's history."""
    if (end := result["continuation"]) is None:
        return None
    start, last = (int(request.query[f"{name}_timestamp"]) for name in ("start", "end"))
    query = {**request.query, "end_timestamp": str(int(end))}
    return replace(request, query=query) if start <= int(end) < last else None


def price(row: dict[str, Any], name: str) -> float | None:
    """Return a price, None where the exchange says that there is none."""
    value = row[name]
    return None if value is None else positive(value)


def quoted(row: dict[str, Any]) -> dict[str, Any]:
    """Return an option's market from its ticker."""
    found: dict[str, Any] = {}
    for side in ("bid", "ask"):
        if best := number(row[f"best_{side}_price"]):  # zero is none, and so is what follows
            found |= {f"{side}_price": best, f"{side}_iv": _percent(row, f"{side}_iv")}
            found[f"{side}_amount"] = known(row, f"best_{side}_amount")
    return {
        **found,
        **_priced(row, "last_price"),
        **picked(row["greeks"], {name: name for name in _GREEKS}),
        **picked(row["stats"], {"volume": "volume", "volume_usd": "volume_usd"}),
        "index_price": price(row, "index_price"),
    }


def summarized(row: dict[str, Any]) -> dict[str, Any]:
    """Return an option's market from a book summary."""
    return {
        **_priced(row, "last"),
        **picked(row, {"volume": "volume", "volume_usd": "volume_usd"}),
        "bid_price": known(row, "bid_price") or None,  # zero is no bid
        "ask_price": known(row, "ask_price") or None,
    }


def _priced(row: dict[str, Any], last: str) -> dict[str, Any]:
    return {
        "underlying_price": price(row, "underlying_price"),
        "mark_price": number(row["mark_price"]),
        "last_price": price(row, last),
        "mark_iv": _percent(row, "mark_iv"),
        "open_interest": number(row["open_interest"]),
    }


def _percent(row: dict[str, Any], name: str) -> float | None:
    value = known(row, name)
    return None if value is None else value / 100
