"""OKX: swaps, dated futures, options and spot, by its fifth API.

Traps: sizes are contracts (`ctVal` × `ctMult` of `ctValCcy`: coin, but dollars on inverse swaps and
futures). A liquidation's ``side`` is the order's: ``sell`` closes a long; its price is the
bankruptcy price, and one message holds several. A settled funding rate is ``realizedRate``. Taker
volume names sales first. Prices of options are in coin.
Position tiers are counted in contracts, brackets in money: without a price they cannot be told.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, Unsupported
from plimsoll.exchanges import books, okx_books, okx_options
from plimsoll.exchanges.base import Channel, Exchange, Limit, Offer, Ping, Poll
from plimsoll.exchanges.okx_options import FAMILIES, OPTION
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
    OptionQuote,
    TakerVolume,
    Trade,
)
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import HOUR, MINUTE, SECOND
from plimsoll.market.symbols import Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plimsoll.market.events import Event

    _Maker = Callable[[Any, Listing, dict[str, Any]], Event | None]

__all__ = ["EXCHANGE", "Okx"]

NAME = "okx"
REST = "https://www.okx.com/api/v5"
SOCKET = "wss://ws.okx.com:8443/ws/v5"
CONTRACTS = ("SWAP", "FUTURES")
PAGE = 100
BUCKET, BUCKETS = 300, "1,440 buckets"

_INTEREST = "rubik/stat/contracts/open-interest-history"
_TAKER = "rubik/stat/taker-volume-contract"
_RATIO = "rubik/stat/contracts/long-short-account-ratio-contract"
_RATIOS = {
    _RATIO: "accounts",
    f"{_RATIO}-top-trader": "top_accounts",
    "rubik/stat/contracts/long-short-position-ratio-contract-top-trader": "top_positions",
}
_RATIO_PATHS = list(_RATIOS)
# Requests in two seconds: each path has an allowance of its own.
_ALLOWED = {
    "market/candles": 40,
    **dict.fromkeys(("market/history-candles", "market/tickers", "public/instruments"), 20),
    **dict.fromkeys(("public/liquidation-orders", "public/open-interest"), 20),
    **dict.fromkeys(("public/opt-summary", okx_options.PAST), 20),
    **dict.fromkeys(("public/funding-rate", "public/funding-rate-history"), 10),
    **dict.fromkeys(("public/mark-price", _INTEREST), 10),
    **dict.fromkeys((_TAKER, *_RATIOS), 5),
}
_HISTORY: dict[str, tuple[str, dict[str, str]]] = {
    "funding": ("public/funding-rate-history", {}),
    "candle": ("market/history-candles", {"bar": "1m"}),
    "open_interest": (_INTEREST, {"period": "5m"}),
    "taker_volume": (_TAKER, {"period": "5m", "unit": "0"}),  # in coins
    "long_short_ratio": (_RATIO, {"period": "5m"}),
}
_REFUSED = re.compile(
    r"channel:\s*([\w-]+),\s*(?:instType:\s*OPTION,\s*)?(?:inst(?:Id|Family|Type)):\s*([\w-]+)"
)


class _Answer(Struct):
    code: int
    msg: str = ""
    data: list[Any] | None = None


class _Frame(Struct):
    event: str = ""
    arg: dict[str, Any] = {}
    action: Any = ""
    code: str = ""
    msg: str = ""
    data: Any = None


class _Print(Struct):
    tradeId: int
    px: str
    sz: str
    side: Literal["buy", "sell"]


class _Forced(Struct):
    bkPx: str
    sz: str
    side: Literal["buy", "sell"]
    posSide: Literal["long", "short", "net"]


class Okx(Exchange):
    """OKX's swaps, futures, options and spot trades."""

    name = NAME
    offers = {
        "trade": Offer(
            stream=True,
            history="3 months",
            checked="recorded",
            note="each fill; options: documented only, and they alone have history",
        ),
        "liquidation": Offer(
            stream=True,
            history="hours to 7 days",
            completeness="throttled",
            checked="recorded",
            note="at most one a second for each contract; history's request is undocumented now",
        ),
        "open_interest": Offer(poll=30, history=BUCKETS, note="history froze once, in 2024"),
        "mark_price": Offer(poll=30, checked="recorded", note="without index and last price"),
        "funding": Offer(poll=60, history="3 months", checked="recorded", note="predicted"),
        "candle": Offer(poll=60, history="all", checked="recorded", note="without taker volume"),
        "long_short_ratio": Offer(poll=300, history=BUCKETS, note="ratios without shares"),
        "taker_volume": Offer(poll=300, history=BUCKETS),
        "option_quote": Offer(poll=300, note="greeks, prices, open interest: a row for each"),
        **okx_books.OFFERS,
    }
    limits = tuple(Limit(name=f"okx {p}", amount=n, seconds=2) for p, n in _ALLOWED.items())
    ping = Ping(every=20, payload=b"ping")  # after 30 seconds of silence the server hangs up

    def instruments(self) -> list[Request]:
        """Return what to ask for listings."""
        path, kind = "public/instruments", "instrument"
        asked = [{"instType": OPTION, "instFamily": family} for family in FAMILIES]
        asked += [{"instType": category} for category in (*CONTRACTS, "SPOT")]
        return [_request(kind, path, query["instType"], **query) for query in asked]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument, market (liquidations) or family (options)."""
        if kind == "liquidation":
            topics = [f"liquidation-orders:{market}" for market in _markets(listings)]
            return [Channel(url=f"{SOCKET}/public", topic=t, kinds=(kind,)) for t in topics]
        if kind in books.KINDS:
            return okx_books.channels(f"{SOCKET}/public", listings)
        if kind != "trade":
            raise Unsupported(NAME, kind, "is not streamed")
        url, start = f"{SOCKET}/business", "trades-all:"
        others = [
            Channel(url=url, topic=start + one.native, kinds=(kind,), symbol=one.symbol)
            for one in listings
            if one.category != OPTION
        ]
        return [*others, *okx_options.channels(f"{SOCKET}/public", listings)]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return frames of at most a hundred topics each."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return the frames that end subscriptions."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for a whole market, or one for each instrument."""
        markets = _markets(listings)
        if kind in {"open_interest", "mark_price"}:
            path = f"public/{kind.replace('_', '-')}"
            return [Poll(request=_request(kind, path, c, instType=c), every=30) for c in markets]
        if kind == "funding":
            asked = [_request(kind, "public/funding-rate", "SWAP", instId="ANY")]
            return [Poll(request=request, every=60) for request in asked if "SWAP" in markets]
        if kind == "option_quote":
            return [Poll(request=request, every=300) for request in _chains(listings)]
        if kind not in {"candle", "long_short_ratio", "taker_volume"}:
            raise Unsupported(NAME, kind, "cannot be asked for")
        path, query = _HISTORY[kind]
        paths = _RATIO_PATHS if kind == "long_short_ratio" else [path]
        every, delay, query = (BUCKET, 30, {**query, "limit": "3"})
        if kind == "candle":
            paths, every, delay = ["market/candles"], 60, 2
        contracts = [listing for listing in listings if listing.category in CONTRACTS]
        asked = [_of(kind, path, one, **query) for one in contracts for path in paths]
        return [Poll(request=request, every=every, delay=delay) for request in asked]

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the newest; the others follow backwards."""
        # Both ends are exclusive: one millisecond before the first, and the first after the last.
        newer, older = str(-(-since // MILLISECOND) - 1), str(-(-until // MILLISECOND))
        page = {"before": newer, "after": older, "limit": str(PAGE)}
        if kind == "trade" and listing.category == OPTION:
            page = {"type": "2", "after": older, "limit": str(PAGE)}  # by time
            made = _of(kind, okx_options.PAST, listing, **page)
            return replace(made, about={**made.about, "newer": newer})
        if listing.category not in CONTRACTS:
            raise Unsupported(NAME, kind, f"of {listing.symbol} has no history here")
        if kind == "liquidation":
            market, family = listing.category, _family(listing.native)
            page |= {"instType": market, "uly": family, "state": "filled"}
            return _request(kind, "public/liquidation-orders", market, **page)
        if kind not in _HISTORY:
            raise Unsupported(NAME, kind, "has no history here")
        path, query = _HISTORY[kind]
        if path.startswith("rubik"):
            page = {"begin": newer, "end": older, "limit": str(PAGE)}
        made = _of(kind, path, listing, **query, **page)
        return replace(made, about={**made.about, "until": older})

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page, older than the oldest row; then the next population of ratios."""
        if request.kind == "trade":
            return okx_options.older(request, _rows(payload, request))
        start, end = ("begin", "end") if "end" in request.query else ("before", "after")
        rows = _rows(payload, request) if end in request.query else []
        if not rows:
            return None
        oldest, ratios = min(int(_millis(row)) for row in rows), request.kind == "long_short_ratio"
        if oldest > int(request.query[start]) + 1 and (not ratios or len(rows) == PAGE):
            return replace(request, query={**request.query, end: str(oldest)})
        at = _RATIO_PATHS.index(request.url.removeprefix(f"{REST}/")) + 1 if ratios else 0
        if not 0 < at < len(_RATIO_PATHS):
            return None
        path, query = _RATIO_PATHS[at], {**request.query, end: request.about["until"]}
        return replace(request, url=f"{REST}/{path}", limit=f"okx {path}", query=query)

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Okx()


