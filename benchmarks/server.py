"""The server: a week's map asked again and again, and a stream that many listen to."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import httpx
from websockets.asyncio.client import connect

from benchmarks.measure import MIB
from plimsoll import session
from plimsoll.market.events import Trade
from plimsoll.server.forms import COLUMNS
from plimsoll.store.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plimsoll.session import Session

__all__ = ["append", "resident", "run", "serving"]

CLIENTS, RATE, SECONDS = 200, 10, 20
ROWS = 10
"""Rows of an update."""
SETTLED = 60 * RATE
"""Updates after which they are settled."""
ASKED = 90
"""Twice that stays below what one client may ask at once."""
_SYMBOL = "BTC/USDT:USDT"


def run() -> dict[str, object]:
    """Serve a simulated store in a process of its own, on one core, and ask it from here."""
    with TemporaryDirectory() as folder:
        opened = session.open(Path(folder) / "store")
        opened.simulate("crash", coins=("BTC",), days=40)
        with serving(opened) as (url, pid):
            rest = _rest(url)
            before = _used(pid)
            heard = asyncio.run(_stream(opened, url))
            heard["server_cpu"] = round((_used(pid) - before) / heard["seconds"], 3)
            heard["server_memory_mib"] = round(resident(pid) / MIB)
    return {
        "compared": f"a map of 7 days in 5 minutes, 300 rows, asked {ASKED} times in binary "
        f"columns; {CLIENTS} clients of one channel, {RATE} updates of {ROWS} rows a second "
        "appended by another process, timed from before the append to after the parse",
        "aim": "REST p95 at most 100 ms warm; stream p99 at most 100 ms, nothing lost, one core",
        "rest": rest,
        "stream": heard,
    }


@contextmanager
def serving(opened: Session) -> Iterator[tuple[str, int]]:
    """Serve a store in a process of its own, on one core; yield its address and process."""
    command = [sys.executable, "-m", "plimsoll", "serve", "--port", "0"]
    served = subprocess.Popen(
        [*command, "--store", str(opened.path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(served.pid, {0})
    assert served.stdout is not None
    url = served.stdout.readline().split()[-1]
    try:
        yield url, served.pid
    finally:
        served.terminate()
        served.wait(30)
        served.stdout.close()


def _rest(url: str) -> dict[str, object]:
    """Time one question, first and again."""
    asked = f"{url}api/v1/heatmap"
    query = {"symbol": _SYMBOL, "since": "2025-02-03", "interval": "5m", "rows": "300"}
    figures: dict[str, object] = {}
    with httpx.Client(timeout=300, headers={"Accept": COLUMNS}) as client:
        for name, packing in (("plain", "identity"), ("gzip", "gzip")):
            times, size = [], 0
            for _ in range(ASKED + 1):
                began = time.perf_counter()
                answer = client.get(asked, params=query, headers={"Accept-Encoding": packing})
                times.append((time.perf_counter() - began) * 1_000)
                size = int(answer.raise_for_status().headers["content-length"])
            first, *warm = times
            figures[name] = {
                "bytes": size,
                "first_ms": round(first, 1),
                **_percentiles(warm),
            }
    return figures


async def _stream(opened: Session, url: str) -> dict[str, Any]:
    """Let many hear what one appends; return how late, and what was lost."""
    address = url.replace("http", "ws", 1) + "api/v1/stream"
    ready, updates = asyncio.Semaphore(0), RATE * SECONDS
    late: list[float] = []
    lost = [0]

    async def listen() -> None:
        async with connect(address, max_size=None) as socket:
            await socket.send(json.dumps({"op": "subscribe", "channel": "trade"}))
            seen, sequence = 0, 0
            while seen < updates * ROWS:
                message = json.loads(await asyncio.wait_for(socket.recv(), 60))
                if message["type"] == "snapshot":
                    ready.release()
                elif message["type"] == "delta":
                    now, sequence = time.time(), sequence + 1
                    lost[0] += message["seq"] != sequence
                    prices = message["columns"]["price"]  # carries when it was appended
                    late.append((now - prices[0]) * 1_000)
                    seen += len(prices)

    clients = [asyncio.ensure_future(listen()) for _ in range(CLIENTS)]
    for _ in clients:
        await ready.acquire()
    began = time.monotonic()
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.server", str(opened.path)),
        *(_SYMBOL, str(SECONDS), str(time.time())),
    )
    done = await asyncio.gather(*clients, return_exceptions=True)
    await writer.wait()
    failed = [repr(one) for one in done if one is not None]
    return {
        "seconds": round(time.monotonic() - began, 1),
        "clients": CLIENTS,
        "messages": len(late),
        "out_of_sequence": lost[0],
        "clients_that_missed_rows": len(failed),
        **_percentiles(late),
    }


def _percentiles(times: list[float]) -> dict[str, float]:
    cuts = quantiles(times, n=100)
    return {f"p{p}_ms": round(cuts[p - 1], 2) for p in (50, 95, 99)} | {
        "max_ms": round(max(times), 1)
    }


def _used(pid: int) -> float:
    """Return the seconds of CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Return the bytes of memory a process holds."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def append(root: Path, symbol: str, seconds: float, first: float) -> None:
    """Append updates at an even pace, the first as of a time since 1970; each price says when.

    As a recorder does, settle each minute.
    """
    shift = round((first - time.time()) * 1e9)
    with Writer(root) as writer:
        start = time.monotonic()
        for update in range(round(RATE * seconds)):
            time.sleep(max(0.0, start + update / RATE - time.monotonic()))
            now = time.time_ns()
            numbers = range(update * ROWS, update * ROWS + ROWS)
            writer.append([_trade(symbol, now, now + shift, number) for number in numbers])
            if update % SETTLED == SETTLED - 1:
                writer.settle()
        time.sleep(1)


def _trade(symbol: str, now: int, time: int, number: int) -> Trade:
    time += number * 1_000
    return Trade(
        exchange="bench",
        symbol=symbol,
        time=time,
        received=time,
        known_at=time,
        side="buy",
        price=now / 1e9,
        amount=1.0,
        id=number,
    )


if __name__ == "__main__":
    root, symbol, seconds, first = sys.argv[1:]
    append(Path(root), symbol, float(seconds), float(first))
