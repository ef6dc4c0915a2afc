"""What a long run leaves behind: the server's memory under hostile clients, and the page's."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from playwright.sync_api import sync_playwright
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.measure import MIB
from benchmarks.page import CHROMIUM, FLAGS, READY, built
from benchmarks.server import RATE, resident, serving
from plimsoll import session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from playwright.sync_api import CDPSession, Page

__all__ = ["run"]

MINUTES = 5.0
WARM_UP = 1.0
"""Minutes that are not counted: what is compiled, loaded and kept for later."""
EACH = 5.0
"""Seconds from sample to sample."""
SERVER_LIMIT, PAGE_LIMIT, FRAMES_LIMIT = 1.0, 0.5, 0.9
_GONE = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError, httpx.HTTPError)
FRAMES = """async () => {
    const end = performance.now() + 4000;
    let frames = 0;
    while (performance.now() < end) { await new Promise(requestAnimationFrame); frames++; }
    return frames / 4;
}"""


def run() -> dict[str, object]:
    """Serve a store that is appended to, to hostile clients and then to a page."""
    built()
    with TemporaryDirectory() as folder:
        opened = session.open(Path(folder) / "store")
        opened.simulate("crash", coins=("BTC",), days=4)
        with serving(opened) as (url, pid), _appending(opened.path):
            server = asyncio.run(_hostile(url, pid))
        with serving(opened) as (url, _), _appending(opened.path):
            page = _watched(url)
    return {
        "compared": f"{MINUTES:g} minutes of {RATE} updates a second, settled each minute, the "
        f"first {WARM_UP:g} not counted; clients that never read, send frames too large, "
        "subscribe to 10,000 subjects, come and go, and ask nonsense; and a symbol's page, its "
        "heap after forced collection",
        "aim": f"memory: server at most {SERVER_LIMIT:g} MiB a minute, page {PAGE_LIMIT:g}; frames "
        f"a second at the end at least {FRAMES_LIMIT:g} of those at the start",
        "server": server,
        "page": page,
    }


@contextmanager
def _appending(root: Path) -> Iterator[None]:
    # What is new is as old as what is simulated: both are one market.
    first = session.open(root).read("open_interest")["time"].max().timestamp()  # type: ignore[union-attr]
    words = [str(root), "NEWS/USDT:USDT", str(60 * (MINUTES + 3)), str(first)]
    writer = subprocess.Popen([sys.executable, "-m", "benchmarks.server", *words])
    try:
        yield
    finally:
        writer.terminate()
        writer.wait(30)


async def _hostile(url: str, pid: int) -> dict[str, object]:
    """Let all of them at the server, and one that behaves; sample the server's memory."""
    address = url.replace("http", "ws", 1) + "api/v1/stream"
    done: dict[str, int] = {}
    kinds = {"never_reads": 20, "oversized": 2, "subscribes": 2, "comes_and_goes": 4, "asks": 1}
    tasks = [
        asyncio.ensure_future(_again(_KINDS[name], address, done, name))
        for name, many in kinds.items()
        for _ in range(many)
    ]
    heard = asyncio.ensure_future(_behaves(address))
    samples = []
    start = time.monotonic()
    while (passed := (time.monotonic() - start) / 60) < MINUTES:
        samples.append((passed, resident(pid) / MIB))
        await asyncio.sleep(EACH)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    heard.cancel()
    told = await heard
    await asyncio.sleep(EACH)
    return {
        **_slope(samples),
        "attacks": done,
        "well_behaved": told,
        "streams_left": await _left(url),
    }


async def _left(url: str) -> float:
    """Return how many streams the server holds open."""
    async with httpx.AsyncClient(timeout=30) as client:
        told = (await client.get(f"{url}metrics")).text
    name = "plimsoll_server_streams "
    return next(float(line[len(name) :]) for line in told.splitlines() if line.startswith(name))


async def _again(
    attack: Callable[[str], Coroutine[Any, Any, None]],
    address: str,
    done: dict[str, int],
    name: str,
) -> None:
    while True:
        with suppress(*_GONE):
            await attack(address)
        done[name] = done.get(name, 0) + 1
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _joined(address: str, **more: Any) -> AsyncIterator[Any]:
    async with connect(address, close_timeout=1, **more) as socket:
        yield socket


