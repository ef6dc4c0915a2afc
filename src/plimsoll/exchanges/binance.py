"""Binance: USD-M and COIN-M futures (books: `binance_books`), spot, options (`binance_options`).

Traps: a forced order's side is the order's, so that SELL is a liquidated long, and at most one a
second is told of each instrument; its stream has USD-M and COIN-M together. COIN-M sizes are
contracts of 100 or 10 dollars, and its statistics are of a pair. The latest funding rate is a
prediction. ``BTCUSDT`` names a future and a spot market: only spot messages have an ``M``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import Unsupported
from plimsoll.exchanges import binance_books, books
from plimsoll.exchanges import binance_options as options
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Poll
from plimsoll.exchanges.reading import (
    MILLISECOND,
    Acknowledged,
    Decoder,
    Listing,
    Refused,
    Request,
    nanoseconds,
    number,
    positive,
)
from plimsoll.market import events
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["EXCHANGE", "Binance"]

NAME = options.NAME
T = TypeVar("T")
Row = dict[str, Any]
FUTURES = ("linear", "inverse")
REST = {
    "linear": "https://fapi.binance.com/fapi/v1",
    "inverse": "https://dapi.binance.com/dapi/v1",
    "spot": "https://api.binance.com/api/v3",
}
DATA = {"linear": "https://fapi.binance.com", "inverse": "https://dapi.binance.com"}
SOCKETS = {
    "linear": "wss://fstream.binance.com/market/stream",  # without /market until 2026-04-23
    "inverse": "wss://dstream.binance.com/stream",
    "spot": "wss://stream.binance.com:9443/stream",
}
POPULATIONS: dict[str, Literal["accounts", "top_accounts", "top_positions"]] = {
    "globalLongShortAccountRatio": "accounts",
    "topLongShortAccountRatio": "top_accounts",
    "topLongShortPositionRatio": "top_positions",
}
STATISTICS = {"open_interest", "long_short_ratio", "taker_volume"}
TAKERS = {"linear": "takerlongshortRatio", "inverse": "takerBuySellVol"}
USUAL_HOURS = 8.0
BUCKET = 5 * MINUTE
KEPT = (30 * 24 - 1) * 3_600_000
"""How far back the statistics go, in milliseconds: 30 days, less an hour for clocks that differ."""


class _Aggregate(Struct):
    s: str
    a: int
    p: str
    q: str
    T: int
    m: bool
    M: bool | None = None


class _Order(Struct):
    s: str
    S: Literal["BUY", "SELL"]
    ap: str
    z: str
    T: int


class Binance(Exchange):
    """Binance's futures, spot and option markets."""

    name = NAME
    offers = {
        "trade": Offer(
            stream=True, checked="recorded", note="aggregates of 100 ms; options: single trades"
        ),
        "liquidation": Offer(
            stream=True, completeness="throttled", checked="recorded", note="a lower bound"
        ),
        "open_interest": Offer(
            poll=60, history="30 days", checked="recorded", note="of COIN-M perpetuals only"
        ),
        "mark_price": Offer(poll=30, checked="recorded"),
        "funding": Offer(
            poll=30, history="all", checked="recorded", note="predicted; settled from history"
        ),
        "candle": Offer(poll=60, history="all", checked="recorded", note="with taker volume"),
        "long_short_ratio": Offer(
            poll=300, history="30 days", checked="recorded", note="COIN-M: of the pair"
        ),
        "taker_volume": Offer(poll=300, history="30 days", checked="recorded"),
        "option_quote": Offer(stream=True, poll=300, checked="recorded", note=options.NOTE),
        **binance_books.OFFERS,
    }
    limits = (
        Limit(name="binance-futures", amount=2400, seconds=60, header="X-MBX-USED-WEIGHT-1M"),
        Limit(name="binance-futures-data", amount=1000, seconds=300),
        Limit(name="binance-funding", amount=500, seconds=300),
        Limit(name="binance-spot", amount=6000, seconds=60, header="X-MBX-USED-WEIGHT-1M"),
        Limit(name=options.LIMIT, amount=400, seconds=60, header="X-MBX-USED-WEIGHT-1M"),
    )
    most = 100  # so that one frame subscribes to all, and its answer, which names none, is of all

    def instruments(self) -> list[Request]:
        """Return what to ask for listings, and then for the intervals of funding."""
        return [
            *(_request("instrument", market, "exchangeInfo") for market in FUTURES),
            _request("instrument", "spot", "exchangeInfo", 20, showPermissionSets="false"),
            *options.instruments(),
            *(_request("instrument", market, "fundingInfo") for market in FUTURES),
        ]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument, or one for all liquidations."""
        chains = [listing for listing in listings if listing.category == "option"]
        if kind == "option_quote":
            return options.channels(kind, chains)
        if kind == "liquidation":
            # Since 2026-06-30 the streams of all instruments have USD-M and COIN-M on both hosts.
            channel = Channel(url=SOCKETS["linear"], topic="!forceOrder@arr", kinds=(kind,))
            return [channel] if any(one.category in FUTURES for one in listings) else []
        if kind in books.KINDS:
            return binance_books.channels(listings, _book)
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        trades = [
            Channel(
                url=SOCKETS[listing.category],
                topic=f"{listing.native.lower()}@aggTrade",
                kinds=(kind,),
                symbol=listing.symbol,
            )
            for listing in listings
            if listing.category in SOCKETS
        ]
        return [*trades, *options.channels(kind, chains)]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return one frame; Binance answers with its number only."""
        topics = [channel.topic for channel in channels]
        return [json.encode({"method": "SUBSCRIBE", "params": topics, "id": 1})]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all marks, or one for each instrument."""
        if kind == "option_quote":
            return options.polls([one for one in listings if one.category == "option"])
        futures = [listing for listing in listings if listing.category in FUTURES]
        if kind in {"mark_price", "funding"}:
            return [
                Poll(request=_request(kind, market, "premiumIndex", 10), every=30)
                for market in sorted({one.category for one in futures})
            ]
        if kind == "open_interest":
            return [Poll(request=_of(kind, one, "openInterest"), every=60) for one in futures]
        if kind == "candle":
            traded = (one for one in listings if one.category in REST)
            asked = (_of(kind, one, "klines", 2, interval="1m", limit="3") for one in traded)
            return [Poll(request=request, every=60, delay=2) for request in asked]
        if kind not in STATISTICS:
            raise Unsupported(NAME, kind, "cannot be asked for")
        return [
            Poll(request=_statistic(kind, path, one, limit="3"), every=300, delay=20)
            for one in filter(_has_statistics, futures)
            for path in _paths(kind, one)
        ]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page: of candles and funding the oldest, of statistics the newest."""
        start, end = -(-since // MILLISECOND), (until - 1) // MILLISECOND
        span = {"startTime": str(start), "endTime": str(end)}
        if kind == "candle" and listing.category in REST:
            # COIN-M gives the newest of a span that is too long, the others give its oldest.
            request = _of(kind, listing, "klines", 5, interval="1m", limit="1000", **span)
            return _window(request, start, end) if listing.category == "inverse" else request
        if kind == "funding" and listing.instrument.kind == "perpetual":
            return _of(kind, listing, "fundingRate", limit="1000", **span)
        if kind in STATISTICS and _has_statistics(listing):
            request = _statistic(kind, _paths(kind, listing)[0], listing, limit="500")
            return _window(request, max(start, end - KEPT), end)
        raise Unsupported(NAME, kind, f"of {listing.symbol} has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page: later rows, or an earlier window, or the next population."""
        if "startTime" not in request.query:
            return None
        rows = _message(payload, list[Any])
        if "since" in request.about:
            return _earlier(request, bool(rows))
        if len(rows) < int(request.query["limit"]):
            return None
        time = "fundingTime" if request.kind == "funding" else 0
        start = max(int(row[time]) for row in rows) + 1
        if start > int(request.query["endTime"]):
            return None
        return replace(request, query={**request.query, "startTime": str(start)})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Binance()


def _request(kind: str, market: str, path: str, weight: int = 1, /, **query: str) -> Request:
    pool = "binance-spot" if market == "spot" else "binance-futures"
    if market == "linear" and path in {"fundingInfo", "fundingRate"}:
        pool = "binance-funding"
    url, about = f"{REST[market]}/{path}", {"category": market}
    return Request(kind=kind, url=url, query=query, limit=pool, weight=weight, about=about)


def _of(kind: str, listing: Listing, path: str, weight: int = 1, /, **query: str) -> Request:
    query = {"symbol": listing.native, **query}
    made = _request(kind, listing.category, path, weight, **query)
    return replace(made, about={**made.about, "native": listing.native})


def _book(listing: Listing) -> Request:
    limit = str(binance_books.LEVELS)
    return _of("book_depth", listing, binance_books.PATH, binance_books.WEIGHT, limit=limit)


def _statistic(kind: str, path: str, listing: Listing, **query: str) -> Request:
    about = {"category": listing.category, "native": listing.native}
    if listing.category == "linear":
        of = {"symbol": listing.native}
    else:
        of = {"pair": listing.native.partition("_")[0]}
        if path in {"openInterestHist", "takerBuySellVol"}:
            of["contractType"] = "PERPETUAL"
    url = f"{DATA[listing.category]}/futures/data/{path}"
    query = {**of, "period": "5m", **query}
    return Request(kind=kind, url=url, query=query, limit="binance-futures-data", about=about)


def _paths(kind: str, listing: Listing) -> list[str]:
    if kind == "long_short_ratio":
        return list(POPULATIONS)
    return ["openInterestHist" if kind == "open_interest" else TAKERS[listing.category]]


def _has_statistics(listing: Listing) -> bool:
    """Whether statistics name it: of COIN-M's dated contracts they name only the nearest."""
    perpetual = listing.instrument.kind == "perpetual"
    return listing.category == "linear" or (listing.category == "inverse" and perpetual)


def _window(request: Request, since: int, end: int) -> Request:
    """Return a request for the last span that fits on one page, so that no order matters."""
    bucket = BUCKET if "period" in request.query else MINUTE
    span = int(request.query["limit"]) * bucket // MILLISECOND
    about = {"until": str(end), **request.about, "since": str(since)}
    window = {"startTime": str(max(since, end - span + 1)), "endTime": str(end)}
    return replace(request, query={**request.query, **window}, about=about)


def _earlier(request: Request, found: bool) -> Request | None:
    since, start = int(request.about["since"]), int(request.query["startTime"])
    # Before a contract was listed there are no candles.
    if start > since and (found or request.kind != "candle"):
        return _window(request, since, start - 1)
    base, _, path = request.url.rpartition("/")
    later = list(POPULATIONS)[list(POPULATIONS).index(path) + 1 :] if path in POPULATIONS else []
    if not later:
        return None
    return _window(replace(request, url=f"{base}/{later[0]}"), since, int(request.about["until"]))


def _message(payload: bytes, shape: type[T]) -> T:
    """Return an answer, unless it is an error or of another shape than documented."""
    message = json.decode(payload)
    if isinstance(message, dict) and "code" in message:
        raise ValueError(f"code {message['code']}: {message.get('msg')}")
    return convert(message, shape)


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=binance_books.LEVELS, is_asked=True)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = convert(json.decode(payload), Row)
        if "stream" not in frame:
            if "result" in frame and frame["result"] is None:
                return [Acknowledged()]
            error = frame.get("error", frame)
            return [Refused("", f"code {error['code']}: {error['msg']}")]
        if isinstance(frame["data"], list):
            return list(options.chain(self, frame["data"], received))
        if frame["data"]["e"] == "depthUpdate":
            listing = self.listing(frame["data"]["s"], *FUTURES)
            told = binance_books.change(frame["data"], listing)
            return list(self._books.read(told, received))
        return [self._event(frame["data"], received)]

    def _event(self, data: Row, received: int) -> events.Event:
        match data["e"]:
            case "aggTrade":
                return self._trade(convert(data, _Aggregate, strict=False), received)
            case "forceOrder":
                return self._liquidation(convert(data["o"], _Order, strict=False), received)
            case "trade":  # of options; those of other markets are asked for as aggregates
                return options.trade(self, data, received)
            case other:
                raise ValueError(f"unknown event {other!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        path, market = request.url.rpartition("/")[2], request.about["category"]
        if path == "exchangeInfo":
            return self._listed(_message(payload, Row), market)
        if "native" in request.about:
            listing = self.listing(request.about["native"], market)
            return self._of_one(payload, listing, received, path)
        rows = _message(payload, list[Any])
        if path == "fundingInfo":
            return self._intervals(rows, market)
        if market == "option":
            return list(options.rows(self, rows, received, request))
        return list(filter(None, (self._premium(row, received, request) for row in rows)))

    def _of_one(self, payload: bytes, listing: Listing, received: int, path: str) -> list[Any]:
        if path == binance_books.PATH:
            told = binance_books.snapshot(_message(payload, Row), listing)
            return list(self._books.read(told, received))
        single = path == "openInterest"
        rows = [_message(payload, Row)] if single else _message(payload, list[Any])
        if path in POPULATIONS:
            return [self._ratio(row, listing, received, path) for row in rows]
        makers: dict[str, Callable[[Any, Listing, int], events.Event | None]] = {
            "openInterest": self._standing,
            "openInterestHist": self._interest,
            "fundingRate": self._settled,
            "klines": self._candle,
            "takerlongshortRatio": self._taken,
            "takerBuySellVol": self._taken,
        }
        return list(filter(None, (makers[path](row, listing, received) for row in rows)))

    def _trade(self, one: _Aggregate, received: int) -> events.Trade:
        markets = FUTURES if one.M is None else ("spot",)
        listing, price = self.listing(one.s, *markets), positive(one.p)
        return events.Trade(
            **self.about(listing, nanoseconds(one.T), received),
            id=one.a,
            side="sell" if one.m else "buy",  # m: the buyer was the maker
            price=price,
            amount=listing.instrument.amount(positive(one.q), price),
            grain="aggregate",
        )

    def _liquidation(self, one: _Order, received: int) -> events.Liquidation:
        listing, price = self.listing(one.s, *FUTURES), positive(one.ap)
        amount = listing.instrument.amount(positive(one.z), price)
        return events.Liquidation(
            **self.about(listing, nanoseconds(one.T), received),
            side="long" if one.S == "SELL" else "short",  # the order closes the position
            price=price,
            amount=amount,
            value_usd=amount * price,
            price_kind="fill",
            completeness="throttled",
        )

    def _listed(self, answer: Row, market: str) -> list[Listing]:
        """Return listings, and remember them for the intervals, which come in another answer."""
        rows = answer["optionSymbols" if market == "option" else "symbols"]
        found = (options.listed(row, market) for row in rows)
        hours = {key: one.interval_hours for key, one in self.listings.items()}
        return self._remembered(
            replace(one, interval_hours=hours.get((market, one.native)))
            for one in filter(None, found)
        )

    def _intervals(self, rows: list[Any], market: str) -> list[Listing]:
        """Return the perpetuals with their intervals; those left out have the usual one."""
        hours = {row["symbol"]: positive(row["fundingIntervalHours"]) for row in rows}
        return self._remembered(
            replace(one, interval_hours=hours.get(one.native, USUAL_HOURS))
            for one in list(self.listings.values())
            if one.category == market and one.instrument.kind == "perpetual"
        )

    def _remembered(self, found: Iterable[Listing]) -> list[Listing]:
        listings = list(found)
        self.listings.update(((one.category, one.native), one) for one in listings)
        return listings

    def _premium(self, row: Row, received: int, request: Request) -> events.Event | None:
        listing = self.listings.get((request.about["category"], row["symbol"]))
        if listing is None:
            return None  # listed since we last asked
        about = self.about(listing, nanoseconds(row["time"]), received)
        if request.kind == "mark_price":
            mark, index = number(row["markPrice"]), number(row["indexPrice"])
            if mark == 0:
                return None  # not marked yet
            index_price = positive(index) if index else None
            return events.MarkPrice(**about, mark_price=positive(mark), index_price=index_price)
        rate, settles = row["lastFundingRate"], row["nextFundingTime"]
        if listing.instrument.kind != "perpetual" or rate == "" or int(settles) == 0:
            return None
        return events.Funding(
            **about,
            rate=number(rate),
            interval_hours=listing.interval_hours,
            status="predicted",
            settles=nanoseconds(settles),
        )

    def _standing(self, row: Row, listing: Listing, received: int) -> events.OpenInterest:
        about = self.about(listing, nanoseconds(row["time"]), received)
        held, size = number(row["openInterest"]), float(listing.instrument.contract_size)
        if listing.category == "inverse":
            return events.OpenInterest(**about, value_usd=held * size)
        return events.OpenInterest(**about, amount=held)

    def _interest(self, row: Row, listing: Listing, received: int) -> events.OpenInterest:
        about = self.about(listing, nanoseconds(row["timestamp"]), received)
        held, worth = number(row["sumOpenInterest"]), number(row["sumOpenInterestValue"])
        if listing.category == "linear":
            return events.OpenInterest(**about, amount=held, value_usd=worth)
        # COIN-M: contracts, and what they are worth in coin.
        size = float(listing.instrument.contract_size)
        return events.OpenInterest(**about, amount=worth, value_usd=held * size)

    def _settled(self, row: Row, listing: Listing, received: int) -> events.Funding:
        time = nanoseconds(row["fundingTime"])
        rate = number(row["fundingRate"])
        return events.Funding(**self.about(listing, time, received), known_at=time, rate=rate)

    def _candle(self, row: list[Any], listing: Listing, received: int) -> events.Candle | None:
        time = nanoseconds(row[0])
        if (end := time + MINUTE) > received:
            return None  # not over yet
        opened, high, low, close = (positive(text) for text in row[1:5])
        volume, quote, taken, taken_quote = (number(row[at]) for at in (5, 7, 9, 10))
        if listing.category == "inverse":  # contracts, and coins where others have quote units
            size = float(listing.instrument.contract_size)
            volume, quote = quote, volume * size
            taken, taken_quote = taken_quote, taken * size
        return events.Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            open=opened,
            high=high,
            low=low,
            close=close,
            volume=volume,
            quote_volume=quote,
            trades=int(row[8]),
            taker_buy_volume=taken,
            taker_buy_quote_volume=taken_quote,
        )

    def _ratio(self, row: Row, listing: Listing, received: int, path: str) -> events.LongShortRatio:
        share = row["longPosition"] if "longPosition" in row else row["longAccount"]
        return events.LongShortRatio(
            **self.about(listing, nanoseconds(row["timestamp"]), received),
            population=POPULATIONS[path],
            ratio=number(row["longShortRatio"]),
            long_share=number(share),
        )

    def _taken(self, row: Row, listing: Listing, received: int) -> events.TakerVolume | None:
        time = nanoseconds(row["timestamp"])
        if time + BUCKET > received:
            return None  # not over yet
        linear = listing.category == "linear"
        names = ("buyVol", "sellVol") if linear else ("takerBuyVolValue", "takerSellVolValue")
        buy, sell = (number(row[name]) for name in names)
        return events.TakerVolume(
            **self.about(listing, time, received),
            interval=300,
            buy_amount=buy,
            sell_amount=sell,
            ratio=buy / sell if sell > 0 else None,
        )