def _frames(operation: str, channels: Sequence[Channel]) -> list[bytes]:
    topics = [_argument(channel.topic) for channel in channels]
    parts = [topics[at : at + 100] for at in range(0, len(topics), 100)]
    return [json.encode({"op": operation, "args": part}) for part in parts]


def _request(kind: str, path: str, category: str, **query: str) -> Request:
    about, url = {"category": category}, f"{REST}/{path}"
    return Request(kind=kind, url=url, query=query, limit=f"okx {path}", about=about)


def _of(kind: str, path: str, listing: Listing, **query: str) -> Request:
    made = _request(kind, path, listing.category, instId=listing.native, **query)
    return replace(made, about={**made.about, "native": listing.native})


def _chains(listings: Sequence[Listing]) -> list[Request]:
    """Return what tells the options of each family."""
    families = okx_options.families(listings)
    asked = [{"instType": OPTION, "instFamily": family} for family in families]
    paths = okx_options.CHAIN
    return [_request("option_quote", path, OPTION, **one) for one in asked for path in paths]


def _markets(listings: Sequence[Listing]) -> list[str]:
    return sorted({one.category for one in listings if one.category in CONTRACTS})


def _family(name: str) -> str:
    """Return the underlying that a native name starts with: ``BTC-USD``."""
    return "-".join(name.split("-")[:2])


