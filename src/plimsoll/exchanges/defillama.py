"""DefiLlama: dollars of stablecoins in circulation, and open interest of protocols on chains.

It is no exchange and has no socket: it sums what others publish. A stablecoin's symbol is the
coin in capitals; of coins that share one, that with the lowest number keeps it, and the others
bear their number too (``USDX-123``). A protocol's symbol is its short name.

Traps: the list of stablecoins counts in the unit of the peg, so that a coin without a price has no
dollars. Of open interest only the category ``Derivatives`` is read: interfaces count what stands at
a protocol that is counted already, and prediction markets are no contracts. What stands now comes
without a time, so it bears ours. History is a row for each day, stamped with the day's opening:
open interest is that of the day's end, supply is taken to be known at it. The day that still runs
is left out. History is revised: then it was known later than its `known_at` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from plimsoll.errors import Unsupported
from plimsoll.exchanges.base import Exchange, Limit, Offer, Poll
from plimsoll.exchanges.reading import Decoder, Listing, Request, decode, nanoseconds, number
from plimsoll.market.events import OpenInterestTotal, StablecoinSupply
from plimsoll.market.instrument import Instrument
from plimsoll.market.interval import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from plimsoll.market.events import Event

__all__ = ["EXCHANGE", "DefiLlama"]

NAME = "defillama"
COINS = "https://stablecoins.llama.fi/stablecoins"
CHART = "https://stablecoins.llama.fi/stablecoincharts/all"
PROTOCOLS = "https://api.llama.fi/overview/open-interest"
TOTAL = "TOTAL"
RECENT = 7 * DAY  # of the days that come with every answer, a poll reads so many

_HOUR = 3_600.0
_WHOLE = 36_500  # days: one answer has them all
_BRIEF = {"excludeTotalDataChart": "true", "excludeTotalDataChartBreakdown": "true"}


class _Coin(Struct):
    id: str
    symbol: str
    circulating: dict[str, float] = {}
    price: float | None = None


class _Coins(Struct):
    peggedAssets: list[_Coin]


class _Day(Struct):
    date: int
    totalCirculatingUSD: dict[str, float]


class _Protocol(Struct):
    name: str
    slug: str
    category: str | None = None
    total24h: float | None = None


class _Protocols(Struct):
    protocols: list[_Protocol]


class _Days(Struct):
    totalDataChartBreakdown: list[tuple[int, dict[str, Any]]]


class DefiLlama(Exchange):
    """DefiLlama's free part: stablecoins, and open interest of protocols."""

    name = NAME
    offers = {
        "stablecoin_supply": Offer(
            poll=_HOUR, history="all", window=_WHOLE, completeness="aggregated", note="our clock"
        ),
        "open_interest_total": Offer(
            poll=_HOUR, history="all", window=_WHOLE, completeness="aggregated", note="our clock"
        ),
    }
    limits = (Limit(name=NAME, amount=30, seconds=60),)  # its own is not published

    def instruments(self) -> list[Request]:
        """Return what to ask for stablecoins and for protocols."""
        return [_coins("instrument"), _protocols("instrument", _BRIEF)]

    def polls(self, kind: str, listings: Sequence[Listing]) -> list[Poll]:
        """Return one request for all coins and one for their total, or one for all protocols."""
        asked = {one.category for one in listings}
        if kind == "open_interest_total":
            request = _protocols(kind, _BRIEF)
            return [Poll(request=request, every=_HOUR)] if "protocol" in asked else []
        if kind != "stablecoin_supply":
            raise Unsupported(NAME, kind, "cannot be asked for")
        plans = []
        if "stablecoin" in asked:
            plans.append(Poll(request=_coins(kind), every=_HOUR))
        if "total" in asked:
            request = Request(
                kind=kind, url=CHART, limit=NAME, about={"category": "total", "native": TOTAL}
            )
            plans.append(Poll(request=request, every=6 * _HOUR, delay=_HOUR))
        return plans

    def history(self, kind: str, listing: Listing, since: int, until: int) -> Request:
        """Return the one request that is answered with all days there are."""
        about = {"category": listing.category, "native": listing.native}
        span = {"since": str(since), "until": str(until)}
        if kind == "open_interest_total" and listing.category == "protocol":
            return _protocols(kind, {"excludeTotalDataChart": "true"}, **about, **span)
        if kind == "stablecoin_supply" and listing.category != "protocol":
            query = {} if listing.native == TOTAL else {"stablecoin": listing.native}
            return Request(kind=kind, url=CHART, query=query, limit=NAME, about={**about, **span})
        raise Unsupported(NAME, f"{kind} of {listing.symbol}", "is not published")

    def decoder(self, listings: Iterable[Listing] = ()) -> Decoder:
        """Return a new decoder."""
        return _Decoder(listings)


