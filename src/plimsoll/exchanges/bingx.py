"""BingX: linear perpetual contracts, in USDT and USDC.

Traps: sizes are coins, but open interest is dollars. Trades have no number, so that the place
among those of one millisecond stands for it. The answer about marks and funding says no time, so
that the moment of receipt stands for it; its `updateTime` is the last settlement, and its
`nextFundingTime` a moment, not the time left that the documentation has it be. The server's ping is
the bare word. Inverse contracts are left out: their list wants our time in the request, and what
one contract is, is documented nowhere. So is the book: its unit has changed.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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
    Reply,
    Request,
    decode,
    nanoseconds,
    number,
    positive,
)
from plimsoll.market import native
from plimsoll.market.events import Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "BingX"]

NAME = "bingx"
REST = "https://open-api.bingx.com/openApi/swap"
SOCKET = "wss://open-api-swap.bingx.com/swap-market"
CATEGORY: native.Market = "linear"
OLDEST = 1_577_836_800_000  # 2020-01-01, before its first contract
ONLINE = 1
REMEMBERED = 64
"""Milliseconds in which trades are counted, should they come out of order."""

_PATHS = {
    "instrument": "v2/quote/contracts",
    "mark_price": "v2/quote/premiumIndex",
    "funding": "v2/quote/premiumIndex",
    "open_interest": "v2/quote/openInterest",
    "candle": "v3/quote/klines",
}
# A page is a window of milliseconds that no answer can overflow: so many rows at most.
_WINDOWS = {"funding": (1000, 1000 * 3_600_000), "candle": (1440, 1440 * 60_000)}


class _Answer(Struct):
    code: int
    msg: str = ""
    data: Any = None


class _Frame(Struct):
    code: int
    id: str = ""
    msg: str = ""
    dataType: str = ""
    data: Any = None


class _Print(Struct):
    s: str
    T: int
    p: str
    q: str
    m: bool


class BingX(Exchange):
    """BingX's linear perpetual contracts."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, note="without numbers: the place in the millisecond is one"),
        "open_interest": Offer(poll=300, note="in dollars only"),
        "mark_price": Offer(poll=30, note="stamped on receipt; without the last price"),
        "funding": Offer(
            poll=30,
            history="how far back is not said",
            note="predicted, stamped on receipt; settled from history",
        ),
        "candle": Offer(
            poll=60, history="how far back is not said", note="without quote and taker volume"
        ),
    }
    limits = (Limit(name=NAME, amount=500, seconds=10),)

    def instruments(self) -> list[Request]:
        """Return what to ask for listings."""
        return [_request("instrument")]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each contract."""
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(url=SOCKET, topic=f"{one.native}@trade", kinds=(kind,), symbol=one.symbol)
            for one in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return one frame for each topic, named so that the answer tells which."""
        topics = (channel.topic for channel in channels)
        return [json.encode({"id": one, "reqType": "sub", "dataType": one}) for one in topics]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all contracts, or one for each."""
        if kind in {"mark_price", "funding"}:
            return [Poll(request=_request(kind), every=30)]
        if kind == "open_interest":
            return [Poll(request=_of(kind, one), every=300) for one in listings]
        if kind == "candle":
            return [
                Poll(request=_of(kind, one, interval="1m", limit="3"), every=60, delay=2)
                for one in listings
            ]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the newest window; the others follow backwards."""
        if kind not in _WINDOWS:
            raise Unsupported(NAME, kind, "has no history here")
        most, span = _WINDOWS[kind]
        first, last = max(since // MILLISECOND, _listed(listing)), until // MILLISECOND - 1
        window = {"startTime": str(max(first, last + 1 - span)), "endTime": str(last)}
        interval = {"interval": "1m"} if kind == "candle" else {}
        request = _of(kind, listing, limit=str(most), **interval, **window)
        if kind == "funding":
            request = replace(request, url=f"{REST}/v2/quote/fundingRate")
        return replace(request, about={**request.about, "since": str(first)})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the window before; None at the first moment asked for, or when one is empty."""
        if "since" not in request.about:
            return None
        first, since = int(request.query["startTime"]), int(request.about["since"])
        if first <= since or not _data(payload):
            return None
        start = max(since, first - _WINDOWS[request.kind][1])
        window = {"startTime": str(start), "endTime": str(first - 1)}
        return replace(request, query={**request.query, **window})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = BingX()


def _request(kind: str, **query: str) -> Request:
    return Request(kind=kind, url=f"{REST}/{_PATHS[kind]}", query=query, limit=NAME)


def _of(kind: str, listing: Listing, **query: str) -> Request:
    request = _request(kind, symbol=listing.native, **query)
    return replace(request, about={"native": listing.native})


def _listed(listing: Listing) -> int:
    """Return before when a contract has no history, in milliseconds."""
    day = listing.instrument.listed
    if day is None:
        return OLDEST
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _data(payload: bytes) -> Any:
    answer = decode(payload, _Answer)
    if answer.code != 0:
        raise ValueError(f"code {answer.code}: {answer.msg}")
    return answer.data


def _price(row: dict[str, Any], name: str) -> float | None:
    """Return a price; None where there is none, which may be written as zero."""
    return positive(row[name]) if row[name] and number(row[name]) else None


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._seen: dict[str, Counter[int]] = {}  # trades of each contract by millisecond

    def frame(self, payload: bytes, received: int) -> list[Any]:
        if payload == b"Ping":
            return [Reply(b"Pong")]
        frame = decode(payload, _Frame)
        if frame.id and frame.code != 0:
            return [Refused(frame.id, f"{frame.code}: {frame.msg}")]
        if frame.code == 0 and frame.dataType.endswith("@trade"):
            return [self._trade(one, received) for one in convert(frame.data, list[_Print])]
        if frame.id and frame.data is None:
            return [Acknowledged((frame.id,))]
        raise ValueError(f"code {frame.code}, unknown topic {frame.dataType!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        data = _data(payload)
        if request.kind == "instrument":
            return [one for one in map(self._instrument, data) if one is not None]
        if request.url.endswith("premiumIndex"):
            return [e for row in data for e in self._standing(row, received, request.kind)]
        listing = self.listing(request.about["native"], CATEGORY)
        if request.kind == "open_interest":
            about = self.about(listing, nanoseconds(data["time"]), received)
            return [OpenInterest(**about, value_usd=number(data["openInterest"]))]
        makers: dict[str, Callable[[Any, Listing, int], Event | None]] = {
            "funding": self._settled,
            "candle": self._candle,
        }
        make = makers[request.kind]
        made = (make(row, listing, received) for row in data)
        return [event for event in made if event is not None]

    def _trade(self, one: _Print, received: int) -> Trade:
        listing = self.listing(one.s, CATEGORY)
        seen = self._seen.setdefault(one.s, Counter())
        place = seen[one.T]
        seen[one.T] += 1
        if len(seen) > REMEMBERED:
            del seen[min(seen)]
        return Trade(
            **self.about(listing, nanoseconds(one.T), received),
            id=place,
            side="sell" if one.m else "buy",  # m: the buyer was the maker
            price=positive(one.p),
            amount=number(one.q),
        )

    def _instrument(self, row: dict[str, Any]) -> Listing | None:
        try:
            symbol = native.unified(NAME, row["symbol"], market=CATEGORY)
        except UnknownSymbol:
            return None
        if row["status"] != ONLINE:
            return None  # nothing can be asked of it
        opened = row.get("launchTime")
        return Listing(
            native=row["symbol"],
            category=CATEGORY,
            instrument=Instrument(
                exchange=NAME,
                symbol=symbol,
                tick=Decimal(1).scaleb(-int(row["pricePrecision"])),
                listed=datetime.fromtimestamp(nanoseconds(opened) // SECOND, UTC).date()
                if opened
                else None,
            ),
        )

    def _standing(self, row: dict[str, Any], received: int, kind: str) -> list[Event]:
        listing = self.listings.get((CATEGORY, row["symbol"]))
        if listing is None:
            return []  # listed since we last asked
        about = self.about(listing, received, received)
        if kind == "mark_price":
            mark, index = _price(row, "markPrice"), _price(row, "indexPrice")
            return [MarkPrice(**about, mark_price=mark, index_price=index)]
        return [
            Funding(
                **about,
                rate=number(row["lastFundingRate"]),  # the running one, whatever its name says
                interval_hours=positive(row["fundingIntervalHours"]),
                status="predicted",
                settles=nanoseconds(row["nextFundingTime"]),
            )
        ]

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = nanoseconds(row["fundingTime"])
        about = self.about(listing, time, received)
        return Funding(**about, known_at=time, rate=number(row["fundingRate"]))

    def _candle(self, row: dict[str, Any], listing: Listing, received: int) -> Candle | None:
        time = nanoseconds(row["time"])
        if (end := time + MINUTE) > received:
            return None  # not over yet
        opened, high, low, close = (
            positive(row[name]) for name in ("open", "high", "low", "close")
        )
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=number(row["volume"]),
        )
