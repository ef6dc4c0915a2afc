"""Deribit: inverse and linear perpetuals and futures, and options, by JSON-RPC.

Traps: amounts of inverse futures are dollars, all others coins. A liquidation is a trade with a
flag that tells which of its two sides was liquidated, and the trade's direction is the taker's.
Volatilities are percent. Funding runs all the time: `current_funding` is the rate of eight hours
at this moment, `interest_1h` what an hour brought, and the `interest_8h` beside it overlaps from
row to row. The main host knows trades of 24 hours only; older ones have a host of their own.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books, deribit_books, deribit_options
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
from plimsoll.exchanges.deribit_options import INDEX, OPTION, price
from plimsoll.exchanges.deribit_trades import Print
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
from plimsoll.market.events import (
    Candle,
    Funding,
    Liquidation,
    MarkPrice,
    OpenInterest,
    OptionQuote,
    Trade,
)
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import HOUR, MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Deribit", "DeribitDecoder"]

FUTURES = ("linear", "inverse")
CATEGORIES = (*FUTURES, OPTION)
PAGE = 1000  # trades of one answer, at most
ENDED = "unsubscribe"
TEST = b'{"jsonrpc":"2.0","id":"test","method":"public/test","params":{}}'
_BY_TIME = "get_last_trades_by_instrument_and_time"
_BY_NUMBER = "get_last_trades_by_instrument"
_PRINTS = ("trade", "liquidation")
_COLUMNS = ("ticks", "open", "high", "low", "close", "volume", "cost")
_STANDING = ("mark_price", "open_interest", "funding")
_SPANS = {"funding": 743 * HOUR // MILLISECOND, "candle": 4999 * MINUTE // MILLISECOND}
"""The longest of one answer, in milliseconds: 744 hours, 5,000 minutes; both ends count."""
_PAST = {"trade": CATEGORIES, **dict.fromkeys(("liquidation", "candle", "funding"), FUTURES)}
"""Of which categories history is kept."""
_KINDS = {*_PRINTS, *_STANDING, *books.KINDS, "option_quote", "volatility_index"}


class _Failure(Struct):
    code: int
    message: str


class _Params(Struct):
    channel: str = ""
    type: str = ""
    data: Any = None


class _Frame(Struct):
    method: str = ""
    params: _Params | None = None
    id: Any = None
    result: Any = None
    error: _Failure | None = None


class Deribit(Exchange):
    """Deribit's futures and options.

    Other hosts of its engine differ in `rest`, `socket`, and `past`, which keeps old trades.
    """

    name = "deribit"
    offers: ClassVar[Mapping[str, Offer]] = {
        "trade": Offer(
            stream=True,
            history="all",
            checked="recorded",
            note="options: documented only, history of those listed now",
        ),
        "liquidation": Offer(stream=True, history="all", checked="recorded", note="futures"),
        "open_interest": Offer(stream=True, poll=30, checked="recorded", note="futures"),
        "mark_price": Offer(stream=True, poll=30, checked="recorded", note="index: streamed only"),
        "funding": Offer(
            stream=True,
            poll=30,
            history="all",
            checked="recorded",
            note="predicted: this moment's rate of 8 hours; settled, from history: of 1 hour",
        ),
        "candle": Offer(history="all", note="not polled: it is asked for by its times"),
        "option_quote": Offer(
            stream=True, poll=300, checked="recorded", note="greeks, sizes: streamed only"
        ),
        "volatility_index": Offer(stream=True, history="all", note="history: each minute"),
        **deribit_books.OFFERS,
    }
    limits: ClassVar[tuple[Limit, ...]] = (Limit(name="deribit", amount=20, seconds=1),)
    # A gateway closes a socket on which the client says nothing; a protocol's ping is nothing.
    ping = Ping(every=15, payload=TEST)

    rest: ClassVar[str] = "https://www.deribit.com/api/v2"
    past: ClassVar[str] = "https://history.deribit.com/api/v2"
    socket: ClassVar[str] = "wss://www.deribit.com/ws/api/v2"

    def instruments(self) -> list[Request]:
        """Return what to ask for listings; of margin nothing is published."""
        return [
            self._request("instrument", "get_instruments", {"currency": "any", "kind": market})
            for market in ("future", "option")
        ]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument, or for trades of options each currency."""
        if kind not in _KINDS:
            raise Unsupported(self.name, kind, "is not streamed")
        found = {
            topic: (kinds, None if topic.startswith(deribit_options.TRADES) else listing.symbol)
            for listing in listings
            for topic, kinds in _topics(listing)
            if kind in kinds
        }
        return [
            Channel(url=self.socket, topic=topic, kinds=kinds, symbol=symbol)
            for topic, (kinds, symbol) in found.items()
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return frames of at most fifty topics each, named so that the answer tells which."""
        topics = [channel.topic for channel in channels]
        fifties = [topics[at : at + 50] for at in range(0, len(topics), 50)]
        return [_call("subscribe", ",".join(fifty), fifty) for fifty in fifties]

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frame that ends subscriptions."""
        return [_call("unsubscribe", ENDED, [channel.topic for channel in channels])]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for each settlement currency."""
        option = kind == "option_quote"
        wanted = (OPTION,) if option else FUTURES
        asked = [one for one in listings if one.category in wanted]
        if not option and kind not in _STANDING:
            raise Unsupported(self.name, kind, "cannot be asked for")
        every, market = (300, "option") if option else (30, "future")
        path = "get_book_summary_by_currency"
        return [
            Poll(request=self._request(kind, path, {"currency": coin, "kind": market}), every=every)
            for coin in sorted({one.instrument.parts.settle or "" for one in asked})
        ]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the oldest; the others follow forwards, of an index backwards."""
        start, end = since // MILLISECOND, until // MILLISECOND - 1
        paths = {"candle": "get_tradingview_chart_data", "funding": "get_funding_rate_history"}
        if kind == "volatility_index" and listing.category == INDEX:
            return self._index(listing, start, end)
        dated = kind == "funding" and not _perpetual(listing)
        if dated or listing.category not in _PAST.get(kind, ()):
            raise Unsupported(self.name, kind, "has no history here")
        if kind in _PRINTS:
            return self._trades(self._of(kind, _BY_TIME, listing), self.past, start, end)
        resolution = {"resolution": "1"} if kind == "candle" else {}
        return _window(self._of(kind, paths[kind], listing, **resolution), start, end)

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page: the next span of time, or the trades after the last one."""
        if "until" not in request.about:
            return None
        result, until = _result(payload), int(request.about["until"])
        if request.kind == "volatility_index":
            return deribit_options.older(request, result)
        if request.kind in _PRINTS:
            return self._later(request, result, until)
        start = int(request.query["end_timestamp"]) + 1
        return _window(request, start, until) if start <= until else None

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return DeribitDecoder(listings)

    def _request(self, kind: str, path: str, query: dict[str, str]) -> Request:
        return Request(kind=kind, url=f"{self.rest}/public/{path}", query=query, limit=self.name)

    def _of(self, kind: str, path: str, listing: Listing, **query: str) -> Request:
        made = self._request(kind, path, {"instrument_name": listing.native, **query})
        return replace(made, about={"native": listing.native, "category": listing.category})

    def _index(self, listing: Listing, start: int, end: int) -> Request:
        span = {"start_timestamp": str(start), "end_timestamp": str(end)}
        query = {"currency": listing.symbol, "resolution": "60", **span}
        about = {"native": listing.native, "category": listing.category, "until": str(end)}
        made = self._request("volatility_index", "get_volatility_index_data", query)
        return replace(made, about=about)

    def _trades(self, request: Request, host: str, start: int, end: int) -> Request:
        query = {"start_timestamp": str(start), "end_timestamp": str(end)}
        about = {**request.about, "start": str(start), "until": str(end)}
        return self._page(replace(request, about=about), host, _BY_TIME, query)

    def _page(self, request: Request, host: str, path: str, query: dict[str, str]) -> Request:
        older = {} if host == self.rest else {"include_old": "true"}
        count = {"instrument_name": request.about["native"], "count": str(PAGE), "sorting": "asc"}
        return replace(request, url=f"{host}/public/{path}", query={**count, **query, **older})

    def _later(self, request: Request, result: Any, end: int) -> Request | None:
        """Return the page after one of trades."""
        host, _, path = request.url.partition("/public/")
        start, last = int(request.about["start"]), None
        if trades := convert(result["trades"], list[Print]):
            last = max(trades, key=lambda one: one.trade_seq)
        if path == _BY_TIME and not (result["has_more"] and trades):
            # The host of old trades lacks the newest: the main host is asked after it.
            begin = last.timestamp if last else start
            return self._trades(request, self.rest, begin, end) if host != self.rest else None
        if last is None or last.timestamp > end:
            return None
        if last.timestamp > start:
            return self._trades(request, host, last.timestamp, end)
        # A whole page of one millisecond: time cannot tell what comes next, the number can.
        query = {"start_seq": str(last.trade_seq + 1), "end_seq": str(last.trade_seq + PAGE)}
        return self._page(request, host, _BY_NUMBER, query)


EXCHANGE = Deribit()


def _call(method: str, name: str, topics: list[str]) -> bytes:
    asked = {"jsonrpc": "2.0", "id": name, "method": f"public/{method}"}
    return json.encode({**asked, "params": {"channels": topics}})


def _window(request: Request, start: int, until: int) -> Request:
    """Return a request for as much from `start` on as one answer holds."""
    end = min(start + _SPANS[request.kind], until)
    query = {**request.query, "start_timestamp": str(start), "end_timestamp": str(end)}
    return replace(request, query=query, about={**request.about, "until": str(until)})


def _perpetual(listing: Listing) -> bool:
    return listing.native.endswith("-PERPETUAL")


def _topics(listing: Listing) -> list[tuple[str, tuple[str, ...]]]:
    """Return an instrument's topics, and the kinds that each brings."""
    if listing.category not in FUTURES:
        return deribit_options.topics(listing)
    ticker = f"ticker.{listing.native}.agg2"
    kinds = _STANDING if _perpetual(listing) else _STANDING[:2]
    trades, book = f"trades.{listing.native}.100ms", deribit_books.topic(listing.native)
    return [(trades, _PRINTS), (ticker, kinds), (book, books.KINDS)]


def _result(payload: bytes) -> Any:
    answer = decode(payload, _Frame)
    if answer.error is not None or answer.result is None:
        why = f"{answer.error.code}: {answer.error.message}" if answer.error else "no result"
        raise ValueError(f"error {why}")
    return answer.result


class DeribitDecoder(Decoder):
    """Reads what Deribit's engine says."""

    exchange = "deribit"

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(self.exchange, unit=deribit_books.unit)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        """Return what a frame says: a notification, a heartbeat, or an answer of the socket."""
        frame = decode(payload, _Frame)
        if frame.params is not None and frame.method == "subscription":
            return self._notified(frame.params, received)
        if frame.params is not None and frame.method == "heartbeat":
            return {"test_request": [Reply(TEST)], "heartbeat": []}[frame.params.type]
        if frame.method or not isinstance(frame.id, str):
            raise ValueError(f"unknown method {frame.method!r}")
        if frame.id in {"test", ENDED} and frame.error is None:
            return []
        return _subscribed(frame)

    def _notified(self, params: _Params, received: int) -> list[Any]:
        topic = params.channel.partition(".")[0]
        if params.channel.startswith(deribit_options.TRADES):
            return list(deribit_options.trades(self, params.data, received))
        if topic == "deribit_volatility_index":
            return [deribit_options.index(self, params.data, received)]
        if topic == "trades":
            prints = convert(params.data, list[Print])
            return [event for one in prints for event in self._print(one, received)]
        if topic == "ticker":
            return self._ticker(params.data, received)
        if topic == "book":
            listing = self.listing(deribit_books.instrument(params.data), *FUTURES)
            return list(self._books.read(deribit_books.told(params.data, listing), received))
        raise ValueError(f"unknown channel {params.channel!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        """Return what an answer says."""
        result, path = _result(payload), request.url.rpartition("/")[2]
        if path == "get_instruments":
            found = (self._instrument(row) for row in result)
            listed = [listing for listing in found if listing is not None]
            return [*listed, *deribit_options.indices(self.exchange, listed)]
        if path == "get_book_summary_by_currency":
            return [event for row in result for event in self._summary(row, received, request)]
        if path == "get_volatility_index_data":
            rows = result["data"]
            return list(deribit_options.index_history(self, rows, received, request))
        if path in {_BY_TIME, _BY_NUMBER}:
            return self._printed(result["trades"], received, request)
        listing = self.listing(request.about["native"], request.about["category"])
        if path == "get_funding_rate_history":
            return [self._settled(row, listing, received) for row in result]
        return self._candles(result, listing, received)

    def _printed(self, rows: Any, received: int, request: Request) -> list[Any]:
        """Return what trades of the past say of a kind."""
        if request.about["category"] == OPTION:
            return list(deribit_options.trades(self, rows, received))
        prints = convert(rows, list[Print])
        events = [event for one in prints for event in self._print(one, received)]
        wanted = Liquidation if request.kind == "liquidation" else Trade
        return [event for event in events if isinstance(event, wanted)]

    def _print(self, one: Print, received: int) -> list[Trade | Liquidation]:
        """Return a trade, and the liquidations that caused it: of the taker, the maker, both."""
        listing, price = self.listing(one.instrument_name, *FUTURES), positive(one.price)
        inverse, stated = listing.category == "inverse", positive(one.amount)
        about = self.about(listing, nanoseconds(one.timestamp), received)
        about |= {"price": price, "amount": stated / price if inverse else stated}
        taker: list[Literal["long", "short"]] = ["long", "short"]  # one who sells was long
        sides = zip(taker if one.direction == "sell" else taker[::-1], "TM", strict=True)
        return [
            Trade(**about, id=one.number, side=one.direction, origin=one.origin),
            *(
                Liquidation(
                    **about,
                    side=side,
                    value_usd=stated if inverse else stated * price,
                    price_kind="fill",
                    completeness="complete",
                    id=one.trade_id,
                )
                for side, letter in sides
                if letter in (one.liquidation or "")
            ),
        ]

    def _ticker(self, row: dict[str, Any], received: int) -> list[Event]:
        listing = self.listing(row["instrument_name"], *CATEGORIES)
        about = self.about(listing, nanoseconds(row["timestamp"]), received)
        if listing.category == OPTION:
            return [OptionQuote(**about, **deribit_options.quoted(row))]
        mark, index = positive(row["mark_price"]), price(row, "index_price")
        last = price(row, "last_price")
        prices = MarkPrice(**about, mark_price=mark, index_price=index, last_price=last)
        return [prices, _standing(row, listing, about), *_funding(row, listing, about)]

    def _instrument(self, row: dict[str, Any]) -> Listing | None:
        name = row["instrument_name"]
        try:
            symbol = native.unified(self.exchange, name)
        except UnknownSymbol:
            return None  # of a kind of market that has no unified name
        size, tick = (Decimal(str(row[name])) for name in ("contract_size", "tick_size"))
        made = Instrument(exchange=self.exchange, symbol=symbol, contract_size=size, tick=tick)
        parts = made.parts
        # A name from which we read another settlement than the exchange states is not ours.
        if parts.settle is None or row["settlement_currency"] != parts.settle:
            return None
        category = "option" if parts.kind == "option" else made.settlement
        return Listing(native=name, category=str(category), instrument=made)

    def _summary(self, row: Any, received: int, request: Request) -> Sequence[Event]:
        """Return what a row of a book summary says of a kind."""
        name = row["instrument_name"]
        names = ((category, name) for category in CATEGORIES if (category, name) in self.listings)
        if (found := next(names, None)) is None:
            return []  # listed since we last asked, or a combination
        listing = self.listings[found]
        about = self.about(listing, nanoseconds(row["creation_timestamp"]), received)
        match request.kind:
            case "option_quote":
                return [OptionQuote(**about, **deribit_options.summarized(row))]
            case "mark_price":
                mark, last = positive(row["mark_price"]), price(row, "last")
                return [MarkPrice(**about, mark_price=mark, last_price=last)]
            case "open_interest":
                return [_standing(row, listing, about)]
            case _:
                return _funding(row, listing, about)

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time, rate = nanoseconds(row["timestamp"]), number(row["interest_1h"])
        about = self.about(listing, time, received)
        return Funding(**about, known_at=time, rate=rate, interval_hours=1)

    def _candles(self, result: dict[str, Any], listing: Listing, received: int) -> list[Any]:
        candles = []
        for tick, *texts in zip(*(result[name] for name in _COLUMNS), strict=True):
            time = nanoseconds(tick)
            if (end := time + MINUTE) > received:
                continue  # not over yet
            about = self.about(listing, time, received)
            about |= zip(_COLUMNS[1:5], map(positive, texts[:4]), strict=True)
            candles.append(
                Candle(
                    **about,
                    known_at=end,
                    interval=60,
                    volume=number(texts[4]),  # coins, of inverse contracts too
                    quote_volume=number(texts[5]),
                )
            )
        return candles


def _subscribed(frame: _Frame) -> list[Any]:
    """Return which topics of a subscription were accepted; the answer leaves out the others."""
    asked = frame.id.split(",")
    if frame.error is not None:
        why = f"{frame.error.code}: {frame.error.message}"
        return [Refused(topic, why) for topic in asked]
    accepted = convert(frame.result, tuple[str, ...])
    refused = [Refused(topic, "is not in the answer") for topic in asked if topic not in accepted]
    return [Acknowledged(accepted), *refused]


def _standing(row: dict[str, Any], listing: Listing, about: dict[str, Any]) -> OpenInterest:
    """Return open interest: of coins, or of dollars on inverse contracts."""
    held, mark = number(row["open_interest"]), positive(row["mark_price"])
    if listing.category == "inverse":
        return OpenInterest(**about, amount=held / mark, value_usd=held)
    return OpenInterest(**about, amount=held, value_usd=held * mark)


def _funding(row: dict[str, Any], listing: Listing, about: dict[str, Any]) -> list[Funding]:
    """Return the rate of this moment, which is stated for eight hours."""
    if not _perpetual(listing) or row["current_funding"] is None:
        return []
    rate = number(row["current_funding"])
    return [Funding(**about, rate=rate, interval_hours=8, status="predicted")]
