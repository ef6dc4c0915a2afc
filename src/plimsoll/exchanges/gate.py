"""Gate: perpetual futures settled in USDT and in bitcoin, by its fourth API.

Traps: sizes are contracts, and a sign says the side: of a trade the taker's, of a liquidation the
position's. REST counts seconds, and an answer of all contracts bears no time, so its rows bear
ours. The liquidation stream let one order a second through until 2026-08-20. The REST list of
liquidations repeats the stream's under another time and price, so it is not asked. The ratios of
``contract_stats`` are what they are named, not what Gate's documentation describes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books, gate_books
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
from plimsoll.exchanges.reading import (
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
    LiquidationTotal,
    LongShortRatio,
    MarkPrice,
    OpenInterest,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Gate"]

NAME = "gate"
REST = "https://api.gateio.ws/api/v4"
SOCKET = "wss://fx-ws.gateio.ws/v4/ws"
FUTURES = ("usdt", "btc")  # what settles them
BUCKET = 5 * MINUTE
STATISTICS = ("open_interest", "long_short_ratio", "taker_volume", "liquidation_total")
SPANS = {"candle": 2_000 * 60, "funding": 1_000 * 3_600}
"""Seconds that one page may span: 2,000 candles, or 1,000 settlements an hour apart."""
BATCHED = int(datetime(2026, 8, 20, tzinfo=UTC).timestamp()) * SECOND
"""From then on the stream holds every liquidation, and counts its time in milliseconds."""
Row = dict[str, Any]
TRADES, LIQUIDATIONS = "futures.trades", "futures.public_liquidates"


class _Frame(Struct):
    channel: str
    event: str = ""
    error: dict[str, Any] | None = None
    payload: list[str] | None = None
    result: Any = None


class _Print(Struct):
    id: int
    contract: str
    size: Any
    price: str
    create_time_ms: int
    is_internal: bool = False


class _Order(Struct):
    contract: str
    size: Any
    price: Any
    time: int | None = None
    time_ms: int | None = None


class Gate(Exchange):
    """Gate's perpetual futures."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded", note="parts of contracts may be cut off"),
        "liquidation": Offer(stream=True, note="order's price; one a second until 2026-08-20"),
        "liquidation_total": Offer(poll=300, history="unknown", completeness="aggregated"),
        "open_interest": Offer(poll=30, history="unknown", note="our clock; history: buckets"),
        "mark_price": Offer(poll=30, note="our clock"),
        "funding": Offer(poll=30, history="all", note="our clock; settled from history"),
        "candle": Offer(poll=60, history="all", note="without taker volume; inverse: no coins"),
        "long_short_ratio": Offer(poll=300, history="unknown"),
        "taker_volume": Offer(poll=300, history="unknown"),
        **gate_books.OFFERS,
    }
    limits = (Limit(name="gate", amount=200, seconds=10),)
    ping = Ping(every=15, payload=b'{"time":1,"channel":"futures.ping"}')

    def instruments(self) -> list[Request]:
        """Return what to ask for listings, and for risk limits."""
        listed = [_request("instrument", "contracts", c) for c in FUTURES]
        starts = [("usdt", start) for start in range(0, 1_000, 100)] + [("btc", 0)]
        return listed + [
            _request("brackets", "risk_limit_tiers", c, limit="100", offset=str(start))
            for c, start in starts  # a hundred markets at a time
        ]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument; for liquidations, one for each socket."""
        if kind == "liquidation":
            return [
                Channel(url=f"{SOCKET}/{category}", topic=f"{LIQUIDATIONS}.!all", kinds=(kind,))
                for category in sorted({one.category for one in listings})
            ]
        is_book = kind in books.KINDS
        if kind != "trade" and not is_book:
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(
                url=f"{SOCKET}/{one.category}",
                topic=gate_books.topic(one.native) if is_book else f"{TRADES}.{one.native}",
                kinds=books.KINDS if is_book else (kind,),
                symbol=one.symbol,
            )
            for one in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return one frame for each kind of channel."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all contracts, or one for each instrument."""
        if kind in {"open_interest", "mark_price", "funding"}:
            return [
                Poll(request=_request(kind, "contracts", category), every=30)
                for category in sorted({one.category for one in listings})
            ]
        if kind == "candle":
            path, interval, every, delay = "candlesticks", "1m", 60, 2
        elif kind in STATISTICS:
            path, interval, every, delay = "contract_stats", "5m", 300, 20
        else:
            raise Unsupported(NAME, kind, "cannot be asked for")
        requests = (_of(kind, path, one, interval=interval, limit="3") for one in listings)
        return [Poll(request=request, every=every, delay=delay) for request in requests]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the oldest; the others follow forwards."""
        start, end = -(-since // SECOND), -(-until // SECOND)
        if kind in STATISTICS:
            span = {"from": str(start)}
            made = _of(kind, "contract_stats", listing, interval="5m", limit="100", **span)
        elif kind == "candle":
            made = _span(_of(kind, "candlesticks", listing, interval="1m"), start, end)
        elif kind == "funding":
            made = _span(_of(kind, "funding_rate", listing, limit="1000"), start, end)
        else:
            raise Unsupported(NAME, kind, "has no history here")
        return replace(made, about={**made.about, "until": str(end)})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page: the next span, or what is newer than the newest row."""
        if "until" not in request.about:
            return None
        end = int(request.about["until"])
        if "to" in request.query:
            start = int(request.query["to"]) + 1
            return _span(request, start, end) if start < end else None
        times = [_seconds(row["time"]) // SECOND for row in _rows(payload)]
        start = max(times, default=end) + BUCKET // SECOND
        if not int(request.query["from"]) < start < end:
            return None
        return replace(request, query={**request.query, "from": str(start)})

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Gate()


def _frames(event: str, channels: Sequence[Channel]) -> list[bytes]:
    asked: dict[str, list[str]] = {}
    for channel in channels:
        begin, name, contract = channel.topic.split(".", 2)
        asked.setdefault(f"{begin}.{name}", []).append(contract)
    # A time is demanded, but read only where a key signs it.
    return [
        json.encode({"time": 1, "channel": name, "event": event, "payload": contracts})
        for name, contracts in asked.items()
    ]


def _request(kind: str, path: str, category: str, **query: str) -> Request:
    return Request(
        kind=kind,
        url=f"{REST}/futures/{category}/{path}",
        query=query,
        limit="gate",
        about={"category": category},
    )


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    made = _request(kind, path, listing.category, contract=listing.native, **query)
    return replace(made, about={**made.about, "native": listing.native})


def _span(request: Request, start: int, end: int) -> Request:
    last = min(start + SPANS[request.kind], end) - 1  # Gate counts both ends in
    return replace(request, query={**request.query, "from": str(start), "to": str(last)})


def _rows(payload: bytes) -> list[Row]:
    return decode(payload, list[Row])


def _seconds(value: Any) -> int:
    """Return seconds since 1970, which may have a fraction, in nanoseconds."""
    return nanoseconds(round(number(value) * 1000))


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=gate_books.LEVELS)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        if frame.channel == "futures.pong" or frame.event == "unsubscribe":
            return []
        if frame.channel not in {TRADES, LIQUIDATIONS, gate_books.CHANNEL}:
            raise ValueError(f"unknown channel {frame.channel!r}")
        if frame.event == "subscribe":
            return _answered(frame)
        if frame.event != "update" or frame.error is not None:
            raise ValueError(f"event {frame.event!r}: {frame.error}")
        if frame.channel == gate_books.CHANNEL:
            listing = self.listing(gate_books.contract(frame.result), *FUTURES)
            return list(self._books.read(gate_books.told(frame.result, listing), received))
        if frame.channel == TRADES:
            prints = convert(frame.result, list[_Print], strict=False)
            # What the fund takes over was not matched in the book, and its price may be far off.
            return [self._trade(one, received) for one in prints if not one.is_internal]
        orders = convert(frame.result, list[_Order], strict=False)
        return [self._liquidation(one, received) for one in orders]

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        rows, category = _rows(payload), request.about["category"]
        if request.kind == "instrument":
            found = (self._instrument(row, category) for row in rows)
            return [listing for listing in found if listing is not None]
        if request.kind == "brackets":
            return self._brackets(rows, category, received)
        if "native" not in request.about:
            return [e for row in rows for e in self._standing(row, received, request)]
        listing = self.listing(request.about["native"], category)
        if request.kind in STATISTICS:
            return [e for row in rows for e in self._bucket(row, listing, received, request.kind)]
        make = {"funding": self._settled, "candle": self._candle}[request.kind]
        return [event for row in rows for event in make(row, listing, received)]

    def _trade(self, one: _Print, received: int) -> Trade:
        listing, price = self.listing(one.contract, *FUTURES), positive(one.price)
        size = _signed(one.size)
        return Trade(
            **self.about(listing, nanoseconds(one.create_time_ms), received),
            id=one.id,
            side="buy" if size > 0 else "sell",
            price=price,
            amount=listing.instrument.amount(abs(size), price),
        )

    def _liquidation(self, one: _Order, received: int) -> Liquidation:
        listing, price = self.listing(one.contract, *FUTURES), positive(one.price)
        size = _signed(one.size)
        amount = listing.instrument.amount(abs(size), price)
        return Liquidation(
            **self.about(listing, _moment(one, received), received),
            side="long" if size > 0 else "short",  # the position's sign, not the order's
            price=price,
            amount=amount,
            value_usd=amount * price,
            price_kind="bankruptcy",  # the price that the order asks, no fill
            completeness="complete" if received >= BATCHED else "throttled",
        )

    def _instrument(self, row: Row, category: str) -> Listing | None:
        inverse = category == "btc"
        if inverse and row["type"] != "inverse":
            return None  # settled in bitcoin whatever its base: neither linear nor inverse
        try:
            symbol = native.unified(NAME, row["name"], market="inverse" if inverse else "linear")
        except UnknownSymbol:
            return None  # of a kind of market that has no unified name
        # Of an inverse contract Gate writes 0: it is one dollar.
        size = Decimal(1 if inverse else str(positive(row["quanto_multiplier"])))
        tick = Decimal(str(positive(row["order_price_round"])))
        return Listing(
            native=row["name"],
            category=category,
            instrument=Instrument(exchange=NAME, symbol=symbol, contract_size=size, tick=tick),
            interval_hours=positive(row["funding_interval"]) / 3600,
        )

    def _brackets(self, rows: list[Any], category: str, received: int) -> list[Brackets]:
        """Return brackets, with the deduction that makes their rates continuous."""
        tiers: dict[str, list[tuple[float, float, float]]] = {}
        for row in rows:
            names = ("risk_limit", "maintenance_rate", "leverage_max")
            cap, rate, leverage = (positive(row[name]) for name in names)
            tiers.setdefault(row["contract"], []).append((cap, rate, leverage))
        since = datetime.fromtimestamp(received // SECOND, tz=UTC)
        return [
            Brackets.build(NAME, listing.symbol, since, sorted(found))
            for name, found in tiers.items()
            if (listing := self.listings.get((category, name))) is not None
        ]

    def _standing(self, row: Row, received: int, request: Request) -> list[Event]:
        """Return what a row of all contracts says of now."""
        listing = self.listings.get((request.about["category"], row["name"]))
        if listing is None:
            return []  # listed since we last asked
        about = self.about(listing, received, received)  # the answer bears no time
        match request.kind:
            case "mark_price":
                prices: dict[str, Any] = {name: _price(row, name) for name in _MARK}
                return [MarkPrice(**about, **prices)] if any(prices.values()) else []
            case "open_interest":
                # The long side; what tickers call the total is not said to be of one side.
                contracts = number(row["position_size"])
                return [_interest(contracts, _price(row, "mark_price"), listing, about)]
            case _:
                return _predicted(row, about)

    def _settled(self, row: Row, listing: Listing, received: int) -> list[Event]:
        time, rate = _seconds(row["t"]), number(row["r"])
        return [Funding(**self.about(listing, time, received), known_at=time, rate=rate)]

    def _candle(self, row: Row, listing: Listing, received: int) -> list[Event]:
        time = _seconds(row["t"])
        if (end := time + MINUTE) > received:
            return []  # not over yet
        contracts, size = number(row["v"]), float(listing.instrument.contract_size)
        inverse = listing.category == "btc"
        return [
            Candle(
                **self.about(listing, time, received),
                known_at=end,
                interval=60,
                open=positive(row["o"]),
                high=positive(row["h"]),
                low=positive(row["l"]),
                close=positive(row["c"]),
                volume=None if inverse else contracts * size,  # of dollars, the coins are unknown
                quote_volume=contracts * size if inverse else number(row["sum"]),
            )
        ]

    def _bucket(self, row: Row, listing: Listing, received: int, kind: str) -> list[Event]:
        """Return what a bucket of ``contract_stats`` says; its time is taken for its opening."""
        time = _seconds(row["time"])
        if (end := time + BUCKET) > received:
            return []  # not over yet
        about = {**self.about(listing, time, received), "known_at": end}
        mark = _price(row, "mark_price")
        match kind:
            case "open_interest":
                return [_interest(number(row["open_interest"]), mark, listing, about)]
            case "liquidation_total":
                return [_total(row, listing, about)]
            case "taker_volume":
                return [_taken(row, mark, listing, about)]
            case _:
                return _ratios(row, about)


def _answered(frame: _Frame) -> list[Any]:
    topics = tuple(f"{frame.channel}.{contract}" for contract in frame.payload or ())
    if frame.error is None:
        return [Acknowledged(topics)]
    return [Refused(topic, str(frame.error["message"])) for topic in topics or (frame.channel,)]


def _signed(size: Any) -> float:
    """Return contracts that have a side."""
    if (value := number(size)) == 0:
        raise ValueError("a size of 0 has no side")
    return value


def _moment(one: _Order, received: int) -> int:
    """Return the time of a liquidation: `time` was in seconds before 2026-08-20."""
    if one.time_ms is not None:
        return nanoseconds(one.time_ms)
    return nanoseconds(one.time) if received >= BATCHED else _seconds(one.time)


def _price(row: Row, name: str) -> float | None:
    """Return a price; Gate writes 0 where there is none, as before a launch."""
    return positive(value) if (value := known(row, name)) else None


def _interest(contracts: float, mark: float | None, listing: Listing, about: Row) -> Event:
    size = contracts * float(listing.instrument.contract_size)
    if listing.category == "btc":
        return OpenInterest(**about, amount=size / mark if mark else None, value_usd=size)
    return OpenInterest(**about, amount=size, value_usd=size * mark if mark else None)


def _predicted(row: Row, about: Row) -> list[Event]:
    if number(row["funding_next_apply"]) == 0:
        return []  # not yet launched
    return [
        Funding(
            **about,
            rate=number(row["funding_rate"]),
            interval_hours=positive(row["funding_interval"]) / 3600,
            status="predicted",
            settles=_seconds(row["funding_next_apply"]),
        )
    ]


def _total(row: Row, listing: Listing, about: Row) -> LiquidationTotal:
    def dollars(side: str) -> float:
        if listing.category == "btc":
            return number(row[f"{side}_liq_size"])  # contracts of one dollar
        newer = known(row, f"{side}_liq_usd_new")  # contracts at the mark price
        return number(row[f"{side}_liq_usd"]) if newer is None else newer

    return LiquidationTotal(
        **about,
        interval=BUCKET // SECOND,
        long_usd=dollars("long"),
        short_usd=dollars("short"),
        completeness="aggregated",
    )


def _taken(row: Row, mark: float | None, listing: Listing, about: Row) -> TakerVolume:
    def amount(name: str) -> float | None:
        held = known(row, name)
        return None if held is None or mark is None else listing.instrument.amount(held, mark)

    return TakerVolume(
        **about,
        interval=BUCKET // SECOND,
        buy_amount=amount("long_taker_size"),
        sell_amount=amount("short_taker_size"),
        ratio=number(row["lsr_taker"]),
    )


def _ratios(row: Row, about: Row) -> list[Event]:
    found = {population: number(row[name]) for population, name in _POPULATIONS.items()}
    return [
        LongShortRatio(**about, population=population, ratio=ratio, long_share=ratio / (1 + ratio))
        for population, ratio in found.items()
        if ratio != 0  # nobody was counted
    ]


_MARK = ("mark_price", "index_price", "last_price")
_POPULATIONS: dict[Literal["accounts", "top_accounts", "top_positions"], str] = {
    "accounts": "lsr_account",
    "top_accounts": "top_lsr_account",
    "top_positions": "top_lsr_size",
}
