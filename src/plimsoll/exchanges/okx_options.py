"""Options of OKX, for `okx`: their trades as they happen, and what makes up a chain of quotes.

Traps: prices are coins for one coin; sizes are contracts, of `ctVal` × `ctMult` coins each. One
channel brings the trades of all options of a family and does not tell block trades, which have a
channel of their own 15 minutes late, so that where a trade was made is unknown. What it sends first
may be the trade before, once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert

from plimsoll.exchanges.base import Channel
from plimsoll.exchanges.reading import known, nanoseconds, number, picked, positive
from plimsoll.market import native
from plimsoll.market.events import OptionQuote, Trade
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plimsoll.exchanges.reading import Decoder, Listing

__all__ = [
    "CHAIN",
    "FAMILIES",
    "OPTION",
    "TRADES",
    "channels",
    "families",
    "quote",
    "summary",
    "trades",
]

OPTION: Literal["OPTION"] = "OPTION"
FAMILIES = ("BTC-USD", "ETH-USD")
"""Whose options are asked for."""
TRADES = "option-trades"
CHAIN = ("public/opt-summary", "market/tickers", "public/open-interest")
"""What tells the options of a family: no one answer tells it all."""


class _Print(Struct):
    instId: str
    tradeId: int
    px: str
    sz: str
    side: Literal["buy", "sell"]
    ts: str


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
    for one in convert(rows, list[_Print], strict=False):
        listing = decoder.listings.get((OPTION, one.instId))
        if listing is None:
            symbol = native.unified(decoder.exchange, one.instId, market="option")
            if Symbol.parse(symbol).kind != "option":
                raise ValueError(f"{one.instId} is no option")
            continue
        found.append(
            Trade(
                **decoder.about(listing, nanoseconds(one.ts), received),
                id=one.tradeId,
                side=one.side,
                price=positive(one.px),
                amount=positive(one.sz) * float(listing.instrument.contract_size),
            )
        )
    return found


# Each reads one row of an answer, given what every event says.


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
