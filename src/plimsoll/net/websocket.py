"""A WebSocket: frames as bytes with the time they came, and no silent death.

Pings of the protocol go out every few seconds; a connection that does not answer is cut within
twenty, and until when it lived is known. When frames come faster than they are taken, the socket
is read no further and the sender has to wait: nothing is dropped here.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
import zlib
from typing import TYPE_CHECKING, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from plimsoll.errors import ConnectionLost, RateLimited, Rejected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["Socket"]

_PING = 8.0
_OPEN = 15.0
_LARGEST = 32 * 1024 * 1024
_WAITING = 1_024
_TOO_MANY = {429: 10.0, 418: 120.0, 403: 600.0}


class Socket:
    """One connection.

    Parameters
    ----------
    url : str
    ping : tuple of (float, bytes or None)
        How often, in seconds, to send what, beside the protocol's own pings.
    address : callable, optional
        Returns the URL to use in place of one.

    Attributes
    ----------
    alive : int, UTC nanoseconds
        When the other side was last heard of, by a frame or a pong; 0 before it ever was.
    """

    def __init__(
        self,
        url: str,
        *,
        ping: tuple[float, bytes | None] = (15.0, None),
        address: Callable[[str], str] = lambda url: url,
    ) -> None:
        self._url, self._ping, self._address = url, ping, address
        self._host = url.split("/")[2]
        self._connection: ClientConnection | None = None
        self._keeping: list[asyncio.Task[None]] = []
        self.alive = 0

    async def __aenter__(self) -> Self:
        try:
            self._connection = await connect(
                self._address(self._url),
                ping_interval=None,  # done here, where a pong is noted
                open_timeout=_OPEN,
                close_timeout=2,
                max_size=_LARGEST,
                max_queue=_WAITING,
            )
        except InvalidStatus as error:
            raise _refusal(self._host, error) from error
        except (OSError, WebSocketException, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise ConnectionLost(self._host, f"cannot be reached: {why}") from error
        self.alive = time.time_ns()
        self._keeping.append(asyncio.ensure_future(self._watch(self._connection)))
        every, payload = self._ping
        if payload is not None:
            self._keeping.append(asyncio.ensure_future(self._keep_alive(every, payload)))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._keeping:
            task.cancel()
        if self._connection is not None:
            await self._connection.close()

    async def _watch(self, connection: ClientConnection) -> None:
        """Cut a connection whose other side answers no ping, and says nothing else meanwhile."""
        with contextlib.suppress(WebSocketException):
            while True:
                await asyncio.sleep(_PING)
                before = self.alive
                pong = await connection.ping()
                try:
                    async with asyncio.timeout(_PING):
                        await pong
                except TimeoutError:
                    if self.alive > before:
                        continue  # some servers answer their own pings only
                    connection.transport.abort()
                    return
                self.alive = time.time_ns()

    async def _keep_alive(self, every: float, payload: bytes) -> None:
        with contextlib.suppress(ConnectionLost):
            while True:
                await asyncio.sleep(every)
                await self.send(payload)

    async def send(self, payload: bytes) -> None:
        """Send a frame of text.

        Raises
        ------
        ConnectionLost
        """
        if self._connection is None:
            raise RuntimeError("a socket sends inside `async with`")
        try:
            await self._connection.send(payload.decode())
        except (OSError, WebSocketException) as error:
            raise ConnectionLost(self._host, f"lost while sending: {error}") from error

    async def frames(self) -> AsyncIterator[tuple[bytes, int]]:
        """Yield frames, decompressed, with the nanosecond they came at.

        Raises
        ------
        ConnectionLost
            When the connection ends, however it does.
        """
        if self._connection is None:
            raise RuntimeError("a socket is read inside `async with`")
        while True:
            try:
                frame = await self._connection.recv(decode=False)
            except (OSError, WebSocketException) as error:
                raise ConnectionLost(self._host, f"closed: {error}") from error
            self.alive = time.time_ns()
            yield _plain(bytes(frame)), self.alive


def _plain(frame: bytes) -> bytes:
    """Return a frame decompressed; one that only looks compressed, as it is."""
    if frame[:2] == b"\x1f\x8b":
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(frame)
    return frame


def _refusal(host: str, error: InvalidStatus) -> ConnectionLost | RateLimited | Rejected:
    status = error.response.status_code
    if status in _TOO_MANY:
        said = error.response.headers.get("Retry-After", "")
        wait = float(said) if said.isdigit() else _TOO_MANY[status]
        return RateLimited(host, f"asked too often ({status})", retry_after=wait)
    if status >= 500:
        return ConnectionLost(host, f"failed ({status})")
    why = "does not serve this region" if status == 451 else "refused the socket"
    return Rejected(host, why, code=str(status))
