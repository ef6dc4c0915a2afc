"""Bitget: futures settled in USDT, USDC and coin; its third API, and its second where it says more.

Traps: a liquidation's side is the position's, and its amount is quote currency, not coins: of
13.70319 at 0.1649, exactly 83.1 coins. Trades of coin-margined contracts are counted in dollars,
others in coins, and open interest in coins everywhere. The ratio that comes with the shares of
long and short accounts is a hundredth of itself in Bitget's own sample, so it is not read. In what
books of coin-margined contracts are counted is not said, so they are not offered.
The list of the last three days' liquidations does not say its unit, so it is not asked.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books
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
from plimsoll.market.events import (
    Candle,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Bitget"]

NAME = "bitget"
SECOND_API = "https://api.bitget.com/api/v2/mix/market"
THIRD_API = "https://api.bitget.com/api/v3/market"
SOCKET = "wss://ws.bitget.com/v3/ws/public"
USDT, COIN = "USDT-FUTURES", "COIN-FUTURES"
CATEGORIES = (USDT, "USDC-FUTURES", COIN)
MAJORS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT")
"""Whose tiers are asked for: an answer is of one contract, and does not name it."""
PAGE = 99 * MINUTE // MILLISECOND
"""Of candles; a hundred come at once, and both ends may be counted."""
BUCKET = 5 * MINUTE


class _Answer(Struct):
    code: str
    msg: str = ""
    data: Any = None
    requestTime: int = 0


class _Subject(Struct):
    instType: str
    topic: str
    symbol: str = ""


class _Frame(Struct):
    arg: _Subject
    action: str = ""
    event: str = ""
    msg: str = ""
    data: Any = None


class _Print(Struct):
    i: int
    p: str
    v: str
    S: Literal["buy", "sell"]
    T: int


class _Order(Struct):
    symbol: str
    side: Literal["buy", "sell"]
    price: str
    amount: str
    ts: int


class _Book(Struct):
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    ts: int
    seq: int
    pseq: int = 0


class Bitget(Exchange):
    """Bitget's futures."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded"),
        "liquidation": Offer(
            stream=True,
            completeness="aggregated",
            note="some seconds late; bankruptcy price",
        ),
        "open_interest": Offer(poll=30),
        "mark_price": Offer(poll=30),
        "funding": Offer(
            poll=30, history="10,000 settlements", note="predicted; settled from history"
        ),
        "candle": Offer(poll=60, history="all", note="without taker volume"),
        "long_short_ratio": Offer(poll=300, note="all accounts; USDT only; one request a second"),
        "taker_volume": Offer(
            poll=300, note="ratio only, its unit is not said; USDT only; one request a second"
        ),
        **books.offers("as far as it is sent; not coin-margined", "documented"),
    }
    limits = (
        Limit(name="bitget", amount=20, seconds=1),
        Limit(name="bitget statistics", amount=1, seconds=1),
    )
    ping = Ping(every=25, payload=b"ping")
    most = 50

    def instruments(self) -> list[Request]:
        """Return what to ask for listings, and for the tiers of the largest."""
        listed = [
            _request("instrument", f"{THIRD_API}/instruments", c, category=c) for c in CATEGORIES
        ]
        tiers = [
            _named("brackets", f"{THIRD_API}/position-tier", USDT, name, category=USDT)
            for name in MAJORS
        ]
        return [*listed, *tiers]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument; for liquidations, one for each category."""
        if kind == "liquidation":
            return [
                Channel(url=SOCKET, topic=f"{category.lower()}.liquidation", kinds=(kind,))
                for category in sorted({one.category for one in listings})
            ]
        is_book = kind in books.KINDS
        if kind != "trade" and not is_book:
            raise Unsupported(NAME, kind, "is not streamed")
        topic, kinds = ("books", books.KINDS) if is_book else ("publicTrade", (kind,))
        return [
            Channel(
                url=SOCKET,
                topic=f"{one.category.lower()}.{topic}.{one.native}",
                kinds=kinds,
                symbol=one.symbol,
            )
            for one in listings
            if not (is_book and one.category == COIN)
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return frames of at most twenty topics each, for a frame has 4,096 bytes."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all contracts of a category, or one for each instrument."""
        if kind in {"open_interest", "mark_price", "funding"}:
            path = "current-fund-rate" if kind == "funding" else "tickers"
            return [
                Poll(request=_request(kind, f"{SECOND_API}/{path}", c, productType=c), every=30)
                for c in sorted({one.category for one in listings})
            ]
        if kind == "candle":
            return [
                Poll(request=_of(kind, "candles", one, interval="1m", limit="3"), every=60, delay=2)
                for one in listings
            ]
        paths = {"long_short_ratio": "account-long-short", "taker_volume": "taker-buy-sell"}
        if kind not in paths:
            raise Unsupported(NAME, kind, "cannot be asked for")
        requests = [
            _named(kind, f"{SECOND_API}/{paths[kind]}", USDT, one.native, period="5m")
            for one in listings
            if one.category == USDT  # it is asked for without its category
        ]
        slow = [replace(request, limit="bitget statistics") for request in requests]
        return [Poll(request=request, every=300, delay=20) for request in slow]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page: of candles the oldest, of funding the newest."""
        start, end = -(-since // MILLISECOND), -(-until // MILLISECOND)
        about = {"since": str(start), "until": str(end)}
        if kind == "funding":
            made = _of(kind, "history-fund-rate", listing, limit="100", cursor="1")
        elif kind == "candle":
            made = _of(kind, "history-candles", listing, interval="1m", limit="100")
            made = _span(made, start, end)
        else:
            raise Unsupported(NAME, kind, "has no history here")
        return replace(made, about={**made.about, **about})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page: the next span of candles, or older settlements."""
        if "until" not in request.about:
            return None
        if request.kind == "candle":
            start, end = int(request.query["endTime"]), int(request.about["until"])
            return _span(request, start, end) if start < end else None
        times = [int(row["fundingRateTimestamp"]) for row in _data(payload)["resultList"]]
        page, since = int(request.query["cursor"]), int(request.about["since"])
        if len(times) < int(request.query["limit"]) or min(times) <= since or page >= 100:
            return None
        return replace(request, query={**request.query, "cursor": str(page + 1)})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Bitget()


