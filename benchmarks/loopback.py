"""A server of Bybit's public trades: ``python -m benchmarks.loopback SYMBOLS RATE SECONDS``.

It prints its port, waits until every symbol is subscribed to, and sends one trade a frame, RATE
frames a second in all; then it prints how many it sent, and stays until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

__all__ = ["symbols"]

_TURN = 0.01


def symbols(count: int) -> list[str]:
    """Return the native symbols of so many instruments."""
    return [f"C{number}USDT" for number in range(count)]


def _listing(query: dict[str, list[str]], count: int) -> object:
    rows = [
        {"symbol": name, "fundingInterval": 480, "priceFilter": {"tickSize": "0.1"}}
        for name in (symbols(count) if query.get("category") == ["linear"] else [])
    ]
    return {"retCode": 0, "retMsg": "OK", "result": {"list": rows}, "time": 0}


def _answer(count: int, request: Request) -> Response | None:
    if request.headers.get("Upgrade", "").lower() == "websocket":
        return None
    parts = urlsplit(request.path)
    query = parse_qs(parts.query) if parts.path.endswith("instruments-info") else {}
    body = json.dumps(_listing(query, count)).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    return Response(HTTPStatus.OK, "OK", headers, body)


def _trade(number: int, name: str) -> str:
    return (
        f'{{"topic":"publicTrade.{name}","type":"snapshot","ts":{time.time_ns() // 1_000_000},'
        f'"data":[{{"i":"{number:015x}{0:017x}","T":{time.time_ns() // 1_000_000},"p":"90000.5",'
        f'"v":"0.00{number % 9 + 1}","S":"{"Buy" if number % 2 else "Sell"}","s":"{name}",'
        '"L":"PlusTick","BT":false,"RPI":false}]}'
    )


async def _serve(count: int, rate: int, seconds: int) -> None:
    names, wanted = symbols(count), set(symbols(count))

    async def talk(socket: ServerConnection) -> None:
        async for frame in socket:
            sent: dict[str, Any] = json.loads(frame)
            answer = {"success": True, "ret_msg": "", "op": sent["op"], "req_id": sent["req_id"]}
            await socket.send(json.dumps(answer))
            wanted.difference_update(one.partition(".")[2] for one in sent.get("args", []))
            if not wanted and sent["op"] == "subscribe":
                break
        print(await _pour(socket, names, rate, seconds), flush=True)
        async for _ in socket:
            pass

    def answer(_socket: ServerConnection, request: Request) -> Response | None:
        return _answer(count, request)

    server = serve(talk, "127.0.0.1", 0, process_request=answer, compression=None)
    async with server as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.Event().wait()


async def _pour(socket: ServerConnection, names: list[str], rate: int, seconds: int) -> int:
    """Send trades at a steady rate; a reader that is slow holds the sender up."""
    sent, began = 0, time.monotonic()
    while sent < rate * seconds:
        due = min(int((time.monotonic() - began) * rate) + 1, rate * seconds)
        for number in range(sent, due):
            await socket.send(_trade(number, names[number % len(names)]))
        sent = due
        await asyncio.sleep(_TURN)
    return sent


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:4])))
