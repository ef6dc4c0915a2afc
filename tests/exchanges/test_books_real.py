"""Order books against what the same exchange said of them by other ways, on recorded frames."""

from __future__ import annotations

import bisect
import gzip
import json
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from plimsoll.exchanges import books, exchange
from plimsoll.exchanges.reading import Listing, Resync, Synced
from plimsoll.market.events import BookDepth, BookLevel
from plimsoll.market.instrument import Instrument

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.real


def listing(name: str, native: str, category: str, symbol: str, size: int) -> Listing:
    instrument = Instrument(exchange=name, symbol=symbol, contract_size=Decimal(size))
    return Listing(native=native, category=category, instrument=instrument)


@pytest.mark.parametrize(
    ("file", "known"),
    [
        (
            "usdm/btcusdt_20240808.gz",
            listing("binance", "BTCUSDT", "linear", "BTC/USDT:USDT", 1),
        ),
        (
            "cm/btcusd_perp_20240808.gz",
            listing("binance", "BTCUSD_PERP", "inverse", "BTC/USD:BTC", 100),
        ),
    ],
)
def test_the_best_of_binance_s_books_are_those_of_its_book_ticker(
    real: Path, file: str, known: Listing
) -> None:
    quotes: list[tuple[int, tuple[float, float]]] = []
    told: list[tuple[int, list[Any]]] = []
    made = exchange("binance")
    decoder = made.decoder([known])
    (channel,) = made.channels("book_level", [known])
    with gzip.open(real.parent / "ticks" / file) as frames:
        for line in frames:
            stamp, _, payload = line.partition(b" ")
            message = json.loads(payload)
            if "lastUpdateId" in message:
                items = decoder.read(payload, int(stamp), channel.snapshot)
                told.append((message["lastUpdateId"], items))
            elif message["data"]["e"] == "bookTicker":
                data = message["data"]
                quotes.append((data["u"], (float(data["b"]), float(data["a"]))))
            elif message["data"]["e"] == "depthUpdate":
                told.append((message["data"]["u"], decoder.read(payload, int(stamp))))
    items = [item for _, each in told for item in each]
    assert sum(isinstance(item, Synced) for item in items) == 1
    # Nothing is missing. But there is one snapshot only, and none when the price leaves it behind.
    lost = [item.reason for item in items if isinstance(item, Resync) and item.since is not None]
    assert all("the price left" in reason for reason in lost)
    quotes.sort()
    compared = 0
    for number, each in told:
        best = tuple(one.price for one in each if isinstance(one, BookLevel) and one.level == 0)
        at = bisect.bisect_right(quotes, (number, (float("inf"), 0.0)))
        if best and at:
            compared += 1
            assert best == quotes[at - 1][1], number
    assert compared > 30


def test_bybit_s_changes_follow_each_other_and_keep_the_levels_it_tells_of(real: Path) -> None:
    place = real.parent / "raw_messages/adapter_samples/tests/test_data/bybit"
    known = listing("bybit", "XRPUSDT", "linear", "XRP/USDT:USDT", 1)
    decoder = exchange("bybit").decoder([known])
    with zipfile.ZipFile(place / "xrpusdt-ob500.data.zip") as archive:
        frames = archive.read(archive.namelist()[0]).splitlines()
    items = []
    for frame in frames:
        now = frame.replace(b"orderbook.500.", f"orderbook.{1_000}.".encode())
        items += decoder.read(now, 1_733_011_300_000_000_000)
    assert not any(isinstance(item, Resync) for item in items)
    moments = {item.time for item in items if isinstance(item, BookLevel)}
    assert len(moments) == 2  # five seconds and a half
    last = max(moments)
    levels = [item for item in items if isinstance(item, BookLevel) and item.time == last]
    assert len(levels) == 2 * books.LEVELS
    depths = {one.distance: one for one in items if isinstance(one, BookDepth)}
    assert {-0.005, -0.01, 0.005, 0.01} <= set(depths)  # 500 levels of 0.0001 at 1.953
    assert max(depths) < 0.05
