"""The stream: a client says what it wants to hear, and hears a snapshot, then what is new."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from plimsoll.server.forms import text
from plimsoll.server.hub import subject_of
from plimsoll.server.problems import Problem

if TYPE_CHECKING:
    from plimsoll.server.hub import Hub
    from plimsoll.server.service import Service
    from plimsoll.server.topics import Subject

__all__ = ["router"]

_BEAT = 5.0
"""How often a stream says that it lives, seconds."""
_TALK = 20.0
"""Messages a client may send in a second, over time; ten times that at once."""
_SLOW, _LOUD = 1013, 1008


def router(service: Service, hub: Hub) -> APIRouter:
    """Return the route of the stream."""
    routes = APIRouter()

    @routes.websocket("/stream")
    async def stream(websocket: WebSocket) -> None:
        limits = service.settings.limits
        name = websocket.client.host if websocket.client else ""
        if hub.streams[name] >= limits.streams or hub.streams.total() >= limits.all_streams:
            await websocket.close(_SLOW, "too many streams are open; close one")
            return
        hub.streams[name] += 1
        await websocket.accept()
        client = Client(websocket, service, hub)
        try:
            await client.serve()
        finally:
            client.leave()
            hub.streams[name] -= 1
            if not hub.streams[name]:
                del hub.streams[name]

    return routes


class Client:
    """One connection: what it listens to, and what waits to be sent to it.

    Parameters
    ----------
    websocket : WebSocket
        Accepted.
    service : Service
    hub : Hub
    """

    def __init__(self, websocket: WebSocket, service: Service, hub: Hub) -> None:
        self._websocket, self._hub = websocket, hub
        self._limits = service.settings.limits
        self._subjects: set[Subject] = set()
        self._queue: deque[str] = deque()
        self._more = asyncio.Event()
        self._over: tuple[int, str] | None = None
        self._left, self._heard = 10 * _TALK, monotonic()

    def offer(self, message: str) -> None:
        """Let a message be sent; a client that is too far behind is dropped."""
        if self._over is not None:
            return
        if len(self._queue) >= self._limits.behind:
            self._hub.dropped += 1
            self.drop(f"slow: {self._limits.behind} messages behind; read faster, or less")
            return
        self._queue.append(message)
        self._more.set()

    def drop(self, reason: str) -> None:
        """Tell the client nothing more, and why."""
        self._end(_SLOW, reason)

    async def serve(self) -> None:
        """Hear and tell until either side ends it."""
        tasks = [asyncio.ensure_future(work) for work in (self._hear(), self._send(), self._beat())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def leave(self) -> None:
        """Listen to nothing any more."""
        for subject in self._subjects:
            self._hub.unsubscribe(subject, self)
        self._subjects.clear()
        self._queue.clear()

    def _end(self, code: int, reason: str) -> None:
        """Drop what waits, and close as soon as the client reads."""
        self.leave()
        self._over = (code, reason)
        self._more.set()

    async def _send(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it left meanwhile
            while True:
                await self._more.wait()
                self._more.clear()
                while self._queue:
                    message = self._queue.popleft()
                    await self._websocket.send({"type": "websocket.send", "text": message})
                    self._hub.sent += 1
                if self._over is not None:
                    await self._websocket.close(*self._over)
                    return

    async def _beat(self) -> None:
        while True:
            self.offer(text({"type": "beat", "time": datetime.now(tz=UTC)}).decode())
            await asyncio.sleep(_BEAT)

    async def _hear(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = monotonic()
            self._left = min(10 * _TALK, self._left + (now - self._heard) * _TALK) - 1
            self._heard = now
            if self._left < 0 and self._over is None:
                self._end(_LOUD, f"at most {_TALK:g} messages a second")
            if self._over is None:
                await self._obey(message.get("text"))

    async def _obey(self, message: str | None) -> None:
        about = {}
        try:
            said = _SAID.decode(message or "")
            about = msgspec.structs.asdict(said)
            subject = subject_of(said.channel, said.symbol, said.exchange)
            if said.op == "subscribe":
                self._subscribe(subject)
            else:
                self._unsubscribe(subject)
        except msgspec.DecodeError as error:
            self._refuse(about, f'{error}; send {{"op": "subscribe", "channel": "liquidation"}}')
        except (Problem, ValueError) as error:
            self._refuse(about, str(error))

    def _refuse(self, about: dict[str, Any], detail: str) -> None:
        self.offer(text({"type": "error", **about, "detail": detail}).decode())

    def _subscribe(self, subject: Subject) -> None:
        if subject in self._subjects:
            raise ValueError("it is subscribed to already")
        if len(self._subjects) >= self._limits.subscriptions:
            most = self._limits.subscriptions
            raise ValueError(f"at most {most} subscriptions; unsubscribe from one first")
        self._hub.subscribe(subject, self)
        self._subjects.add(subject)

    def _unsubscribe(self, subject: Subject) -> None:
        if subject not in self._subjects:
            raise ValueError("it is not subscribed to")
        self._subjects.discard(subject)
        self._hub.unsubscribe(subject, self)
        self.offer(text({"type": "unsubscribed", **subject._asdict()}).decode())


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may say."""

    op: Literal["subscribe", "unsubscribe"]
    channel: str
    symbol: str | None = None
    exchange: str | None = None


_SAID = msgspec.json.Decoder(_Said)
