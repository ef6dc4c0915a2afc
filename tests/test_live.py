"""The real exchanges, for those who can reach them: ``uv run pytest -m live``."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

import plimsoll
from fakes.server import Fake
from fakes.venues import VENUES
from plimsoll import doctor
from plimsoll.exchanges import EXCHANGES, exchange
from plimsoll.recording import Recording, Wanted
from plimsoll.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 100.0
"""Long enough for what is asked for every minute."""


async def observed(
    name: str,
    root: Path,
    kinds: tuple[str, ...],
    *,
    seconds: float = SECONDS,
    address: Callable[[str], str] = lambda url: url,
) -> Recording:
    """Record an exchange's BTC for a while."""
    told = Recording()
    wanted = Wanted(exchange=name, symbols=("BTC",), kinds=kinds)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await plimsoll.open(root).record_exchanges([wanted], told, address=address)
    return told


def sound(root: Path, name: str, told: Recording) -> None:
    """Check that what an exchange said was understood, and makes sense."""
    assert told.kept > 0, told.problems
    assert told.problems == []
    assert [one.name for one in told.health if one.unreadable or one.gaps] == []
    session = plimsoll.open(root)
    assert session.audit().findings == []
    for series in Reader(root).series():
        assert series.exchange == name
        rows = session.read(series.kind).drop_nulls("received")
        early = rows.filter(pl.col("time") > pl.col("received") + timedelta(minutes=1))
        assert early.is_empty(), f"{series.kind}: the clock here or a unit is wrong"


@pytest.mark.live
@pytest.mark.parametrize("name", EXCHANGES)
def test_an_exchange_is_understood_as_it_speaks_today(name: str, tmp_path: Path) -> None:
    offered = exchange(name).offers
    short = {
        kind
        for kind, offer in offered.items()
        if offer.stream or (offer.poll is not None and offer.poll <= 60)
    }
    if not short:
        pytest.skip("nothing of it comes every minute")
    told = asyncio.run(observed(name, tmp_path / "store", tuple(sorted(short))))
    sound(tmp_path / "store", name, told)
    if "open_interest" in short:
        held = plimsoll.open(tmp_path / "store").open_interest("BTC")
        assert held["value_usd"].drop_nulls().min() > 0


@pytest.mark.live
def test_exchanges_agree_on_the_price_and_on_the_funding(tmp_path: Path) -> None:
    marks, rates = {}, {}
    for name in ("binance", "bybit", "okx", "bitget", "gate"):
        asyncio.run(observed(name, tmp_path / name, ("mark_price", "funding"), seconds=70))
        session = plimsoll.open(tmp_path / name)
        marks[name] = session.read("mark_price").filter(symbol="BTC/USDT:USDT")["mark_price"][-1]
        rates[name] = session.read("funding").filter(symbol="BTC/USDT:USDT")["rate"][-1]
    assert max(marks.values()) < 1.01 * min(marks.values()), marks
    assert max(map(abs, rates.values())) < 0.01, rates


@pytest.mark.live
def test_every_host_answers_and_the_clocks_agree() -> None:
    for found in asyncio.run(doctor.examine()):
        assert found.ok, found
        assert found.offset is None or abs(found.offset) < 5, found


def test_these_checks_hold_against_a_loopback_exchange(tmp_path: Path) -> None:
    venue = next(one for one in VENUES if one.name == "bybit")

    async def play() -> Recording:
        async with Fake() as fake:
            venue.prepare(fake)
            watching = asyncio.ensure_future(
                observed("bybit", tmp_path / "s", ("liquidation",), seconds=3, address=fake.address)
            )
            while not fake.subscribed and not watching.done():
                await asyncio.wait({watching}, timeout=0.05)
            await asyncio.sleep(0.2)
            await fake.send(venue.liquidations(range(3)))
            return await watching

    told = asyncio.run(play())
    assert told.kept == 3
    sound(tmp_path / "s", "bybit", told)
