"""The recorder at work against a loopback exchange."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import plimsoll
from fakes.server import Fake
from plimsoll.recording import Recording, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import polars as pl

    from fakes.venues import Venue

__all__ = ["gaps", "live", "recorded", "run", "stored", "until"]


@contextlib.asynccontextmanager
async def recorded(
    fake: Fake, root: Path, venue: Venue, **rest: Any
) -> AsyncIterator[tuple[Recording, asyncio.Task[None]]]:
    """Record a venue's liquidations while the block runs, from its first answer on."""
    session = plimsoll.open(root)
    told = Recording()
    wanted = Wanted(exchange=venue.name, symbols=("BTC",), kinds=("liquidation",))
    task = asyncio.ensure_future(
        session.record_exchanges([wanted], told, address=fake.address, **rest)
    )
    try:
        await until(lambda: live(told) or task.done())
        yield told, task
        await asyncio.sleep(0.3)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def live(told: Recording) -> bool:
    """Return whether all streams are answered."""
    return bool(told.health) and all(one.state == "live" for one in told.health)


async def until(what: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something has happened, at most so long."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        await asyncio.sleep(0.01)


def run(venue: Venue, play: Callable[[Fake], Awaitable[None]]) -> None:
    """Play against a server that speaks as an exchange does."""

    async def whole() -> None:
        async with Fake() as fake:
            venue.prepare(fake)
            await play(fake)

    asyncio.run(whole())


def stored(root: Path) -> pl.DataFrame:
    """Return the liquidations in a store."""
    return plimsoll.open(root).read("liquidation")


def gaps(root: Path) -> pl.DataFrame:
    """Return the gaps in a store."""
    return plimsoll.open(root).read("gap")
