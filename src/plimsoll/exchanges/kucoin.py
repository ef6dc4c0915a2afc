"""KuCoin Futures: linear and inverse contracts; trades by socket, all else by requests.

Traps: sizes are lots of `multiplier` coins, and of one dollar on inverse contracts, where the
multiplier is negative. No answer about all contracts says the time: it is the next settlement less
the countdown to it. After a settlement the rate of the one before is shown for about a minute as
that of the next. An error comes with HTTP 200. Each socket wants a ticket that is asked for anew,
and answers pings of its own only. Marks and rates stay with the requests, for one tells those of
all contracts, with the last price and the next settlement, which the socket leaves out. There are
no public liquidations. Risk limits are told one contract at a time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
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
from plimsoll.market.events import BookLevel, Candle, Funding, MarkPrice, OpenInterest, Trade
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "KuCoin"]

NAME = "kucoin"
REST = "https://api-futures.kucoin.com/api/v1"
SOCKET = "wss://ws-api-futures.kucoin.com"
EXECUTION = "/contractMarket/execution:"
UNIFIED = "https://api.kucoin.com/api/ua/v1/market"
OLDEST = 1_561_939_200_000  # 2019-07-01, before its first contract
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
SETTLING_MS = 90_000
"""How long after a settlement the rate shown is not that of the next one: measured 75 s at most."""

_PATHS = {
    "candle": (f"{REST}/kline/query", 3),
    "funding": (f"{REST}/contract/funding-rates", 5),
    "open_interest": (f"{UNIFIED}/open-interest", 5),
    "book_level": (f"{REST}/level2/depth20", 5),
}
# A page is a window that no answer can overflow: 200 rows, or 100 settlements of an hour.
_WINDOWS = {
    "candle": ("from", "to", 200 * MINUTE_MS, {"granularity": "1"}),
    "funding": ("from", "to", 100 * HOUR_MS, {}),
    "open_interest": ("startAt", "endAt", 1000 * MINUTE_MS, {"interval": "5min"}),
}


class _Answer(Struct):
    code: str
    msg: str = ""
    data: Any = None


class _Frame(Struct):
    type: Literal["welcome", "pong", "ack", "error", "message"]
    id: str = ""
    topic: str = ""
    code: int = 0
    data: Any = None


class _Match(Struct):
    symbol: str
    side: Literal["buy", "sell"]  # the taker's
    size: int
    price: str
    tradeId: int
    ts: int  # nanoseconds


class KuCoin(Exchange):
    """KuCoin's linear and inverse futures."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded", note="each match"),
        "open_interest": Offer(poll=30, history="how far back is not said"),
        "mark_price": Offer(poll=30, note="without a clock of its own: the countdown gives it"),
        "funding": Offer(
            poll=30,
            history="how far back is not said",
            note="predicted, but not in the first 90 s after a settlement; settled from history",
        ),
        "candle": Offer(
            poll=3600,
            history="how far back is not said",
            note="without taker volume; minutes without a trade are absent",
        ),
        "book_level": Offer(poll=60, completeness="sampled", note="20 levels of each side"),
    }
    limits = (Limit(name=NAME, amount=2000, seconds=30),)
    most = 90  # a connection may send a hundred messages in ten seconds

    def instruments(self) -> list[Request]:
        """Return what to ask for listings."""
        return [_active("instrument")]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each contract."""
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(url=SOCKET, topic=EXECUTION + one.native, kinds=(kind,), symbol=one.symbol)
            for one in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return a frame for each topic, which names it: the answer says no more than that name."""
        plain = {"type": "subscribe", "privateChannel": False, "response": True}
        return [json.encode({"id": one.topic, "topic": one.topic, **plain}) for one in channels]

    def ticket(self) -> Request:
        """Return what to ask for a token, which is good for a day and one connection."""
        url = f"{REST}/bullet-public"
        return Request(kind="ticket", url=url, method="POST", body=b"{}", limit=NAME, weight=10)

    def entrance(self, payload: bytes) -> tuple[str, Ping]:
        """Return the first server with the token, and pings thrice as often as it wants."""
        data = _data(payload)
        server = data["instanceServers"][0]
        if not server["endpoint"].startswith("wss://"):
            raise ValueError(f"{server['endpoint']!r} is no secure socket")
        interval = number(server["pingInterval"])
        if not 1_000 <= interval <= 600_000:
            raise ValueError(f"a ping every {interval} ms is not what a server wants")
        every = interval / 3_000  # its pongs are its only sign of life
        ping = Ping(every=every, payload=json.encode({"id": "ping", "type": "ping"}))
        return f"{server['endpoint']}?token={quote(data['token'], safe='')}", ping

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all contracts, or one for each."""
        if kind in {"open_interest", "mark_price", "funding"}:
            return [Poll(request=_active(kind), every=30)]
        if kind == "candle":  # an answer is of some hours, so that once an hour is enough
            return [
                Poll(request=_of(kind, one, granularity="1"), every=3600, delay=5)
                for one in listings
            ]
        if kind == "book_level":
            return [Poll(request=_of(kind, one), every=60) for one in listings]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the newest window; the others follow backwards."""
        if kind not in _WINDOWS:
            raise Unsupported(NAME, kind, "has no history here")
        start, end, span, query = _WINDOWS[kind]
        if kind == "open_interest":
            query = {**query, "pageSize": "200"}
        first, last = max(since // MILLISECOND, _listed(listing)), until // MILLISECOND - 1
        window = {start: str(max(first, last + 1 - span)), end: str(last)}
        request = _of(kind, listing, **query, **window)
        return replace(request, about={**request.about, "since": str(first)})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the window before; None at the first moment asked for, or when one is empty."""
        if "since" not in request.about:
            return None
        start, end, span, _ = _WINDOWS[request.kind]
        first, since = int(request.query[start]), int(request.about["since"])
        # A rarely traded contract may have no candle for hours.
        if first <= since or (request.kind != "candle" and not _data(payload)):
            return None
        window = {start: str(max(since, first - span)), end: str(first - 1)}
        return replace(request, query={**request.query, **window})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = KuCoin()


def _active(kind: str) -> Request:
    return Request(kind=kind, url=f"{REST}/contracts/active", limit=NAME, weight=3)


def _of(kind: str, listing: Listing, **query: str) -> Request:
    url, weight = _PATHS[kind]
    return Request(
        kind=kind,
        url=url,
        query={"symbol": listing.native, **query},
        limit=NAME,
        weight=weight,
        about={"category": listing.category, "native": listing.native},
    )


def _listed(listing: Listing) -> int:
    """Return before when a contract has no history, in milliseconds."""
    day = listing.instrument.listed
    if day is None:
        return OLDEST
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _data(payload: bytes) -> Any:
    answer = decode(payload, _Answer)
    if answer.code != "200000":
        raise ValueError(f"code {answer.code}: {answer.msg}")
    return answer.data


def _clock(rows: list[dict[str, Any]], received: int) -> int:
    """Return when an answer about all contracts was made, by the countdowns in it."""
    times = sorted(
        row["nextFundingRateDateTime"] - row["nextFundingRateTime"]
        for row in rows
        if row.get("nextFundingRateTime") is not None
    )
    now = nanoseconds(times[len(times) // 2])
    if abs(now - received) > 10 * MINUTE:
        raise ValueError("the countdowns to the next settlement do not tell the time")
    return now


def _price(row: dict[str, Any], name: str) -> float | None:
    """Return a price; None where there is none yet, which may be written as zero."""
    return positive(row[name]) if row[name] and number(row[name]) else None


class _Decoder(Decoder):
    exchange = NAME

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        match frame.type:
            case "ack":
                return [Acknowledged((frame.id,))]
            case "error":
                return [Refused(frame.id, f"{frame.code} {frame.data}")]
            case "message":
                if not frame.topic.startswith(EXECUTION):
                    raise ValueError(f"unknown topic {frame.topic!r}")
                return [self._trade(convert(frame.data, _Match, strict=False), received)]
        return []

    def _trade(self, one: _Match, received: int) -> Trade:
        listing, price = self.listing(one.symbol, "linear", "inverse"), positive(one.price)
        millis, rest = divmod(one.ts, MILLISECOND)
        return Trade(
            **self.about(listing, nanoseconds(millis) + rest, received),
            id=one.tradeId,
            side=one.side,
            price=price,
            amount=listing.instrument.amount(positive(one.size), price),
        )

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        data = _data(payload)
        if request.kind == "instrument":
            return [one for one in map(self._instrument, data) if one is not None]
        if request.url.endswith("/active"):
            now = _clock(data, received)
            return [e for row in data for e in self._standing(row, now, received, request.kind)]
        listing = self.listing(request.about["native"], request.about["category"])
        if request.kind == "book_level":
            return self._book(data, listing, received)
        makers: dict[str, Callable[[Any, Listing, int], Event | None]] = {
            "open_interest": self._interest,
            "funding": self._settled,
            "candle": self._candle,
        }
        make = makers[request.kind]
        made = (make(row, listing, received) for row in data)
        return [event for event in made if event is not None]

    def _instrument(self, row: dict[str, Any]) -> Listing | None:
        category: Literal["linear", "inverse"] = "inverse" if row["isInverse"] else "linear"
        try:
            symbol = native.unified(NAME, row["symbol"], market=category)
        except UnknownSymbol:
            return None
        opened, granularity = row["firstOpenDate"], known(row, "fundingRateGranularity")
        day = datetime.fromtimestamp(nanoseconds(opened) // SECOND, UTC).date() if opened else None
        return Listing(
            native=row["symbol"],
            category=category,
            instrument=Instrument(
                exchange=NAME,
                symbol=symbol,
                contract_size=abs(Decimal(str(row["multiplier"]))),  # -1: one dollar
                tick=Decimal(str(row["tickSize"])),
                listed=day,
            ),
            interval_hours=granularity / HOUR_MS if granularity else None,
            turnover_usd=known(row, "turnoverOf24h") if category == "linear" else None,
        )

    def _standing(self, row: dict[str, Any], now: int, received: int, kind: str) -> list[Event]:
        category = "inverse" if row["isInverse"] else "linear"
        listing = self.listings.get((category, row["symbol"]))
        if listing is None:
            return []  # listed since we last asked
        about, mark = self.about(listing, now, received), _price(row, "markPrice")
        if kind == "open_interest":
            return [_interest(number(row["openInterest"]), mark, listing, about)]
        if kind == "mark_price":
            index, last = _price(row, "indexPrice"), _price(row, "lastTradePrice")
            return [MarkPrice(**about, mark_price=mark, index_price=index, last_price=last)]
        if listing.instrument.kind != "perpetual":
            return []
        granularity = positive(row["fundingRateGranularity"])
        if row["nextFundingRateTime"] > granularity - SETTLING_MS:
            return []
        return [
            Funding(
                **about,
                rate=number(row["fundingFeeRate"]),
                interval_hours=granularity / HOUR_MS,
                status="predicted",
                settles=nanoseconds(row["nextFundingRateDateTime"]),
            )
        ]

    def _interest(self, row: dict[str, Any], listing: Listing, received: int) -> OpenInterest:
        about = self.about(listing, nanoseconds(row["ts"]), received)
        return _interest(number(row["openInterest"]), None, listing, about)

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = nanoseconds(row["timepoint"])
        about = self.about(listing, time, received)
        return Funding(**about, known_at=time, rate=number(row["fundingRate"]))

    def _candle(self, row: list[Any], listing: Listing, received: int) -> Candle | None:
        time = nanoseconds(row[0])
        if (end := time + MINUTE) > received:
            return None  # not over yet
        opened, high, low, close = (positive(price) for price in row[1:5])
        traded = number(row[5]) * float(listing.instrument.contract_size)
        inverse = listing.category == "inverse"
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=None if inverse else traded,
            quote_volume=traded if inverse else None,  # lots of a dollar
        )

    def _book(self, data: dict[str, Any], listing: Listing, received: int) -> list[Event]:
        about = self.about(listing, nanoseconds(int(data["ts"]) // MILLISECOND), received)
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


def _interest(
    lots: float, mark: float | None, listing: Listing, about: dict[str, Any]
) -> OpenInterest:
    """Return open interest: lots are coins, or dollars on inverse contracts."""
    held = lots * float(listing.instrument.contract_size)
    if listing.category == "inverse":
        return OpenInterest(**about, amount=held / mark if mark else None, value_usd=held)
    return OpenInterest(**about, amount=held, value_usd=held * mark if mark else None)