async def _never_reads(address: str) -> None:
    """Subscribe, read nothing for a while, and go without a word."""
    async with _joined(address, max_queue=1, ping_interval=None) as socket:
        for channel in ("trade", "store"):
            await socket.send(json.dumps({"op": "subscribe", "channel": channel}))
        await asyncio.sleep(20)
        socket.transport.abort()


async def _oversized(address: str) -> None:
    async with _joined(address) as socket:
        await socket.send("x" * 1_000_000)
        await socket.wait_closed()


async def _subscribes(address: str) -> None:
    """Subscribe to 10,000 subjects as fast as can be."""
    async with _joined(address) as socket:
        for number in range(10_000):
            about = {"channel": "trade", "symbol": f"C{number}/USDT:USDT"}
            await socket.send(json.dumps({"op": "subscribe", **about}))


async def _comes_and_goes(address: str) -> None:
    async with _joined(address) as socket:
        await socket.send(json.dumps({"op": "subscribe", "channel": "trade"}))


_NUMBERS = count()


async def _asks(address: str) -> None:
    """Ask what has no answer, each time something else."""
    url = address.replace("ws", "http", 1).replace("/stream", "/open-interest")
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(20):
            await client.get(url, params={"symbol": f"C{next(_NUMBERS)}/USDT:USDT"})
            await client.get(url, params={"symbol": "<script>", "since": "1800-01-01"})
            await asyncio.sleep(0.1)


_KINDS = {
    "never_reads": _never_reads,
    "oversized": _oversized,
    "subscribes": _subscribes,
    "comes_and_goes": _comes_and_goes,
    "asks": _asks,
}


async def _behaves(address: str) -> dict[str, object]:
    """Read all that comes until cancelled; return what was heard, and what was lost."""
    heard = lost = 0
    late: list[float] = []
    with suppress(asyncio.CancelledError):
        async with _joined(address, max_size=None) as socket:
            await socket.send(json.dumps({"op": "subscribe", "channel": "trade"}))
            last = None
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "delta":
                    lost += last is not None and message["seq"] != last + 1
                    late.append(1_000 * (time.time() - message["columns"]["price"][0]))
                    heard += 1
                last = message.get("seq", last)
    worst = round(float(np.percentile(late, 99)), 1) if late else None
    return {"heard": heard, "lost": lost, "p99_ms": worst}


def _watched(url: str) -> dict[str, object]:
    """Keep a symbol's page open under updates; sample its heap and frames."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}?view=symbol&symbol=BTC&range=24h")
        page.wait_for_selector(READY, timeout=120_000)
        devtools = page.context.new_cdp_session(page)
        devtools.send("HeapProfiler.enable")
        devtools.send("Performance.enable")
        samples, frames = [], []
        start = time.monotonic()
        while (passed := (time.monotonic() - start) / 60) < MINUTES:
            heap, nodes = _heap(devtools)
            samples.append((passed, heap / MIB))
            frames.append(float(page.evaluate(FRAMES)))
            page.wait_for_timeout(1_000 * EACH)
        renewed = _renewals(page)
        browser.close()
    third = max(1, len(frames) // 3)
    first, last = np.median(frames[:third]), np.median(frames[-third:])
    return {
        **_slope(samples),
        "nodes": nodes,
        "renewals": renewed,
        "frames_a_second": [round(float(first), 1), round(float(last), 1)],
        "frames_ratio": round(float(last / first), 3),
    }


def _heap(devtools: CDPSession) -> tuple[float, int]:
    """Return the bytes that live after a collection, and the nodes of the document."""
    devtools.send("HeapProfiler.collectGarbage")
    found = devtools.send("Performance.getMetrics")["metrics"]
    metrics = {one["name"]: one["value"] for one in found}
    return metrics["JSHeapUsedSize"], int(metrics["Nodes"])


def _renewals(page: Page) -> int:
    """Return how often the page asked for its map."""
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/heatmap?'))"
    return int(page.evaluate(f"{asked}.length"))


def _slope(samples: list[tuple[float, float]]) -> dict[str, object]:
    """Return how fast memory grows after the warm-up, by least squares, and its two ends."""
    counted = [sample for sample in samples if sample[0] >= WARM_UP]
    times, held = np.array(counted).T
    rise = np.polyfit(times, held, 1)[0]
    return {
        "mib_a_minute": round(float(rise), 3),
        "mib": [round(float(one), 1) for one in (held[0], held[-1])],
        "mib_most": round(max(one for _, one in samples), 1),
    }
