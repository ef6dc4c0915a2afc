"""A loopback exchange: answers requests, accepts sockets, and misbehaves on command."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Fake"]


class Fake:
    """One server for all hosts of an exchange: the host becomes the first part of the path.

    Attributes
    ----------
    asked : list of str
        Paths asked for, in order.
    subscribed : list of dict
        Messages that clients sent on sockets.
    opened, deflated : int
        How many sockets were opened, and of how many the frames go out deflated.
    status : dict of str to list of (int, dict)
        Refusals, each used once: status and headers, by the last part of the path or ``*``.
    handshakes : list of (int, dict)
        The same for sockets.
    packing : aiohttp.web.ContentCoding or None
        How answers are compressed.
    longest : float or None, seconds
        Sockets of this age are closed.
    answers_pings : bool
        Whether the protocol's own pings are answered.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.subscribed: list[Any] = []
        self.opened = self.deflated = 0
        self.status: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
        self.handshakes: list[tuple[int, dict[str, str]]] = []
        self.packing: web.ContentCoding | None = None
        self.longest: float | None = None
        self.answers_pings = True
        self.greeting: Callable[[Any], list[Any]] = lambda _message: []
        self.mute = False
        self.zipped = False
        self._answers: dict[str, Callable[[dict[str, str], bytes], Any]] = {}
        self._sockets: dict[web.WebSocketResponse, None] = {}
        self._transports: set[asyncio.BaseTransport] = set()
        self._runner: web.AppRunner | None = None
        self._expired: asyncio.Future[bool] | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        for socket in list(self._sockets):
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def address(self, url: str) -> str:
        """Return the URL here in place of an exchange's."""
        parts = urlsplit(url)
        scheme = "ws" if parts.scheme.startswith("ws") else "http"
        query = f"?{parts.query}" if parts.query else ""
        return f"{scheme}://127.0.0.1:{self.port}/{parts.netloc}{parts.path}{query}"

    def serve(self, path: str, answer: Callable[[dict[str, str], bytes], Any]) -> None:
        """Answer every request whose path ends so."""
        self._answers[path] = answer

    def served(self, path: str) -> Callable[[dict[str, str], bytes], Any]:
        """Return what answers requests whose path ends so."""
        return self._answers[path]

    async def send(self, message: Any) -> None:
        """Send a message to every open socket."""
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        for socket in list(self._sockets):
            if not socket.closed:
                if self.zipped:
                    await socket.send_bytes(gzip.compress(payload))
                else:
                    await socket.send_str(payload.decode("utf-8", errors="replace"))

    async def close(self, code: int = 1001) -> None:
        """Close every socket politely."""
        for socket in list(self._sockets):
            await socket.close(code=code)

    async def close_oldest(self) -> None:
        """Close the socket that was opened first."""
        await next(iter(self._sockets)).close(code=1001)

    def freeze(self) -> None:
        """Hear nothing any more on any socket, and say nothing."""
        for transport in list(self._transports):
            transport.pause_reading()  # type: ignore[attr-defined]

    async def half(self, message: Any) -> None:
        """Send half a frame on every socket, and end the connections."""
        payload = json.dumps(message).encode()
        size = len(payload)
        head = bytes([0x81, 126]) + size.to_bytes(2) if size > 125 else bytes([0x81, size])
        for transport in list(self._transports):
            if not transport.is_closing():
                transport.write(head + payload[: size // 2])  # type: ignore[attr-defined]
                transport.close()

    def reset(self) -> None:
        """Cut every socket's connection without a word."""
        for transport in list(self._transports):
            transport.abort()  # type: ignore[attr-defined]

    @property
    def sockets(self) -> int:
        """How many sockets are open."""
        return sum(not socket.closed for socket in self._sockets)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        if is_socket and self.handshakes:
            status, headers = self.handshakes.pop(0)
            return web.Response(status=status, headers=headers)
        if (waiting := self.status[request.path.rsplit("/", 1)[-1]]) or (
            waiting := self.status["*"]
        ):
            status, headers = waiting.pop(0)
            return web.Response(status=status, headers=headers, text='{"msg":"no"}')
        if is_socket:
            return await self._socket(request)
        body = await request.read()
        for path, answer in self._answers.items():
            if request.path.endswith(path):
                said = web.json_response(answer(dict(request.query), body))
                if self.packing is not None:
                    said.enable_compression(self.packing)
                return said
        return web.Response(status=404, text="no such path")

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=self.answers_pings and not self.mute, compress=True)
        await socket.prepare(request)
        self.opened += 1
        self.deflated += bool(socket.compress)
        self._sockets[socket] = None
        if request.transport is not None:
            self._transports.add(request.transport)
        if self.longest is not None:
            asyncio.get_running_loop().call_later(self.longest, self._expire, socket)
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    continue
                sent = json.loads(message.data)
                self.subscribed.append(sent)
                if self.mute:
                    continue
                for reply in self.greeting(sent):
                    await socket.send_json(reply)
        finally:
            self._sockets.pop(socket, None)
        return socket

    def _expire(self, socket: web.WebSocketResponse) -> None:
        """Close a socket for its age."""
        self._expired = asyncio.ensure_future(socket.close(code=1001))
