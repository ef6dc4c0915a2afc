"""Bybit: linear and inverse contracts, and options, by its fifth API.

Traps: a liquidation's side is the position's (a liquidated long is ``Buy``); sizes are coins, but
dollars on inverse contracts; the price is the bankruptcy price. The open-interest endpoint gives
buckets, the ticker what stands now. A book's numbers rise by one from change to change, but a
snapshot may come at any time, and begins anew.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books, bybit_options
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
from plimsoll.exchanges.bybit_options import COINS, OPTION
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
    picked,
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
    OptionQuote,
    Origin,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Bybit"]

NAME = "bybit"
REST = "https://api.bybit.com/v5/market"
SOCKET = "wss://stream.bybit.com/v5/public"
CATEGORIES: tuple[native.Market, ...] = ("linear", "inverse", OPTION)
LEVELS = 1_000
"""Of each side of a book, the most that is streamed."""
BOOK = f"orderbook.{LEVELS}"


class _Answer(Struct):
    retCode: int
    retMsg: str = ""
    result: Any = None
    time: int = 0


class _Frame(Struct):
    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0
    data: Any = None


class _Print(Struct):
    T: int
    s: str
    S: Literal["Buy", "Sell"]
    v: str
    p: str
    i: str = ""
    BT: bool | None = None

    @property
    def origin(self) -> Origin | None:
        """Where a trade was made: of a leg of a combination it does not tell more."""
        return None if self.BT is None else "block" if self.BT else "screen"


class _Book(Struct):
    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int


class Bybit(Exchange):
    """Bybit's linear, inverse and option markets."""

    name = NAME
    offers = {
        "trade": Offer(
            stream=True, checked="recorded", note="each fill; of options of BTC, ETH and SOL too"
        ),
        "liquidation": Offer(
            stream=True, checked="recorded", note="all, in batches of 500 ms; bankruptcy price"
        ),
        "open_interest": Offer(poll=30, history="since listing"),
        "mark_price": Offer(poll=30),
        "funding": Offer(poll=30, history="all", note="predicted; settled from history"),
        "candle": Offer(poll=60, history="all", note="without taker volume"),
        "long_short_ratio": Offer(poll=300, history="since 2020-07", note="all accounts"),
        "option_quote": Offer(poll=300),
        **books.offers("1,000 levels a side", "recorded"),
    }
    limits = (Limit(name="bybit", amount=600, seconds=5),)
    ping = Ping(every=20, payload=b'{"op":"ping"}')

    def instruments(self) -> list[Request]:
        """Return what to ask for listings, and for risk limits."""
        listed = [
            _request("instrument", "instruments-info", category, limit="1000")
            for category in ("linear", "inverse")
        ]
        options = [
            _request("instrument", "instruments-info", OPTION, baseCoin=coin, limit="1000")
            for coin in COINS
        ]
        limits = [_request("brackets", "risk-limit", c) for c in ("linear", "inverse")]
        return [*listed, *options, *limits]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument, or for trades of options each coin."""
        topics = {"trade": "publicTrade", "liquidation": "allLiquidation"}
        topics |= dict.fromkeys(books.KINDS, BOOK)
        if kind not in topics:
            raise Unsupported(NAME, kind, "is not streamed")
        options = bybit_options.channels(SOCKET, listings) if kind == "trade" else []
        futures = [
            Channel(
                url=f"{SOCKET}/{listing.category}",
                topic=f"{topics[kind]}.{listing.native}",
                kinds=books.KINDS if kind in books.KINDS else (kind,),
                symbol=listing.symbol,
            )
            for listing in listings
            if listing.category != OPTION
        ]
        return [*futures, *options]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return frames of at most ten topics each, named so that the answer tells which."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all tickers, or one for each instrument."""
        categories = sorted({listing.category for listing in listings} - {OPTION})
        if kind in {"open_interest", "mark_price", "funding"}:
            return [Poll(request=_request(kind, "tickers", c), every=30) for c in categories]
        if kind == "option_quote":
            return [
                Poll(request=_request(kind, "tickers", OPTION, baseCoin=coin), every=300)
                for coin in COINS
            ]
        futures = [listing for listing in listings if listing.category != OPTION]
        if kind == "candle":
            return [
                Poll(request=_of(kind, "kline", one, interval="1", limit="3"), every=60, delay=2)
                for one in futures
            ]
        if kind == "long_short_ratio":
            return [
                Poll(
                    request=_of(kind, "account-ratio", one, period="5min", limit="2"),
                    every=300,
                    delay=20,
                )
                for one in futures
            ]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the newest; the others follow backwards or by cursor."""
        span = {"startTime": str(since // MILLISECOND), "endTime": str(until // MILLISECOND - 1)}
        if kind == "open_interest":
            return _of(kind, "open-interest", listing, intervalTime="5min", limit="200", **span)
        if kind == "funding":
            return _of(kind, "funding/history", listing, limit="200", **span)
        if kind == "candle":
            span = {"start": span["startTime"], "end": span["endTime"]}
            return _of(kind, "kline", listing, interval="1", limit="1000", **span)
        if kind == "long_short_ratio":
            return _of(kind, "account-ratio", listing, period="5min", limit="500", **span)
        raise Unsupported(NAME, kind, "has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page: by cursor where there is one, else older than the oldest row."""
        result = _result(payload)
        if cursor := result.get("nextPageCursor"):
            return _changed(request, cursor=str(cursor))
        rows, most = result.get("list") or [], int(request.query.get("limit", "0"))
        end = "end" if "end" in request.query else "endTime"
        if "cursor" in request.query or len(rows) < most or end not in request.query:
            return None
        oldest = min(_millis(row) for row in rows)
        start = int(request.query["start" if end == "end" else "startTime"])
        return _changed(request, **{end: str(oldest - 1)}) if oldest > start else None

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Bybit()


