"""Who may ask, how often, and what a browser may do with the answer."""

from __future__ import annotations

import ipaddress
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from plimsoll.server.problems import PROBLEM, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from plimsoll.server.service import Service, Settings

__all__ = ["COOKIE", "Guard", "is_loopback"]

COOKIE = "plimsoll_token"
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _PAGE.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_OPEN = ("/healthz", "/api/v1/sign-in")
_CLIENTS = 4_096
"""Clients that are remembered; the one longest away is forgotten."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens on a host."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass
class _Client:
    """What a client has left, and has open."""

    left: float
    seen: float
    open: int = 0


class Guard:
    """Stands before the application: token, host, origin, limits, and headers for browsers.

    Parameters
    ----------
    app : ASGI application
    service : Service
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._clients: OrderedDict[str, _Client] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
        client = self._client((scope.get("client") or ("",))[0])
        try:
            self._admit(scope, headers, client)
        except Problem as problem:
            await _refuse(problem, scope, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        client.open += 1
        try:
            await self._app(scope, receive, _with(send))
        finally:
            client.open -= 1

    def _admit(self, scope: Scope, headers: Mapping[str, str], client: _Client) -> None:
        settings, limits = self._service.settings, self._service.settings.limits
        _called_rightly(settings, headers)
        if scope["type"] == "http":
            if client.left < 1:
                raise _often(f"at most {limits.rate:g} requests a second, {limits.burst} at once")
            client.left -= 1
            if client.open >= limits.at_once:
                raise _often(f"at most {limits.at_once} requests may be open")
        path = scope["path"]
        protected = path.startswith("/api/") or path == "/metrics"
        if settings.token and protected and path not in _OPEN:
            _known(settings.token, headers)

    def _client(self, name: str) -> _Client:
        limits, now = self._service.settings.limits, monotonic()
        client = self._clients.pop(name, None) or _Client(limits.burst, now)
        client.left = min(limits.burst, client.left + (now - client.seen) * limits.rate)
        client.seen = now
        self._clients[name] = client
        if len(self._clients) > _CLIENTS:
            self._clients.popitem(last=False)
        return client


def _called_rightly(settings: Settings, headers: Mapping[str, str]) -> None:
    """Refuse a request by another name, or from another page."""
    host = headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    if settings.hosts and name not in settings.hosts:
        detail = f"this server is called {' or '.join(settings.hosts)}, not {name!r}"
        raise Problem(421, "misdirected", "Not this server's name", detail)
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        detail = "other pages may not read this server; ask it from its own page or a program"
        raise Problem(403, "other-origin", "From another page", detail)


def _known(token: str, headers: Mapping[str, str]) -> None:
    """Refuse a client that does not know the token, in a time that tells nothing of it."""
    given = headers.get("authorization", "").removeprefix("Bearer ").strip()
    if not given:
        given = _cookie(headers.get("cookie", ""))
    if not secrets.compare_digest(given.encode(), token.encode()):
        raise Problem(
            401,
            "token",
            "A token is needed",
            "send the token this server was started with: Authorization: Bearer TOKEN, or sign "
            "in on its page",
            {"WWW-Authenticate": "Bearer"},
        )


def _cookie(header: str) -> str:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _often(most: str) -> Problem:
    detail = f"{most}; wait a second"
    return Problem(429, "too-often", "Asked too often", detail, {"Retry-After": "1"})


def _with(send: Send) -> Send:
    """Return `send`, which adds what browsers must keep to."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_HEADERS]
        await send(message)

    return sent


async def _refuse(problem: Problem, scope: Scope, send: Send) -> None:
    headers: list[Any] = [(b"content-type", PROBLEM.encode()), *_HEADERS]
    headers += [(k.lower().encode(), v.encode()) for k, v in problem.headers.items()]
    kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
    await send({"type": f"{kind}.start", "status": problem.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": problem.body()})
