"""What of an exchange is wanted: kinds, and instruments by name or by size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plimsoll.errors import NoSuchData, Unsupported
from plimsoll.feed import rest
from plimsoll.market.events import OpenInterest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plimsoll.exchanges.base import Exchange
    from plimsoll.exchanges.reading import Listing
    from plimsoll.net.http import Client

__all__ = ["DEFAULT_KINDS", "choose", "kinds_of", "largest"]

DEFAULT_KINDS = (
    "liquidation",
    "open_interest",
    "funding",
    "mark_price",
    "long_short_ratio",
    "taker_volume",
    "liquidation_total",
    "open_interest_total",
    "stablecoin_supply",
    "commitment",
)
"""What is recorded when nobody says: small, and not to be had later."""


def kinds_of(exchange: Exchange, wanted: Sequence[str]) -> list[str]:
    """Return the kinds to record of an exchange.

    Raises
    ------
    Unsupported
        If it does not publish one that is named.
    """
    if not wanted:
        return [kind for kind in DEFAULT_KINDS if kind in exchange.offers]
    for kind in wanted:
        offer = exchange.offer(kind)
        if kind != "position" and not offer.stream and offer.poll is None:
            raise Unsupported(exchange.name, kind, "is history only: see plimsoll backfill")
    return list(wanted)


def choose(listings: Iterable[Listing], symbols: Sequence[str]) -> list[Listing]:
    """Return the listings of coins or unified symbols; all of them if none are named.

    Raises
    ------
    NoSuchData
        If nothing is listed for one.
    """
    every = list(listings)
    if not symbols:
        return every
    chosen: dict[tuple[str, str], Listing] = {}
    for name in symbols:
        found = [one for one in every if name in {one.symbol, one.coin, one.native}]
        if not found:
            raise NoSuchData(f"nothing is listed for {name}; name a coin, or a symbol as ccxt does")
        chosen.update(((one.category, one.native), one) for one in found)
    return list(chosen.values())


async def largest(
    client: Client, exchange: Exchange, listings: list[Listing], top: int
) -> list[Listing]:
    """Return the instruments with the most open interest.

    Raises
    ------
    Unsupported
        If the exchange does not tell it for all at once.
    """
    held: dict[str, float] = {}
    for plan in exchange.polls("open_interest", listings):
        if "native" in plan.request.about:
            raise Unsupported(exchange.name, "open interest of all", "is not told: use --symbols")
        payload, received = await rest.ask(client, exchange, plan.request)
        for event in exchange.decoder(listings).read(payload, received, plan.request):
            if isinstance(event, OpenInterest) and event.value_usd is not None:
                held[event.symbol] = event.value_usd
    ranked = sorted(listings, key=lambda one: held.get(one.symbol, -1.0), reverse=True)
    return [one for one in ranked[:top] if one.symbol in held]
