"""A client that knows the server from docs/reference/server.md alone."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection


def read_columns(body: bytes) -> tuple[dict, dict]:
    """Read the binary form as its page in the reference says."""
    assert body[:4] == b"PLM1"
    (length,) = struct.unpack("<I", body[4:8])
    assert (8 + length) % 8 == 0
    header = json.loads(body[8 : 8 + length])
    found = {}
    for array in header["arrays"]:
        at = 8 + length + array["offset"]
        assert at % 8 == 0
        piece = body[at : at + array["bytes"]]
        if array["dtype"] == "json":
            found[array["name"]] = json.loads(piece)
        else:
            found[array["name"]] = np.frombuffer(piece, f"<{array['dtype']}").reshape(
                array["shape"]
            )
    return header["facts"], found


class Stream:
    """A connection to the stream, and what it heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.heard = socket, []

    async def say(self, op: str, channel: str, symbol: str | None = None, **rest: str) -> None:
        await self.socket.send(json.dumps({"op": op, "channel": channel, "symbol": symbol, **rest}))

    async def hear(self, kind: str, channel: str | None = None, within: float = 30) -> dict:
        """Return the next message of a kind, and of a channel."""
        async with asyncio.timeout(within):
            while True:
                message = json.loads(await self.socket.recv(), parse_constant=_never)
                self.heard.append(message)
                if message["type"] == kind and channel in {None, message.get("channel")}:
                    return message

    async def closed(self, within: float = 60) -> tuple[int, str]:
        """Hear on until the server ends it; return its code and reason."""
        async with asyncio.timeout(within):
            with suppress(ConnectionClosed):
                while True:
                    self.heard.append(json.loads(await self.socket.recv()))
        return self.socket.close_code or 0, self.socket.close_reason or ""


def _never(word: str) -> None:
    raise AssertionError(f"{word} is no number")


@asynccontextmanager
async def stream(url: str, **options: Any) -> AsyncIterator[Stream]:
    """Connect to the stream of the server whose page is at an address."""
    address = url.replace("http", "ws", 1) + "api/v1/stream"
    async with connect(address, max_size=None, **options) as socket:
        yield Stream(socket)
