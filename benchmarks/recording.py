"""The recorder under load, and its reading of a socket against ccxt.pro's."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import linear_regression, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.loopback import symbols
from benchmarks.measure import MIB

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["run"]

STREAMS = 50
LOADS = {"steady": (2_000, 600), "burst": (20_000, 60)}
"""Messages a second, and for how many seconds."""
AGAINST = (2_000, 20)
_QUIET, _STALLED = 3.0, 30.0


def run() -> dict[str, object]:
    """Record two loads, and read one with ccxt.pro too, where it is installed."""
    against = {"plimsoll": _apart("read", *AGAINST)}
    if importlib.util.find_spec("ccxt") is not None:
        against["ccxt.pro"] = _apart("ccxt", *AGAINST)
    found: dict[str, object] = {
        "compared": f"one trade a frame on {STREAMS} symbols of one socket, from a server in "
        "another process: recorded durably, and read only, without a store",
        "aim": "steady: half a core, p99 from receipt to durable below 0.25 s, flat memory; burst: "
        "nothing lost; 10 times the frames a second of CPU of ccxt.pro",
        **{name: _apart("record", *load) for name, load in LOADS.items()},
        "read": against,
    }
    if "ccxt.pro" in against:
        mine, other = (against[name]["frames_a_cpu_second"] for name in ("plimsoll", "ccxt.pro"))
        found["frames_over_ccxt"] = round(mine / other, 1)
    return found


def _apart(what: str, rate: int, seconds: int) -> dict[str, Any]:
    """Run a reader in a process of its own, beside a server in another."""
    arguments = [str(STREAMS), str(rate), str(seconds)]
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.loopback", *arguments],
        stdout=subprocess.PIPE,
        text=True,
    )
    if server.stdout is None:
        raise RuntimeError("the server has no output")
    port = server.stdout.readline().strip()
    command = [sys.executable, "-m", __name__, what, port, str(rate * seconds)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        sent = int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    figures["delivered"] = round(figures.pop("frames") / sent, 6)
    return figures


def _address(port: str) -> Callable[[str], str]:
    def address(url: str) -> str:
        parts = urlsplit(url)
        scheme = "ws" if parts.scheme.startswith("ws") else "http"
        query = f"?{parts.query}" if parts.query else ""
        return f"{scheme}://127.0.0.1:{port}/{parts.netloc}{parts.path}{query}"

    return address


def _figures(frames: int, cpu: float, seconds: float) -> dict[str, Any]:
    return {
        "frames": frames,
        "cores": round(cpu / seconds, 3),
        "frames_a_cpu_second": round(frames / cpu),
        "seconds": round(seconds, 1),
    }


async def _record(port: str, most: int) -> dict[str, Any]:
    """Record until all is kept or nothing more comes."""
    import plimsoll  # noqa: PLC0415 (the parent must stay small)
    from plimsoll.recording import Recording, Wanted  # noqa: PLC0415

    safe: list[tuple[int, int]] = []

    class Told(Recording):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "kept" and value:
                safe.append((value, time.time_ns()))

    with TemporaryDirectory() as folder:
        session, told = plimsoll.open(folder), Told()
        wanted = Wanted(exchange="bybit", kinds=("trade",))
        work = asyncio.ensure_future(
            session.record_exchanges([wanted], told, address=_address(port))
        )
        while not safe and not work.done():
            await asyncio.wait({work}, timeout=0.05)
        if work.done():
            await work
        began, cpu, held = time.monotonic(), time.process_time(), []
        while told.kept < most and time.time_ns() - safe[-1][1] < _STALLED * 1e9:
            await asyncio.sleep(1)
            held.append(_resident())
        spent, seconds = time.process_time() - cpu, time.monotonic() - began
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work
        received = session.read("trade")["received"].dt.epoch("ns").sort()
    return {
        **_figures(len(received), spent, seconds),
        "gaps": sum(one.gaps for one in told.health),
        "durable_after_seconds": _delays(received.to_list(), safe),
        "memory_mib": round(held[-1] / MIB),
        "memory_slope_mib_a_minute": _slope(held[len(held) // 3 :]),
    }


def _delays(received: list[int], safe: list[tuple[int, int]]) -> dict[str, float]:
    """Return how long after its receipt a row was durable: rows are kept in order."""
    delays: list[float] = []
    at = 0
    for kept, when in safe:
        delays.extend((when - one) / 1e9 for one in received[at:kept])
        at = kept
    cuts = quantiles(delays, n=100)
    return {"p50": round(cuts[49], 3), "p99": round(cuts[98], 3), "max": round(max(delays), 3)}


def _slope(held: list[int]) -> float:
    """Return how memory grows, by least squares over a sample a second."""
    return round(linear_regression(range(len(held)), held).slope * 60 / MIB, 2)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def _read(port: str, most: int) -> dict[str, Any]:
    """Read a socket as the recorder does, and keep nothing."""
    from plimsoll.exchanges import exchange  # noqa: PLC0415
    from plimsoll.feed.health import Health  # noqa: PLC0415
    from plimsoll.feed.rest import listed  # noqa: PLC0415
    from plimsoll.feed.subscription import subscription  # noqa: PLC0415
    from plimsoll.net.http import Client  # noqa: PLC0415

    bybit, address = exchange("bybit"), _address(port)
    async with Client(address) as client:
        listings = (await listed(client, bybit)).listings
    channels, health = bybit.channels("trade", listings), Health("bybit")
    frames, cpu, began = 0, time.process_time(), time.monotonic()
    async for _ in subscription(bybit, channels, listings, health, address=address):
        frames += 1
        if frames == most:
            break
    return _figures(frames, time.process_time() - cpu, time.monotonic() - began)


async def _ccxt(port: str, most: int) -> dict[str, Any]:
    """Read the same with ccxt.pro, told to return each trade once."""
    pro = importlib.import_module("ccxt.pro")  # no dependency of ours: uv run --with ccxt

    rival = pro.bybit({"newUpdates": True})
    rival.urls["api"]["ws"]["public"]["linear"] = f"ws://127.0.0.1:{port}/v5/public/linear"
    market = {"type": "swap", "swap": True, "spot": False, "contract": True, "linear": True}
    market |= {"inverse": False, "option": False, "quote": "USDT", "settle": "USDT"}
    market |= {"precision": {"price": 0.1, "amount": 0.001}, "limits": {}, "active": True}
    rival.set_markets(
        [
            rival.safe_market_structure(
                market | {"id": name, "base": name[:-4], "symbol": f"{name[:-4]}/USDT:USDT"}
            )
            for name in symbols(STREAMS)
        ]
    )
    wanted = [f"{name[:-4]}/USDT:USDT" for name in symbols(STREAMS)]
    told: list[list[dict[str, Any]]] = []
    cpu, began = time.process_time(), time.monotonic()
    frames, ended = 0, began
    with contextlib.suppress(TimeoutError):
        while frames < most:
            async with asyncio.timeout(_QUIET):
                told.append(await rival.watch_trades_for_symbols(wanted))
            frames, ended = frames + len(told[-1]), time.monotonic()
    spent = time.process_time() - cpu
    await rival.close()
    once = len({(trade["symbol"], trade["id"]) for trades in told for trade in trades})
    return {**_figures(once, spent, ended - began), "told": frames}


if __name__ == "__main__":
    READERS = {"record": _record, "read": _read, "ccxt": _ccxt}
    print(json.dumps(asyncio.run(READERS[sys.argv[1]](sys.argv[2], int(sys.argv[3])))))