def _argument(topic: str) -> dict[str, str]:
    channel, _, what = topic.partition(":")
    if channel == okx_options.TRADES:
        return {"channel": channel, "instType": OPTION, "instFamily": what}
    return {"channel": channel, "instType" if what in CONTRACTS else "instId": what}


def _rows(payload: bytes, request: Request) -> list[Any]:
    answer = decode(payload, _Answer)
    if answer.code != 0 or answer.data is None:
        raise ValueError(f"code {answer.code}: {answer.msg}")
    return _details(answer.data) if request.kind == "liquidation" else answer.data


def _details(rows: list[Any]) -> list[Any]:
    """Return liquidations one by one: they come in a list for each instrument."""
    return [{**one, "instId": row["instId"]} for row in rows for one in row["details"]]


def _millis(row: Any) -> Any:
    """Return the time of a row of any answer."""
    return row[0] if isinstance(row, list) else row.get("ts") or row["fundingTime"]


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._books = books.Books(NAME, most=okx_books.LEVELS)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        if payload == b"pong":
            return []
        frame = decode(payload, _Frame)
        if frame.event:
            return _control(frame)
        channel = frame.arg["channel"]
        if channel == okx_books.CHANNEL:
            (row,), listing = frame.data, self.listing(frame.arg["instId"], *CONTRACTS, "SPOT")
            return list(self._books.read(okx_books.told(row, frame.action, listing), received))
        if channel == okx_options.TRADES:
            return list(okx_options.trades(self, frame.data, received))
        make, rows = _CHANNELS[channel], convert(frame.data, list[dict[str, Any]])
        rows = _details(rows) if channel == "liquidation-orders" else rows
        found = [(row, self.listing(row["instId"], *CONTRACTS, "SPOT")) for row in rows]
        return [self._event(make, row, listing, received) for row, listing in found]

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        rows, category = _rows(payload, request), request.about["category"]
        if request.kind == "instrument":
            listings = (_instrument(row, category) for row in rows)
            return [listing for listing in listings if listing is not None]
        make, name = _PATHS[request.url.removeprefix(f"{REST}/")], request.about.get("native")
        if name is not None:
            pairs = [(row, self.listing(name, category)) for row in rows]
        else:  # what is not listed was listed since we last asked
            found = ((row, self.listings.get((category, row["instId"]))) for row in rows)
            pairs = [(row, listing) for row, listing in found if listing is not None]
        events = (self._event(make, row, listing, received) for row, listing in pairs)
        return [event for event in events if event is not None]

    def _event(self, make: _Maker, row: Any, listing: Listing, received: int) -> Event | None:
        return make(row, listing, self.about(listing, nanoseconds(_millis(row)), received))


