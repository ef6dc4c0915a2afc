"""dYdX: the perpetuals of its fourth version, by the indexer of its chain.

Traps: a liquidation is a trade of type ``LIQUIDATED``, whose side is the forced order's, so that a
sale ends a long; ``DELEVERAGED`` is a trade too, past the book, and no liquidation. There is no
mark price: margin goes by the oracle's. Markets come without a time, so that our clock stands in
for the exchange's. ``baseOpenInterest`` is not what stands open now. Open interest of the past is
in the candles. Money is USDC, taken as dollars.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Poll
from plimsoll.exchanges.reading import (
    MILLISECOND,
    Acknowledged,
    Decoder,
    Listing,
    Refused,
    Request,
    decode,
    known,
    nanoseconds,
    number,
    positive,
)
from plimsoll.market import native
from plimsoll.market.events import (
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Dydx"]

NAME = "dydx"
REST = "https://indexer.dydx.trade/v4"
SOCKET = "wss://indexer.dydx.trade/v4/ws"
CATEGORY = "perpetual"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAGES = {
    "trades": ("createdAt", "createdBeforeOrAt"),
    "historicalFunding": ("effectiveAt", "effectiveBeforeOrAt"),
    "candles": ("startedAt", "toISO"),
}
"""Which field of a row is its time, and which parameter asks for older rows."""
_ID = re.compile(r"[0-9a-f]{24}")
_NAMED = re.compile(r"\((v4_[a-z_]+)-(.+)\)")


class _Frame(Struct):
    type: str
    channel: str = ""
    id: str = ""
    contents: Any = None
    message: str = ""


class _Print(Struct):
    id: str
    side: Literal["BUY", "SELL"]
    size: str
    price: str
    createdAt: str
    # Another type would be of unknown meaning: a liquidation under a new name, perhaps.
    type: Literal[
        "LIMIT",
        "MARKET",
        "STOP_LIMIT",
        "STOP_MARKET",
        "TAKE_PROFIT",
        "TAKE_PROFIT_MARKET",
        "TRAILING_STOP",
        "TWAP_SUBORDER",
        "LIQUIDATED",
        "DELEVERAGED",
    ]


class _Trades(Struct):
    trades: list[_Print]


class Dydx(Exchange):
    """dYdX's perpetuals."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, history="all", checked="recorded", note="with liquidations"),
        "liquidation": Offer(
            stream=True, history="all", note="trades of type LIQUIDATED; deleveraging is none"
        ),
        "open_interest": Offer(
            poll=30,
            history="all",
            checked="recorded",
            note="stamped with our clock; history: what a candle starts with",
        ),
        "mark_price": Offer(
            poll=30, checked="recorded", note="the oracle's price; stamped with our clock"
        ),
        "funding": Offer(
            poll=30, history="all", checked="recorded", note="hourly; predicted and settled"
        ),
        "candle": Offer(poll=60, history="all", checked="recorded", note="without taker volume"),
    }
    limits = (Limit(name=NAME, amount=100, seconds=10),)
    most = 32  # subscriptions to one kind of channel; more are refused, and again: cut off

    def instruments(self) -> list[Request]:
        """Return what to ask for listings and brackets, which one answer holds."""
        return [_request("instrument", "perpetualMarkets")]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument; trades and liquidations share it."""
        if kind not in {"trade", "liquidation"}:
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(
                url=SOCKET,
                topic=f"v4_trades/{listing.native}",
                kinds=("trade", "liquidation"),
                symbol=listing.symbol,
            )
            for listing in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return a frame for each channel."""
        split = [channel.topic.split("/", 1) for channel in channels]
        return [json.encode({"type": "subscribe", "channel": c, "id": name}) for c, name in split]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all markets; for candles, one each."""
        if kind in {"open_interest", "mark_price", "funding"}:
            return [Poll(request=_request(kind, "perpetualMarkets"), every=30)]
        if kind == "candle":
            query = {"resolution": "1MIN", "limit": "3"}
            asked = [_of(kind, "candles/perpetualMarkets", one, **query) for one in listings]
            return [Poll(request=request, every=60, delay=5) for request in asked]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the newest; the others follow backwards."""
        last = _iso(until - MILLISECOND)
        if kind in {"trade", "liquidation"}:
            path, query = "trades/perpetualMarket", {"createdBeforeOrAt": last, "limit": "1000"}
        elif kind == "funding":
            path, query = "historicalFunding", {"effectiveBeforeOrAt": last, "limit": "100"}
        elif kind in {"candle", "open_interest"}:
            path = "candles/perpetualMarkets"
            resolution = "1MIN" if kind == "candle" else "5MINS"
            query = {"fromISO": _iso(since), "toISO": _iso(until), "limit": "1000"}
            query["resolution"] = resolution
        else:
            raise Unsupported(NAME, kind, "has no history here")
        request = _of(kind, path, listing, **query)
        return replace(request, about={**request.about, "since": str(since)})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page, older than the oldest row; None after a page that is not full."""
        if "since" not in request.about:
            return None
        answer = decode(payload, dict[str, Any])
        name = next((name for name in _PAGES if name in answer), "")
        (stamp, before), rows = _PAGES[name], answer[name]
        if len(rows) < int(request.query["limit"]):
            return None
        times, since = [_time(row[stamp]) for row in rows], int(request.about["since"])
        oldest = min(times)
        if oldest < since or (oldest == since and name != "trades"):
            return None
        # Trades of one block have one time: the oldest is asked for again, lest a page cut it.
        again = name == "candles" or (name == "trades" and oldest < max(times))
        until = oldest if again else oldest - MILLISECOND
        return replace(request, query={**request.query, before: _iso(until)})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Dydx()


def _request(kind: str, path: str, **query: str) -> Request:
    return Request(kind=kind, url=f"{REST}/{path}", query=query, limit=NAME)


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    made = _request(kind, f"{path}/{listing.native}", **query)
    return replace(made, about={"native": listing.native})


def _iso(time: int) -> str:
    """Return UTC nanoseconds as the indexer writes them, in milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=time // MILLISECOND)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _time(text: str) -> int:
    """Return a time that the indexer writes, in nanoseconds."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is of no time zone")
    millis, rest = divmod((moment - _EPOCH) // timedelta(microseconds=1), 1000)
    return nanoseconds(millis) + rest * 1000


class _Decoder(Decoder):
    exchange = NAME

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        if frame.type in {"connected", "unsubscribed", "pong"}:
            return []
        if frame.type == "error":
            return [_refused(frame)]
        if frame.channel != "v4_trades":
            raise ValueError(f"unknown channel {frame.channel!r}")
        listing = self.listing(frame.id, CATEGORY)
        match frame.type:
            case "subscribed":  # with the latest trades, which close what a lost socket left open
                events = self._trades([frame.contents], listing, received)
                return [Acknowledged((f"v4_trades/{frame.id}",)), *events]
            case "channel_data":
                return self._trades([frame.contents], listing, received)
            case "channel_batch_data":
                return self._trades(frame.contents, listing, received)
            case _:
                raise ValueError(f"unknown type {frame.type!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        if "native" not in request.about:
            return self._markets(decode(payload, dict[str, Any])["markets"], received, request)
        listing = self.listing(request.about["native"], CATEGORY)
        if request.kind in {"trade", "liquidation"}:
            told = self._trades([decode(payload, dict[str, Any])], listing, received)
            wanted = Liquidation if request.kind == "liquidation" else Trade
            return [event for event in told if isinstance(event, wanted)]
        makers: dict[str, tuple[str, Callable[[Any, Listing, int], Event | None]]] = {
            "funding": ("historicalFunding", self._settled),
            "candle": ("candles", self._candle),
            "open_interest": ("candles", self._started),
        }
        name, make = makers[request.kind]
        made = (make(row, listing, received) for row in decode(payload, dict[str, Any])[name])
        return [event for event in made if event is not None]

    def _trades(self, contents: list[Any], listing: Listing, received: int) -> list[Event]:
        """Return trades, and beside each that was forced its liquidation."""
        found: list[Event] = []
        for one in (one for some in contents for one in convert(some, _Trades).trades):
            about = self.about(listing, _time(one.createdAt), received)
            price, amount = positive(one.price), positive(one.size)
            side: Literal["buy", "sell"] = "buy" if one.side == "BUY" else "sell"
            # Block, transaction and event in hexadecimal: the last 60 bits tell those of a block
            # apart, and the time tells the block.
            if not _ID.fullmatch(one.id):
                raise ValueError(f"{one.id!r} is no number of a trade")
            last = int(one.id[-15:], 16)
            found.append(Trade(**about, id=last, side=side, price=price, amount=amount))
            if one.type == "LIQUIDATED":
                found.append(
                    Liquidation(
                        **about,
                        side="long" if side == "sell" else "short",
                        price=price,
                        amount=amount,
                        value_usd=price * amount,
                        price_kind="fill",
                        completeness="complete",
                        id=one.id,
                    )
                )
        return found

    def _markets(self, markets: dict[str, Any], received: int, request: Request) -> list[Any]:
        if request.kind == "instrument":
            found = (_listed(row, received) for row in markets.values())
            return [item for pair in found for item in pair]
        make = {"open_interest": _interest, "mark_price": _mark, "funding": _predicted}
        made = [
            make[request.kind](row, self.about(listing, received, received))
            for name, row in markets.items()
            if (listing := self.listings.get((CATEGORY, name))) is not None
        ]
        return [event for event in made if event is not None]

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = _time(row["effectiveAt"])
        return Funding(
            **self.about(listing, time, received),
            known_at=time,
            rate=number(row["rate"]),
            interval_hours=1,
        )

    def _candle(self, row: dict[str, Any], listing: Listing, received: int) -> Candle | None:
        time = _time(row["startedAt"])
        if row["resolution"] != "1MIN":
            raise ValueError(f"a candle of {row['resolution']!r}")
        if (end := time + MINUTE) > received:
            return None  # not over yet
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=positive(row["open"]),
            high=positive(row["high"]),
            low=positive(row["low"]),
            close=positive(row["close"]),
            volume=number(row["baseTokenVolume"]),
            quote_volume=number(row["usdVolume"]),
            trades=convert(row["trades"], int),
        )

    def _started(self, row: dict[str, Any], listing: Listing, received: int) -> OpenInterest:
        """Return what stood open when a candle began."""
        time, held = _time(row["startedAt"]), number(row["startingOpenInterest"])
        return OpenInterest(**self.about(listing, time, received), amount=held)


def _refused(frame: _Frame) -> Refused:
    if frame.channel and frame.id:
        return Refused(f"{frame.channel}/{frame.id}", frame.message)
    named = _NAMED.search(frame.message)
    return Refused("/".join(named.groups()) if named else "", frame.message)


def _listed(row: dict[str, Any], received: int) -> list[Listing | Brackets]:
    """Return a market and its one bracket: only the initial margin grows with what stands open."""
    try:
        symbol = native.unified(NAME, row["ticker"], market="linear")
    except UnknownSymbol:
        return []  # named by its place on a chain
    if row["status"] == "FINAL_SETTLEMENT":
        return []
    listing = Listing(
        native=row["ticker"],
        category=CATEGORY,
        instrument=Instrument(exchange=NAME, symbol=symbol, tick=Decimal(row["tickSize"])),
        interval_hours=1,
        turnover_usd=known(row, "volume24H"),
    )
    maintenance = positive(row["maintenanceMarginFraction"])
    most = 1 / positive(row["initialMarginFraction"])
    since = datetime.fromtimestamp(received // 1_000_000_000, tz=UTC)
    return [listing, Brackets.build(NAME, symbol, since, [(math.inf, maintenance, most)])]


def _oracle(row: dict[str, Any]) -> float | None:
    """Return the oracle's price; None where a market is too new to have one."""
    return None if row["oraclePrice"] is None else positive(row["oraclePrice"])


def _interest(row: dict[str, Any], about: dict[str, Any]) -> OpenInterest:
    held, price = number(row["openInterest"]), _oracle(row)
    return OpenInterest(**about, amount=held, value_usd=None if price is None else held * price)


def _mark(row: dict[str, Any], about: dict[str, Any]) -> MarkPrice | None:
    price = _oracle(row)
    return None if price is None else MarkPrice(**about, mark_price=price, index_price=price)


def _predicted(row: dict[str, Any], about: dict[str, Any]) -> Funding:
    rate = number(row["nextFundingRate"])
    return Funding(**about, rate=rate, interval_hours=1, status="predicted")