def _frames(operation: str, channels: Sequence[Channel]) -> list[bytes]:
    names = ("instType", "topic", "symbol")
    asked = [dict(zip(names, one.topic.split("."), strict=False)) for one in channels]
    twenties = [asked[at : at + 20] for at in range(0, len(asked), 20)]
    return [json.encode({"op": operation, "args": twenty}) for twenty in twenties]


def _request(kind: str, url: str, about: str, **query: str) -> Request:
    return Request(kind=kind, url=url, query=query, limit="bitget", about={"category": about})


def _named(kind: str, url: str, about: str, name: str, **query: str) -> Request:
    made = _request(kind, url, about, symbol=name, **query)
    return replace(made, about={**made.about, "native": name})


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    query = {**query, "category": listing.category}
    return _named(kind, f"{THIRD_API}/{path}", listing.category, listing.native, **query)


def _span(request: Request, start: int, end: int) -> Request:
    span = {"startTime": str(start), "endTime": str(min(start + PAGE, end))}
    return replace(request, query={**request.query, **span})


def _data(payload: bytes) -> Any:
    answer = decode(payload, _Answer)
    if answer.code != "00000":
        raise ValueError(f"code {answer.code}: {answer.msg}")
    return answer.data


def _control(frame: _Frame, topic: str) -> list[Any]:
    """Return what an event says that is no data."""
    if frame.event == "subscribe":
        return [Acknowledged((topic,))]
    if frame.event == "error":
        return [Refused(topic, frame.msg)]
    if frame.event == "unsubscribe":
        return []
    raise ValueError(f"unknown event {frame.event!r} of {topic}")