def _control(frame: _Frame) -> list[Any]:
    """Return what an event says that is no data."""
    if frame.event == "subscribe":
        arg = frame.arg
        what = arg.get("instId") or arg.get("instFamily") or arg["instType"]
        return [Acknowledged((f"{arg['channel']}:{what}",))]
    if frame.event == "error":
        match = _REFUSED.search(frame.msg)
        topic = f"{match[1]}:{match[2]}" if match else ""
        return [Refused(topic, f"{frame.code} {frame.msg}")]
    if frame.event in {"notice", "unsubscribe", "channel-conn-count"}:
        return []
    raise ValueError(f"unknown event {frame.event!r}")


def _instrument(row: dict[str, Any], category: str) -> Listing | None:
    market = {"SPOT": "spot", OPTION: "option"}.get(category) or row["ctType"]
    try:
        symbol = native.unified(NAME, row["instId"], market=market)  # type: ignore[arg-type]
    except UnknownSymbol:
        return None  # of a kind of market that has no unified name, such as X-Perps
    size = Decimal(1)
    if category != "SPOT":
        expected = "USD" if market == "inverse" else Symbol.parse(symbol).base
        if not row["ctVal"] or row["ctValCcy"] != expected:
            return None  # not open yet, or counted in something else
        size = Decimal(row["ctVal"]) * Decimal(row["ctMult"])
    tick = Decimal(row["tickSz"] or 0) or None
    instrument = Instrument(exchange=NAME, symbol=symbol, contract_size=size, tick=tick)
    return Listing(native=row["instId"], category=category, instrument=instrument)


# Each reads one row of an answer or frame, given what every event says.


def _trade(row: Any, listing: Listing, about: dict[str, Any]) -> Trade:
    one = convert(row, _Print, strict=False)
    price, contracts = positive(one.px), positive(one.sz)
    amount = listing.instrument.amount(contracts, price)
    return Trade(**about, id=one.tradeId, side=one.side, price=price, amount=amount)


