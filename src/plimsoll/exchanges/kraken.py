"""Kraken Futures: linear (``PF_``, ``FF_``) and inverse (``PI_``, ``FI_``) contracts.

Traps: a size is in base units on linear contracts, in dollars on inverse ones. A liquidation is a
trade of the type ``liquidation``, and its side is the taker's, so a liquidated long is ``sell``.
The funding rate of the REST ticker is absolute: quote for one linear contract, coin for one inverse
contract; only the socket and the history give it as a fraction too. Analytics are stamped with the
opening of their bucket, in seconds or in milliseconds, and the last bucket is still filling.
"""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books, kraken_books
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
    picked,
    positive,
)
from plimsoll.market import native
from plimsoll.market.events import (
    EVENTS,
    Candle,
    Funding,
    Liquidation,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    Origin,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Kraken"]

NAME = "kraken"
REST = "https://futures.kraken.com/derivatives/api/v3"
CHARTS = "https://futures.kraken.com/api/charts/v1"
SOCKET = "wss://futures.kraken.com/ws/v1"
CATEGORIES = ("flexible_futures", "futures_inverse")
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BUCKET = 300  # seconds of analytics
_ORIGINS: dict[str, Origin] = {"fill": "screen", "liquidation": "screen", "block": "block"}
TOGETHER, PAGE = 50, 100  # instruments in one subscription, and trades in one answer
RECENT = "7 days, or since the matching engine started"
ABSOLUTE = "of the running hour; the REST ticker's absolute rate is divided by the mark price"


class _Frame(Struct):
    event: str = ""
    feed: str = ""
    product_id: str = ""
    product_ids: list[str] = []
    message: str = ""
    trades: Any = None


class _Print(Struct):
    uid: str
    side: Literal["buy", "sell"]
    type: Literal["fill", "liquidation", "assignment", "termination", "block"]
    price: float
    time: Any
    qty: float | None = None  # on the socket
    size: float | None = None  # in an answer


class Kraken(Exchange):
    """Kraken's linear and inverse futures."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, history=RECENT, checked="recorded"),
        "liquidation": Offer(stream=True, history=RECENT, checked="recorded", note="fill price"),
        "open_interest": Offer(stream=True, poll=30, history="since 2023", checked="recorded"),
        "mark_price": Offer(stream=True, poll=30, checked="recorded"),
        "funding": Offer(stream=True, poll=30, history="a year", checked="recorded", note=ABSOLUTE),
        "candle": Offer(poll=60, history="since listing", checked="recorded", note="no taker part"),
        "long_short_ratio": Offer(history="since 2023", note="accounts, then the top fifth"),
        "taker_volume": Offer(history="since 2023", note="inverse contracts: the ratio only"),
        **kraken_books.OFFERS,
    }
    limits = (Limit(name="kraken", amount=100, seconds=60),)
    ping = Ping(every=30)

    def instruments(self) -> list[Request]:
        """Return what to ask for listings, and the same for their margin levels."""
        return [_request(kind, f"{REST}/instruments") for kind in ("instrument", "brackets")]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument: its trades, its ticker, or its book."""
        feed = next((feed for feed, kinds in _FEEDS.items() if kind in kinds), None)
        if feed is None:
            raise Unsupported(NAME, kind, "is not streamed")
        topics = {one.symbol: f"{feed}:{one.native}" for one in listings}
        kinds = _FEEDS[feed]
        return [Channel(url=SOCKET, topic=t, kinds=kinds, symbol=s) for s, t in topics.items()]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return frames for each feed, of some dozens of instruments each."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all tickers, or one for each instrument's candles."""
        if kind in {"open_interest", "mark_price", "funding"}:
            return [Poll(request=_request(kind, f"{REST}/tickers"), every=30)] if listings else []
        if kind == "candle":
            asked = [_candles(one, about={}, count="3") for one in listings]
            return [Poll(request=one, every=60, delay=2) for one in asked]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page: the oldest, but of trades the newest, and of funding all."""
        span = {"since": str(since), "until": str(until), "native": listing.native}
        begin, end = str(since // SECOND), str((until - 1) // SECOND)
        if kind in {"trade", "liquidation"}:
            query = {"symbol": listing.native, "lastTime": _iso(until)}
            return _request(kind, f"{REST}/history", span, **query)
        if kind == "funding":
            return _request(kind, f"{REST}/historical-funding-rates", span, symbol=listing.native)
        if kind == "candle":
            return _candles(listing, span, **{"from": begin, "to": end})
        if kind in _ANALYTICS:
            url = f"{CHARTS}/analytics/{listing.native}/{_ANALYTICS[kind]}"
            bucket = {"since": begin, "to": end, "interval": str(BUCKET)}
            return _request(kind, url, span, **bucket)
        raise Unsupported(NAME, kind, "has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page, and after the last of all accounts the top traders' first."""
        answer = _answer(payload)
        match request.kind:
            case "trade" | "liquidation":
                return _older(request, answer["history"])
            case "candle":
                last = max((nanoseconds(row["time"]) for row in answer["candles"]), default=0)
                more, name, step = answer["more_candles"], "from", MINUTE
            case kind if kind in _ANALYTICS:
                last = max(map(_seconds, answer["result"]["timestamp"]), default=0)
                more, name, step = answer["result"]["more"], "since", BUCKET * SECOND
            case _:
                return None
        if more and last:
            return _later(request, name, last + step)
        if not request.url.endswith("/long-short-info"):
            return None
        top = request.url.replace("/long-short-info", "/top-traders")
        return _later(replace(request, url=top), "since", int(request.about["since"]))

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Kraken()

_FEEDS = {"trade": ("trade", "liquidation"), "ticker": ("mark_price", "open_interest", "funding")}
_FEEDS[kraken_books.FEED] = books.KINDS
_ANALYTICS = {"long_short_ratio": "long-short-info", "taker_volume": "cvd"}
_ANALYTICS["open_interest"] = "open-interest"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _frames(event: str, channels: Sequence[Channel]) -> list[bytes]:
    frames = []
    for feed in _FEEDS:
        begin = f"{feed}:"
        names = [one.topic.removeprefix(begin) for one in channels if begin in one.topic]
        for at in range(0, len(names), TOGETHER):
            some = names[at : at + TOGETHER]
            frames.append({"event": event, "feed": feed, "product_ids": some})
    return [json.encode(frame) for frame in frames]


def _request(kind: str, url: str, about: dict[str, str] | None = None, **query: str) -> Request:
    return Request(kind=kind, url=url, query=query, limit="kraken", about=about or {})


def _candles(listing: Listing, about: dict[str, str], **query: str) -> Request:
    url = f"{CHARTS}/trade/{listing.native}/1m"
    return _request("candle", url, {**about, "native": listing.native}, **query)


def _later(request: Request, name: str, time: int) -> Request:
    return replace(request, query={**request.query, name: str(time // SECOND)})


def _older(request: Request, rows: list[dict[str, Any]]) -> Request | None:
    """Return the page before the oldest trade, which it repeats lest its twins be missed."""
    oldest = min((_moment(row["time"]) for row in rows), default=0)
    if len(rows) < PAGE or oldest < int(request.about["since"]):
        return None
    before = _moment(request.query["lastTime"])
    last = _iso(min(oldest + MILLISECOND, before - MILLISECOND))
    return replace(request, query={**request.query, "lastTime": last})


def _answer(payload: bytes) -> dict[str, Any]:
    answer = decode(payload, dict[str, Any])
    if answer.get("error") or answer.get("errors") or answer.get("result") == "error":
        raise ValueError(f"{answer.get('error')} {answer.get('errors')}")
    return answer


def _moment(text: Any) -> int:
    """Return a time written by ISO 8601 in nanoseconds."""
    micros = (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
    return nanoseconds(micros // 1000) + micros % 1000 * 1000


def _iso(time: int) -> str:
    moment = _EPOCH + timedelta(microseconds=time // 1000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _seconds(stamp: Any) -> int:
    """Return the time of a bucket, which analytics give in seconds or in milliseconds."""
    value = number(stamp)
    return nanoseconds(int(value * 1000 if value < 1e11 else value))


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=kraken_books.LEVELS)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        topics = [f"{frame.feed}:{name}" for name in frame.product_ids]
        if frame.event == "subscribed":
            return [Acknowledged(tuple(topics))]
        if frame.event in {"subscribed_failed", "error", "alert"}:
            return [Refused(topic, frame.message) for topic in topics or [""]]
        if frame.event in {"info", "unsubscribed", "pong"} or frame.feed == "heartbeat":
            return []
        listing = self.listing(frame.product_id, *CATEGORIES)
        if frame.feed.startswith(kraken_books.FEED):
            told = kraken_books.told(payload, frame.feed, listing)
            return list(self._books.read(told, received))
        if frame.feed == "ticker":
            row = decode(payload, dict[str, Any])
            about = self.about(listing, nanoseconds(row["time"]), received)
            return self._ticker(row, listing, about)
        new = {"trade": [json.decode(payload)], "trade_snapshot": frame.trades}[frame.feed]
        return self._trades(new, listing, received, nanoseconds)

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        answer = _answer(payload)
        if request.kind == "instrument":
            found = (_instrument(row) for row in answer["instruments"])
            return [listing for listing in found if listing is not None]
        if request.kind == "brackets":
            return self._brackets(answer["instruments"], received)
        if request.url.endswith("/tickers"):
            events = self._tickers(answer, received)
        else:
            events = self._series(answer, received, request)
        since = int(request.about.get("since", 0))
        until = int(request.about.get("until", sys.maxsize))
        return [
            event
            for event in events
            if isinstance(event, EVENTS[request.kind])
            and since <= event.time < until
            and (event.known_at or 0) <= received  # a candle that is not over is not told
        ]

    def _tickers(self, answer: dict[str, Any], received: int) -> list[Event]:
        now = _moment(answer["serverTime"])
        events: list[Event] = []
        for row in answer["tickers"]:
            names = ((category, row["symbol"]) for category in CATEGORIES)
            listing = next(filter(None, map(self.listings.get, names)), None)
            if listing is not None:  # not an index, and not listed since we last asked
                events += self._ticker(row, listing, self.about(listing, now, received))
        return events

    def _series(self, answer: dict[str, Any], received: int, request: Request) -> list[Event]:
        listing = self.listing(request.about["native"], *CATEGORIES)
        if request.kind in _FEEDS["trade"]:
            return self._trades(answer["history"], listing, received, _moment)
        if request.kind == "funding":
            return self._settled(answer["rates"], listing, received)
        if request.kind == "candle":
            return self._candles(answer["candles"], listing, received)
        return self._analytics(answer["result"], listing, received, request.kind)

    def _trades(
        self, rows: Any, listing: Listing, received: int, read: Callable[[Any], int]
    ) -> list[Event]:
        """Return trades, and the liquidations that some are."""
        events: list[Event] = []
        for one in convert(rows, list[_Print]):
            price, about = positive(one.price), self.about(listing, read(one.time), received)
            contracts = positive(one.qty if one.size is None else one.size)
            amount = listing.instrument.amount(contracts, price)
            first = int(one.uid.replace("-", "")[:15], 16)
            told = about | {"price": price, "amount": amount, "origin": _ORIGINS.get(one.type)}
            events.append(Trade(**told, id=first, side=one.side))
            if one.type == "liquidation":
                forced = Liquidation(
                    **about,
                    side="long" if one.side == "sell" else "short",  # the order closes the position
                    price=price,
                    amount=amount,
                    value_usd=amount * price,
                    price_kind="fill",
                    completeness="complete",
                    id=one.uid,
                )
                events.append(forced)
        return events

    def _ticker(self, row: dict[str, Any], listing: Listing, about: dict[str, Any]) -> list[Event]:
        """Return what a ticker says: the socket's, or one of the answer's, which names it else."""
        mark = positive(row["markPrice"])
        index = "indexPrice" if "indexPrice" in row else "index"
        names = {"mark_price": "markPrice", "index_price": index, "last_price": "last"}
        events = [
            MarkPrice(**about, **picked(row, names)),
            OpenInterest(**about, **_held(row["openInterest"], listing, mark)),
            _predicted(row, mark, listing, about),
        ]
        return [event for event in events if event is not None]

    def _settled(self, rows: list[Any], listing: Listing, received: int) -> list[Event]:
        """Return settlements; the interval is one hour where the one before is an hour away."""
        timed = {_moment(row["timestamp"]): number(row["relativeFundingRate"]) for row in rows}
        oldest = min(timed, default=0)
        return [
            Funding(
                **self.about(listing, time, received),
                known_at=time,
                rate=rate,
                interval_hours=1.0 if time + (HOUR, -HOUR)[time > oldest] in timed else None,
            )
            for time, rate in timed.items()
        ]

    def _candles(self, rows: list[Any], listing: Listing, received: int) -> list[Event]:
        size = float(listing.instrument.contract_size)
        # The contracts of an inverse candle are dollars, and their coins are not told.
        counted = "quote_volume" if _inverse(listing) else "volume"
        events: list[Event] = []
        for row in rows:
            time, values = nanoseconds(row["time"]), {counted: number(row["volume"]) * size}
            values |= {name: positive(row[name]) for name in ("open", "high", "low", "close")}
            about = {**self.about(listing, time, received), **values}
            events.append(Candle(**about, known_at=time + MINUTE, interval=60))
        return events

    def _analytics(self, result: Any, listing: Listing, received: int, kind: str) -> list[Event]:
        makers: dict[str, Callable[[Any, Listing, int, int], Event]] = {
            "open_interest": self._interest,
            "long_short_ratio": self._ratio,
            "taker_volume": self._taken,
        }
        make, times = makers[kind], [_seconds(stamp) for stamp in result["timestamp"]]
        row = _columns(result["data"], len(times))
        return [
            make(row(at), listing, time, received)
            for at, time in enumerate(times)
            if time + BUCKET * SECOND <= received
        ]

    def _interest(self, row: Any, listing: Listing, time: int, received: int) -> OpenInterest:
        _, _, _, close = row  # open, high, low, close; the close is of the bucket's end
        about = self.about(listing, time + BUCKET * SECOND, received)
        return OpenInterest(**about, **_held(close, listing))

    def _ratio(self, row: Any, listing: Listing, time: int, received: int) -> LongShortRatio:
        top = row.get("top20Percent")
        row = row if top is None else top
        long, short = number(row["longCount"]), number(row["shortCount"])
        return LongShortRatio(
            **self.about(listing, time + BUCKET * SECOND, received),
            population="accounts" if top is None else "top_accounts",
            ratio=long / short if short > 0 else None,
            long_share=long / (long + short) if long + short > 0 else None,
        )

    def _taken(self, row: Any, listing: Listing, time: int, received: int) -> TakerVolume:
        size = float(listing.instrument.contract_size)
        bought, sold = number(row["buy_volume"]) * size, number(row["sell_volume"]) * size
        ratio, about = bought / sold if sold > 0 else None, self.about(listing, time, received)
        if _inverse(listing):  # the unit of its volumes is not documented
            return TakerVolume(**about, interval=BUCKET, ratio=ratio)
        return TakerVolume(
            **about, interval=BUCKET, buy_amount=bought, sell_amount=sold, ratio=ratio
        )

    def _brackets(self, rows: list[Any], received: int) -> list[Brackets]:
        """Return brackets of linear contracts; inverse ones have theirs in dollars, not coin."""
        since = datetime.fromtimestamp(received // SECOND, tz=UTC)
        found = []
        for row in rows:
            listing = self.listings.get((CATEGORIES[0], row["symbol"]))
            if listing is None:
                continue
            levels = sorted(
                (number(one["numNonContractUnits"]), one["maintenanceMargin"], one["initialMargin"])
                for one in row["marginLevels"]
            )
            if levels[0][0] != 0:
                raise ValueError(f"the first margin level starts at {levels[0][0]}")
            caps = [*(floor for floor, _, _ in levels[1:]), math.inf]
            rates = [(positive(rate), 1 / positive(initial)) for _, rate, initial in levels]
            tiers = [(cap, *rate) for cap, rate in zip(caps, rates, strict=True)]
            found.append(Brackets.build(NAME, listing.symbol, since, tiers))
        return found


def _inverse(listing: Listing) -> bool:
    return listing.instrument.settlement == "inverse"


def _held(contracts: Any, listing: Listing, mark: float | None = None) -> dict[str, Any]:
    """Return contracts in base units and in dollars, as far as can be told."""
    held = number(contracts) * float(listing.instrument.contract_size)
    if _inverse(listing):
        return {"amount": held / mark if mark else None, "value_usd": held}
    return {"amount": held, "value_usd": held * mark if mark else None}


def _instrument(row: dict[str, Any]) -> Listing | None:
    if row["type"] not in CATEGORIES or not row.get("tradeable", True):
        return None
    try:
        symbol = native.unified(NAME, row["symbol"])
    except UnknownSymbol:
        return None  # of a kind of market that has no unified name
    size, tick = Decimal(str(row["contractSize"])), Decimal(str(row["tickSize"])) or None
    made = Instrument(exchange=NAME, symbol=symbol, contract_size=size, tick=tick)
    hours = 1.0 if made.kind == "perpetual" else None
    return Listing(
        native=row["symbol"], category=row["type"], instrument=made, interval_hours=hours
    )


def _predicted(row: Any, mark: float, listing: Listing, about: dict[str, Any]) -> Funding | None:
    """Return the rate of the running hour; a rate of zero is left out, and dated futures' is."""
    about = {**about, "status": "predicted"}
    if (absolute := known(row, "fundingRate")) is not None:
        size = float(listing.instrument.contract_size)
        # Inverse: coin for a contract of size / mark. Linear: quote for one of size × mark.
        rate = absolute * mark / size if _inverse(listing) else absolute / (mark * size)
        return Funding(**about, rate=rate, interval_hours=1.0)
    if (relative := known(row, "relative_funding_rate")) is None:
        return None
    settles = nanoseconds(row["next_funding_rate_time"])
    # Until 2022 a rate was for four hours, and the message does not say for how long.
    hours = 1.0 if settles - about["time"] <= HOUR else None
    return Funding(**about, rate=relative, interval_hours=hours, settles=settles)


def _columns(data: Any, length: int) -> Callable[[int], Any]:
    """Return what gives the row of a bucket, from columns that must all be as long."""
    if isinstance(data, list):
        if len(data) != length:
            raise ValueError(f"{len(data)} values for {length} buckets")
        return data.__getitem__
    parts = {name: _columns(column, length) for name, column in data.items()}
    return lambda at: {name: part(at) for name, part in parts.items()}
