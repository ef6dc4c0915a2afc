"""Options of OKX, for `okx`: their trades as they happen, and what makes up a chain of quotes.

Traps: prices are coins for one coin; sizes are contracts, of `ctVal` × `ctMult` coins each. One
channel brings the trades of all options of a family and does not tell block trades, which have a
channel of their own 15 minutes late, so that where a trade was made is unknown. What it sends first
may be the trade before, once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert
from msgspec.structs import replace

from plimsoll.exchanges.base import Channel
from plimsoll.exchanges.reading import known, nanoseconds, number, picked, positive
from plimsoll.market import native
from plimsoll.market.events import OptionQuote, Trade
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.exchanges.reading import Decoder, Listing, Request

__all__ = [
    "CHAIN",
    "FAMILIES",
    "OPTION",
    "PAST",
    "TRADES",
    "channels",
    "families",
    "older",
    "quote",
    "summary",
    "trade",
    "trades",
]

OPTION: Literal["OPTION"] = "OPTION"
FAMILIES = ("BTC-USD", "ETH-USD")
"""Whose options are asked for."""
TRADES, PAST = "option-trades", "market/history-trades"
"""The channel of trades, and where those of one option are asked for."""
CHAIN = ("public/opt-summary", "market/tickers", "public/open-interest")
"""What tells the options of a family: no one answer tells it all."""


class _Print(Struct):
    tradeId: int
    px: str
    sz: str
    side: Literal["buy", "sell"]


def families(listings: Sequence[Listing]) -> list[str]:
    """Return the families, ``BTC-USD``, of which options are listed."""
    options = (one.native.split("-") for one in listings if one.category == OPTION)
    return sorted({"-".join(parts[:2]) for parts in options})


def channels(socket: str, listings: Sequence[Listing]) -> list[Channel]:
    """Return one channel of trades for each family."""
    return [
        Channel(url=socket, topic=f"{TRADES}:{family}", kinds=("trade",))
        for family in families(listings)
    ]


def trades(decoder: Decoder, rows: Any, received: int) -> list[Trade]:
    """Return trades; those of an option listed a moment ago are passed over."""
    found = []
    for row in convert(rows, list[dict[str, Any]]):
        listing = decoder.listings.get((OPTION, row["instId"]))
        if listing is None:
            symbol = native.unified(decoder.exchange, row["instId"], market="option")
            if Symbol.parse(symbol).kind != "option":
                raise ValueError(f"{row['instId']} is no option")
            continue
        about = decoder.about(listing, nanoseconds(row["ts"]), received)
        found.append(trade(row, listing, about))
    return found


def older(request: Request, rows: list[Any]) -> Request | None:
    """Return the request for the page before one of an option's past trades."""
    last = int(request.query["after"])
    if len(rows) < int(request.query["limit"]):
        return None
    oldest = min(int(row["ts"]) for row in rows)
    if oldest <= int(request.about["newer"]):
        return None
    # A page may end within a millisecond, which is asked for again unless it filled the page.
    return replace(request, query={**request.query, "after": str(min(oldest + 1, last - 1))})


# Each reads one row of an answer or frame, given what every event says.


def trade(row: Any, listing: Listing, about: dict[str, Any]) -> Trade:
    """Return a trade, its price in coin."""
    one = convert(row, _Print, strict=False)
    amount = positive(one.sz) * float(listing.instrument.contract_size)
    return Trade(**about, id=one.tradeId, side=one.side, price=positive(one.px), amount=amount)


def summary(row: Any, _listing: Listing, about: dict[str, Any]) -> OptionQuote:
    """Return volatilities and greeks."""
    # Zero means none: no option has a volatility, or a forward, of zero.
    levels = {"bid_iv": "bidVol", "ask_iv": "askVol", "mark_iv": "markVol"}
    levels["underlying_price"] = "fwdPx"
    about |= {ours: number(row[theirs] or 0) or None for ours, theirs in levels.items()}
    greeks = ("delta", "gamma", "vega", "theta")
    # Those of Black and Scholes are in dollars; the plain ones are in coin.
    about |= {ours: known({ours: row[f"{ours}BS"]}, ours) for ours in greeks}
    return OptionQuote(**about)


def quote(row: Any, listing: Listing, about: dict[str, Any]) -> OptionQuote:
    """Return prices in coin, and sizes."""
    size = float(listing.instrument.contract_size)
    counted = picked(row, {"bid_amount": "bidSz", "ask_amount": "askSz", "volume": "vol24h"})
    about |= {ours: None if value is None else value * size for ours, value in counted.items()}
    about |= picked(row, {"bid_price": "bidPx", "ask_price": "askPx", "last_price": "last"})
    return OptionQuote(**about)
