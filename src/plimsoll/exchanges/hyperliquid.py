"""Hyperliquid: perpetuals, whose positions and traders are public.

Traps: liquidations are published nowhere, and nothing in a trade tells one, so they are not
offered. What stands now comes without a time, so that our clock stands in for the exchange's.
Maintenance is half of the initial margin at a tier's greatest leverage; a table number below 50
is no table but that leverage itself. A candle on the socket is told again and again while it
runs, and is over when the next begins. Money is USDC, taken as dollars.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, json
from msgspec.structs import replace

from plimsoll.errors import UnknownSymbol, UnreadableMessage, Unsupported
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
    MarkPrice,
    OpenInterest,
    Position,
    Trade,
)
from plimsoll.market.instrument import Brackets, Instrument
from plimsoll.market.interval import MINUTE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


__all__ = ["EXCHANGE", "Hyperliquid"]

NAME = "hyperliquid"
REST = "https://api.hyperliquid.xyz/info"
SOCKET = "wss://api.hyperliquid.xyz/ws"
CATEGORY = "perp"
PAGES = {"fundingHistory": 500, "candleSnapshot": 5000}
"""How many rows an answer holds at most."""
SINGLE_TIERS = 50
"""Numbers of margin tables below this are the greatest leverage of their one tier."""
BOOK, LEVELS = "l2Book", 20
_WALLET = re.compile(r"0x[0-9a-fA-F]{40}")


class _Frame(Struct):
    channel: str
    data: Any = None


class _Print(Struct):
    coin: str
    side: Literal["A", "B"]
    px: str
    sz: str
    time: int
    tid: int


class _Parties(Struct):
    px: str
    sz: str
    users: tuple[str, str]


class _Candle(Struct):
    t: int
    s: str
    i: Literal["1m"]
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    c: str
    v: str
    n: int


class _Meta(Struct):
    universe: list[dict[str, Any]]
    marginTables: list[tuple[int, dict[str, Any]]] = []


class _Book(Struct):
    coin: str
    time: int
    levels: tuple[list[dict[str, Any]], list[dict[str, Any]]]


class _Leverage(Struct):
    type: Literal["cross", "isolated"]
    value: float


class _Held(Struct):
    coin: str
    szi: str
    entryPx: str | None
    positionValue: str
    liquidationPx: str | None
    marginUsed: str
    leverage: _Leverage


class _Account(Struct):
    assetPositions: list[dict[str, Any]]
    time: int


class Hyperliquid(Exchange):
    """Hyperliquid's own perpetuals; those of other deployers are passed over."""

    name = NAME
    offers = {
        "trade": Offer(stream=True, checked="recorded", note="liquidations are not told apart"),
        "open_interest": Offer(poll=30, note="stamped with our clock"),
        "mark_price": Offer(poll=30, note="index is the oracle's price; stamped with our clock"),
        "funding": Offer(poll=30, history="all", note="hourly; predicted: the running hour's"),
        "candle": Offer(
            stream=True, history="5,000 buckets", note="without taker and quote volume"
        ),
        **books.offers("20 levels a side", "recorded"),
        "position": Offer(note="one wallet at a time: see position_request; closed: not told"),
    }
    limits = (Limit(name=NAME, amount=1200, seconds=60),)
    ping = Ping(every=30, payload=b'{"method":"ping"}')

    def instruments(self) -> list[Request]:
        """Return what to ask for listings and brackets, which one answer holds."""
        return [_request("instrument", {"type": "metaAndAssetCtxs"})]

    def channels(self, kind: str, listings: Sequence[Listing]) -> list[Channel]:
        """Return one channel for each instrument."""
        topics = {"trade": "trades.{}", "candle": "candle.{}.1m"}
        topics |= dict.fromkeys(books.KINDS, f"{BOOK}.{{}}")
        if kind not in topics:
            raise Unsupported(NAME, kind, "is not streamed")
        return [
            Channel(
                url=SOCKET,
                topic=topics[kind].format(listing.native),
                kinds=books.KINDS if kind in books.KINDS else (kind,),
                symbol=listing.symbol,
            )
            for listing in listings
        ]

    def subscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return a frame for each channel."""
        return _frames("subscribe", channels)

    def unsubscribe(self, channels: Sequence[Channel]) -> list[bytes]:
        """Return a frame for each channel."""
        return _frames("unsubscribe", channels)

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all instruments."""
        del listings
        if kind in {"open_interest", "mark_price", "funding"}:
            return [Poll(request=_request(kind, {"type": "metaAndAssetCtxs"}), every=30)]
        raise Unsupported(NAME, kind, "cannot be asked for")

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the first page, the oldest; the others follow forwards."""
        coin = listing.native
        span = {"startTime": since // MILLISECOND, "endTime": until // MILLISECOND - 1}
        # The weight grows with the rows that come, and is not known before: a full page's.
        if kind == "funding":
            return _request(kind, {"type": "fundingHistory", "coin": coin, **span}, 45, native=coin)
        if kind == "candle":
            asked = {"coin": coin, "interval": "1m", **span}
            return _request(kind, {"type": "candleSnapshot", "req": asked}, 104, native=coin)
        raise Unsupported(NAME, kind, "has no history here")

    def following(self, request: Request, payload: bytes) -> Request | None:
        """Return the next page, newer than the newest row; None after a page that is not full."""
        body = json.decode(request.body or b"{}")
        most = PAGES.get(body.get("type", ""))
        if most is None or len(rows := decode(payload, list[dict[str, Any]])) < most:
            return None
        span, stamp, step = (body, "time", 1)
        if "req" in body:
            span, stamp, step = (body["req"], "t", MINUTE // MILLISECOND)
        start = max(int(row[stamp]) for row in rows) + step
        if start > span["endTime"]:
            return None
        span["startTime"] = start
        return replace(request, body=json.encode(body))

    def position_request(self, wallet: str) -> Request:
        """Return what to ask for the positions of one wallet.

        Parameters
        ----------
        wallet : str
            An address: ``0x`` and 40 hexadecimal digits.

        Raises
        ------
        ValueError
            If it is no address.
        """
        if not _WALLET.fullmatch(wallet):
            raise ValueError(f"{wallet!r} is no wallet: expected 0x and 40 hexadecimal digits")
        wallet = wallet.lower()  # as trades name it; the same wallet in capitals is not another
        body = {"type": "clearinghouseState", "user": wallet}
        return _request("position", body, 2, wallet=wallet)

    def wallets(self, payload: bytes) -> list[tuple[str, float]]:
        """Return the wallets that a frame names, each once, with the dollars it traded.

        Parameters
        ----------
        payload : bytes
            Any frame of the socket; only trades name wallets.

        Raises
        ------
        UnreadableMessage
            If it is not what the documentation says.
        """
        traded: dict[str, float] = {}
        try:
            frame = decode(payload, _Frame)
            prints = convert(frame.data, list[_Parties]) if frame.channel == "trades" else []
            for one in prints:
                value = positive(one.px) * positive(one.sz)
                for wallet in one.users:
                    traded[wallet] = traded.get(wallet, 0.0) + value
        except (ValueError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise UnreadableMessage(NAME, payload, why) from error
        return list(traded.items())

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = Hyperliquid()


def _request(kind: str, body: dict[str, Any], weight: int = 20, **about: str) -> Request:
    return Request(
        kind=kind,
        url=REST,
        method="POST",
        body=json.encode(body),
        limit=NAME,
        weight=weight,
        about=about,
    )


def _frames(method: str, channels: Sequence[Channel]) -> list[bytes]:
    names = ("type", "coin", "interval")
    wanted = [dict(zip(names, channel.topic.split("."), strict=False)) for channel in channels]
    return [json.encode({"method": method, "subscription": one}) for one in wanted]


def _topic(subscription: dict[str, Any]) -> str:
    parts = (subscription.get(name) for name in ("type", "coin", "interval"))
    return ".".join(part for part in parts if part)


def _refused(text: str) -> Refused:
    """Return a refusal, which repeats the request at its end."""
    before, brace, request = text.partition("{")
    if not brace:
        return Refused("", text)
    said = json.decode(brace + request)
    return Refused(_topic(said.get("subscription", said)), before.strip(" :"))


class _Decoder(Decoder):
    exchange = NAME

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        super().__init__(listings)
        self._running: dict[str, Candle] = {}
        self._books = books.Books(NAME, most=LEVELS)

    def frame(self, payload: bytes, received: int) -> list[Any]:
        frame = decode(payload, _Frame)
        match frame.channel:
            case "trades":
                return [self._trade(one, received) for one in convert(frame.data, list[_Print])]
            case "candle":
                # One candle, though the documentation has a list of them.
                rows = frame.data if isinstance(frame.data, list) else [frame.data]
                told = (self._told(one, received) for one in convert(rows, list[_Candle]))
                return [candle for candle in told if candle is not None]
            case "l2Book":
                return list(self._books.read(self._book(convert(frame.data, _Book)), received))
            case "subscriptionResponse":
                return [Acknowledged((_topic(frame.data["subscription"]),))]
            case "error":
                return [_refused(frame.data)]
            case "pong":
                return []
            case _:
                raise ValueError(f"unknown channel {frame.channel!r}")

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        if request.kind == "position":
            return self._positions(decode(payload, _Account), received, request.about["wallet"])
        if "native" in request.about:
            return self._page(payload, received, request)
        meta, contexts = decode(payload, tuple[_Meta, list[dict[str, Any]]])
        pairs = list(zip(meta.universe, contexts, strict=True))
        if request.kind == "instrument":
            found = [one for pair in pairs if (one := _listing(*pair)) is not None]
            return [*found, *_brackets(meta, found, received)]
        make = {"open_interest": _interest, "mark_price": _mark, "funding": _predicted}
        return [
            make[request.kind](context, self.about(one, received, received))
            for asset, context in pairs
            if (one := self.listings.get((CATEGORY, asset["name"]))) is not None
        ]

    def _page(self, payload: bytes, received: int, request: Request) -> list[Any]:
        """Return the rows of a page of history; a candle that is not over is left out."""
        if request.kind == "candle":
            candles = decode(payload, list[_Candle])
            over = [one for one in candles if nanoseconds(one.t) + MINUTE <= received]
            return [self._candle(one, received) for one in over]
        listing = self.listing(request.about["native"], CATEGORY)
        rows = decode(payload, list[dict[str, Any]])
        return [self._settled(row, listing, received) for row in rows]

    def _trade(self, one: _Print, received: int) -> Trade:
        return Trade(
            **self.about(self.listing(one.coin, CATEGORY), nanoseconds(one.time), received),
            id=one.tid,
            side="buy" if one.side == "B" else "sell",
            price=positive(one.px),
            amount=positive(one.sz),
        )

    def _told(self, one: _Candle, received: int) -> Candle | None:
        """Return a candle that is over: the last one, when a newer begins."""
        candle = self._candle(one, received)
        last = self._running.get(one.s)
        if last is not None and candle.time < last.time:
            return candle
        self._running[one.s] = candle
        return last if last is not None and last.time < candle.time else None

    def _candle(self, one: _Candle, received: int) -> Candle:
        time = nanoseconds(one.t)
        return Candle(
            **self.about(self.listing(one.s, CATEGORY), time, received),
            known_at=time + MINUTE,
            interval=60,
            open=positive(one.o),
            high=positive(one.h),
            low=positive(one.l),
            close=positive(one.c),
            volume=number(one.v),
            trades=one.n,
        )

    def _settled(self, row: dict[str, Any], listing: Listing, received: int) -> Funding:
        time = nanoseconds(row["time"])
        return Funding(
            **self.about(listing, time, received),
            known_at=time,
            rate=number(row["fundingRate"]),
            interval_hours=1,
            premium=known(row, "premium"),
        )

    def _book(self, book: _Book) -> books.Told:
        """Return a whole book, as each message has it."""
        bids, asks = (
            [(positive(row["px"]), positive(row["sz"])) for row in side] for side in book.levels
        )
        return books.Told(
            topic=f"{BOOK}.{book.coin}",
            listing=self.listing(book.coin, CATEGORY),
            time=nanoseconds(book.time),
            id=book.time,
            follows=None,
            bids=bids,
            asks=asks,
        )

    def _positions(self, account: _Account, received: int, wallet: str) -> list[Position]:
        time, made = nanoseconds(account.time), []
        for held in (convert(one["position"], _Held) for one in account.assetPositions):
            listing, size = self.listings.get((CATEGORY, held.coin)), number(held.szi)
            if listing is None or size == 0:
                continue
            below = held.liquidationPx  # null where the account outlives every price
            made.append(
                Position(
                    **self.about(listing, time, received),
                    wallet=wallet,
                    side="long" if size > 0 else "short",
                    amount=abs(size),
                    entry_price=positive(held.entryPx),
                    leverage=positive(held.leverage.value),
                    margin=number(held.marginUsed),
                    margin_mode=held.leverage.type,
                    liquidation_price=None if below is None else positive(below),
                    value_usd=number(held.positionValue),
                )
            )
        return made


def _listing(asset: dict[str, Any], context: dict[str, Any]) -> Listing | None:
    try:
        symbol = native.unified(NAME, asset["name"], market="linear")
    except UnknownSymbol:
        return None  # of another deployer
    if asset.get("isDelisted"):
        return None
    return Listing(
        native=asset["name"],
        category=CATEGORY,
        instrument=Instrument(exchange=NAME, symbol=symbol),  # five digits: no fixed tick
        interval_hours=1,
        turnover_usd=number(context["dayNtlVlm"]),
    )


def _brackets(meta: _Meta, listings: list[Listing], received: int) -> list[Brackets]:
    since = datetime.fromtimestamp(received // 1_000_000_000, tz=UTC)
    symbols = {listing.native: listing.symbol for listing in listings}
    tables = dict(meta.marginTables)
    return [
        Brackets.build(NAME, symbols[asset["name"]], since, _tiers(asset["marginTableId"], tables))
        for asset in meta.universe
        if asset["name"] in symbols
    ]


def _tiers(table: int, tables: dict[int, dict[str, Any]]) -> list[tuple[float, float, float]]:
    """Return caps, maintenance rates and leverages of a margin table."""
    if table not in tables and 0 < table < SINGLE_TIERS:
        return [(math.inf, 0.5 / table, float(table))]
    rows = tables[table]["marginTiers"]
    found = sorted((number(row["lowerBound"]), positive(row["maxLeverage"])) for row in rows)
    if found[0][0] != 0:
        raise ValueError(f"the tiers of margin table {table} start at {found[0][0]}")
    caps = [*(floor for floor, _ in found[1:]), math.inf]
    return [(cap, 0.5 / most, most) for cap, (_, most) in zip(caps, found, strict=True)]


def _interest(context: dict[str, Any], about: dict[str, Any]) -> OpenInterest:
    held = number(context["openInterest"])
    return OpenInterest(**about, amount=held, value_usd=held * positive(context["markPx"]))


def _mark(context: dict[str, Any], about: dict[str, Any]) -> MarkPrice:
    mark, oracle = positive(context["markPx"]), positive(context["oraclePx"])
    return MarkPrice(**about, mark_price=mark, index_price=oracle)


def _predicted(context: dict[str, Any], about: dict[str, Any]) -> Funding:
    return Funding(
        **about,
        rate=number(context["funding"]),
        interval_hours=1,
        status="predicted",
        premium=known(context, "premium"),
    )
