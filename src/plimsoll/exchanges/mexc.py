"""MEXC: linear and inverse perpetual contracts.

Traps: sizes are contracts of `contractSize` coins, or dollars where the contract is inverse; the
`amount` of an inverse candle is coins. Since 2025-08-21 trades of one moment come merged, unless
asked otherwise. The mark is called fair price. The ticker's time is that of the last trade; the
answer about funding has the clock. An acknowledgement does not say what of. An error comes with
HTTP 200. Risk limits are in contracts, so that their notional moves with the price: no brackets.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
from plimsoll.exchanges.reading import (
    Acknowledged,
    Decoder,
    Listing,
    Refused,
    Request,
    decode,
    nanoseconds,
    number,
    positive,
)
from plimsoll.market import native
from plimsoll.market.events import BookLevel, Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Mexc"]

NAME = "mexc"
REST = "https://api.mexc.com/api/v1/contract"
SOCKET = "wss://contract.mexc.com/edge"  # it did not move with the requests
CATEGORIES: tuple[Literal["linear", "inverse"], ...] = ("linear", "inverse")
OLDEST = 1_577_836_800  # 2020-01-01, before its first contract
WINDOW = 2000 * 60  # seconds of candles in one answer
TOPIC = "sub.deal "

_ALL = {"open_interest": "ticker", "mark_price": "funding_rate", "funding": "funding_rate"}
_NAMED = re.compile(r"\[(\w+)\]")


class _Answer(Struct):
    success: bool
    code: int
    message: str = ""
    data: Any = None


class _Frame(Struct):
    channel: str
    symbol: str = ""
    data: Any = None


class _Deal(Struct):
    p: float
    v: float
    T: Literal[1, 2]
    t: int
    i: int


class Mexc(Exchange):
    """MEXC's linear and inverse perpetual contracts."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded"),
        "open_interest": Offer(poll=30, note="at the time of the last trade"),
        "mark_price": Offer(poll=30, note="without the last price"),
        "funding": Offer(poll=30, history="all", note="predicted; settled from history"),
        "candle": Offer(
            poll=4 * 3600, history="how far back is not said", note="without taker volume"
        ),
        "book_level": Offer(poll=60, completeness="sampled", note="20 levels of each side"),
    }
    limits = (Limit(name=NAME, amount=10, seconds=2),)  # of the strictest request
    ping = Ping(every=15, payload=b'{"method":"ping"}')
    most = 150

    def instruments(self) -> list[Request]:
        """Return what to ask for listings."""
        return [Request(kind="instrument", url=f"{REST}/detail", limit=NAME)]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each contract."""
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(url=SOCKET, topic=TOPIC + one.native, kinds=(kind,), symbol=one.symbol)
            for one in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return one frame for each contract, which asks for each trade by itself."""
        symbols = (channel.topic.removeprefix(TOPIC) for channel in channels)
        return [
            json.encode({"method": "sub.deal", "param": {"symbol": symbol, "compress": False}})
            for symbol in symbols
        ]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all contracts, or one for each."""
        if kind in _ALL:
            return [
                Poll(request=Request(kind=kind, url=f"{REST}/{_ALL[kind]}", limit=NAME), every=30)
            ]
        if kind == "candle":  # the answer is of the last 2000 minutes
            return [
                Poll(request=_of(kind, "kline/", one, interval="Min1"), every=4 * 3600, delay=5)
                for one in listings
            ]
        if kind == "book_level":
            return [
                Poll(request=_of(kind, "depth/", one, limit="20"), every=60) for one in listings
            ]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the newest page; the others follow backwards."""
        if kind == "funding":
            page = {"symbol": listing.native, "page_num": "1", "page_size": "1000"}
            request = _of(kind, "funding_rate/history", listing, **page)
            span = {"since": str(since), "until": str(until)}
        elif kind == "candle":
            first, last = max(since // SECOND, OLDEST), (until - 1) // SECOND
            window = {"start": str(max(first, last + 1 - WINDOW)), "end": str(last)}
            request = _of(kind, "kline/", listing, interval="Min1", **window)
            span = {"since": str(first)}
        else:
            raise Unsupported(NAME, kind, "has no history here")
        return replace(request, about={**request.about, **span})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the page before; None at the first moment asked for."""
        if "since" not in request.about:
            return None
        since = int(request.about["since"])
        if request.kind == "candle":
            first = int(request.query["start"])
            if first <= since:
                return None
            window = {"start": str(max(since, first - WINDOW)), "end": str(first - 1)}
            return replace(request, query={**request.query, **window})
        page = _data(payload)
        rows, current = page["resultList"], int(page["currentPage"])
        done = not rows or current >= int(page["totalPage"])
        if done or min(nanoseconds(row["settleTime"]) for row in rows) <= since:
            return None
        return replace(request, query={**request.query, "page_num": str(current + 1)})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Mexc()


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    return Request(
        kind=kind,
        url=f"{REST}/{path}" + (listing.native if path.endswith("/") else ""),
        query=query,
        limit=NAME,
        about={"category": listing.category, "native": listing.native},
    )


def _data(payload: bytes) -> Any:
    answer = decode(payload, _Answer)
    if not answer.success or answer.code != 0:
        raise ValueError(f"code {answer.code}: {answer.message}")
    return answer.data


def _price(row: dict[str, Any], name: str) -> float | None:
    """Return a price; None where there is none, which is written as zero."""
    return positive(row[name]) if number(row[name]) else None


class _Decoder(Decoder):
    exchange = NAME

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        match frame.channel:
            case "push.deal":
                listing = self.listing(frame.symbol, *CATEGORIES)
                deals = convert(frame.data, list[_Deal], strict=False)
                return [self._trade(deal, listing, received) for deal in deals]
            case "rs.sub.deal" if frame.data == "success":
                return [Acknowledged()]
            case "rs.error":
                named = _NAMED.search(frame.data)
                return [Refused(TOPIC + named[1] if named else "", frame.data)]
            case "pong":
                return []
        raise ValueError(f"unknown channel {frame.channel!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        data = _data(payload)
        if request.kind == "instrument":
            return [one for one in map(self._instrument, data) if one is not None]
        if "native" not in request.about:
            return [e for row in data for e in self._standing(row, received, request.kind)]
        listing = self.listing(request.about["native"], request.about["category"])
        if request.kind == "candle":
            return self._candles(data, listing, received)
        if request.kind == "book_level":
            return self._book(data, listing, received)
        since, until = int(request.about["since"]), int(request.about["until"])
        settled = (self._settled(row, listing, received) for row in data["resultList"])
        return [event for event in settled if since <= event.time < until]

    def _trade(self, deal: _Deal, listing: Listing, received: int) -> Trade:
        price = positive(deal.p)
        return Trade(
            **self.about(listing, nanoseconds(deal.t), received),
            id=deal.i,
            side="buy" if deal.T == 1 else "sell",
            price=price,
            amount=listing.instrument.amount(number(deal.v), price),
        )

    def _instrument(self, row: dict[str, Any]) -> Listing | None:
        quote, settle = row["quoteCoin"], row["settleCoin"]
        category: Literal["linear", "inverse"] = "linear" if quote == settle else "inverse"
        try:
            symbol = native.unified(NAME, row["symbol"], market=category)
        except UnknownSymbol:
            return None  # settled in a currency that has no unified name
        return Listing(
            native=row["symbol"],
            category=category,
            instrument=Instrument(
                exchange=NAME,
                symbol=symbol,
                contract_size=Decimal(str(row["contractSize"])),
                tick=Decimal(str(row["priceUnit"])),
            ),
        )

    def _standing(self, row: dict[str, Any], received: int, kind: str) -> list[Event]:
        found = (self.listings.get((category, row["symbol"])) for category in CATEGORIES)
        listing = next(filter(None, found), None)
        if listing is None:
            return []  # listed since we last asked, or not a contract
        about = self.about(listing, nanoseconds(row["timestamp"]), received)
        if kind == "funding":
            return [
                Funding(
                    **about,
                    rate=number(row["fundingRate"]),
                    interval_hours=positive(row["collectCycle"]),
                    status="predicted",
                    settles=nanoseconds(row["nextSettleTime"]),
                )
            ]
        mark = _price(row, "fairPrice")
        if kind == "mark_price":
            return [MarkPrice(**about, mark_price=mark, index_price=_price(row, "idxPrice"))]
        held = number(row["holdVol"]) * float(listing.instrument.contract_size)
        if listing.category == "inverse":  # contracts of dollars
            coins = held / mark if mark else None
            return [OpenInterest(**about, amount=coins, value_usd=held)]
        return [OpenInterest(**about, amount=held, value_usd=held * mark if mark else None)]

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = nanoseconds(row["settleTime"])
        about = self.about(listing, time, received)
        return Funding(**about, known_at=time, rate=number(row["fundingRate"]))

    def _candles(self, data: dict[str, Any], listing: Listing, received: int) -> list[Event]:
        names = ("time", "open", "high", "low", "close", "vol", "amount")
        size, inverse = float(listing.instrument.contract_size), listing.category == "inverse"
        made: list[Event] = []
        for second, *prices, contracts, turnover in zip(*(data[n] for n in names), strict=True):
            time = nanoseconds(second * 1000)
            if (end := time + MINUTE) > received:
                continue  # not over yet
            opened, high, low, close = (positive(price) for price in prices)
            traded, turned = number(contracts) * size, number(turnover)
            candle = Candle(
                **self.about(listing, time, received),
                known_at=end,
                interval=60,
                open=opened,
                high=high,
                low=low,
                close=close,
                volume=turned if inverse else traded,
                quote_volume=traded if inverse else turned,
            )
            made.append(candle)
        return made

    def _book(self, data: dict[str, Any], listing: Listing, received: int) -> list[Event]:
        about = self.about(listing, nanoseconds(data["timestamp"]), received)
        sides: tuple[tuple[Literal["bid", "ask"], Any], ...] = (
            ("bid", data["bids"]),
            ("ask", data["asks"]),
        )
        return [
            BookLevel(
                **about,
                side=side,
                level=level,
                price=(price := positive(row[0])),
                amount=listing.instrument.amount(number(row[1]), price),
            )
            for side, rows in sides
            for level, row in enumerate(rows)
        ]