def _liquidation(row: Any, listing: Listing, about: dict[str, Any]) -> Liquidation:
    one = convert(row, _Forced, strict=False)
    side: Literal["long", "short"] = "long" if one.side == "sell" else "short"
    if one.posSide not in {side, "net"}:
        raise ValueError(f"a {one.side} order cannot close a {one.posSide} position")
    price, contracts = positive(one.bkPx), positive(one.sz)
    amount = listing.instrument.amount(contracts, price)
    return Liquidation(
        **about,
        side=side,
        price=price,
        amount=amount,
        value_usd=amount * price,
        price_kind="bankruptcy",
        completeness="throttled",
    )


def _interest(row: Any, listing: Listing, about: dict[str, Any]) -> OpenInterest | OptionQuote:
    coins = number(row["oiCcy"])
    if listing.category == OPTION:
        # The dollars documented for an option equal its coins, so that they are not believed.
        return OptionQuote(**about, open_interest=coins)
    return OpenInterest(**about, amount=coins, value_usd=known(row, "oiUsd"))


def _interest_then(row: Any, _listing: Listing, about: dict[str, Any]) -> OpenInterest:
    return OpenInterest(**about, amount=number(row[2]), value_usd=number(row[3]))


def _mark(row: Any, _listing: Listing, about: dict[str, Any]) -> MarkPrice:
    return MarkPrice(**about, mark_price=positive(row["markPx"]))


def _predicted(row: Any, _listing: Listing, about: dict[str, Any]) -> Funding:
    settles, last = nanoseconds(row["fundingTime"]), known(row, "prevFundingTime")
    # The span that is being settled, where it is told; the next may be of another length.
    other = nanoseconds(row["prevFundingTime" if last else "nextFundingTime"])
    about["time"] = nanoseconds(row["ts"])  # rows before 2022 had none
    return Funding(
        **about,
        rate=number(row["fundingRate"]),
        interval_hours=positive((settles - other if last else other - settles) / HOUR),
        status="predicted",
        premium=known(row, "premium"),
        settles=settles,
    )


def _settled(row: Any, _listing: Listing, about: dict[str, Any]) -> Funding:
    return Funding(**about, known_at=about["time"], rate=number(row["realizedRate"]))


def _candle(row: Any, _listing: Listing, about: dict[str, Any]) -> Candle | None:
    if row[8] not in {"0", "1"}:
        raise ValueError(f"{row[8]!r} tells not whether a candle is over")
    end = about["time"] + MINUTE
    if row[8] == "0" or end > about["received"]:
        return None
    names = ("open", "high", "low", "close")
    about |= {name: positive(text) for name, text in zip(names, row[1:5], strict=True)}
    volume, quote = number(row[6]), number(row[7])  # row[5] counts contracts
    return Candle(**about, known_at=end, interval=60, volume=volume, quote_volume=quote)


def _ratio(row: Any, _listing: Listing, about: dict[str, Any], population: Any) -> LongShortRatio:
    return LongShortRatio(**about, population=population, ratio=number(row[1]))


def _taken(row: Any, _listing: Listing, about: dict[str, Any]) -> TakerVolume | None:
    if about["time"] + BUCKET * SECOND > about["received"]:
        return None  # the newest bucket is still being filled
    sold, bought = number(row[1]), number(row[2])
    about |= {"buy_amount": bought, "sell_amount": sold}
    return TakerVolume(**about, interval=BUCKET, ratio=bought / sold if sold > 0 else None)


_CHANNELS: dict[str, _Maker] = {"trades-all": _trade, "liquidation-orders": _liquidation}
_PATHS: dict[str, _Maker] = {
    "public/open-interest": _interest,
    "public/mark-price": _mark,
    "public/funding-rate": _predicted,
    "public/funding-rate-history": _settled,
    "public/liquidation-orders": _liquidation,
    "public/opt-summary": okx_options.summary,
    "market/tickers": okx_options.quote,
    okx_options.PAST: okx_options.trade,
    "market/candles": _candle,
    "market/history-candles": _candle,
    _INTEREST: _interest_then,
    _TAKER: _taken,
    **{path: partial(_ratio, population=name) for path, name in _RATIOS.items()},
}
