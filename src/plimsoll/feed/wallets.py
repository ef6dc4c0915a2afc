"""Positions of wallets, where they are public: found in trades, looked at by turns.

A wallet is worth looking at for the position it held when last seen and for what it has traded
since; the longer ago that was, the more. No wallet is looked at twice in a minute.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plimsoll.errors import ExchangeError, UnreadableMessage
from plimsoll.feed.rest import ask
from plimsoll.feed.subscription import Taps
from plimsoll.market.events import Position

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from plimsoll.exchanges.base import Exchange
    from plimsoll.exchanges.reading import Listing
    from plimsoll.feed.health import Health
    from plimsoll.net.http import Client

__all__ = ["Wallets", "positions"]

_LEAST = 60.0
_MOST = 20_000
"""Wallets remembered; the least active are forgotten first."""


@dataclass
class _Wallet:
    """What is known of a wallet; dollars and seconds."""

    traded: float = 0.0
    held: float = 0.0
    looked: float = 0.0
    open: dict[tuple[str, str], Position] = field(default_factory=dict)


class Wallets:
    """The wallets known, and which to look at next."""

    def __init__(self) -> None:
        self._known: dict[str, _Wallet] = {}

    def __len__(self) -> int:
        return len(self._known)

    def traded(self, parties: Iterable[tuple[str, float]]) -> None:
        """Hear of wallets and the dollars they traded."""
        for name, dollars in parties:
            self._known.setdefault(name, _Wallet()).traded += dollars
        if len(self._known) > _MOST:
            ranked = sorted(self._known, key=lambda n: self._known[n].held + self._known[n].traded)
            for name in ranked[: _MOST // 10]:
                del self._known[name]

    @staticmethod
    def _worth(wallet: _Wallet, now: float) -> float:
        waited = now - wallet.looked if wallet.looked else 3_600.0
        return (wallet.held + wallet.traded) * max(waited, 1.0)

    def following(self, now: float) -> str | None:
        """Return the wallet most worth looking at; None if all were just looked at."""
        ready = [name for name, one in self._known.items() if now - one.looked >= _LEAST]
        return max(ready, key=lambda name: self._worth(self._known[name], now), default=None)

    def skipped(self, name: str, now: float) -> None:
        """Let a wallet that could not be read wait; what it held still counts."""
        self._known.setdefault(name, _Wallet()).looked = now

    def looked(self, name: str, found: list[Position], now: float) -> list[Position]:
        """Remember what a wallet holds, and return what to tell: what is gone has no amount."""
        wallet = self._known.setdefault(name, _Wallet())
        held: dict[tuple[str, str], Position] = {(one.symbol, one.side): one for one in found}
        gone = [
            replace(one, amount=0.0, value_usd=0.0, margin=None, liquidation_price=None)
            for key, one in wallet.open.items()
            if key not in held
        ]
        wallet.open, wallet.looked, wallet.traded = held, now, 0.0
        wallet.held = sum(one.value_usd or 0.0 for one in found)
        return [*found, *gone]


async def positions(
    client: Client,
    exchange: Exchange,
    wallets: Wallets,
    listings: list[Listing],
    health: Health,
    *,
    share: float = 0.5,
    taps: Taps | None = None,
) -> AsyncIterator[Position]:
    """Yield the positions of wallets, one wallet after another, without end.

    Parameters
    ----------
    client : Client
    exchange : Exchange
    wallets : Wallets
        Filled by others, as trades name them.
    listings : list of Listing
    health : Health
        Kept up to date.
    share : float
        How much of the exchange's allowance this may use.
    taps : Taps, optional

    Yields
    ------
    Position
        What is gone since the wallet was last looked at comes once more, with no amount.
    """
    taps = taps or Taps()
    limit = exchange.limits[0]
    while True:
        now = time.time()
        name = wallets.following(now)
        if name is None:
            await asyncio.sleep(0.5)
            continue
        request = exchange.position_request(name)
        await asyncio.sleep(request.weight * limit.seconds / (limit.amount * share))
        try:
            payload, received = await ask(client, exchange, request)
            items = exchange.decoder(listings).read(payload, received, request)
        except UnreadableMessage as error:
            health.unreadable += 1
            health.problem = error.why
            taps.unreadable(exchange.name, time.time_ns(), error.payload, error.why)
            wallets.skipped(name, now)
            continue
        except ExchangeError as error:
            health.state, health.problem = "lost", str(error)
            if not error.transient:
                health.state = "refused"
                raise
            wallets.skipped(name, now)
            continue
        health.state, health.heard = "live", received
        held = [item for item in items if isinstance(item, Position)]
        for event in wallets.looked(name, held, now):
            told = replace(event, time=received, received=received) if not event.amount else event
            health.came(told.time, received)
            yield told