def _book(frame: _Frame, topic: str, listing: Listing) -> books.Told:
    """Return what a message says of a book."""
    if frame.action not in {"snapshot", "update"}:
        raise ValueError(f"{frame.action!r} is neither a snapshot nor an update")
    (book,) = convert(frame.data, list[_Book], strict=False)
    return books.Told(
        topic=topic,
        listing=listing,
        time=nanoseconds(book.ts),
        id=book.seq,
        follows=book.pseq if frame.action == "update" else None,
        bids=book.b,
        asks=book.a,
    )


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=sys.maxsize)  # of how many levels is not said

    def frame(self, payload: bytes, received: int) -> list[Any]:
        if payload == b"pong":
            return []
        frame = decode(payload, _Frame)
        about = frame.arg
        topic = ".".join(filter(None, (about.instType, about.topic, about.symbol)))
        if frame.event:
            return _control(frame, topic)
        category = about.instType.upper()
        if category not in CATEGORIES:
            raise ValueError(f"unknown category of {topic}")
        if about.topic == "publicTrade":
            listing = self.listing(about.symbol, category)
            prints = convert(frame.data, list[_Print], strict=False)
            return [self._trade(one, listing, received) for one in prints]
        if about.topic == "books":
            listing = self.listing(about.symbol, category)
            return list(self._books.read(_book(frame, topic, listing), received))
        if about.topic == "liquidation":
            orders = convert(frame.data, list[_Order], strict=False)
            return [
                self._liquidation(one, self.listing(one.symbol, category), received)
                for one in orders
            ]
        raise ValueError(f"unknown topic {topic}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        data, category = _data(payload), request.about["category"]
        if request.kind == "instrument":
            found = (self._instrument(row, category) for row in data)
            return [listing for listing in found if listing is not None]
        if "native" not in request.about:
            now = nanoseconds(decode(payload, _Answer).requestTime)
            return [e for row in data for e in self._standing(row, now, received, request)]
        if request.kind == "brackets":
            return self._brackets(data, request, received)
        listing = self.listing(request.about["native"], category)
        makers: dict[str, Callable[[Any, Listing, int], Event | None]] = {
            "funding": self._settled,
            "candle": self._candle,
            "long_short_ratio": self._ratio,
            "taker_volume": self._taken,
        }
        make = makers[request.kind]
        rows = data["resultList"] if request.kind == "funding" else data
        made = (make(row, listing, received) for row in rows)
        return [event for event in made if event is not None]

    def _trade(self, one: _Print, listing: Listing, received: int) -> Trade:
        price, size = positive(one.p), positive(one.v)
        return Trade(
            **self.about(listing, nanoseconds(one.T), received),
            id=one.i,
            side=one.S,
            price=price,
            amount=listing.instrument.amount(size, price),  # a coin-margined one is in dollars
        )

    def _liquidation(self, one: _Order, listing: Listing, received: int) -> Liquidation:
        price, worth = positive(one.price), positive(one.amount)
        return Liquidation(
            **self.about(listing, nanoseconds(one.ts), received),
            side="long" if one.side == "buy" else "short",  # the position's side, not the order's
            price=price,
            amount=worth / price,
            value_usd=worth,
            price_kind="bankruptcy",
            completeness="aggregated",
        )

    def _instrument(self, row: dict[str, Any], category: str) -> Listing | None:
        market: native.Market = "inverse" if category == COIN else "linear"
        try:
            symbol = native.unified(NAME, row["symbol"], market=market)
        except UnknownSymbol:
            return None  # of a kind of market that has no unified name
        tick = Decimal(str(positive(row["priceMultiplier"])))
        instrument = Instrument(exchange=NAME, symbol=symbol, tick=tick)
        hours = known(row, "fundInterval") if instrument.parts.expiry is None else None
        return Listing(
            native=row["symbol"],
            category=category,
            instrument=instrument,
            interval_hours=hours or None,
        )

    def _brackets(self, rows: list[Any], request: Request, received: int) -> list[Brackets]:
        """Return brackets, with the deduction that makes their rates continuous."""
        key = (request.about["category"], request.about["native"])
        if key not in self.listings:
            return []
        tiers = [
            (positive(row["maxTierValue"]), positive(row["mmr"]), positive(row["leverage"]))
            for row in rows
        ]
        since = datetime.fromtimestamp(received // 1_000_000_000, tz=UTC)
        return [Brackets.build(NAME, self.listings[key].symbol, since, sorted(tiers))]

    def _standing(
        self, row: dict[str, Any], now: int, received: int, request: Request
    ) -> list[Event]:
        """Return what a row of all contracts says of now."""
        listing = self.listings.get((request.about["category"], row["symbol"]))
        if listing is None:
            return []  # listed since we last asked
        if request.kind == "funding":
            return _predicted(row, self.about(listing, now, received))
        about = self.about(listing, nanoseconds(row["ts"]), received)
        mark = _price(row, "markPrice")
        if request.kind == "open_interest":
            held = number(row["holdingAmount"])
            worth = held * mark if mark else None
            return [OpenInterest(**about, amount=held, value_usd=worth)]
        index, last = _price(row, "indexPrice"), _price(row, "lastPr")
        if not (mark or index or last):
            return []  # not yet launched
        return [MarkPrice(**about, mark_price=mark, index_price=index, last_price=last)]

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time, rate = nanoseconds(row["fundingRateTimestamp"]), number(row["fundingRate"])
        return Funding(**self.about(listing, time, received), known_at=time, rate=rate)

    def _candle(self, row: list[str], listing: Listing, received: int) -> Candle | None:
        time = nanoseconds(row[0])
        if (end := time + MINUTE) > received:
            return None  # not over yet
        opened, high, low, close = (positive(text) for text in row[1:5])
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=number(row[5]),
            quote_volume=number(row[6]),
        )

    def _ratio(self, row: dict[str, Any], listing: Listing, received: int) -> LongShortRatio:
        long, short = number(row["longAccountRatio"]), number(row["shortAccountRatio"])
        return LongShortRatio(
            **self.about(listing, nanoseconds(row["ts"]), received),
            population="accounts",
            ratio=long / short if short > 0 else None,
            long_share=long,
        )

    def _taken(self, row: dict[str, Any], listing: Listing, received: int) -> TakerVolume | None:
        time = nanoseconds(row["ts"])
        if (end := time + BUCKET) > received:
            return None  # not over yet
        bought, sold = number(row["buyVolume"]), number(row["sellVolume"])
        return TakerVolume(
            **self.about(listing, time, received),
            known_at=end,
            interval=300,
            ratio=bought / sold if sold > 0 else None,
        )


def _price(row: dict[str, Any], name: str) -> float | None:
    """Return a price; Bitget writes 0 where there is none."""
    return positive(value) if (value := known(row, name)) else None


def _predicted(row: dict[str, Any], about: dict[str, Any]) -> list[Event]:
    if not (hours := known(row, "fundingRateInterval")):
        return []  # dated futures have no funding
    return [
        Funding(
            **about,
            rate=number(row["fundingRate"]),
            interval_hours=hours,
            status="predicted",
            settles=nanoseconds(row["nextUpdate"]),
        )
    ]
