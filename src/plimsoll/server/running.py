"""A server in this process: where it listens, and how it ends."""

from __future__ import annotations

import secrets
import socket
from contextlib import closing
from typing import TYPE_CHECKING

import uvicorn

from plimsoll.server.app import create_app
from plimsoll.server.guard import is_loopback
from plimsoll.server.service import Limits, Settings

if TYPE_CHECKING:
    from plimsoll.session import Session

__all__ = ["Running"]

_LOCAL = ("localhost", "127.0.0.1", "::1")


class Running:
    """A server that listens, and serves when it is told to.

    Attributes
    ----------
    url : str
        Of the page.
    token : str or None
        What clients must know; None where only this machine can reach it.

    Parameters
    ----------
    session : Session
    host : str
    port : int
        Zero for any that is free.
    token : str, optional
        Made where one is needed and none is given.
    limits : Limits, optional

    Raises
    ------
    OSError
        If nobody can listen there.
    """

    def __init__(
        self,
        session: Session,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        token: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        local = is_loopback(host)
        self.token = token or (None if local else secrets.token_urlsafe(24))
        hosts = (*_LOCAL, host) if local else ()
        settings = Settings(token=self.token, hosts=hosts, limits=limits or Limits())
        self._socket = _listening(host, port)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}/"
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(session, settings),
                ws="websockets-sansio",
                ws_max_size=settings.limits.frame,
                ws_per_message_deflate=False,
                h11_max_incomplete_event_size=32 * 1024,
                timeout_graceful_shutdown=3,
                log_level="error",
                access_log=False,
                server_header=False,
            )
        )

    async def serve(self) -> None:
        """Serve until the process is told to end, or this is cancelled."""
        with closing(self._socket):
            await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` end: open answers are finished first."""
        self._server.should_exit = True


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens, so that a port in use is told before anything else is done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen()  # who comes before it serves waits, as a browser opened at once does
    except OSError as error:
        made.close()
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return made
