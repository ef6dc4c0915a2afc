"""Binance's options, and how it lists them and its other markets, for `binance`.

Traps: prices and sizes are of contracts, and a contract is more than one coin for cheap coins
(100 XRP), while the Greeks are of one coin; what nobody bids is written 0, its volatility -1; the
answers with marks and with tickers bear no time, so that the time of receipt stands in.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert

from plimsoll.errors import UnknownSymbol
from plimsoll.exchanges.base import Channel, Poll
from plimsoll.exchanges.reading import Listing, Request, known, nanoseconds, number, positive
from plimsoll.market import native
from plimsoll.market.events import OptionQuote, Origin, Trade
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plimsoll.exchanges.reading import Decoder

__all__ = [
    "LIMIT",
    "NAME",
    "NOTE",
    "chain",
    "channels",
    "instruments",
    "listed",
    "polls",
    "rows",
    "trade",
]

NAME = "binance"
LIMIT = "binance-options"
CATEGORY: Literal["option"] = "option"
REST = "https://eapi.binance.com/eapi/v1"
SOCKET = "wss://fstream.binance.com"
EXPIRES = time(8, tzinfo=UTC)
NOTE = (
    "stream: whole chains each second, their open interest each minute; polls: stamped on receipt, "
    "marks, tickers and open interest in rows of their own"
)

_SIZES = {"inverse": "contractSize", CATEGORY: "unit"}
_ORIGINS: dict[str | None, Origin] = {"MARKET": "screen", "BLOCK": "block"}


class _Fill(Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    X: Literal["MARKET", "BLOCK"] | None = None


def instruments() -> list[Request]:
    """Return what to ask for listings."""
    return [_request("instrument", "exchangeInfo")]


def channels(kind: str, listings: Sequence[Listing]) -> list[Channel]:
    """Return one channel for each underlying, and one for each of its expiries."""
    if kind == "trade":
        names = [f"{underlying}@optionTrade" for underlying in _underlyings(listings)]
        return [_channel("public", name, kind) for name in names]
    marks = [f"{underlying}@optionMarkPrice" for underlying in _underlyings(listings)]
    interest = {
        f"{parts.base}{parts.quote}".lower() + f"@optionOpenInterest@{parts.expiry:%y%m%d}"
        for parts in (listing.instrument.parts for listing in listings)
    }
    return [_channel("market", name, kind) for name in (*marks, *sorted(interest))]


def polls(listings: Sequence[Listing]) -> list[Poll]:
    """Return what a chain is made of: marks, tickers, and the open interest of each expiry."""
    expiries = {
        (parts.base, f"{parts.expiry:%y%m%d}")
        for parts in (listing.instrument.parts for listing in listings)
    }
    requests = [
        _request("option_quote", "mark", weight=5),
        _request("option_quote", "ticker", weight=5),
        *(
            _request("option_quote", "openInterest", underlyingAsset=base, expiration=day)
            for base, day in sorted(expiries)
        ),
    ]
    return [Poll(request=request, every=300) for request in requests if listings]


def listed(row: dict[str, Any], market: str) -> Listing | None:
    """Return a listing of any market; None for what is not traded, or has no unified name."""
    if row["contractStatus" if market == "inverse" else "status"] != "TRADING":
        return None
    try:
        symbol = native.unified(NAME, row["symbol"], market=market)  # type: ignore[arg-type]
    except UnknownSymbol:
        return None
    size = Decimal(str(row[_SIZES[market]])) if market in _SIZES else Decimal(1)
    steps = (one["tickSize"] for one in row["filters"] if one["filterType"] == "PRICE_FILTER")
    tick = Decimal(next(steps, "0")) / (size if market == CATEGORY else 1)
    instrument = Instrument(
        exchange=NAME, symbol=symbol, contract_size=size, tick=tick if tick > 0 else None
    )
    base, quote = instrument.parts.base, instrument.parts.quote
    if base != row.get("baseAsset", base) or quote != row["quoteAsset"]:
        return None  # a name that can be read in two ways
    return Listing(native=row["symbol"], category=market, instrument=instrument)


def trade(decoder: Decoder, data: dict[str, Any], received: int) -> Trade:
    """Return a trade; its price is made that of one coin."""
    one = convert(data, _Fill, strict=False)
    listing = decoder.listing(one.s, CATEGORY)
    size = float(listing.instrument.contract_size)
    return Trade(
        **decoder.about(listing, nanoseconds(one.T), received),
        id=one.t,
        side="sell" if one.m else "buy",  # m: the buyer was the maker
        price=positive(one.p) / size,
        amount=positive(one.q) * size,
        origin=_ORIGINS.get(one.X),
    )


def chain(decoder: Decoder, data: list[dict[str, Any]], received: int) -> list[OptionQuote]:
    """Return what a frame says of many options; one listed a moment ago is passed over."""
    makers: dict[str, Callable[[dict[str, Any], float], dict[str, Any]]] = {
        "markPrice": _streamed,
        "openInterest": lambda row, size: {
            "open_interest": number(row["o"]) * size,
            "open_interest_usd": number(row["h"]),
        },
    }
    return [
        OptionQuote(
            **decoder.about(listing, nanoseconds(row["E"]), received),
            **makers[row["e"]](row, float(listing.instrument.contract_size)),
        )
        for row in data
        if (listing := decoder.listings.get((CATEGORY, row["s"]))) is not None
    ]


def rows(
    decoder: Decoder, found: list[dict[str, Any]], received: int, request: Request
) -> list[OptionQuote]:
    """Return what an answer to one of the polls says."""
    path = request.url.rpartition("/")[2]
    quotes = []
    for row in found:
        listing = decoder.listings.get((CATEGORY, row["symbol"]))
        if listing is None:
            continue
        moment = nanoseconds(row["timestamp"]) if path == "openInterest" else received
        size = float(listing.instrument.contract_size)
        if path == "mark":
            values = _mark(row, size)
        elif path == "ticker":
            values = _ticker(row, size) | {"index_price": _index(row, listing, received)}
        else:
            values = {
                "open_interest": number(row["sumOpenInterest"]) * size,
                "open_interest_usd": number(row["sumOpenInterestUsd"]),
            }
        quotes.append(OptionQuote(**decoder.about(listing, moment, received), **values))
    return quotes


def _request(kind: str, path: str, weight: int = 1, **query: str) -> Request:
    return Request(
        kind=kind,
        url=f"{REST}/{path}",
        query=query,
        limit=LIMIT,
        weight=weight,
        about={"category": CATEGORY},
    )


def _channel(route: str, topic: str, kind: str) -> Channel:
    return Channel(url=f"{SOCKET}/{route}/stream", topic=topic, kinds=(kind,))


def _underlyings(listings: Sequence[Listing]) -> list[str]:
    parts = (listing.instrument.parts for listing in listings)
    return sorted({f"{one.base}{one.quote}".lower() for one in parts})


def _quoted(text: Any, size: float = 1.0) -> float | None:
    """Return a price, or a volatility; nothing is quoted where Binance writes 0 or -1."""
    value = number(text)
    return value / size if value > 0 else None


def _streamed(row: dict[str, Any], size: float) -> dict[str, Any]:
    return {
        "index_price": _quoted(row["i"]),
        "mark_price": number(row["mp"]) / size,
        "bid_price": _quoted(row["bo"], size),
        "bid_amount": number(row["bq"]) * size,
        "ask_price": _quoted(row["ao"], size),
        "ask_amount": number(row["aq"]) * size,
        "bid_iv": _quoted(row["b"]),
        "ask_iv": _quoted(row["a"]),
        "mark_iv": _quoted(row["vo"]),
        "delta": number(row["d"]),
        "theta": number(row["t"]),
        "gamma": number(row["g"]),
        "vega": number(row["v"]),
    }


def _mark(row: dict[str, Any], size: float) -> dict[str, Any]:
    return {
        "mark_price": number(row["markPrice"]) / size,
        "bid_iv": _quoted(row["bidIV"]),
        "ask_iv": _quoted(row["askIV"]),
        "mark_iv": _quoted(row["markIV"]),
        "delta": number(row["delta"]),
        "theta": number(row["theta"]),
        "gamma": number(row["gamma"]),
        "vega": number(row["vega"]),
    }


def _ticker(row: dict[str, Any], size: float) -> dict[str, Any]:
    return {
        "bid_price": _quoted(row["bidPrice"], size),
        "ask_price": _quoted(row["askPrice"], size),
        "last_price": _quoted(row["lastPrice"], size),
        "volume": number(row["volume"]) * size,
        "volume_usd": number(row["amount"]),
    }


def _index(row: dict[str, Any], listing: Listing, received: int) -> float | None:
    """Return the index; in the hour before expiry an estimate of the settlement has its place."""
    expiry, now = listing.instrument.parts.expiry, datetime.fromtimestamp(received // SECOND, UTC)
    if expiry is None or now >= datetime.combine(expiry, EXPIRES) - timedelta(hours=1):
        return None
    value = known(row, "exercisePrice")
    return value or None
