"""HTX: contracts settled in USDT, and in coin (swaps, and futures with a day of expiry).

Traps: traded sizes count the buyer and the seller, so trades and candles are halved, as all of
them are even; open interest and liquidations are not, though the documentation says so of open
interest too. A size is in contracts: of coins if settled in USDT, of dollars if settled in coin;
the history of liquidations calls contracts ``amount`` as well. A liquidation's direction is that
of the order, so a liquidated long is ``sell``; its price is the bankruptcy price. Two kinds of
server's pings want their own words back, and the one's stamp is text.
"""

from __future__ import annotations

import sys
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
    Reply,
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
    Trade,
)
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "Htx"]

NAME = "htx"
REST = "https://api.hbdm.com"
SOCKET = "wss://api.hbdm.com"
HISTORY = f"{REST}/v5/market/liquidation_orders"
CATEGORIES = ("linear-swap", "swap", "futures")
SWAPS = CATEGORIES[:2]  # futures in coin have neither trades, candles nor funding here
NOTICES = ("linear-swap-notification", "swap-notification", "notification")
PAST = "bankruptcy price; history only of contracts in USDT"
FORCED = "public.*.liquidation_orders"
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
LONGEST, MOST = 2 * HOUR, 100  # of liquidations in one answer
CANDLES = 2000  # in one answer
TRADED = frozenset({1, 3, 5, 6, 7})  # listed, suspended, or being settled for some minutes


class _Frame(Struct, rename={"code": "err-code", "why": "err-msg"}):
    op: str = ""
    ts: Any = None
    ping: Any = None
    id: str = ""
    status: str = ""
    subbed: str = ""
    topic: str = ""
    ch: str = ""
    tick: dict[str, Any] = {}
    data: Any = None
    code: int | str = 0
    why: str = ""


class _Print(Struct):
    id: int
    ts: int
    price: float
    amount: float
    direction: Literal["buy", "sell"]


class _Forced(Struct):
    contract_code: str
    direction: Literal["buy", "sell"]
    offset: Literal["close", "both"]
    volume: float
    price: float
    created_at: int