EXCHANGE = DefiLlama()


def _coins(kind: str) -> Request:
    about = {"category": "stablecoin"}
    return Request(kind=kind, url=COINS, query={"includePrices": "true"}, limit=NAME, about=about)


def _protocols(kind: str, query: dict[str, str], **about: str) -> Request:
    about = {"category": "protocol", **about}
    return Request(kind=kind, url=PROTOCOLS, query=query, limit=NAME, about=about)


class _Decoder(Decoder):
    exchange = NAME

    def answer(self, payload: bytes, received: int, request: Request) -> list[Any]:
        if request.kind == "instrument":
            read = _listed_coins if request.url == COINS else _listed_protocols
            return list(read(payload))
        if request.url == COINS:
            return list(self._coins(payload, received))
        if request.url == CHART:
            return list(self._supply(payload, received, request))
        if "native" in request.about:
            return list(self._held(payload, received, request))
        return list(self._protocols(payload, received))

    def _coins(self, payload: bytes, received: int) -> Iterator[Event]:
        for coin in decode(payload, _Coins).peggedAssets:
            listing = self.listings.get(("stablecoin", coin.id))
            if listing is None or coin.price is None or not coin.circulating:
                continue
            dollars = sum(coin.circulating.values()) * coin.price
            yield StablecoinSupply(
                **self.about(listing, received, received), supply_usd=number(dollars)
            )

    def _supply(self, payload: bytes, received: int, request: Request) -> Iterator[Event]:
        listing = self.listing(request.about["native"], request.about["category"])
        asked = "since" in request.about
        for day in decode(payload, list[_Day]):
            time = nanoseconds(day.date * 1_000)
            is_told = time + DAY <= received and (asked or received - time <= RECENT)
            if is_told and day.totalCirculatingUSD:
                yield StablecoinSupply(
                    **self.about(listing, time, received),
                    known_at=time + DAY if asked else received,
                    supply_usd=number(sum(day.totalCirculatingUSD.values())),
                )

    def _protocols(self, payload: bytes, received: int) -> Iterator[Event]:
        for row in decode(payload, _Protocols).protocols:
            listing = self.listings.get(("protocol", row.name))
            if listing is not None and row.total24h is not None:
                yield OpenInterestTotal(
                    **self.about(listing, received, received), open_interest_usd=row.total24h
                )

    def _held(self, payload: bytes, received: int, request: Request) -> Iterator[Event]:
        listing = self.listing(request.about["native"], request.about["category"])
        for day, held in decode(payload, _Days).totalDataChartBreakdown:
            end = nanoseconds(day * 1_000) + DAY
            value = held.get(listing.native)
            if end <= received and value is not None:
                yield OpenInterestTotal(
                    **self.about(listing, end, received),
                    known_at=end,
                    open_interest_usd=number(value),
                )


def _listed_coins(payload: bytes) -> Iterator[Listing]:
    yield _listing("total", TOTAL, TOTAL)
    taken = {TOTAL}
    for coin in sorted(decode(payload, _Coins).peggedAssets, key=lambda one: (len(one.id), one.id)):
        name = coin.symbol.strip().upper()
        symbol = f"{name}-{coin.id}" if name in taken else name
        if name:
            taken.add(symbol)
            yield _listing("stablecoin", coin.id, symbol)


def _listed_protocols(payload: bytes) -> Iterator[Listing]:
    for row in decode(payload, _Protocols).protocols:
        if row.category == "Derivatives":
            yield _listing("protocol", row.name, row.slug)


def _listing(category: str, native: str, symbol: str) -> Listing:
    made = Instrument(exchange=NAME, symbol=symbol)
    return Listing(native=native, category=category, instrument=made, is_market=False)