def _frames(operation: str, channels: Sequence[Channel]) -> list[bytes]:
    topics = [channel.topic for channel in channels]
    tens = [topics[at : at + 10] for at in range(0, len(topics), 10)]
    return [json.encode({"op": operation, "req_id": ",".join(ten), "args": ten}) for ten in tens]


def _request(kind: str, path: str, category: str, **query: str) -> Request:
    return Request(
        kind=kind,
        url=f"{REST}/{path}",
        query={"category": category, **query},
        limit="bybit",
        about={"category": category},
    )


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    made = _request(kind, path, listing.category, symbol=listing.native, **query)
    about = {**made.about, "native": listing.native}
    return Request(kind=kind, url=made.url, query=made.query, limit="bybit", about=about)


def _changed(request: Request, **query: str) -> Request:
    return replace(request, query={**request.query, **query})


def _result(payload: bytes) -> dict[str, Any]:
    answer = decode(payload, _Answer)
    if answer.retCode != 0 or not isinstance(answer.result, dict):
        raise ValueError(f"retCode {answer.retCode}: {answer.retMsg}")
    return answer.result


def _millis(row: Any) -> int:
    """Return the time of a row of any history."""
    if isinstance(row, list):
        return int(row[0])
    return int(row.get("timestamp") or row["fundingRateTimestamp"])


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=LEVELS)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        if frame.op == "subscribe":
            if frame.success:
                return [Acknowledged(tuple(filter(None, frame.req_id.split(","))))]
            return [Refused(frame.ret_msg.rpartition(":")[2].strip(), frame.ret_msg)]
        if frame.op in {"ping", "pong", "unsubscribe"}:
            return []
        if frame.type == bybit_options.ANSWER:
            return list(bybit_options.subscribed(frame.data, frame.ret_msg))
        if frame.topic.startswith(BOOK):
            return self._book(frame, received)
        topic, _, of = frame.topic.partition(".")
        make = {"publicTrade": self._trade, "allLiquidation": self._liquidation}.get(topic)
        if make is None:
            raise ValueError(f"unknown topic {frame.topic!r}")
        rows = convert(frame.data, list[_Print])
        if topic == "publicTrade" and of in COINS:
            rows = [one for one in rows if not bybit_options.is_new(self, one.s)]
        return [make(one, received) for one in rows]

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        rows = _result(payload)["list"]
        if request.kind == "instrument":
            found = (self._instrument(row, request.about["category"]) for row in rows)
            return [listing for listing in found if listing is not None]
        if request.kind == "brackets":
            return self._brackets(rows, received)
        if request.url.endswith("/tickers"):
            now = nanoseconds(decode(payload, _Answer).time)
            return [e for row in rows for e in self._ticker(row, now, received, request)]
        listing = self.listing(request.about["native"], request.about["category"])
        makers: dict[str, Callable[[Any, Listing, int], Event | None]] = {
            "open_interest": self._interest,
            "funding": self._settled,
            "candle": self._candle,
            "long_short_ratio": self._ratio,
        }
        make = makers[request.kind]
        made = (make(row, listing, received) for row in rows)
        return [event for event in made if event is not None]

    def _amount(self, listing: Listing, text: str, price: float) -> float:
        """Return a size in coins: inverse contracts are counted in dollars."""
        amount = number(text)
        return amount / price if listing.category == "inverse" else amount

    def _book(self, frame: _Frame, received: int) -> list[Any]:
        if frame.type not in {"snapshot", "delta"}:
            raise ValueError(f"{frame.type!r} is neither a snapshot nor a change")
        book = convert(frame.data, _Book, strict=False)
        told = books.Told(
            topic=frame.topic,
            listing=self.listing(book.s, *CATEGORIES),
            time=nanoseconds(frame.cts or frame.ts),
            id=book.u,
            follows=book.u - 1 if frame.type == "delta" else None,
            bids=book.b,
            asks=book.a,
        )
        return list(self._books.read(told, received))

    def _trade(self, one: _Print, received: int) -> Trade:
        listing, price = self.listing(one.s, *CATEGORIES), positive(one.p)
        return Trade(
            **self.about(listing, nanoseconds(one.T), received),
            id=int(one.i.replace("-", "")[:15], 16),
            side="buy" if one.S == "Buy" else "sell",
            price=price,
            amount=self._amount(listing, one.v, price),
            origin=one.origin,
        )

    def _liquidation(self, one: _Print, received: int) -> Liquidation:
        listing, price = self.listing(one.s, *CATEGORIES), positive(one.p)
        amount = self._amount(listing, one.v, price)
        return Liquidation(
            **self.about(listing, nanoseconds(one.T), received),
            side="long" if one.S == "Buy" else "short",  # the position's side, not the order's
            price=price,
            amount=amount,
            value_usd=amount * price,
            price_kind="bankruptcy",
            completeness="complete",
        )

    def _instrument(self, row: dict[str, Any], category: str) -> Listing | None:
        try:
            symbol = native.unified(NAME, row["symbol"], market=category)  # type: ignore[arg-type]
        except UnknownSymbol:
            return None  # of a kind of market that has no unified name
        tick = Decimal(row["priceFilter"]["tickSize"])
        minutes = known(row, "fundingInterval")
        return Listing(
            native=row["symbol"],
            category=category,
            instrument=Instrument(exchange=NAME, symbol=symbol, tick=tick if tick > 0 else None),
            interval_hours=minutes / 60 if minutes else None,
        )

    def _brackets(self, rows: list[Any], received: int) -> list[Brackets]:
        """Return brackets by instrument, with the deduction that makes their rates continuous."""
        tiers: dict[str, list[tuple[float, float, float]]] = {}
        for row in rows:
            names = ("riskLimitValue", "maintenanceMargin", "maxLeverage")
            cap, rate, leverage = (positive(row[name]) for name in names)
            tiers.setdefault(row["symbol"], []).append((cap, rate, leverage))
        since = datetime.fromtimestamp(received // 1_000_000_000, tz=UTC)
        listed = {one.native: one for one in self.listings.values()}
        return [
            Brackets.build(NAME, listed[name].symbol, since, sorted(found))
            for name, found in tiers.items()
            if name in listed
        ]

    def _ticker(
        self, row: dict[str, Any], now: int, received: int, request: Request
    ) -> list[Event]:
        listing = self.listings.get((request.about["category"], row["symbol"]))
        if listing is None:
            return []  # listed since we last asked
        about = self.about(listing, now, received)
        match request.kind:
            case "option_quote":
                return [OptionQuote(**about, **bybit_options.quoted(row))]
            case "mark_price":
                return [MarkPrice(**about, **picked(row, _MARK))]
            case "open_interest":
                return [_standing(row, listing, about)]
            case _ if (rate := known(row, "fundingRate")) is not None:
                hours = known(row, "fundingIntervalHour") or listing.interval_hours
                settles = nanoseconds(row["nextFundingTime"])
                return [
                    Funding(
                        **about,
                        rate=rate,
                        interval_hours=hours,
                        status="predicted",
                        settles=settles,
                    )
                ]
            case _:
                return []  # dated futures have no funding

    def _interest(self, row: dict[str, Any], listing: Listing, received: int) -> OpenInterest:
        held, inverse = number(row["openInterest"]), listing.category == "inverse"
        return OpenInterest(
            **self.about(listing, nanoseconds(row["timestamp"]), received),
            amount=None if inverse else held,
            value_usd=held if inverse else None,
        )

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = nanoseconds(row["fundingRateTimestamp"])
        rate = number(row["fundingRate"])
        return Funding(**self.about(listing, time, received), known_at=time, rate=rate)

    def _candle(self, row: list[str], listing: Listing, received: int) -> Candle | None:
        time = nanoseconds(row[0])
        if (end := time + MINUTE) > received:
            return None  # not over yet
        opened, high, low, close, volume, turnover = (number(text) for text in row[1:7])
        # Linear: volume in coins, turnover in quote. Inverse: the other way round.
        inverse = listing.category == "inverse"
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=turnover if inverse else volume,
            quote_volume=volume if inverse else turnover,
        )

    def _ratio(self, row: dict[str, Any], listing: Listing, received: int) -> LongShortRatio:
        long, short = number(row["buyRatio"]), number(row["sellRatio"])
        return LongShortRatio(
            **self.about(listing, nanoseconds(row["timestamp"]), received),
            population="accounts",
            ratio=long / short if short > 0 else None,
            long_share=long,
        )


def _standing(row: dict[str, Any], listing: Listing, about: dict[str, Any]) -> OpenInterest:
    """Return open interest as the ticker has it: coins, or dollars on inverse contracts."""
    # Where both are given, `openInterest` counts both sides of each contract.
    single = known(row, "singleOpenInterest")
    held = single if single is not None else known(row, "openInterest")
    mark = known(row, "markPrice")
    if listing.category == "inverse":
        coins = held / mark if held is not None and mark else None
        return OpenInterest(**about, amount=coins, value_usd=held)
    worth = known(row, "openInterestValue") if single is None else None
    if worth is None and held is not None and mark:
        worth = held * mark
    return OpenInterest(**about, amount=held, value_usd=worth)


_MARK = {"mark_price": "markPrice", "index_price": "indexPrice", "last_price": "lastPrice"}