class Htx(Exchange):
    """HTX's futures and swaps."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded", note="not of futures in coin"),
        "liquidation": Offer(
            stream=True, history="90 days", completeness="unknown", checked="recorded", note=PAST
        ),
        "open_interest": Offer(poll=30, history="200 hours"),
        "mark_price": Offer(poll=60, note="mark and index prices come apart"),
        "funding": Offer(poll=60, history="all", note="predicted; settled from history"),
        "candle": Offer(poll=60, history="2 years", note="without taker volume"),
        "long_short_ratio": Offer(poll=300, note="top traders: accounts, and positions"),
    }
    limits = (
        Limit(name="htx", amount=240, seconds=3),
        Limit(name="htx market", amount=800, seconds=1),
    )

    def instruments(self) -> list[Request]:
        """Return what to ask for listings; risk limits need a key."""
        every = _reference("instrument", "linear-swap", "contract_info", business_type="all")
        return [every, *(_reference("instrument", one, "contract_info") for one in _INVERSE)]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument's trades, or for a market's liquidations."""
        if kind == "liquidation":
            listed = {one.category for one in listings}
            sockets = dict(zip(CATEGORIES, NOTICES, strict=True))
            urls = [f"{SOCKET}/{path}" for one, path in sockets.items() if one in listed]
            return [Channel(url=url, topic=FORCED, kinds=(kind,)) for url in urls]
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        traded = [one for one in listings if one.category in SWAPS]
        topics = [f"market.{one.native}.trade.detail" for one in traded]
        return [
            Channel(url=f"{SOCKET}/{one.category}-ws", topic=at, kinds=(kind,), symbol=one.symbol)
            for one, at in zip(traded, topics, strict=True)
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return one frame for each topic; the market's sockets are spoken to in other words."""
        topics = [channel.topic for channel in channels]
        forced = {"op": "sub", "cid": FORCED, "topic": FORCED}
        asked = [forced if one == FORCED else {"sub": one, "id": one} for one in topics]
        return [json.encode(one) for one in asked]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for a whole market, or one for each instrument."""
        markets = [one for one in CATEGORIES if any(one == each.category for each in listings)]
        funded = [one for one in markets if one in SWAPS]
        swaps = [one for one in listings if one.category in SWAPS]
        every, delay = 60, 0
        if kind == "open_interest":
            every, asked = 30, [_reference(kind, one, "open_interest") for one in markets]
        elif kind == "funding":
            asked = [_reference(kind, one, "batch_funding_rate") for one in funded]
        elif kind == "mark_price":
            asked = [_reference(kind, one, "index") for one in funded]
            asked += [_mark(kind, one) for one in swaps]
        elif kind == "candle":
            delay, asked = 2, [_kline(one, {}, size="3") for one in swaps]
        elif kind == "long_short_ratio":
            paths = ("elite_account_ratio", "elite_position_ratio")
            lasting = [one for one in swaps if one.instrument.kind == "perpetual"]
            asked = [_of(kind, one, path, {}, period="5min") for one in lasting for path in paths]
            every, delay = 300, 20
        else:
            raise Unsupported(NAME, kind, "cannot be asked for")
        return [Poll(request=one, every=every, delay=delay) for one in asked]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page: funding backwards, candles and liquidations forwards."""
        span = {"since": str(since), "until": str(until)}
        if listing.category not in SWAPS:
            raise Unsupported(NAME, kind, "of futures in coin has no history here")
        if kind == "open_interest":
            asked = {"period": "60min", "size": "200", "amount_type": "1"}
            return _of(kind, listing, "his_open_interest", span, **asked)
        if kind == "funding":
            asked = {"page_index": "1", "page_size": "50"}
            return _of(kind, listing, "historical_funding_rate", span, **asked)
        if kind == "candle":
            return _window(_kline(listing, span), since)
        if kind == "liquidation" and listing.category == "linear-swap":
            request = _of(kind, listing, "", span, direct="next", limit=str(MOST))
            return _window(replace(request, url=HISTORY), since)
        raise Unsupported(NAME, kind, "has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page of funding, or the next stretch of candles or liquidations."""
        answer = _answer(payload)
        match request.kind:
            case "funding":
                data, since = answer["data"], int(request.about["since"])
                times = [nanoseconds(row["funding_time"]) for row in data["data"]]
                if data["current_page"] >= data["total_page"] or min(times, default=0) < since:
                    return None
                page = {"page_index": str(data["current_page"] + 1)}
                return replace(request, query={**request.query, **page})
            case "candle":
                begin = (int(request.query["to"]) + 60) * SECOND
            case "liquidation":
                start, end = (int(request.query[name]) for name in ("start_time", "end_time"))
                times = [int(row["liquidation_time"]) for row in answer["data"]]
                # A full page is gone on with from its last moment, whose others may be missing.
                full = max(*times, start + 1) if len(times) >= MOST else end + 1
                begin = full * MILLISECOND
            case _:
                return None
        return _window(request, begin) if begin < int(request.about["until"]) else None

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Htx()

_PRICES = ("open", "high", "low", "close")
_INVERSE = ("swap", "futures")
_PATHS = {"futures": "api/v1/contract_"}
_Elite = Literal["top_accounts", "top_positions"]
_POPULATIONS: dict[str, _Elite] = {
    "swap_elite_account_ratio": "top_accounts",
    "swap_elite_position_ratio": "top_positions",
}
_LISTS = {"swap_his_open_interest": "tick", "swap_historical_funding_rate": "data"}
_LISTS |= dict.fromkeys(_POPULATIONS, "list")  # the rows' name in an answer, if they have one


def _reference(kind: str, category: str, path: str, **query: str) -> Request:
    prefix = _PATHS.get(category, f"{category}-api/v1/swap_")
    about = {"category": category}
    return Request(kind=kind, url=f"{REST}/{prefix}{path}", query=query, limit="htx", about=about)


def _of(kind: str, listing: Listing, path: str, about: dict[str, str], **query: str) -> Request:
    request = _reference(kind, listing.category, path, contract_code=listing.native, **query)
    return replace(request, about={**request.about, **about, "native": listing.native})


def _kline(listing: Listing, about: dict[str, str], **query: str) -> Request:
    request = _of("candle", listing, "", about, period="1min", **query)
    url = f"{REST}/{listing.category}-ex/market/history/kline"
    return replace(request, url=url, limit="htx market")


def _mark(kind: str, listing: Listing) -> Request:
    request = _of(kind, listing, "", {}, period="1min", size="1")
    market = listing.category.replace("-", "_")
    url = f"{REST}/index/market/history/{market}_mark_price_kline"
    return replace(request, url=url, limit="htx market")


def _window(request: Request, begin: int) -> Request:
    """Return a request for as long a stretch as one answer may have, from a time on."""
    until = int(request.about["until"])
    if request.kind == "candle":
        last = min(begin + (CANDLES - 1) * MINUTE, until - 1)
        span = {"from": str(begin // SECOND), "to": str(last // MINUTE * 60)}
    else:
        last = min(begin + LONGEST, until) // MILLISECOND - 1
        span = {"start_time": str(begin // MILLISECOND), "end_time": str(last)}
    return replace(request, query={**request.query, **span})


def _answer(payload: bytes) -> dict[str, Any]:
    answer = decode(payload, dict[str, Any])
    if answer.get("status") != "ok" and answer.get("code") != 200:
        raise ValueError(f"refused: {payload[:200]!r}")
    return answer


def _control(frame: _Frame) -> list[Any] | None:
    """Return what a frame asks for or answers; None if it tells facts."""
    why = f"{frame.code} {frame.why}"
    if frame.ping is not None:
        return [Reply(json.encode({"pong": frame.ping}))]
    if frame.op == "ping":
        return [Reply(json.encode({"op": "pong", "ts": frame.ts}))]
    if frame.op == "sub":
        return [Refused(frame.topic, why) if frame.code else Acknowledged((frame.topic,))]
    if frame.status == "error":
        return [Refused(frame.id, why)]
    if frame.status == "ok" and frame.subbed:
        return [Acknowledged((frame.subbed,))]
    return [] if frame.op == "close" else None


class _Decoder(Decoder):
    exchange = NAME

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        if (control := _control(frame)) is not None:
            return control
        if frame.op == "notify" and frame.topic.endswith(".liquidation_orders"):
            rows = convert(frame.data, list[_Forced], strict=False)
            return [self._forced(one, received) for one in rows]
        code = frame.ch.removeprefix("market.").removesuffix(".trade.detail")
        if frame.ch != f"market.{code}.trade.detail":
            raise ValueError(f"unknown channel {frame.ch!r}")
        listing = self.listing(code, *CATEGORIES)
        prints = convert(frame.tick["data"], list[_Print], strict=False)
        return [self._trade(one, listing, received) for one in prints]

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        answer, category = _answer(payload), request.about["category"]
        path = request.url.rpartition("/")[2]
        rows = answer["data"][_LISTS[path]] if path in _LISTS else answer["data"]
        if request.kind == "instrument":
            found = (_instrument(row, category) for row in rows)
            return [listing for listing in found if listing is not None]
        now = nanoseconds(answer["ts"])
        events: list[Event | None]
        if name := request.about.get("native"):
            events = self._series(rows, self.listing(name, category), now, received, path)
        else:
            pairs = ((row, self.listings.get((category, row["contract_code"]))) for row in rows)
            bulk = [(row, one) for row, one in pairs if one is not None]  # not listed since
            makers = {"open_interest": self._standing, "funding": self._predicted}
            make = makers.get(request.kind, self._index)
            events = [make(row, one, now, received) for row, one in bulk]
        since = int(request.about.get("since", 0))
        until = int(request.about.get("until", sys.maxsize))
        kept = (event for event in events if event is not None)
        return [event for event in kept if since <= event.time < until]

    def _series(
        self, rows: Any, listing: Listing, now: int, received: int, path: str
    ) -> list[Event | None]:
        if path == "swap_historical_funding_rate":
            return self._settled(rows, listing, received)
        if population := _POPULATIONS.get(path):
            return [self._ratio(row, population, listing, received) for row in rows]
        makers: dict[str, Callable[[Any, Listing, int], Event | None]] = {
            "kline": self._candle,
            "liquidation_orders": self._past,
            "swap_his_open_interest": self._interest,
        }
        if make := makers.get(path):
            return [make(row, listing, received) for row in rows]
        about = self.about(listing, now, received)  # a candle of the mark price, still open
        return [MarkPrice(**about, mark_price=positive(row["close"])) for row in rows[-1:]]

    def _trade(self, one: _Print, listing: Listing, received: int) -> Trade:
        price = positive(one.price)
        return Trade(
            **self.about(listing, nanoseconds(one.ts), received),
            id=one.id,
            side=one.direction,
            price=price,
            amount=listing.instrument.amount(positive(one.amount) / 2, price),  # of both sides
        )

    def _forced(self, one: _Forced, received: int) -> Liquidation:
        listing, price = self.listing(one.contract_code, *CATEGORIES), positive(one.price)
        amount = listing.instrument.amount(positive(one.volume), price)
        return Liquidation(
            **self.about(listing, nanoseconds(one.created_at), received),
            side="long" if one.direction == "sell" else "short",  # the order closes the position
            price=price,
            amount=amount,
            value_usd=amount * price,
            price_kind="bankruptcy",
            completeness="unknown",
        )

    def _past(self, row: dict[str, Any], listing: Listing, received: int) -> Liquidation:
        """Return a liquidation of the history; the same as the socket's, in other words."""
        names = {"direction": "side", "created_at": "liquidation_time", "price": "bankrupt_price"}
        words = {ours: row[theirs] for ours, theirs in names.items()}
        same = {"contract_code": listing.native, "offset": "close", "volume": row["volume"]}
        found = self._forced(convert({**words, **same}, _Forced, strict=False), received)
        if row["position_side"] not in {found.side, "both"}:
            raise ValueError(f"{row['side']} closes no {row['position_side']}")
        return found

    def _standing(self, row: Any, listing: Listing, now: int, received: int) -> OpenInterest:
        return OpenInterest(**self.about(listing, now, received), **_held(row, listing))

    def _interest(self, row: dict[str, Any], listing: Listing, received: int) -> OpenInterest:
        if int(row["amount_type"]) != 1:
            raise ValueError("not in contracts")
        about = self.about(listing, nanoseconds(row["ts"]), received)
        return OpenInterest(**about, **_held(row, listing))

    def _predicted(self, row: Any, listing: Listing, now: int, received: int) -> Funding | None:
        if row["funding_rate"] is None:
            return None  # dated futures have no funding
        return Funding(
            **self.about(listing, now, received),
            rate=number(row["funding_rate"]),
            interval_hours=listing.interval_hours,
            status="predicted",
            settles=nanoseconds(row["funding_time"]),
        )

    def _settled(self, rows: list[Any], listing: Listing, received: int) -> list[Event | None]:
        """Return settlements; the interval is told where the neighbor is that far."""
        timed = {nanoseconds(row["funding_time"]): row for row in rows}
        hours, oldest = listing.interval_hours, min(timed, default=0)
        step = int((hours or 0) * HOUR)
        return [
            Funding(
                **self.about(listing, time, received),
                known_at=time,
                rate=number(row["funding_rate"]),
                interval_hours=hours if time + (step, -step)[time > oldest] in timed else None,
                premium=known(row, "avg_premium_index"),
            )
            for time, row in timed.items()
        ]

    def _index(self, row: Any, listing: Listing, now: int, received: int) -> MarkPrice:
        del now
        time = nanoseconds(row["index_ts"])
        price = positive(row["index_price"])
        return MarkPrice(**self.about(listing, time, received), index_price=price)

    def _candle(self, row: dict[str, Any], listing: Listing, received: int) -> Candle | None:
        time = nanoseconds(int(row["id"]) * 1000)
        if (end := time + MINUTE) > received:
            return None  # not over yet
        inverse, size = listing.category in _INVERSE, float(listing.instrument.contract_size)
        prices: dict[str, Any] = {name: positive(row[name]) for name in _PRICES}
        quote = number(row["vol"]) * size if inverse else number(row["trade_turnover"])
        return Candle(
            **self.about(listing, time, received),
            known_at=end,
            interval=60,
            **prices,
            volume=number(row["amount"]) / 2,  # of both sides, and the quote's
            quote_volume=quote / 2,
        )

    def _ratio(
        self, row: dict[str, Any], population: _Elite, listing: Listing, received: int
    ) -> LongShortRatio | None:
        if row["buy_ratio"] is None:
            return None  # nobody stood in it
        long, short = number(row["buy_ratio"]), number(row["sell_ratio"])
        return LongShortRatio(
            **self.about(listing, nanoseconds(row["ts"]), received),
            population=population,
            ratio=long / short if short > 0 else None,
            long_share=long,
        )


def _held(row: dict[str, Any], listing: Listing) -> dict[str, Any]:
    held = number(row["volume"]) * float(listing.instrument.contract_size)
    if listing.category in _INVERSE:
        return {"amount": known(row, "amount"), "value_usd": held}  # the history has no coins
    return {"amount": held, "value_usd": number(row["value"])}


def _instrument(row: dict[str, Any], category: str) -> Listing | None:
    if row["contract_status"] not in TRADED:
        return None
    try:
        market: native.Market = "inverse" if category in _INVERSE else "linear"
        symbol = native.unified(NAME, row["contract_code"], market=market)
    except UnknownSymbol:
        return None  # of a kind of market that has no unified name
    size, tick = Decimal(str(row["contract_size"])), Decimal(str(row["price_tick"])) or None
    made = Instrument(exchange=NAME, symbol=symbol, contract_size=size, tick=tick)
    hours = known(row, "settlement_period") if made.kind == "perpetual" else None
    return Listing(
        native=row["contract_code"], category=category, instrument=made, interval_hours=hours
    )
